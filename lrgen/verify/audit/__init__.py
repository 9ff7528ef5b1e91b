"""The audit of a folder of other people's files: which run, what their learning rates do, and which are duplicates.

``collection`` finds the files, ``names`` reads what they call their schedule, ``functions`` finds the schedule of a
script without a network, ``diagnosing`` runs what the checks refuse, and ``summary`` counts and groups.
"""

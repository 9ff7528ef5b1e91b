"""Scores of what a model writes: completions of the rows of a dataset, graded by the same verdict as rendered files.

``completions`` reads them, ``answers`` finds the answer in a text, ``verdict`` grades many at once, ``ladder`` turns a
grade into a reward. ``results`` writes what ``lrgen score`` leaves in a folder, and ``compare`` compares two folders.
``pool`` is a process of its own that scores for a trainer; lrgen.rewards is its face.
"""

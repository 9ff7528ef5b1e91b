"""What was measured, shown: one page without network or script, plots, and comparisons over seeds.

``contents`` gathers what the page says, ``drawing`` its charts, ``page`` writes it.
"""

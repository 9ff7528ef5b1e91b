"""The report page, plots of schedules, and comparisons over seeds.

``contents`` gathers the content of the page, ``drawing`` draws its charts, and ``page`` writes it. The page needs no
network and no script.
"""

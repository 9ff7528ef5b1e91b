"""Scoring: the completions of a model → answers → verdicts, by the checks that verify every file of lrgen."""

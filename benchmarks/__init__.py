"""Benchmarks against peers in one run, reported as ratios; ``make bench`` prints them."""

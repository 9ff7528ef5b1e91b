"""Gradient patterns: what the stand-in forward pass sends back to each parameter, up to one factor per update.

A pattern is a cycle of drawn numbers, laid over all parameters one after another. The examiner computes it at the
sampled positions alone, and its norm from how often each number occurs.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_LENGTH = 1021  # prime: rows of weights do not repeat with the usual sizes


class Pattern:
    """The pattern of one update, from a seed, for parameters with these numbers of weights."""

    def __init__(self, seed: int, counts: Sequence[int]) -> None:
        numbers = np.random.Generator(np.random.Philox(seed)).random(_LENGTH, dtype=np.float32) - np.float32(0.5)
        self._cycle: Array = numbers + np.copysign(np.float32(0.2), numbers)
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    @classmethod
    def sum_of(cls, parts: Sequence[tuple[int, float]], counts: Sequence[int]) -> "Pattern":
        """The sum of the patterns of some seeds, each times a factor."""
        total = cls(parts[0][0], counts)
        cycles = [factor * cls(seed, counts)._cycle.astype(np.float64) for seed, factor in parts]
        total._cycle = np.sum(cycles, axis=0)
        return total

    def at(self, positions: Array) -> Array:
        """The values at positions among the weights of all parameters, one parameter after another."""
        values: Array = self._cycle[positions % _LENGTH]
        return values

    def whole(self) -> Array:
        """The values of all weights, parameter after parameter."""
        count = int(self._starts[-1])
        return np.tile(self._cycle, count // _LENGTH + 1)[:count]

    def norm(self, parameters: Sequence[int]) -> float:
        """The Euclidean norm over some of the parameters."""
        squares = self._cycle.astype(np.float64) ** 2
        sums = np.concatenate([[0.0], np.cumsum(squares)])
        wholes, rests = np.divmod(self._starts, _LENGTH)
        totals = wholes * sums[-1] + sums[rests]
        return float(np.sqrt(np.diff(totals)[list(parameters)].sum()))

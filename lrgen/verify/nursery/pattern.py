"""Gradient patterns: what the stand-in forward pass sends back to each parameter, up to one factor per update.

A pattern is a cycle of drawn numbers, laid over the parameters from an offset of their own. The examiner computes it at
the sampled positions alone, and its norm over all parameters from how often each number occurs.
"""

from typing import Any

import numpy as np

_LENGTH = 4099  # prime: rows of weights do not repeat with the usual sizes


class Pattern:
    """The pattern of one update, from a seed."""

    def __init__(self, seed: int) -> None:
        draw = np.random.Generator(np.random.Philox(seed))
        values = draw.uniform(0.2, 1.0, _LENGTH) * draw.choice([-1.0, 1.0], _LENGTH)
        self.cycle: np.ndarray[Any, Any] = values.astype(np.float32)

    def offset(self, parameter: int) -> int:
        """Where in the cycle the pattern of a parameter begins."""
        return parameter * 1009 % _LENGTH

    def at(self, parameter: int, positions: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The values at positions of a parameter's flattened weights."""
        values: np.ndarray[Any, Any] = self.cycle[(positions + self.offset(parameter)) % _LENGTH]
        return values

    def whole(self, parameter: int, count: int) -> np.ndarray[Any, Any]:
        """The values of all ``count`` weights of a parameter."""
        repeats = (self.offset(parameter) + count) // _LENGTH + 1
        values: np.ndarray[Any, Any] = np.tile(self.cycle, repeats)[self.offset(parameter) :][:count]
        return values

    def norm(self, counts: list[int]) -> float:
        """The Euclidean norm over all parameters, given the number of weights of each."""
        squares = self.cycle.astype(np.float64) ** 2
        sums = np.concatenate([[0.0], np.cumsum(np.concatenate([squares, squares]))])
        total = 0.0
        for parameter, count in enumerate(counts):
            whole, rest = divmod(count, _LENGTH)
            start = self.offset(parameter)
            total += whole * float(squares.sum()) + float(sums[start + rest] - sums[start])
        return float(np.sqrt(total))

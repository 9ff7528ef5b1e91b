"""Averages of weights that a file keeps while it trains, computed again from the weights that were observed."""

import numpy as np

from lrgen.records import PracticeKind, Variant
from lrgen.verify.session import Array

_ROUNDING = 1.2e-7  # of a number in single precision, an update of an average


class Average:
    """The average of some weights; without an update it is None."""

    def __init__(self) -> None:
        self.values: Array | None = None
        self.rounding = 10 * _ROUNDING

    def start(self, weights: Array) -> None:
        """Begin with the weights before the first update."""

    def update(self, weights: Array) -> None:
        """Add the weights after an update."""

    def end(self, weights: Array) -> None:
        """Add the weights at the end of an epoch."""

    def is_close(self, weights: Array) -> bool:
        """Whether weights are the average, but for rounding errors."""
        return self.values is not None and is_close(weights, self.values, self.rounding)


class MovingAverage(Average):
    """An exponential moving average, whose decay after n updates is at most (1 + n) / (10 + n)."""

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay, self.updates = decay, 0

    def start(self, weights: Array) -> None:
        """Begin with these weights."""
        if self.values is None:
            self.values = weights.astype(np.float64)

    def update(self, weights: Array) -> None:
        """Add the weights after an update."""
        assert self.values is not None
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.values = decay * self.values + (1 - decay) * weights
        self.rounding = (10 + min(self.updates, 1 / max(1 - self.decay, 1e-4))) * _ROUNDING


class EpochAverage(Average):
    """The mean of the weights at the ends of the epochs after the first ``start`` ones."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self.first, self.epochs = start, 0

    def end(self, weights: Array) -> None:
        """Add the weights at the end of an epoch."""
        self.epochs += 1
        count = self.epochs - self.first
        if count == 1:
            self.values = weights.astype(np.float64)
        elif count > 1:
            assert self.values is not None
            self.values = self.values + (weights - self.values) / count


def is_close(weights: Array, average: Array, rounding: float) -> bool:
    """Whether weights are an average, but for errors of this fraction of it and of 1e-7 of the largest one."""
    if weights.shape != average.shape:  # a file may add buffers between two epochs
        return False
    largest = float(np.abs(average).max(initial=0.0))
    return bool(np.all(np.abs(weights - average) <= rounding * np.abs(average) + 1e-7 * largest))


def start_of(fraction: float, epochs: int) -> int:
    """The number of epochs before those whose weights are averaged; the last one always is."""
    return min(int(fraction * epochs), epochs - 1)


def average_of(variant: Variant | None, epochs: int) -> Average | None:
    """The average that a file with this variant evaluates with, in a training of so many epochs; None for none."""
    practice = variant.practice if variant else None
    if practice is None:
        return None
    if practice.kind is PracticeKind.EMA:
        return MovingAverage(practice.defaults["ema_decay"])
    if practice.kind is PracticeKind.AVERAGING:
        return EpochAverage(start_of(practice.defaults["average_start_fraction"], epochs))
    return None

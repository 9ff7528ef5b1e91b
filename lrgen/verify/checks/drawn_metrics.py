"""Drawn sequences of the metric that drives a schedule: a loss, or an accuracy.

A sequence consists of segments of drawn lengths: a noisy decrease, plateaus, improvements just above and just below a
threshold, a jump that recovers without a new best, zeros. In half of the sequences some values are NaN.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lrgen.records import Metric

Values = NDArray[np.float64]

_RELATIVE_THRESHOLD = 1e-4  # torch's default: an improvement is below (1 - 1e-4) times the best loss
_MAX_SEGMENTS = 12
_MAX_LOSS = 10.0
_MAX_NAN = 0.1  # fraction of the values


def metrics(metric: Metric, seed: int, count: int, threshold: float = 0.0) -> list[float]:
    """Draw a metric for each of ``count`` steps.

    A loss is in [0, 10], an accuracy in [0, 1]. ``threshold`` is that of the schedule, if it has its own: some
    improvements are slightly above or below it, others above or below torch's 1e-4, but none is equal to either.
    """
    draw = np.random.RandomState(seed)  # its numbers are the same in every version of numpy
    thresholds = [_RELATIVE_THRESHOLD, *([threshold] if threshold > 0 else [])]
    segments = _LOSSES if metric is Metric.LOSS else _ACCURACIES
    lengths = draw.exponential(size=draw.randint(1, _MAX_SEGMENTS + 1))
    ends = np.rint(np.cumsum(lengths) / lengths.sum() * count).astype(int)
    value, start, parts = float(draw.uniform(0.5, 3)) if metric is Metric.LOSS else 0.9, 0, []
    for end in ends:
        if end > start:
            segment = segments[draw.randint(len(segments))]
            part = segment(draw, value, int(end - start), thresholds[draw.randint(len(thresholds))])
            value, start = float(part[-1]), int(end)
            parts.append(part)
    values = np.concatenate([*parts, np.zeros(0)])
    if draw.rand() < 0.2:
        values[count - int(draw.rand() * count / 4) :] = 0.0
    values = np.minimum(values, _MAX_LOSS) if metric is Metric.LOSS else 1 - np.clip(values, 0, 1)
    if draw.rand() < 0.5:
        values[draw.rand(count) < draw.rand() * _MAX_NAN] = math.nan
    return [float(value) for value in values]


# Each segment continues a sequence from its last value; of an accuracy it is the error, 1 - accuracy.
_Segment = Callable[[np.random.RandomState, float, int, float], Values]


def _noisy_decrease(draw: np.random.RandomState, last: float, count: int, threshold: float) -> Values:
    """An exponential decrease by a drawn factor with noise; every fourth value may repeat the one before."""
    values = last * np.exp(-draw.uniform(0.1, 3) * np.arange(1, count + 1) / count)
    values *= 1 + draw.uniform(0, 0.3) * draw.rand(count)
    if draw.rand() < 0.5:
        repeated = np.arange(3, count, 4)
        values[repeated] = values[repeated - 1]
    return values


def _plateau(draw: np.random.RandomState, last: float, count: int, threshold: float) -> Values:
    """Equal values."""
    return np.full(count, last)


def _noisy_plateau(draw: np.random.RandomState, last: float, count: int, threshold: float) -> Values:
    """Values that differ from the last by at most 1%."""
    amplitude = float(10 ** draw.uniform(-6, -2))
    return np.asarray(last * (1 + amplitude * draw.uniform(-1, 1, count)), dtype=np.float64)


def _relative_steps(draw: np.random.RandomState, last: float, count: int, threshold: float) -> Values:
    """A decrease by a fraction of each value, slightly above or below the threshold."""
    remaining: float = 1 - _near(draw, threshold)
    return np.array([last * remaining**step for step in range(1, count + 1)])


def _absolute_steps(draw: np.random.RandomState, last: float, count: int, threshold: float) -> Values:
    """A decrease by equal amounts, slightly above or below the threshold, down to zero."""
    amount = _near(draw, threshold)
    return np.array([max(0.0, last - amount * step) for step in range(1, count + 1)])


def _near(draw: np.random.RandomState, threshold: float) -> float:
    """A number near a threshold, at most 1/2: between 0.2 and 0.98 times it, or between 1.02 and 5 times."""
    factor = draw.uniform(1.02, 1.3) if draw.rand() < 0.6 else draw.uniform(1.3, 5)
    return float(min(0.5, threshold * (factor if draw.rand() < 0.5 else 1 / factor)))


def _jump(draw: np.random.RandomState, last: float, count: int, threshold: float) -> Values:
    """A jump to several times the value, at most 10 for a loss, and a recovery that stays above it."""
    height = min(_MAX_LOSS, (last + 0.01) * draw.uniform(1.2, 5))
    return last + max(0.0, height - last) * np.exp(-draw.uniform(0, 4) * np.arange(count) / count)


_LOSSES: tuple[_Segment, ...] = (
    *(_noisy_decrease,) * 3,
    _plateau,
    _noisy_plateau,
    *(_relative_steps,) * 2,
    _absolute_steps,
    _jump,
)
_ACCURACIES: tuple[_Segment, ...] = (
    *(_noisy_decrease,) * 3,
    _plateau,
    _noisy_plateau,
    _relative_steps,
    *(_absolute_steps,) * 2,
    _jump,
)

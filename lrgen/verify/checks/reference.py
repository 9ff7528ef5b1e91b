"""Comparison of learning rates with a reference: the first difference, its description, and metrics for the traces."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lrgen.records import Metric, Variant

Traces = NDArray[np.float64]


def metrics_of(variant: Variant, count: int) -> list[float]:
    """Values of the metric that drives a schedule, one per step."""
    return accuracies(count) if variant.metric is Metric.ACCURACY else losses(count)


def losses(count: int) -> list[float]:
    """Losses that exercise the branches of a metric-driven schedule.

    A noisy decrease with ties is followed by a plateau, by improvements just above the usual threshold (5e-4 of the
    best), by improvements below it (1e-5), by a jump that recovers without a new best, and by zeros. Every 17th value
    is NaN.
    """
    noise = np.random.RandomState(0).rand(count) * 0.2
    values: list[float] = []
    for index in range(count):
        done = index / count
        if done < 0.3:
            decreasing = 2 * math.exp(-3 * done) + float(noise[index])
            values.append(values[-1] if index % 4 == 3 else decreasing)
        elif done < 0.47:
            values.append(values[-1] if values else 1.0)
        elif done < 0.67:
            values.append(values[-1] * (1 - 5e-4) if values[-1] < 0.5 else 0.4999)
        elif done < 0.8:
            values.append(values[-1] * (1 - 1e-5))
        elif done < 0.95:
            values.append(values[-1] * (1 - 1e-2) if values[-1] > 0.5 else 2.5)
        else:
            values.append(0.0)
    return [math.nan if index % 17 == 9 else value for index, value in enumerate(values)]


def accuracies(count: int) -> list[float]:
    """Accuracies between 0 and 1 that exercise a metric-driven schedule: the losses, negated and rescaled."""
    return [0.9 - 0.3 * loss for loss in losses(count)]


def as_array(rates: list[list[float]], steps: int) -> Traces | None:
    """The learning rates as an array of groups × steps, or None if they have another shape."""
    try:
        traces = np.asarray(rates, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return traces if traces.ndim == 2 and traces.shape[0] >= 1 and traces.shape[1] == steps else None


def first_difference(actual: Traces, expected: Traces, tolerance: float | Traces) -> int | None:
    """The first step at which a group differs by more than its tolerance or is NaN; None if there is none."""
    wrong = np.flatnonzero(np.any(~(np.abs(actual - expected) <= tolerance), axis=0))
    return int(wrong[0]) if len(wrong) else None


def describe(actual: Traces, expected: Traces, at: int, place: str, source: str, details: Sequence[str] = ()) -> str:
    """Describe the largest difference at step ``at`` in a sentence.

    ``the learning rate at step 7 of horizon 10 (parameter group 2) is 0.05, expected 0.1 (A0_132 wsd_linear)``.
    """
    expected = np.broadcast_to(expected, actual.shape)
    group = int(np.argmax(np.nan_to_num(np.abs(actual[:, at] - expected[:, at]), nan=np.inf)))
    details = [*details, *([f"parameter group {group + 1}"] if len(actual) > 1 else [])]
    where = f"{place} ({', '.join(details)})" if details else place
    rate = float(actual[group, at])
    sign = "negative: " if rate < 0 else ""
    return (
        f"the learning rate {where} is {sign}{_number(rate)}, expected {_number(float(expected[group, at]))} ({source})"
    )


def _number(value: float) -> str:
    """A learning rate with six digits; the rounding error of a zero is left out."""
    return f"{round(value, 15):.6g}"


def wrong_depths(variant: Variant, depths: object) -> str:
    """The reason why the depths of the parameter groups are invalid; empty if they are valid."""
    if not isinstance(depths, list) or not all(type(depth) is int for depth in depths):
        return f"the depths of the parameter groups must be integers, got {depths}"
    if not variant.layerwise:
        return ""
    if len(set(depths)) < 2:
        return f"the parameter groups have the depths {depths}, expected one depth per layer ({variant.label})"
    if min(depths) < 0:
        return f"the depth of a parameter group must not be negative, got {min(depths)}"
    missing = set(range(max(depths) + 1)) - set(depths)
    return f"no parameter group has depth {min(missing)}, the maximum is {max(depths)}" if missing else ""

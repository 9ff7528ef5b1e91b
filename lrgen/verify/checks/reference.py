"""What the traces of a file are compared with, and how a difference is told."""

import math

import numpy as np
from numpy.typing import NDArray

from lrgen.records import Metric, Variant

Traces = NDArray[np.float64]


def metrics_of(variant: Variant, count: int) -> list[float]:
    """What a metric-driven schedule is fed with on a dummy parameter, of its own kind."""
    return accuracies(count) if variant.metric is Metric.ACCURACY else losses(count)


def losses(count: int) -> list[float]:
    """A loss to feed a metric-driven schedule with: a noisy fall with ties, then a plateau, then improvements that are
    just large enough to count as such (5e-4 of the best), then some that are not (1e-5), then a jump from which it
    recovers without a new best, at last nothing but zero; and a NaN now and then.
    """
    noise = np.random.RandomState(0).rand(count) * 0.2
    values: list[float] = []
    for index in range(count):
        done = index / count
        if done < 0.3:
            falling = 2 * math.exp(-3 * done) + float(noise[index])
            values.append(values[-1] if index % 4 == 3 else falling)
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
    """An accuracy to feed a metric-driven schedule with: the losses turned over, from 0 to 1."""
    return [0.9 - 0.3 * loss for loss in losses(count)]


def as_array(rates: list[list[float]], steps: int) -> Traces | None:
    """Groups × steps, or None when the trace has another shape."""
    try:
        found = np.asarray(rates, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return found if found.ndim == 2 and found.shape[0] >= 1 and found.shape[1] == steps else None


def first_difference(found: Traces, wanted: Traces, tolerance: float) -> int | None:
    """The first step at which any group is further from the curve than the tolerance; NaN is."""
    wrong = np.flatnonzero(np.any(~(np.abs(found - wanted) <= tolerance), axis=0))
    return int(wrong[0]) if len(wrong) else None


def worst(found: Traces, wanted: Traces, at: int) -> tuple[float, float, str]:
    """The rate that is furthest from the curve at a step, what the curve has there, and of which group it is when
    there are several.
    """
    wanted = np.broadcast_to(wanted, found.shape)
    group = int(np.argmax(np.nan_to_num(np.abs(found[:, at] - wanted[:, at]), nan=np.inf)))
    name = f", parameter group {group + 1}" if len(found) > 1 else ""
    return float(found[group, at]), float(wanted[group, at]), name


def wrong_depths(variant: Variant, depths: object) -> str:
    """Why the depths that a file's parameter groups declare cannot be; empty when they can."""
    if not isinstance(depths, list) or not all(type(depth) is int for depth in depths):
        return "a parameter group's depth is not a whole number"
    if not variant.layerwise:
        return ""
    if len(set(depths)) < 2:
        return f"the optimizer has no parameter groups of different depth, {named(variant)} is layer-wise"
    missing = set(range(max(depths) + 1)) - set(depths)
    return f"no parameter group has depth {min(missing)}" if missing or min(depths) < 0 else ""


def named(variant: Variant) -> str:
    """``A0_001 (StepLR_default)``."""
    return f"{variant.key} ({variant.name})"

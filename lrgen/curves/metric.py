"""Metric-driven schedules, as state machines over the metrics that they are fed with."""

import math
from collections.abc import Sequence

from lrgen.curves import whole_steps


def plateau(metrics: Sequence[float], horizon: int, *, patience: float, factor: float, base_lr: float) -> list[float]:
    """The rate at first and after each metric (torch ``ReduceLROnPlateau``, mode min, threshold 1e-4 relative).

    A metric is better when it is below ``(1 - 1e-4)`` times the best; NaN never is. After more than
    ``max(1, round(patience T))`` metrics in a row that are not better, the rate is multiplied by ``factor`` and the
    count begins again. A change of the rate by no more than 1e-8 is not made.
    """
    allowed = whole_steps(patience, horizon)
    best, bad, rate = math.inf, 0, base_lr
    rates = [rate]
    for metric in metrics:
        if metric < best * (1 - 1e-4):
            best, bad = metric, 0
        else:
            bad += 1
        if bad > allowed:
            bad = 0
            if rate - rate * factor > 1e-8:
                rate *= factor
        rates.append(rate)
    return rates

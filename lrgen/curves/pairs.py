"""Pairs of schedules that trace alike at a horizon.

No two variants have the same curve unless one is declared equivalent to the other. Over a few steps, some pairs
coincide nevertheless: in a training of one step, every schedule has one learning rate. This module lists such pairs,
each with its reason, which lies in the short horizon and not in the schedules.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lrgen import curves
from lrgen.curves import Rates
from lrgen.records import Metric, Unit, Variant

FINE = 5000  # a horizon at which every phase of a curve has steps
DEPTHS = (0, 1, 2, 3, 4)
SAMPLING = "they differ only between the steps that the horizon has"
ROUNDING = "their phases round to the same whole steps"
METRIC = "the metrics of so few steps do not distinguish them"


@dataclass(frozen=True)
class Collapse:
    """Two variants that trace alike at a horizon although neither is declared equivalent to the other."""

    first: Variant
    second: Variant
    horizon: int
    reason: str


def original(variant: Variant) -> int:
    """The number of the variant to which this one is equivalent, else its own number."""
    return variant.equivalent_to or variant.number


def trace(variant: Variant, horizon: int) -> Rates:
    """The multipliers at steps 0 to T - 1 for five depths, as an array of shape (depths, T).

    A metric-driven schedule is given the losses (or accuracies) of five plateaus, each better than the one before.
    """
    if variant.unit is not Unit.METRIC:
        return curves.rates(variant, np.arange(horizon), horizon, depths=DEPTHS)
    losses = 1 / (1 + np.arange(horizon - 1) * 5 // horizon)
    metrics = 1 - losses / 2 if variant.metric is Metric.ACCURACY else losses
    return curves.rates(variant, None, horizon, metrics=metrics.tolist(), depths=DEPTHS)


def distances(variants: Sequence[Variant], horizon: int) -> dict[tuple[int, int], float]:
    """The maximum difference of the multipliers of each pair of variants, by their numbers, without equivalents."""
    traces = {variant.number: trace(variant, horizon) for variant in variants}
    originals = {variant.number: original(variant) for variant in variants}
    return {
        (first, second): float(np.abs(traces[first] - traces[second]).max())
        for first, second in combinations(traces, 2)
        if originals[first] != originals[second]
    }


def collapses(variants: Iterable[Variant], horizon: int, within: float = 1e-9) -> list[Collapse]:
    """The pairs that trace alike at a horizon, each with its reason."""
    distinct = {variant.number: variant for variant in variants if variant.equivalent_to is None}
    alike = [pair for pair, distance in distances(list(distinct.values()), horizon).items() if distance <= within]
    fine = {number: trace(distinct[number], FINE) for number in {number for pair in alike for number in pair}}
    at_steps = np.arange(horizon) * FINE // horizon
    collapsed = []
    for first, second in alike:
        units = {distinct[first].unit, distinct[second].unit}
        distance = float(np.abs(fine[first][:, at_steps] - fine[second][:, at_steps]).max())
        reason = METRIC if Unit.METRIC in units else SAMPLING if distance <= 5 / FINE else ROUNDING
        collapsed.append(Collapse(distinct[first], distinct[second], horizon, reason))
    return collapsed

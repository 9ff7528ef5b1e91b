"""Which schedules trace alike, at which horizons, and why.

No two variants have the same curve unless one declares itself the other's equivalent. Over a few steps some must
coincide all the same: a training of one step has one rate. This module finds such pairs and says which of two reasons
it has, both of which come from the horizon and not from the schedules.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lrgen import curves
from lrgen.curves import Rates
from lrgen.records import Metric, Unit, Variant

FINE = 5000  # steps that show any phase of a curve
DEPTHS = (0, 1, 2, 3, 4)
SAMPLING = "they differ only between the steps that the horizon has"
ROUNDING = "their phases round to the same whole steps"
METRIC = "the metrics of so few steps do not set them apart"


@dataclass(frozen=True)
class Collapse:
    """Two variants that trace alike at a horizon although neither is the other's equivalent."""

    one: Variant
    other: Variant
    horizon: int
    reason: str


def original(variant: Variant) -> int:
    """The number of the variant whose curve this one has."""
    return variant.equivalent_to or variant.number


def trace(variant: Variant, horizon: int) -> Rates:
    """The multipliers of the steps 0 … T - 1 that a training of T steps uses, for five depths: depths × T.

    A metric-driven schedule is fed with five plateaus, each lower than the one before.
    """
    if variant.unit is not Unit.METRIC:
        return curves.rates(variant, np.arange(horizon), horizon, depths=DEPTHS)
    losses = 1 / (1 + np.arange(horizon - 1) * 5 // horizon)
    metrics = 1 - losses / 2 if variant.metric is Metric.ACCURACY else losses
    return curves.rates(variant, None, horizon, metrics=metrics.tolist(), depths=DEPTHS)


def distances(variants: Sequence[Variant], horizon: int) -> dict[tuple[int, int], float]:
    """The largest difference of the multipliers of any two variants, by their numbers, equivalents left out."""
    traces = {variant.number: trace(variant, horizon) for variant in variants}
    originals = {variant.number: original(variant) for variant in variants}
    return {
        (one, other): float(np.abs(traces[one] - traces[other]).max())
        for one, other in combinations(traces, 2)
        if originals[one] != originals[other]
    }


def collapses(variants: Iterable[Variant], horizon: int, within: float = 1e-9) -> list[Collapse]:
    """The pairs that trace alike at a horizon, each with its reason."""
    distinct = {variant.number: variant for variant in variants if variant.equivalent_to is None}
    pairs = [pair for pair, distance in distances(list(distinct.values()), horizon).items() if distance <= within]
    fine = {number: trace(distinct[number], FINE) for number in {number for pair in pairs for number in pair}}
    found = []
    for one, other in pairs:
        units = {distinct[one].unit, distinct[other].unit}
        at = np.arange(horizon) * FINE // horizon
        sampled = float(np.abs(fine[one][:, at] - fine[other][:, at]).max())
        reason = METRIC if Unit.METRIC in units else SAMPLING if sampled <= 5 / FINE else ROUNDING
        found.append(Collapse(distinct[one], distinct[other], horizon, reason))
    return found

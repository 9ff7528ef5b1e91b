"""The schedules of the catalogue that are nearest to an observed curve, with fitted numbers.

Curves are compared up to a factor: a file may begin at any learning rate. The distance is the mean relative difference
of the learning rates. Of schedules that are as near, the one with the fewest changed numbers comes first.
"""

import functools
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lrgen.curves import Rates
from lrgen.curves.nearest import search, words
from lrgen.curves.nearest.events import Events
from lrgen.curves.nearest.search import Fit, Refinement, Samples
from lrgen.curves.nearest.shapes import Sampling, Shape
from lrgen.records import NearestSchedule, Unit, Variant

_SHOWN = 3
_CONSTANT = 1e-7  # difference of learning rates that do not change
# Curves with a list of milestones, and the length of training in which these are.
_WITH_MILESTONES = {"multistep": 1, "warmup_times_multistep": 90}
_REFINED = 5  # shapes that are fitted closely
_SAMPLED = 120  # steps at which long curves are compared first
_UNUSUAL = 0.0015  # what speaks against a schedule that few people use
_NOT_DRIVEN = 0.01  # against a metric-driven schedule where no metric is passed
_DRIVEN = 0.05  # and against any other schedule where one is


@dataclass(frozen=True, eq=False)
class Observed:
    """An observed curve.

    ``rates`` are learning rates of consecutive steps, from the first on; ``horizon`` is the number of steps that the
    caller announced. ``losses`` and ``accuracies`` are what a metric-driven schedule could have received after each
    step but the last; ``driven`` says that it received a metric.
    """

    rates: Rates
    unit: Unit
    horizon: int
    losses: tuple[float, ...] = ()
    accuracies: tuple[float, ...] = ()
    driven: bool = False


class Nearest:
    """The search among variants; what does not depend on the observed curve is computed once."""

    def __init__(self, variants: Iterable[Variant]) -> None:
        self._variants = {variant.number: variant for variant in variants}
        shapes = (Shape.of(variant) for variant in self._variants.values() if variant.equivalent_to is None)
        self._shapes = [shape for shape in shapes if shape is not None]
        self._samples = functools.lru_cache(maxsize=16)(self._sample)
        self._lock = threading.Lock()

    def of(self, observed: Observed) -> tuple[NearestSchedule, ...]:
        """The nearest schedules, the nearest first; none if a learning rate is negative, not finite, or all are 0."""
        rates = np.asarray(observed.rates, dtype=np.float64)
        if not len(rates) or not np.all(np.isfinite(rates)) or rates.min() < 0 or rates.max() <= 0:
            return ()
        relative = replace(observed, rates=rates / rates.max())
        if np.ptp(relative.rates) <= _CONSTANT:
            fits = [Fit(shape, (), observed.horizon, 0.0) for shape in self._shapes if _is_constant(shape)]
        else:
            fits = self._fits(relative)
        return tuple(self._described(fit, observed) for fit in fits[:_SHOWN])

    def _fits(self, observed: Observed) -> list[Fit]:
        whole = Sampling(tuple(range(len(observed.rates))), observed.losses, observed.accuracies)
        events = Events.of(observed.rates, whole.array, observed.horizon)

        def refinement(shape: Shape) -> Refinement:
            return Refinement(shape, observed.rates, whole, observed.horizon, events)

        def ranked(fit: Fit) -> Fit:
            return replace(fit, rank=search.rank(fit, observed.unit, observed.horizon) + _penalty(fit.shape, observed))

        with np.errstate(all="ignore"):
            starts = self._starts(observed, events)
            rough = [ranked(refinement(shape).rough(numbers, steps)) for shape, numbers, steps in starts]
            for own in self._own(observed, events):
                rough.append(ranked(refinement(own).rough(own.defaults, observed.horizon)))
            rough.sort(key=lambda fit: fit.rank)
            fine = [ranked(refinement(fit.shape).fine(fit)) for fit in rough[:_REFINED]]
        best: dict[tuple[str, str], Fit] = {}
        for fit in sorted([*fine, *rough[_REFINED:]], key=lambda fit: (fit.rank, fit.shape.variant.number)):
            best.setdefault((fit.shape.variant.family, fit.shape.variant.curve), fit)
        return list(best.values())

    def _starts(self, observed: Observed, events: Events) -> Iterable[tuple[Shape, list[float], int]]:
        """The shapes to fit, with the numbers and the horizon of their nearest samples."""
        for driven in (False, True) if observed.losses else (False,):
            shapes = [shape for shape in self._shapes if (shape.variant.unit is Unit.METRIC) == driven]
            every = 1 if driven else max(1, len(observed.rates) // _SAMPLED)
            steps = tuple(range(0, len(observed.rates), every))
            sampling = Sampling(steps, observed.losses, observed.accuracies) if driven else Sampling(steps)
            with self._lock:
                samples = self._samples(driven, sampling, observed.horizon)
            penalties = [_penalty(shape, observed) for shape in shapes]
            plans = [
                (index, shape, search.suggested(shape, events, observed.horizon)) for index, shape in enumerate(shapes)
            ]
            others = search.samples_of(plans, sampling)
            for index, numbers, horizon in search.starts(samples, others, observed.rates[::every], penalties):
                yield shapes[index], numbers, horizon

    def _sample(self, driven: bool, sampling: Sampling, horizon: int) -> Samples:
        shapes = [shape for shape in self._shapes if (shape.variant.unit is Unit.METRIC) == driven]
        plans = [(index, shape, search.spread(shape, horizon)) for index, shape in enumerate(shapes)]
        return search.samples_of(plans, sampling)

    def _own(self, observed: Observed, events: Events) -> Iterable[Shape]:
        """Schedules of milestones, with those of the observed curve."""
        for shape in self._shapes if events.drops else ():
            epochs = _WITH_MILESTONES.get(shape.variant.curve)
            if epochs is not None and shape.variant.family in ("constant", "step"):
                yield shape.with_list("milestones", [epochs * drop / observed.horizon for drop in events.drops])

    def _described(self, fit: Fit, observed: Observed) -> NearestSchedule:
        variant = fit.shape.variant
        values: dict[str, Any] = {
            number.name: int(value) if number.whole else float(f"{value:.6g}")
            for number, value in zip(fit.shape.numbers, fit.numbers, strict=True)
            if not number.constant or value != number.default
        }
        values |= {name: [float(f"{entry:.6g}") for entry in entries] for name, entries in fit.shape.lists.items()}
        return NearestSchedule(
            variant=variant.key,
            name=variant.name,
            distance=round(fit.distance, 6),
            hyperparameters=values,
            horizon=fit.horizon,
            words=words.sentence(variant, values | _literals(fit, values), fit.horizon, observed.unit),
            equivalents=self._equivalents(variant),
        )

    def _equivalents(self, variant: Variant) -> tuple[str, ...]:
        """The other variants with the same curve, up to their numbers."""
        same = (variant.family, variant.curve)
        numbers = {other.number for other in self._variants.values() if (other.family, other.curve) == same}
        declared = {other.number for other in self._variants.values() if other.equivalent_to in numbers}
        return tuple(self._variants[number].key for number in sorted((numbers | declared) - {variant.number}))


def _literals(fit: Fit, values: dict[str, Any]) -> dict[str, Any]:
    constants = fit.shape.variant.constants
    return {name: value for name, value in constants.items() if name not in values}


def _is_constant(shape: Shape) -> bool:
    return (shape.variant.family, shape.variant.curve) == ("constant", "constant")


def _penalty(shape: Shape, observed: Observed) -> float:
    driven = shape.variant.unit is Unit.METRIC
    unusual = 0.0 if words.is_common(shape.variant) else _UNUSUAL
    if observed.driven:
        return unusual + (0.0 if driven else _DRIVEN)
    return unusual + (_NOT_DRIVEN if driven else 0.0)

"""The search for the nearest curve: samples of each shape that are computed once, then a refinement of the best."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrgen.curves import Rates
from lrgen.curves.nearest.events import Events
from lrgen.curves.nearest.shapes import Number, Sampling, Shape
from lrgen.records import Unit

FLOOR = 1e-3  # of the highest learning rate: smaller rates count as this when they are compared
_STARTED = 10  # shapes whose numbers are fitted
_SAMPLES = 96  # of a shape at most
_PHASES = (1 / 90, 2 / 90, 3 / 90, 5 / 90, 1 / 15, 0.1, 1 / 9, 1 / 6, 2 / 9, 0.25, 1 / 3, 0.5, 2 / 3, 0.8, 1.0)
_RATIOS = (0.0, 0.01, 0.05, 0.1, 0.3, 0.5, 0.8)
_FACTORS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
_POWERS = (0.3, 0.5, 0.7, 0.9, 1.0, 1.5, 2.0, 3.0, 5.0)
_HORIZONS = (1 / 9, 1 / 3, 1 / 2, 2 / 3, 10 / 9, 1.5, 2.0, 20 / 9, 10 / 3)  # of other horizons than the planned one
_ROUGH_STEPS = (0.1, 0.02)  # of the refinement, as fractions of a range
_STEPS = (0.05, 0.02, 0.01, 0.004, 0.0015, 0.0005)
# What a number adds to a distance when schedules are ranked: the simplest of those that are as near comes first.
_CHANGED, _CHANGED_CONSTANT, _NUMBER, _OTHER_HORIZON, _OTHER_UNIT = 0.002, 0.003, 0.0002, 0.003, 0.001
_QUOTIENTS, _LAST = ("gamma", "factor"), ("decay_rate", "final_lr_ratio")
_EMPTY = 0.004  # a phase without a step, which another schedule does not have
_PATIENCE = 12  # that is tried with each cooldown
_CLOSE = 1e-4  # distances that count as equal


@dataclass(frozen=True, eq=False)
class Fit:
    """A shape with numbers and a horizon, and its distance from the observed curve."""

    shape: Shape
    numbers: tuple[float, ...]
    horizon: int
    distance: float
    rank: float = 0.0


# The index of a shape, its numbers and its horizon.
Start = tuple[int, list[float], int]


def distance(first: Rates, other: Rates) -> float:
    """The mean relative difference of two curves: 0 if they are the same, 1 if they have nothing in common."""
    return float((np.abs(first - other) / np.maximum(np.maximum(first, other), FLOOR)).mean())


@dataclass(frozen=True, eq=False)
class Samples:
    """Curves of shapes at sampled numbers: a row each, with the index of its shape, its numbers and its horizon."""

    curves: NDArray[np.float32]
    shapes: NDArray[np.int64]
    numbers: list[list[float]]
    horizons: list[int]


def samples_of(plans: Iterable[tuple[int, Shape, Iterable[tuple[list[float], int]]]], sampling: Sampling) -> Samples:
    """The curves of shapes, each with its index, at numbers and horizons."""
    rows, owners, taken, horizons = [], [], [], []
    for index, shape, planned in plans:
        for numbers, horizon in planned:
            rates = shape.rates(numbers, sampling, horizon)
            if rates is not None:
                rows.append(rates)
                owners.append(index)
                taken.append(numbers)
                horizons.append(horizon)
    curves = np.array(rows, dtype=np.float32).reshape(len(rows), len(sampling.steps))
    return Samples(curves, np.array(owners, dtype=np.int64), taken, horizons)


def spread(shape: Shape, horizon: int) -> Iterable[tuple[list[float], int]]:
    """Numbers of a shape over their ranges, and the default numbers at other horizons."""
    for numbers in sampled(shape):
        yield numbers, horizon
    if shape.variant.unit is not Unit.METRIC:
        for factor in _HORIZONS:
            yield shape.defaults, max(1, round(factor * horizon))


def sampled(shape: Shape) -> list[list[float]]:
    """Numbers of a shape: the defaults, each number alone at some levels, and pairs of the first two."""
    defaults = shape.defaults
    plans = [defaults]
    for at, number in enumerate(shape.numbers):
        plans += [[*defaults[:at], level, *defaults[at + 1 :]] for level in levels(number)]
    main = [at for at, number in enumerate(shape.numbers) if not number.constant or number.name in ("factor", "power")]
    for first, other in [(first, other) for first in main for other in main if first < other][:3]:
        for level in levels(shape.numbers[first]):
            for beside in levels(shape.numbers[other])[:: 2 if len(main) > 2 else 1]:
                plan = list(defaults)
                plan[first], plan[other] = level, beside
                plans.append(plan)
    every = max(1, -(-len(plans) // _SAMPLES))
    return [defaults, *plans[1::every]]


def levels(number: Number) -> list[float]:
    """Values of a number over its range."""
    name = number.name
    if number.whole:
        return [float(value) for value in range(int(number.low), int(number.high) + 1)]
    if name.endswith("_fraction"):
        raw: Iterable[float] = _PHASES
    elif name.endswith("_ratio"):
        raw = _RATIOS
    elif name in ("gamma", "factor", "ema_decay"):
        raw = _FACTORS
    elif name in ("power", "exponent", "k", "beta"):
        raw = _POWERS
    elif number.logarithmic:
        raw = np.geomspace(number.low, number.high, 5).tolist()
    else:
        raw = np.linspace(number.low, number.high, 6).tolist()
    return sorted({number.clipped(value) for value in raw})


def suggested(shape: Shape, events: Events, horizon: int) -> Iterable[tuple[list[float], int]]:
    """Numbers and horizons of a shape that the events of an observed curve suggest."""
    defaults = shape.defaults
    power, floor, cooldown = (_first(shape, {name}) for name in ("power", "min_lr_ratio", "cooldown_fraction"))
    for other in events.horizons:
        yield defaults, other
        for level in levels(shape.numbers[power]) if power is not None else ():
            yield _with(shape, defaults, {power: level}), other
    factor, count = _first(shape, {*_QUOTIENTS, *_LAST}), _first(shape, {"cycle_factor"})
    phase = next((at for at, number in enumerate(shape.numbers) if number.name.endswith("_fraction")), None)
    if phase is None and factor is None:
        return
    quotients: Sequence[float | None] = events.quotients or (None,)
    if factor is not None and shape.numbers[factor].name in _LAST:
        quotients = (events.ratios[0], *(quotient**horizon for quotient in events.quotients if quotient <= 1))
    metric = shape.variant.unit is Unit.METRIC
    steps: Sequence[int | None] = (0, *events.steps) if phase is not None else (None,)
    if metric:  # one less than between two reductions
        steps = [step - 1 for step in events.steps if step > 1]
    lengths: Sequence[float | None] = levels(shape.numbers[count]) if count is not None else (None,)
    for step, length, quotient in itertools.product(steps, lengths, quotients):
        fraction = None if step is None else step / horizon
        plan = _with(shape, defaults, {phase: fraction, count: length, factor: quotient})
        yield plan, horizon
        if floor is not None:
            yield _with(shape, plan, {floor: events.lowest}), horizon
        if metric and cooldown is not None and step is not None:
            for patience in range(1, min(step, _PATIENCE)):
                yield _with(shape, plan, {phase: patience / horizon, cooldown: (step - patience) / horizon}), horizon


def _first(shape: Shape, names: set[str]) -> int | None:
    """The place of the first number with one of these names."""
    return next((at for at, number in enumerate(shape.numbers) if number.name in names), None)


def _with(shape: Shape, plan: list[float], values: Mapping[int | None, float | None]) -> list[float]:
    """Numbers of which some have other values; places and values that are None are left out."""
    changed = list(plan)
    for at, value in values.items():
        if at is not None and value is not None:
            changed[at] = shape.numbers[at].clipped(value)
    return changed


def starts(samples: Samples, others: Samples, observed: Rates, penalties: Sequence[float]) -> list[Start]:
    """The shapes to fit, the nearest first, each with the numbers and the horizon of its nearest sample."""
    candidates: list[tuple[float, Start]] = []
    for taken in (samples, others):
        seen = observed.astype(np.float32)
        larger = np.maximum(np.maximum(taken.curves, seen), np.float32(FLOOR))
        distances = (np.abs(taken.curves - seen) / larger).mean(axis=1) + np.array(penalties)[taken.shapes]
        for at in np.argsort(distances, kind="stable")[: 8 * _STARTED]:
            candidates.append((float(distances[at]), (int(taken.shapes[at]), taken.numbers[at], taken.horizons[at])))
    best: dict[int, Start] = {}
    for _, start in sorted(candidates, key=lambda item: item[0]):
        best.setdefault(start[0], start)
    return list(best.values())[:_STARTED]


@dataclass(frozen=True, eq=False)
class Refinement:
    """The refinement of one shape towards an observed curve."""

    shape: Shape
    observed: Rates
    sampling: Sampling
    planned: int
    events: Events

    def rough(self, numbers: Sequence[float], horizon: int) -> Fit:
        """Fit the numbers of the shape in a few steps."""
        return self._descended(list(numbers), horizon, _ROUGH_STEPS, suggested=True)

    def fine(self, fit: Fit) -> Fit:
        """Fit the numbers further, then the horizon where that brings the curve nearer."""
        fitted = self._descended(list(fit.numbers), fit.horizon, _STEPS)
        if fitted.distance > _CLOSE and self.shape.variant.unit is not Unit.METRIC:
            fitted = self._other_horizon(fitted)
        return self._simplified(fitted)

    def _distance(self, numbers: Sequence[float], horizon: int) -> float:
        rates = self.shape.rates(numbers, self.sampling, horizon)
        return np.inf if rates is None else distance(rates, self.observed)

    def _descended(self, numbers: list[float], horizon: int, steps: Sequence[float], suggested: bool = False) -> Fit:
        """Change one number after another: to what the events of the observed curve suggest, and by steps."""
        best = self._distance(numbers, horizon)
        if suggested:
            for at, number in enumerate(self.shape.numbers):
                for value in self._suggested(number, horizon):
                    best = self._tried(numbers, at, value, horizon, best)
        for step in steps:
            for _ in range(3):
                before = best
                for at, number in enumerate(self.shape.numbers):
                    for sign in (1, -1):
                        value = _moved(number, numbers[at], sign * step, horizon)
                        best = self._tried(numbers, at, value, horizon, best)
                if best >= before or best < _CLOSE / 10:
                    break
            if best < _CLOSE / 10:
                break
        return Fit(self.shape, tuple(numbers), horizon, best)

    def _tried(self, numbers: list[float], at: int, value: float, horizon: int, best: float) -> float:
        """Change a number if the curve comes nearer; returns the distance."""
        old, value = numbers[at], self.shape.numbers[at].clipped(value)
        if value == old:
            return best
        numbers[at] = value
        now = self._distance(numbers, horizon)
        if now < best:
            return now
        numbers[at] = old
        return best

    def _suggested(self, number: Number, horizon: int) -> Iterable[float]:
        if number.name.endswith("_fraction"):
            less = 1 if self.shape.variant.unit is Unit.METRIC else 0
            return [(step - less) / horizon for step in self.events.steps]
        if number.name.endswith("_ratio") or number.name in ("gamma", "factor", "start_factor"):
            return self.events.ratios
        return levels(number) if number.whole else ()

    def _other_horizon(self, fitted: Fit) -> Fit:
        best = fitted
        near = {*self.events.horizons, fitted.horizon - 1, fitted.horizon + 1} - {fitted.horizon}
        tried = [
            (self._distance(best.numbers, horizon), horizon)
            for horizon in {*near, *(round(factor * self.planned) for factor in _HORIZONS)}
            if horizon >= 1
        ]
        for _, horizon in sorted(tried)[:2]:
            other = self._descended(list(fitted.numbers), horizon, _ROUGH_STEPS, suggested=True)
            if other.distance < best.distance:
                best = other
        for _ in range(4 if best is not fitted else 0):
            others = [
                Fit(self.shape, best.numbers, horizon, self._distance(best.numbers, horizon))
                for step in (1, 3, 8)
                for horizon in (best.horizon - step, best.horizon + step)
                if horizon >= 1
            ]
            nearest = min(others, key=lambda other: other.distance)
            if nearest.distance >= best.distance:
                break
            best = nearest
        return best if best.distance < fitted.distance - _OTHER_HORIZON else fitted

    def _simplified(self, fitted: Fit) -> Fit:
        """The numbers as a person would write them, and the defaults where that makes no difference."""
        numbers, best = list(fitted.numbers), fitted.distance
        for at, number in enumerate(self.shape.numbers):
            old = numbers[at]
            for value in (number.default, *_rounded(number, old, fitted.horizon)):
                if value == old:
                    break
                numbers[at] = number.clipped(value)
                now = self._distance(numbers, fitted.horizon)
                if now <= max(best, fitted.distance) + _CLOSE:
                    break
                numbers[at] = old
        return Fit(self.shape, tuple(numbers), fitted.horizon, self._distance(numbers, fitted.horizon))


def _moved(number: Number, value: float, step: float, horizon: int) -> float:
    sign = 1 if step > 0 else -1
    if number.whole:
        return value + sign
    if number.name.endswith("_fraction") and abs(step) >= _STEPS[3]:  # at least a whole step of the schedule
        return value + sign * max(abs(step), 1 / horizon)
    if number.logarithmic:
        return float(value * (number.high / number.low) ** step)
    return float(value + step * min(1.0, number.high - number.low) * (1 if number.high <= 1.5 else number.high))


def _rounded(number: Number, value: float, horizon: int) -> list[float]:
    """A value with few digits: one, two or three, or a whole number of steps."""
    steps = [round(value * horizon) / horizon] if number.name.endswith("_fraction") else []
    return [*steps, *(float(f"{value:.{digits}g}") for digits in (1, 2, 3))]


def _is_warmup(number: Number) -> bool:
    return number.name.startswith("warmup")


def rank(fit: Fit, unit: Unit, planned: int) -> float:
    """The distance with what speaks against a fit: changed numbers, another horizon, another unit."""
    changed = 0.0
    for number, value in zip(fit.shape.numbers, fit.numbers, strict=True):
        if abs(value - number.default) > 1e-9:
            changed += _CHANGED_CONSTANT if number.constant else _CHANGED
            if number.name.endswith("_fraction") and not _is_warmup(number) and round(value * fit.horizon) == 0:
                changed += _EMPTY
    changed += _CHANGED * sum(1 + len(values) for values in fit.shape.lists.values())
    other_unit = fit.shape.variant.unit not in (unit, Unit.METRIC)
    return (
        fit.distance
        + changed
        + _NUMBER * len(fit.shape.numbers)
        + _OTHER_HORIZON * (fit.horizon != planned)
        + _OTHER_UNIT * other_unit
    )

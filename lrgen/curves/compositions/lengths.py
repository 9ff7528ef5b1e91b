"""Horizons and lengths of phases, as people choose them."""

import itertools
import math
from collections.abc import Mapping
from fractions import Fraction
from random import Random
from types import MappingProxyType
from typing import TypeVar

from lrgen.errors import ParameterError
from lrgen.records import Unit

Value = TypeVar("Value")
Weights = Mapping[Value, float]

TRAINED_HORIZONS: Mapping[Unit, tuple[int, int]] = MappingProxyType({Unit.EPOCH: (10, 600), Unit.BATCH: (200, 200_000)})
"""The minimum and maximum number of steps, in each unit, of compositions that are not drawn ``outside``."""

TRAINED_WARMUP = Fraction(1, 5)
"""The maximum length of a warm-up, as a fraction of a repeat, in compositions that are not drawn ``outside``."""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


# A number that stands here twice is chosen twice as often.
_HORIZONS = {
    Unit.EPOCH: _numbers(
        "10 12 15 20 24 25 30 36 40 45 50 60 70 75 80 90 100 100 110 120 140 150 160 164 180 200 200 210 240 250 270 "
        "280 300 300 320 350 360 400 450 480 500 600"
    ),
    Unit.BATCH: _numbers(
        "200 250 300 400 500 600 750 800 1000 1000 1200 1500 1600 2000 2000 2400 2500 3000 3600 4000 4500 4800 5000 "
        "5000 6000 6400 7500 8000 9000 10000 10000 12000 15000 16000 18000 20000 24000 25000 30000 36000 40000 50000 "
        "60000 64000 80000 90000 100000 120000 150000 160000 180000 200000"
    ),
}
_OUTER_HORIZONS = {
    Unit.EPOCH: _numbers("640 700 720 750 800 900 1000 1200 1500 1600 1800 2000 2400 3000"),
    Unit.BATCH: _numbers("40 50 60 75 80 90 100 120 150 160 180 240000 250000 300000 400000 500000 1000000"),
}

_BATCHES_PER_EPOCH = (98, 118, 196, 235, 313, 391, 469, 500, 625, 782, 938)
"""Of datasets of 50,000, 60,000 and 80,000 images in batches of 64 to 512."""

_COUNTED_IN_BATCHES = 0.12
"""The fraction of schedules by batch that are planned in epochs."""

_ATTEMPTS = 4

_GRIDS: Weights[int] = {20: 45, 10: 25, 100: 14, 12: 5, 6: 2, 3: 2, 8: 4, 16: 3}
_WARMUP_PERCENT: Weights[int] = {1: 6, 2: 9, 3: 9, 4: 5, 5: 20, 6: 5, 7: 2, 8: 6, 10: 24, 12: 3, 15: 6, 20: 5}
_OUTER_WARMUP_PERCENT = (22, 24, 25, 28, 30, 32, 35, 36, 38, 40, 45)
_WARMUPS = {
    Unit.EPOCH: _numbers("1 2 3 4 5 5 6 8 10 10 12 15 16 20 25 30 40 50"),
    Unit.BATCH: _numbers(
        "10 20 25 30 40 50 60 75 80 100 120 150 200 250 300 400 500 600 750 800 1000 1200 1500 1600 2000 2500 3000 "
        "4000 5000 6000 8000 10000 12000 15000 16000 20000 25000"
    ),
}


def pick(chance: Random, weights: Weights[Value]) -> Value:
    """A value, by its weight."""
    return chance.choices(tuple(weights), tuple(weights.values()))[0]


def scaling(
    chance: Random, count: int, unit: Unit, repeats: int, *, warms_up: bool, outside: bool
) -> tuple[tuple[Fraction, ...], int]:
    """The lengths of ``count`` phases as fractions of a repeat, and a horizon in which they are whole steps."""
    while True:
        grid = pick(chance, _GRIDS)
        first = _warmup_fraction(chance, grid, outside) if warms_up else Fraction(0)
        total = math.lcm(grid, first.denominator)
        ends = _ends(chance, total, total // grid, int(first * total), count)
        if ends is None:
            total = math.lcm(total, 100)
            ends = _ends(chance, total, total // 100, int(first * total), count)
        if ends is None:
            raise ParameterError(f"phases must be fewer than the percents that their lengths are drawn in, got {count}")
        step = total // math.gcd(total, *ends) * repeats
        horizons = [horizon for horizon in _horizons(unit, outside) if horizon % step == 0]
        if not horizons:
            horizons = [horizon for factor in range(1, 9) if _is_drawn(horizon := factor * step, unit, outside)]
        if horizons:
            return _lengths(ends, total), chance.choice(horizons)


def fixed(
    chance: Random, count: int, unit: Unit, repeats: int, *, warms_up: bool, outside: bool
) -> tuple[tuple[Fraction, ...], int]:
    """The lengths of ``count`` phases as fractions of a repeat of a round number of steps, and the horizon."""
    if unit is Unit.BATCH and not outside and chance.random() < _COUNTED_IN_BATCHES:
        lengths, epochs = fixed(chance, count, Unit.EPOCH, repeats, warms_up=warms_up, outside=False)
        batches = [number for number in _BATCHES_PER_EPOCH if _is_drawn(epochs * number, unit, outside=False)]
        return lengths, epochs * chance.choice(batches)
    if outside:
        totals = [horizon // repeats for horizon in _OUTER_HORIZONS[unit] if horizon % repeats == 0]
    else:
        totals = [steps for steps in _HORIZONS[unit] if _is_drawn(steps * repeats, unit, outside)]
    totals = [total for total in totals if total > 2 * count]
    while True:
        total = chance.choice(totals)
        first = _warmup_steps(chance, total, unit, outside) if warms_up else 0
        spacings = _spacings(total)
        ends = _ends(chance, total, chance.choice(spacings), first, count) or _ends(chance, total, 1, first, count)
        if ends is not None:
            return _lengths(ends, total), total * repeats


def _is_drawn(horizon: int, unit: Unit, outside: bool) -> bool:
    low, high = TRAINED_HORIZONS[unit]
    return (low <= horizon <= high) != outside and horizon <= max(_OUTER_HORIZONS[unit])


def _horizons(unit: Unit, outside: bool) -> tuple[int, ...]:
    return _OUTER_HORIZONS[unit] if outside else _HORIZONS[unit]


def _warmup_fraction(chance: Random, grid: int, outside: bool) -> Fraction:
    if outside:
        return Fraction(chance.choice(_OUTER_WARMUP_PERCENT), 100)
    if 100 % grid == 0:
        return Fraction(pick(chance, _WARMUP_PERCENT), 100)
    return Fraction(1, chance.choice((10, 12, 20, 30) if grid % 3 == 0 else (8, 10, 16, 20)))


def _warmup_steps(chance: Random, total: int, unit: Unit, outside: bool) -> int:
    if outside:
        return math.ceil(total * chance.choice(_OUTER_WARMUP_PERCENT) / 100)
    steps = [steps for steps in _WARMUPS[unit] if total <= 150 * steps and steps <= total * TRAINED_WARMUP]
    return chance.choice(steps) if steps else 1


def _spacings(total: int) -> list[int]:
    """Round numbers of steps, of which the total is a multiple of 4 to 50."""
    tens = [10**power for power in range(6)]
    round_numbers = [digit * ten for ten in tens for digit in (1, 2, 5)] + [25 * ten for ten in tens] + [4, 8, 15, 30]
    return [number for number in round_numbers if total % number == 0 and 4 <= total // number <= 50] or [1]


def _ends(chance: Random, total: int, spacing: int, first: int, count: int) -> list[int] | None:
    """The ends of the phases: that of the warm-up if there is one, multiples of the spacing, and the total.

    A phase after the warm-up has a twentieth of the total, if that is possible; None if there are too few multiples.
    """
    begin = [first] if first else []
    missing = count - len(begin) - 1
    least = max(1, total // 20)
    points = range(-(-(first + least) // spacing) * spacing, total - least + 1, spacing)
    points = points if len(points) >= 2 * missing else range((first // spacing + 1) * spacing, total, spacing)
    if len(points) < missing:
        return None
    for _ in range(_ATTEMPTS):
        ends = [*begin, *sorted(chance.sample(points, missing)), total]
        if all(after - before >= least for before, after in itertools.pairwise(ends)):
            break
    return ends


def _lengths(ends: list[int], total: int) -> tuple[Fraction, ...]:
    return tuple(Fraction(end - begin, total) for begin, end in itertools.pairwise((0, *ends)))

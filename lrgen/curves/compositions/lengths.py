"""Horizons and lengths of phases, as people choose them."""

import math
from collections.abc import Mapping
from fractions import Fraction
from random import Random
from types import MappingProxyType
from typing import TypeVar

from lrgen.curves.compositions.phases import ONE
from lrgen.errors import ParameterError
from lrgen.records import Unit

Value = TypeVar("Value")
Point = TypeVar("Point", int, Fraction)
Weights = Mapping[Value, float]

TRAINED_HORIZONS: Mapping[Unit, tuple[int, int]] = MappingProxyType({Unit.EPOCH: (10, 600), Unit.BATCH: (200, 200_000)})
"""The least and the greatest number of steps, in each unit, of compositions that are not drawn ``outside``."""

TRAINED_WARMUP = Fraction(1, 5)
"""The greatest length of a warm-up, as a fraction of a repeat, in compositions that are not drawn ``outside``."""


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
    first: list[Fraction] = []
    while True:
        grid = pick(chance, _GRIDS)
        if warms_up and count > 1:
            first = [_warmup_fraction(chance, grid, outside)]
        points = [Fraction(point, grid) for point in range(1, grid)]
        ends = _ends(chance, points, first, count, Fraction(1, 20), ONE)
        if ends is None:
            ends = _ends(chance, [Fraction(point, 100) for point in range(1, 100)], first, count, Fraction(1, 100), ONE)
        if ends is None:
            raise ParameterError(f"phases must be fewer than the percents that their lengths are drawn in, got {count}")
        step = math.lcm(*(end.denominator for end in ends)) * repeats
        horizons = [horizon for horizon in _horizons(unit, outside) if horizon % step == 0]
        if not horizons:
            horizons = [horizon for factor in range(1, 9) if _is_drawn(horizon := factor * step, unit, outside)]
        if horizons:
            return _differences(ends), chance.choice(horizons)


def fixed(
    chance: Random, count: int, unit: Unit, repeats: int, *, warms_up: bool, outside: bool
) -> tuple[tuple[Fraction, ...], int]:
    """The lengths of ``count`` phases as fractions of a repeat of a round number of steps, and the horizon."""
    if unit is Unit.BATCH and not outside and chance.random() < 0.12:
        # Epochs, counted in batches.
        batches = chance.choice(_BATCHES_PER_EPOCH)
        while True:
            lengths, epochs = fixed(chance, count, Unit.EPOCH, repeats, warms_up=warms_up, outside=False)
            if epochs * batches <= TRAINED_HORIZONS[unit][1]:
                return lengths, epochs * batches
            batches = min(batches, _BATCHES_PER_EPOCH[chance.randrange(4)])
    if outside:
        totals = [horizon // repeats for horizon in _OUTER_HORIZONS[unit] if horizon % repeats == 0]
    else:
        totals = [steps for steps in _HORIZONS[unit] if _is_drawn(steps * repeats, unit, outside)]
    while True:
        total = chance.choice(totals)
        first: list[int] = []
        if warms_up and count > 1:
            first = [_warmup_steps(chance, total, unit, outside)]
        for spacing in chance.sample(_spacings(total), len(_spacings(total))):
            ends = _ends(chance, list(range(spacing, total, spacing)), first, count, max(1, total // 20), total)
            if ends is not None:
                return _differences([Fraction(end, total) for end in ends]), total * repeats
        if count >= total // 2:
            totals = [steps for steps in totals if steps > 2 * count]
            if not totals:
                raise ParameterError(f"phases must be fewer than the steps of a horizon, got {count}")


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


def _ends(
    chance: Random, points: list[Point], first: list[Point], count: int, least: Point, total: Point
) -> list[Point] | None:
    """The ends of the phases: ``first``, then points of a grid at least ``least`` after it, then the total."""
    begin: Point = first[0] if first else total - total
    missing: int = count - len(first) - 1
    later: list[Point] = [point for point in points if point >= begin + least]
    if len(later) < missing:
        later = [point for point in points if point > begin]
    return None if len(later) < missing else first + sorted(chance.sample(later, missing)) + [total]


def _differences(ends: list[Fraction]) -> tuple[Fraction, ...]:
    return tuple(Fraction(end - before) for before, end in zip([Fraction(0), *ends], ends, strict=False))

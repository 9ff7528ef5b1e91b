"""Compositions drawn at random, with phases, levels and lengths as engineers choose them."""

import functools
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from random import Random

from lrgen.curves.compositions import lengths
from lrgen.curves.compositions.composition import Composition
from lrgen.curves.compositions.lengths import Weights, pick
from lrgen.curves.compositions.phases import ONE, Phase, Shape, hold, linear, stages, triangular
from lrgen.errors import ParameterError
from lrgen.records import Unit

MAX_PHASES = 20
"""The maximum number of phases that can be asked for."""

TRAINED_LEVELS = (Fraction(1, 10_000), ONE)
"""The minimum level above zero and the maximum level of compositions that are not drawn ``outside``."""

_LOWEST = Fraction(1, 500)
"""The level below which a schedule goes up again, or stays."""

_LEAST_CYCLES = 8
"""Steps of a phase with cycles."""


def _fractions(weights: Mapping[str, float]) -> Weights[Fraction]:
    return {Fraction(value): weight for value, weight in weights.items()}


_COUNTS: Weights[int] = {1: 5, 2: 26, 3: 33, 4: 20, 5: 10, 6: 6}
_WARMUP_STARTS = _fractions(
    {
        "0": 50,
        "0.1": 12,
        "0.01": 10,
        "0.001": 6,
        "1/3": 5,
        "0.2": 4,
        "0.25": 4,
        "0.05": 4,
        "0.5": 2,
        "0.02": 2,
        "0.04": 1,
    }
)
_FINALS = _fractions(
    {"0": 46, "0.01": 14, "0.1": 12, "0.05": 6, "0.001": 6, "0.02": 4, "0.2": 3, "0.005": 2, "0.03": 2, "0.0001": 1}
)
_MIDDLES = _fractions(
    {"0.5": 16, "0.1": 16, "0.3": 10, "0.2": 10, "0.25": 7, "0.4": 6, "0.6": 5, "0.7": 4, "0.8": 5, "0.75": 3, "0.9": 2}
    | {"0.15": 3, "0.05": 5, "0.35": 1, "0.01": 4, "0.02": 2, "0.03": 2, "0.08": 1, "0.04": 1, "0": 2}
)
_RESTARTS = _fractions({"1": 22, "0.5": 20, "0.3": 8, "0.2": 8, "0.8": 6, "0.1": 6, "0.25": 5, "0.6": 4, "0.4": 4})
_POWERS = _fractions({"2": 50, "3": 12, "0.5": 10, "0.9": 10, "1.5": 8, "4": 4, "1.2": 2, "2.5": 2})
_DECAYS = _fractions(
    {"0.1": 26, "0.5": 24, "0.2": 12, "0.3": 8, "0.8": 6, "0.9": 6, "0.7": 5, "0.75": 4, "0.25": 4, "0.6": 3}
)
_CYCLE_DECAYS = _fractions({"1": 45, "0.5": 15, "0.8": 9, "0.9": 7, "0.7": 7, "0.75": 6, "0.6": 3})
_REPEATS: Weights[int] = {1: 84, 2: 6, 3: 5, 4: 3, 5: 2}
_REPEAT_DECAYS = _fractions({"1": 50, "0.5": 18, "0.8": 8, "0.7": 6, "0.9": 6, "0.75": 5, "0.6": 3})
_OUTER_PEAKS = _fractions({"1.25": 1, "1.5": 2, "1.6": 1, "2": 2, "2.5": 2, "3": 2, "4": 2, "5": 2, "8": 1})
_LOWS = _fractions({"0.1": 8, "0.01": 4, "0.2": 4, "0": 2, "0.25": 2, "0.05": 2, "0.001": 1})
_OTHER_GROUPS = _fractions({"0.1": 30, "0.01": 6, "0.5": 12, "0.2": 10, "0.25": 5, "2": 10, "5": 5, "10": 12})
_GROUP_DECAYS = _fractions({"0.1": 14, "0.5": 24, "0.75": 10, "0.8": 14, "0.9": 12, "0.65": 6, "0.3": 5})
_BASE_RATES = {
    Unit.EPOCH: _fractions(
        {"0.1": 20, "0.05": 10, "0.2": 6, "0.4": 4, "0.01": 12, "0.02": 5, "0.025": 4, "0.001": 16, "3e-4": 6, "0.5": 3}
        | {"5e-4": 5, "2e-3": 3, "1e-4": 5, "0.8": 2, "0.03": 2}
    ),
    Unit.BATCH: _fractions(
        {
            "1e-3": 16,
            "3e-4": 14,
            "6e-4": 8,
            "1e-4": 8,
            "5e-5": 10,
            "2e-5": 8,
            "3e-5": 5,
            "2e-4": 5,
            "5e-4": 5,
            "4e-4": 3,
        }
        | {"0.1": 7, "0.01": 5, "0.05": 3, "0.02": 2, "1e-5": 3, "2e-3": 2, "1.5e-4": 2}
    ),
}

_WARMUPS: Weights[Shape] = {
    Shape.LINEAR: 72,
    Shape.COSINE: 11,
    Shape.EXPONENTIAL: 7,
    Shape.POLYNOMIAL: 6,
    Shape.HOLD: 4,
}
_MAINS: Weights[Shape] = {
    Shape.HOLD: 20,
    Shape.COSINE: 19,
    Shape.LINEAR: 15,
    Shape.POLYNOMIAL: 9,
    Shape.EXPONENTIAL: 10,
    Shape.ONE_MINUS_SQRT: 5,
    Shape.INVERSE_SQRT: 8,
    Shape.STEPS: 10,
    Shape.SAWTOOTH: 4,
    Shape.COSINE_CYCLES: 6,
}
_LASTS: Weights[Shape] = {
    Shape.LINEAR: 25,
    Shape.COSINE: 22,
    Shape.ONE_MINUS_SQRT: 16,
    Shape.POLYNOMIAL: 10,
    Shape.HOLD: 10,
    Shape.EXPONENTIAL: 8,
    Shape.STEPS: 5,
    Shape.INVERSE_SQRT: 4,
}


def draw(chance: Random, *, phases: int | None = None, unit: Unit | None = None, outside: bool = False) -> Composition:
    """A composition in normal form.

    Args:
        chance: determines it.
        phases: their number; drawn from 1 to 6 by default.
        unit: drawn by default.
        outside: whether its numbers lie outside of those of all other compositions: its horizon outside of
            ``lengths.TRAINED_HORIZONS``, its warm-up above ``lengths.TRAINED_WARMUP``, its maximum level above that of
            ``TRAINED_LEVELS``.

    Raises:
        ParameterError: when there can be no composition of so many phases.
    """
    if phases is not None and not 1 <= phases <= MAX_PHASES:
        raise ParameterError(f"phases must lie in [1, {MAX_PHASES}], got {phases}")
    while True:
        count = pick(chance, _COUNTS) if phases is None else phases
        composition = _composition(chance, count, unit or chance.choice((Unit.EPOCH, Unit.BATCH)), outside).normal
        shapes = [phase.shape for phase in composition.phases]
        if len(shapes) == count and shapes != [Shape.HOLD]:
            return composition


def _composition(chance: Random, count: int, unit: Unit, outside: bool) -> Composition:
    repeats = pick(chance, _REPEATS)
    warms_up = count > 1 and chance.random() < 0.78
    is_fixed = chance.random() < 0.34
    draw_lengths = lengths.fixed if is_fixed else lengths.scaling
    fractions, horizon = draw_lengths(chance, count, unit, repeats, warms_up=warms_up, outside=outside)
    steps = [int(fraction * horizon / repeats) for fraction in fractions]
    phases = _phases(chance, fractions, steps, warms_up)
    if outside:
        peak = pick(chance, _OUTER_PEAKS) / max(max(phase.start, phase.end, _peak(phase)) for phase in phases)
        phases = [_scaled(phase, peak) for phase in phases]
    return Composition(
        phases=tuple(phases),
        unit=unit,
        horizon=horizon,
        fixed=is_fixed,
        repeats=repeats,
        repeat_decay=pick(chance, _REPEAT_DECAYS) if repeats > 1 else ONE,
        groups=_groups(chance),
        base_lr=pick(chance, _BASE_RATES[unit]),
    )


def _peak(phase: Phase) -> Fraction:
    return phase.peak if phase.shape is Shape.TRIANGULAR else phase.start


def _scaled(phase: Phase, factor: Fraction) -> Phase:
    """The phase with its levels multiplied by a factor."""
    peak = phase.peak * factor if phase.shape is Shape.TRIANGULAR else ONE
    return replace(phase, start=phase.start * factor, end=phase.end * factor, peak=peak)


def _phases(chance: Random, fractions: tuple[Fraction, ...], steps: list[int], warms_up: bool) -> list[Phase]:
    phases: list[Phase] = []
    for length, count in zip(fractions, steps, strict=True):
        is_last = len(phases) == len(fractions) - 1
        if not phases:
            phase = _warmup(chance, length) if warms_up else _first(chance, length, count, is_last)
        elif len(phases) == 1 and warms_up:
            phase = _decay(chance, ONE, length, count, is_last)
        else:
            phase = _next(chance, phases[-1], length, count, is_last)
        phases.append(phase)
    return phases


def _warmup(chance: Random, length: Fraction) -> Phase:
    shape = pick(chance, _WARMUPS)
    start = pick(chance, _WARMUP_STARTS)
    if shape in (Shape.HOLD, Shape.EXPONENTIAL) and start == 0:
        start = Fraction(1, 10)
    if shape is Shape.HOLD:
        return hold(start, length)
    return Phase(shape, length, start, ONE, power=Fraction(2) if shape is Shape.POLYNOMIAL else ONE)


def _first(chance: Random, length: Fraction, steps: int, is_last: bool) -> Phase:
    """The first phase of a composition without warm-up."""
    if steps >= _LEAST_CYCLES and chance.random() < 0.12:
        return _triangular(chance, pick(chance, _LOWS), ONE, length, steps)
    return _decay(chance, ONE, length, steps, is_last)


def _next(chance: Random, before: Phase, length: Fraction, steps: int, is_last: bool) -> Phase:
    """The phase after another: from its end, or with a jump."""
    level = before.end
    if level <= _LOWEST or not _is_round(level) or chance.random() < 0.16:
        start = pick(chance, _RESTARTS)
        if level < start and _is_round(level) and not is_last and chance.random() < 0.5:
            return _rise(chance, level, start, length)
        return _decay(chance, start / 2 if start == level else start, length, steps, is_last)
    if level <= Fraction(3, 10):
        peak = pick(chance, _RESTARTS)
        if steps >= _LEAST_CYCLES and peak > level and chance.random() < 0.16:
            return _triangular(chance, level, peak, length, steps)
        if level <= Fraction(1, 20) and peak > level and not is_last and chance.random() < 0.3:
            return _rise(chance, level, peak, length)
    return _decay(chance, level, length, steps, is_last, may_hold=before.shape is not Shape.HOLD)


def _rise(chance: Random, level: Fraction, peak: Fraction, length: Fraction) -> Phase:
    if chance.random() < 0.75:
        return linear(level, peak, length)
    return Phase(Shape.EXPONENTIAL if level > 0 and chance.random() < 0.3 else Shape.COSINE, length, level, peak)


def _triangular(chance: Random, low: Fraction, peak: Fraction, length: Fraction, steps: int) -> Phase:
    return triangular(low, peak, _count(chance, steps, 8), length, pick(chance, _CYCLE_DECAYS))


def _decay(
    chance: Random, start: Fraction, length: Fraction, steps: int, is_last: bool, *, may_hold: bool = True
) -> Phase:
    """A phase that decreases from ``start``, at once or in cycles, or holds it."""
    shape = pick(chance, _LASTS if is_last and chance.random() < 0.7 else _MAINS)
    if (shape is Shape.HOLD and may_hold) or start <= _LOWEST:
        return hold(start, length)
    if shape is Shape.STEPS:
        count, decay = _stages(chance, start, steps)
        return stages(start, decay, count, length)
    ends = _ends_below(start, is_last, shape)
    if shape is Shape.HOLD or not ends or (shape.is_cyclic and steps < _LEAST_CYCLES):
        return linear(start, start / 2, length)
    end = pick(chance, ends)
    if shape.is_cyclic:
        return Phase(shape, length, start, end, _count(chance, steps, 6), decay=pick(chance, _CYCLE_DECAYS))
    return Phase(shape, length, start, end, power=pick(chance, _POWERS) if shape is Shape.POLYNOMIAL else ONE)


@functools.lru_cache(maxsize=1024)
def _ends_below(start: Fraction, is_last: bool, shape: Shape) -> Weights[Fraction]:
    """The levels that a phase can approach from ``start``."""
    ends = {end: weight for end, weight in (_FINALS if is_last else _MIDDLES).items() if end <= start * Fraction(4, 5)}
    if shape is Shape.EXPONENTIAL:
        return {end: weight for end, weight in ends.items() if end > 0}
    if shape is Shape.INVERSE_SQRT:
        return {end: weight for end, weight in ends.items() if end * 50 >= start}
    return ends


def _stages(chance: Random, start: Fraction, steps: int) -> tuple[int, Fraction]:
    """The number of stages, and the factor from one to the next."""
    decay = pick(chance, _DECAYS)
    most = 2
    while most < 8 and start * decay**most >= TRAINED_LEVELS[0]:
        most += 1
    return _count(chance, steps, most), decay


def _count(chance: Random, steps: int, most: int) -> int:
    """A number of stages or cycles, from 2; mostly one that divides the steps."""
    counts = [count for count in range(2, most + 1) if count * 3 <= steps] or [2]
    whole = [count for count in counts if steps % count == 0]
    return chance.choice(whole if whole and chance.random() < 0.9 else counts)


def _is_round(level: Fraction) -> bool:
    """Whether somebody would write it as a level to go on from."""
    return 1000 % level.denominator == 0


def _groups(chance: Random) -> tuple[Fraction, ...]:
    if chance.random() < 0.76:
        return (ONE,)
    if chance.random() < 0.7:
        other = pick(chance, _OTHER_GROUPS)
        return (other, ONE) if chance.random() < 0.5 else (ONE, other)
    decay = pick(chance, _GROUP_DECAYS)
    count = chance.choice((3, 3, 4)) if decay > Fraction(1, 10) else 3
    return tuple(decay**power for power in reversed(range(count)))

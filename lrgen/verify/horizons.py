"""Horizons at which the code of a composition is compared with its curve.

A scaling composition is drawn at horizons at which every phase has a whole number of steps, also where a person writes
``int(0.3 * total_steps)``: how an end between two steps is rounded is a matter of taste.
"""

import itertools
import math
import random

from lrgen.curves.compositions import Composition

COUNT = 2  # of a scaling composition
_TRIED = 100  # multiples, of which nearly always one of the first is fair
SHORT = 240
"""Steps."""

_LONG = 4000  # steps, about the longest


def drawn(
    composition: Composition, chance: random.Random, count: int = COUNT, shortest_up_to: int = SHORT
) -> list[int]:
    """Return some horizons, the shortest first, most of them short; the only one of a fixed composition.

    One is at most ``shortest_up_to`` steps, if so few can be.
    """
    if composition.fixed:
        return [composition.horizon]
    unit = whole(composition)
    multiples = range(unit, _TRIED * unit, unit)
    shortest = next((multiple for multiple in multiples if is_fair(composition, multiple)), unit)
    horizons = [shortest * chance.randint(1, max(1, shortest_up_to // shortest))]
    while len(horizons) < count:
        horizons.append(shortest * round(max(1.0, _LONG / shortest) ** chance.random()))
    fair = [horizon if is_fair(composition, horizon) else shortest for horizon in horizons]
    return sorted(fair)


def whole(composition: Composition) -> int:
    """Return the smallest horizon of whose multiples every phase has a whole number of steps."""
    return composition.repeats * math.lcm(*(phase.length.denominator for phase in composition.phases))


def is_fair(composition: Composition, horizon: int) -> bool:
    """Return whether fractions of the horizon are whole numbers of steps, also when they are cut off as floats."""
    length = horizon // composition.repeats
    total = 0.0
    for phase in composition.phases:
        total += float(phase.length)
        own = phase.length * length
        if own.denominator != 1 or int(float(phase.length) * length) != own:
            return False
    ends = itertools.accumulate(phase.length for phase in composition.phases)
    return all(int(float(end) * length) == end * length for end in ends)

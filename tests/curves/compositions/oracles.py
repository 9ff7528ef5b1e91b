"""Drawn compositions, compared with the schedules of other libraries that can express them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

import numpy as np

from lrgen.curves.compositions import Composition, Shape, draw

FEW, MANY = 100, 10_000
TOLERANCE = 1e-9


class NotExpressible(Exception):
    """The library has no schedule for this phase."""


@dataclass
class Comparison:
    """How many compositions a library could express, and the largest difference from it."""

    expressed: int
    difference: float


def drawn(count: int) -> list[Composition]:
    """Compositions, a tenth of them with numbers outside of the usual ranges."""
    return [draw(Random(f"oracle {number}"), outside=number % 10 == 9) for number in range(count)]


def compare(count: int, rates: Callable[[Composition, np.ndarray], np.ndarray], *, longest: int) -> Comparison:
    """Compare up to ``longest`` steps of each composition with ``rates(composition, steps)`` (groups, steps).

    Differences are relative to the base learning rate.
    """
    comparison = Comparison(0, 0.0)
    for composition in drawn(count):
        shortened = short(composition, longest)
        steps = np.arange(shortened.horizon + 8)
        try:
            expected = rates(shortened, steps)
        except NotExpressible:
            continue
        comparison.expressed += 1
        difference = np.max(np.abs(shortened.rates(steps) - expected)) / float(shortened.base_lr)
        assert difference <= TOLERANCE, shortened.to_json()
        comparison.difference = max(comparison.difference, difference)
    return comparison


def short(composition: Composition, longest: int) -> Composition:
    """The composition in a horizon of at most ``longest`` steps if there is one in which all boundaries are whole.

    The boundaries of stages and half cycles are whole too if there is such a horizon.
    """
    if composition.horizon <= longest:
        return composition
    ends = [sum(phase.length for phase in composition.phases[: end + 1]) for end in range(len(composition.phases))]
    least = math.lcm(*(Fraction(end).denominator for end in ends)) * composition.repeats
    parts = [
        (phase.length / (phase.count * (2 if phase.shape is Shape.TRIANGULAR else 1))).denominator
        for phase in composition.phases
    ]
    finest = math.lcm(least, math.lcm(*parts) * composition.repeats)
    step = finest if finest <= longest else least
    return replace(composition, horizon=step * max(1, longest // step), fixed=False)


def halves(phase, steps: int) -> int:
    """The steps of half a cycle, in a phase of ``steps`` steps."""
    length = Fraction(steps, 2 * phase.count)
    if length.denominator != 1:
        raise NotExpressible(f"half a cycle of {length} steps")
    return int(length)


def cycle(phase, steps: int) -> int:
    """The steps of a cycle or stage, in a phase of ``steps`` steps."""
    length = Fraction(steps, phase.count)
    if length.denominator != 1:
        raise NotExpressible(f"a cycle of {length} steps")
    return int(length)

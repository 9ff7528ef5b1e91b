"""Runs of the code of a composition: the learning rates at a few steps, as a person logs them, or a traceback."""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from lrgen.curves.compositions import Composition
from lrgen.curves.compositions.phases import Rates
from lrgen.realisations import Call, Interface, Style
from lrgen.verify import generated, horizons
from lrgen.verify.generated import Raised

_SHORT, _LONG = 20, 300  # steps of a run, of which a longer one jumps from step to step
_SHORT_LOOP, _LONGEST_LOOP = 10, 40
_MOST = 14  # steps of a log
_PAST = 3  # steps past the end
_SAID = "the learning rate changes within"  # what a person would say of the form of code, too
_VISIBLE = 1e-3  # of the greatest learning rate: what a person sees in a log


@dataclass(frozen=True)
class Conditions:
    """The conditions of a run; ``jumps`` if its steps are not taken one by one."""

    horizon: int
    base_lr: float
    steps: tuple[int, ...]
    expected: Rates
    jumps: bool = False


@dataclass(frozen=True)
class Run:
    """A run: its learning rates (groups × steps), or else the text of what it raised.

    ``is_shown`` if a person sees in it where the code is wrong: what it raised stands in the code.
    """

    conditions: Conditions
    rates: Rates | None
    raised: str = ""
    is_shown: bool = True

    @property
    def differs(self) -> bool:
        """Whether a person sees that the schedule is wrong."""
        if self.rates is None:
            return True
        expected = self.conditions.expected
        if self.rates.shape != expected.shape or not np.all(np.isfinite(self.rates)):
            return True
        return bool(np.max(np.abs(self.rates - expected)) > _VISIBLE * np.max(expected))

    @property
    def first_difference(self) -> tuple[int, int] | None:
        """The group and the index of the first step with another learning rate; None without one."""
        if self.rates is None or self.rates.shape != self.conditions.expected.shape:
            return None
        apart = np.abs(self.rates - self.conditions.expected) > _VISIBLE * np.max(self.conditions.expected)
        steps, groups = np.nonzero(apart.T)
        return (int(groups[0]), int(steps[0])) if steps.size else None


def conditions(composition: Composition, style: Style, interface: Interface) -> Conditions | None:
    """Return the conditions of a short run; None if the code can only be run for long."""
    is_loop = interface.call is Call.LOOP
    shortest = _SHORT_LOOP if is_loop else _SHORT
    horizon = composition.horizon if composition.fixed else _horizon(composition, shortest)
    jumps = interface.call in (Call.SCHEDULER, Call.LIGHTNING) and horizon > _LONG
    if (is_loop and horizon > _LONGEST_LOOP) or (jumps and style is Style.SEQUENTIAL):
        return None
    steps = _steps(composition, horizon, ends=is_loop)
    lr = float(composition.base_lr)
    return Conditions(horizon, lr, steps, composition.rates(steps, horizon, lr), jumps)


def _horizon(composition: Composition, shortest: int) -> int:
    """The smallest horizon at which each phase has some whole steps."""
    unit = horizons.whole(composition)
    multiples = [unit * count for count in range(max(1, math.ceil(shortest * composition.repeats / unit)), 200)]
    return next((horizon for horizon in multiples if horizons.is_fair(composition, horizon)), multiples[0])


def _steps(composition: Composition, horizon: int, *, ends: bool) -> tuple[int, ...]:
    """The steps that a person would log: the first ones, those around the bounds, in the middle, past the end."""
    bounds = composition.bounds(horizon)
    middles = [(before + after) // 2 for before, after in itertools.pairwise(bounds)]
    near = [bound + offset for bound in bounds[1:-1] for offset in (-1, 0, 1)]
    chosen = {0, 1, horizon - 1, *middles, *near}
    if composition.repeats > 1:
        chosen |= {bounds[-1] - 1, bounds[-1], bounds[-1] + middles[-1]}
    if not ends:
        chosen |= {horizon, horizon + _PAST}
    kept = sorted(step for step in chosen if 0 <= step < horizon or not ends)
    while len(kept) > _MOST:
        kept.remove(kept[len(kept) // 2] if len(kept) % 2 else kept[len(kept) // 3])
    return tuple(kept)


def run(text: str, composition: Composition, interface: Interface, given: Conditions) -> Run:
    """Execute code."""
    try:
        rates = generated.rates(
            text,
            interface,
            composition,
            horizon=given.horizon,
            steps=given.steps,
            base_lr=given.base_lr,
            jumps=given.jumps,
        )
    except Raised as error:
        if error.wrong_form:
            said = f"{error.text[:1].upper()}{error.text[1:]}."
            return Run(given, None, said, is_shown=error.text.startswith(_SAID))
        return Run(given, None, error.text, is_shown=generated.PATH in error.text)
    return Run(given, rates)

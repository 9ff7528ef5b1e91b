"""Settings in which the code of a composition is asked about: horizon, base learning rate, parameter group, steps."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from lrgen.curves.compositions import Composition
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.instructions.realised.calls import Setting
from lrgen.realisations import Call, Realisation, Style
from lrgen.verify import horizons

RATES = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.002, 0.001, 5e-4, 3e-4, 1e-4)
"""Base learning rates."""

DIGITS = 6
"""The significant digits of an answer."""

_SLOW = {Style.LOOP: 0.2}  # weights of styles whose code takes long to execute

_OWN_RATE = 0.3  # of the settings have the composition's own base learning rate
_PAST_END = 0.06  # of the steps are past the end
_AT_BOUND = 0.2  # of the steps are the first or the last of a phase
_ZERO = 1e-12  # of the base learning rate: rounding errors of zero


def key_of(realised: RealisedComposition, turn: int = 1) -> str:
    """Return the key of an example of a composition."""
    return f"{realised.number}/{turn}"


def style_of(styles: Sequence[Style], chance: random.Random) -> Style:
    """Return a style for code that is written and executed."""
    return chance.choices(styles, [_SLOW.get(style, 1.0) for style in styles])[0]


def drawn(realised: RealisedComposition, realisation: Realisation, chance: random.Random) -> Setting:
    """Return a setting, in which every phase has a whole number of steps."""
    composition = realised.composition
    horizon = composition.horizon
    if realisation.interface.takes_horizon:
        horizon = chance.choice(horizons.drawn(composition, chance))
    lr = float(composition.base_lr)
    if realisation.interface.takes_lr and chance.random() >= _OWN_RATE:
        lr = chance.choice(RATES)
    return Setting(realisation, composition, horizon, lr, chance.randrange(len(composition.groups)))


def step_of(setting: Setting, chance: random.Random) -> int:
    """Return a step: of each phase as often, now and then at its ends or past the last one."""
    composition, horizon = setting.composition, setting.horizon
    bounds = composition.bounds(horizon)
    length = bounds[-1]
    if chance.random() < _PAST_END and setting.interface.call is not Call.LOOP:
        return length * composition.repeats + chance.randint(0, max(2, length // 5))
    at = chance.randrange(len(composition.phases))
    begin, end = bounds[at], bounds[at + 1]
    within = chance.choice((begin, end - 1)) if chance.random() < _AT_BOUND else chance.randrange(begin, end)
    return chance.randrange(composition.repeats) * length + within


def steps_of(setting: Setting, chance: random.Random, count: int) -> list[int]:
    """Return at most ``count`` different steps, in order."""
    return sorted({step_of(setting, chance) for _ in range(count)})


def curve(setting: Setting, steps: list[int]) -> list[float]:
    """Return the learning rates of the curve at some steps."""
    rates: list[float] = setting.composition.rates(steps, setting.horizon, setting.lr)[setting.group].tolist()
    return rates


def digits(rate: float, lr: float) -> str:
    """Return a learning rate as answers state it; ``lr`` is the base learning rate."""
    return f"{rate if abs(rate) > _ZERO * lr else 0:.{DIGITS}g}"


def rates_of(composition: Composition, evidence: Mapping[str, Any]) -> list[float]:
    """Return the learning rates of the curve at the steps in the evidence of a row."""
    rates = composition.rates(evidence["steps"], evidence["horizon"], evidence["lr"])
    of_group: list[float] = rates[evidence["group"]].tolist()
    return of_group

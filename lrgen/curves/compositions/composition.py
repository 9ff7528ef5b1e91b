"""A composition: phases in sequence, with an optional restart and a multiplier for each parameter group.

A composition is a learning-rate schedule that stands in no catalogue. Its curve is computed here from its phases, by
formulas that share no code with any of its realisations. Two compositions with the same normal form are the same
schedule, and have the same id.
"""

import functools
import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from lrgen.curves.compositions.phases import ONE, Phase, Rates, Shape, hold
from lrgen.errors import ParameterError
from lrgen.records import Unit

MAX_HORIZON = 10_000_000
"""Steps."""

_ID_DIGITS = 12


@dataclass(frozen=True)
class Composition:
    """A schedule of phases.

    Attributes:
        phases: their lengths sum to 1.
        unit: ``epoch`` or ``batch``: what a step is.
        horizon: the planned number of steps. With ``fixed`` it is the only one: the lengths are numbers of steps.
            Without it, it is an example, and the lengths are fractions of any horizon.
        repeats: the number of times that the phases are played, each in ``horizon // repeats`` steps.
        repeat_decay: the factor from one repeat to the next.
        groups: the multiplier of each parameter group.
        base_lr: the base learning rate; no part of the normal form.

    Raises:
        ParameterError: when the lengths do not sum to 1, or there are more phases than steps.
    """

    phases: tuple[Phase, ...]
    unit: Unit
    horizon: int
    fixed: bool = False
    repeats: int = 1
    repeat_decay: Fraction = ONE
    groups: tuple[Fraction, ...] = (ONE,)
    base_lr: Fraction = Fraction(1, 10)

    def __post_init__(self) -> None:
        if self.unit is Unit.METRIC:
            raise ParameterError("unit of a composition must be epoch or batch, got metric")
        if sum(phase.length for phase in self.phases) != 1:
            lengths = ", ".join(str(phase.length) for phase in self.phases)
            raise ParameterError(f"lengths of the phases must sum to 1, got {lengths}")
        if self.repeats < 1 or self.repeat_decay <= 0 or not self.groups or min(self.groups) < 0 or self.base_lr <= 0:
            raise ParameterError(
                "repeats, repeat_decay and base_lr must be positive and groups not negative, got "
                f"{self.repeats}, {self.repeat_decay}, {self.base_lr} and {', '.join(map(str, self.groups))}"
            )
        self.bounds(self.horizon)
        last = [end * self.horizon / self.repeats for end in self.ends]
        if self.fixed and (self.horizon % self.repeats or any(end.denominator != 1 for end in last)):
            raise ParameterError(f"phases of a fixed composition must have whole steps, got ends {last}")

    @functools.cached_property
    def ends(self) -> tuple[Fraction, ...]:
        """The fraction of a repeat at which each phase ends."""
        ends, total = [], Fraction(0)
        for phase in self.phases:
            total += phase.length
            ends.append(total)
        return tuple(ends)

    def bounds(self, horizon: int) -> tuple[int, ...]:
        """The first step of each phase within a repeat, and the number of steps of a repeat.

        An end that is no whole number of steps is rounded half to even.

        Raises:
            ParameterError: when the horizon is out of range, not that of a fixed composition, or has fewer steps than
                there are phases.
        """
        if not 1 <= horizon <= MAX_HORIZON:
            raise ParameterError(f"horizon must lie in [1, {MAX_HORIZON}], got {horizon}")
        if self.fixed and horizon != self.horizon:
            raise ParameterError(f"horizon of this composition must be {self.horizon}, got {horizon}")
        length = horizon // self.repeats
        bounds = (0, *(round(end * length) for end in self.ends))
        if any(after <= before for before, after in itertools.pairwise(bounds)):
            count = len(self.phases) * self.repeats
            raise ParameterError(f"horizon must give each of {count} phases a step, got {horizon}")
        return bounds

    def multipliers(self, steps: ArrayLike, horizon: int | None = None) -> Rates:
        """The multiplier of the base learning rate at each step, before that of the parameter group.

        Args:
            steps: step numbers of any shape, from 0; past the horizon the last level is held.
            horizon: the planned number of steps; that of the composition by default.

        Returns:
            An array of the shape of ``steps``.

        Raises:
            ParameterError: as ``bounds``, and when a step is below 0.
        """
        horizon = self.horizon if horizon is None else horizon
        bounds = self.bounds(horizon)
        t = np.asarray(steps, dtype=np.int64)
        if np.any(t < 0):
            raise ParameterError(f"steps must be at least 0, got {np.min(t)}")
        length = bounds[-1]
        repeat, within = np.divmod(t, length)
        over = t >= length * self.repeats
        values = np.full(t.shape, float(self.phases[-1].end))
        for phase, begin, end in zip(self.phases, bounds, bounds[1:], strict=False):
            inside = ~over & (within >= begin) & (within < end)
            values[inside] = phase.multipliers(within[inside] - begin, end - begin)
        return values * float(self.repeat_decay) ** np.minimum(repeat, self.repeats - 1)

    def rates(self, steps: ArrayLike, horizon: int | None = None, base_lr: float | None = None) -> Rates:
        """The learning rate of each parameter group at each step (groups, *steps).

        Raises:
            ParameterError: as ``multipliers``.
        """
        lr = float(self.base_lr) if base_lr is None else base_lr
        multipliers = self.multipliers(steps, horizon)
        return np.stack([lr * float(group) * multipliers for group in self.groups])

    @property
    def normal(self) -> Self:
        """The composition in normal form: equal schedules have equal phases."""
        phases: list[Phase] = []
        for phase in map(_normal_phase, self.phases):
            last = phases[-1] if phases else None
            if last is not None and (joined := _joined(last, phase)) is not None:
                phases[-1] = joined
            else:
                phases.append(phase)
        return replace(self, phases=tuple(phases), repeat_decay=self.repeat_decay if self.repeats > 1 else ONE)

    def to_json(self) -> dict[str, Any]:
        """The composition as JSON values; numbers are exact, as texts of fractions."""
        return {
            "phases": [_phase_to_json(phase) for phase in self.phases],
            "unit": self.unit.value,
            "horizon": self.horizon,
            "fixed": self.fixed,
            "repeats": self.repeats,
            "repeat_decay": str(self.repeat_decay),
            "groups": [str(group) for group in self.groups],
            "base_lr": str(self.base_lr),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The composition of ``to_json``.

        Raises:
            ParameterError: when the values are not those of a composition.
        """
        try:
            return cls(
                phases=tuple(_phase_from_json(phase) for phase in values["phases"]),
                unit=Unit(values["unit"]),
                horizon=int(values["horizon"]),
                fixed=bool(values["fixed"]),
                repeats=int(values["repeats"]),
                repeat_decay=Fraction(values["repeat_decay"]),
                groups=tuple(map(Fraction, values["groups"])),
                base_lr=Fraction(values["base_lr"]),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ParameterError(f"not a composition: {error}") from error

    @functools.cached_property
    def id(self) -> str:
        """The id: the first twelve hexadecimal digits of the sha256 of the normal form."""
        form = self.normal.to_json()
        del form["base_lr"]
        if not self.fixed:
            del form["horizon"]
        return hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()[:_ID_DIGITS]

    @functools.cached_property
    def structure(self) -> tuple[str, ...]:
        """The kinds of the phases of the normal form, without their numbers."""
        return tuple(phase.kind for phase in self.normal.phases)


def _normal_phase(phase: Phase) -> Phase:
    """A phase in the simplest shape with the same values, without numbers that its shape does not use."""
    shape = phase.shape
    if phase.start == (phase.peak if shape is Shape.TRIANGULAR else phase.end):
        return hold(phase.start, phase.length)
    if shape is Shape.POLYNOMIAL and phase.power == 1:
        shape = Shape.LINEAR
    if phase.count == 1 and shape in (Shape.SAWTOOTH, Shape.COSINE_CYCLES):
        shape = Shape.LINEAR if shape is Shape.SAWTOOTH else Shape.COSINE
    counted = shape.is_cyclic or shape is Shape.STEPS
    return Phase(
        shape,
        phase.length,
        phase.start,
        phase.end,
        phase.count if counted else 1,
        phase.power if shape is Shape.POLYNOMIAL else ONE,
        phase.decay if counted and phase.count > 1 else ONE,
        phase.peak if shape is Shape.TRIANGULAR else ONE,
    )


def _joined(first: Phase, second: Phase) -> Phase | None:
    """Two phases as one of the same values, where they are constant at one level, or on one straight line."""
    length = first.length + second.length
    if first.shape is second.shape is Shape.HOLD and first.start == second.start:
        return hold(first.start, length)
    if first.shape is second.shape is Shape.LINEAR and first.end == second.start:
        slopes = [(phase.end - phase.start) / phase.length for phase in (first, second)]
        if slopes[0] == slopes[1]:
            return Phase(Shape.LINEAR, length, first.start, second.end)
    return None


_DEFAULTS: dict[str, Any] = {"count": 1, "power": "1", "decay": "1", "peak": "1"}


def _phase_to_json(phase: Phase) -> dict[str, Any]:
    values = {
        "shape": phase.shape.value,
        "length": str(phase.length),
        "start": str(phase.start),
        "end": str(phase.end),
        "count": phase.count,
        "power": str(phase.power),
        "decay": str(phase.decay),
        "peak": str(phase.peak),
    }
    return {name: value for name, value in values.items() if _DEFAULTS.get(name) != value}


def _phase_from_json(values: Mapping[str, Any]) -> Phase:
    values = _DEFAULTS | dict(values)
    numbers = {name: Fraction(values[name]) for name in ("length", "start", "end", "power", "decay", "peak")}
    return Phase(shape=Shape(values["shape"]), count=int(values["count"]), **numbers)

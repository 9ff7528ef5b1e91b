"""The phases of a composition: the multiplier of the base learning rate within each, as a function of its progress.

A phase has ``n`` steps, numbered ``u`` = 0 … n - 1. Its progress is p = u / n: it begins exactly at ``start`` and
approaches ``end``, which the next phase begins at, or jumps from. Stages and cycles are counted in whole numbers, so no
rounding decides which one a step is in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lrgen.errors import ParameterError

Rates = NDArray[np.float64]
Steps = NDArray[np.int64]

ONE = Fraction(1)


class Shape(StrEnum):
    """The course of the learning rate in a phase.

    With progress p from 0 to 1, levels a (``start``) and b (``end``), x the progress within a cycle and c its number::

        hold            a
        linear          a + (b - a) p
        cosine          b + (a - b) (1 + cos(pi p)) / 2
        polynomial      b + (a - b) (1 - p)^power
        exponential     a (b / a)^p
        one_minus_sqrt  b + (a - b) (1 - sqrt(p))
        inverse_sqrt    a / sqrt(1 + ((a / b)^2 - 1) p)
        steps           a decay^floor(count p)
        triangular      a + (peak - a) (1 - |2 x - 1|) decay^c
        sawtooth        b + (a - b) (1 - x) decay^c
        cosine_cycles   b + (a - b) (1 + cos(pi x)) / 2 decay^c
    """

    HOLD = "hold"
    LINEAR = "linear"
    COSINE = "cosine"
    POLYNOMIAL = "polynomial"
    EXPONENTIAL = "exponential"
    ONE_MINUS_SQRT = "one_minus_sqrt"
    INVERSE_SQRT = "inverse_sqrt"
    STEPS = "steps"
    TRIANGULAR = "triangular"
    SAWTOOTH = "sawtooth"
    COSINE_CYCLES = "cosine_cycles"

    @property
    def is_cyclic(self) -> bool:
        """Whether the phase has cycles, of which ``count`` is the number and ``decay`` the factor."""
        return self in (Shape.TRIANGULAR, Shape.SAWTOOTH, Shape.COSINE_CYCLES)


@dataclass(frozen=True)
class Phase:
    """A part of a composition.

    Attributes:
        length: the fraction of the horizon (or of a repeat) that it takes, above 0.
        start: the multiplier of the base learning rate at its first step.
        end: the multiplier that it approaches. That of ``hold`` and ``triangular`` is ``start``, that of ``steps`` the
            multiplier of its last stage.
        count: the number of stages (``steps``) or cycles.
        power: the exponent of ``polynomial``.
        decay: the factor from one stage (``steps``) or cycle to the next.
        peak: the multiplier in the middle of a cycle (``triangular``).

    Raises:
        ParameterError: when a number is out of range for the shape.
    """

    shape: Shape
    length: Fraction
    start: Fraction
    end: Fraction
    count: int = 1
    power: Fraction = ONE
    decay: Fraction = ONE
    peak: Fraction = ONE

    def __post_init__(self) -> None:
        numbers = (self.start, self.end, self.peak)
        if not 0 < self.length <= 1:
            raise ParameterError(f"length of {self.shape} must lie in (0, 1], got {self.length}")
        if min(numbers) < 0:
            raise ParameterError(f"levels of {self.shape} must be at least 0, got {', '.join(map(str, numbers))}")
        if self.count < 1 or self.power <= 0 or self.decay <= 0:
            raise ParameterError(
                f"count, power and decay of {self.shape} must be positive, "
                f"got {self.count}, {self.power} and {self.decay}"
            )
        if self.shape in (Shape.EXPONENTIAL, Shape.INVERSE_SQRT) and min(self.start, self.end) == 0:
            raise ParameterError(f"levels of {self.shape} must be above 0, got {self.start} and {self.end}")
        if self.shape is Shape.INVERSE_SQRT and self.end >= self.start:
            raise ParameterError(f"{self.shape} must decrease, got {self.start} to {self.end}")
        if self.end != self.own_end:
            raise ParameterError(f"end of {self.shape} must be {self.own_end}, got {self.end}")

    @property
    def own_end(self) -> Fraction:
        """The end that follows from the other numbers; ``end`` itself where it is free."""
        if self.shape in (Shape.HOLD, Shape.TRIANGULAR):
            return self.start
        return self.start * self.decay ** (self.count - 1) if self.shape is Shape.STEPS else self.end

    @property
    def rises(self) -> bool:
        """Whether it ends above its start."""
        return self.end > self.start

    @property
    def kind(self) -> str:
        """The shape, and ``up`` where it rises: phases of one kind read alike in code."""
        return f"{self.shape}_up" if self.rises else self.shape.value

    def multipliers(self, u: Steps, n: int) -> Rates:
        """The multipliers at steps u of n, of the shape of ``u``; each u lies in 0 … n - 1."""
        return _FORMULAS[self.shape](self, u, n)


def hold(level: Fraction, length: Fraction) -> Phase:
    """A phase with a constant learning rate."""
    return Phase(Shape.HOLD, length, level, level)


def linear(start: Fraction, end: Fraction, length: Fraction) -> Phase:
    """A phase on a straight line."""
    return Phase(Shape.LINEAR, length, start, end)


def stages(start: Fraction, decay: Fraction, count: int, length: Fraction) -> Phase:
    """A phase of ``count`` constant stages of equal length, each ``decay`` times the one before."""
    return Phase(Shape.STEPS, length, start, start * decay ** (count - 1), count, decay=decay)


def triangular(low: Fraction, peak: Fraction, count: int, length: Fraction, decay: Fraction = ONE) -> Phase:
    """A phase of cycles from ``low`` linearly to ``peak`` and back."""
    return Phase(Shape.TRIANGULAR, length, low, low, count, decay=decay, peak=peak)


def _between(phase: Phase, weight: Rates) -> Rates:
    """The level between the ends: ``start`` at weight 1, ``end`` at weight 0."""
    a, b = float(phase.start), float(phase.end)
    return b + (a - b) * weight


def _half_cosine(progress: Rates) -> Rates:
    weight: Rates = (1 + np.cos(np.pi * progress)) / 2
    return weight


def _cycles(phase: Phase, u: Steps, n: int) -> tuple[Rates, Rates]:
    """The progress within the cycle, and the factor of the cycle."""
    cycle, rest = np.divmod(u * phase.count, n)
    return rest / n, float(phase.decay) ** cycle.astype(np.float64)


def _hold(phase: Phase, u: Steps, n: int) -> Rates:
    return np.full(u.shape, float(phase.start))


def _linear(phase: Phase, u: Steps, n: int) -> Rates:
    return _between(phase, 1 - u / n)


def _cosine(phase: Phase, u: Steps, n: int) -> Rates:
    return _between(phase, _half_cosine(u / n))


def _polynomial(phase: Phase, u: Steps, n: int) -> Rates:
    return _between(phase, (1 - u / n) ** float(phase.power))


def _exponential(phase: Phase, u: Steps, n: int) -> Rates:
    return float(phase.start) * float(phase.end / phase.start) ** (u / n)


def _one_minus_sqrt(phase: Phase, u: Steps, n: int) -> Rates:
    root: Rates = np.sqrt(u / n)
    return _between(phase, 1 - root)


def _inverse_sqrt(phase: Phase, u: Steps, n: int) -> Rates:
    growth = float((phase.start / phase.end) ** 2 - 1)
    root: Rates = np.sqrt(1 + growth * (u / n))
    return float(phase.start) / root


def _steps(phase: Phase, u: Steps, n: int) -> Rates:
    stage = u * phase.count // n
    return float(phase.start) * float(phase.decay) ** stage.astype(np.float64)


def _triangular(phase: Phase, u: Steps, n: int) -> Rates:
    x, factor = _cycles(phase, u, n)
    low = float(phase.start)
    return low + (float(phase.peak) - low) * (1 - np.abs(2 * x - 1)) * factor


def _sawtooth(phase: Phase, u: Steps, n: int) -> Rates:
    x, factor = _cycles(phase, u, n)
    return _between(phase, (1 - x) * factor)


def _cosine_cycles(phase: Phase, u: Steps, n: int) -> Rates:
    x, factor = _cycles(phase, u, n)
    return _between(phase, _half_cosine(x) * factor)


_FORMULAS: dict[Shape, Callable[[Phase, Steps, int], Rates]] = {
    Shape.HOLD: _hold,
    Shape.LINEAR: _linear,
    Shape.COSINE: _cosine,
    Shape.POLYNOMIAL: _polynomial,
    Shape.EXPONENTIAL: _exponential,
    Shape.ONE_MINUS_SQRT: _one_minus_sqrt,
    Shape.INVERSE_SQRT: _inverse_sqrt,
    Shape.STEPS: _steps,
    Shape.TRIANGULAR: _triangular,
    Shape.SAWTOOTH: _sawtooth,
    Shape.COSINE_CYCLES: _cosine_cycles,
}

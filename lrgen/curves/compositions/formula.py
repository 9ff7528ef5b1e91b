"""Compositions as formulas: cases of the step, in a notation that is also Python's.

With ``t`` the step and ``T`` the number of steps, ``cos``, ``sqrt``, ``floor`` and ``pi`` as in ``math``, a formula can
be evaluated as it is read.
"""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from lrgen.curves.compositions.composition import Composition
from lrgen.curves.compositions.phases import Phase, Shape

_MAX_DECIMALS = 10
_WIDTH = 100


@dataclass(frozen=True)
class Formula:
    """The multiplier of the base learning rate as a function of the step ``t``.

    Attributes:
        definitions: what stands in the cases beside ``t`` and ``T``, as (name, expression), each after those that it
            needs: with repeats, their length ``R``, the number ``k`` of the present one, and the step ``s`` within it.
        factor: the factor of the present repeat, ``"1"`` where there is none.
        cases: (condition, expression), of which the first condition that is met counts. The last one takes in all steps
            past the horizon.
    """

    definitions: tuple[tuple[str, str], ...]
    factor: str
    cases: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """The formula on lines of at most 100 characters, the conditions aligned if there is space for them."""
        lines = [f"{name} = {expression}" for name, expression in self.definitions]
        head = "m(t) = "
        if self.factor != "1":
            lines.append(f"m(t) = {self.factor} * f(s)")
            head = "f(s) = "
        width = max(len(expression) for _, expression in self.cases)
        aligned = len(head) + width + max(len(condition) for condition, _ in self.cases) + 7 <= _WIDTH
        for index, (condition, expression) in enumerate(self.cases):
            begin = head if index == 0 else " " * len(head)
            if aligned:
                lines.append(f"{begin}{expression:<{width}}   for {condition}")
            else:
                further = " " * (len(head) + 4)
                lines += textwrap.wrap(expression, _WIDTH, initial_indent=begin, subsequent_indent=further)
                lines.append(f"{further}for {condition}")
        return "\n".join(lines)


def number(value: Fraction) -> str:
    """A number as text: decimal where that is exact and short, else a quotient."""
    if value.denominator == 1:
        return str(value.numerator)
    if (value * 10**_MAX_DECIMALS).denominator != 1:
        return f"{value.numerator} / {value.denominator}"
    return f"{float(value):.{_MAX_DECIMALS}f}".rstrip("0")


def formula(composition: Composition) -> Formula:
    """The formula of a composition: with its own numbers of steps when it is fixed, in terms of ``T`` otherwise.

    Where a boundary in terms of ``T`` is no whole number, it is rounded; the formula does not say so.
    """
    repeats = composition.repeats
    whole = Fraction(composition.horizon, repeats) if composition.fixed else None
    step, horizon = ("s", "R") if repeats > 1 else ("t", "T")
    definitions: tuple[tuple[str, str], ...] = ()
    if repeats > 1:
        length = number(whole) if whole else f"T / {repeats}"
        definitions = (
            ("R", length),
            ("k", f"min(floor(t / R), {repeats - 1})"),
            ("s", "t - k * R"),
        )
    factor = "1" if repeats == 1 or composition.repeat_decay == 1 else f"{_factor(composition.repeat_decay)} ** k"
    cases: list[tuple[str, str]] = []
    begin = Fraction(0)
    for phase in composition.phases:
        end = begin + phase.length
        progress = _progress(step, begin, phase.length, whole, horizon)
        condition = f"{step} < {_steps(end, whole, horizon)}"
        if begin:
            condition = f"{_steps(begin, whole, horizon)} <= {condition}"
        cases.append((condition, _EXPRESSIONS[phase.shape](phase, progress)))
        begin = end
    last = composition.phases[-1]
    if last.shape is Shape.HOLD:
        cases[-1] = (f"{step} >= {_steps(1 - last.length, whole, horizon)}", cases[-1][1])
    else:
        cases.append((f"{step} >= {_steps(Fraction(1), whole, horizon)}", number(last.end)))
    return Formula(definitions, factor, tuple(cases))


def _steps(fraction: Fraction, whole: Fraction | None, horizon: str) -> str:
    """A fraction of a repeat in steps: a number of them, or a term of the horizon."""
    if whole is not None:
        return number(fraction * whole)
    if fraction == 0:
        return "0"
    if (fraction * 100).denominator == 1:
        return horizon if fraction == 1 else f"{number(fraction)} * {horizon}"
    numerator = "" if fraction.numerator == 1 else f"{fraction.numerator} * "
    return f"{numerator}{horizon} / {fraction.denominator}"


def _progress(step: str, begin: Fraction, length: Fraction, whole: Fraction | None, horizon: str) -> str:
    """The progress within a phase, from 0 to 1."""
    first = _steps(begin, whole, horizon)
    passed = step if begin == 0 else f"({step} - {first})"
    total = _steps(length, whole, horizon)
    return f"{passed} / {total}" if total.isalnum() else f"{passed} / ({total})"


def _factor(value: Fraction) -> str:
    """A number as a factor or base of a term."""
    text = number(value)
    return f"({text})" if "/" in text else text


def _times(value: Fraction, term: str) -> str:
    """``value * term``, without a factor of 1."""
    return term if value == 1 else f"{_factor(value)} * {term}"


def _plus(level: Fraction, difference: Fraction, term: str) -> str:
    """``level + difference * term``, without what is 0."""
    if level == 0:
        return _times(difference, term)
    sign = "+" if difference > 0 else "-"
    return f"{number(level)} {sign} {_times(abs(difference), term)}"


def _hold(phase: Phase, progress: str) -> str:
    return number(phase.start)


def _linear(phase: Phase, progress: str) -> str:
    if phase.end == 0 and phase.start != 1:
        return _times(phase.start, f"(1 - {progress})")
    return _plus(phase.start, phase.end - phase.start, progress)


def _cosine(phase: Phase, progress: str) -> str:
    sign = "-" if phase.rises else "+"
    low = min(phase.start, phase.end)
    return _plus(low, abs(phase.end - phase.start), f"(1 {sign} cos(pi * {progress})) / 2")


def _polynomial(phase: Phase, progress: str) -> str:
    return _plus(phase.end, phase.start - phase.end, f"(1 - {progress}) ** {_factor(phase.power)}")


def _exponential(phase: Phase, progress: str) -> str:
    return _times(phase.start, f"{_factor(phase.end / phase.start)} ** ({progress})")


def _one_minus_sqrt(phase: Phase, progress: str) -> str:
    if phase.rises:
        return _plus(phase.start, phase.end - phase.start, f"sqrt({progress})")
    return _plus(phase.end, phase.start - phase.end, f"(1 - sqrt({progress}))")


def _inverse_sqrt(phase: Phase, progress: str) -> str:
    growth = (phase.start / phase.end) ** 2 - 1
    return f"{number(phase.start)} / sqrt(1 + {_times(growth, progress)})"


def _stages(phase: Phase, progress: str) -> str:
    return _times(phase.start, f"{_factor(phase.decay)} ** floor({phase.count} * {progress})")


def _in_cycle(phase: Phase, progress: str) -> tuple[str, str]:
    """The progress within a cycle, and the factor of the cycle with its sign of multiplication."""
    position = _times(Fraction(phase.count), progress)
    decays = phase.decay != 1 and phase.count > 1
    return f"({position}) % 1", f" * {_factor(phase.decay)} ** floor({position})" if decays else ""


def _triangular(phase: Phase, progress: str) -> str:
    x, factor = _in_cycle(phase, progress)
    return _plus(phase.start, phase.peak - phase.start, f"(1 - abs(2 * ({x}) - 1)){factor}")


def _sawtooth(phase: Phase, progress: str) -> str:
    x, factor = _in_cycle(phase, progress)
    return _plus(phase.end, phase.start - phase.end, f"(1 - {x}){factor}")


def _cosine_cycles(phase: Phase, progress: str) -> str:
    x, factor = _in_cycle(phase, progress)
    return _plus(phase.end, phase.start - phase.end, f"(1 + cos(pi * ({x}))) / 2{factor}")


_EXPRESSIONS: dict[Shape, Callable[[Phase, str], str]] = {
    Shape.HOLD: _hold,
    Shape.LINEAR: _linear,
    Shape.COSINE: _cosine,
    Shape.POLYNOMIAL: _polynomial,
    Shape.EXPONENTIAL: _exponential,
    Shape.ONE_MINUS_SQRT: _one_minus_sqrt,
    Shape.INVERSE_SQRT: _inverse_sqrt,
    Shape.STEPS: _stages,
    Shape.TRIANGULAR: _triangular,
    Shape.SAWTOOTH: _sawtooth,
    Shape.COSINE_CYCLES: _cosine_cycles,
}

"""What a writer decides about a composition before writing a line: names, numbers, and the ends of phases."""

import functools
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from lrgen.curves.compositions import Composition, Phase, Shape
from lrgen.curves.compositions.composition import MAX_HORIZON
from lrgen.realisations import naming
from lrgen.realisations.choices import Choices
from lrgen.realisations.expressions import Expr, Numbers, div, mul, name, sub
from lrgen.realisations.formulas import Piece, Writer, piece_of

WIDTH = 88
"""Black's line length."""


@functools.lru_cache(maxsize=4096)
def rounds_alike(fraction: Fraction) -> bool:
    """Whether ``round(float(fraction) * n)`` is right for every horizon, the halves among them."""
    if fraction.denominator % 2:
        return True
    n = np.arange(fraction.denominator // 2, MAX_HORIZON + 1, fraction.denominator)
    return bool(np.array_equal(float(fraction) * n, fraction.numerator * n / fraction.denominator))


@dataclass
class Draft:
    """Decisions about one realisation.

    Attributes:
        composition: in the order of its own phases.
        phases: its phases, with levels times the base learning rate where the code has absolute levels.
        step, total, noun: the names of the step and the horizon, and the noun of other names ("steps").
        takes_total: whether the code takes the horizon; else it is a number.
        prefix: ``self.`` where ends are attributes.
    """

    composition: Composition
    choices: Choices
    phases: tuple[Phase, ...]
    step: str
    total: str
    noun: str
    takes_total: bool
    numbers: Numbers
    prefix: str = ""
    labels: tuple[str, ...] = ()
    end_names: tuple[str, ...] = ()
    constants: dict[str, str] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether the lengths are written as numbers of steps."""
        return not self.takes_total

    @functools.cached_property
    def bounds(self) -> tuple[int, ...]:
        """The ends of phases in steps of the composition's own horizon."""
        return self.composition.bounds(self.composition.horizon)

    @functools.cached_property
    def writer(self) -> Writer:
        choices = self.choices
        taken = {self.step, self.total}
        progress = [p for p in ("progress", "progress", "p", "frac", "t", "x", "pct", "s") if p not in taken]
        position = [x for x in ("x", "pos", "within", "phase", "frac") if x not in taken]
        chosen = choices.pick("name.progress", progress)
        return Writer(
            choices=choices,
            numbers=self.numbers,
            level=self.numbers.level,
            progress=chosen,
            cycle=choices.pick("name.cycle", ("cycle", "cycle", "k", "n_cycle")),
            position=choices.pick("name.position", [x for x in position if x != chosen]),
            stage=choices.pick("name.stage", ("stage", "stage", "drops", "k", "level")),
        )

    @property
    def length(self) -> Expr:
        """The number of steps of a repeat."""
        if self.is_whole:
            return self.numbers.integer(self.bounds[-1])
        return name(self.prefix + (self.total if self.composition.repeats == 1 else f"cycle_{self.noun}"))

    @functools.cached_property
    def ends(self) -> tuple[Expr, ...]:
        """The end of each phase within a repeat."""
        if self.is_whole and not self.names_ends:
            return tuple(map(self.numbers.integer, self.bounds[1:]))
        return (*(name(self.prefix + end) for end in self.end_names), self.length)

    @functools.cached_property
    def names_ends(self) -> bool:
        """Whether the ends of a fixed composition have names."""
        return self.takes_total or self.choices.odds("ends.named", 0.6)

    def begin(self, i: int) -> Expr | None:
        """The begin of a phase; None for the first."""
        return self.ends[i - 1] if i else None

    def since(self, i: int, step: Expr) -> Expr:
        """The steps since the begin of a phase."""
        begin = self.begin(i)
        return step if begin is None else sub(step, begin)

    def span(self, i: int) -> Expr:
        """The number of steps of a phase."""
        begin = self.begin(i)
        if begin is None:
            return self.ends[i]
        if self.is_whole and not self.names_ends:
            return self.numbers.integer(self.bounds[i + 1] - self.bounds[i])
        return sub(self.ends[i], begin)

    def piece(self, i: int, step: Expr) -> Piece:
        """A phase in code."""
        return piece_of(self.writer, self.phases[i], self.since(i, step), self.span(i), f"phase.{self.phases[i].kind}")

    def fraction_of(self, fraction: Fraction, length: Expr, key: str) -> Expr:
        """``round(fraction * length)``, exact at every horizon."""
        real = self.numbers.real(fraction)
        form = self.choices.pick("fraction", ("first", "first", "last", "over"))
        if not rounds_alike(fraction) or not real.is_simple or form == "over":
            top, bottom = Expr(str(fraction.numerator)), self.numbers.integer(fraction.denominator)
            if form == "last":
                return Expr(f"round({div(mul(length, top), bottom).text})")
            return Expr(f"round({div(mul(top, length), bottom).text})")
        product = mul(length, real) if form == "last" else mul(real, length)
        return Expr(f"round({product.text})")

    @property
    def setup(self) -> list[str]:
        """Statements that compute the ends of phases from the horizon."""
        lines: list[str] = []
        if self.is_whole:
            if self.names_ends:
                lines += [
                    f"{self.prefix}{end} = {self.numbers.integer(bound).text}"
                    for end, bound in zip(self.end_names, self.bounds[1:], strict=False)
                ]
            return lines
        if self.composition.repeats > 1:
            count = self.numbers.integer(self.composition.repeats).text
            lines.append(f"{self.length.text} = {self.total} // {count}")
        ends = self.composition.ends
        for end, fraction in zip(self.end_names, ends, strict=False):
            lines.append(f"{self.prefix}{end} = {self.fraction_of(fraction, self.length, end).text}")
        return lines

    @property
    def past(self) -> Fraction:
        """The level past the horizon, without the decay of repeats."""
        return self.phases[-1].end


def draft(composition: Composition, choices: Choices, *, absolute: bool = False, fixed: bool | None = None) -> Draft:
    """The decisions about a composition.

    Args:
        absolute: whether levels are learning rates; else multiples of the base learning rate.
        fixed: whether the code is written for the composition's own horizon; as the composition by default.
    """
    step, total, noun = choices.pick("names.steps", naming.STEPS[composition.unit])
    phases = composition.phases
    if absolute:
        phases = tuple(_scaled(phase, composition.base_lr) for phase in phases)
    labels = naming.labels(choices, phases)
    return Draft(
        composition=composition,
        choices=choices,
        phases=phases,
        step=step,
        total=total,
        noun=noun,
        takes_total=not (composition.fixed if fixed is None else fixed),
        numbers=Numbers(choices),
        labels=labels,
        end_names=naming.ends(choices, labels, noun),
    )


def _scaled(phase: Phase, factor: Fraction) -> Phase:
    peak = phase.peak * factor if phase.shape is Shape.TRIANGULAR else phase.peak
    return replace(phase, start=phase.start * factor, end=phase.end * factor, peak=peak)

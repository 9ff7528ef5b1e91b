"""Decisions of a writer about a composition: names, numbers, and the ends of phases."""

import functools
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from lrgen.curves.compositions import Composition, Phase, Shape
from lrgen.curves.compositions.composition import MAX_HORIZON
from lrgen.realisations import naming
from lrgen.realisations.choices import Choices
from lrgen.realisations.expressions import Expr, Numbers, div, mul, name, sub


@functools.lru_cache(maxsize=4096)
def rounds_alike(fraction: Fraction) -> bool:
    """Whether ``round(float(fraction) * n)`` is right for every horizon, the halves among them."""
    if fraction.denominator % 2:
        return True
    n = np.arange(fraction.denominator // 2, MAX_HORIZON + 1, fraction.denominator)
    return bool(np.array_equal(float(fraction) * n, fraction.numerator * n / fraction.denominator))


@dataclass
class Draft:
    """Decisions about one realisation, and what its lines have needed so far.

    Attributes:
        composition: in the order of its own phases.
        phases: its phases, with levels times the base learning rate where the code has absolute levels.
        absolute: whether it has.
        step, total, noun: the names of the step and the horizon, and the noun of other names ("steps").
        takes_total: whether the code takes the horizon; else it is a number.
        hints: whether functions have type hints.
        keeps_step: whether the step is the variable of a loop, which nothing else may change.
        stays_within: whether the step is known to be before the end, so that no branch is for later ones.
        hoists: whether functions and lists that do not depend on the step stand above the function of the step.
        prefix: ``self.`` where ends are attributes.
        place: where settings stand: "module", "local", "default" (of parameters) or "self".
        settings: name → (text, type) of numbers that have a name.
        helpers: name → lines of functions beside the one that is asked for.
        used: names that are taken.
        locals: the names of local variables, by what they are.
    """

    composition: Composition
    choices: Choices
    phases: tuple[Phase, ...]
    absolute: bool
    step: str
    total: str
    noun: str
    takes_total: bool
    numbers: Numbers
    hints: bool
    keeps_step: bool = False
    stays_within: bool = False
    hoists: bool = False
    prefix: str = ""
    place: str = "local"
    labels: tuple[str, ...] = ()
    end_names: tuple[str, ...] = ()
    level_names: dict[Fraction, str] = field(default_factory=dict)
    settings: dict[str, tuple[str, str]] = field(default_factory=dict)
    helpers: dict[str, list[str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    locals: dict[str, str] = field(default_factory=dict)

    def fresh(self, key: str, options: Sequence[str]) -> str:
        """A name that is not taken, and from now on is."""
        free = [option for option in options if option not in self.used] or [f"{options[0]}_"]
        chosen = self.choices.pick(key, free)
        self.used.add(chosen)
        return chosen

    def setting(self, setting: str, value: Expr, kind: str) -> Expr:
        """A number by its name."""
        own = setting.upper() if self.place == "module" else setting
        self.settings[own] = value.text, kind
        return name(f"self.{own}" if self.place == "self" else own)

    def level(self, value: Fraction) -> Expr:
        """A level: by its name, if it has one."""
        if value in self.level_names:
            return self.setting(self.level_names[value], self.numbers.real(value), "float")
        return self.numbers.real(value)

    @functools.cached_property
    def has_cycles(self) -> bool:
        """Whether a phase has cycles of its own, so that a repeat of all phases is no cycle."""
        return any(phase.shape.is_cyclic for phase in self.phases)

    @property
    def period(self) -> str:
        """The name of the number of steps of a repeat."""
        return f"{'period' if self.has_cycles else 'cycle'}_{self.noun}"

    @property
    def repeat_names(self) -> tuple[str, ...]:
        """Names of the number of a repeat."""
        return ("period", "repeat", "lap") if self.has_cycles else _REPEATS

    @functools.cached_property
    def bounds(self) -> tuple[int, ...]:
        """The first step of each phase, and the last end, in steps of the composition's own horizon."""
        return self.composition.bounds(self.composition.horizon)

    @property
    def length(self) -> Expr:
        """The number of steps of a repeat."""
        if not self.takes_total:
            if self.names_ends:
                own = self.total if self.composition.repeats == 1 else self.period
                return self.setting(own, self.numbers.integer(self.bounds[-1]), "int")
            return self.numbers.integer(self.bounds[-1])
        return name(self.prefix + (self.total if self.composition.repeats == 1 else self.period))

    @functools.cached_property
    def ends(self) -> tuple[Expr, ...]:
        """The end of each phase within a repeat."""
        if self.takes_total:
            return (*(name(self.prefix + end) for end in self.end_names), self.length)
        if not self.names_ends:
            return tuple(map(self.numbers.integer, self.bounds[1:]))
        inner = zip(self.end_names, self.bounds[1:], strict=False)
        return (*(self.setting(end, self.numbers.integer(bound), "int") for end, bound in inner), self.length)

    @functools.cached_property
    def names_ends(self) -> bool:
        """Whether the ends of a fixed composition have names."""
        return self.choices.odds("ends.named", 0.55)

    @functools.cached_property
    def names_fractions(self) -> bool:
        """Whether the fractions at which phases end have names."""
        return self.choices.odds("fractions.named", 0.3)

    @functools.cached_property
    def in_percent(self) -> bool:
        """Whether all fractions are written in percent: some one is exact as an integer only."""
        inner = self.composition.ends[:-1]
        return not all(map(rounds_alike, inner)) and all(100 % fraction.denominator == 0 for fraction in inner)

    def since(self, i: int, step: Expr) -> Expr:
        """The steps since the begin of a phase."""
        return sub(step, self.ends[i - 1]) if i else step

    def span(self, i: int) -> Expr:
        """The number of steps of a phase."""
        if i == 0:
            return self.ends[0]
        if self.ends[i].text.replace("_", "").isdigit() and self.ends[i - 1].text.replace("_", "").isdigit():
            return self.numbers.integer(self.bounds[i + 1] - self.bounds[i])
        return sub(self.ends[i], self.ends[i - 1])

    @functools.cached_property
    def spans(self) -> tuple[Expr, ...]:
        """The number of steps of each phase, by names of their own where the code takes the horizon."""
        if not self.takes_total:
            lengths = [after - before for before, after in itertools.pairwise(self.bounds)]
            named = self.names_ends and not self.level_names
            return tuple(
                self.setting(f"{label}_{self.noun}", self.numbers.integer(length), "int")
                if named
                else self.numbers.integer(length)
                for label, length in zip(self.labels, lengths, strict=True)
            )
        spans: list[Expr] = []
        lines: list[str] = []
        length = name(self.total) if self.composition.repeats == 1 else name(self.prefix + self.period)
        if self.composition.repeats > 1:
            lines.append(f"{length.text} = {self.total} // {self.composition.repeats}")
        for i, (label, end) in enumerate(zip(self.labels, self.composition.ends, strict=True)):
            own = name(f"{self.prefix}{label}_{self.noun}")
            last = i == len(self.labels) - 1
            value = length if last else self.fraction_of(end, length, f"{label}_end" if i else f"{label}_{self.noun}")
            for span in spans:
                value = sub(value, span)
            if last and not spans:
                own = length
            else:
                lines.append(f"{own.text} = {value.text}")
            spans.append(own)
        self.setup = lines
        return tuple(spans)

    def fraction_of(self, fraction: Fraction, length: Expr, end: str) -> Expr:
        """``round(fraction * length)``, exact at every horizon."""
        real = self.numbers.real(fraction)
        form = self.choices.pick("fraction", ("first", "first", "last", "over"))
        by_ratio = form == "over" and not self.names_fractions
        if by_ratio or self.in_percent or not rounds_alike(fraction) or not real.is_simple:
            top, bottom = Expr(str(fraction.numerator)), self.numbers.integer(fraction.denominator)
            is_odd = fraction.denominator > 10 and fraction.numerator > 1  # 35 * n / 100, but n / 20 and 7 * n / 10
            if self.in_percent or (100 % fraction.denominator == 0 and is_odd):
                top, bottom = Expr(str(int(fraction * 100))), Expr("100")
                if self.names_fractions:
                    top = self.setting(_renamed(end, self.noun, "percent"), top, "int")
            if form == "last":
                return Expr(f"round({div(mul(length, top), bottom).text})")
            return Expr(f"round({div(mul(top, length), bottom).text})")
        if self.names_fractions:
            real = self.setting(_renamed(end, self.noun, "fraction"), real, "float")
        product = mul(length, real) if form == "last" else mul(real, length)
        return Expr(f"round({product.text})")

    @functools.cached_property
    def setup(self) -> list[str]:
        """Statements that compute the ends of phases from the horizon."""
        lines: list[str] = []
        if self.takes_total:
            if self.composition.repeats > 1:
                lines.append(f"{self.length.text} = {self.total} // {self.composition.repeats}")
            plain = name(self.total) if self.composition.repeats == 1 else self.length
            for end, fraction in zip(self.end_names, self.composition.ends, strict=False):
                lines.append(f"{self.prefix}{end} = {self.fraction_of(fraction, plain, end).text}")
        return lines

    def forget_unused(self, lines: Sequence[str]) -> None:
        """Keep the settings alone that the lines, or those that compute the ends, use."""
        text = "\n".join([*lines, *self.setup])
        self.settings = {own: value for own, value in self.settings.items() if re.search(rf"\b{own}\b", text)}

    @property
    def past(self) -> Fraction:
        """The level past the horizon, without the decay of repeats."""
        return self.phases[-1].end

    @property
    def clamps(self) -> bool:
        """Whether the formula of the last phase gives the level past the horizon at progress 1."""
        last = self.phases[-1]
        return last.shape is not Shape.STEPS and not (last.shape.is_cyclic and last.count > 1)

    def lines_of_settings(self) -> list[str]:
        """Assignments of the settings."""
        prefix = "self." if self.place == "self" else ""
        return [f"{prefix}{setting} = {text}" for setting, (text, _) in self.settings.items()]

    def defaults(self) -> list[str]:
        """Parameters with the settings as their defaults."""
        if self.place != "default":
            return []
        if self.hints:
            return [f"{setting}: {kind} = {text}" for setting, (text, kind) in self.settings.items()]
        return [f"{setting}={text}" for setting, (text, _) in self.settings.items()]

    def parameter(self, own: str, kind: str) -> str:
        """A parameter, with its type where this writer gives types."""
        return f"{own}: {kind}" if self.hints else own


_REPEATS = ("restart", "restart", "period", "repeat", "lap", "cycle_index")


def _renamed(end: str, noun: str, suffix: str) -> str:
    """``warmup_steps`` → ``warmup_fraction``; ``decay_start`` → ``decay_start_fraction``."""
    return f"{end.removesuffix(f'_{noun}').removeprefix('num_')}_{suffix}"


def draft(
    composition: Composition,
    choices: Choices,
    *,
    absolute: bool = False,
    places: Sequence[str] = ("local", "module", "default"),
    prefix: str = "",
    takes_total: bool | None = None,
) -> Draft:
    """The decisions about a composition.

    Args:
        absolute: whether levels are learning rates; else multiples of the base learning rate.
        places: where settings may stand.
        prefix: of the names of ends.
        takes_total: whether the code takes the horizon; unless the composition is fixed by default.
    """
    step, total, noun = choices.pick("names.steps", naming.STEPS[composition.unit])
    phases = composition.phases
    if absolute:
        phases = tuple(_scaled(phase, composition.base_lr) for phase in phases)
    labels = naming.labels(choices, phases)
    ends = naming.ends(choices, labels, noun)
    levels = naming.levels(choices, phases, labels, absolute) if choices.odds("levels.named", 0.35) else {}
    return Draft(
        composition=composition,
        choices=choices,
        phases=phases,
        absolute=absolute,
        step=step,
        total=total,
        noun=noun,
        takes_total=not composition.fixed if takes_total is None else takes_total,
        numbers=Numbers(choices, are_rates=absolute and composition.base_lr < Fraction(1, 100)),
        hints=choices.odds("hints", 0.6),
        prefix=prefix,
        place=choices.pick("place", places),
        labels=labels,
        end_names=ends,
        level_names=levels,
        used={"optimizer", step, total, f"cycle_{noun}", f"period_{noun}", *ends, *levels.values()},
    )


def _scaled(phase: Phase, factor: Fraction) -> Phase:
    peak = phase.peak * factor if phase.shape is Shape.TRIANGULAR else phase.peak
    return replace(phase, start=phase.start * factor, end=phase.end * factor, peak=peak)

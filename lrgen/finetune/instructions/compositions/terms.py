"""The terms of a text about a composition, chosen once: its unit, and the forms of its levels and lengths."""

import functools
import random
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Self

from lrgen.curves.compositions import Composition, Phase
from lrgen.finetune.instructions.compositions import numbers
from lrgen.finetune.phrasing import phrase
from lrgen.records import Unit

_LARGEST_DENOMINATOR = 20  # of a fraction in prose
_HALF = Fraction(1, 2)
_EPOCHS = ("epoch",)
_BATCHES = ("step", "step", "step", "update", "iteration", "batch", "optimizer step", "training step")
_BASES = (
    "the base learning rate",
    "the base learning rate",
    "the base LR",
    "`base_lr`",
    "the base rate",
)
_PLURALS = {"batch": "batches"}


class Levels(Enum):
    """The form of levels."""

    FACTOR = "factor"  # 0.1 times the base learning rate
    PERCENT = "percent"  # 10% of the base learning rate
    ABSOLUTE = "absolute"  # 0.01


class Lengths(Enum):
    """The form of lengths."""

    FRACTION = "fraction"  # a third of training
    PERCENT = "percent"  # 33% of training
    STEPS = "steps"  # 500 steps


@dataclass(frozen=True)
class Terms:
    """The terms of a text.

    Attributes:
        step: the noun for a step of the schedule, which is an epoch or a batch.
        base: the noun for the base learning rate.
        whole: that of which the lengths are fractions: training, or a period of a composition that repeats.
        separator: of thousands.
        scales: whether the code that is described takes the number of steps.
        total: the name of that argument.
    """

    composition: Composition
    levels: Levels
    lengths: Lengths
    step: str
    base: str
    whole: str
    separator: str
    scales: bool
    total: str = "`total_steps`"

    @classmethod
    def drawn(
        cls,
        composition: Composition,
        chance: random.Random,
        *,
        scales: bool,
        absolute: bool,
        total: str = "`total_steps`",
    ) -> Self:
        """Choose terms; ``absolute``: the code contains the base learning rate, so levels are mostly absolute."""
        is_epoch = composition.unit is Unit.EPOCH
        return cls(
            composition,
            _levels(composition, chance, absolute),
            _lengths(composition, chance, scales),
            chance.choice(_EPOCHS if is_epoch else _BATCHES),
            chance.choice(_BASES),
            "training" if composition.repeats == 1 else chance.choice(_periods(composition)),
            chance.choice((",", ",", "")) if composition.horizon >= 10_000 else chance.choice((",", "")),
            scales,
            total,
        )

    @property
    def steps(self) -> str:
        """The noun for steps."""
        return _PLURALS.get(self.step, f"{self.step}s")

    @property
    def period(self) -> str:
        """The noun for a period of a composition that repeats."""
        return self.whole.removeprefix("each ")

    @property
    def per_period(self) -> int:
        """The number of steps of a period at the composition's own horizon."""
        return self.composition.horizon // self.composition.repeats

    @property
    def ends(self) -> tuple[Fraction, ...]:
        """The fraction of a period at which each phase ends."""
        ends, total = [], Fraction(0)
        for phase in self.composition.phases:
            total += phase.length
            ends.append(total)
        return tuple(ends)

    # Levels.

    def number(self, level: Fraction) -> str:
        """Return a level as in a table: ``0.1``, ``10%``, ``0.01``."""
        if self.levels is Levels.ABSOLUTE:
            return numbers.plain(level * self.composition.base_lr)
        if self.levels is Levels.PERCENT:
            return numbers.percentage(level) or numbers.plain(level)
        return numbers.plain(level)

    def level(self, level: Fraction) -> str:
        """Return a level as in a sentence: ``10% of the base learning rate``."""
        number = self.number(level)
        if level == 0:
            return "zero" if self.separator == "," else "0"
        if self.levels is Levels.ABSOLUTE:
            return number
        if level == 1:
            return self.base
        if number.endswith("%") or "/" in number:
            return f"{number} of {self.base}"
        return f"{number} * {self.base}" if self.base.startswith("`") else f"{number} times {self.base}"

    def pair(self, start: Fraction, end: Fraction, words: tuple[str, str] = ("from", "to")) -> str:
        """Return two levels as in a sentence: ``from 10% to 50% of the base learning rate``."""
        before, between = words
        first, last = self.number(start), self.number(end)
        alike = first.endswith("%") if last.endswith("%") else not (self.base.startswith("`") or "/" in first + last)
        if 0 in (start, end) or 1 in (start, end) or self.levels is Levels.ABSOLUTE or not alike:
            return f"{before} {self.level(start)} {between} {self.level(end)}"
        return f"{before} {first} {between} {self.level(end)}"

    # Lengths.

    def count(self, steps: Fraction | int) -> str:
        """Return a number of steps."""
        return numbers.integer(int(steps), self.separator)

    def counted(self, steps: Fraction | int) -> str:
        """Return a number of steps with its noun: ``500 steps``."""
        return f"{self.count(steps)} {self.step if steps == 1 else self.steps}"

    def part(self, length: Fraction) -> str:
        """Return a length as in a table: ``5%``, ``1/20``, ``500``."""
        if self.lengths is Lengths.STEPS:
            return self.count(length * self.per_period)
        if self.lengths is Lengths.PERCENT:
            return numbers.percentage(length) or numbers.ratio(length)
        return numbers.plain(length)

    def length(self, length: Fraction) -> str:
        """Return a length as in a sentence: ``5% of training``, ``500 steps``."""
        if self.lengths is Lengths.STEPS:
            return self.counted(length * self.per_period)
        if length == 1:
            return f"all of {self.whole}"
        if self.lengths is Lengths.PERCENT:
            return f"{self.part(length)} of {self.whole}"
        return f"{self._in_prose(length)} of {self.whole}"

    def at(self, fraction: Fraction) -> str:
        """Return a point of a period: ``step 500``, ``5% of training``, ``the start``, ``the end``."""
        if fraction in (0, 1):
            return f"the {'end' if fraction else 'start'}{'' if self.whole == 'training' else f' of {self.whole}'}"
        if self.lengths is Lengths.STEPS:
            return f"{self.step} {self.count(fraction * self.per_period)}"
        return self.length(fraction)

    @functools.cached_property
    def _prefers_percentages(self) -> bool:
        """Whether some length is a percentage where all can be: then all are."""
        lengths = [*(phase.length for phase in self.composition.phases), *self.ends]
        return any(map(_is_odd, lengths)) and all(map(numbers.percentage, lengths))

    def _in_prose(self, length: Fraction) -> str:
        is_odd = _is_odd(length) or length == _HALF  # "over half of" is more than half
        if (is_odd or self._prefers_percentages) and (percentage := numbers.percentage(length)):
            return percentage
        return numbers.spoken(length) or numbers.ratio(length)

    def _determined(self, length: Fraction) -> str:
        """Return a length behind an article: ``fifth of training``."""
        if self.lengths is Lengths.FRACTION and length == _HALF:
            return f"half of {self.whole}"
        return self.length(length).removeprefix("a ")

    def span(self, index: int, chance: random.Random, *, leads: bool = False) -> str:
        """Return the span of a phase as in a sentence: ``over the first 500 steps``, ``until 35% of training``.

        One that leads the sentence of a later phase is not "until ...", which would leave its start open.
        """
        phases = self.composition.phases
        ends = self.ends
        begin = ends[index - 1] if index else Fraction(0)
        if len(phases) == 1:
            text = phrase(chance.choice(_ALL), chance, whole=self._all())
        else:
            templates: tuple[str, ...] = _FIRST if index == 0 else _LAST if index == len(phases) - 1 else _MIDDLE
            if leads and index:
                templates = tuple(each for each in templates if not each.startswith("until"))
            first, last = self.at(begin), self.at(ends[index])
            if last.endswith(f" of {self.whole}"):  # from 10% to 30% of training
                first = first.removesuffix(f" of {self.whole}")
            text = phrase(
                chance.choice(templates),
                chance,
                length=self.length(phases[index].length),
                determined=self._determined(phases[index].length),
                begin=first,
                end=last,
            )
        return text[:1].lower() + text[1:]

    def _all(self) -> str:
        if self.whole != "training":
            return f"the {self.period}"
        return f"all {self.counted(self.per_period)}" if self.lengths is Lengths.STEPS else "the whole of training"


_FIRST = (
    "over the first {determined}",
    "for the first {determined}",
    "during the first {determined}",
    "over {length}",
    "until {end}",
    "from the start to {end}",
    "in the first {determined}",
)
_MIDDLE = (
    "over the next {determined}",
    "for {length}",
    "for the next {determined}",
    "until {end}",
    "from {begin} to {end}",
    "from {begin} until {end}",
    "between {begin} and {end}",
    "over {length}",
    "during the following {determined}",
)
_LAST = (
    "over the last {determined}",
    "over the remaining {determined}",
    "for the remaining {determined}",
    "until {end}",
    "from {begin} until {end}",
    "from {begin} to {end}",
    "over the final {determined}",
    "for the last {determined}",
)
_ALL = ("over {whole}", "during {whole}")


def _is_odd(length: Fraction) -> bool:
    """Whether nobody says a length as a fraction."""
    return length.denominator > _LARGEST_DENOMINATOR


def can_count(composition: Composition) -> bool:
    """Return whether all phases have whole numbers of steps at the composition's own horizon."""
    steps = Fraction(composition.horizon, composition.repeats)
    return steps.denominator == 1 and all((phase.length * steps).denominator == 1 for phase in composition.phases)


def levels_of(phase: Phase) -> tuple[Fraction, ...]:
    """Return the levels that a phase is described by."""
    return {"hold": (phase.start,), "steps": (phase.start,), "triangular": (phase.start, phase.peak)}.get(
        phase.shape.value, (phase.start, phase.end)
    )


def _periods(composition: Composition) -> tuple[str, ...]:
    """The nouns for a period; the cycles of a phase are something else."""
    has_cycles = any(phase.shape.is_cyclic for phase in composition.phases)
    return ("each period",) if has_cycles else ("each period", "each cycle")


def _levels(composition: Composition, chance: random.Random, absolute: bool) -> Levels:
    levels = [level for phase in composition.phases for level in levels_of(phase)]
    possible = [Levels.FACTOR]
    if all(map(numbers.percentage, levels)):
        possible.append(Levels.PERCENT)
    if all(numbers.decimal(level * composition.base_lr) for level in levels):
        possible += [Levels.ABSOLUTE] * (6 if absolute else 1)
    return chance.choice(possible)


def _lengths(composition: Composition, chance: random.Random, scales: bool) -> Lengths:
    possible = [Lengths.FRACTION]
    if all(numbers.percentage(phase.length) for phase in composition.phases):
        possible += [Lengths.PERCENT] * (3 if scales else 1)
    if can_count(composition):
        possible += [Lengths.STEPS] * (1 if scales else 8)
    return chance.choice(possible)

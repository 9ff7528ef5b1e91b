"""Changes of compositions: another warm-up, another end, a cooldown, other groups or another horizon.

A change gives the new composition and the words that it needs: levels, lengths and counts, old and new.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from lrgen.curves.compositions import Composition, Phase, Shape
from lrgen.curves.compositions.phases import hold
from lrgen.errors import ParameterError
from lrgen.finetune.instructions.compositions import numbers, shapes
from lrgen.finetune.instructions.compositions.terms import Terms
from lrgen.finetune.wording import listed

_LENGTHS = tuple(Fraction(value, 100) for value in (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20))
_COOLDOWNS = tuple(Fraction(value, 100) for value in (5, 10, 15, 20, 25, 30))
_STARTS = tuple(map(Fraction, ("0", "0.001", "0.01", "0.02", "0.05", "0.1", "0.2", "0.25")))
_FINALS = tuple(map(Fraction, ("0", "0.001", "0.005", "0.01", "0.02", "0.05", "0.1", "0.2")))
_GROUPS = (("1", "0.1"), ("0.1", "1"), ("1", "0.5"), ("0.5", "1"), ("1", "10"), ("0.2", "1"), ("1", "0.1", "0.01"))
_SMOOTH = (Shape.LINEAR, Shape.COSINE, Shape.POLYNOMIAL, Shape.EXPONENTIAL, Shape.ONE_MINUS_SQRT)
_POWERS = tuple(map(Fraction, ("0.5", "2", "3", "1.5")))
_DECAYS = tuple(map(Fraction, ("0.1", "0.2", "0.3", "0.5", "0.7", "0.8")))


@dataclass(frozen=True)
class Change:
    """A composition after a change; ``kind`` and ``fields`` are for the words of the request."""

    kind: str
    composition: Composition
    fields: dict[str, str]


_Change = Callable[[Terms, random.Random], Change | None]


def drawn(terms: Terms, chance: random.Random) -> Iterator[Change]:
    """Yield possible changes of a composition in a drawn order; the terms are those of the request."""
    for change in chance.sample(_CHANGES, len(_CHANGES)):
        try:
            changed = change(terms, chance)
        except ParameterError:
            continue  # it leaves a phase without a step, or steps that are not whole
        if changed is not None and changed.composition.normal.id != terms.composition.id:
            yield changed


def _with(composition: Composition, index: int, *phases: Phase, drop: int = 1) -> Composition:
    """A composition with other phases in place of ``drop`` ones."""
    own = composition.phases
    return replace(composition, phases=(*own[:index], *phases, *own[index + drop :]))


def _with_end(phase: Phase, end: Fraction) -> Phase:
    return replace(phase, end=end)


def _warm_up(terms: Terms) -> tuple[Phase, Phase] | None:
    """The warm-up and the phase after it."""
    phases = terms.composition.phases
    if len(phases) < 2 or not phases[0].rises or phases[0].shape not in _SMOOTH:
        return None
    return phases[0], phases[1]


def _warm_up_length(terms: Terms, chance: random.Random) -> Change | None:
    pair = _warm_up(terms)
    if pair is None:
        return None
    first, second = pair
    length = chance.choice(_LENGTHS)
    rest = second.length + first.length - length
    if length == first.length or rest < length:
        return None
    changed = _with(terms.composition, 0, replace(first, length=length), replace(second, length=rest), drop=2)
    return Change("warm-up length", changed, {"old": terms.length(first.length), "new": terms.length(length)})


def _warm_up_start(terms: Terms, chance: random.Random) -> Change | None:
    pair = _warm_up(terms)
    if pair is None:
        return None
    first = pair[0]
    start = chance.choice(_STARTS)
    if (start in (first.start, 0) and first.shape is Shape.EXPONENTIAL) or start == first.start or start >= first.end:
        return None
    changed = _with(terms.composition, 0, replace(first, start=start))
    return Change("warm-up start", changed, {"old": terms.level(first.start), "new": terms.level(start)})


def _no_warm_up(terms: Terms, chance: random.Random) -> Change | None:
    pair = _warm_up(terms)
    if pair is None or pair[1].shape is Shape.HOLD:
        return None
    first, second = pair
    changed = _with(terms.composition, 0, replace(second, length=first.length + second.length), drop=2)
    return Change("no warm-up", changed, {"next": terms.level(second.start)})


def _held_after_warm_up(terms: Terms, chance: random.Random) -> Change | None:
    pair = _warm_up(terms)
    if pair is None or pair[1].shape is Shape.HOLD or pair[1].start != pair[0].end:
        return None
    first, second = pair
    length = chance.choice(_COOLDOWNS)
    if second.length <= length:
        return None
    plateau = hold(first.end, length)
    changed = _with(terms.composition, 1, plateau, replace(second, length=second.length - length))
    return Change("plateau", changed, {"length": terms.length(length), "level": terms.level(first.end)})


def _final_level(terms: Terms, chance: random.Random) -> Change | None:
    last = terms.composition.phases[-1]
    end = chance.choice(_FINALS)
    if last.shape not in _SMOOTH or last.rises or end >= last.start or end == last.end:
        return None
    changed = _with(terms.composition, len(terms.composition.phases) - 1, _with_end(last, end))
    return Change("final level", changed, {"old": terms.level(last.end), "new": terms.level(end)})


def _cooldown(terms: Terms, chance: random.Random) -> Change | None:
    last = terms.composition.phases[-1]
    length = chance.choice(_COOLDOWNS)
    if last.end == 0 or last.length <= length or last.shape.is_cyclic or last.shape is Shape.STEPS:
        return None
    shape = chance.choice((Shape.LINEAR, Shape.LINEAR, Shape.COSINE, Shape.ONE_MINUS_SQRT))
    if shape is last.shape:
        return None
    added = Phase(shape, length, last.end, Fraction(0))
    index = len(terms.composition.phases) - 1
    changed = _with(terms.composition, index, replace(last, length=last.length - length), added)
    fields = {"length": terms.length(length), "shape": shapes.name(added), "level": terms.level(last.end)}
    return Change("cooldown", changed, fields)


def _shape(terms: Terms, chance: random.Random) -> Change | None:
    phases = terms.composition.phases
    indices = [index for index, phase in enumerate(phases) if phase.shape in _SMOOTH and phase.start != phase.end]
    if not indices:
        return None
    index = chance.choice(indices)
    phase = phases[index]
    shape = chance.choice(_SMOOTH)
    if shape is phase.shape or (shape is Shape.EXPONENTIAL and 0 in (phase.start, phase.end)):
        return None
    power = chance.choice(_POWERS) if shape is Shape.POLYNOMIAL else Fraction(1)
    new = Phase(shape, phase.length, phase.start, phase.end, power=power)
    changed = _with(terms.composition, index, new)
    fields = {"old": shapes.name(phase), "new": shapes.name(new), "which": _which(terms, index)}
    return Change("shape", changed, fields)


def _factor(terms: Terms, chance: random.Random) -> Change | None:
    """Another factor from one stage to the next, in the last phase."""
    phases = terms.composition.phases
    last, decay = phases[-1], chance.choice(_DECAYS)
    if last.shape is not Shape.STEPS or decay == last.decay:
        return None
    changed = _with(terms.composition, len(phases) - 1, _stages(last, last.count, decay))
    return Change("factor", changed, {"old": numbers.plain(last.decay), "new": numbers.plain(decay)})


def _count(terms: Terms, chance: random.Random) -> Change | None:
    """Another number of stages or cycles."""
    phases = terms.composition.phases
    last, count = phases[-1], chance.randint(2, 6)
    if not (last.shape is Shape.STEPS or last.shape.is_cyclic) or last.count == count:
        return None
    new = _stages(last, count, last.decay) if last.shape is Shape.STEPS else replace(last, count=count)
    what = "stages" if last.shape is Shape.STEPS else "cycles"
    changed = _with(terms.composition, len(phases) - 1, new)
    return Change("count", changed, {"what": what, "old": str(last.count), "new": str(count)})


def _groups(terms: Terms, chance: random.Random) -> Change | None:
    groups = tuple(map(Fraction, chance.choice(_GROUPS)))
    if groups == terms.composition.groups:
        return None
    changed = replace(terms.composition, groups=groups)
    fields = {"count": numbers.counted(len(groups)), "multipliers": listed([numbers.plain(group) for group in groups])}
    return Change("groups", changed, fields)


def _horizon(terms: Terms, chance: random.Random) -> Change | None:
    composition = terms.composition
    if not composition.fixed:
        return None
    scale = Fraction(chance.choice(("2", "3", "1.5", "0.5")))
    horizon = composition.horizon * scale
    if horizon.denominator != 1:
        return None
    changed = replace(composition, horizon=int(horizon))
    return Change("horizon", changed, {"old": terms.counted(composition.horizon), "new": terms.counted(horizon)})


def _repeats(terms: Terms, chance: random.Random) -> Change | None:
    composition = terms.composition
    if composition.repeats > 1 or composition.fixed:
        return None
    repeats = chance.choice((2, 2, 3, 4))
    decay = Fraction(chance.choice(("1", "0.5", "0.8")))
    changed = replace(composition, repeats=repeats, repeat_decay=decay)
    factor = "" if decay == 1 else f", each {numbers.plain(decay)} times the one before"
    part = numbers.spoken(Fraction(1, repeats)) or ""
    fields = {"times": numbers.times(repeats), "count": numbers.counted(repeats), "part": part, "factor": factor}
    return Change("repeats", changed, fields)


_CHANGES: tuple[_Change, ...] = (
    _warm_up_length,
    _warm_up_start,
    _no_warm_up,
    _held_after_warm_up,
    _final_level,
    _cooldown,
    _shape,
    _factor,
    _count,
    _groups,
    _horizon,
    _repeats,
)


def _stages(phase: Phase, count: int, decay: Fraction) -> Phase:
    return replace(phase, count=count, decay=decay, end=phase.start * decay ** (count - 1))


def _which(terms: Terms, index: int) -> str:
    """A phase by its place: ``the first phase``, ``the phase from 5% of training to 80% of training``."""
    ends = terms.ends
    if index == 0:
        return f"the first phase (until {terms.at(ends[0])})" if len(ends) > 1 else "the only phase"
    if index == len(ends) - 1:
        return f"the last phase (from {terms.at(ends[index - 1])} on)"
    return f"the phase from {terms.at(ends[index - 1])} to {terms.at(ends[index])}"

"""Examples of task convert about compositions: their code in another style, for another horizon, in another unit."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from lrgen.curves.compositions import Composition
from lrgen.curves.compositions.composition import MAX_HORIZON
from lrgen.errors import StyleError
from lrgen.finetune import wording
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.example import Example, Row, Scope, TaskInput
from lrgen.finetune.instructions.realised import convert as instructions
from lrgen.finetune.realised import settings
from lrgen.realisations import Call, Realisation, Style, styles_of, write
from lrgen.realisations.recognition import departure
from lrgen.records import Unit
from lrgen.source import normalise
from lrgen.verify import generated, horizons

_UNITS = 0.4  # of the examples change the unit or the horizon, where that is possible
_BATCHES = (10, 20, 25, 40, 50, 78, 100, 125, 196, 200, 250, 391, 500, 782, 1000)
_LARGEST_DENOMINATOR = 100  # of the fractions of code that scales
_LONGEST = {Style.SEQUENTIAL: 2000, Style.LOOP: 400}  # horizons of code whose steps are executed one after another
_WITHOUT_HORIZON = (Call.LIGHTNING, Call.LOOP)  # code whose number of steps comes from elsewhere

Change = tuple[Composition, Callable[[Realisation, Realisation, random.Random], str]]
"""Another composition, and the request for its code."""


def examples(task_input: TaskInput, name: str) -> Iterator[Example]:
    """Yield an example of each composition.

    Raises:
        CorpusError: when the learning rates of the code differ from the curve.
    """
    for realised in task_input.compositions:
        chance = task_input.chance(name, realised.number)
        before = chance.choice(realised.realisations)
        changes = _changes(realised.composition, before, chance)
        example = None
        if changes and chance.random() < _UNITS:
            example = _to_other(realised, name, before, chance.choice(changes), chance)
        example = example or _to_style(realised, name, before, chance)
        if example is not None:
            yield example


def _to_style(realised: RealisedComposition, name: str, before: Realisation, chance: random.Random) -> Example | None:
    """Return a conversion to another style; None if there is no other."""
    composition = realised.composition
    others = [style for style in styles_of(composition) if style is not before.style]
    if not others:
        return None
    after = write(composition, settings.style_of(others, chance), chance)
    if composition.fixed and composition.horizon > _LONGEST.get(after.style, composition.horizon):
        return None
    prompt = instructions.to_style(before, after, composition, chance)
    return _example(realised, name, composition, before, after, prompt, chance)


def _to_other(
    realised: RealisedComposition, name: str, before: Realisation, change: Change, chance: random.Random
) -> Example | None:
    """Return a conversion to another horizon or unit in the same style; None if the style cannot express it."""
    composition, request = change
    if composition.horizon > _LONGEST.get(before.style, composition.horizon):
        return None
    try:
        after = write(composition, before.style, chance)
    except StyleError:
        return None
    return _example(realised, name, composition, before, after, request(before, after, chance), chance)


def _example(
    realised: RealisedComposition,
    name: str,
    composition: Composition,
    before: Realisation,
    after: Realisation,
    prompt: str,
    chance: random.Random,
) -> Example:
    generated.check(after, composition, chance)
    return Example(
        task=name,
        key=settings.key_of(realised),
        prompt=prompt,
        completion=after.code,
        scope=Scope.SCHEDULE,
        evidence={"schedule_of": composition.id, "style": after.style.value, "from": before.style.value},
        composition=RealisedComposition(composition, (after,), realised.number),
        styles=tuple(dict.fromkeys((before.style, after.style))),
        interface=after.interface,
    )


def _changes(composition: Composition, before: Realisation, chance: random.Random) -> list[Change]:
    """Return the changes of horizon and unit that are possible."""
    if before.interface.call in _WITHOUT_HORIZON:
        return []
    if not composition.fixed:
        return [_fixed(composition, chance)] if before.interface.takes_horizon else []
    changes = [_of_unit(composition, chance)]
    if all(phase.length.denominator <= _LARGEST_DENOMINATOR for phase in composition.phases):
        scaling = replace(composition, fixed=False)
        changes.append((scaling, lambda old, new, draw: instructions.to_scaling(old, new, scaling, draw)))
    return [change for change in changes if change is not None]


def _fixed(composition: Composition, chance: random.Random) -> Change:
    """Return the composition at one horizon."""
    fixed = replace(composition, fixed=True, horizon=chance.choice(horizons.drawn(composition, chance)))
    return fixed, lambda old, new, draw: instructions.to_fixed(old, new, fixed, draw)


def _of_unit(composition: Composition, chance: random.Random) -> Change | None:
    """Return the composition in the other unit; None if the number of steps is too large or no whole number."""
    if composition.unit is Unit.EPOCH:
        count, unit = chance.choice(_BATCHES), Unit.BATCH
        horizon = composition.horizon * count
        if horizon > MAX_HORIZON:
            return None
    else:
        bounds = composition.bounds(composition.horizon)
        counts = [count for count in _BATCHES if all(bound % count == 0 for bound in bounds)]
        if not counts:
            return None
        count, unit = chance.choice(counts), Unit.EPOCH
        horizon = composition.horizon // count
    other = replace(composition, unit=unit, horizon=horizon)
    return other, lambda old, new, draw: instructions.to_unit(old, new, other, count, draw)


def reason(row: Row, completion: str) -> str:
    """Return why code with correct learning rates is not a conversion; empty when it is one."""
    evidence = json.loads(row["evidence"])
    style = Style(evidence["style"])
    if evidence["from"] == style:
        return ""  # the code of the prompt has other learning rates, or another interface
    if asked := departure(completion, style, Call(json.loads(row["checker"])["interface"]["call"])):
        return f"it is not written in the style {style}: {asked}"
    try:
        given = normalise.digest(wording.quoted(row["prompt"]))
        return "it repeats the code of the prompt" if normalise.digest(completion) == given else ""
    except (SyntaxError, ValueError):
        return ""

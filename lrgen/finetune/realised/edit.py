"""The code of a composition and a request for a change → the changed code in the same style and wording."""

import random
from collections.abc import Iterator
from dataclasses import replace

from lrgen.errors import StyleError
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.example import SYSTEM, Example, Scope, TaskInput
from lrgen.finetune.instructions.compositions import rules
from lrgen.finetune.instructions.compositions.forms import Form
from lrgen.finetune.instructions.realised import edit as instructions
from lrgen.finetune.realised import changes
from lrgen.finetune.realised.explain import terms_of
from lrgen.realisations import Realisation, Style, write
from lrgen.source import diffs
from lrgen.verify import generated

_DIFFS = 0.4  # of the answers
_NEW_SHAPES = ("shape", "cooldown")
"""Changes whose shape the code need not have: its formula is in the system's message."""
_KEPT = 0.5  # of the lines stay, at least


def examples(task_input: TaskInput, task: str) -> Iterator[Example]:
    """Yield an example of each composition that can be changed in a style that it has.

    Training loops are left to the task inject: their updates take long to execute.

    Raises:
        CorpusError: when the learning rates of code differ from the curve.
    """
    for realised in task_input.compositions:
        chance = task_input.chance(task, "composition", realised.number)
        styles = [each.style for each in realised.realisations if each.style is not Style.LOOP]
        example = _example(realised, chance.choice(styles), task, chance) if styles else None
        if example is not None:
            yield example


def _example(realised: RealisedComposition, style: Style, task: str, chance: random.Random) -> Example | None:
    seed = chance.getrandbits(64)
    before = write(realised.composition, style, random.Random(seed))
    terms = terms_of(realised.composition, before.interface, Form.PROSE, chance)
    for change in changes.drawn(terms, chance):
        after = _written(change, style, seed)
        if after is None or after.interface != before.interface or not _is_edited(before.code, after.code):
            continue
        generated.check(before, realised.composition, chance)
        generated.check(after, change.composition, chance)
        as_diff = chance.random() < _DIFFS
        return Example(
            task=task,
            key=f"composition/{realised.number}",
            prompt=instructions.request(before, realised.composition, change.kind, change.fields, as_diff, chance),
            completion=diffs.unified(before.code, after.code, instructions.PATH) if as_diff else after.code,
            scope=Scope.SCHEDULE,
            system=f"{SYSTEM}\n\n{chance.choice(rules.SYSTEM)}" if change.kind in _NEW_SHAPES else SYSTEM,
            evidence={"changed": change.kind, "executed": change.composition.normal.id},
            composition=replace(realised, composition=change.composition.normal, realisations=(after,)),
            styles=(style,),
            interface=after.interface,
        )
    return None


def _is_edited(before: str, after: str) -> bool:
    """Whether code is changed, but not written anew."""
    old, new = set(before.splitlines()), set(after.splitlines())
    return before != after and len(old & new) >= _KEPT * len(old)


def _written(change: changes.Change, style: Style, seed: int) -> Realisation | None:
    """The new composition in the wording of the old one; None where the style cannot express it."""
    try:
        return write(change.composition.normal, style, random.Random(seed))
    except StyleError:
        return None

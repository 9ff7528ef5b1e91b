"""A training script and a schedule in words → the script with the schedule, and nothing else changed."""

import contextlib
import difflib
import io
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import orjson

from lrgen.errors import CorpusError, DatasetError
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.example import EXTRACTED, Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions import code_reports, inject
from lrgen.finetune.scripts import hooks, plan, wiring
from lrgen.finetune.scripts.script import script
from lrgen.realisations import Call, Interface, Realisation, write
from lrgen.records import Outcome
from lrgen.source import diffs
from lrgen.verify import generated, horizons

NAME = "inject"
SUMMARY = (
    "A training script and a schedule in words → the script with that schedule and nothing else changed, or the diff."
)
EVIDENCE = ("generated",)

_SHORTEST, _LONGEST = 12, 60  # steps of the run of an answer
_REPLACES, _AS_DIFF = 0.4, 0.5
_FREE = ("for ", "import ", "from ")  # lines that any answer may change
_ALONE = (Fraction(1),)  # the groups of a composition without multipliers
_TOTAL = "`total_steps`"
_TRIES = 4  # scripts whose names may collide with those of the schedule


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield an example of each composition whose schedule a script can be driven by, and that a short run shows."""
    for realised in task_input.compositions:  # what is injected is a schedule alone
        yield from _of_composition(task_input, realised)


def _of_composition(task_input: TaskInput, realised: RealisedComposition) -> Iterator[Example]:
    composition = realised.composition
    horizon = _horizon(realised)
    possible = [each for each in realised.realisations if each.interface.call in wiring.CALLS]
    if horizon is None or not possible or composition.groups != _ALONE:
        return
    key = f"{composition.id}/{realised.number}"
    chance = task_input.chance(NAME, key)
    realisation = write(composition, chance.choice(possible).style, chance)
    for _ in range(_TRIES):
        shape = plan.draw(chance)
        wired = wiring.wired(realisation, shape, composition.unit, chance)
        if wired is not None:
            break
    else:
        return
    replaces = chance.random() < _REPLACES
    before = wiring.other(shape, chance) if replaces else hooks.NONE
    lr = f"{float(composition.base_lr):g}"
    text, changed = (script(shape, each, key, lr) for each in (before, wired))
    interface = Interface(Call.LOOP, shape.function, not composition.fixed, shape.takes_lr)
    _check(changed, interface, realised, realisation, horizon)
    words, system = code_reports.described(composition, interface, _TOTAL, chance)
    as_diff = chance.random() < _AS_DIFF
    names = {"epochs": shape.epochs, "loader": shape.loader, "lr": shape.lr if shape.takes_lr else shape.lr.upper()}
    yield Example(
        task=NAME,
        key=key,
        prompt=inject.request(
            text, words, replaces=replaces, unit=composition.unit, names=names, as_diff=as_diff, chance=chance
        ),
        completion=inject.answer(text, changed, as_diff),
        scope=Scope.SCHEDULE,
        evidence={"generated": composition.id, "changed": _changed(text, changed)},
        system=system,
        composition=realised,
        styles=(realisation.style,),
        interface=interface,
    )


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """Return the script after the completion's diff; a completion that is not a diff is the new script.

    Raises:
        DatasetError: when the diff does not apply to the script of the prompt.
    """
    try:
        return diffs.patched(completion, code_reports.code_of(row["prompt"]))
    except ValueError as error:
        raise DatasetError("the prompt has no script") from error


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the script by its learning rates, and by the lines that it keeps.

    Those of an old schedule and the heads of loops may change; all other lines must still be there, in order.
    """
    assert outcome is not None
    grade = Grade.of_outcome(outcome)
    if not grade.passed:
        return grade
    lost = _lost(row, assemble(row, completion, reference))
    if not lost:
        return grade
    return Grade(False, f"the script must keep its line {lost!r}", EXTRACTED, grade.fraction / 2)


def _horizon(realised: RealisedComposition) -> int | None:
    """Return the horizon at which an answer is run; None if there is no short one."""
    composition = realised.composition
    if composition.fixed:
        return composition.horizon if composition.horizon <= _LONGEST else None
    unit = horizons.whole(composition)
    multiples = range(unit, _LONGEST + 1, unit)
    fair = [horizon for horizon in multiples if horizons.is_fair(composition, horizon)]
    return next((horizon for horizon in fair if horizon >= _SHORTEST), None)


def _check(
    text: str, interface: Interface, realised: RealisedComposition, realisation: Realisation, horizon: int
) -> None:
    """Run an answer.

    Raises:
        CorpusError: if its learning rates are not those of the composition.
    """
    composition = realised.composition
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            rates = generated.rates(text, interface, composition, horizon=horizon)
        except generated.Raised as error:
            raise CorpusError(f"a script with composition {composition.id}: {error}") from error
    expected = composition.rates(range(horizon), horizon)
    if rates.shape != expected.shape or np.max(np.abs(rates - expected)) > generated.TOLERANCE * float(
        composition.base_lr
    ):
        raise CorpusError(f"a script with composition {composition.id} as {realisation.style}: another learning rate")


def _changed(text: str, changed: str) -> list[int]:
    """Return the numbers of the lines of a script that are not in the answer."""
    old, new = text.splitlines(), changed.splitlines()
    matches = difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    same = {at for block in matches for at in range(block.a, block.a + block.size)}
    return [at + 1 for at, line in enumerate(old) if line.strip() and at not in same]


def _lost(row: Row, text: str) -> str:
    """Return the first line that must be kept and is not; empty if all are."""
    free = set(orjson.loads(row["evidence"])["changed"])
    new = iter([line.strip() for line in text.splitlines()])
    for number, old in enumerate(code_reports.code_of(row["prompt"]).splitlines(), start=1):
        line = old.strip()
        if line and number not in free and not line.startswith(_FREE) and not any(line == other for other in new):
            return line
    return ""

"""A schedule in words and its code → a verdict; for faulty code also each faulty line and the reason."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from lrgen.finetune.code_faults.faulty import Fault, correct_code, faulty
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.example import EXTRACTED, Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions import code_reports
from lrgen.finetune.instructions.compositions import interfaces
from lrgen.finetune.instructions.critique import Form, answer, question
from lrgen.finetune.tasks import judge
from lrgen.finetune.tasks.feedback import label_of, verdict
from lrgen.records import Outcome

NAME = "critique"
SUMMARY = (
    "A schedule in words and its code → correct, or incorrect with each faulty line and the reason; half are correct."
)
EVIDENCE = ("generated", "failed")

_CORRECT, _TWO_FAULTS, _JSON = 0.5, 0.35, 0.3


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield an example of each composition, of code that is correct or has one or two faults."""
    for realised in task_input.compositions:  # the code is that of a schedule alone
        yield from _of_composition(task_input, realised)


def _of_composition(task_input: TaskInput, realised: RealisedComposition) -> Iterator[Example]:
    key = f"{realised.composition.id}/{realised.number}"
    chance = task_input.chance(NAME, key)
    correct = correct_code(realised, chance)
    if correct is None:
        return
    text = correct.code
    faults: tuple[Fault, ...] = ()
    evidence: dict[str, Any] = {"generated": realised.composition.id}
    if chance.random() >= _CORRECT:
        count = 2 if chance.random() < _TWO_FAULTS else 1
        mutant = faulty(realised.composition, correct, chance, count=count, shown=False)
        if mutant is None:
            return
        text, faults = mutant.text, mutant.faults
        evidence = {**mutant.evidence, "lines": [list(fault.lines) for fault in faults]}
    form = Form.JSON if chance.random() < _JSON else Form.TEXT
    total = interfaces.total(correct, realised.composition)
    words, system = code_reports.described(realised.composition, correct.interface, total, chance)
    yield Example(
        task=NAME,
        key=key,
        prompt=question(text, words, form, chance),
        completion=answer(text, faults, form),
        scope=Scope.SCHEDULE,
        evidence=evidence,
        system=system,
        composition=realised,
        styles=(correct.style,),
    )


def assemble(row: Row, completion: str, reference: Reference) -> None:
    """Return None: a verdict makes no code."""


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the verdict, and the lines by the evidence; the reasons are not graded.

    As many lines count as there are faults, the first ones that the completion names. A right verdict is half of the
    answer, and each fault whose line is named an equal part of the other half.
    """
    evidence = orjson.loads(row["evidence"])
    expected, label = "failed" not in evidence, label_of(_verdict(completion))
    if label is None:
        return Grade(False, "it does not begin with a verdict")
    if label is not expected:
        return Grade(False, f"expected the verdict {verdict(expected)}", EXTRACTED)
    if expected:
        return Grade.correct()
    missed = _missed(completion, evidence, judge.judged(row["prompt"]))
    if not missed:
        return Grade.correct()
    fraction = 1 - len(missed) / (2 * len(evidence["lines"]))
    lines = " and ".join(str(lines[0]) for lines in missed)
    return Grade(False, f"the lines that it names are not at the fault at line {lines}", EXTRACTED, fraction)


def _verdict(completion: str) -> str:
    """Return the part of a completion that begins with its verdict: of a JSON object that of its key."""
    if completion.lstrip().startswith("{"):
        try:
            answered = json.loads(completion)
        except (ValueError, RecursionError):
            return ""
        return str(answered.get("verdict", ""))
    return completion


def _missed(completion: str, evidence: Mapping[str, Any], text: str) -> list[list[int]]:
    """Return the lines of the faults that a completion does not name."""
    faults: list[list[int]] = evidence["lines"]
    named = judge.named_lines(completion, text)[: len(faults)]
    return [lines for lines in faults if not set(lines) & set(named)]

"""Faulty code with its traceback or its log → the correct code or the diff; each mutant was run.

Of a composition, the faulty code is in the question, or in earlier turns: an answer, then what came of running it.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator
from typing import Any

from lrgen.errors import DatasetError
from lrgen.finetune.code_faults.faulty import correct_code, faulty
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions import code_reports
from lrgen.finetune.instructions import repair as reports
from lrgen.finetune.instructions.compositions import interfaces, requests
from lrgen.finetune.mutants import Failure, RunContext, failures
from lrgen.finetune.scenarios import KINDS, scenarios
from lrgen.finetune.symptoms import Request, Symptom, observe
from lrgen.records import Outcome
from lrgen.source import diffs

NAME = "repair"
SUMMARY = "Faulty code with its traceback or its log → the corrected code or a unified diff; also over several turns."
EVIDENCE = ("equals", "patched", "generated")
NEEDS_CONTEXT = True

_TWO_FAULTS, _TURNS, _AS_DIFF = 0.3, 0.4, 0.5  # of the examples of compositions
_BATCH = 64  # mutants whose symptoms are observed in one call


def examples(task_input: TaskInput, context: RunContext) -> Iterator[Example]:
    """Yield an example of each mutant that the checks detect and a script shows; the completion is the file or a diff.

    Mutations whose repair no question could state are not used (``scenarios.KINDS``); mutants that no script shows are
    counted.
    """
    detected = failures(NAME, task_input, context, kinds=KINDS)
    while batch := list(itertools.islice(detected, _BATCH)):
        requests = [_request(task_input, failure) for failure in batch]
        symptoms = observe(requests, context)
        for failure, symptom in zip(batch, symptoms, strict=True):
            if symptom is None:
                context.hidden[failure.mutant.mutation] += 1
            else:
                yield _example(task_input, failure, symptom)
    for realised in task_input.compositions:
        yield from _of_composition(task_input, realised)


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """Return the file after the completion's diff; a completion that is not a diff is the new file.

    Raises:
        DatasetError: when the diff does not apply to the file of the prompt.
    """
    try:
        if json.loads(row["checker"]).get("interface"):
            return _patched(row, completion)
        text = reports.faulty_file(row["prompt"])
    except ValueError as error:
        raise DatasetError("the prompt has no file") from error
    return diffs.patched(completion, text)


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the new file by the checks against the schedule of the original file."""
    assert outcome is not None
    return Grade.of_outcome(outcome)


def _of_composition(task_input: TaskInput, realised: RealisedComposition) -> Iterator[Example]:
    key = f"{realised.composition.id}/{realised.number}"
    chance = task_input.chance(NAME, key)
    correct = correct_code(realised, chance)
    count = 2 if chance.random() < _TWO_FAULTS else 1
    mutant = faulty(realised.composition, correct, chance, count=count) if correct else None
    if mutant is None or correct is None:
        return
    composition, as_diff = realised.composition, False
    history: list[tuple[str, str]] = []
    if chance.random() < _TURNS:
        request = requests.of_style(composition, correct, chance)
        system = request.system
        history.append((request.prompt, mutant.text))
        prompt = code_reports.complaint(mutant, mutant.run, False, chance)
        if mutant.halves and chance.random() < 0.5:
            which = chance.randrange(2)
            history.append((prompt, mutant.halves[which]))
            prompt = code_reports.complaint(mutant, mutant.of_halves[which], True, chance)
    else:
        as_diff = chance.random() < _AS_DIFF
        total = interfaces.total(correct, composition)
        words, system = code_reports.described(composition, correct.interface, total, chance)
        prompt = code_reports.report(mutant, words, as_diff, chance)
    yield Example(
        task=NAME,
        key=key,
        prompt=prompt,
        completion=code_reports.corrected(mutant, as_diff),
        scope=Scope.SCHEDULE,
        evidence={"generated": realised.composition.id, **mutant.evidence},
        system=system,
        composition=realised,
        styles=(correct.style,),
        interface=correct.interface,
        history=tuple(history),
    )


def _patched(row: Row, completion: str) -> str:
    """Return the code after a completion for a composition: a diff of the code of the prompt, or the new code.

    Raises:
        ValueError: when it is a diff, and the prompt has no code.
    """
    if not completion.startswith("--- "):
        return completion
    return diffs.patched(completion, code_reports.code_of(row["prompt"]))


def _request(task_input: TaskInput, failure: Failure) -> Request:
    mutant = failure.mutant
    chance = task_input.chance(NAME, "scenarios", mutant.file.name, mutant.mutation)
    return Request(mutant.text, mutant.file.source, scenarios(mutant.file, mutant.mutation, chance))


def _example(task_input: TaskInput, failure: Failure, symptom: Symptom) -> Example:
    file, faulty, mutation = failure.mutant.file, failure.mutant.text, failure.mutant.mutation
    digest = hashlib.sha256(faulty.encode()).hexdigest()
    key = f"{file.name}/{mutation}/{digest[:8]}"
    chance = task_input.chance(NAME, key)
    as_diff = chance.random() < 0.5
    instruction = reports.report(file, faulty, mutation, symptom, as_diff, chance)
    return Example(
        task=NAME,
        key=key,
        prompt=instruction.prompt,
        completion=diffs.unified(faulty, file.source) if as_diff else file.source,
        scope=Scope.FILE,
        files=(file,),
        evidence=_evidence(failure, digest, as_diff),
        system=instruction.system,
    )


def _evidence(failure: Failure, mutant: str, as_diff: bool) -> dict[str, Any]:
    original = failure.mutant.file.sha256
    completion = {"applies_to": mutant, "patched": original} if as_diff else {"equals": original}
    return {**completion, **failure.evidence, "mutant": mutant}

"""A faulty file with its traceback or its log → the original file or the diff; each mutant was run."""

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

from lrgen.errors import DatasetError
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions import repair as reports
from lrgen.finetune.mutants import Failure, RunContext, failures
from lrgen.finetune.scenarios import KINDS, scenarios
from lrgen.finetune.symptoms import Request, Symptom, observe
from lrgen.records import Outcome
from lrgen.source import diffs

NAME = "repair"
SUMMARY = "A faulty file with its traceback or its log → the corrected file or a unified diff."
EVIDENCE = ("equals", "patched")
NEEDS_CONTEXT = True

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


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """Return the file after the completion's diff; a completion that is not a diff is the new file.

    Raises:
        DatasetError: when the diff does not apply to the file of the prompt.
    """
    try:
        text = reports.faulty_file(row["prompt"])
    except ValueError as error:
        raise DatasetError("the prompt has no file") from error
    return diffs.patched(completion, text)


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the new file by the checks against the schedule of the original file."""
    assert outcome is not None
    return Grade.of_outcome(outcome)


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

"""A mutant and the reason why it fails → the original file or the diff; each mutant was run."""

import hashlib
from collections.abc import Iterator
from typing import Any

from lrgen.finetune import wording
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.mutants import Failure, RunContext, failures
from lrgen.records import Outcome
from lrgen.source import diffs

NAME = "repair"
SUMMARY = "A faulty file and the reason why it fails → the corrected file or a unified diff."
EVIDENCE = ("equals", "patched")
NEEDS_CONTEXT = True

_REQUESTS = (
    "This training module fails its checks. Please fix it.",
    "My training file fails. What is wrong? Please fix it.",
    "There is a bug in this module. Please fix it.",
    "Fix the module below without changing code that works.",
    "Find and fix the bug in this file.",
)
_VERDICTS = (
    "The {stage} check fails: {reason}",
    "FAILED in the {stage} check: {reason}",
    "stage: {stage}\nreason: {reason}",
)
_AS_DIFF = (
    f"Answer with a unified diff of `{diffs.FILE_NAME}`.",
    f"Show only the patch to `{diffs.FILE_NAME}`, in a form that `git apply` accepts.",
)
_AS_FILE = ("Answer with the whole corrected file.", "Return the complete fixed file.")


def examples(task_input: TaskInput, context: RunContext) -> Iterator[Example]:
    """Yield an example of each mutant that the checks detect; the completion is the file or a diff."""
    for failure in failures(NAME, task_input, context):
        file, faulty = failure.mutant.file, failure.mutant.text
        chance = task_input.chance(NAME, file.name, failure.mutant.mutation)
        request = chance.choice(_REQUESTS)
        verdict = chance.choice(_VERDICTS).format(stage=failure.stage, reason=_reason(failure))
        as_diff = chance.random() < 0.5
        answer = chance.choice(_AS_DIFF if as_diff else _AS_FILE)
        yield Example(
            task=NAME,
            key=f"{file.name}/{failure.mutant.mutation}",
            prompt=f"{request} {answer}\n\n{verdict}\n\n{wording.fenced(faulty)}",
            completion=diffs.unified(faulty, file.source) if as_diff else file.source,
            scope=Scope.FILE,
            files=(file,),
            evidence=_evidence(failure, as_diff),
        )


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """Return the file after the completion's diff; a completion that is not a diff is the new file.

    Raises:
        DatasetError: when the diff does not apply to the file of the prompt.
    """
    return diffs.patched(completion, wording.quoted(row["prompt"]))


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the new file by the checks against the schedule of the original file."""
    assert outcome is not None
    return Grade.of_outcome(outcome)


def _reason(failure: Failure) -> str:
    """Return the reason of a failure with the title of the schedule instead of its number."""
    variant = failure.mutant.file.variant
    return failure.reason.replace(variant.label, variant.title)


def _evidence(failure: Failure, as_diff: bool) -> dict[str, Any]:
    original = failure.mutant.file.sha256
    mutant = hashlib.sha256(failure.mutant.text.encode()).hexdigest()
    completion = {"applies_to": mutant, "patched": original} if as_diff else {"equals": original}
    return {
        **completion,
        "mutation": failure.mutant.mutation,
        "mutant": mutant,
        "failed": failure.stage.value,
        "reason": failure.reason,
    }

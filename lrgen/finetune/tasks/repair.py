"""A broken file and the harness's own reason → the file that passes. Each broken file was run, and failed for it."""

import hashlib
from collections.abc import Iterator
from typing import Any

from lrgen.finetune import wording
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.mutants import Failure, RunContext, failures
from lrgen.records import Outcome
from lrgen.source import diffs

NAME = "repair"
SUMMARY = "A broken file and the reason of its failure → the mended file, or the diff that mends it."
EVIDENCE = ("equals", "patched")
NEEDS_CONTEXT = True

_REQUESTS = (
    "This training module does not pass its checks.",
    "What is wrong in my file? It fails.",
    "Something is wrong with this module. Please repair it.",
    "Fix the module below, and change nothing that works.",
    "Find the mistake in this file and correct it.",
)
_VERDICTS = (
    "The {stage} check says: {reason}",
    "FAILED in the {stage} check: {reason}",
    "stage: {stage}\nreason: {reason}",
)
_WANTS_DIFF = (
    f"Answer with a unified diff of `{diffs.FILE_NAME}`.",
    f"Only show the patch to `{diffs.FILE_NAME}` (`git apply` must take it).",
)
_WANTS_FILE = ("Answer with the whole mended file.", "Return the complete file as it should be.")


def examples(task_input: TaskInput, context: RunContext) -> Iterator[Example]:
    """One for each mistake that the checks saw: the mended file, or the diff, by chance."""
    for failure in failures(task_input, context):
        file, broken = failure.mutant.file, failure.mutant.text
        chance = task_input.chance(NAME, file.name, failure.mutant.mutation)
        asked = chance.choice(_REQUESTS)
        verdict = chance.choice(_VERDICTS).format(stage=failure.stage, reason=failure.reason)
        as_diff = chance.random() < 0.5
        wanted = chance.choice(_WANTS_DIFF if as_diff else _WANTS_FILE)
        yield Example(
            task=NAME,
            key=f"{file.name}/{failure.mutant.mutation}",
            prompt=f"{asked} {wanted}\n\n{verdict}\n\n{wording.fenced(broken)}",
            completion=diffs.unified(broken, file.source) if as_diff else file.source,
            scope=Scope.FILE,
            files=(file,),
            evidence=_evidence(failure, as_diff),
        )


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """The file after the diff that the completion is; a completion that is no diff is the new file.

    Raises:
        DatasetError: when the diff does not apply to the file of the question.
    """
    return diffs.patched(completion, wording.quoted(row["prompt"]))


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Right when the mended file passes the checks, with the learning rates of the file that was mutated."""
    assert outcome is not None
    return Grade.of_outcome(outcome)


def _evidence(failure: Failure, as_diff: bool) -> dict[str, Any]:
    mended = failure.mutant.file.sha256
    broken = hashlib.sha256(failure.mutant.text.encode()).hexdigest()
    answer = {"applies_to": broken, "patched": mended} if as_diff else {"equals": mended}
    return {
        **answer,
        "mutation": failure.mutant.mutation,
        "mutant": broken,
        "failed": failure.stage.value,
        "reason": failure.reason,
    }

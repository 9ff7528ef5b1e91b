"""An instruction and a file → whether the file is correct (KTO): verified files, and mutants that failed."""

import re
from collections.abc import Iterator

from lrgen.finetune import wording
from lrgen.finetune.example import EXTRACTED, Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.mutants import RunContext, failures
from lrgen.finetune.tasks import write
from lrgen.records import Outcome

NAME = "judge"
SUMMARY = "An instruction and a file → whether the file is correct; half of the files are."
EVIDENCE = ("equals", "failed")
NEEDS_CONTEXT = True

_VERDICTS = {True: "correct", False: "incorrect"}
_LABELS = {
    **{"correct": True, "good": True, "yes": True, "true": True},
    **{"incorrect": False, "wrong": False, "bad": False, "no": False, "false": False},
}
_WORD = re.compile(r"[a-z]+")


def examples(task_input: TaskInput, context: RunContext) -> Iterator[Example]:
    """Yield for each file with a detected mutant the file and the mutant, with the same prompt."""
    previous = ""
    for failure in failures(task_input, context):
        file = failure.mutant.file
        if file.name == previous:  # one mutant for each verified file
            continue
        previous = file.name
        prompt = task_input.chance(NAME, file.name).choice(write.DETAILED)(file)
        failed = {"mutation": failure.mutant.mutation, "failed": failure.stage.value, "reason": failure.reason}
        completions = ((file.source, True, {"equals": file.sha256}), (failure.mutant.text, False, failed))
        for completion, label, evidence in completions:
            yield Example(
                task=NAME,
                key=f"{file.name}/{verdict(label)}",
                prompt=prompt,
                completion=completion,
                scope=Scope.FILE,
                files=(file,),
                label=label,
                evidence=evidence,
            )


def verdict(label: bool) -> str:
    """Return the verdict on a file with this label."""
    return _VERDICTS[label]


def question(prompt: str, file: str) -> str:
    """Return the question whether a file is correct, which ``grade`` reads the answer to."""
    return (
        f"{prompt}\n\nThis file was written in reply:\n\n{wording.fenced(file)}\n\nIs it correct? Begin your answer "
        f"with `{verdict(True)}` or `{verdict(False)}`."
    )


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """Return the file of the row, which the completion judges."""
    file: str = row["completion"]
    return file


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the verdict by the outcome of the checks.

    The verdict is the first word of the completion: correct or incorrect, good or bad, yes or no, true or false.
    """
    assert outcome is not None
    word = _WORD.search(completion.lower())
    label = _LABELS.get(word[0]) if word else None
    if label is None:
        return Grade(False, "it does not begin with a verdict")
    if label == outcome.status.ok:
        return Grade.correct()
    actual = "the file passes" if outcome.status.ok else Grade.of_outcome(outcome).reason
    return Grade(False, f"expected the verdict {verdict(not label)}: {actual}", EXTRACTED)

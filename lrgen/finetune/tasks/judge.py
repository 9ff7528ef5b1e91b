"""An instruction and a file → whether the file is a good one (KTO): verified files, and broken ones that failed."""

import re
from collections.abc import Iterator

from lrgen.finetune.example import EXTRACTED, Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.mutants import RunContext, failures
from lrgen.finetune.tasks import write
from lrgen.records import Outcome

NAME = "judge"
SUMMARY = "An instruction and a file → whether it is a good one: as many good ones as bad ones."
EVIDENCE = ("equals", "failed")
NEEDS_CONTEXT = True

_VERDICTS = {True: "good", False: "bad"}
_SAID = {"good": True, "yes": True, "true": True, "bad": False, "no": False, "false": False}
_WORD = re.compile(r"[a-z]+")


def examples(task_input: TaskInput, context: RunContext) -> Iterator[Example]:
    """For each file that the checks saw a mistake in: the file, and the file with the mistake, both asked for alike."""
    judged = ""
    for failure in failures(task_input, context):
        file = failure.mutant.file
        if file.name == judged:  # one mistake for one verified file
            continue
        judged = file.name
        asked = task_input.chance(NAME, file.name).choice(write.DETAILED)(file)
        bad = {"mutation": failure.mutant.mutation, "failed": failure.stage.value, "reason": failure.reason}
        answers = ((file.source, True, {"equals": file.sha256}), (failure.mutant.text, False, bad))
        for answer, label, evidence in answers:
            yield Example(
                task=NAME,
                key=f"{file.name}/{'good' if label else 'bad'}",
                prompt=asked,
                completion=answer,
                scope=Scope.FILE,
                files=(file,),
                label=label,
                evidence=evidence,
            )


def verdict(label: bool) -> str:
    """The answer to the question whether the file of a row with this label is a good one."""
    return _VERDICTS[label]


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """The file that is judged, whatever the completion says of it."""
    file: str = row["completion"]
    return file


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Right when the first word of the completion (good or bad, yes or no, true or false) is what the checks say of the
    file.
    """
    assert outcome is not None
    word = _WORD.search(completion.lower())
    said = _SAID.get(word[0]) if word else None
    if said is None:
        return Grade(False, "it does not begin with a verdict")
    if said == outcome.status.ok:
        return Grade.correct()
    found = "passes" if outcome.status.ok else Grade.of_outcome(outcome).reason.removeprefix("its file ")
    return Grade(False, f"the file that is said to {'pass' if said else 'fail'} {found}", EXTRACTED)

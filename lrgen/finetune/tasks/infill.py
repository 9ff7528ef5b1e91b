"""Fill-in-the-middle: a file without ``make_scheduler`` and its helpers, or the code of a composition with a hole."""

from collections.abc import Iterator

from lrgen.finetune import wording
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions import infill
from lrgen.finetune.realised import infill as realised
from lrgen.finetune.rows import COMPOSITION
from lrgen.records import Outcome
from lrgen.source import sections

NAME = "infill"
SUMMARY = "A file without make_scheduler, or a schedule with a hole → the missing code (fill-in-the-middle)."
EVIDENCE = ("infilled",)


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield ``rows_per_file`` examples of each file, which differ in the request, and those of compositions."""
    for file in task_input.plain:  # the hole is the schedule alone
        for turn in range(1, task_input.rows_per_file + 1):
            key = f"{file.name}/{turn}"
            instruction = infill.instruction(file, task_input.chance(NAME, key))
            yield Example(
                task=NAME,
                key=key,
                prompt=instruction.prompt,
                completion=sections.parse(file.source).middle,
                scope=Scope.FILE,
                files=(file,),
                evidence={"infilled": file.sha256},
                system=instruction.system,
                answer_scope=Scope.SCHEDULE,
            )
    yield from realised.examples(task_input, NAME)


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """Return the file of the prompt with the completion as its middle, or the code with the completion in its hole.

    Raises:
        DatasetError: when the prompt has no placeholder.
    """
    if row["family"] == COMPOSITION:
        return realised.filled(row, completion)
    return sections.complete(wording.quoted(row["prompt"]), completion)


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the file by the checks against the schedule of the row."""
    assert outcome is not None
    return Grade.of_outcome(outcome)

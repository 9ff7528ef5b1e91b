"""Instruction → file: short and detailed instructions for each file."""

from collections.abc import Iterator

from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions import write
from lrgen.records import Outcome

NAME = "write"
SUMMARY = "A short or detailed instruction → the whole file."
EVIDENCE = ("equals",)


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield ``rows_per_file`` examples of each file, alternating between short and detailed instructions."""
    for file in task_input.files:
        for turn in range(1, task_input.rows_per_file + 1):
            key = f"{file.name}/{turn}"
            instruct = write.short if turn % 2 else write.detailed
            instruction = instruct(file, task_input.chance(NAME, key))
            yield Example(
                task=NAME,
                key=key,
                prompt=instruction.prompt,
                completion=file.source,
                scope=Scope.FILE,
                files=(file,),
                evidence={"equals": file.sha256},
                system=instruction.system,
            )


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """Return the completion, which is the file."""
    return completion


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the file by the checks against the schedule of the row."""
    assert outcome is not None
    return Grade.of_outcome(outcome)

"""File and requested schedule → a unified diff or the whole new file; both files are verified.

Both schedules belong to one family, so that both files are in the same split. Or the code of a composition and a change
of it.
"""

from collections.abc import Iterator

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions import Instruction, edit
from lrgen.finetune.realised import edit as realised
from lrgen.records import Outcome
from lrgen.source import diffs

NAME = "edit"
SUMMARY = "A file and the requested schedule or practice, or a change of it → a unified diff or the whole new file."
EVIDENCE = ("equals", "patched", "executed")


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield up to ``rows_per_file`` examples that end in each file, alternating between diffs and whole files.

    The file to change has the same architecture and family. Examples that add a practice follow, then those of
    compositions.
    """
    relatives: dict[tuple[str, str], list[VerifiedFile]] = {}
    for file in task_input.plain:
        relatives.setdefault((file.architecture.name, file.variant.family), []).append(file)
    for after in task_input.plain:
        others = [file for file in relatives[after.architecture.name, after.variant.family] if file is not after]
        shuffled = task_input.chance(NAME, after.name).sample(others, len(others))
        for turn, before in enumerate(shuffled[: task_input.rows_per_file], start=1):
            key = f"{after.name}/{turn}"
            as_diff = turn % 2 == 1
            instruction = edit.instruction(before, after, as_diff, task_input.chance(NAME, key))
            yield _example(key, before, after, as_diff, instruction)
    yield from _of_practices(task_input)
    yield from realised.examples(task_input, NAME)


def _of_practices(task_input: TaskInput) -> Iterator[Example]:
    """Yield examples that add a practice to the file with the same network and schedule, as a diff and as a file."""
    plain = {(file.architecture.name, file.variant.number): file for file in task_input.plain}
    for after in task_input.files:
        before = plain.get((after.architecture.name, after.variant.schedule or 0))
        if before is None:
            continue
        for turn in range(1, task_input.rows_per_file + 1):
            as_diff = turn % 2 == 1
            key = f"{after.name}/practice/{turn}"
            instruction = edit.practice(before, after, as_diff, task_input.chance(NAME, key))
            yield _example(key, before, after, as_diff, instruction)


def _example(key: str, before: VerifiedFile, after: VerifiedFile, as_diff: bool, instruction: Instruction) -> Example:
    return Example(
        task=NAME,
        key=key,
        prompt=instruction.prompt,
        completion=diffs.unified(before.source, after.source) if as_diff else after.source,
        scope=Scope.FILE,
        files=(after, before),
        evidence={"applies_to": before.sha256, "patched": after.sha256} if as_diff else {"equals": after.sha256},
        system=instruction.system,
    )


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """Return the file after the completion's diff; a completion that is not a diff is the new file.

    Raises:
        DatasetError: when the diff does not apply to the file of the prompt.
    """
    return diffs.patched(completion, wording.quoted(row["prompt"]))


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the new file by the checks against the requested schedule."""
    assert outcome is not None
    return Grade.of_outcome(outcome)

"""File and requested schedule → a unified diff or the whole new file; both files are verified.

Both schedules belong to one family, so that both files are in the same split. Or the code of a composition and a change
of it.
"""

import ast
from collections.abc import Iterator

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions import Instruction, edit
from lrgen.finetune.realised import edit as realised
from lrgen.records import Outcome, PracticeKind
from lrgen.source import diffs
from lrgen.source.practice_signs import Sign, signs

NAME = "edit"
SUMMARY = "A file and the requested schedule or practice, or a change of it → a unified diff or the whole new file."
EVIDENCE = ("equals", "patched", "executed")


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield up to ``rows_per_file`` examples that end in each file, alternating between diffs and whole files.

    The file to change has the same architecture and family. Examples that add, remove or replace a practice follow,
    then those of compositions.
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
    """Yield examples of the same network and schedule, as a diff and as a file: with a practice, without, with another.

    No file has a practice removed that its recipe has, too, with another number.
    """
    plain = {(file.architecture.name, file.variant.number): file for file in task_input.plain}
    alike: dict[tuple[str, int | None, str], list[VerifiedFile]] = {}
    for file in task_input.files:
        if file.variant.practice is not None:
            alike.setdefault(_likeness(file), []).append(file)
    for file in task_input.files:
        if file.variant.practice is None:
            continue
        alone = plain.get((file.architecture.name, file.variant.schedule or 0))
        for turn in range(1, task_input.rows_per_file + 1):
            if alone is not None:
                yield _of_practice(task_input, f"{file.name}/practice/{turn}", alone, file, turn % 2 == 1)
                if not _is_of_recipe(file):
                    yield _of_practice(task_input, f"{file.name}/practice/removed/{turn}", file, alone, turn % 2 == 0)
        others = [other for other in alike[_likeness(file)] if other is not file]
        shuffled = task_input.chance(NAME, file.name, "practice").sample(others, len(others))
        for turn, before in enumerate(shuffled[: task_input.rows_per_file], start=file.variant.number):
            yield _of_practice(task_input, f"{file.name}/practice/of/{before.name}", before, file, turn % 2 == 1)


def _of_practice(task_input: TaskInput, key: str, before: VerifiedFile, after: VerifiedFile, as_diff: bool) -> Example:
    instruction = edit.practice(before, after, as_diff, task_input.chance(NAME, key))
    return _example(key, before, after, as_diff, instruction)


def _likeness(file: VerifiedFile) -> tuple[str, int | None, str]:
    """The network, the schedule and the kind, alike in files whose practices replace each other; EMA is as SWA."""
    practice = file.variant.practice
    assert practice is not None
    kind = PracticeKind.EMA if practice.kind is PracticeKind.AVERAGING else practice.kind
    return file.architecture.name, file.variant.schedule, kind


def _is_of_recipe(file: VerifiedFile) -> bool:
    """Whether the recipe of a network has the practice of a file, too."""
    recipe, practice = file.architecture.recipe, file.variant.practice
    own = {PracticeKind.CLIPPING: recipe.clip_norm, PracticeKind.LABEL_SMOOTHING: recipe.label_smoothing}
    return practice is not None and bool(own.get(practice.kind))


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
    """Grade the new file by the checks against the requested schedule; no practice may stay that has to go."""
    assert outcome is not None
    graded = Grade.of_outcome(outcome)
    if graded.passed and reference.composition(row) is None:
        kept = _kept(row, assemble(row, completion, reference), reference)
        if kept is not None:
            what = kept.kind.replace("_", " ")
            return Grade(False, f"the file still has {what} (`{kept.words}`, line {kept.line})", graded.check)
    return graded


def _kept(row: Row, source: str, reference: Reference) -> Sign | None:
    """The sign of a practice in a file that the file of the prompt has and the requested one has not."""
    before = {sign.kind for sign in signs(ast.parse(wording.quoted(row["prompt"])))}
    kept = [sign for sign in signs(ast.parse(source)) if sign.kind in before]
    if not kept:
        return None
    wanted = reference.renderer.render(reference.architecture(row), reference.variant(row)).text
    allowed = {sign.kind for sign in signs(ast.parse(wanted))}
    return next((sign for sign in kept if sign.kind not in allowed), None)

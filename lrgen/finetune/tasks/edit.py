"""File and requested schedule → a unified diff or the whole new file; both files are verified.

Both schedules belong to one family, so that both files are in the same split.
"""

from collections.abc import Callable, Iterator

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.wording import listed
from lrgen.records import Outcome
from lrgen.source import diffs, sections

NAME = "edit"
SUMMARY = "A file and the requested schedule → a unified diff or the whole new file."
EVIDENCE = ("equals", "patched")
PER_FILE = 2

_AS_DIFF = (
    f"Answer with a unified diff of `{diffs.FILE_NAME}`.",
    f"Give me the change as a patch to `{diffs.FILE_NAME}` for `git apply`.",
    f"I only need the diff (`--- a/{diffs.FILE_NAME}`, `+++ b/{diffs.FILE_NAME}`).",
)
_AS_FILE = ("Answer with the whole new file.", "Show the complete updated file.", "Return the full file.")


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield up to ``PER_FILE`` examples that end in each file, alternating between diffs and whole files.

    The file to change has the same architecture and family.
    """
    relatives: dict[tuple[str, str], list[VerifiedFile]] = {}
    for file in task_input.files:
        relatives.setdefault((file.architecture.name, file.variant.family), []).append(file)
    for after in task_input.files:
        others = [file for file in relatives[after.architecture.name, after.variant.family] if file is not after]
        chance = task_input.chance(NAME, after.name)
        for turn, before in enumerate(chance.sample(others, min(PER_FILE, len(others))), start=1):
            as_diff = turn % 2 == 1
            request = _request(before, after, chance.choice(_CHANGES))
            answer = chance.choice(_AS_DIFF if as_diff else _AS_FILE)
            yield Example(
                task=NAME,
                key=f"{after.name}/{turn}",
                prompt=f"{request} {answer}\n\n{wording.fenced(before.source)}",
                completion=diffs.unified(before.source, after.source) if as_diff else after.source,
                scope=Scope.FILE,
                files=(after, before),
                evidence={"applies_to": before.sha256, "patched": after.sha256}
                if as_diff
                else {"equals": after.sha256},
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


def _request(before: VerifiedFile, after: VerifiedFile, change: Callable[[VerifiedFile, VerifiedFile], str]) -> str:
    if changed := _changed_defaults(before, after):
        return (
            f"Keep the schedule of this file but change its defaults: {changed}. The result is "
            f"{after.variant.title}. {wording.summary(after.variant)}"
        )
    return f"{change(before, after)} {_differences(before, after)}".rstrip()


def _replace(before: VerifiedFile, after: VerifiedFile) -> str:
    return f"Replace {before.variant.title} in this file with {after.variant.title}. {wording.summary(after.variant)}"


def _instead(before: VerifiedFile, after: VerifiedFile) -> str:
    return (
        f"This file trains {before.architecture.title} with {before.variant.title}. Use {after.variant.title} instead. "
        f"{wording.summary(after.variant)}"
    )


def _change_to(before: VerifiedFile, after: VerifiedFile) -> str:
    return (
        f"Change the schedule to {after.variant.title}. {wording.summary(after.variant)} "
        f"{wording.formula(after.variant)}\n\n{wording.past_end(after.variant)}"
    )


def _should(before: VerifiedFile, after: VerifiedFile) -> str:
    return (
        f"Change the learning-rate schedule of this module. {wording.summary(after.variant)} Call it "
        f"{after.variant.title} in the docstring and in `scheduler.schedule`."
    )


_CHANGES = (_replace, _instead, _change_to, _should)


def _changed_defaults(before: VerifiedFile, after: VerifiedFile) -> str:
    """List the changed defaults of two files that differ only in defaults; empty for all other files."""

    def kind(file: VerifiedFile) -> tuple[object, ...]:
        variant = file.variant
        names = [parameter.name for parameter in variant.hyperparameters]
        return variant.formula, variant.constants, names, wording.advances(variant), wording.implementation(file.source)

    if kind(before) != kind(after):
        return ""
    pairs = zip(before.variant.hyperparameters, after.variant.hyperparameters, strict=True)
    return listed([f"`{a.name}` from {wording.number(a)} to {wording.number(b)}" for a, b in pairs if a != b])


def _differences(before: VerifiedFile, after: VerifiedFile) -> str:
    """Describe the class, unit, training and hyperparameters of the new schedule where they differ."""
    old, new = before.variant, after.variant
    names = sections.parse(after.source).hyperparameters
    removed = [f"`{name}`" for name in sections.parse(before.source).hyperparameters if name not in names]
    sentences = []
    if wording.implementation(after.source) != wording.implementation(before.source):
        sentences.append(f"Implement it with {wording.implementation(after.source)}.")
    if wording.advances(new) != wording.advances(old):
        sentences.append(f"It advances {wording.advances(new)}, not {wording.advances(old)}.")
    if wording.stepping(new) != wording.stepping(old):
        sentences.append(wording.stepping(new))
    if wording.training(after) != wording.training(before):
        sentences.append(wording.training(after))
    if new.hyperparameters:
        sentences.append(f"Its hyperparameters default to {wording.defaults(new)}.")
    if removed:
        sentences.append(f"Remove {listed(removed)} from `supported_hyperparameters`.")
    return " ".join(sentences)

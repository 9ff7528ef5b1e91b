"""A file and "change the schedule" → a diff that applies, or the whole new file; both files are verified ones.

What is changed and what comes of it are schedules of one family, so that they stand on one side of every split.
"""

from collections.abc import Callable, Iterator

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.wording import listed
from lrgen.records import Outcome
from lrgen.source import diffs, sections

NAME = "edit"
SUMMARY = "A file and the schedule it should have → a unified diff, or the whole new file."
EVIDENCE = ("equals", "patched")
PER_FILE = 2

_WANTS_DIFF = (
    f"Answer with a unified diff of `{diffs.FILE_NAME}`.",
    f"Give me the change as a patch to `{diffs.FILE_NAME}` that `git apply` takes.",
    f"I only want the diff (`--- a/{diffs.FILE_NAME}`, `+++ b/{diffs.FILE_NAME}`).",
)
_WANTS_FILE = ("Answer with the whole new file.", "Show the complete file as it is then.", "Return the full file.")


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Up to ``PER_FILE`` others of its network and family that become each file, by turns as a diff and whole."""
    relatives: dict[tuple[str, str], list[VerifiedFile]] = {}
    for file in task_input.files:
        relatives.setdefault((file.architecture.name, file.variant.family), []).append(file)
    for after in task_input.files:
        others = [one for one in relatives[after.architecture.name, after.variant.family] if one is not after]
        chance = task_input.chance(NAME, after.name)
        for turn, before in enumerate(chance.sample(others, min(PER_FILE, len(others))), start=1):
            as_diff = turn % 2 == 1
            asked = _asked(before, after, chance.choice(_CHANGES))
            wanted = chance.choice(_WANTS_DIFF if as_diff else _WANTS_FILE)
            yield Example(
                task=NAME,
                key=f"{after.name}/{turn}",
                prompt=f"{asked} {wanted}\n\n{wording.fenced(before.source)}",
                completion=diffs.unified(before.source, after.source) if as_diff else after.source,
                scope=Scope.FILE,
                files=(after, before),
                evidence={"applies_to": before.sha256, "patched": after.sha256}
                if as_diff
                else {"equals": after.sha256},
            )


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """The file after the diff that the completion is; a completion that is no diff is the new file.

    Raises:
        DatasetError: when the diff does not apply to the file of the question.
    """
    return diffs.patched(completion, wording.quoted(row["prompt"]))


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Right when the new file passes the checks, with the learning rates of the schedule that was asked for."""
    assert outcome is not None
    return Grade.of_outcome(outcome)


def _asked(before: VerifiedFile, after: VerifiedFile, change: Callable[[VerifiedFile, VerifiedFile], str]) -> str:
    changed = _changed_defaults(before, after)
    if changed:
        return (
            f"Keep the schedule of this file, but change what it does by default: {changed}. It is then "
            f"{after.variant.title}. {wording.summary(after.variant)}"
        )
    return f"{change(before, after)} {_how(before, after)}".rstrip()


def _replace(before: VerifiedFile, after: VerifiedFile) -> str:
    return f"Replace {before.variant.title} in this file by {after.variant.title}. {wording.summary(after.variant)}"


def _rather(before: VerifiedFile, after: VerifiedFile) -> str:
    return (
        f"This trains {before.architecture.title} with {before.variant.title}. I would rather have "
        f"{after.variant.title}: {_lowered(wording.summary(after.variant))}"
    )


def _change_to(before: VerifiedFile, after: VerifiedFile) -> str:
    return (
        f"Change the schedule to {after.variant.title}. {wording.summary(after.variant)} "
        f"{wording.formula(after.variant)}\n\n{wording.past_end(after.variant)}"
    )


def _should(before: VerifiedFile, after: VerifiedFile) -> str:
    return (
        f"The learning rate of this module should behave differently: {_lowered(wording.summary(after.variant))} In "
        f"the docstring call it {after.variant.title}."
    )


_CHANGES = (_replace, _rather, _change_to, _should)


def _changed_defaults(before: VerifiedFile, after: VerifiedFile) -> str:
    """Which defaults differ between two files whose schedules are the same otherwise; empty when they are not."""

    def kind(file: VerifiedFile) -> tuple[object, ...]:
        variant = file.variant
        names = [one.name for one in variant.hyperparameters]
        return variant.formula, variant.constants, names, wording.advances(variant), wording.implementation(file.source)

    if kind(before) != kind(after):
        return ""
    pairs = zip(before.variant.hyperparameters, after.variant.hyperparameters, strict=True)
    return listed([f"`{a.name}` from {wording.number(a)} to {wording.number(b)}" for a, b in pairs if a != b])


def _how(before: VerifiedFile, after: VerifiedFile) -> str:
    """Class, unit, training and hyperparameters of the new schedule, as far as they are news."""
    old, new = before.variant, after.variant
    names = sections.parse(after.source).hyperparameters
    gone = [f"`{name}`" for name in sections.parse(before.source).hyperparameters if name not in names]
    sentences = []
    if wording.implementation(after.source) != wording.implementation(before.source):
        sentences.append(f"Implement it with {wording.implementation(after.source)}.")
    if wording.advances(new) != wording.advances(old):
        sentences.append(f"It advances {wording.advances(new)} (until now: {wording.advances(old)}).")
    if wording.stepping(new) != wording.stepping(old):
        sentences.append(wording.stepping(new))
    if wording.training(after) != wording.training(before):
        sentences.append(wording.training(after))
    if new.hyperparameters:
        sentences.append(f"Its hyperparameters and their defaults: {wording.defaults(new)}.")
    if gone:
        sentences.append(f"{listed(gone)} {'is' if len(gone) == 1 else 'are'} no longer declared.")
    return " ".join(sentences)


def _lowered(text: str) -> str:
    return text[0].lower() + text[1:]

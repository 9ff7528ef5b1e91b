"""Fill-in-the-middle: a file without ``make_scheduler`` and its helpers → the missing code."""

from collections.abc import Iterator

from lrgen.finetune import wording
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.records import Outcome
from lrgen.source import sections

NAME = "infill"
SUMMARY = "A file without make_scheduler → the function and its helpers (fill-in-the-middle)."
EVIDENCE = ("infilled",)

_REQUESTS = (
    "`make_scheduler` is missing from this file. Write the code that replaces the TODO comment and nothing else.",
    "Complete the code at the TODO so that the file does what its docstring says. Answer with the missing code only.",
    "The scheduler of this module has been removed. Write the code that belongs at the TODO.",
    "Implement the TODO and answer with only that code. The schedule is {title}. {summary}",
    "Write `make_scheduler(optimizer, total_steps, prm)` for this module. {summary} {past_end}{defaults}",
    "What is missing at the TODO? Implement the scheduler with {implementation}; it is stepped {advances}.{defaults}",
)


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield one example of each file."""
    for file in task_input.files:
        request = task_input.chance(NAME, file.name).choice(_REQUESTS)
        variant = file.variant
        defaults = wording.defaults(variant)
        instruction = request.format(
            title=variant.title,
            summary=wording.summary(variant),
            past_end=wording.past_end(variant),
            implementation=wording.implementation(file.source),
            advances=wording.advances(variant),
            defaults=f" Defaults: {defaults}." if defaults else "",
        )
        parts = sections.parse(file.source)
        yield Example(
            task=NAME,
            key=file.name,
            prompt=f"{instruction}\n\n{wording.fenced(parts.incomplete)}",
            completion=parts.middle,
            scope=Scope.FILE,
            files=(file,),
            evidence={"infilled": file.sha256},
        )


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """Return the file of the prompt with the completion as its middle.

    Raises:
        DatasetError: when the prompt has no placeholder.
    """
    return sections.complete(wording.quoted(row["prompt"]), completion)


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the file by the checks against the schedule of the row."""
    assert outcome is not None
    return Grade.of_outcome(outcome)

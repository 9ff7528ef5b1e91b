"""A file without ``make_scheduler`` and what only it uses → these: put back, they give the file, byte by byte."""

from collections.abc import Iterator

from lrgen.finetune import wording
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.records import Outcome
from lrgen.source import sections

NAME = "infill"
SUMMARY = "A file without make_scheduler → the function, and what only it uses."
EVIDENCE = ("infilled",)

_REQUESTS = (
    "`make_scheduler` is missing in this file. Write what belongs at the comment; answer with that code alone.",
    "Fill in the gap that the TODO marks, so that the file does what its docstring says. Give only the missing code.",
    "The scheduler of this module has been cut out. Complete it where the comment stands.",
    "Complete the file: the code for the comment `TODO`, and nothing else. The schedule is {title}. {summary}",
    "Write `make_scheduler(optimizer, total_steps, prm)` for this module. {summary} {past_end}{defaults}",
    "What is missing at the TODO? Implement the scheduler with {implementation}; it is stepped {advances}.{defaults}",
)


def examples(task_input: TaskInput) -> Iterator[Example]:
    """One gap for each file."""
    for file in task_input.files:
        request = task_input.chance(NAME, file.name).choice(_REQUESTS)
        variant = file.variant
        defaults = wording.defaults(variant)
        asked = request.format(
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
            prompt=f"{asked}\n\n{wording.fenced(parts.incomplete)}",
            completion=parts.middle,
            scope=Scope.FILE,
            files=(file,),
            evidence={"infilled": file.sha256},
        )


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """The file of the question with the completion in its gap.

    Raises:
        DatasetError: when the question has no gap.
    """
    return sections.complete(wording.quoted(row["prompt"]), completion)


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Right when the file passes the checks, with the learning rates of its row's schedule."""
    assert outcome is not None
    return Grade.of_outcome(outcome)

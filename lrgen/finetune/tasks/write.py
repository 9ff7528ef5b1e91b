"""An instruction → the whole file: each file in brief words and in detailed ones."""

import json
from collections.abc import Callable, Iterator
from itertools import chain, islice

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.wording import bullets
from lrgen.records import Outcome

NAME = "write"
SUMMARY = "An instruction, terse or detailed → the whole file."
EVIDENCE = ("equals",)
PER_FILE = 2


def examples(task_input: TaskInput) -> Iterator[Example]:
    """``PER_FILE`` instructions for each file, by turns a brief and a detailed one."""
    for file in task_input.files:
        chance = task_input.chance(NAME, file.name)
        turns = zip(chance.sample(BRIEF, len(BRIEF)), chance.sample(DETAILED, len(DETAILED)), strict=True)
        for turn, phrased in enumerate(islice(chain.from_iterable(turns), PER_FILE), start=1):
            yield Example(
                task=NAME,
                key=f"{file.name}/{turn}",
                prompt=phrased(file),
                completion=file.source,
                scope=Scope.FILE,
                files=(file,),
                evidence={"equals": file.sha256},
            )


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """The completion, which is the file."""
    return completion


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Right when the file passes the checks, with the learning rates of its row's schedule."""
    assert outcome is not None
    return Grade.of_outcome(outcome)


# Brief: what is wanted, not how the file is built.


def _line(file: VerifiedFile) -> str:
    return f"{file.architecture.title} with {_named(file)}, stepped {wording.advances(file.variant)}."


def _request(file: VerifiedFile) -> str:
    return (
        f"Write a PyTorch module that trains {file.architecture.title} as an image classifier with "
        f"{file.variant.title}. {wording.summary(file.variant)} It is implemented with "
        f"{wording.implementation(file.source)} and stepped {wording.advances(file.variant)}.{_by_default(file)}"
    )


def _fields(file: VerifiedFile) -> str:
    parameters = (f"{one.name} = {wording.number(one)}" for one in file.variant.hyperparameters)
    fields = {
        "model": file.architecture.title,
        "schedule": file.variant.title,
        "scheduler": wording.implementation(file.source).replace("`", ""),
        "advances": wording.advances(file.variant),
        "defaults": ", ".join(parameters) or "none",
        "wanted": "one Python file, torch only",
    }
    return "\n".join(f"{name}: {value}" for name, value in fields.items())


def _question(file: VerifiedFile) -> str:
    return (
        f"How do I train {file.architecture.title} in plain PyTorch so that the learning rate does the following? "
        f"{wording.summary(file.variant)} I want {wording.implementation(file.source)} for it, stepped "
        f"{wording.advances(file.variant)}.{_by_default(file)} Please show the complete file."
    )


def _need(file: VerifiedFile) -> str:
    return (
        f"I need {file.architecture.title} in a single file: `supported_hyperparameters()`, `make_scheduler()` and a "
        f"class `Net` with `train_setup` and `learn`. It trains with {_named(file)}; the schedule "
        f"advances {wording.advances(file.variant)}."
    )


# Detailed: enough to write the file and to test it.


def _specification(file: VerifiedFile) -> str:
    return f"""\
Write one Python file to this specification.

## Network
{_network(file)}

## Schedule
{file.variant.title[0].upper()}{file.variant.title[1:]}, implemented with {wording.implementation(file.source)}. \
{wording.summary(file.variant)} {wording.formula(file.variant)}

{wording.stepping(file.variant)} {wording.past_end(file.variant)}

## Hyperparameters of the schedule
{_parameters(file)}

## Training
{wording.training(file)}

## Interface
{bullets(wording.contract(file))}"""


def _prose(file: VerifiedFile) -> str:
    return f"""\
Please implement {file.architecture.title} in PyTorch, in a file of its own. {file.architecture.summary}

It is trained with {file.variant.title}, for which I would like {wording.implementation(file.source)}. \
{wording.summary(file.variant)} {wording.formula(file.variant)}

{wording.past_end(file.variant)} {wording.stepping(file.variant)} {_parameters_in_prose(file)}

{wording.training(file)}

{" ".join(wording.contract(file))}"""


def _ticket(file: VerifiedFile) -> str:
    return f"""\
**Add {file.architecture.title} with {file.variant.title}**

{wording.summary(file.variant)} It advances {wording.advances(file.variant)}. {wording.formula(file.variant)}

Acceptance criteria:
{bullets(_criteria(file))}"""


def _numbered(file: VerifiedFile) -> str:
    lines = (f"{number}. {line}" for number, line in enumerate(_criteria(file), start=1))
    return (
        f"Write the module that trains {file.architecture.title} with {file.variant.title}. "
        f"{wording.summary(file.variant)} {wording.formula(file.variant)}\n\nRequirements:\n" + "\n".join(lines)
    )


def _json(file: VerifiedFile) -> str:
    variant = file.variant
    fields = {
        "network": {"title": file.architecture.title, "description": file.architecture.summary},
        "schedule": {
            "title": variant.title,
            "description": wording.summary(variant),
            "formula": variant.formula,
            "advances": wording.advances(variant),
            "past_end": wording.past_end(variant),
            "implementation": wording.implementation(file.source),
            "hyperparameters": {
                one.name: {"default": wording.number(one), "range": [one.low, one.high], "meaning": one.meaning}
                for one in variant.hyperparameters
            },
        },
        "training": [wording.training(file), wording.stepping(variant)],
        "interface": wording.contract(file),
    }
    specification = wording.fenced(f"{json.dumps(fields, indent=2)}\n", "json")
    return f"Implement this specification as one Python file; answer with its code.\n\n{specification}"


BRIEF: tuple[Callable[[VerifiedFile], str], ...] = (_line, _request, _fields, _question, _need)
DETAILED: tuple[Callable[[VerifiedFile], str], ...] = (_specification, _prose, _ticket, _numbered, _json)


def _named(file: VerifiedFile) -> str:
    defaults = wording.defaults(file.variant)
    return f"{file.variant.title} ({defaults})" if defaults else file.variant.title


def _by_default(file: VerifiedFile) -> str:
    defaults = wording.defaults(file.variant)
    return f" Defaults: {defaults}." if defaults else ""


def _network(file: VerifiedFile) -> str:
    return f"{file.architecture.title}. {file.architecture.summary}"


def _parameters(file: VerifiedFile) -> str:
    return bullets(wording.hyperparameters(file.variant)) or "None of its own."


def _parameters_in_prose(file: VerifiedFile) -> str:
    lines = wording.hyperparameters(file.variant)
    if not lines:
        return "The schedule has no hyperparameters of its own."
    count = "one hyperparameter" if len(lines) == 1 else f"{len(lines)} hyperparameters"
    return f"The schedule has {count} of its own: {'. '.join(lines)}."


def _criteria(file: VerifiedFile) -> list[str]:
    own = [f"Hyperparameter {line}." for line in wording.hyperparameters(file.variant)]
    return [
        file.architecture.summary,
        f"The scheduler is implemented with {wording.implementation(file.source)}.",
        wording.stepping(file.variant),
        wording.past_end(file.variant),
        *(own or ["The schedule has no hyperparameters of its own."]),
        wording.training(file),
        *wording.contract(file),
    ]

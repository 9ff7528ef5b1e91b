"""Instruction → file: brief and detailed instructions for each file."""

import json
from collections.abc import Callable, Iterator
from itertools import chain, islice

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.wording import bullets
from lrgen.records import Outcome

NAME = "write"
SUMMARY = "A brief or detailed instruction → the whole file."
EVIDENCE = ("equals",)
PER_FILE = 2


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield ``PER_FILE`` examples of each file, alternating between brief and detailed instructions."""
    for file in task_input.files:
        chance = task_input.chance(NAME, file.name)
        turns = zip(chance.sample(BRIEF, len(BRIEF)), chance.sample(DETAILED, len(DETAILED)), strict=True)
        for turn, instruction in enumerate(islice(chain.from_iterable(turns), PER_FILE), start=1):
            yield Example(
                task=NAME,
                key=f"{file.name}/{turn}",
                prompt=instruction(file),
                completion=file.source,
                scope=Scope.FILE,
                files=(file,),
                evidence={"equals": file.sha256},
            )


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """Return the completion, which is the file."""
    return completion


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the file by the checks against the schedule of the row."""
    assert outcome is not None
    return Grade.of_outcome(outcome)


# Brief instructions: the network and the schedule.


def _line(file: VerifiedFile) -> str:
    return f"{file.architecture.title} trained with {_named(file)}, stepped {wording.advances(file.variant)}."


def _request(file: VerifiedFile) -> str:
    return (
        f"Write a PyTorch module that trains {file.architecture.title} for image classification with "
        f"{file.variant.title}. {wording.summary(file.variant)} Implement the scheduler with "
        f"{wording.implementation(file.source)} and step it {wording.advances(file.variant)}.{_by_default(file)}"
    )


def _fields(file: VerifiedFile) -> str:
    parameters = (f"{parameter.name} = {wording.number(parameter)}" for parameter in file.variant.hyperparameters)
    fields = {
        "model": file.architecture.title,
        "schedule": file.variant.title,
        "scheduler": wording.implementation(file.source).replace("`", ""),
        "advances": wording.advances(file.variant),
        "defaults": ", ".join(parameters) or "none",
        "output": "one Python file that imports only torch and the standard library",
    }
    return "\n".join(f"{name}: {value}" for name, value in fields.items())


def _question(file: VerifiedFile) -> str:
    return (
        f"How do I train {file.architecture.title} in plain PyTorch with this learning-rate schedule? "
        f"{wording.summary(file.variant)} It should use {wording.implementation(file.source)} and be stepped "
        f"{wording.advances(file.variant)}.{_by_default(file)} Please show the complete file."
    )


def _need(file: VerifiedFile) -> str:
    return (
        f"I need {file.architecture.title} in a single file: `supported_hyperparameters()`, `make_scheduler()` and a "
        f"class `Net` with `train_setup` and `learn`. Train it with {_named(file)}; the schedule "
        f"advances {wording.advances(file.variant)}."
    )


# Detailed instructions: complete specifications.


def _specification(file: VerifiedFile) -> str:
    return f"""\
Write a Python file that meets this specification.

## Network
{_network(file)}

## Schedule
{file.variant.title[0].upper()}{file.variant.title[1:]}, implemented with {wording.implementation(file.source)}. \
{wording.summary(file.variant)} {wording.formula(file.variant)}

{wording.stepping(file.variant)} {wording.past_end(file.variant)}

## Schedule hyperparameters
{_parameters(file)}

## Training
{wording.training(file)}

## Interface
{bullets(wording.contract(file))}"""


def _prose(file: VerifiedFile) -> str:
    return f"""\
Please implement {file.architecture.title} in PyTorch in a single file. {file.architecture.summary}

It is trained with {file.variant.title}, implemented with {wording.implementation(file.source)}. \
{wording.summary(file.variant)} {wording.formula(file.variant)}

{wording.past_end(file.variant)} {wording.stepping(file.variant)} {_parameters_in_prose(file)}

{wording.training(file)}

{" ".join(wording.contract(file))}"""


def _ticket(file: VerifiedFile) -> str:
    return f"""\
**Add {file.architecture.title} with {file.variant.title}**

{wording.summary(file.variant)} The schedule advances {wording.advances(file.variant)}. {wording.formula(file.variant)}

Acceptance criteria:
{bullets(_criteria(file))}"""


def _numbered(file: VerifiedFile) -> str:
    lines = (f"{number}. {line}" for number, line in enumerate(_criteria(file), start=1))
    return (
        f"Write a module that trains {file.architecture.title} with {file.variant.title}. "
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
                parameter.name: {
                    "default": wording.number(parameter),
                    "range": [parameter.low, parameter.high],
                    "meaning": wording.marked(parameter.meaning),
                }
                for parameter in variant.hyperparameters
            },
        },
        "training": [wording.training(file), wording.stepping(variant)],
        "interface": wording.contract(file),
    }
    specification = wording.fenced(f"{json.dumps(fields, indent=2)}\n", "json")
    return f"Implement this specification as a single Python file. Answer with the code only.\n\n{specification}"


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
    return bullets(wording.hyperparameters(file.variant)) or "None."


def _parameters_in_prose(file: VerifiedFile) -> str:
    lines = wording.hyperparameters(file.variant)
    if not lines:
        return "The schedule has no hyperparameters."
    count = "one hyperparameter" if len(lines) == 1 else f"{len(lines)} hyperparameters"
    return f"The schedule has {count}: {'. '.join(lines)}."


def _criteria(file: VerifiedFile) -> list[str]:
    hyperparameters = [f"Hyperparameter {line}." for line in wording.hyperparameters(file.variant)]
    return [
        file.architecture.summary,
        f"The scheduler is implemented with {wording.implementation(file.source)}.",
        wording.stepping(file.variant),
        wording.past_end(file.variant),
        *(hyperparameters or ["The schedule has no hyperparameters."]),
        wording.training(file),
        *wording.contract(file),
    ]

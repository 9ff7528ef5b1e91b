"""The system's message of a row: the conventions of a project, and definitions of what a request only names."""

from collections.abc import Collection, Iterator
from enum import StrEnum

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import SYSTEM
from lrgen.finetune.wording import bullets


class Part(StrEnum):
    """A part of what a file must be."""

    INTERFACE = "interface"
    NETWORK = "network"
    SCHEDULE = "schedule"  # formula, unit, end and hyperparameters, without their defaults
    DEFAULTS = "defaults"
    TRAINING = "training"
    ANSWER = "answer"  # the form of the answer


WHOLE_FILE = "Answer with the code of the whole file alone, without Markdown."


def system(file: VerifiedFile, stated: Collection[Part], answer: str = WHOLE_FILE) -> str:
    """Return a system's message with the parts of a file that the prompt does not state."""
    begin = SYSTEM if Part.INTERFACE in stated else wording.interface(file)
    parts = {
        Part.NETWORK: f"Network: {wording.specified(file.architecture)}",
        Part.SCHEDULE: "\n\n".join(definition(file)),
        Part.DEFAULTS: defaults(file),
        Part.TRAINING: f"Training: {wording.training(file)}",
        Part.ANSWER: answer,
    }
    return "\n\n".join([begin, *(text for part, text in parts.items() if part not in stated and text)])


def definition(file: VerifiedFile) -> Iterator[str]:
    """Yield the paragraphs that define a schedule."""
    variant = file.variant
    title = f"{variant.title[:1].upper()}{variant.title[1:]}"
    yield (
        f"Schedule: {title}, implemented with {wording.implementation(file.source)}. {wording.summary(variant)} The "
        f"schedule advances {wording.advances(variant)}. {wording.formula(variant)}"
    )
    yield wording.past_end(variant)
    if variant.hyperparameters:
        lines = (
            f"`{parameter.name}`: {wording.marked(parameter.meaning)}, from {parameter.low:g} to {parameter.high:g}"
            for parameter in variant.hyperparameters
        )
        yield f"The hyperparameters of the schedule:\n\n{bullets(lines)}"


def defaults(file: VerifiedFile) -> str:
    """Return a sentence with the defaults of a schedule; empty without hyperparameters."""
    listed = wording.defaults(file.variant)
    return f"Defaults of the schedule: {listed}." if listed else ""

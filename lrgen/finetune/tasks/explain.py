"""Code → explanation of its schedule: its name, formula, hyperparameters and end, as far as the code shows them.

The code of a composition → its phases, in the form that is asked for.
"""

import json
import re
from collections.abc import Callable, Iterator

from lrgen.finetune import facts, wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import EXTRACTED, Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions import explain as instructions
from lrgen.finetune.realised import explain as realised
from lrgen.finetune.rows import COMPOSITION
from lrgen.finetune.wording import bullets
from lrgen.records import Outcome, Variant
from lrgen.source import sections

NAME = "explain"
SUMMARY = "A schedule or a whole file → its name, formula, hyperparameters and end, or its phases."
EVIDENCE = ("described_by",)
PER_SCHEDULE = 3

# What a summary of the catalogue says beside the schedule: its origin and its use, which the code does not show.
_BESIDE = re.compile(
    r"These are the milestones of|This schedule was proposed|This is a learning rate range test|The default ratio of"
    r"|Stochastic weight averaging|Snapshot ensembling|Fast geometric ensembling|ReLoRA|Frozen layers"
    r"|Instead of decaying the learning rate"
)
_ORIGIN = re.compile(
    r", (?:the milestones of large-minibatch training on ImageNet|a rule of thumb for Adam,|which \w+ calls burn-in"
    r"|which is once every \w+ epochs in the original recipe of \d+ epochs|as in \w+ YOLO)"
    r"|: every [\d.]+ epochs in the original recipe of \d+ epochs"
)


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield ``PER_SCHEDULE`` examples of each schedule without a network, and one of each file and composition."""
    # Of files without a practice: what is explained and graded is the schedule alone.
    with_variant: dict[int, list[VerifiedFile]] = {}
    for file in task_input.plain:
        with_variant.setdefault(file.variant.number, []).append(file)
    for files in with_variant.values():
        variant = files[0].variant
        chance = task_input.chance(NAME, variant.key)
        for turn, layout in enumerate(chance.sample(LAYOUTS, PER_SCHEDULE), start=1):
            file = chance.choice(files)
            code = sections.parse(file.source).standalone
            question = instructions.of_schedule(code, variant, chance)
            evidence = {"described_by": variant.key}
            yield Example(
                NAME, f"{variant.key}/{turn}", question, layout(variant), Scope.SCHEDULE, (file,), evidence=evidence
            )
    for file in task_input.plain:
        chance = task_input.chance(NAME, file.name)
        question = instructions.of_file(file.source, file.variant, chance)
        network = f"The file trains {file.architecture.title}. {wording.training(file)}"
        answer = f"{network}\n\n{chance.choice(LAYOUTS)(file.variant)}"
        evidence = {"described_by": file.variant.key, "optimizer": facts.optimizer_of(file)}
        yield Example(NAME, file.name, question, answer, Scope.FILE, (file,), evidence=evidence)
    yield from realised.examples(task_input, NAME)


def assemble(row: Row, completion: str, reference: Reference) -> None:
    """Return None: an explanation is compared with the catalogue, or the composition."""
    return None


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the explanation by the fraction of the requested facts that it states (lrgen.finetune.facts)."""
    if row["family"] == COMPOSITION:
        return realised.grade(row, completion, reference)
    stated = stated_facts(row, completion, reference)
    missing = [name for name, is_stated in stated.items() if not is_stated]
    if not missing:
        return Grade.correct()
    if len(missing) == len(stated):
        return Grade(False, "it states no fact about the schedule")
    return Grade(False, f"it does not state {wording.listed(missing)}", EXTRACTED, 1 - len(missing) / len(stated))


def stated_facts(row: Row, text: str, reference: Reference) -> dict[str, bool]:
    """Return by name whether a text states each fact that the question of a row asks for."""
    variant = reference.variant(row)
    if row["scope"] != Scope.FILE:
        return facts.of_schedule(variant, text)
    optimizer = json.loads(row["evidence"])["optimizer"]
    return facts.of_file(reference.architecture(row), variant, optimizer, text)


# Answers.


def _as_prose(variant: Variant) -> str:
    own = _hyperparameters(variant)
    parameters = f"Its hyperparameters are:\n\n{bullets(own)}" if own else "It has no hyperparameters."
    return f"""\
This is {variant.title}. {summary(variant)} The schedule advances {wording.advances(variant)}.

{wording.formula(variant)}

{parameters}

{wording.past_end(variant)}"""


def _as_bullets(variant: Variant) -> str:
    lines = [
        f"**Schedule:** {variant.title}. {summary(variant)}",
        f"**Unit:** advances {wording.advances(variant)}; `total_steps` counts {wording.counted_in(variant)}.",
        *(f"**Hyperparameter** {line}." for line in _hyperparameters(variant)),
        *(() if variant.hyperparameters else ("**Hyperparameters:** none.",)),
        f"**End:** {wording.past_end(variant)}",
    ]
    return f"{bullets(lines)}\n\n{wording.formula(variant)}"


def _in_sections(variant: Variant) -> str:
    return f"""\
## {variant.title[0].upper()}{variant.title[1:]}

{summary(variant)}

### Formula
{wording.formula(variant)}

### Unit and end
The schedule advances {wording.advances(variant)}. {wording.past_end(variant)}

### Hyperparameters
{bullets(_hyperparameters(variant)) or "None."}"""


def _formula_first(variant: Variant) -> str:
    own = _hyperparameters(variant)
    parameters = f"Hyperparameters:\n\n{bullets(own)}" if own else "The schedule has no hyperparameters."
    return f"""\
{wording.formula(variant)}

{parameters}

In words: {_uncapitalized(summary(variant))} This is {variant.title}. It advances {wording.advances(variant)}. \
{wording.past_end(variant)}"""


LAYOUTS: tuple[Callable[[Variant], str], ...] = (_as_prose, _as_bullets, _in_sections, _formula_first)


def summary(variant: Variant) -> str:
    """Return the description of a schedule without its origin and its use."""
    sentences = re.split(r"(?<=\.) ", wording.summary(variant))
    return _ORIGIN.sub("", " ".join(sentence for sentence in sentences if not _BESIDE.match(sentence)))


def _uncapitalized(text: str) -> str:
    """Return a text that goes on behind a colon: ``the learning rate …``."""
    return f"t{text[1:]}" if text.startswith("The ") else text


def _hyperparameters(variant: Variant) -> list[str]:
    """Return a line for each hyperparameter: its meaning and default."""
    return [
        f"`{parameter.name}`: {wording.marked(parameter.meaning)}; default {wording.number(parameter)}"
        for parameter in variant.hyperparameters
    ]

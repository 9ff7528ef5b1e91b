"""Code → explanation of its schedule, composed from the catalogue."""

import re
from collections.abc import Callable, Iterator

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import EXTRACTED, Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.wording import bullets
from lrgen.records import Family, Hyperparameter, Outcome, PastEnd, Variant
from lrgen.source import sections

NAME = "explain"
SUMMARY = "A schedule or a whole file → its family, unit, formula, hyperparameters, end and reference."
EVIDENCE = ("described_by",)
PER_SCHEDULE = 3

_PAST_END = {
    PastEnd.HOLD: r"\b(stays?|holds?|held|constant|remains?|unchanged)\b",
    PastEnd.CONTINUE: r"\b(open-ended|goes on|continues?|keeps on)\b",
}

_OF_SCHEDULES = (
    "Explain this learning-rate schedule.",
    "What does the learning rate do here? Name the schedule and give its formula and hyperparameters.",
    "I found this `make_scheduler` in a repository. Which schedule is it?",
    "Document this scheduler: formula, hyperparameters with defaults and ranges, and behaviour after `total_steps`.",
    "Describe the schedule that this code implements, in words and as a formula.",
    "Which schedule is this, and what is its reference?",
)
_OF_FILES = (
    "Which learning-rate schedule does this file use? Explain it in full.",
    "Explain how the learning rate evolves in this training module.",
    "Explain how this network is trained, in particular its learning-rate schedule.",
    "Which network is trained here, and with which schedule? Give its unit, formula and hyperparameters.",
)


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield ``PER_SCHEDULE`` examples of each schedule without a network, and one of each whole file."""
    with_variant: dict[int, list[VerifiedFile]] = {}
    for file in task_input.files:
        with_variant.setdefault(file.variant.number, []).append(file)
    for files in with_variant.values():
        variant = files[0].variant
        chance = task_input.chance(NAME, variant.key)
        forms = zip(chance.sample(_OF_SCHEDULES, PER_SCHEDULE), chance.sample(LAYOUTS, PER_SCHEDULE), strict=True)
        for turn, (question, layout) in enumerate(forms, start=1):
            file = chance.choice(files)
            code = wording.fenced(sections.parse(file.source).standalone)
            answer = layout(file, task_input.catalogue.family(variant.family))
            # The code does not show where the scheduler is stepped.
            prompt = f"{question} It is stepped {wording.advances(variant)}.\n\n{code}"
            yield _example(f"{variant.key}/{turn}", prompt, answer, Scope.SCHEDULE, file)
    for file in task_input.files:
        chance = task_input.chance(NAME, file.name)
        network = f"The file trains {file.architecture.title}. {file.architecture.summary} {wording.training(file)}"
        question = f"{chance.choice(_OF_FILES)}\n\n{wording.fenced(file.source)}"
        answer = chance.choice(LAYOUTS)(file, task_input.catalogue.family(file.variant.family))
        yield _example(file.name, question, f"{network}\n\n{answer}", Scope.FILE, file)


def _example(key: str, prompt: str, answer: str, scope: Scope, file: VerifiedFile) -> Example:
    return Example(NAME, key, prompt, answer, scope, (file,), evidence={"described_by": file.variant.key})


def assemble(row: Row, completion: str, reference: Reference) -> None:
    """Return None: an explanation is compared with the catalogue."""
    return None


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the explanation by the facts that it states.

    The facts are the family, the unit, the formula, the default of each hyperparameter and the behaviour after the
    horizon.
    """
    variant = reference.variant(row)
    stated = facts(variant, reference.catalogue.family(variant.family), completion)
    missing = [name for name, is_stated in stated.items() if not is_stated]
    if not missing:
        return Grade.correct()
    if len(missing) == len(stated):
        return Grade(False, "it states no fact about the schedule")
    return Grade(False, f"it does not state {wording.listed(missing)}", EXTRACTED, 1 - len(missing) / len(stated))


def facts(variant: Variant, family: Family, text: str) -> dict[str, bool]:
    """Return by name whether a text states each required fact."""
    return {
        "the family": family.title.casefold() in text.casefold(),
        "the unit": wording.advances(variant) in text,
        "the formula": _squeezed(variant.formula) in _squeezed(text),
        **{
            f"the default of `{parameter.name}`": _states_default(parameter, text)
            for parameter in variant.hyperparameters
        },
        "the behaviour after the horizon": _stated_past_end(text) == {variant.past_end},
    }


def _squeezed(text: str) -> str:
    return re.sub(r"[\s`]", "", text)


def _states_default(parameter: Hyperparameter, text: str) -> bool:
    """Return whether a line gives the default of a hyperparameter: ``0.1 by default``, ``default 0.1``, ``= 0.1``."""
    numbers = "|".join({re.escape(wording.number(parameter)), re.escape(f"{parameter.default:g}")})
    number = rf"(?<![\w./])(?:{numbers})(?![\w/]|\.\d)"
    given = (
        rf"{number} by default|\bdefaults?\b(?: is| to| of|:|=)* `?{number}"
        rf"|`?{parameter.name}`?(?: is| =|=|:| \() ?`?{number}"
    )
    lines = (line for line in text.splitlines() if re.search(rf"\b{parameter.name}\b", line))
    return any(re.search(given, line) for line in lines)


def _stated_past_end(text: str) -> set[PastEnd]:
    """Return the behaviours after the horizon that a text states."""
    sentences = [
        sentence
        for sentence in re.split(r"(?<=[.!?;])\s", text)
        if re.search(r"\b(beyond|past|after|open-ended)\b", sentence, re.IGNORECASE)
        and re.search(r"total_steps|\bend\b|\bhorizon\b|open-ended", sentence)
    ]
    return {end for end, words in _PAST_END.items() if any(re.search(words, sentence) for sentence in sentences)}


def _as_prose(file: VerifiedFile, family: Family) -> str:
    variant = file.variant
    own = wording.hyperparameters(variant)
    parameters = f"Its hyperparameters are:\n\n{bullets(own)}" if own else "It has no hyperparameters."
    return f"""\
This is {variant.title}, of the family "{family.title}". {wording.summary(variant)} It is implemented with \
{wording.implementation(file.source)} and advances {wording.advances(variant)}.

{wording.formula(variant)}

{parameters}

{wording.past_end(variant)} Reference: {_reference(file)}."""


def _as_bullets(file: VerifiedFile, family: Family) -> str:
    variant = file.variant
    lines = [
        f"**Schedule:** {variant.title}. {wording.summary(variant)}",
        f"**Family:** {family.title}. {wording.marked(family.summary)}",
        f"**Unit:** advances {wording.advances(variant)}; `total_steps` counts {wording.counted_in(variant)}.",
        f"**Implemented with:** {wording.implementation(file.source)}.",
        *(f"**Hyperparameter** {line}." for line in wording.hyperparameters(variant)),
        *(() if variant.hyperparameters else ("**Hyperparameters:** none.",)),
        f"**After the horizon:** {wording.past_end(variant)}",
        f"**Reference:** {_reference(file)}.",
    ]
    return f"{bullets(lines)}\n\n{wording.formula(variant)}"


def _in_sections(file: VerifiedFile, family: Family) -> str:
    variant = file.variant
    return f"""\
## {variant.title[0].upper()}{variant.title[1:]}

{wording.summary(variant)}

### Formula
{wording.formula(variant)}

### Unit
The schedule advances {wording.advances(variant)}. {wording.past_end(variant)}

### Hyperparameters
{bullets(wording.hyperparameters(variant)) or "None."}

### Origin
Family "{family.title}". Implemented with {wording.implementation(file.source)}. Reference: {_reference(file)}."""


def _formula_first(file: VerifiedFile, family: Family) -> str:
    variant = file.variant
    own = wording.hyperparameters(variant)
    parameters = f"Hyperparameters:\n\n{bullets(own)}" if own else "The schedule has no hyperparameters."
    return f"""\
{wording.formula(variant)}

{parameters}

In words: {wording.summary(variant)} This is {variant.title}, of the family "{family.title}". It is implemented \
with {wording.implementation(file.source)} and advances {wording.advances(variant)}. {wording.past_end(variant)}

Reference: {_reference(file)}."""


LAYOUTS: tuple[Callable[[VerifiedFile, Family], str], ...] = (_as_prose, _as_bullets, _in_sections, _formula_first)


def _reference(file: VerifiedFile) -> str:
    return ", ".join(filter(None, (file.variant.source, file.variant.paper)))

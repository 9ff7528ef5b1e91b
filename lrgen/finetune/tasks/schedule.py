"""Words for a composition → the code of its schedule alone, in the style that is asked for."""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions import Instruction
from lrgen.finetune.instructions.compositions import requests
from lrgen.realisations import Call, Interface, Realisation, Style
from lrgen.realisations.recognition import departure
from lrgen.records import Outcome
from lrgen.verify import generated

NAME = "schedule"
SUMMARY = "A schedule in words, as a table, a plot or a formula → the function alone, in the requested style."
EVIDENCE = ("executed",)
PER_COMPOSITION = 2

_WIDTH = 88
_OPEN = 4  # one in so many compositions has a question with several answers


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield ``PER_COMPOSITION`` examples of each composition, and of some a question with several answers."""
    for realised in task_input.compositions:
        chance = task_input.chance(NAME, realised.number)
        chosen = chance.sample(realised.realisations, min(PER_COMPOSITION, len(realised.realisations)))
        for turn, realisation in enumerate(chosen, start=1):
            instruction = requests.of_style(realised.composition, realisation, chance)
            asked = {"style": realisation.style.value}
            yield _example(realised, realisation, instruction, f"{realised.number}/{turn}", asked)
        if realised.number % _OPEN == 0:
            yield from _several(task_input, realised)


def _several(task_input: TaskInput, realised: RealisedComposition) -> Iterator[Example]:
    """Yield examples with one question and different answers: the functions that return a scheduler."""
    chance = task_input.chance(NAME, realised.number, "several")
    functions = [each for each in realised.realisations if _is_function(each)]
    answers = functions[:1]
    for other in functions[1:]:
        renamed = _renamed(other, answers[0].interface)
        if renamed is not None:
            generated.check(renamed, realised.composition, chance)
            answers.append(renamed)
    if len(answers) == 1 or not answers:
        return
    instruction = requests.of_any_style(realised.composition, answers[0], chance)
    for number, realisation in enumerate(answers, start=1):
        yield _example(realised, realisation, instruction, f"{realised.number}/any/{number}")


def assemble(row: Row, completion: str, reference: Reference) -> str:
    """Return the completion, which is the code."""
    return completion


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the code by its learning rates, which are compared with the curve of the composition, and by its style."""
    assert outcome is not None
    graded, style = Grade.of_outcome(outcome), json.loads(row["evidence"]).get("style")
    called = reference.interface(row)
    if not graded.passed or style is None or called is None:
        return graded
    reason = departure(completion, Style(style), called.call)
    return dataclasses.replace(graded, passed=False, reason=reason, fraction=0.0) if reason else graded


def _example(
    realised: RealisedComposition,
    realisation: Realisation,
    instruction: Instruction,
    key: str,
    asked: Mapping[str, str] = MappingProxyType({}),
) -> Example:
    return Example(
        task=NAME,
        key=key,
        prompt=instruction.prompt,
        completion=realisation.code,
        scope=Scope.SCHEDULE,
        evidence={"executed": realised.composition.id, **asked},
        system=instruction.system,
        composition=realised,
        styles=(realisation.style,),
        interface=realisation.interface,
    )


def _is_function(realisation: Realisation) -> bool:
    """Return whether the code is a function that returns a scheduler."""
    interface = realisation.interface
    return interface.call is Call.SCHEDULER and f"def {interface.entry}(" in realisation.code


def _renamed(realisation: Realisation, interface: Interface) -> Realisation | None:
    """Return code under the name of another; None where it is called otherwise, or would be formatted otherwise."""
    own = realisation.interface
    if dataclasses.replace(own, entry=interface.entry) != interface:
        return None
    code = re.sub(rf"\b{own.entry}\b", interface.entry, realisation.code)
    shorter = len(interface.entry) < len(own.entry) and f"def {own.entry}(\n" in realisation.code
    if shorter or max(map(len, code.splitlines())) > _WIDTH or re.search(rf"\b{interface.entry}\b", realisation.code):
        return realisation if own == interface else None
    return Realisation(realisation.style, code, interface)

"""The code of a composition and one step → the working: its variables and conditions in order, and the learning rate.

The values are those of an execution of the code. A completion is graded by the learning rate of the curve and by each
value that it states.
"""

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lrgen.errors import CorpusError
from lrgen.finetune.compositions import RealisedComposition
from lrgen.finetune.example import EXTRACTED, Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.instructions.realised import worked as instructions
from lrgen.finetune.instructions.realised.calls import Setting
from lrgen.finetune.realised import settings
from lrgen.records import Outcome
from lrgen.verify import working
from lrgen.verify.working import Kind, Working

NAME = "worked"
SUMMARY = "The code of a schedule and one step → the working: variables, conditions, and the learning rate."
EVIDENCE = ("worked",)
TOLERANCE = 1e-5
"""The relative tolerance of a value; prompts request six significant digits."""

_TRIED = 3  # settings of a composition
_STATEMENTS = range(3, 25)
_WEIGHTS = (4, 3, 2, 2, 2)  # of the forms of an answer
_EXACT = 1e-9  # of the base learning rate

_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:e[-+]?\d+)?(?!\w)", re.IGNORECASE)
_TARGET = re.compile(r"^[\s>|*+-]*(?:\(?\d+[.):][ \t]+)?[`*]*([A-Za-z_][\w.]*)[`*]*\s*(?::=|=(?!=)|\|)")
_PARTS = re.compile(r"\n|;[ \t]|\.[ \t]+(?=[A-Z`])")
_TRUTH = re.compile(r"\b(true|false)\b", re.IGNORECASE)
_MARKS = re.compile(r"[\s`*]+")


def examples(task_input: TaskInput) -> Iterator[Example]:
    """Yield an example of each composition, in a realisation that computes one step at a time.

    Raises:
        CorpusError: when the learning rate of the code differs from the curve.
    """
    for realised in task_input.compositions:
        chance = task_input.chance(NAME, realised.number)
        realisations = [each for each in realised.realisations if working.is_possible(each)]
        for _ in range(_TRIED if realisations else 0):
            setting = settings.drawn(realised, chance.choice(realisations), chance)
            step = settings.step_of(setting, chance)
            if example := _example(realised, setting, step, chance):
                yield example
                break


def _example(realised: RealisedComposition, setting: Setting, step: int, chance: random.Random) -> Example | None:
    """Return the example of a step; None if its working is too short or too long."""
    execution = working.of(
        setting.realisation.code,
        setting.interface,
        setting.composition,
        step=step,
        group=setting.group,
        horizon=setting.horizon,
        base_lr=setting.lr,
    )
    if execution is None or len(execution.before) + len(execution.at_step) not in _STATEMENTS or not execution.at_step:
        return None
    (expected,) = settings.curve(setting, [step])
    if not abs(execution.rate - expected) <= _EXACT * setting.lr:
        raise CorpusError(
            f"composition {setting.composition.id} as {setting.realisation.style}: at step {step} of horizon "
            f"{setting.horizon} the rate is {execution.rate:g}, but its curve gives {expected:g}"
        )
    rate = settings.digits(execution.rate, setting.lr)
    if rate != settings.digits(expected, setting.lr):
        return None
    form = chance.choices(instructions.FORMS, _WEIGHTS)[0]
    return Example(
        task=NAME,
        key=settings.key_of(realised),
        prompt=instructions.question(setting, step, form, chance),
        completion=form.write(execution.before, execution.at_step, rate, _product(execution, setting, rate), chance),
        scope=Scope.SCHEDULE,
        evidence={
            "worked": setting.composition.id,
            "horizon": setting.horizon,
            "lr": setting.lr,
            "group": setting.group,
            "steps": [step],
            **_stated_values(execution),
        },
        composition=realised,
        styles=(setting.realisation.style,),
    )


def _product(execution: Working, setting: Setting, rate: str) -> str:
    """Return the product that the learning rate is, with its equals sign; empty if the last value is the rate."""
    last = next((each for each in reversed(execution.at_step) if each.kind in (Kind.ASSIGNED, Kind.RETURNED)), None)
    if last is None or settings.digits(float(last.value), setting.lr) == rate:
        return ""
    multiplier = float(setting.composition.groups[setting.group])
    for factors in ((setting.lr, float(last.value)), (setting.lr, multiplier, float(last.value))):
        product = 1.0
        for factor in factors:
            product *= factor
        if abs(product - execution.rate) <= _EXACT * setting.lr:
            return f"{' * '.join(working.text(factor) for factor in factors)} = "
    return ""


def _stated_values(execution: Working) -> dict[str, Any]:
    """Return the values of each variable and the truth of each condition, as evidence."""
    values: dict[str, list[float]] = {}
    conditions: dict[str, list[bool]] = {}
    for executed in (*execution.before, *execution.at_step):
        if executed.is_variable:
            _add(values, executed.target, executed.value)
        elif executed.kind is Kind.BRANCH:
            _add(conditions, executed.expression, executed.value)
    return {"values": values, "conditions": conditions}


def _add(values: dict[str, list[Any]], name: str, value: Any) -> None:
    known = values.setdefault(name, [])
    if value not in known:
        known.append(value)


def assemble(row: Row, completion: str, reference: Reference) -> None:
    """Return None: values are compared with those of the execution, the learning rate with the curve."""
    return None


def grade(row: Row, completion: str, reference: Reference, outcome: Outcome | None) -> Grade:
    """Grade the values of variables, the conditions and the learning rate.

    Each variable must be stated, with a value that it had; the learning rate stands last.
    """
    evidence = json.loads(row["evidence"])
    values: dict[str, list[float]] = evidence["values"]
    lines = _lines(completion)
    last = _NUMBER.findall(lines[-1]) if lines else []
    if not last:
        return Grade(False, "its last line has no learning rate")
    composition = reference.composition(row)
    assert composition is not None
    (expected,) = settings.rates_of(composition, evidence)
    stated = _stated(lines[:-1], values)
    right = {name for name, numbers in stated.items() if all(_is_one_of(number, values[name]) for number in numbers)}
    is_right = abs(float(last[-1]) - expected) <= TOLERANCE * abs(expected) + TOLERANCE**2 * evidence["lr"]
    fraction = (len(right) + is_right) / (len(values) + 1)
    if not is_right:
        return Grade(False, f"the learning rate must be {expected:.6g}, got {last[-1]}", EXTRACTED, min(fraction, 0.99))
    for name in values:
        if name not in stated:
            return Grade(False, f"it does not state {name}", EXTRACTED, fraction)
        if name not in right:
            own = working.text(values[name][-1])
            return Grade(False, f"{name} is {own}, got {stated[name][-1]:.6g}", EXTRACTED, fraction)
    wrong = _wrong_condition(lines, evidence["conditions"])
    return Grade(False, f"wrong condition: {wrong}", EXTRACTED, min(fraction, 0.99)) if wrong else Grade.correct()


def _lines(completion: str) -> list[str]:
    """Return the lines and sentences of a completion, without fences."""
    parts = (part.strip() for part in _PARTS.split(completion))
    return [part for part in parts if part and not part.startswith("```")]


def _stated(lines: Sequence[str], values: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return the numbers that lines state for variables: the last number of each line that begins with one."""
    stated: dict[str, list[float]] = {}
    for line in lines:
        target = _TARGET.match(line)
        if target is not None and target[1] in values and (numbers := _NUMBER.findall(line[target.end() :])):
            stated.setdefault(target[1], []).append(float(numbers[-1]))
    return stated


def _is_one_of(number: float, values: Sequence[float]) -> bool:
    """Return whether a number is one of some values: a whole number exactly."""
    return any(
        number == value if isinstance(value, int) else abs(number - value) <= TOLERANCE * abs(value) + TOLERANCE**2
        for value in values
    )


def _wrong_condition(lines: Sequence[str], conditions: Mapping[str, Sequence[bool]]) -> str:
    """Return a condition that a line states with a truth value that it never had; empty if there is none."""
    known = {_MARKS.sub("", condition): truths for condition, truths in conditions.items()}
    for line in lines:
        words, bare = _TRUTH.findall(line), _MARKS.sub("", line)
        stated = [text for text in known if text in bare]
        if words and stated:  # the longest: ``step<500`` contains ``step<50``
            condition = max(stated, key=len)
            if (words[-1].lower() == "true") not in known[condition]:
                return condition
    return ""

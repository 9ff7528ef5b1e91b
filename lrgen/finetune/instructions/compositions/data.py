"""A composition as data: YAML, JSON, a Python literal, a command line."""

import json
import random
import re
from fractions import Fraction
from typing import Any

from lrgen.curves.compositions import Phase, Shape
from lrgen.curves.compositions.phases import ONE
from lrgen.finetune.instructions.compositions import numbers
from lrgen.finetune.instructions.compositions.terms import Lengths, Levels, Terms
from lrgen.finetune.wording import fenced

Value = int | float | str | list[Any] | dict[str, Any]

# The words for the keys, as configurations have them.
_KEYS = (
    {"shape": "shape", "start": "start", "end": "end", "length": "length", "peak": "peak"},
    {"shape": "type", "start": "from", "end": "to", "length": "length", "peak": "peak"},
    {"shape": "kind", "start": "start_factor", "end": "end_factor", "length": "fraction", "peak": "peak_factor"},
    {"shape": "name", "start": "begin", "end": "end", "length": "duration", "peak": "top"},
    {"shape": "curve", "start": "initial", "end": "final", "length": "share", "peak": "max"},
)
_COUNTED_KEYS = {"length": ("steps", "num_steps", "duration")}
_LISTS = ("phases", "schedule", "segments", "parts", "lr_phases")


def fields(terms: Terms, chance: random.Random, *, after: bool = False) -> dict[str, Value]:
    """Return a composition as fields of a configuration; ``after``: with the level after the end."""
    composition = terms.composition
    keys = dict(chance.choice(_KEYS))
    if terms.lengths is Lengths.STEPS:
        keys["length"] = (
            terms.steps.replace(" ", "_") if chance.random() < 0.6 else chance.choice(("steps", "duration"))
        )
    elif keys["length"] in ("duration", "length"):
        keys["length"] = "fraction"
    if terms.levels is Levels.ABSOLUTE and keys["start"].endswith("_factor"):
        keys |= {"start": "start_lr", "end": "end_lr", "peak": "peak_lr"}
    content: dict[str, Value] = {"unit": composition.unit.value}
    if terms.lengths is Lengths.STEPS or not terms.scales:
        content["total_steps"] = composition.horizon
    if terms.levels is not Levels.ABSOLUTE:
        content["levels"] = "multiples of base_lr"
    elif not keys["start"].endswith("_lr"):
        content["levels"] = "learning rates"
    if composition.repeats > 1:
        content["repeats"] = composition.repeats
        if composition.repeat_decay != 1:
            content["repeat_decay"] = number(composition.repeat_decay)
    if composition.groups != (ONE,):
        content["group_multipliers"] = [number(group) for group in composition.groups]
    content[chance.choice(_LISTS)] = [_phase(phase, terms, keys) for phase in composition.phases]
    if after:
        final = composition.phases[-1].end * composition.repeat_decay ** (composition.repeats - 1)
        content["after_end"] = _level(final, terms)
    return content


def _phase(phase: Phase, terms: Terms, keys: dict[str, str]) -> dict[str, Value]:
    values: dict[str, Value] = {keys["shape"]: phase.shape.value, keys["length"]: _length(phase.length, terms)}
    if phase.shape is Shape.HOLD:
        values["level" if terms.levels is not Levels.ABSOLUTE else "lr"] = _level(phase.start, terms)
        return values
    values[keys["start"]] = _level(phase.start, terms)
    if phase.shape is Shape.TRIANGULAR:
        values[keys["peak"]] = _level(phase.peak, terms)
    elif phase.shape is not Shape.STEPS:
        values[keys["end"]] = _level(phase.end, terms)
    if phase.shape is Shape.POLYNOMIAL:
        values["power"] = number(phase.power)
    if phase.shape is Shape.STEPS:
        values |= {"stages": phase.count, "gamma": number(phase.decay)}
    if phase.shape.is_cyclic:
        values["cycles"] = phase.count
        if phase.decay != 1:
            values["amplitude_decay"] = number(phase.decay)
    return values


def number(value: Fraction) -> int | float | str:
    """Return a number as JSON has it; a text where it has no decimal form."""
    if value.denominator == 1:
        return int(value)
    return float(value) if numbers.decimal(value) else numbers.ratio(value)


def _level(level: Fraction, terms: Terms) -> int | float | str:
    return number(level * terms.composition.base_lr if terms.levels is Levels.ABSOLUTE else level)


def _length(length: Fraction, terms: Terms) -> int | float | str:
    return number(length * terms.per_period if terms.lengths is Lengths.STEPS else length)


def as_json(terms: Terms, chance: random.Random, *, after: bool = False) -> str:
    """Return a code block of JSON."""
    content = fields(terms, chance, after=after)
    if chance.random() < 0.5:
        return fenced(f"{_short(json.dumps(content, indent=2))}\n", "json")
    name = next(key for key, value in content.items() if isinstance(value, list) and key in _LISTS)
    phases: Any = content.pop(name)
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in content.items()]
    lines += [f"  {json.dumps(name)}: [", ",\n".join(f"    {json.dumps(phase)}" for phase in phases), "  ]"]
    return fenced(_short("\n".join(["{", *lines, "}"])) + "\n", "json")


def _short(text: str) -> str:
    """Numbers with short exponents: ``3e-5``, not ``3e-05``."""
    return re.sub(r"(?<=\d)e-0(?=\d)", "e-", text)


def as_yaml(terms: Terms, chance: random.Random, *, after: bool = False) -> str:
    """Return a code block of YAML."""
    flow = chance.random() < 0.5
    lines: list[str] = []
    for key, value in fields(terms, chance, after=after).items():
        if not isinstance(value, list) or key == "group_multipliers":
            lines.append(f"{key}: {_scalar(value)}")
            continue
        lines.append(f"{key}:")
        for phase in value:
            if flow:
                lines.append(f"  - {{{', '.join(f'{name}: {_scalar(inner)}' for name, inner in phase.items())}}}")
            else:
                texts = [f"{name}: {_scalar(inner)}" for name, inner in phase.items()]
                lines += [f"  - {texts[0]}", *(f"    {text}" for text in texts[1:])]
    return fenced("".join(f"{line}\n" for line in lines), "yaml")


def _scalar(value: Value) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    if isinstance(value, float):
        return re.sub(r"^(\d+)e", r"\1.0e", _short(str(value)))  # YAML takes 3e-5 for a text, and 3.0e-5 for a number
    return f'"{value}"' if isinstance(value, str) and "/" in value else str(value)

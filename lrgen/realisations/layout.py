"""Statements laid out as Black lays them out."""

import re
from collections.abc import Sequence

from lrgen.realisations.folding import WIDTH, folded

_IMPORTS = (
    ("math.", re.compile(r"\bmath\."), "import math"),
    ("np.", re.compile(r"\bnp\."), "import numpy as np"),
    ("bisect_right(", re.compile(r"\bbisect_right\("), "from bisect import bisect_right"),
    ("partial(", re.compile(r"\bpartial\("), "from functools import partial"),
    ("pairwise(", re.compile(r"\bpairwise\("), "from itertools import pairwise"),
    ("@dataclass", re.compile(r"@dataclass\b"), "from dataclasses import dataclass"),
    ("Callable[", re.compile(r"\bCallable\["), "from collections.abc import Callable"),
    ("Optimizer", re.compile(r"\bOptimizer\b(?!\.)"), "from torch.optim import Optimizer"),
    ("DataLoader", re.compile(r"\bDataLoader\b"), "from torch.utils.data import DataLoader"),
    ("nn.", re.compile(r"\bnn\."), "from torch import nn"),
    ("torch.", re.compile(r"\btorch\."), "import torch"),
    ("F.", re.compile(r"\bF\.\w"), "from torch.nn import functional as F"),
)
_SCHEDULERS = re.compile(
    r"\b(LambdaLR|LRScheduler|SequentialLR|LinearLR|ConstantLR|CosineAnnealingWarmRestarts|CosineAnnealingLR|PolynomialLR"
    r"|ExponentialLR|MultiStepLR|StepLR)\b"
)
_STANDARD = ("math", "bisect", "dataclasses", "functools", "itertools", "collections", "typing", "__future__")


def indented(lines: Sequence[str], depth: int = 1) -> list[str]:
    """The lines, further to the right."""
    return [f"{'    ' * depth}{line}" if line else line for line in lines]


def wrapped(head: str, items: Sequence[str], tail: str, depth: int = 0) -> list[str]:
    """``head``, which opens a bracket, the items, and ``tail``, which closes it: on one line or on several."""
    flat = f"{head}{', '.join(items)}{tail}"
    if len(flat) + 4 * depth <= WIDTH:
        return [flat]
    return [head, *indented([f"{item}," for item in items]), tail.lstrip(",")]


def signature(name: str, parameters: Sequence[str], returns: str = "", depth: int = 0) -> list[str]:
    """The line or lines of ``def``."""
    tail = f") -> {returns}:" if returns else "):"
    flat = f"def {name}({', '.join(parameters)}{tail}"
    if len(flat) + 4 * depth <= WIDTH:
        return [flat]
    inner = ", ".join(parameters)
    if len(inner) + 4 * (depth + 1) <= WIDTH:
        return [f"def {name}(", *indented([inner if len(parameters) > 1 else f"{inner},"]), tail]
    return [f"def {name}(", *indented([f"{p}," for p in parameters]), tail]


def called(head: str, arguments: Sequence[str], tail: str = ")", depth: int = 0) -> list[str]:
    """A call: on one line, its arguments on a line of their own, or each on one."""
    flat = f"{head}({', '.join(arguments)}{tail}"
    if len(flat) + 4 * depth <= WIDTH:
        return [flat]
    inner = ", ".join(arguments)
    if len(inner) + 4 * (depth + 1) <= WIDTH:
        return [f"{head}(", *indented([inner]), tail]
    lines = [line for argument in arguments for line in _argument(argument, 4 * (depth + 1))]
    return [f"{head}(", *indented(lines), tail]


def _argument(argument: str, indent: int) -> list[str]:
    """An argument on a line of its own; a comprehension that is too long on several."""
    if len(argument) + indent < WIDTH or not (argument.startswith("[") and " for " in argument):
        return [f"{argument},"]
    first, second = argument[1:-1].rsplit(" for ", 1)
    return ["[", *indented([first, f"for {second}"]), "],"]


def fits(code: str) -> bool:
    """Whether no line is longer than Black's."""
    return all(len(line) <= WIDTH for line in code.split("\n"))


def assembled(
    blocks: Sequence[Sequence[str]], imports: Sequence[str] = (), docstring: Sequence[str] = (), schedulers: str = ""
) -> str:
    """A module: the imports that it needs, then constants and definitions.

    Args:
        blocks: definitions are two blank lines apart, constants one from what is above.
        imports: beside those that the text shows to be needed.
        docstring: its lines.
        schedulers: the prefix of the schedulers of torch (``lr_scheduler``) where they are not imported by name.
    """
    blocks = [[part for line in _spaced(block) for part in folded(line)] for block in blocks if block]
    text = "\n".join(line for block in blocks for line in block)
    needed = [line for word, pattern, line in _IMPORTS if word in text and pattern.search(text)]
    needed += [line for line in imports if line not in needed]
    if schedulers:
        needed.append(f"from torch.optim import {schedulers}")
    elif names := sorted(set(_SCHEDULERS.findall(text)), key=str.lower):
        needed += _from("torch.optim.lr_scheduler", names)
    parts: list[str] = list(docstring)
    if needed:
        parts += [*([""] if parts else []), *_sorted(needed)]
    after_definition = False
    for block in blocks:
        definition = block[0].startswith(("def ", "class ", "@"))
        if parts:
            parts += ["", ""] if definition or after_definition else [""]
        parts += block
        after_definition = definition
    return "\n".join(parts) + "\n"


def _from(module: str, names: Sequence[str]) -> list[str]:
    flat = f"from {module} import {', '.join(names)}"
    if len(flat) <= WIDTH:
        return [flat]
    return ["\n".join([f"from {module} import (", *indented([f"{name}," for name in names]), ")"])]


def _sorted(imports: Sequence[str]) -> list[str]:
    """The imports in two blocks, as isort orders them."""
    unique = sorted(set(imports), key=lambda line: (line.startswith("from "), line.split()[1].lower(), line.lower()))
    standard = [line for line in unique if line.split()[1].split(".")[0] in _STANDARD]
    others = [line for line in unique if line not in standard]
    return [*standard, *([""] if standard and others else []), *others]


def _spaced(lines: Sequence[str]) -> list[str]:
    """Blank lines as Black wants them around functions within functions."""
    spaced: list[str] = []
    for line in lines:
        text = line.lstrip()
        before = spaced[-1] if spaced else ""
        if line == "" and (not spaced or before == "" or before.endswith(":")):
            continue
        opens = text.startswith(("def ", "@")) and before and not before.endswith(":")
        if opens and not before.lstrip().startswith(("@", "#")):
            spaced.append("")
        spaced.append(line)
    while spaced and spaced[-1] == "":
        spaced.pop()
    return spaced

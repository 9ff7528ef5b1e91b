"""Did the file replace something that the checks rely on?

The file runs in the process that measures it. Whoever replaces ``torch.equal``, ``json.dumps`` or a check's own
function while it is imported could have anything measured. What the checks call is therefore noted before the file is
loaded, and compared after each check.
"""

import builtins
import json
import math
import os
import sys
import time
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import nn

_OURS = ("lrgen.verify.checks", "lrgen.curves", "lrgen.verify.child", "lrgen.data")
_THEIRS: tuple[Any, ...] = (
    builtins,
    json,
    math,
    np,
    os,
    time,
    torch,
    torch.Tensor,
    torch.autograd,
    torch.nn.functional,
    torch.optim,
    torch.optim.Optimizer,
    nn,
    nn.Module,
)


class Seal:
    """The objects behind the names of the watched modules and classes, and the code of the functions."""

    def __init__(self) -> None:
        self._seen: list[tuple[Any, str, dict[str, tuple[object, object]], frozenset[str]]] = []

    def take(self) -> None:
        """Note what is there, before any file is loaded. Names that come later are not watched."""
        self._seen.clear()
        ours = [module for name, module in sorted(sys.modules.items()) if name.startswith(_OURS)]
        for watched in (*_THEIRS, *ours, *_classes(ours)):
            seen = {name: (value, _code(value)) for name, value in vars(watched).items() if not name.startswith("__")}
            self._seen.append((vars(watched), _name(watched), seen, _inherited(watched)))

    def changed(self) -> str:
        """The first name that means something else than before (``torch.equal``); empty when there is none."""
        for now, owner, seen, inherited in self._seen:
            for name, (value, code) in seen.items():
                if now.get(name) is not value or _code(value) is not code:
                    return f"{owner}.{name}"
            if len(now) > len(seen) and (hidden := inherited.intersection(now)):
                return f"{owner}.{min(hidden)}"
        return ""


def _inherited(watched: Any) -> frozenset[str]:
    """The names that a class has from others alone: who defines one of them anew hides it."""
    if not isinstance(watched, type):
        return frozenset()
    return frozenset(name for base in watched.__mro__[1:] for name in vars(base)) - vars(watched).keys()


def _classes(modules: list[Any]) -> list[type]:
    """The classes that the modules define themselves."""
    found = [(module, value) for module in modules for value in vars(module).values() if isinstance(value, type)]
    return [value for module, value in found if value.__module__ == module.__name__]


def _code(value: object) -> object:
    return value.__code__ if isinstance(value, FunctionType) else None


def _name(watched: Any) -> str:
    return f"{watched.__module__}.{watched.__qualname__}" if isinstance(watched, type) else str(watched.__name__)


SEAL = Seal()

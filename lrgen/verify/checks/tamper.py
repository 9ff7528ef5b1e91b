"""Tamper detection: a file must not replace functions that the checks rely on.

The file runs in the process that measures it. A file that replaces ``torch.equal``, ``json.dumps`` or a function of a
check could forge every measurement. A snapshot of the functions that the checks call is therefore taken before the file
is loaded, and compared after each check.
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

_OWN_MODULES = ("lrgen.verify.checks", "lrgen.curves", "lrgen.verify.child", "lrgen.data")
_WATCHED: tuple[Any, ...] = (
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


class Snapshot:
    """The objects that the names of the watched modules and classes refer to, and the code of the functions."""

    def __init__(self) -> None:
        self._recorded: list[tuple[Any, str, dict[str, tuple[object, object]], frozenset[str]]] = []

    def take(self) -> None:
        """Record the current objects, before any file is loaded. Names that are added later are not watched."""
        self._recorded.clear()
        modules = [module for name, module in sorted(sys.modules.items()) if name.startswith(_OWN_MODULES)]
        for watched in (*_WATCHED, *modules, *_classes(modules)):
            before = {name: (value, _code(value)) for name, value in vars(watched).items() if not name.startswith("__")}
            self._recorded.append((vars(watched), _name(watched), before, _inherited(watched)))

    def first_change(self) -> str:
        """The first name that refers to another object than before (``torch.equal``); empty if there is none."""
        for now, owner, before, inherited in self._recorded:
            for name, (value, code) in before.items():
                if now.get(name) is not value or _code(value) is not code:
                    return f"{owner}.{name}"
            if len(now) > len(before) and (overridden := inherited.intersection(now)):
                return f"{owner}.{min(overridden)}"
        return ""


def _inherited(watched: Any) -> frozenset[str]:
    """The names that a class only inherits: a definition in the class itself would override them."""
    if not isinstance(watched, type):
        return frozenset()
    return frozenset(name for base in watched.__mro__[1:] for name in vars(base)) - vars(watched).keys()


def _classes(modules: list[Any]) -> list[type]:
    """The classes that the modules define themselves."""
    pairs = [(module, value) for module in modules for value in vars(module).values() if isinstance(value, type)]
    return [value for module, value in pairs if value.__module__ == module.__name__]


def _code(value: object) -> object:
    return value.__code__ if isinstance(value, FunctionType) else None


def _name(watched: Any) -> str:
    return f"{watched.__module__}.{watched.__qualname__}" if isinstance(watched, type) else str(watched.__name__)


SNAPSHOT = Snapshot()

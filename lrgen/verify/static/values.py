"""The abstract values of ``import_time``: whose object an expression yields, and what can be done with it."""

import ast
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import TypeAlias

from lrgen.verify.static.harmless import CALLS, CONSTANTS, INERT_PREFIXES, INERT_ROOTS

_MAX_OPTIONS = 4
_CLASS_NAME = re.compile(r"[A-Z]\w*[a-z]\w*")


class Plain(Enum):
    """An object of which only the origin matters."""

    NEW = "a built-in object or a tensor that the file has made"
    PART = "something that such an object contains"
    TYPE = "a type that the file has made with a call"
    DECORATOR = "a harmless decorator"
    PARENT = "super()"
    UNKNOWN = "an object that may belong to another module"


@dataclass(frozen=True)
class Foreign:
    """An imported or built-in object by its dotted path."""

    path: str


class Kind(Enum):
    """The kind of a scope."""

    MODULE = "module"
    CLASS = "class"
    FUNCTION = "function"
    COMPREHENSION = "comprehension"


@dataclass(eq=False)
class Scope:
    """The names of a module, a class or a function that runs."""

    parent: "Scope | None" = None
    kind: Kind = Kind.MODULE
    names: dict[str, "Value"] = field(default_factory=dict)
    declared: dict[str, "Scope"] = field(default_factory=dict)

    @property
    def is_import_time(self) -> bool:
        """Whether its statements run at import time in their own right."""
        return self.kind in (Kind.MODULE, Kind.CLASS)

    def enclosing(self) -> "Scope":
        """The scope that functions and classes of this scope see: not that of a class."""
        scope = self
        while scope.kind is Kind.CLASS and scope.parent is not None:
            scope = scope.parent
        return scope


@dataclass(frozen=True)
class Function:
    """A function of the file with the values of its defaults; ``wrapped``: by a decorator."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scope: Scope
    defaults: tuple["Value | None", ...] = ()
    owner: "Value | None" = None
    wrapped: bool = False

    def of(self, owner: "Value") -> "Function":
        """The function as a method of an object."""
        return replace(self, owner=owner)


@dataclass(frozen=True, eq=False)
class Class:
    """A class of the file; there is one object for each definition that runs."""

    node: ast.ClassDef
    scope: Scope
    bases: tuple["Value", ...]

    @cached_property
    def lineage(self) -> "tuple[Class, ...]":
        """The class and its bases that are defined in the file, each once."""
        classes = {self: None}
        for base in self.bases:
            if isinstance(base, Class):
                classes |= dict.fromkeys(base.lineage)
        return tuple(classes)

    def foreign(self) -> "list[Value]":
        """The bases, of the class and of its bases, that are not defined in the file."""
        return [base for owner in self.lineage for base in owner.bases if not isinstance(base, Class)]

    def attributes(self) -> "list[str]":
        """The names that the class and its bases define in the file."""
        return list(dict.fromkeys(name for owner in self.lineage for name in owner.scope.names))

    def find(self, name: str) -> "Value | None":
        """An attribute of the class, None if no class of the file defines it; with several bases, that of any."""
        values = [owner.scope.names[name] for owner in self.lineage if name in owner.scope.names]
        several = any(len(owner.bases) > 1 for owner in self.lineage)
        return (join(values) if several else values[0]) if values else None


@dataclass(frozen=True)
class Instance:
    """An instance of a class of the file."""

    of: Class


@dataclass(frozen=True)
class Either:
    """One of several objects, which depends on a condition."""

    options: frozenset["Plain | Foreign | Function | Class | Instance"]


Value: TypeAlias = Plain | Foreign | Function | Class | Instance | Either


def options(value: Value) -> Iterable[Plain | Foreign | Function | Class | Instance]:
    """The objects of which an expression yields one."""
    return value.options if isinstance(value, Either) else (value,)


def is_inert(value: Value) -> bool:
    """Whether an object is the file's own, or cannot be changed by the methods of built-in types."""
    return all(_is_inert_option(option) for option in options(value))


def _is_inert_option(value: Value) -> bool:
    if not isinstance(value, Foreign):
        return value is not Plain.UNKNOWN
    if value.path in CONSTANTS or value.path in CALLS or value.path.startswith(INERT_PREFIXES):
        return True
    root, *names = value.path.split(".")
    if root not in INERT_ROOTS or any(name in sys.stdlib_module_names for name in names):
        return False
    private = [index for index, name in enumerate(names) if name.startswith("_")]
    if not private:
        return True
    public = names[private[-1] + 1 :]  # a class of a private module
    return bool(public) and bool(_CLASS_NAME.fullmatch(public[0]))


def join(values: Iterable[Value]) -> Value:
    """The value of an expression that has one of several values."""
    joined = frozenset(option for value in values for option in options(value))
    if len(joined) == 1:
        return next(iter(joined))
    if joined <= {Plain.NEW, Plain.PART}:
        return Plain.PART
    if 0 < len(joined) <= _MAX_OPTIONS:
        return Either(joined)
    return Plain.PART if joined and all(map(is_inert, joined)) else Plain.UNKNOWN


def container(values: Iterable[Value]) -> Value:
    """The value of a new object that holds others."""
    return Plain.NEW if all(map(is_inert, values)) else Plain.UNKNOWN

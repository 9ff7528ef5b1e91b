"""Records ↔ JSON, for what one process of lrgen tells another: text that can be read, and never a pickle."""

import json
import os
import types
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

_Record = TypeVar("_Record")


def encode(value: Any) -> bytes:
    """Records, and lists and dicts of them, as one line of JSON, in which NaN and Infinity are words."""
    return json.dumps(value, default=_plain).encode() + b"\n"


def decode(kind: type[_Record], value: Any) -> _Record:
    """The record of a class that was encoded; a field that already holds a record keeps it.

    Raises:
        KeyError, TypeError, ValueError: if it is no such record.
    """
    record: _Record = _decoded(kind, value)
    return record


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return os.fspath(value)


def _decoded(kind: Any, value: Any) -> Any:
    if value is None or kind is Any:
        return value
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        [only] = [one for one in arguments if one is not type(None)]  # a record's field is of one kind, or missing
        return _decoded(only, value)
    if origin is tuple:
        return tuple(_decoded(arguments[0], item) for item in value)
    if origin is dict:
        return {name: _decoded(arguments[1], item) for name, item in value.items()}
    if not isinstance(kind, type):
        return value
    if is_dataclass(kind) and isinstance(value, dict):
        hints = get_type_hints(kind)
        return kind(**{name: _decoded(hints[name], item) for name, item in value.items()})
    if issubclass(kind, (Enum, Path)):
        return kind(value)
    return value

"""Conversion of records to and from JSON, for messages between processes of lrgen; it never unpickles."""

import json
import os
import types
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

_Record = TypeVar("_Record")


def encode(value: Any) -> bytes:
    """Encode records, and lists and dicts of them, as one line of JSON; NaN and Infinity are allowed."""
    return json.dumps(value, default=_plain).encode() + b"\n"


def decode(kind: type[_Record], value: Any) -> _Record:
    """Decode a record of the class ``kind``; a field that already holds a record keeps it.

    Raises:
        KeyError, TypeError, ValueError: if the value does not encode such a record.
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
        [present] = [argument for argument in arguments if argument is not type(None)]  # a field is X or X | None
        return _decoded(present, value)
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

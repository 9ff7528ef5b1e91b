"""The curves of a user's families: functions in the ``curves.py`` of the family's folder.

They are called in a process with a time and a memory limit (lrgen.limited), and their results are checked.
"""

import contextlib
import functools
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lrgen import limited
from lrgen.errors import CatalogueError
from lrgen.records import Variant

_T = TypeVar("_T")

_SOURCES: dict[Path, bytes] = {}  # as they were read last: a sandbox hides them


def exists(variant: Variant) -> bool:
    """Whether the variant's ``curves.py`` defines its curve.

    Raises:
        CatalogueError: if the file raises, exits, or exceeds a limit.
    """
    return _answered(_defines, variant)


def evaluate(
    variant: Variant, steps: object, horizon: int, base_lr: float, values: Mapping[str, Any], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Call the variant's curve; returns its numbers as an array of a shape.

    Raises:
        CatalogueError: if it raises, exits, exceeds a limit, or returns anything but finite numbers of that shape.
    """
    arguments = (steps, horizon, base_lr, dict(values), shape)
    answer = _answered(functools.partial(limited.call, f"{__name__}:returns"), variant, *arguments)
    return np.frombuffer(answer).reshape(shape)


@functools.lru_cache(maxsize=64)
def _defines(path: str, source: bytes, family: str, name: str) -> bool:
    return limited.call(f"{__name__}:defines", path, source, family, name) == b"yes"


def _answered(call: Callable[..., _T], variant: Variant, *arguments: object) -> _T:
    """The answer of a call about a variant's curve."""
    assert variant.curves_folder is not None
    path = variant.curves_folder / "curves.py"
    if path.is_file():
        with contextlib.suppress(PermissionError):  # in a sandbox
            _SOURCES[path] = path.read_bytes()
    try:
        return call(str(path), _SOURCES.get(path, b""), variant.family, variant.curve, *arguments)
    except limited.CallError as error:
        raise CatalogueError(f"variant {variant.number}: curve {variant.curve}: {path} {error}") from error


def keywords(function: Callable[..., Any], base_lr: float, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The keyword arguments of a curve, after steps and horizon; it gets ``base_lr`` only if it has this parameter.

    Raises:
        TypeError: if it has other parameters.
    """
    return {**values, "base_lr": base_lr} if _takes_base_lr(function, frozenset(values)) else values


@functools.lru_cache(4096)
def _takes_base_lr(function: Callable[..., Any], names: frozenset[str]) -> bool:
    """Whether a curve has the parameter ``base_lr``, and those named."""
    signature = inspect.signature(function)
    takes = "base_lr" in signature.parameters
    signature.bind(None, None, **dict.fromkeys(names | ({"base_lr"} if takes else set())))
    return takes


# In the process with the limits.


def defines(path: str, source: bytes, family: str, name: str) -> bytes:
    """Whether a ``curves.py`` defines a function of this name, rather than importing it."""
    return b"yes" if _function(path, source, family, name) is not None else b""


def returns(
    path: str,
    source: bytes,
    family: str,
    name: str,
    steps: object,
    horizon: int,
    base_lr: float,
    values: dict[str, Any],
    shape: tuple[int, ...],
) -> bytes:
    """The bytes of the array that a curve returns."""
    function = _function(path, source, family, name)
    if function is None:
        raise limited.CallError("changes while it is used")
    try:
        arguments = keywords(function, base_lr, values)
    except TypeError as error:
        raise limited.CallError(f"defines it with other parameters: {error}") from error
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            result = np.asarray(function(steps, horizon, **arguments))
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        line = f" (line {lines[-1]})" if lines else ""
        raise limited.CallError(f"raises {limited.described(error)}{line}") from error
    try:
        array = result.astype(np.float64, casting="unsafe" if result.dtype.kind == "O" else "same_kind")
    except (TypeError, ValueError) as error:
        raise limited.CallError(f"returns {result.dtype.type.__name__}, expected real numbers") from error
    if not np.isfinite(array).all():
        raise limited.CallError(f"returns {array[~np.isfinite(array)].flat[0]}, expected finite numbers")
    try:
        return np.broadcast_to(array, shape).tobytes()
    except ValueError as error:
        raise limited.CallError(f"returns an array of shape {array.shape}, expected {shape}") from error


def _function(path: str, source: bytes, family: str, name: str) -> FunctionType | None:
    module = _module(path, source, f"lrgen_user_curves_{family}")
    function = getattr(module, name, None)
    return function if isinstance(function, FunctionType) and function.__module__ == module.__name__ else None


@functools.lru_cache(maxsize=64)
def _module(path: str, source: bytes, name: str) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    exec(compile(source, path, "exec"), module.__dict__)
    return module

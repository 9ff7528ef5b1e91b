"""Runs training scripts on a faulty file and on the correct one; lrgen.finetune.symptoms sends its text to a process.

``GIVEN`` stands before this text: the two files and the scripts. The answer is the first script whose traceback or
output differs, compressed, as the last line that the process prints.
"""

import base64
import builtins
import contextlib
import io
import json
import linecache
import os
import random
import sys
import traceback
import zlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

GIVEN: dict[str, Any] = {}

_MODEL, _TRAIN = "model.py", "train.py"
_TORCH = os.path.dirname(os.path.dirname(torch.__file__)) + os.sep
_LONGEST = 3900  # bytes; the examiner keeps a few more of what a process prints
_ABSENT = "numpy"  # torch runs without it


class _Finder:
    """Imports ``model`` from text."""

    def __init__(self, source: str, light: bool) -> None:
        self._source = source
        self._light = light

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, self) if name == "model" else None  # type: ignore[arg-type]

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import}
        exec(compile(self._source, _MODEL, "exec"), module.__dict__)
        if self._light:
            _lighten(getattr(module, "Net", None))


def _import(name: str, *arguments: Any, **keywords: Any) -> Any:
    if name.split(".")[0] == _ABSENT:
        raise ModuleNotFoundError(f"No module named {_ABSENT!r}", name=_ABSENT)
    return __import__(name, *arguments, **keywords)


def _lighten(net: Any) -> None:
    """Let a network run forward once; after that it repeats its output, which learning rates do not depend on."""
    if not isinstance(net, type) or not issubclass(net, nn.Module):
        return
    forward: Any = net.forward
    outputs: dict[int, Any] = {}

    def light(self: Any, x: Any) -> Any:
        if id(self) not in outputs:
            with torch.no_grad():
                outputs[id(self)] = forward(self, x)
        weight = next(parameter for parameter in self.parameters() if parameter.requires_grad)
        zero = 0 * weight.flatten()[0]
        return pytree.tree_map(
            lambda leaf: leaf[:1].expand(len(x), *leaf.shape[1:]) + zero if isinstance(leaf, torch.Tensor) else leaf,
            outputs[id(self)],
        )

    net.forward = light


@contextlib.contextmanager
def _uninitialised() -> Iterator[None]:
    """Let the weights of networks be zero: drawing those of a large network takes longer than its training."""
    drawing = {name: getattr(torch.Tensor, name) for name in ("normal_", "uniform_")}

    def zero(tensor: Any, *_: Any, **__: Any) -> Any:
        return tensor.zero_()

    for name in drawing:
        setattr(torch.Tensor, name, zero)
    try:
        yield
    finally:
        for name, draw in drawing.items():
            setattr(torch.Tensor, name, draw)


def _run(source: str, script: str, light: bool) -> tuple[str, str]:
    """Return what a script prints, and the traceback of the exception that ends it."""
    finder: Any = _Finder(source, light)
    sys.modules.pop("model", None)
    sys.meta_path.insert(0, finder)
    for name, text in ((_MODEL, source), (_TRAIN, script)):
        linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    random.seed(0)
    torch.manual_seed(0)
    printed, raised = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(printed), _uninitialised() if light else contextlib.nullcontext():
            exec(compile(script, _TRAIN, "exec"), {"__name__": "__main__"})
    except Exception as error:  # noqa: BLE001  the faulty file may raise anything
        raised = _shown(error)
    finally:
        sys.meta_path.remove(finder)
    return printed.getvalue(), raised


def _shown(error: BaseException) -> str:
    """Return a traceback as Python prints it, with the frames of the script, of the file and of torch."""
    shown: traceback.TracebackException | None = traceback.TracebackException.from_exception(error)
    outermost = shown
    while shown is not None:
        frames = []
        for frame in shown.stack:
            if frame.filename.startswith(_TORCH):
                frame.filename = frame.filename.removeprefix(_TORCH)
                frames.append(frame)
            elif frame.filename in (_MODEL, _TRAIN):
                frames.append(frame)
        shown.stack[:] = frames
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
    assert outermost is not None
    return "".join(outermost.format())


def _answer() -> dict[str, Any] | None:
    for number, script in enumerate(GIVEN["scripts"]):
        printed, raised = _run(GIVEN["faulty"], script["text"], script["light"])
        expected, unexpected = _run(GIVEN["source"], script["text"], script["light"])
        if unexpected:
            continue
        if raised or printed != expected:
            return {"script": number, "printed": printed, "raised": raised, "expected": expected}
    return None


def _packed() -> bytes:
    """Return the answer as a line; null when it is too long to be kept."""
    lines = [base64.b64encode(zlib.compress(json.dumps(answer).encode(), 9)) for answer in (_answer(), None)]
    return next(line for line in lines if len(line) < _LONGEST)


if GIVEN:
    os.write(1, b"\n" + _packed() + b"\n")

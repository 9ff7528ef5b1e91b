"""Small files and one check that loads them, for the tests of what surrounds the checks.

A file is a few lines of Python, which run when its process loads it. ``light_nursery`` starts fast: its torch does
nothing, and numpy is what takes longest.
"""

import contextlib
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lrgen.records import Candidate, Stage, Variant
from lrgen.verify import examiner, isolation
from lrgen.verify.candidate import candidate_of
from lrgen.verify.checks.examination import Examination
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.sandbox import View

# A module of torch, which can be called, subclassed, computed with and asked for any attribute.
_NO_TORCH = """
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

class Anything(ModuleType):
    def __getattr__(self, name):
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {}) if name.endswith("Error") else self
    def __call__(self, *arguments, **keywords):
        return self
    def __mro_entries__(self, bases):
        return ()
    def __iter__(self):
        return iter(())
for operator in "getitem or ror and rand add radd sub rsub mul rmul truediv rtruediv pow neg lt le gt ge".split():
    setattr(Anything, f"__{operator}__", lambda self, *operands: self)

class Finder:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self, is_package=True) if name.startswith("torch.") else None
    def create_module(self, spec):
        return Anything(spec.name)
    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Finder())
sys.modules["torch"].__class__ = Anything
"""

# What a file can use: ``folder`` is shared with the test, ``channel`` the descriptor of the commands.
_PRELUDE = """
import json, os, select, signal, struct, subprocess, sys, time
from pathlib import Path
folder = Path({folder!r})
def write_pid(name, pid=None):
    written = folder / f".{{name}}-{{os.getpid()}}"  # of this process: two may write the same name
    written.write_text(str(os.getpid() if pid is None else pid))
    written.rename(folder / name)
def wait_for(*names):
    while not all((folder / name).exists() for name in names):
        time.sleep(0.005)
def forever():
    while True:
        time.sleep(60)
def channel():
    return next(int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2 and is_socket(int(name)))
def is_socket(descriptor):
    try:
        return os.readlink(f"/proc/self/fd/{{descriptor}}").startswith("socket:")
    except OSError:
        return False
def send(message, body=b""):
    header = message if isinstance(message, bytes) else json.dumps(message).encode()
    os.write(channel(), struct.pack(">II", len(header), len(body)) + header + body)
"""
LINES_BEFORE = _PRELUDE.count("\n")  # before the first line of a file


class Loading:
    """The check that loads a file."""

    STAGE = Stage.CONTRACT

    @staticmethod
    def run(examination: Examination) -> None:
        examination.loaded = examination.load(examination.session)


def replace_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the examiner run this check instead of all others."""
    monkeypatch.setattr(examiner, "up_to", lambda stage, candidate: (Loading,))


def file_of(
    code: str, name: str = "file", folder: Path = Path("/nowhere"), variant: Variant | None = None
) -> Candidate:
    """A file that runs this code, with functions to meet the test in a folder."""
    source = _PRELUDE.format(folder=str(folder)) + textwrap.dedent(code).strip() + "\n"
    return candidate_of(Path(f"/files/{name}.py"), source.encode(), variant=variant)


@contextlib.contextmanager
def light_view(folder: Path) -> Iterator[Callable[[], View]]:
    """The view of a nursery whose torch does nothing; the module is written to a folder."""
    (folder / "torch").mkdir(parents=True)
    (folder / "torch" / "__init__.py").write_text(_NO_TORCH)
    view: dict[str, Any] = {**isolation.view()}
    view["imports"] = [str(folder), *view["imports"]]
    yield lambda: View(**view)  # type: ignore[typeddict-item]  # the keys of a view


@contextlib.contextmanager
def light_nursery(folder: Path) -> Iterator[Nursery]:
    """A nursery whose torch does nothing; what starts another one meanwhile has the real torch."""
    with contextlib.ExitStack() as stack:
        with light_view(folder) as view, pytest.MonkeyPatch.context() as patch:
            patch.setattr(isolation, "view", view)
            nursery = stack.enter_context(Nursery())
        yield nursery

"""A nursery that cannot start, and one that several requests share."""

import os
import re
import stat
import sys
from pathlib import Path

import pytest

from lrgen.errors import EngineError
from lrgen.verify import isolation
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.sandbox import View

FAULT = "the process that files are forked from does not start"


def script(path: Path, lines: str) -> str:
    """Write an executable that takes the place of Python."""
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def without_torch() -> View:
    """The view of an interpreter that has the standard library alone."""
    view = dict(isolation.view())
    view["imports"] = [path for path in view["imports"] if "-packages" not in path]
    return View(**view)  # type: ignore[typeddict-item]  # the keys of a view


@pytest.fixture(params=["no Python", "no torch", "no memory", "killed"])
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A machine on which no nursery starts; returns the end of the reason."""
    python = tmp_path / "python"
    if request.param == "no Python":
        monkeypatch.setattr(sys, "executable", str(python))
        return f": [Errno 2] No such file or directory: '{python}'"
    if request.param == "no torch":
        view = without_torch()
        monkeypatch.setattr(isolation, "view", lambda: view)
        return ": ModuleNotFoundError: No module named 'torch'"
    lines = f'ulimit -v 150000; exec {sys.executable} "$@"' if request.param == "no memory" else "kill -9 $$"
    monkeypatch.setattr(sys, "executable", script(python, lines))
    return ""


def test_a_nursery_that_cannot_start_is_an_error(broken):
    """Without Python, torch or memory the reason is one sentence, and nothing stays open."""
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(EngineError) as raised:
        Nursery()
    message = str(raised.value)
    assert message.startswith(FAULT)
    assert message.endswith(broken)
    assert "\n" not in message
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_command_line_says_why_in_one_sentence(lrgen, broken, tmp_path):
    """``lrgen verify`` ends with exit code 2 and the reason, and records nothing."""
    (tmp_path / "file.py").write_text("import torch\n")
    code, out, err = lrgen("verify", "file.py", "--stage", "contract", "--device", "cpu", "--isolation", "process")
    assert (code, out) == (2, "")
    assert err.startswith(f"lrgen: {FAULT}")
    assert err.count("\n") == 1
    assert re.search(r"lrgen_runs +0 ", lrgen("db", "info")[1])

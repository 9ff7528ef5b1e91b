"""The kinds of sandbox, and children in them."""

import contextlib
import ctypes
import errno
import functools
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from lrgen.verify import isolation, sandbox
from lrgen.verify.sandbox import Bounds, Mechanism, syscalls

BOUNDS = Bounds()
TIMEOUT = 20.0  # seconds until a test gives up waiting for something that must happen
PACKAGE = Path(sandbox.__file__).resolve().parents[2]
ROOT = os.getuid() == 0

# Entered as root or as an unprivileged user; with a Landlock that has no scopes yet, or no right to truncate either.
KINDS = {
    "namespaces": Mechanism.NAMESPACES,
    "user-namespaces": Mechanism.NAMESPACES,
    "landlock": Mechanism.LANDLOCK,
    "user-landlock": Mechanism.LANDLOCK,
    "old-landlock": Mechanism.LANDLOCK,
    "early-landlock": Mechanism.LANDLOCK,
}
VERSIONS = {"old-landlock": 5, "early-landlock": 2}
NAMESPACES = [kind for kind, mechanism in KINDS.items() if mechanism is Mechanism.NAMESPACES]
LANDLOCK = [kind for kind, mechanism in KINDS.items() if mechanism is Mechanism.LANDLOCK]
UNPRIVILEGED = ("user-namespaces", "user-landlock", "old-landlock", "early-landlock")

libc = ctypes.CDLL(None, use_errno=True)

only_namespaces = pytest.mark.parametrize("kind", NAMESPACES, indirect=True)
only_landlock = pytest.mark.parametrize("kind", LANDLOCK, indirect=True)
one_of_each = pytest.mark.parametrize("kind", ["namespaces", "landlock"], indirect=True)


@functools.cache
def granted(kind: str) -> bool:
    """Whether the machine grants what a kind of sandbox needs, determined without lrgen."""
    if kind in LANDLOCK:
        return int(libc.syscall(444, None, ctypes.c_long(0), 1)) > 0
    users = ["--user", "--map-root-user"] if kind in UNPRIVILEGED else []
    command = ["unshare", *users, "--mount", "--net", "--ipc", "--uts", "mount", "-t", "tmpfs", "none", "/usr"]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def start_in(
    mechanism: Mechanism,
    scratch: Path,
    function: Callable[[], Any],
    *,
    keep: Collection[int] = (),
    bounds: Bounds = BOUNDS,
    devices: Collection[str] = (),
) -> tuple[int, int]:
    """Start a child that enters a sandbox and runs a function; returns its pid and the pipe of the result."""
    view = isolation.view()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = 99
    try:
        os.setsid()
        sandbox.enter(mechanism, scratch, {writing, *keep}, bounds, view, tuple(devices))
        result = json.dumps(function()).encode()
        while result:
            result = result[os.write(writing, result) :]
        code = 0
    except BaseException as error:  # noqa: BLE001  a child must not return into pytest
        os.write(writing, json.dumps(f"{type(error).__name__}: {error}").encode())
    finally:
        os._exit(code)


def result_of(pid: int, reading: int) -> Any:
    """The result of the function of a child that must end well."""
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, text
    return json.loads(text)


def error_of(function: Callable[..., Any], *arguments: Any) -> str:
    """The name of the OSError that a call raises; "nothing" if it succeeds."""
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "nothing"


def system_call(name: str, *arguments: int) -> str:
    """The name of the error that a system call returns; "nothing" if it succeeds."""
    values = [ctypes.c_long(value) for value in arguments]
    if libc.syscall(ctypes.c_long(syscalls.SYSCALLS[name]), *values) < 0:
        return errno.errorcode[ctypes.get_errno()]
    return "nothing"


def is_closed(descriptor: int, seconds: float = TIMEOUT) -> bool:
    """Whether no process holds the other end of a pipe open, after a wait of at most so many seconds."""
    return bool(select.select([descriptor], [], [], seconds)[0]) and os.read(descriptor, 1) == b""


@contextlib.contextmanager
def open_pipe() -> Iterator[tuple[int, int]]:
    """The ends of a pipe."""
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        for descriptor in (reading, writing):
            with contextlib.suppress(OSError):
                os.close(descriptor)


@contextlib.contextmanager
def fresh_caches() -> Iterator[None]:
    """What was found about this machine is found again."""
    cached = (isolation.view, isolation.available)
    for function in cached:
        function.cache_clear()
    try:
        yield
    finally:
        for function in cached:
            function.cache_clear()


# A process that has nothing of lrgen: it loads the modules of the sandbox from a text on standard input.
NURSERY = """
import importlib.abc, importlib.util, json, os, sys
given = json.loads(sys.stdin.buffer.readline())

class Texts(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        module = "__init__" if name == "nursery_sandbox" else name.removeprefix("nursery_sandbox.")
        if name.startswith("nursery_sandbox") and module in given["texts"]:
            return importlib.util.spec_from_loader(name, self, is_package=module == "__init__")

    def exec_module(self, module):
        name = "__init__" if module.__name__ == "nursery_sandbox" else module.__name__.removeprefix("nursery_sandbox.")
        exec(compile(given["texts"][name], module.__name__, "exec"), vars(module))

sys.meta_path.insert(0, Texts())
import nursery_sandbox
"""


def in_a_nursery(
    script: str,
    *,
    view: sandbox.View | None = None,
    python: str = sys.executable,
    user: int | None = None,
    **given: Any,
) -> str:
    """The output of a script in such a process, which has ``nursery_sandbox`` and, with the view, ``given``."""
    given |= {"texts": isolation.texts(), "view": view or isolation.view()}
    done = subprocess.run(
        [python, "-I", "-c", NURSERY + script],
        input=json.dumps(given) + "\n",
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        cwd="/",
        check=False,
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

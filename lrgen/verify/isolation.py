"""The isolation of files: which sandbox this machine provides, and what a process needs in order to enter it."""

import contextlib
import functools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from lrgen.errors import IsolationError
from lrgen.verify import sandbox, scratch, visible
from lrgen.verify.sandbox import Mechanism, View
from lrgen.verify.sandbox.syscalls import PR_SET_DUMPABLE, call

_TRIAL_SECONDS = 60.0  # for a process that tries a sandbox
_PACKAGE = "sandbox"
# Lets a process import the modules in ``given`` (name → text), and nothing of lrgen.
FROM_TEXT = """
import sys
from importlib.machinery import ModuleSpec
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in given["modules"]:
            return ModuleSpec(name, self, is_package=name in given["packages"])
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        exec(compile(given["modules"][module.__name__], f"<{module.__name__}>", "exec"), vars(module))
finder = Finder()
sys.meta_path.insert(0, finder)
"""
# Enters the sandbox, reads the standard library, writes to the scratch folder and starts a thread.
_TRIAL = f"""
import json, os, sys, threading
given = json.load(sys.stdin)
{FROM_TEXT}
import sandbox
sys.meta_path.remove(finder)
try:
    sandbox.enter(given["mechanism"], json.loads(sys.argv[1]), set(), sandbox.Bounds(), given["view"])
    open(os.__file__, "rb").read()
    open("trial", "wb").write(b"x")
    thread = threading.Thread(target=os.getpid)
    thread.start()
    thread.join()
except BaseException as error:
    print(str(error) or type(error).__name__, flush=True)
"""


class Isolation(StrEnum):
    """The isolation that a user requests."""

    PROCESS = "process"
    SANDBOX = "sandbox"


@functools.cache
def available() -> Mechanism:
    """The strongest sandbox of this machine; each mechanism is tried in a short-lived process.

    Raises:
        IsolationError: if there is none; the message says what is missing.
    """
    refusals = []
    for mechanism in (Mechanism.NAMESPACES, Mechanism.LANDLOCK):
        if not (refusal := refusal_of(mechanism)):
            return mechanism
        refusals.append(f"{mechanism}: {refusal}")
    raise IsolationError(
        f"this machine provides no sandbox ({'; '.join(refusals)}): a sandbox requires a Linux kernel that lets this "
        "user create namespaces (5.14 or later) or that has Landlock (5.13 or later); --isolation process runs the "
        "files without a sandbox and accepts the risk"
    )


@functools.cache
def view() -> View:
    """The part of the disk that a sandboxed file sees, found once for this process."""
    return visible.view()


def refusal_of(mechanism: Mechanism) -> str:
    """The reason why this machine refuses a mechanism; empty if a process can enter it and run there.

    The process is started by exec: a fork of a caller that has threads could wait for ever.
    """
    with scratch.run_folder() as folder:
        modules = {f"{_PACKAGE}.{name}": text for name, text in texts().items()}
        modules[_PACKAGE] = modules.pop(f"{_PACKAGE}.__init__")
        given = {"modules": modules, "packages": [_PACKAGE], "view": view(), "mechanism": mechanism}
        command = [sys.executable, "-I", "-X", "utf8", "-c", _TRIAL, json.dumps(str(folder))]
        try:
            done = subprocess.run(
                command,
                input=json.dumps(given).encode(),
                capture_output=True,
                timeout=_TRIAL_SECONDS,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return f"{mechanism}: the trial takes longer than {_TRIAL_SECONDS:g} s"
        except OSError as error:
            return f"{mechanism}: {error}"
    refusal = done.stdout.decode(errors="replace").strip()
    return refusal or (f"{mechanism}: the trial ends with exit code {done.returncode}" if done.returncode else "")


def texts() -> dict[str, str]:
    """The modules of the package ``sandbox``, name → source text, for a process that has nothing of lrgen."""
    folder = Path(sandbox.__file__).parent
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}


_untraceable = 0
_lock = threading.Lock()


@contextlib.contextmanager
def not_traceable() -> Iterator[None]:
    """Keep processes of the same user from tracing this process and from reading its memory.

    It also dumps no core, and root owns its files in ``/proc``. Blocks may overlap in several threads.
    """
    global _untraceable  # noqa: PLW0603  the state of the process, not of a caller
    with _lock:
        _untraceable += 1
        call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)
    try:
        yield
    finally:
        with _lock:
            _untraceable -= 1
            if not _untraceable:
                call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)

"""The isolation of files: which sandbox this machine provides, and what a process needs in order to enter it."""

import contextlib
import functools
import os
import select
import signal
import tempfile
import threading
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from lrgen.errors import IsolationError
from lrgen.verify import sandbox, visible
from lrgen.verify.sandbox import Bounds, Mechanism, View
from lrgen.verify.sandbox.processes import FAILED
from lrgen.verify.sandbox.syscalls import PR_SET_DUMPABLE, call

_TRIAL_SECONDS = 60.0  # for a child that tries a sandbox


class Isolation(StrEnum):
    """The isolation that a user requests."""

    PROCESS = "process"
    SANDBOX = "sandbox"


@functools.cache
def available() -> Mechanism:
    """The strongest sandbox of this machine; each mechanism is tried in a short-lived child.

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
    """The reason why this machine refuses a mechanism; empty if a child can enter it and run there."""
    with tempfile.TemporaryDirectory(prefix="lrgen-") as scratch:
        visible_paths = view()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _try_out(mechanism, scratch, writing, visible_paths)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            poll = select.poll()
            poll.register(reading, select.POLLIN)
            if poll.poll(1000 * _TRIAL_SECONDS):
                refusal = pipe.read().decode(errors="replace")
            else:
                refusal = f"{mechanism}: the trial takes longer than {_TRIAL_SECONDS:g} s"
                os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    return refusal or (f"the child ended with wait status {status}" if status else "")


def _try_out(mechanism: Mechanism, scratch: str, pipe: int, visible_paths: View) -> NoReturn:
    """Enter the sandbox, read the standard library, write to the scratch folder and start a thread."""
    code = FAILED
    try:
        os.setsid()
        sandbox.enter(mechanism, scratch, {pipe}, Bounds(), visible_paths)
        Path(os.__file__).read_bytes()
        Path("trial").write_bytes(b"x")
        thread = threading.Thread(target=os.getpid)
        thread.start()
        thread.join()
        code = 0
    except BaseException as error:  # noqa: BLE001  a child must not return into the parent's code
        os.write(pipe, str(error).encode())
    finally:
        os._exit(code)


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

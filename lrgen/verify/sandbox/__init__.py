"""The sandbox of a forked child that runs unknown code (Linux on x86_64 and aarch64).

The child can read what the interpreter needs, and write to one scratch folder. It has no network, no privileges, a
bounded number of processes, and neither the environment nor the descriptors of the parent. With ``namespaces`` no other
files exist in the child. With ``landlock``, for machines without namespaces, the kernel denies access to other files.

The child does not call exec, and modules stay imported. Its memory is therefore a copy of the parent's: the sandbox
does not hide a secret in the parent's memory, but the child cannot send it anywhere.
"""

import functools
import os
import resource
import tempfile
import threading
from collections.abc import Collection, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from lrgen.errors import IsolationError
from lrgen.verify.sandbox import landlock, namespaces
from lrgen.verify.sandbox.namespaces import FAILED
from lrgen.verify.sandbox.privileges import Bounds, close_all_but, forget_environment
from lrgen.verify.sandbox.readable_paths import links, readable
from lrgen.verify.sandbox.syscalls import set_parent_death_signal

__all__ = ["Bounds", "Isolation", "Mechanism", "available", "enter", "readable", "refusal_of"]


class Isolation(StrEnum):
    """The isolation that a user requests."""

    PROCESS = "process"
    SANDBOX = "sandbox"


class Mechanism(StrEnum):
    """The mechanism that isolated a file; it is recorded with each result."""

    PROCESS = "process"
    NAMESPACES = "namespaces"
    LANDLOCK = "landlock"


@functools.cache
def available() -> Mechanism:
    """The strongest sandbox of this machine; each mechanism is tried in a short-lived child.

    Raises:
        IsolationError: if there is none; the message says what is missing.
    """
    readable(), links()  # cached here, because a child has another working directory
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


def refusal_of(mechanism: Mechanism) -> str:
    """The reason why this machine refuses a mechanism; empty if a child can enter it and run there."""
    with tempfile.TemporaryDirectory(prefix="lrgen-") as scratch:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _try_out(mechanism, Path(scratch), writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            refusal = pipe.read().decode(errors="replace")
        _, status = os.waitpid(pid, 0)
    return refusal or (f"the child ended with wait status {status}" if status else "")


def _try_out(mechanism: Mechanism, scratch: Path, pipe: int) -> NoReturn:
    """Enter the sandbox, read the standard library, write to the scratch folder and start a thread."""
    code = FAILED
    try:
        os.setsid()
        enter(mechanism, scratch, {pipe}, Bounds())
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


def enter(
    mechanism: Mechanism, scratch: Path, keep: Collection[int], bounds: Bounds, devices: Sequence[Path] = ()
) -> None:
    """Enter the sandbox. The caller is a newly forked child with one thread and its own session.

    Returns in the process that may run the file. With ``namespaces`` this is a child of the caller; the caller waits
    for it and exits with the same status. The descriptors 0, 1, 2 and ``keep`` stay open. The number of tasks is not
    limited for a root user that cannot change its uid.

    Raises:
        IsolationError: if the kernel refuses a step; the process must not continue.
    """
    if mechanism is Mechanism.PROCESS:
        return
    scratch = scratch.resolve()
    try:
        set_parent_death_signal(os.getppid())
        forget_environment(scratch)
        close_all_but({0, 1, 2, *keep})
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if mechanism is Mechanism.NAMESPACES:
            namespaces.enter(scratch, bounds, devices)
        else:
            landlock.enter(scratch, bounds, devices)
        os.chdir(scratch)
    except OSError as error:
        raise IsolationError(f"{mechanism}: {error}") from error

"""Locks a forked child in before it runs code that nobody knows (Linux on x86_64 and aarch64).

The child keeps what the interpreter needs, read-only, and one scratch folder. It has no network, no privileges, few
processes and none of the parent's environment and descriptors. With ``namespaces`` everything else does not exist for
it; with ``landlock``, for machines that refuse namespaces, it exists and the kernel refuses it.

Nothing is executed anew: what the parent has imported stays imported. For the same reason the child's memory is a copy
of the parent's. A secret that the parent holds in memory is not protected from the child, only its ways out are.
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
from lrgen.verify.sandbox.syscalls import die_with

__all__ = ["Bounds", "Isolation", "Mechanism", "available", "enter", "readable", "refusal_of"]


class Isolation(StrEnum):
    """What a user asks for."""

    PROCESS = "process"
    SANDBOX = "sandbox"


class Mechanism(StrEnum):
    """How a file was kept apart; recorded with each result."""

    PROCESS = "process"
    NAMESPACES = "namespaces"
    LANDLOCK = "landlock"


@functools.cache
def available() -> Mechanism:
    """The strongest sandbox of this machine; each is tried in a short-lived child.

    Raises:
        IsolationError: there is none; says what is missing.
    """
    readable(), links()  # kept from now on: a child has another current folder
    refusals = []
    for mechanism in (Mechanism.NAMESPACES, Mechanism.LANDLOCK):
        if not (refusal := refusal_of(mechanism)):
            return mechanism
        refusals.append(f"{mechanism}: {refusal}")
    raise IsolationError(
        f"this machine gives no sandbox ({'; '.join(refusals)}): it takes a Linux kernel that lets this user make "
        "namespaces (5.14 or later), or one with Landlock (5.13 or later); --isolation process runs the files "
        "without one and accepts the risk"
    )


def refusal_of(mechanism: Mechanism) -> str:
    """What refused a mechanism, or nothing when a child could lock itself in and live there."""
    with tempfile.TemporaryDirectory(prefix="lrgen-") as scratch:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _rehearse(mechanism, Path(scratch), writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            refusal = pipe.read().decode(errors="replace")
        _, status = os.waitpid(pid, 0)
    return refusal or (f"the child ends with wait status {status}" if status else "")


def _rehearse(mechanism: Mechanism, scratch: Path, pipe: int) -> NoReturn:
    """Enter, and do what every file does: read the library, write to the scratch folder, start a thread."""
    code = FAILED
    try:
        os.setsid()
        enter(mechanism, scratch, {pipe}, Bounds())
        Path(os.__file__).read_bytes()
        Path("rehearsal").write_bytes(b"x")
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
    """Lock this process in; for a child that was just forked, has one thread and leads a session of its own.

    Returns in the process that may run the file. With ``namespaces`` that is a child of this one, which waits
    for it and ends as it ended. Of the descriptors 0, 1, 2 and ``keep`` stay. The number of tasks is not bounded for
    a root that cannot change its uid.

    Raises:
        IsolationError: something was refused; the process must not go on.
    """
    if mechanism is Mechanism.PROCESS:
        return
    scratch = scratch.resolve()
    try:
        die_with(os.getppid())
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

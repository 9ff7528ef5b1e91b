"""The sandbox of a forked child that runs unknown code (Linux on x86_64 and aarch64).

The child can read what the interpreter needs, and write to one scratch folder. It has no network, no privileges, a
bounded number of processes, and neither the environment nor the descriptors of the parent. With ``namespaces`` no other
files exist in the child. With ``landlock``, for machines without namespaces, the kernel denies access to other files.

The child does not call exec, and modules stay imported. Its memory is therefore a copy of the parent's: the parent must
hold no secret. The modules of this package import the standard library and each other: lrgen sends them as text to a
process that has nothing of lrgen (see lrgen.verify.isolation).
"""

import os
from collections.abc import Collection, Sequence
from enum import StrEnum
from pathlib import Path

from . import landlock, namespaces, seccomp
from .privileges import Bounds, close_all_but, dump_no_core, forget_environment, limit_memory
from .syscalls import PR_SET_DUMPABLE, call, set_parent_death_signal
from .view import View

__all__ = ["Bounds", "Mechanism", "SandboxError", "View", "enter"]


class Mechanism(StrEnum):
    """The mechanism that isolated a file; it is recorded with each result."""

    PROCESS = "process"
    NAMESPACES = "namespaces"
    LANDLOCK = "landlock"


class SandboxError(OSError):
    """The kernel refused a step into the sandbox; the process must not continue."""


def enter(
    mechanism: str,
    scratch: str | Path,
    keep: Collection[int],
    bounds: Bounds,
    view: View,
    devices: Sequence[str] = (),
) -> None:
    """Enter the sandbox. The caller is a newly forked child with one thread and its own session.

    Returns in the process that may run the file. With ``namespaces`` this is a child of the caller; the caller waits
    for it and exits with the same status. The descriptors 0, 1, 2 and ``keep`` stay open. The number of tasks is not
    limited for a root user that cannot change its uid. The mechanism ``process`` only keeps the child from tracing and,
    since Linux 6.12, from signalling other processes; and, without ``devices``, from memory beyond the bounds.

    Raises:
        SandboxError: if the kernel refuses a step; the process must not continue.
    """
    mechanism = Mechanism(mechanism)
    scratch = Path(scratch).resolve()
    try:
        if mechanism is Mechanism.PROCESS:
            landlock.leave_others_alone()
            call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)  # the parent may be untraceable; the child's memory is measured
            if not devices:  # a GPU's driver has needs of its own
                limit_memory(bounds)
                seccomp.refuse_hidden_memory()
            return
        set_parent_death_signal(os.getppid())
        forget_environment(scratch)
        close_all_but({0, 1, 2, *keep})
        dump_no_core()
        if mechanism is Mechanism.NAMESPACES:
            namespaces.enter(scratch, bounds, view, devices)
        else:
            landlock.enter(scratch, bounds, view, devices)
        os.chdir(scratch)
    except OSError as error:
        raise SandboxError(f"{mechanism}: {error}") from error

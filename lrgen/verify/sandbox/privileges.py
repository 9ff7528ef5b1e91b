"""Dropping of inherited privileges: environment, descriptors, resource limits, capabilities and uid."""

import ctypes
import errno
import os
import resource
import stat
import struct
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .syscalls import (
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAPBSET_DROP,
    PR_SET_KEEPCAPS,
    call,
)


@dataclass(frozen=True)
class Bounds:
    """Bounds on the resources of a sandboxed child.

    ``processes`` includes threads. ``file_bytes`` bounds each file and ``scratch_bytes`` the scratch folder. ``memory``
    is the number of bytes that each process may allocate besides those that it inherits (0: no limit).
    """

    processes: int = 64
    file_bytes: int = 64 << 20
    scratch_bytes: int = 256 << 20
    open_files: int = 256
    memory: int = 0


ENVIRONMENT = """
PATH LANG LC_ALL TZ OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS CUBLAS_WORKSPACE_CONFIG CUDA_VISIBLE_DEVICES
"""
_ENVIRONMENT_PREFIX = "NVIDIA_"
_OWN_IDS = 2_000_000_000  # unused uids and gids start here; the process id is added
_WHOLE_MAP = ["0", "0", str(2**32 - 1)]
_STACK = 8 << 20  # bytes of the stack of a thread
NO_CAPS, CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE = 0, 1 << 2, 1 << 19
_CAPS_TO_CHANGE_IDS = 1 << 0 | 1 << 6 | 1 << 7 | 1 << 8  # CHOWN, SETGID, SETUID, SETPCAP
CAP_SYS_ADMIN = 1 << 21
_CAP_VERSION = struct.pack("Ii", 0x20080522, 0)


def forget_environment(scratch: Path) -> None:
    """Keep a short list of variables, and overwrite the memory that holds the original environment."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ENVIRONMENT.split() or name.startswith(_ENVIRONMENT_PREFIX)
    }
    os.environ.clear()
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = map(int, fields[47:49])  # env_start, env_end: proc(5)
    if 0 < start < end:
        ctypes.memset(start, 0, end - start)
    os.environ.update(kept | {"HOME": str(scratch), "TMPDIR": str(scratch), "USER": "sandbox", "LOGNAME": "sandbox"})
    tempfile.tempdir = None


def close_all_but(keep: Iterable[int]) -> None:
    """Close all descriptors except those to keep."""
    low = 0
    for descriptor in sorted(keep):
        if low < descriptor:  # an empty range from 0 closes all descriptors (CPython 3.11)
            os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, 2**31 - 1)


def limit(bounds: Bounds, tasks: int) -> None:
    """Set the resource limits of this process; a limit is never raised."""
    _lower(resource.RLIMIT_FSIZE, bounds.file_bytes)
    _lower(resource.RLIMIT_NOFILE, bounds.open_files)
    _lower(resource.RLIMIT_NPROC, tasks)
    limit_memory(bounds)


def limit_memory(bounds: Bounds) -> None:
    """Limit the private writable memory of this process and of each process that it starts, resident or not.

    The stacks of threads are added. RLIMIT_AS would also count what is only reserved and every mapped library: torch
    and the C library reserve far more than they use, 64 MiB for the heap of each thread, a GPU's driver terabytes.
    """
    if bounds.memory:
        _lower(resource.RLIMIT_DATA, _allocated() + bounds.memory + bounds.processes * _STACK)


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (lower, lower))


def dump_no_core() -> None:
    """Have the kernel dump no core: a limit of 1 byte also keeps it from starting a program that collects dumps."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    bound = 1 if hard else 0
    resource.setrlimit(resource.RLIMIT_CORE, (bound, bound))


def _allocated() -> int:
    """The bytes of private writable memory of this process."""
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) << 10 for row in rows if row.startswith("VmData:"))


def tasks_of_user() -> int:
    """The number of tasks that the kernel counts for the uid of this process."""
    tasks = 0
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and folder.stat().st_uid == os.getuid():
                tasks += len(os.listdir(folder / "task"))
        except OSError:  # it has exited, or belongs to another user
            continue
    return tasks


def own_id(needed: int, read: Iterable[Path] = ()) -> int | None:
    """A uid and gid that only this child has: its limits and signals do not involve other processes.

    None if the process cannot change its ids, or could not read the paths ``read`` with the new ones.
    """
    held = _capabilities()
    if held & (required := needed | _CAPS_TO_CHANGE_IDS) != required:
        return None
    if Path("/proc/self/uid_map").read_text().split() != _WHOLE_MAP:
        return None
    if not held & CAP_DAC_READ_SEARCH and not all(map(_open_to_all, read)):
        return None
    return _OWN_IDS + os.getpid()


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents) and bool(
        path.stat().st_mode & stat.S_IROTH
    )


def _capabilities() -> int:
    """The effective capabilities, one bit each."""
    data = ctypes.create_string_buffer(24)
    call("capget", _CAP_VERSION, data)
    words = struct.unpack("6I", data.raw)
    return int(words[0] | words[3] << 32)


def drop_privileges(own: int | None, spared: int = 0) -> None:
    """Change to the ids ``own``, if any, and drop every capability except ``spared``.

    Landlock spares CAP_DAC_READ_SEARCH, because root's interpreter may be in a folder that other users cannot read; the
    rules of Landlock then decide what may be read.
    """
    spared = _capabilities() & spared if own else 0
    call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    try:
        for capability in range(64):
            call("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)
    except OSError as error:  # EINVAL: the last capability is passed; EPERM: the process may not drop any
        if error.errno not in (errno.EINVAL, errno.EPERM):
            raise
    if own:
        call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setresgid(own, own, own)
        os.setresuid(own, own, own)
    _set_capabilities(spared)


def forget_tracing() -> None:
    """Drop the capability to trace and to read other processes of the same user."""
    if _capabilities() & CAP_SYS_PTRACE:
        call("prctl", PR_CAPBSET_DROP, CAP_SYS_PTRACE.bit_length() - 1, 0, 0, 0)
        _set_capabilities(_capabilities() & ~CAP_SYS_PTRACE)


def _set_capabilities(held: int) -> None:
    low, high = held & 0xFFFFFFFF, held >> 32
    call("capset", _CAP_VERSION, struct.pack("6I", low, low, 0, high, high, 0))

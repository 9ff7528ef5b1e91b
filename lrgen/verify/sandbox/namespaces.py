"""The namespaces mechanism: the child has its own file system, in which other files do not exist."""

import contextlib
import os
import signal
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from .privileges import CAP_SYS_ADMIN, Bounds, close_all_but, drop_privileges, limit, own_id
from .processes import FAILED, exit_as
from .seccomp import lock
from .syscalls import PR_SET_DUMPABLE, call
from .view import DEVICES, MACHINE_PATHS, View

_SHARED_MEMORY = 64 << 20
_FILES_OF_A_TMPFS = 1 << 14
_OUTSIDE = 0  # the pid of a parent outside the namespace
_NEW_MOUNTS_PIDS_NETWORK_IPC_NAMES = 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000
_NEW_USERS = 0x10000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8  # the attributes of mount_setattr have the same values
_MS_BIND, _MS_REC, _MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
_MNT_DETACH, _AT_FDCWD, _AT_RECURSIVE = 2, -100, 0x8000


def enter(scratch: Path, bounds: Bounds, view: View, devices: Sequence[str]) -> None:
    """Continue in a new process with its own namespaces and root file system."""
    own = own_id(CAP_SYS_ADMIN)
    _move_into_namespaces(own)
    _change_root(scratch, bounds, view, devices)
    limit(bounds, bounds.processes)
    drop_privileges(own)
    lock(_OUTSIDE, dumpable=not own)


def _move_into_namespaces(own: int | None) -> None:
    """Return in a new process inside new namespaces; the calling process waits for it.

    When the first process of a PID namespace ends, the kernel kills all others; signals of the others cannot end it. A
    file would notice this difference. The first process therefore only waits for the end of the caller, and the file
    runs in the second.
    """
    uid, gid = os.getuid(), os.getgid()
    call("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0)  # otherwise root owns the files below, and the memory is not measured
    call("unshare", _NEW_MOUNTS_PIDS_NETWORK_IPC_NAMES | (0 if own else _NEW_USERS))
    if not own:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    lifeline, lifeline_end = os.pipe()
    first = os.fork()
    if first == 0:
        _run_init(lifeline, own)
    inner = os.fork()
    if inner:
        _await_inner(inner, first, lifeline_end)
    os.close(lifeline)
    os.close(lifeline_end)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _run_init(lifeline: int, own: int | None) -> NoReturn:
    """Reap orphans as the first process of the namespace, until the process outside ends and closes its pipe."""
    try:
        close_all_but({lifeline})
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        drop_privileges(own)
        call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)
        os.read(lifeline, 1)
    finally:
        os._exit(0)


def _await_inner(inner: int, first: int, lifeline_end: int) -> NoReturn:
    """Wait for the inner process, kill the processes that it left running, and end as it did."""
    try:
        close_all_but({lifeline_end})
        _, status = os.waitpid(inner, 0)
        os.kill(first, signal.SIGKILL)
        os.waitpid(first, 0)
    except BaseException:  # noqa: BLE001  it must not return into the code of the file
        os._exit(FAILED)
    exit_as(status)


def _change_root(scratch: Path, bounds: Bounds, view: View, devices: Sequence[str]) -> None:
    """Mount the readable paths, the devices and the scratch folder under a new root, and detach the old root."""
    os.umask(0o022)
    root = str(scratch)  # the mount point of the new root
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    _tmpfs(root, 1 << 20, 755)
    for path in (*view["readable"], *filter(os.path.exists, MACHINE_PATHS)):
        _bind(path, root, _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    _hide(view["hidden"], root)
    for device in (*DEVICES, *devices):
        _bind(device, root, _MS_NOSUID | _MS_NOEXEC)
    _tmpfs(f"{root}/dev/shm", _SHARED_MEMORY)
    _tmpfs(f"{root}{scratch}", bounds.scratch_bytes)
    os.makedirs(f"{root}/proc")
    with contextlib.suppress(PermissionError):  # a container that masks parts of /proc: the folder stays empty
        _mount("proc", f"{root}/proc", "proc", _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    os.chdir(root)
    call("pivot_root", b".", b".")
    call("umount2", b".", _MNT_DETACH)
    os.chdir("/")
    for name, link_target in view["links"]:
        if not os.path.lexists(name):
            os.makedirs(os.path.dirname(name), exist_ok=True)
            os.symlink(link_target, name)
    _set_attributes("/", _MS_RDONLY)
    call("sethostname", b"sandbox", len(b"sandbox"))


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    try:
        call("mount", *(part.encode() if part else None for part in (source, target, kind)), flags, options.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"mount {source} {target}") from error


def _tmpfs(target: str, size: int, mode: int = 1777) -> None:
    os.makedirs(target, exist_ok=True)
    _mount("tmpfs", target, "tmpfs", _MS_NOSUID | _MS_NODEV, f"size={size},nr_inodes={_FILES_OF_A_TMPFS},mode={mode}")


def _bind(path: str, root: str, attributes: int) -> None:
    """Bind-mount a file or a folder with its submounts under the new root."""
    target = root + path
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        Path(target).touch()
    _mount(path, target, None, _MS_BIND | _MS_REC)
    _set_attributes(target, attributes, _AT_RECURSIVE)


def _hide(paths: Iterable[str], root: str) -> None:
    """Mount an empty folder or an empty file over each path under the new root."""
    folder, file = f"{root}/.folder", f"{root}/.file"
    os.mkdir(folder, 0o555)
    os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o444))
    for path in paths:
        target = root + path
        if os.path.exists(target):
            _mount(folder if os.path.isdir(target) else file, target, None, _MS_BIND)
            _set_attributes(target, _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    os.rmdir(folder)
    os.unlink(file)


def _set_attributes(target: str, attributes: int, flags: int = 0) -> None:
    """Add attributes to a mount; its present attributes, some of which may be locked, stay."""
    data = struct.pack("4Q", attributes, 0, 0, 0)
    call("mount_setattr", _AT_FDCWD, target.encode(), flags, data, len(data))

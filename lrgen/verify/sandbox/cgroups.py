"""Control groups (cgroup v2) that bound the memory of a file's processes together, where this user may create them.

The kernel counts what no process shows as resident: files in memory, pipes, sockets, page tables. A group counts what
its processes allocate after they have entered it, not what they inherited.
"""

import contextlib
import itertools
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

from .processes import FAILED

_NAMES = itertools.count()


class MemoryGroup:
    """A control group; its processes are killed together when they exceed its limit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, parent: Path, limit: int) -> "MemoryGroup":
        """Create a group in which processes use at most ``limit`` bytes of memory, and no swap.

        Raises:
            OSError: if this user may not, or if the parent does not distribute memory.
        """
        group = cls(parent / _name(os.getpid(), next(_NAMES)))
        group.folder.mkdir()
        try:
            group._write("memory.max", limit)
            group._write("memory.oom.group", 1)
            with contextlib.suppress(FileNotFoundError):  # a kernel that does not count swap
                group._write("memory.swap.max", 0)
        except OSError:
            group.remove()
            raise
        return group

    def enter(self) -> None:
        """Move the calling process, which has one thread, into the group; its children start there.

        Raises:
            OSError: if the kernel refuses it.
        """
        self._write("cgroup.procs", 0)

    def kill(self) -> None:
        """Kill all processes of the group at once (since Linux 5.14)."""
        with contextlib.suppress(OSError):
            self._write("cgroup.kill", 1)

    def was_exceeded(self) -> bool:
        """Whether the kernel has killed a process of the group because of its limit."""
        try:
            rows = dict(row.split() for row in (self.folder / "memory.events").read_text().splitlines())
        except OSError:
            return False
        return int(rows.get("oom_kill", 0)) > 0

    def remove(self) -> bool:
        """Remove the group; whether it is gone. It stays while it has a process."""
        with contextlib.suppress(OSError):
            self.folder.rmdir()
        return not self.folder.exists()

    def wait_until_empty(self, seconds: float) -> bool:
        """Wait until the group has no process; whether that is so.

        A killed process is in its group until the kernel has released it, which may be after its parent has seen it
        end.
        """
        deadline = time.monotonic() + seconds
        with contextlib.suppress(OSError), open(self.folder / "cgroup.events") as events:
            changes = select.poll()
            changes.register(events, select.POLLPRI)
            while "populated 1" in events.read() and (left := deadline - time.monotonic()) > 0:
                changes.poll(left * 1000)
                events.seek(0)
            events.seek(0)
            return "populated 0" in events.read()
        return not self.folder.exists()

    def _write(self, file: str, value: int) -> None:
        descriptor = os.open(self.folder / file, os.O_WRONLY | os.O_CLOEXEC)  # a missing file is not created
        try:
            os.write(descriptor, str(value).encode())
        finally:
            os.close(descriptor)


def parent_of_groups() -> Path | None:
    """The control group in which this process can create groups for its children; None if there is none.

    Each candidate is tried with a child that ends at once.
    """
    for parent in _candidates():
        with contextlib.suppress(OSError):
            group = MemoryGroup.create(parent, 1 << 30)
            try:
                if _can_enter(group):
                    return parent
            finally:
                group.remove()
    return None


def remove_groups(owner: int) -> None:
    """Remove the groups that a process has created, once it has ended."""
    for parent in _candidates():
        with contextlib.suppress(OSError):
            for folder in parent.glob(_name(owner, "*")):
                group = MemoryGroup(folder)
                group.kill()
                group.wait_until_empty(1)
                group.remove()


def _name(owner: int, number: int | str) -> str:
    return f"lrgen-{owner}-{number}"


def _can_enter(group: MemoryGroup) -> bool:
    pid = os.fork()
    if pid == 0:
        code = FAILED
        try:
            group.enter()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


def _candidates() -> Iterator[Path]:
    """The control group of this process and the one above it, if they are visible here.

    A group with processes cannot distribute memory, except the topmost one; then the new group is created beside it.
    """
    with contextlib.suppress(OSError):
        membership = Path("/proc/self/cgroup").read_text()
        mounts = Path("/proc/self/mountinfo").read_text()
        yield from _visible(membership, mounts)


def _visible(membership: str, mounts: str) -> list[Path]:
    """The folders of a process's control group and of the one above it, from the texts of the kernel (proc(5))."""
    own = next((row[3:] for row in membership.splitlines() if row.startswith("0::/")), None)
    for row in mounts.splitlines():
        fields, _, kind = row.partition(" - ")
        root, point = fields.split()[3:5]
        if own is None or kind.split()[0] != "cgroup2" or not Path(own).is_relative_to(root) or ".." in own:
            continue
        inside = Path(own).relative_to(root)
        return [Path(point) / folder for folder in (inside, *list(inside.parents)[:1])]
    return []

"""The processes that a file starts: finding, measuring, stopping and killing them (Linux).

A file under test may fork, leave the process group and the session, and end before its children. A process that adopts
orphans (``syscalls.adopt_orphans``) finds them again: they become its children.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NoReturn

FAILED = 70  # exit code of a process that could not do its work
_KILL_SECONDS = 10.0  # to wait for killed processes; one that the kernel holds longer is left
_PAUSE = 0.001  # between two looks at processes that are ending


def children(pid: int | None = None) -> set[int]:
    """The child processes of a process, by default of this one; none if it has ended."""
    result: set[int] = set()
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid or os.getpid()}/task"):
            with contextlib.suppress(OSError):
                result.update(map(int, Path(f"/proc/{pid or os.getpid()}/task/{thread}/children").read_text().split()))
    return result


def descendants(pid: int) -> Iterator[int]:
    """The descendants of a process, parents first: the children of each are read after it was yielded."""
    pending, seen = [pid], {pid}
    for member in pending:
        if member != pid:
            yield member
        pending += sorted(children(member) - seen)
        seen.update(pending)


def inherited_bytes() -> int:
    """The anonymous resident bytes of this process, which a child has from the moment of its fork."""
    return _whole_bytes(os.getpid())


def resident_bytes(pid: int, inherited: int, *, waits: bool = False) -> int:
    """The anonymous resident bytes of a process and its descendants, besides those that it inherited.

    A process that only ``waits`` for the one in the namespace does not count.
    """
    family = [pid, *descendants(pid)]
    if waits:
        family = family[1:]
    used = sum(_own_bytes(member) if position else _whole_bytes(member) for position, member in enumerate(family))
    return max(0, used - inherited)


def waited_seconds(pid: int) -> float:
    """The longest time that a thread of a process or a descendant was ready to run without a core; 0 if unknown."""
    longest = 0
    for member in (pid, *descendants(pid)):
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{member}/task"):
                with contextlib.suppress(OSError, ValueError, IndexError):
                    longest = max(longest, int(Path(f"/proc/{member}/task/{thread}/schedstat").read_text().split()[1]))
    return longest / 1e9


def _whole_bytes(pid: int) -> int:
    """The anonymous resident bytes of a process with all shared pages."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # the process has ended
        return _sum(f"/proc/{pid}/status", ("RssAnon:", "RssShmem:"))
    return 0


def _own_bytes(pid: int) -> int:
    """The anonymous resident bytes of a process with its proportion of shared pages.

    With all shared pages if the process has made itself unreadable.
    """
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        try:
            return _sum(f"/proc/{pid}/smaps_rollup", ("Pss_Anon:", "Pss_Shmem:"))
        except PermissionError:
            return _whole_bytes(pid)
    return 0


def _sum(file: str, fields: tuple[str, ...]) -> int:
    """The sum of the fields of a file in /proc, which are in KiB."""
    rows = Path(file).read_text().splitlines()
    return sum(int(row.split()[1]) << 10 for row in rows if row.startswith(fields))


def has_ended(handle: int, seconds: float = 0.0) -> bool:
    """Whether a process, given as a handle (pidfd), has ended, after a wait of at most so many seconds."""
    poll = select.poll()  # select() accepts descriptors below 1024 only
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def stop(pid: int, handle: int, grace: float) -> None:
    """Terminate a process group, wait ``grace`` seconds for its first process, and kill the group if it still runs."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, _KILL_SECONDS)):
        _signal_group(pid, number)
        if has_ended(handle, seconds):
            return


def kill_group(group: int) -> bool:
    """Kill a process group whose first process has been waited for; whether another one was left in it."""
    return _signal_group(group, signal.SIGKILL)


def kill_orphans(spared: Collection[int], chosen: Callable[[int], bool] = lambda pid: True) -> int:
    """Kill and reap the orphans that this process adopted, and those that come when they end; returns their number.

    ``spared`` are the children that still run. An orphan is a child in another session: each file has its own, and what
    else this process has started has not. Of the orphans those that are ``chosen`` are killed.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + _KILL_SECONDS
    while orphans := [pid for pid in children() - set(spared) if _is_orphan(pid) and chosen(pid)]:
        for pid in orphans:
            _signal(pid, signal.SIGKILL)
        _reap(orphans)
        killed.update(orphans)
        if time.monotonic() > deadline:
            break
        time.sleep(_PAUSE)
    return len(killed)


def kill_descendants() -> bool:
    """Kill and reap all descendants of this process, which must adopt orphans; whether all have ended.

    All are stopped before the first is killed: the end of a process would make room for another where their number is
    limited, and a file that forks endlessly would go on.
    """
    deadline = time.monotonic() + _KILL_SECONDS
    stopped: set[int] = set()
    while (fresh := _stop_new(stopped)) and time.monotonic() < deadline:
        stopped |= fresh
    deadline = time.monotonic() + _KILL_SECONDS
    while _has_children():
        for pid in [*descendants(os.getpid())]:
            _signal(pid, signal.SIGKILL)
        _reap(children())
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def exit_as(status: int) -> NoReturn:
    """End this process as one with this wait status has ended, by an exit code or by a signal."""
    code = FAILED
    try:
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            if number != signal.SIGKILL:
                signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        code = os.WEXITSTATUS(status)
    finally:
        os._exit(code)


def _stop_new(stopped: Collection[int]) -> set[int]:
    """Stop each descendant that does not stand still yet, before its children are read; returns those that run."""
    fresh = set()
    for pid in descendants(os.getpid()):
        if pid not in stopped and _signal(pid, signal.SIGSTOP):
            fresh.add(pid)
    return fresh


def _has_children() -> bool:
    """Whether this process has children; unlike the lists in /proc, the kernel's answer misses none."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _reap(pids: Collection[int]) -> None:
    """Reap those children that have ended; the first process of a PID namespace ends after all others."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _signal_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _is_orphan(pid: int) -> bool:
    """Whether a child of this process is in another session: a file under test started it."""
    try:
        return os.getsid(pid) != os.getsid(0)
    except ProcessLookupError:
        return False

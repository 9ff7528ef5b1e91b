"""The processes that a file starts are found, measured, stopped and killed."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lrgen.verify import isolation
from lrgen.verify.sandbox import Bounds, Mechanism, processes
from lrgen.verify.sandbox.syscalls import adopt_orphans
from tests.verify.processes import has_exited, wait_for
from tests.verify.sandbox.kinds import ROOT, is_closed, libc, open_pipe, result_of, start_in

MEBIBYTES = 1 << 20
DUMPABLE = 4  # PR_SET_DUMPABLE


def pause() -> None:
    """Wait for a signal that ends the process."""
    while True:
        signal.pause()


def in_a_host(function: Callable[[], Any], folder: Path) -> Any:
    """The result of a function in a child that adopts orphans, as the host of the files does."""

    def work() -> Any:
        adopt_orphans()
        return function()

    return result_of(*start_in(Mechanism.PROCESS, folder, work))


def start(function: Callable[[], Any], *, session: bool = True) -> int:
    """Start a child in a session of its own that runs a function and waits; returns when the function has ended."""
    ready, ready_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if session:
                os.setsid()
            function()
            os.write(ready_in, b"x")
            os.close(ready_in)
            pause()
        finally:
            os._exit(1)
    os.close(ready_in)
    assert os.read(ready, 1) == b"x"
    os.close(ready)
    return pid


def leave_a_daemon() -> None:
    """Leave a process behind a double fork, in a session of its own."""
    middle = os.fork()
    if middle == 0:
        start(lambda: None)
        os._exit(0)
    os.waitpid(middle, 0)


@contextlib.contextmanager
def child(function: Callable[[], Any]) -> Iterator[int]:
    """A child, which is killed and reaped at the end."""
    pid = start(function)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


# Finding.


def test_descendants_are_found_parents_first(tmp_path):
    """A child and its child are descendants; the process itself is not."""

    def look() -> bool:
        pids = os.pipe()

        def grandchild() -> None:
            os.write(pids[1], f"{start(lambda: None)}".encode())

        first = start(grandchild)
        second = int(os.read(pids[0], 20))
        order = list(processes.descendants(os.getpid()))
        killed = processes.kill_descendants()
        return order == [first, second] and killed

    assert in_a_host(look, tmp_path) is True


def test_a_process_that_has_ended_has_no_children():
    """Neither children nor descendants, and no error."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert processes.children(pid) == set()
    assert list(processes.descendants(pid)) == []
    assert processes.resident_bytes(pid, 0) == 0


# Measuring.


def allocate(mebibytes: int) -> bytearray:
    return bytearray(b"x" * (mebibytes * MEBIBYTES))


def test_the_memory_of_all_processes_of_a_file_counts():
    """Bytes of the file and of its child count; of those that it inherited, the child's share of the shared pages."""
    held: list[bytearray] = []

    def use() -> None:
        held.append(allocate(64))
        start(lambda: held.append(allocate(32)), session=False)

    inherited = processes.inherited_bytes()
    with child(lambda: None) as idle, child(use) as busy:
        assert processes.resident_bytes(idle, inherited) < 16 * MEBIBYTES
        assert 90 * MEBIBYTES < processes.resident_bytes(busy, inherited) < 128 * MEBIBYTES + inherited // 2


def test_a_child_that_cannot_be_read_counts_with_all_that_it_has(monkeypatch):
    """A process that forbids reading its proportion of shared pages is measured with all of them."""
    read = Path.read_text

    def refuse(path: Path, *arguments: Any, **options: Any) -> str:
        if path.name == "smaps_rollup":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *arguments, **options)

    held: list[bytearray] = []
    monkeypatch.setattr(Path, "read_text", refuse)
    with child(lambda: start(lambda: held.append(allocate(64)), session=False)) as pid:
        assert processes.resident_bytes(pid, processes.inherited_bytes()) > 60 * MEBIBYTES


# Ends.


def test_a_process_that_ignores_sigterm_is_killed():
    """A process group is terminated, and killed when the time is over."""
    pid = start(lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN))
    handle = os.pidfd_open(pid)
    assert not processes.has_ended(handle)
    processes.stop(pid, handle, 0.0)
    assert processes.has_ended(handle)
    os.close(handle)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL


def test_a_process_that_obeys_sigterm_is_not_killed():
    """A process that ends at SIGTERM keeps its exit code."""
    pid = start(lambda: signal.signal(signal.SIGTERM, lambda *_: os._exit(5)))
    handle = os.pidfd_open(pid)
    processes.stop(pid, handle, 20.0)
    os.close(handle)
    assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 5


def test_the_rest_of_a_group_is_killed():
    """A group that has lost its first process is reported if another one was left."""
    with open_pipe() as (reading, writing):
        pid = start(lambda: start(lambda: None, session=False))
        os.close(writing)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert processes.kill_group(pid)
        assert is_closed(reading)
    wait_for(lambda: not processes.kill_group(pid), "the end of the group")


def test_orphans_of_a_file_are_killed_and_counted(tmp_path):
    """Two daemons of a file that has ended are killed; a running file and a child of the host are spared."""

    def work() -> list[Any]:
        own = start(lambda: None, session=False)
        running = start(leave_a_daemon_and_adopt)
        file = os.fork()
        if file == 0:
            os.setsid()
            leave_a_daemon()
            leave_a_daemon()
            os._exit(0)
        os.waitpid(file, 0)
        killed = processes.kill_orphans({running})
        left = [len(processes.children()), len(list(processes.descendants(os.getpid())))]
        return [killed, left, has_exited(own), processes.kill_descendants()]

    def leave_a_daemon_and_adopt() -> None:
        adopt_orphans()
        leave_a_daemon()

    assert in_a_host(work, tmp_path) == [2, [2, 3], False, True]


def test_all_descendants_are_killed(tmp_path):
    """Processes that ignore signals, stand still or are in another session end with all others, and are reaped."""

    def work() -> list[Any]:
        reading, writing = os.pipe()
        start(lambda: [signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGHUP)])
        start(leave_a_daemon)
        os.kill(start(lambda: None), signal.SIGSTOP)
        os.close(writing)
        return [processes.kill_descendants(), is_closed(reading, 0), processes.children() == set()]

    assert in_a_host(work, tmp_path) == [True, True, True]


def test_no_descendant_is_killed_before_all_stand_still(tmp_path, monkeypatch):
    """Parents are stopped before their children, and the first is killed when the last was stopped."""
    kill, sent = os.kill, []

    def record(pid: int, number: int) -> None:
        sent.append((pid, int(number)))
        kill(pid, number)

    def work() -> list[Any]:
        start(lambda: start(lambda: start(lambda: None)))
        family = list(processes.descendants(os.getpid()))
        monkeypatch.setattr(os, "kill", record)
        ended = processes.kill_descendants()
        return [ended, sent[: len(family) + 1] == [(pid, signal.SIGSTOP) for pid in family] + [(family[0], 9)]]

    assert in_a_host(work, tmp_path) == [True, True]


def test_a_process_that_flees_is_killed(tmp_path):
    """A process that forks, leaves its session and ends, again and again, is caught."""

    def flee() -> None:
        if os.fork():
            return
        while True:  # the first process has reported; its child never returns
            os.setsid()
            if os.fork():
                os._exit(0)

    def work() -> list[Any]:
        reading, writing = os.pipe()
        start(flee)
        os.close(writing)
        return [processes.kill_descendants(), is_closed(reading, 0)]

    assert in_a_host(work, tmp_path) == [True, True]


@pytest.mark.skipif(not ROOT, reason="only a child of root has a user whose number of processes is limited")
def test_a_file_that_forks_endlessly_ends(tmp_path):
    """The places of killed processes are not taken by others."""
    if reason := isolation.refusal_of(Mechanism.LANDLOCK):
        pytest.skip(reason)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    isolation.view()

    def work() -> list[Any]:
        reading, writing = os.pipe()

        def bomb() -> None:
            while True:
                try:
                    os.fork()
                except OSError:
                    os.write(writing, b"x")

        _, result = start_in(Mechanism.LANDLOCK, scratch, bomb, keep=(writing,), bounds=Bounds(processes=12))
        os.read(reading, 1)
        os.close(writing)
        os.close(result)
        ended = processes.kill_descendants()
        while os.read(reading, 1 << 16):
            pass
        return [ended, processes.children() == set()]

    assert in_a_host(work, tmp_path) == [True, True]


@pytest.mark.parametrize("status", [0, 3 << 8, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_process_ends_as_another_one_did(status):
    """With the same exit code or by the same signal."""
    pid = os.fork()
    if pid == 0:
        processes.exit_as(int(status))
    assert os.waitpid(pid, 0)[1] & ~0x80 == status


# The mechanism ``process``.


def test_a_child_of_an_untraceable_process_can_be_measured(tmp_path):
    """The child of a process that is not dumpable is dumpable: its memory is read by other processes of its user."""

    def work() -> int:
        return result_of(*start_in(Mechanism.PROCESS, tmp_path, lambda: libc.prctl(3, 0, 0, 0, 0)))

    with isolation.not_traceable():
        assert libc.prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE
        assert work() == 1

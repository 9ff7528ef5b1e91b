"""Processes of a test: their states, their children, and waiting for them."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

TIMEOUT = 20.0  # seconds until a test gives up waiting for something that must happen


def wait_for(condition: Callable[[], object], event: str, seconds: float = TIMEOUT) -> None:
    """Wait until a condition is true; the test fails when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {event}"
        time.sleep(0.005)


def children_of(pid: int) -> set[int]:
    """The child processes of a process; none if it does not exist."""
    with contextlib.suppress(OSError):
        return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    return set()


def exists(pid: int) -> bool:
    """Whether a process exists, at least as a zombie."""
    return Path(f"/proc/{pid}").exists()


def has_exited(pid: int) -> bool:
    """Whether a process is a zombie or does not exist."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def reap(pid: int) -> None:
    """Wait for a process that has exited, if it is a child of this process."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)

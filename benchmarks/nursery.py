"""The nursery: what a session costs, beside a bare fork of a process with torch that enters the same sandbox.

``python -m benchmarks.nursery MECHANISM SCRATCH`` is the peer: for each line of its input it forks a child, which
enters the sandbox and ends, and prints the seconds until it has been waited for.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from lrgen.verify import isolation, sandbox
from lrgen.verify.limits import Limits
from lrgen.verify.messages import Loaded
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.sandbox import Bounds, Mechanism
from lrgen.verify.session import Place

ROUNDS = 50
AIM = 15  # ms a file


def bench(folder: Path, rounds: int = ROUNDS) -> None:
    """Print a table for each mechanism."""
    print(f"nursery: a process a file, one at a time, medians of {rounds} in turn; the aim is {AIM} ms beyond the fork")
    with Nursery() as nursery:
        for mechanism in (Mechanism.PROCESS, isolation.available()):
            compare(nursery, mechanism, folder, rounds)
    print()


def compare(nursery: Nursery, mechanism: Mechanism, folder: Path, rounds: int) -> None:
    """Print the medians of bare forks and of sessions, and of their differences."""
    place = Place(mechanism, Limits())

    def session() -> None:
        with nursery.session(place):
            pass

    def loading() -> None:
        with nursery.session(place) as begun:
            begun.call("load", Loaded, source="x = 1\n", path="x.py", absent=[])

    command = [sys.executable, "-m", "benchmarks.nursery", mechanism, str(folder)]
    bare, empty, loaded = [], [], []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as peer:
        assert peer.stdin is not None
        assert peer.stdout is not None
        for _ in range(1 + rounds):
            peer.stdin.write("\n")
            bare.append(float(peer.stdout.readline()))
            empty.append(seconds(session))
            loaded.append(seconds(loading))
        peer.stdin.close()
    print(f"  {mechanism}")
    print(f"    {'a bare fork that enters the sandbox':<42}{1000 * statistics.median(bare[1:]):9.1f} ms")
    for label, taken in (("a session without a command", empty), ("a session that loads a line", loaded)):
        added = statistics.median(there - here for there, here in zip(taken[1:], bare[1:], strict=True))
        print(f"    {label:<42}{1000 * statistics.median(taken[1:]):9.1f} ms{1000 * added:+9.1f} ms")


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def fork_for_each_line(mechanism: str, scratch: str) -> None:
    """Fork a child for each line of the input, and print the seconds until its end."""
    import torch  # noqa: F401  a fork copies the page tables of its libraries

    view = isolation.view()
    for _ in sys.stdin:
        print(seconds(lambda: fork_and_wait(mechanism, scratch, view)), flush=True)


def fork_and_wait(mechanism: str, scratch: str, view: sandbox.View) -> None:
    """Fork a child that enters the sandbox and ends, and wait for it."""
    pid = os.fork()
    if pid == 0:
        enter_and_end(mechanism, scratch, view)
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError(f"the child ended with wait status {status}")


def enter_and_end(mechanism: str, scratch: str, view: sandbox.View) -> NoReturn:
    """Enter the sandbox as the process of a file does, and end."""
    code = 1
    try:
        os.setsid()
        sandbox.enter(mechanism, scratch, (), Bounds(memory=Limits().memory), view)
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    fork_for_each_line(*sys.argv[1:])

"""The guardian ends everything that files have started when the examiner or the host ends, however that happens."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lrgen.verify import isolation
from lrgen.verify.sandbox import Mechanism, removal
from tests.verify.processes import has_exited, wait_for
from tests.verify.sandbox.kinds import NURSERY, TIMEOUT, is_closed

# A host whose file leaves a daemon in a session of its own, if it may, and goes on. All of them hold ``alive``.
HOST = """
import signal
import nursery_sandbox.guardian
nursery_sandbox.guardian.guard(given["lifeline"], given["run"])
alive = given["alive"]

def report(name):
    os.write(alive, f"{name} {os.getpid()}\\n".encode())

def resist():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    while True:
        signal.pause()

report("host")
if os.fork() == 0:
    os.setsid()
    nursery_sandbox.enter(given["mechanism"], given["folder"], {alive}, nursery_sandbox.Bounds(), given["view"])
    nursery_sandbox.syscalls.call("prctl", 36, 0, 0, 0, 0) if given["mechanism"] == "process" else None  # no subreaper
    if os.fork() == 0:
        try:
            os.setsid()
        except OSError:
            pass
        if os.fork():
            os._exit(0)
        report("daemon")
        resist()
    report("file")
    resist()
signal.pause()
"""


@dataclass
class Run:
    """A guardian with its host: the examiner's end of the lifeline, a pipe that all hold, and the pids by name."""

    process: "subprocess.Popen[bytes]"
    lifeline: int
    alive: int
    folder: Path
    pids: dict[str, int]

    def close(self) -> None:
        """Close the lifeline, as the end of the examiner does."""
        if self.lifeline >= 0:
            os.close(self.lifeline)
            self.lifeline = -1


Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a guardian whose host runs a script, and returns when so many processes have reported."""
    runs = []

    def start(script: str, reports: int, mechanism: str = "process") -> Run:
        folder = tmp_path / f"run{len(runs)}"
        (folder / "file").mkdir(parents=True)
        folder.chmod(0o755)
        lifeline_out, lifeline = os.pipe()
        alive, alive_in = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", NURSERY + script],
            stdin=subprocess.PIPE,
            cwd="/",
            pass_fds=(lifeline_out, alive_in),
            start_new_session=True,
        )
        os.close(lifeline_out)
        os.close(alive_in)
        run = Run(process, lifeline, alive, folder, {})
        runs.append(run)
        given = {
            "texts": isolation.texts(),
            "view": isolation.view(),
            "lifeline": lifeline_out,
            "alive": alive_in,
            "run": str(folder),
            "folder": str(folder / "file"),
            "mechanism": mechanism,
        }
        assert process.stdin is not None
        process.stdin.write(json.dumps(given).encode() + b"\n")
        process.stdin.close()
        text = b""
        while text.count(b"\n") < reports:
            piece = os.read(alive, 1000)
            assert piece, text
            text += piece
        run.pids.update((name, int(pid)) for name, pid in map(str.split, text.decode().splitlines()))
        return run

    yield start
    for run in runs:
        run.close()
        run.process.wait(TIMEOUT)
        os.close(run.alive)


def kill_host(run: Run) -> None:
    os.kill(run.pids["host"], signal.SIGKILL)


def kill_both(run: Run) -> None:
    kill_host(run)
    run.close()


@pytest.mark.parametrize("mechanism", list(Mechanism))
@pytest.mark.parametrize("end", [Run.close, kill_host, kill_both], ids=["examiner", "host", "both"])
def test_everything_ends_with_the_examiner_or_the_host(start, mechanism, end):
    """The host, a file and its daemon end, and the scratch folder of the run is removed."""
    if mechanism is not Mechanism.PROCESS and (reason := isolation.refusal_of(mechanism)):
        pytest.skip(reason)
    run = start(HOST, 3, mechanism)
    (run.folder / "left").write_text("x")
    assert set(run.pids) == {"host", "file", "daemon"}
    end(run)
    assert is_closed(run.alive), "a process has survived"
    run.process.wait(TIMEOUT)
    assert not run.folder.exists()


def test_a_killed_examiner_closes_the_lifeline(start, tmp_path):
    """The kernel closes the pipe of an examiner that is killed with SIGKILL, and nothing survives."""
    alive, alive_in = os.pipe()
    examiner = os.fork()
    if examiner == 0:
        with contextlib.suppress(BaseException):
            run = start(HOST, 3)
            os.write(alive_in, f"{run.process.pid}\n".encode())
            while True:
                signal.pause()
        os._exit(1)
    os.close(alive_in)
    guardian = int(os.read(alive, 100))
    os.close(alive)
    os.kill(examiner, signal.SIGKILL)
    os.waitpid(examiner, 0)
    wait_for(lambda: has_exited(guardian), "the end of the guardian")
    assert not (tmp_path / "run0").exists()


def test_the_folder_of_a_living_run_stays(start):
    """A guardian does not remove a folder whose lock is held: the examiner lives, and removes it itself."""
    run = start(HOST, 3)
    descriptor = removal.lock(run.folder)
    assert descriptor is not None
    run.close()
    assert run.process.wait(TIMEOUT) == 0
    assert run.folder.exists()
    os.close(descriptor)


ENDS = {
    "os._exit(0)": 0,
    "os._exit(3)": 3,
    "os.kill(os.getpid(), signal.SIGSEGV)": -signal.SIGSEGV,
    "os.kill(os.getpid(), signal.SIGKILL)": -signal.SIGKILL,
}
GUARDED = """
import signal
import nursery_sandbox.guardian
nursery_sandbox.guardian.guard(given["lifeline"], given["run"])
"""


@pytest.mark.parametrize("end", ENDS)
def test_the_guardian_ends_as_the_host_did(start, end):
    """The examiner sees the exit code or the signal of the host, although it is not its child."""
    run = start(GUARDED + end, 0)
    assert run.process.wait(TIMEOUT) == ENDS[end]


def test_the_host_ends_with_the_guardian(start):
    """A guardian that is killed takes the host with it."""
    run = start(GUARDED + "os.write(given['alive'], f'host {os.getpid()}\\n'.encode())\nsignal.pause()", 1)
    run.process.kill()
    assert is_closed(run.alive)


def test_the_guardian_ignores_other_signals(start):
    """SIGTERM and an interrupt of the whole group do not end the guardian before its work is done."""
    script = GUARDED + (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "os.write(given['alive'], f'host {os.getpid()}\\n'.encode())\nsignal.pause()"
    )
    run = start(script, 1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        run.process.send_signal(number)
    assert not is_closed(run.alive, 0)
    assert run.process.poll() is None
    run.close()
    assert run.process.wait(TIMEOUT) == 0


def test_the_host_has_the_signals_and_descriptors_of_before(start):
    """The host blocks no signal, keeps its pipes, and does not have the lifeline."""
    script = GUARDED + (
        "blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())\n"
        "closed = not os.path.exists(f'/proc/self/fd/{given[\"lifeline\"]}')\n"
        "os._exit(10 * closed + len(blocked))"
    )
    assert start(script, 0).process.wait(TIMEOUT) == 10

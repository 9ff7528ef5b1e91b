"""The harness runs each file in a child, limits it, ends it, and accepts only results that it can verify."""

import contextlib
import copy
import faulthandler
import json
import math
import os
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lrgen.verify.protocol import ChildProtocol

from lrgen import data
from lrgen.catalogue import Catalogue
from lrgen.data import Dataset
from lrgen.records import Budget, Candidate, CheckReport, Outcome, Stage, Status, Variant, VerifySettings
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import local
from lrgen.verify.limits import Limits
from tests.paths import FIXTURES
from tests.verify.processes import TIMEOUT, children_of, exists, has_exited, wait_for

CONTRACT = VerifySettings(stage=Stage.CONTRACT)
SLEEP = ["sleep", "600"]

PASSING_CONTRACT = {  # the measurement of a file that satisfies the contract
    "shapes": [[2, 10], [1, 7], [1, 10]],
    "updates": 2,
    "before": "a",
    "after": "b",
    "gradients": None,
    "declared": ["lr", "momentum"],
    "effects": {"lr": ["c", "d"], "momentum": ["e", "f"]},
}

GOOD_FILE = (FIXTURES / "training/passes_epoch_unit.py").read_text(encoding="utf-8")

Behaviour = Callable[[int], None]


def candidate(name: str, variant: Variant | None = None, source: str = "") -> Candidate:
    return replace(candidate_of(Path(f"/files/{name}.py"), source.encode(), variant=variant), prm={"lr": 0.1})


SECRETS: dict[int, str] = {}  # in a child: pipe → the secret that its messages carry


def send(pipe: int, **message: Any) -> None:
    os.write(pipe, json.dumps(message | {"by": SECRETS[pipe]}).encode() + b"\n")


def end(pipe: int, stage: str, reason: str = "", measurement: object = None) -> None:
    evidence = PASSING_CONTRACT if stage == "contract" else {}
    send(pipe, end=stage, reason=reason, seconds=0.0, measurement=measurement or evidence)


def pass_contract(pipe: int) -> None:
    end(pipe, "syntax")
    end(pipe, "policy")
    end(pipe, "contract")


def sleep_forever() -> None:
    while True:
        time.sleep(60)


def write_pid(folder: Path, name: str, pid: int | None = None) -> int:
    """Write a process id, by default that of this process, atomically to a file."""
    pid = os.getpid() if pid is None else pid
    (folder / f".{name}").write_text(str(pid))
    (folder / f".{name}").rename(folder / name)
    return pid


def descriptors() -> dict[str, str]:
    targets = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            targets[entry.name] = str(entry.readlink())
    return targets


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Iterator[Outcome]]:
    """Runs each behaviour in a child instead of the checks; the model names of the outcomes count from 0."""

    def start(*behaviours: Behaviour, **options: Any) -> Iterator[Outcome]:
        def run(candidate: Candidate, settings: VerifySettings, dataset: Dataset | None, channel: Any) -> bool:
            faulthandler.disable()  # that of pytest writes to the terminal when a child dies
            SECRETS[channel.pipe] = channel.secret
            return behaviours[int(candidate.model_name)](channel.pipe) is not False

        monkeypatch.setattr(local.child_process, "run", run)
        monkeypatch.setattr(local.gc, "collect", lambda: 0)  # a collection takes longer than these children
        variant, source = options.pop("variant", None), options.pop("source", "")
        settings = options.pop("settings", CONTRACT)
        limits = Limits(**{"seconds": TIMEOUT} | options.pop("limits", {}))
        candidates = [candidate(str(index), variant, source) for index in range(len(behaviours))]
        return local.run(candidates, settings, None, limits=limits, **options)

    return start


@pytest.fixture
def run(start: Callable[..., Iterator[Outcome]]) -> Callable[..., list[Outcome]]:
    """Runs behaviours as ``start`` does; returns all outcomes in the order of the behaviours."""

    def run(*behaviours: Behaviour, **options: Any) -> list[Outcome]:
        return sorted(start(*behaviours, **options), key=lambda outcome: int(outcome.candidate.model_name))

    return run


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the scratch folders of children are created."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def sent_signals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[signal.Signals, float]]:
    """The signals that were sent to process groups, with their times."""
    sent: list[tuple[signal.Signals, float]] = []
    killpg = os.killpg

    def record(group: int, number: int) -> None:
        killpg(group, number)
        sent.append((signal.Signals(number), time.monotonic()))

    monkeypatch.setattr(os, "killpg", record)
    return sent


# Outcomes.


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_file_has_an_outcome(run, workers):
    """The outcome of a file depends neither on the number of workers nor on the other files."""

    def fail(pipe: int) -> None:
        end(pipe, "syntax", "not Python")

    def die(pipe: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def leave(pipe: int) -> None:
        os._exit(0)

    outcomes = run(pass_contract, fail, die, leave, pass_contract, fail, pass_contract, workers=workers)
    statuses = [outcome.status for outcome in outcomes]
    passed, failed, crashed = Status.PASSED, Status.FAILED, Status.CRASHED
    assert statuses == [passed, failed, crashed, crashed, passed, failed, passed]
    assert all(outcome.seconds > 0 and bool(outcome.reason) is not outcome.status.ok for outcome in outcomes)


def test_no_files_have_no_outcomes(run):
    """A run without files yields nothing."""
    assert run() == []


@pytest.mark.parametrize(("workers", "expected"), [(1, Status.TIMED_OUT), (2, Status.PASSED)])
def test_as_many_files_run_at_a_time_as_there_are_workers(run, tmp_path, workers, expected):
    """Two files that wait for each other pass with two workers and time out with one."""

    def meet(own: str, other: str) -> Behaviour:
        def behaviour(pipe: int) -> None:
            write_pid(tmp_path, own)
            wait_for((tmp_path / other).exists, other)
            pass_contract(pipe)

        return behaviour

    limits = {"seconds": TIMEOUT if workers == 2 else 0.3}
    first, _ = run(meet("a", "b"), meet("b", "a"), workers=workers, limits=limits)
    assert first.status is expected


def test_an_outcome_is_yielded_while_other_files_run(start, tmp_path):
    """The outcome of a file is yielded before the other files end."""

    def slow(pipe: int) -> None:
        wait_for((tmp_path / "go").exists, "the first outcome")
        pass_contract(pipe)

    outcomes = start(slow, pass_contract, workers=2)
    assert next(outcomes).candidate.model_name == "1"
    (tmp_path / "go").touch()
    last = next(outcomes)
    assert (last.candidate.model_name, last.status) == ("0", Status.PASSED)


# Limits.


def test_a_child_that_ignores_sigterm_is_killed(run, sent_signals):
    """A child is terminated at its time limit, and killed after the grace period if it still runs."""

    def ignore_sigterm(pipe: int) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        send(pipe, start="contract")
        sleep_forever()

    begun = time.monotonic()
    (outcome,) = run(ignore_sigterm, limits={"seconds": 0.4, "grace": 0.3})
    assert outcome.status is Status.TIMED_OUT
    assert outcome.reason == "the contract check takes longer than 0.4 s"
    assert [number for number, _ in sent_signals] == [signal.SIGTERM, signal.SIGKILL]
    (_, terminated), (_, killed) = sent_signals
    assert terminated - begun >= 0.4
    assert killed - terminated >= 0.3


def test_a_child_that_obeys_sigterm_is_not_killed(run, sent_signals, tmp_path):
    """A child can clean up on SIGTERM, and is not killed if it exits."""

    def clean_up(pipe: int) -> None:
        def terminate(*_: object) -> None:
            write_pid(tmp_path, "terminated")
            os._exit(0)

        signal.signal(signal.SIGTERM, terminate)
        sleep_forever()

    (outcome,) = run(clean_up, limits={"seconds": 0.3})
    assert outcome.status is Status.TIMED_OUT
    assert (tmp_path / "terminated").exists()
    assert [number for number, _ in sent_signals] == [signal.SIGTERM]


def test_a_child_that_ends_in_time_gets_no_signal(run, sent_signals):
    """A child that exits by itself is not signalled."""
    (outcome,) = run(pass_contract)
    assert outcome.status.ok
    assert sent_signals == []


def test_a_stopped_child_is_killed(run):
    """A child that is stopped by SIGSTOP is ended at its time limit."""
    (outcome,) = run(lambda pipe: os.kill(os.getpid(), signal.SIGSTOP), limits={"seconds": 0.3, "grace": 0.1})
    assert outcome.status is Status.TIMED_OUT


def test_a_check_has_its_own_time_limit(run):
    """A check that hangs is stopped at the limit of a check, before that of the file."""

    def hang(pipe: int) -> None:
        end(pipe, "syntax")
        end(pipe, "policy")
        send(pipe, start="contract")
        sleep_forever()

    (outcome,) = run(hang, limits={"seconds": 60.0, "check_seconds": 0.3})
    assert (outcome.status, outcome.stage) == (Status.TIMED_OUT, Stage.CONTRACT)
    assert outcome.reason == "the contract check takes longer than 0.3 s"


def test_training_has_the_time_limit_of_the_file():
    """Training has the limit of the file or of its budget; the other checks have that of a check, if it is smaller."""
    limits = Limits(seconds=900, check_seconds=120)
    assert [limits.of(stage, None) for stage in Stage] == [120, 120, 120, 120, 900]
    assert {Limits(seconds=5, check_seconds=120).of(stage, None) for stage in Stage} == {5}
    budget = Budget(images=20, pixels=8, batch=10, epochs=5, seconds=30)
    assert [limits.of(stage, budget) for stage in Stage] == [120, 120, 120, 120, 30]


def test_repeated_messages_do_not_extend_the_time_limit(run):
    """A child that starts the same check again and again times out."""

    def stall(pipe: int) -> None:
        for _ in range(60):
            send(pipe, start="syntax")
            time.sleep(0.05)
        pass_contract(pipe)

    (outcome,) = run(stall, limits={"seconds": 0.5})
    assert outcome.status is Status.TIMED_OUT


def test_a_child_that_exceeds_the_memory_limit_is_ended(run):
    """Only the file whose resident memory exceeds the limit is stopped."""

    def allocate(size: int) -> Behaviour:
        def behaviour(pipe: int) -> None:
            block = bytearray(size)
            block[::4096] = b"x" * len(block[::4096])
            if size > 100 << 20:
                sleep_forever()
            pass_contract(pipe)

        return behaviour

    limit = 150 << 20
    modest, greedy = run(allocate(10 << 20), allocate(300 << 20), workers=2, limits={"memory": limit})
    assert modest.status is Status.PASSED
    assert greedy.status is Status.OUT_OF_MEMORY
    assert greedy.reason == "the file uses more than 150 MiB of memory"


def test_a_child_may_report_that_it_is_out_of_memory(run):
    """A reported MemoryError is the reason of the outcome."""

    def report(pipe: int) -> None:
        send(pipe, start="contract")
        send(pipe, memory="MemoryError (line 7)")

    (outcome,) = run(report)
    assert (outcome.status, outcome.stage) == (Status.OUT_OF_MEMORY, Stage.CONTRACT)
    assert outcome.reason == "MemoryError (line 7)"


def test_a_child_that_floods_its_output_is_ended(run):
    """A file that prints without end fails, and the outcome keeps at most 4096 characters of its output."""

    def flood(pipe: int) -> None:
        while True:
            os.write(1, b"a line of output\n" * 1000)

    (outcome,) = run(flood, limits={"output": 1 << 18})
    assert outcome.status is Status.FAILED
    assert outcome.reason == "the file prints more than 262144 bytes"
    assert "a line of output" in outcome.output
    assert len(outcome.output) <= 4096


def test_output_is_limited_even_if_the_file_ends_first(run):
    """A file that exceeds the limit on output fails, even if it ends before the parent reads the output."""

    def print_too_much(pipe: int) -> None:
        os.write(1, b"x" * 20_000)
        pass_contract(pipe)

    outcomes = run(*[print_too_much] * 12, workers=2, limits={"output": 10_000})
    assert {outcome.status for outcome in outcomes} == {Status.FAILED}


def test_output_does_not_fail_a_file(run):
    """Standard output and standard error of the file and its programs are captured."""

    def print_text(text: str) -> Behaviour:
        def behaviour(pipe: int) -> None:
            if text == "from print":
                print(text)  # noqa: T201  a file under test may print
            elif text == "from stderr":
                print(text, file=sys.stderr)  # noqa: T201  likewise
            elif text == "from a program":
                subprocess.run(["echo", text], check=True)
            else:
                os.write(1, b"\xff not UTF-8\n")
            pass_contract(pipe)

        return behaviour

    texts = ("from print", "from stderr", "from a program", "\ufffd not UTF-8")
    outcomes = run(*map(print_text, texts))
    assert [outcome.status for outcome in outcomes] == [Status.PASSED] * 4
    assert [outcome.output for outcome in outcomes] == [f"{text}\n" for text in texts]


def test_lines_that_are_printed_apart_are_captured(run):
    """Output that arrives line by line is captured completely."""

    def print_lines(pipe: int) -> None:
        for line in range(30):
            print(f"line {line}")  # noqa: T201  a file under test may print
            select.select([], [], [], 0.01)
        pass_contract(pipe)

    (outcome,) = run(print_lines)
    assert outcome.output.split("\n") == [*(f"line {line}" for line in range(30)), ""]


def test_a_child_has_no_standard_input(run):
    """A file that reads standard input gets an empty string, not the input of lrgen."""

    def read_input(pipe: int) -> None:
        end(pipe, "syntax", f"read {os.read(0, 10)!r}")

    reading, writing = os.pipe()
    os.write(writing, b"typed")
    before = os.dup(0)
    os.dup2(reading, 0)
    try:
        (outcome,) = run(read_input)
    finally:
        os.dup2(before, 0)
        for descriptor in (reading, writing, before):
            os.close(descriptor)
    assert outcome.reason == "read b''"


# Processes, folders and descriptors that a child leaves.


def leave_in_group(folder: Path) -> None:
    write_pid(folder, "group", subprocess.Popen(SLEEP).pid)


def leave_in_own_session(folder: Path) -> None:
    write_pid(folder, "session", subprocess.Popen(SLEEP, start_new_session=True).pid)


def leave_double_forked(folder: Path) -> None:
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            write_pid(folder, "daemon")
            sleep_forever()
        os._exit(0)
    os.waitpid(middle, 0)
    wait_for((folder / "daemon").exists, "the daemon")


def leave_descendants(folder: Path) -> None:
    """Leave three generations of processes, each in its own session."""
    if os.fork() == 0:
        for generation in range(3):
            os.setsid()
            write_pid(folder, f"generation{generation}")
            if generation < 2 and os.fork() != 0:
                break
        sleep_forever()
    wait_for((folder / "generation2").exists, "the descendants")


@pytest.mark.parametrize(
    "leave",
    [
        leave_in_group,
        leave_in_own_session,
        leave_double_forked,
        leave_descendants,
    ],
)
@pytest.mark.parametrize("child_end", ["exit", "timeout"])
def test_processes_of_a_file_end_with_it(run, tmp_path, leave, child_end):
    """A process in the child's group, in its own session, or behind a double fork ends with the file."""

    def behaviour(pipe: int) -> None:
        leave(tmp_path)
        if child_end == "timeout":
            sleep_forever()
        pass_contract(pipe)

    try:
        (outcome,) = run(behaviour, limits={"seconds": 1.0 if child_end == "timeout" else TIMEOUT})
        pids = {path.name: int(path.read_text()) for path in tmp_path.iterdir()}
        assert pids
        assert {name: exists(pid) for name, pid in pids.items()} == dict.fromkeys(pids, False)
        if child_end == "timeout":
            assert outcome.status is Status.TIMED_OUT
        else:
            assert outcome.status is Status.FAILED
            assert outcome.reason == "the file leaves processes of its own running"
    finally:
        for path in tmp_path.iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(path.read_text()), signal.SIGKILL)
        for pid in children_of(os.getpid()):
            os.waitpid(pid, 0)


def test_processes_of_other_running_files_are_not_ended(start, tmp_path):
    """The end of a file does not end the processes that a running file has started."""

    def busy(pipe: int) -> None:
        helper = subprocess.Popen(SLEEP, start_new_session=True)
        write_pid(tmp_path, "helper", helper.pid)
        wait_for((tmp_path / "go").exists, "the end of the sibling")
        alive = helper.poll() is None
        helper.kill()
        helper.wait()
        end(pipe, "syntax", "" if alive else "the helper was killed")
        end(pipe, "policy")
        end(pipe, "contract")

    def brief(pipe: int) -> None:
        wait_for((tmp_path / "helper").exists, "the helper")
        leave_in_own_session(tmp_path)
        pass_contract(pipe)

    outcomes = start(busy, brief, workers=2)
    assert next(outcomes).status is Status.FAILED
    (tmp_path / "go").touch()
    assert next(outcomes).status is Status.PASSED


@pytest.mark.xfail(strict=True, reason="orphans are attributed to the file that is finished first")
def test_only_the_file_that_leaves_a_process_fails(start, tmp_path):
    """If several files end at once, only the one that left a process running fails."""

    def clean(name: str) -> Behaviour:
        def behaviour(pipe: int) -> None:
            pass_contract(pipe)
            write_pid(tmp_path, name)

        return behaviour

    def dirty(pipe: int) -> None:
        wait_for(lambda: all(has_ended(tmp_path / name) for name in ("a", "b", "c")), "the others")
        leave_double_forked(tmp_path)
        pass_contract(pipe)
        write_pid(tmp_path, "dirty")

    outcomes = start(pass_contract, clean("a"), clean("b"), clean("c"), dirty, workers=5)
    finished = [next(outcomes)]  # until the next outcome is requested, the other children exit
    wait_for(lambda: has_ended(tmp_path / "dirty"), "the last child")
    finished += outcomes
    statuses = {int(outcome.candidate.model_name): outcome.status for outcome in finished}
    assert statuses == dict.fromkeys(range(4), Status.PASSED) | {4: Status.FAILED}
    assert not exists(int((tmp_path / "daemon").read_text()))


def has_ended(path: Path) -> bool:
    """Whether the process whose id a file holds has exited; False while the file does not exist."""
    return path.exists() and has_exited(int(path.read_text()))


@pytest.mark.parametrize(
    "own_session",
    [False, True],
)
def test_other_children_of_the_parent_are_not_ended(run, tmp_path, own_session):
    """A process that the caller of the harness has started keeps running."""
    with subprocess.Popen(SLEEP, start_new_session=own_session) as other:
        try:

            def behaviour(pipe: int) -> None:
                leave_in_own_session(tmp_path)
                pass_contract(pipe)

            run(behaviour, pass_contract)
            assert not Path(f"/proc/{other.pid}").exists() or other.poll() is None
            assert Path(f"/proc/{other.pid}").exists()
        finally:
            other.kill()


def test_scratch_folders_are_removed(run, scratch):
    """Each child has an empty scratch folder, which is removed when the child exits or is killed."""

    def write(pipe: int) -> None:
        assert list(Path.cwd().iterdir()) == []
        Path("folder").mkdir()
        Path("folder/file").write_text("x")
        end(pipe, "syntax", str(Path.cwd()))

    def write_and_die(pipe: int) -> None:
        Path("file").write_text("x")
        os.kill(os.getpid(), signal.SIGSEGV)

    here = Path.cwd()
    outcomes = run(write, write, write_and_die, workers=2)
    folders = {outcome.reason for outcome in outcomes if outcome.status is Status.FAILED}
    assert len(folders) == 2
    assert {Path(folder).parent for folder in folders} == {scratch}
    assert list(scratch.iterdir()) == []
    assert Path.cwd() == here


def test_no_descriptor_process_or_folder_leaks(run, scratch):
    """After fifty files no descriptor, zombie or folder remains."""

    def fail(pipe: int) -> None:
        end(pipe, "syntax", "not Python")

    def garble(pipe: int) -> None:
        os.write(pipe, b"{garbled\n")

    def die(pipe: int) -> None:
        os.abort()

    open_before, children_before = descriptors(), children_of(os.getpid())
    outcomes = run(*[pass_contract, fail, die, pass_contract, garble] * 10, workers=3)
    assert len(outcomes) == 50
    assert descriptors() == open_before
    assert children_of(os.getpid()) == children_before
    assert list(scratch.iterdir()) == []


def test_a_caller_with_many_open_files_can_verify(run):
    """The harness works in a process that has more than 1024 open descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2000:
        pytest.skip("the hard limit on descriptors is below 2000")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        assert [outcome.status for outcome in run(pass_contract)] == [Status.PASSED]
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# Stopping early.


def endless(folder: Path, name: str) -> Behaviour:
    def behaviour(pipe: int) -> None:
        write_pid(folder, name)
        sleep_forever()

    return behaviour


@pytest.mark.parametrize("running", [1, 3])
def test_closing_the_outcomes_ends_the_children(start, tmp_path, scratch, running):
    """A caller that closes the outcomes leaves no process, descriptor or folder."""
    open_before, children_before = descriptors(), children_of(os.getpid())
    folder = tmp_path / "pids"
    folder.mkdir()
    names = [str(index) for index in range(running)]
    outcomes = start(pass_contract, *(endless(folder, name) for name in names), workers=running + 1)
    next(outcomes)
    wait_for(lambda: len(list(folder.glob("[0-9]"))) == running, "all children")
    try:
        outcomes.close()
        assert not any(exists(int((folder / name).read_text())) for name in names)
        assert children_of(os.getpid()) == children_before
        assert descriptors() == open_before
        assert list(scratch.iterdir()) == []
    finally:
        clean(folder, open_before)


@pytest.mark.parametrize("running", [1, 2])
def test_an_interrupt_ends_the_children(start, tmp_path, scratch, running):
    """Ctrl-C raises KeyboardInterrupt after the children have ended."""
    folder = tmp_path / "pids"
    folder.mkdir()
    open_before = descriptors()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    outcomes = start(*(endless(folder, str(index)) for index in range(running)), workers=running)
    handler = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            next(outcomes)
        pids = [int(path.read_text()) for path in folder.iterdir()]
        assert len(pids) == running
        assert not any(map(exists, pids))
        assert list(scratch.iterdir()) == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        clean(folder, open_before)


def clean(folder: Path, open_before: dict[str, str]) -> None:
    """End the processes and close the descriptors that a failed test has left."""
    for path in folder.glob("[0-9]"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(path.read_text()), signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(int(path.read_text()), 0)
    for name, target in descriptors().items():
        if name not in open_before and ("pipe:" in target or "pidfd" in target):
            os.close(int(name))


# Verification of claimed results.


@pytest.fixture(scope="module")
def measured(catalogue: Catalogue) -> dict[str, Any]:
    """The measurements that an honest child sends for a good file, by check."""
    measurements: dict[str, Any] = {}
    receive_message = ChildProtocol.receive_message

    def record(protocol: ChildProtocol, message: dict[str, Any]) -> None:
        if "end" in message:
            measurements[message["end"]] = message["measurement"]
        receive_message(protocol, message)

    tiny = candidate("tiny", catalogue.variant(1), GOOD_FILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ChildProtocol, "receive_message", record)
        (outcome,) = local.run([tiny], VerifySettings(), data.load("digits"))
    assert outcome.status is Status.VERIFIED, outcome.reason
    for epoch in measurements["training"]["epochs"]:
        epoch["seconds"] = 0.0  # a claim that takes no time must not report any, however slow this machine is
    return measurements


def claim(measurements: dict[str, Any], last: Stage) -> Behaviour:
    """A child that claims that all checks have passed."""

    def behaviour(pipe: int) -> None:
        for stage in list(Stage)[: list(Stage).index(last) + 1]:
            send(pipe, start=stage)
            end(pipe, stage, "", measurements[stage])

    return behaviour


@pytest.fixture
def judged(run: Callable[..., list[Outcome]], catalogue: Catalogue, measured: dict[str, Any]) -> Callable[..., Outcome]:
    """The outcome of a file whose child claims to have passed with a forged measurement."""

    def judged(stage: Stage, tamper: Callable[[Any], None]) -> Outcome:
        forged = copy.deepcopy(measured)
        tamper(forged[stage])
        options = {"settings": VerifySettings(stage=stage), "workers": 2}
        options |= {"variant": catalogue.variant(1), "source": GOOD_FILE}
        first, second, third = run(claim(measured, stage), claim(forged, stage), claim(measured, stage), **options)
        assert first.status.ok, first.reason
        assert third.status.ok, third.reason
        return second

    return judged


def nudge(schedule: dict[str, Any]) -> None:
    longest = max(schedule["make_scheduler"], key=lambda groups: len(groups[0]))
    longest[0][1234] *= 1 + 1e-6


def hide_a_horizon(schedule: dict[str, Any]) -> None:
    del schedule["make_scheduler"][4]


def shorten(schedule: dict[str, Any]) -> None:
    schedule["make_scheduler"][0][0].pop()


def replace_by_nan(schedule: dict[str, Any]) -> None:
    schedule["make_scheduler"][0][0][0] = math.nan


def empty_a_trace(schedule: dict[str, Any]) -> None:
    schedule["make_scheduler"][0] = []


def step_every_batch(schedule: dict[str, Any]) -> None:
    schedule["learn"][2]["rates"][0][1] *= 0.1


def skip_the_learning(schedule: dict[str, Any]) -> None:
    schedule["learn"] = []


@pytest.mark.parametrize(
    "tamper", [nudge, hide_a_horizon, shorten, replace_by_nan, empty_a_trace, step_every_batch, skip_the_learning]
)
def test_the_parent_compares_a_claimed_schedule(judged, tamper):
    """A claimed trace that differs from the curve fails the schedule check."""
    outcome = judged(Stage.SCHEDULE, tamper)
    assert (outcome.status, outcome.stage) == (Status.FAILED, Stage.SCHEDULE)
    assert [check.passed for check in outcome.checks] == [True, True, True, False]


def build_fewer(contract: dict[str, Any]) -> None:
    contract["shapes"].pop()


def forget_the_classes(contract: dict[str, Any]) -> None:
    contract["shapes"][1] = [1, 10]


def update_less(contract: dict[str, Any]) -> None:
    contract["updates"] = 1


def stand_still(contract: dict[str, Any]) -> None:
    contract["after"] = contract["before"]


def try_no_learning_rate(contract: dict[str, Any]) -> None:
    contract["declared"].remove("lr")
    del contract["effects"]["lr"]


def omit_a_hyperparameter(contract: dict[str, Any]) -> None:
    del contract["effects"]["momentum"]


def have_no_effect(contract: dict[str, Any]) -> None:
    contract["effects"]["momentum"] = ["same", "same"]


@pytest.mark.parametrize(
    "tamper",
    [
        build_fewer,
        forget_the_classes,
        update_less,
        stand_still,
        try_no_learning_rate,
        omit_a_hyperparameter,
        have_no_effect,
    ],
)
def test_the_parent_judges_a_claimed_contract(judged, tamper):
    """A claim without the shapes, the updates and the effects of hyperparameters fails the contract check."""
    outcome = judged(Stage.CONTRACT, tamper)
    assert (outcome.status, outcome.stage) == (Status.FAILED, Stage.CONTRACT)


def confuse(training: dict[str, Any]) -> None:
    for epoch in training["epochs"]:
        epoch["confusion"] = [row[1:] + row[:1] for row in epoch["confusion"]]


def lose_an_image(training: dict[str, Any]) -> None:
    training["epochs"][0]["confusion"][3][3] -= 1


def diverge(training: dict[str, Any]) -> None:
    training["epochs"][1]["finite"] = False


def skip_an_epoch(training: dict[str, Any]) -> None:
    training["epochs"].pop()


def keep_the_learning_rate(training: dict[str, Any]) -> None:
    training["epochs"][-1]["rates"] = training["epochs"][0]["rates"]


@pytest.mark.parametrize("tamper", [confuse, lose_an_image, diverge, skip_an_epoch, keep_the_learning_rate])
def test_the_parent_judges_a_claimed_training(judged, tamper):
    """A claim of an impossible or unsuccessful training fails the training check."""
    outcome = judged(Stage.TRAINING, tamper)
    assert (outcome.status, outcome.stage) == (Status.FAILED, Stage.TRAINING)


def have_no_classes(training: dict[str, Any]) -> None:
    training["support"] = []
    for epoch in training["epochs"]:
        epoch["confusion"] = []


def have_one_column(training: dict[str, Any]) -> None:
    for epoch in training["epochs"]:
        epoch["confusion"] = [[5], [5]]


def report_words(training: dict[str, Any]) -> None:
    training["support"] = ["many", "few"]
    training["epochs"][0]["confusion"] = [["many"], ["few"]]


def move_a_thousand_images(training: dict[str, Any]) -> None:
    row = training["epochs"][0]["confusion"][0]
    row[0], row[1] = row[0] + 1000, row[1] - 1000


def report_a_number(training: dict[str, Any]) -> None:
    training["epochs"] = 5


@pytest.mark.parametrize(
    "tamper",
    [
        have_no_classes,
        have_one_column,
        move_a_thousand_images,
        report_words,
        report_a_number,
    ],
)
def test_a_malformed_training_ends_its_own_file_only(judged, tamper):
    """After a malformed report of a training, the parent runs the next file."""
    outcome = judged(Stage.TRAINING, tamper)
    assert not outcome.status.ok
    assert outcome.accuracy is None or 0 <= outcome.accuracy <= 1


def test_a_check_beyond_the_stage_is_a_crash(run, catalogue, measured):
    """A child that is verified up to the contract check cannot report epochs."""
    behaviour = claim(measured, Stage.TRAINING)
    (outcome,) = run(behaviour, variant=catalogue.variant(1), settings=CONTRACT)
    assert outcome.status is Status.CRASHED
    assert outcome.epochs == ()


NOT_RESULTS = {
    "no JSON": b"{garbled\n",
    "not UTF-8": b'"\xff\xfe"\n',
    "a number": b"17\n",
    "null": b"null\n",
    "a list": b"[1, 2]\n",
    "a string": b'"start"\n',
    "an empty line": b"\n",
    "an empty object": b'{"by": "BY"}\n',
    "an unknown check": b'{"by": "BY", "start": "astrology"}\n',
    "no measurement": b'{"by": "BY", "end": "syntax", "reason": "", "seconds": 0}\n',
    "no number": b'{"by": "BY", "end": "syntax", "reason": "", "seconds": "soon", "measurement": {}}\n',
    "nested too deep": b"[" * 100_000 + b"]" * 100_000 + b"\n",
    "too large a number": b'{"by": "BY", "end": "syntax", "reason": "", "seconds": '
    + b"9" * 400
    + b', "measurement": {}}\n',
    "no secret": b'{"start": "contract"}\n',
    "another secret": b'{"by": "0123456789abcdef0123456789abcdef", "start": "contract"}\n',
    "too long a time": b'{"by": "BY", "end": "syntax", "reason": "", "seconds": 99, "measurement": {}}\n',
}


@pytest.mark.parametrize("message", NOT_RESULTS.values(), ids=NOT_RESULTS)
def test_an_invalid_message_is_a_crash(run, message):
    """A malformed or forged message ends its file, and the next file passes."""

    def garble(pipe: int) -> None:
        os.write(pipe, message.replace(b"BY", SECRETS[pipe].encode()))
        pass_contract(pipe)

    forged, honest = run(garble, pass_contract)
    assert forged.status is Status.CRASHED
    assert re.fullmatch(r"the child process sends a message that is not a result: \w+", forged.reason)
    assert honest.status is Status.PASSED


@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_the_size_of_messages_is_limited(run, newline):
    """A child that sends without end has crashed, with one long line or with many lines."""

    def send_without_end(pipe: int) -> None:
        while True:
            os.write(pipe, b" " * 10_000 + newline)

    (outcome,) = run(send_without_end, limits={"messages": 200_000})
    assert outcome.status is Status.CRASHED
    assert outcome.reason in (
        "the child process sends more than 200000 bytes of results",
        "the child process sends a message that is not a result: JSONDecodeError",
    )


def test_a_message_may_arrive_in_pieces(run):
    """A line is parsed when it is complete."""

    def send_in_pieces(pipe: int) -> None:
        by = f'{{"by": "{SECRETS[pipe]}", "reason": "", "seconds": 0, "measurement": {{}}, '.encode()
        data = (
            by
            + b'"end": "syntax"}\n'
            + by
            + b'"end": "policy"}\n'
            + by.replace(b"{}", json.dumps(PASSING_CONTRACT).encode())
            + b'"end": "con'
        )
        for at in range(0, len(data), 7):
            os.write(pipe, data[at : at + 7])
        select.select([], [], [], 0.05)
        os.write(pipe, b'tract"}\n')

    (outcome,) = run(send_in_pieces)
    assert [check.stage for check in outcome.checks] == [Stage.SYNTAX, Stage.POLICY, Stage.CONTRACT]
    assert outcome.status is Status.PASSED


@pytest.mark.parametrize("order", [("policy", "syntax"), ("syntax", "syntax"), ("syntax", "contract")])
def test_checks_must_end_in_their_order(run, order):
    """A child whose checks end in another order than requested has crashed."""

    def claim_both(pipe: int) -> None:
        for stage in order:
            end(pipe, stage)

    (outcome,) = run(claim_both)
    assert outcome.status is Status.CRASHED
    assert outcome.reason == "the child process sends a message that is not a result: ValueError"


def test_a_failed_check_cannot_be_revoked(run):
    """The reason of the first failed check is that of the outcome."""

    def fail_then_pass(pipe: int) -> None:
        end(pipe, "syntax", "not Python")
        end(pipe, "policy")

    (outcome,) = run(fail_then_pass)
    assert (outcome.status, outcome.stage, outcome.reason) == (Status.FAILED, Stage.SYNTAX, "not Python")


def test_an_exit_before_the_last_check_is_a_crash(run):
    """A child that exits with code 0 before its last check has crashed."""

    def pass_syntax_only(pipe: int) -> None:
        end(pipe, "syntax")
        end(pipe, "policy")
        send(pipe, start="contract")

    (outcome,) = run(pass_syntax_only)
    assert (outcome.status, outcome.stage) == (Status.CRASHED, Stage.CONTRACT)
    assert outcome.reason == "the child process exits with code 0 before the check ends"


def test_an_error_in_a_check_is_a_crash(run):
    """The reason has the exit code and the last line of output."""

    def raise_error(pipe: int) -> None:
        raise ValueError("no such thing")

    (outcome,) = run(raise_error)
    assert outcome.status is Status.CRASHED
    assert outcome.reason == "the child process exits with code 70 before the check ends: ValueError: no such thing"


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (signal.SIGSEGV, "SIGSEGV"),
        (signal.SIGKILL, "SIGKILL: by the file itself, or by the kernel for lack of memory"),
        (signal.SIGTERM, "SIGTERM"),
        (signal.SIGPIPE, "SIGPIPE"),
        (signal.SIGRTMIN + 5, "signal 39"),
    ],
)
def test_the_reason_names_the_signal(run, number, name):
    """The reason names the signal that killed the child, and the next file passes."""
    outcomes = run(lambda pipe: os.kill(os.getpid(), number), pass_contract)
    assert outcomes[0].status is Status.CRASHED
    assert outcomes[0].reason == f"the child process was killed by {name}"
    assert outcomes[1].status is Status.PASSED


# Reused children.


def pass_as(folder: Path, name: str) -> Behaviour:
    """Pass, and write the process id to a file."""

    def behaviour(pipe: int) -> None:
        write_pid(folder, name)
        pass_contract(pipe)

    return behaviour


def pid_of(folder: Path, name: str) -> int:
    return int((folder / name).read_text())


def test_a_reused_child_runs_consecutive_files(run, tmp_path):
    """With ``reuse`` passing files run in as many processes as there are workers."""
    outcomes = run(*(pass_as(tmp_path, str(index)) for index in range(7)), workers=2, reuse=True)
    assert [outcome.status for outcome in outcomes] == [Status.PASSED] * 7
    assert len({pid_of(tmp_path, str(index)) for index in range(7)}) == 2


def test_without_reuse_each_file_has_its_own_process(run, tmp_path):
    """By default each file runs in another process."""
    run(*(pass_as(tmp_path, str(index)) for index in range(3)))
    assert len({pid_of(tmp_path, str(index)) for index in range(3)}) == 3


def fail_syntax(pipe: int) -> bool:
    end(pipe, "syntax", "not Python")
    return False


def die(pipe: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang(pipe: int) -> None:
    sleep_forever()


def send_an_empty_object(pipe: int) -> None:
    os.write(pipe, b"{}\n")


@pytest.mark.parametrize(
    ("harm", "status"),
    [
        (fail_syntax, Status.FAILED),
        (die, Status.CRASHED),
        (hang, Status.TIMED_OUT),
        (send_an_empty_object, Status.CRASHED),
    ],
)
def test_a_reused_child_is_replaced_after_a_file_that_does_not_pass(run, tmp_path, harm, status):
    """After a failure, a crash, a timeout or an invalid message the next file runs in a new process."""
    first, second = pass_as(tmp_path, "before"), pass_as(tmp_path, "after")
    outcomes = run(first, harm, second, reuse=True, limits={"seconds": 0.5 if harm is hang else TIMEOUT})
    assert [outcome.status for outcome in outcomes] == [Status.PASSED, status, Status.PASSED]
    assert pid_of(tmp_path, "before") != pid_of(tmp_path, "after")


def test_a_hanging_child_is_ended_without_the_others(run, tmp_path):
    """The other files of the run keep their process."""

    def slow(name: str) -> Behaviour:
        def behaviour(pipe: int) -> None:
            write_pid(tmp_path, name)
            select.select([], [], [], 0.5)
            pass_contract(pipe)

        return behaviour

    outcomes = run(hang, *(slow(str(index)) for index in range(5)), workers=2, reuse=True, limits={"seconds": 2.0})
    assert [outcome.status for outcome in outcomes] == [Status.TIMED_OUT, *[Status.PASSED] * 5]
    assert len({pid_of(tmp_path, str(index)) for index in range(5)}) <= 2


def test_a_reused_child_that_dies_between_two_files_is_replaced(start, tmp_path):
    """The file after the death of an idle child runs in a new process."""

    def vanish(pipe: int) -> None:
        write_pid(tmp_path, "vanished")
        pass_contract(pipe)
        send(pipe, done=True)
        os._exit(1)

    outcomes = start(vanish, pass_as(tmp_path, "after"), reuse=True)
    finished = [next(outcomes)]
    wait_for(lambda: has_ended(tmp_path / "vanished"), "the end of the child")
    finished += outcomes
    assert [outcome.status for outcome in finished] == [Status.PASSED] * 2


def test_a_reused_child_has_an_empty_folder_for_each_file(run, scratch):
    """The files that a file writes are removed before the next file runs."""

    def write(pipe: int) -> None:
        names = [path.name for path in Path.cwd().iterdir()]
        Path("written").write_text("x")
        if names:
            end(pipe, "syntax", f"the folder holds {names}")
        else:
            pass_contract(pipe)

    outcomes = run(write, write, write, reuse=True)
    assert [(outcome.status, outcome.reason) for outcome in outcomes] == [(Status.PASSED, "")] * 3
    assert list(scratch.iterdir()) == []


def test_a_reused_child_with_changed_settings_is_replaced(catalogue, monkeypatch, tmp_path):
    """A file that changes a global setting of torch is the last file of its process."""
    source = (FIXTURES / "training/passes_epoch_unit.py").read_text(encoding="utf-8")
    line = "        self.train()\n"
    assert line in source
    changed = source.replace(line, f"{line}        torch.use_deterministic_algorithms(True)\n")
    run_candidate = local.child_process.run

    def run(candidate: Candidate, *arguments: Any) -> bool:
        write_pid(tmp_path, candidate.model_name)
        return run_candidate(candidate, *arguments)

    monkeypatch.setattr(local.child_process, "run", run)
    texts = {"good": source, "changed": changed, "last": source}
    files = [candidate(name, catalogue.variant(1), text) for name, text in texts.items()]
    outcomes = list(local.run(files, CONTRACT, None, reuse=True))
    assert [outcome.status for outcome in outcomes] == [Status.PASSED] * 3
    assert pid_of(tmp_path, "good") == pid_of(tmp_path, "changed") != pid_of(tmp_path, "last")


def test_a_reused_child_has_the_results_of_a_new_one(catalogue):
    """A file has the same accuracy and confusion matrices in a reused and in a new child."""
    source = (FIXTURES / "training/passes_epoch_unit.py").read_text(encoding="utf-8")
    files = [candidate("tiny", catalogue.variant(1), source)] * 2
    digits = data.load("digits")
    reused = list(local.run(files, VerifySettings(), digits, reuse=True))
    own = list(local.run(files[:1], VerifySettings(), digits))
    assert {outcome.status for outcome in (*reused, *own)} == {Status.VERIFIED}
    assert len({outcome.accuracy for outcome in (*reused, *own)}) == 1
    assert len({epoch.confusion for outcome in (*reused, *own) for epoch in outcome.epochs[-1:]}) == 1


# Stages and statuses.


@pytest.mark.parametrize("stage", [Stage.SYNTAX, Stage.POLICY, Stage.CONTRACT, Stage.SCHEDULE])
def test_a_stage_runs_the_checks_up_to_it(catalogue, stage):
    """A file whose fault the next check finds passes, and the outcome has the checks that were run."""
    faults = {
        Stage.SYNTAX: "contract/fails_no_net.py",
        Stage.POLICY: "contract/fails_no_net.py",
        Stage.CONTRACT: "schedule/fails_wrong_gamma.py",
        Stage.SCHEDULE: "training/fails_exits.py",
    }
    source = (FIXTURES / faults[stage]).read_text(encoding="utf-8")
    (outcome,) = local.run([candidate("tiny", catalogue.variant(1), source)], VerifySettings(stage=stage), None)
    assert outcome.status is Status.PASSED, outcome.reason
    assert (outcome.stage, outcome.reason) == (stage, "")
    assert [check.stage for check in outcome.checks] == list(Stage)[: list(Stage).index(stage) + 1]
    assert all(check.passed and check.seconds > 0 for check in outcome.checks)
    assert outcome.accuracy is None


def verdict(
    end: tuple[Status, str] | None = None,
    checks: tuple[str, ...] = ("",) * 5,
    wait_status: int = 0,
    orphans: int = 0,
    stage: Stage = Stage.TRAINING,
    variant: Variant | None = None,
) -> Status:
    settings = VerifySettings(stage=stage)
    protocol = ChildProtocol(candidate("tiny", variant), settings, Limits(), stage=stage, end=end)
    for check, reason in zip(Stage, checks, strict=False):
        protocol.checks.append(CheckReport(check, not reason, reason, 0.0))
    return protocol.verdict(wait_status, orphans)[0]


def test_the_gravest_fault_decides_the_status(catalogue):
    """An exceeded limit precedes a failed check, which precedes a crash, which precedes orphaned processes."""
    claimed = catalogue.variant(1)
    crash, half = signal.SIGSEGV.value, ("", "", "")
    assert verdict((Status.TIMED_OUT, "late"), ("wrong",), crash, 1, variant=claimed) is Status.TIMED_OUT
    assert verdict(None, ("wrong",), crash, 1, variant=claimed) is Status.FAILED
    assert verdict(None, half, crash, 1, variant=claimed) is Status.CRASHED
    assert verdict(None, ("",) * 5, 1 << 8, 1, variant=claimed) is Status.CRASHED
    assert verdict(None, half, 0, 1, variant=claimed) is Status.CRASHED
    assert verdict(orphans=1, variant=claimed) is Status.FAILED
    assert verdict() is Status.UNCLAIMED
    assert verdict(None, ("",) * 4, stage=Stage.SCHEDULE) is Status.UNCLAIMED
    assert verdict(None, half, stage=Stage.CONTRACT) is Status.PASSED
    assert verdict(None, ("",) * 4, stage=Stage.SCHEDULE, variant=claimed) is Status.PASSED
    assert verdict(None, half, stage=Stage.CONTRACT, variant=claimed) is Status.PASSED
    assert verdict(variant=claimed) is Status.VERIFIED


def test_statuses_are_grouped_by_success_and_finality():
    """Three statuses are successes, and of the others only a failure is final."""
    assert [status for status in Status if status.ok] == [Status.VERIFIED, Status.PASSED, Status.UNCLAIMED]
    assert [status for status in Status if status.final and not status.ok] == [Status.FAILED]

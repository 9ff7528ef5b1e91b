"""The harness starts a child for each file, limits it, kills it when it must, and believes only what it can check."""

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

from lrgen import data
from lrgen.catalogue import Catalogue
from lrgen.data import Dataset
from lrgen.records import Budget, Candidate, CheckReport, Outcome, Stage, Status, Variant, VerifySettings
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import local
from lrgen.verify.limits import Limits
from lrgen.verify.protocol import ChildProtocol
from tests.paths import FIXTURES

CONTRACT = VerifySettings(stage=Stage.CONTRACT)
SLEEP = ["sleep", "600"]
PATIENCE = 20.0  # seconds until a test gives up waiting for something that must happen

KEPT_CONTRACT = {  # what is measured of a file that keeps the contract
    "shapes": [[2, 10], [1, 7], [1, 10]],
    "updates": 2,
    "before": "a",
    "after": "b",
    "declared": ["lr", "momentum"],
    "effects": {"lr": ["c", "d"], "momentum": ["e", "f"]},
}

Behaviour = Callable[[int], None]


def candidate(name: str, variant: Variant | None = None, source: str = "") -> Candidate:
    return replace(candidate_of(Path(f"/files/{name}.py"), source.encode(), variant=variant), prm={"lr": 0.1})


SECRETS: dict[int, str] = {}  # in a child: what its messages are signed with


def say(pipe: int, **message: Any) -> None:
    os.write(pipe, json.dumps(message | {"by": SECRETS[pipe]}).encode() + b"\n")


def end(pipe: int, stage: str, reason: str = "", measurement: object = None) -> None:
    evidence = KEPT_CONTRACT if stage == "contract" else {}
    say(pipe, end=stage, reason=reason, seconds=0.0, measurement=measurement or evidence)


def pass_contract(pipe: int) -> None:
    end(pipe, "syntax")
    end(pipe, "contract")


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)


def sleep_forever() -> None:
    while True:
        time.sleep(60)


def noted(folder: Path, name: str, pid: int | None = None) -> int:
    """Write a process id (by default that of this process) where the test finds it, whole or not at all."""
    pid = os.getpid() if pid is None else pid
    (folder / f".{name}").write_text(str(pid))
    (folder / f".{name}").rename(folder / name)
    return pid


def is_gone(pid: int) -> bool:
    """Whether there is no such process, not even a zombie."""
    return not Path(f"/proc/{pid}").exists()


def children() -> set[int]:
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


def descriptors() -> dict[str, str]:
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[entry.name] = str(entry.readlink())
    return found


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Iterator[Outcome]]:
    """Runs each behaviour in a child of its own instead of the checks; the outcomes' names count them from 0."""

    def start(*behaviours: Behaviour, **options: Any) -> Iterator[Outcome]:
        def run(candidate: Candidate, settings: VerifySettings, dataset: Dataset | None, channel: Any) -> bool:
            faulthandler.disable()  # pytest's own, which writes to the terminal when a child dies
            SECRETS[channel.pipe] = channel.secret
            return behaviours[int(candidate.model_name)](channel.pipe) is not False

        monkeypatch.setattr(local.child_process, "run", run)
        monkeypatch.setattr(local.gc, "collect", lambda: 0)  # takes longer than these children
        variant = options.pop("variant", None)
        settings = options.pop("settings", CONTRACT)
        limits = Limits(**{"seconds": PATIENCE} | options.pop("limits", {}))
        candidates = [candidate(str(index), variant) for index in range(len(behaviours))]
        return local.run(candidates, settings, None, limits=limits, **options)

    return start


@pytest.fixture
def run(start: Callable[..., Iterator[Outcome]]) -> Callable[..., list[Outcome]]:
    """As ``start``: all outcomes, in the order of the behaviours."""

    def run(*behaviours: Behaviour, **options: Any) -> list[Outcome]:
        return sorted(start(*behaviours, **options), key=lambda outcome: int(outcome.candidate.model_name))

    return run


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the children's scratch folders are made."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[signal.Signals, float]]:
    """Which signals reached a child's group, and when."""
    found: list[tuple[signal.Signals, float]] = []
    killpg = os.killpg

    def record(group: int, number: int) -> None:
        killpg(group, number)
        found.append((signal.Signals(number), time.monotonic()))

    monkeypatch.setattr(os, "killpg", record)
    return found


# Every file has an outcome.


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_file_has_an_outcome(run, workers):
    """However many run at a time, and however the others end, each file ends by itself."""

    def fail(pipe: int) -> None:
        end(pipe, "syntax", "not Python")

    def die(pipe: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def leave(pipe: int) -> None:
        os._exit(0)

    outcomes = run(pass_contract, fail, die, leave, pass_contract, fail, pass_contract, workers=workers)
    ends = [outcome.status for outcome in outcomes]
    passed, failed, crashed = Status.PASSED, Status.FAILED, Status.CRASHED
    assert ends == [passed, failed, crashed, crashed, passed, failed, passed]
    assert all(outcome.seconds > 0 and bool(outcome.reason) is not outcome.status.ok for outcome in outcomes)


def test_nothing_to_do_is_done_at_once(run):
    """Without files there are no outcomes."""
    assert run() == []


@pytest.mark.parametrize(("workers", "expected"), [(1, Status.TIMED_OUT), (2, Status.PASSED)])
def test_as_many_files_run_at_a_time_as_there_are_workers(run, tmp_path, workers, expected):
    """Two files that wait for each other end well with two workers, and in vain with one."""

    def meet(mine: str, other: str) -> Behaviour:
        def behaviour(pipe: int) -> None:
            noted(tmp_path, mine)
            wait_for((tmp_path / other).exists, other)
            pass_contract(pipe)

        return behaviour

    limits = {"seconds": PATIENCE if workers == 2 else 0.3}
    first, _ = run(meet("a", "b"), meet("b", "a"), workers=workers, limits=limits)
    assert first.status is expected


def test_an_outcome_is_yielded_while_others_still_run(start, tmp_path):
    """What has ended is handed over at once, so that it can be recorded before anything happens to the rest."""

    def slow(pipe: int) -> None:
        wait_for((tmp_path / "go").exists, "the first outcome")
        pass_contract(pipe)

    outcomes = start(slow, pass_contract, workers=2)
    assert next(outcomes).candidate.model_name == "1"
    (tmp_path / "go").touch()
    last = next(outcomes)
    assert (last.candidate.model_name, last.status) == ("0", Status.PASSED)


# Limits, and the order in which they are enforced.


def test_time_over_means_terminate_and_only_then_kill(run, sent):
    """A child that ignores SIGTERM is waited for, terminated, waited for, and killed."""

    def deaf(pipe: int) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say(pipe, start="contract")
        sleep_forever()

    begun = time.monotonic()
    (outcome,) = run(deaf, limits={"seconds": 0.4, "grace": 0.3})
    assert outcome.status is Status.TIMED_OUT
    assert outcome.reason == "the contract check takes longer than 0.4 s"
    assert [number for number, _ in sent] == [signal.SIGTERM, signal.SIGKILL]
    (_, terminated), (_, killed) = sent
    assert terminated - begun >= 0.4
    assert killed - terminated >= 0.3


def test_a_child_may_tidy_up_before_it_must_go(run, sent, tmp_path):
    """A child gets SIGTERM before it is killed, and is not killed when it obeys."""

    def tidy(pipe: int) -> None:
        def obey(*_: object) -> None:
            noted(tmp_path, "terminated")
            os._exit(0)

        signal.signal(signal.SIGTERM, obey)
        sleep_forever()

    (outcome,) = run(tidy, limits={"seconds": 0.3})
    assert outcome.status is Status.TIMED_OUT
    assert (tmp_path / "terminated").exists()
    assert [number for number, _ in sent] == [signal.SIGTERM]


def test_a_child_that_ends_in_time_gets_no_signal(run, sent):
    """Nothing is terminated that ends by itself."""
    (outcome,) = run(pass_contract)
    assert outcome.status.ok
    assert sent == []


def test_a_stopped_child_is_killed(run):
    """A child that has stopped itself cannot sleep through its end."""
    (outcome,) = run(lambda pipe: os.kill(os.getpid(), signal.SIGSTOP), limits={"seconds": 0.3, "grace": 0.1})
    assert outcome.status is Status.TIMED_OUT


def test_a_check_has_its_own_limit(run):
    """A check that hangs is stopped after its own share, long before the file's time is over."""

    def hang(pipe: int) -> None:
        end(pipe, "syntax")
        say(pipe, start="contract")
        sleep_forever()

    (outcome,) = run(hang, limits={"seconds": 60.0, "check_seconds": 0.3})
    assert (outcome.status, outcome.stage) == (Status.TIMED_OUT, Stage.CONTRACT)
    assert outcome.reason == "the contract check takes longer than 0.3 s"


def test_training_may_take_the_whole_time():
    """Only the training check has the file's time, or that of its budget; the others have the smaller of the two."""
    limits = Limits(seconds=900, check_seconds=120)
    assert [limits.of(stage, None) for stage in Stage] == [120, 120, 120, 900]
    assert {Limits(seconds=5, check_seconds=120).of(stage, None) for stage in Stage} == {5}
    budget = Budget(images=20, pixels=8, batch=10, epochs=5, seconds=30)
    assert [limits.of(stage, budget) for stage in Stage] == [120, 120, 120, 30]


def test_a_child_cannot_postpone_its_end(run):
    """Saying again and again that a check begins does not win time."""

    def stall(pipe: int) -> None:
        for _ in range(60):
            say(pipe, start="syntax")
            time.sleep(0.05)
        pass_contract(pipe)

    (outcome,) = run(stall, limits={"seconds": 0.5})
    assert outcome.status is Status.TIMED_OUT


def test_a_child_that_uses_too_much_memory_is_ended(run):
    """The limit is on resident memory, and only the file that exceeds it is stopped."""

    def take(size: int) -> Behaviour:
        def behaviour(pipe: int) -> None:
            block = bytearray(size)
            block[::4096] = b"x" * len(block[::4096])
            if size > 100 << 20:
                sleep_forever()
            pass_contract(pipe)

        return behaviour

    limit = 150 << 20
    modest, greedy = run(take(10 << 20), take(300 << 20), workers=2, limits={"memory": limit})
    assert modest.status is Status.PASSED
    assert greedy.status is Status.OUT_OF_MEMORY
    assert greedy.reason == "the file uses more than 150 MiB of memory"


def test_a_child_that_says_so_is_out_of_memory(run):
    """A check that caught the failed allocation reports it with the place."""

    def report(pipe: int) -> None:
        say(pipe, start="contract")
        say(pipe, memory="MemoryError (line 7)")

    (outcome,) = run(report)
    assert (outcome.status, outcome.stage) == (Status.OUT_OF_MEMORY, Stage.CONTRACT)
    assert outcome.reason == "MemoryError (line 7)"


def test_a_child_that_floods_its_output_is_ended(run):
    """Endless output is neither kept nor waited for; its end is in the outcome, of bounded length."""

    def flood(pipe: int) -> None:
        while True:
            os.write(1, b"all work and no play\n" * 1000)

    (outcome,) = run(flood, limits={"output": 1 << 18})
    assert outcome.status is Status.FAILED
    assert outcome.reason == "the file prints more than 262144 bytes"
    assert "all work and no play" in outcome.output
    assert len(outcome.output) <= 4096


def test_a_limit_on_output_does_not_depend_on_who_is_faster(run):
    """A file that prints too much has failed, also when it ends before anyone looks."""

    def chat(pipe: int) -> None:
        os.write(1, b"x" * 20_000)
        pass_contract(pipe)

    outcomes = run(*[chat] * 12, workers=2, limits={"output": 10_000})
    assert {outcome.status for outcome in outcomes} == {Status.FAILED}


def test_what_a_file_prints_does_not_fail_it(run):
    """Standard output and standard error are caught at the descriptors, whoever writes to them."""

    def talk(text: str) -> Behaviour:
        def behaviour(pipe: int) -> None:
            if text == "from print":
                print(text)  # noqa: T201  what a file under test does
            elif text == "from stderr":
                print(text, file=sys.stderr)  # noqa: T201
            elif text == "from a program":
                subprocess.run(["echo", text], check=True)
            else:
                os.write(1, b"\xff not UTF-8\n")
            pass_contract(pipe)

        return behaviour

    texts = ("from print", "from stderr", "from a program", "\ufffd not UTF-8")
    outcomes = run(*map(talk, texts))
    assert [outcome.status for outcome in outcomes] == [Status.PASSED] * 4
    assert [outcome.output for outcome in outcomes] == [f"{text}\n" for text in texts]


def test_the_end_of_what_a_file_prints_is_kept(run):
    """What was printed line by line is there as well as what was printed at once: a traceback is."""

    def talk(pipe: int) -> None:
        for line in range(30):
            print(f"line {line}")  # noqa: T201
            select.select([], [], [], 0.01)
        pass_contract(pipe)

    (outcome,) = run(talk)
    assert outcome.output.split("\n") == [*(f"line {line}" for line in range(30)), ""]


def test_a_child_has_no_input(run):
    """A file that asks for input gets its end at once, and does not read what is typed for lrgen."""

    def ask(pipe: int) -> None:
        end(pipe, "syntax", f"read {os.read(0, 10)!r}")

    reading, writing = os.pipe()
    os.write(writing, b"typed")
    before = os.dup(0)
    os.dup2(reading, 0)
    try:
        (outcome,) = run(ask)
    finally:
        os.dup2(before, 0)
        for descriptor in (reading, writing, before):
            os.close(descriptor)
    assert outcome.reason == "read b''"


# What a child leaves behind.


def leave_in_group(folder: Path) -> None:
    noted(folder, "group", subprocess.Popen(SLEEP).pid)


def leave_in_own_session(folder: Path) -> None:
    noted(folder, "session", subprocess.Popen(SLEEP, start_new_session=True).pid)


def leave_double_forked(folder: Path) -> None:
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            noted(folder, "daemon")
            sleep_forever()
        os._exit(0)
    os.waitpid(middle, 0)
    wait_for((folder / "daemon").exists, "the daemon")


def leave_a_family(folder: Path) -> None:
    """A process in a session of its own, which has a child in another session, which has one as well."""
    if os.fork() == 0:
        for generation in range(3):
            os.setsid()
            noted(folder, f"generation{generation}")
            if generation < 2 and os.fork() != 0:
                break
        sleep_forever()
    wait_for((folder / "generation2").exists, "the family")


@pytest.mark.parametrize(
    "leave",
    [
        leave_in_group,
        leave_in_own_session,
        leave_double_forked,
        leave_a_family,
    ],
)
@pytest.mark.parametrize("ends", ["by itself", "by force"])
def test_what_a_file_leaves_running_is_ended_with_it(run, tmp_path, leave, ends):
    """A process in the child's group, in a session of its own, or forked twice does not outlive the file."""

    def behaviour(pipe: int) -> None:
        leave(tmp_path)
        if ends == "by force":
            sleep_forever()
        pass_contract(pipe)

    try:
        (outcome,) = run(behaviour, limits={"seconds": 1.0 if ends == "by force" else PATIENCE})
        pids = {path.name: int(path.read_text()) for path in tmp_path.iterdir()}
        assert pids
        assert {name: is_gone(pid) for name, pid in pids.items()} == dict.fromkeys(pids, True)
        if ends == "by force":
            assert outcome.status is Status.TIMED_OUT
        else:
            assert outcome.status is Status.FAILED
            assert outcome.reason == "the file leaves processes of its own running"
    finally:
        for path in tmp_path.iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(path.read_text()), signal.SIGKILL)
        for pid in children():
            os.waitpid(pid, 0)


def test_processes_of_a_sibling_are_left_alone(start, tmp_path):
    """The end of one file does not touch the processes that a running one has started."""

    def busy(pipe: int) -> None:
        helper = subprocess.Popen(SLEEP, start_new_session=True)
        noted(tmp_path, "helper", helper.pid)
        wait_for((tmp_path / "go").exists, "the sibling's end")
        alive = helper.poll() is None
        helper.kill()
        helper.wait()
        end(pipe, "syntax", "" if alive else "the helper was killed")
        end(pipe, "contract")

    def brief(pipe: int) -> None:
        wait_for((tmp_path / "helper").exists, "the helper")
        leave_in_own_session(tmp_path)
        pass_contract(pipe)

    outcomes = start(busy, brief, workers=2)
    assert next(outcomes).status is Status.FAILED
    (tmp_path / "go").touch()
    assert next(outcomes).status is Status.PASSED


@pytest.mark.xfail(strict=True, reason="orphans are put down to whichever file is finished first")
def test_a_file_is_not_blamed_for_what_another_left(start, tmp_path):
    """When several end at once, those that left nothing running are fine, and the one that did is told."""

    def clean(name: str) -> Behaviour:
        def behaviour(pipe: int) -> None:
            pass_contract(pipe)
            noted(tmp_path, name)

        return behaviour

    def dirty(pipe: int) -> None:
        wait_for(lambda: all(is_zombie(tmp_path / name) for name in ("a", "b", "c")), "the others")
        leave_double_forked(tmp_path)
        pass_contract(pipe)
        noted(tmp_path, "dirty")

    outcomes = start(pass_contract, clean("a"), clean("b"), clean("c"), dirty, workers=5)
    found = [next(outcomes)]  # while nobody asks for the next outcome, the others come to their end
    wait_for(lambda: is_zombie(tmp_path / "dirty"), "the last one")
    found += outcomes
    ends = {int(outcome.candidate.model_name): outcome.status for outcome in found}
    assert ends == dict.fromkeys(range(4), Status.PASSED) | {4: Status.FAILED}
    assert is_gone(int((tmp_path / "daemon").read_text()))


def is_zombie(path: Path) -> bool:
    """Whether the process that is noted there has ended and was not waited for, or was."""
    if not path.exists():
        return False
    try:
        return Path(f"/proc/{path.read_text()}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize(
    "own_session",
    [False, True],
)
def test_other_children_of_the_parent_are_left_alone(run, tmp_path, own_session):
    """What the program that uses the harness has started itself goes on."""
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


def test_scratch_folders_are_gone(run, scratch):
    """Each child works in an empty folder of its own, which is removed however the child ends."""

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


def test_fifty_files_leak_nothing(run, scratch):
    """No descriptor, no zombie and no folder is left, whatever the files did."""

    def fail(pipe: int) -> None:
        end(pipe, "syntax", "not Python")

    def garble(pipe: int) -> None:
        os.write(pipe, b"{garbled\n")

    def die(pipe: int) -> None:
        os.abort()

    before, family = descriptors(), children()
    outcomes = run(*[pass_contract, fail, die, pass_contract, garble] * 10, workers=3)
    assert len(outcomes) == 50
    assert descriptors() == before
    assert children() == family
    assert list(scratch.iterdir()) == []


def test_a_program_with_many_open_files_can_verify(run):
    """What else the program that uses the harness has open does not matter."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2000:
        pytest.skip("so many descriptors are not allowed here")
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
        noted(folder, name)
        sleep_forever()

    return behaviour


@pytest.mark.parametrize("running", [1, 3])
def test_closing_the_outcomes_ends_the_children(start, tmp_path, scratch, running):
    """A caller that has seen enough leaves no process, descriptor or folder behind."""
    before, family = descriptors(), children()
    folder = tmp_path / "pids"
    folder.mkdir()
    names = [str(index) for index in range(running)]
    outcomes = start(pass_contract, *(endless(folder, name) for name in names), workers=running + 1)
    next(outcomes)
    wait_for(lambda: len(list(folder.glob("[0-9]"))) == running, "all children")
    try:
        outcomes.close()
        assert all(is_gone(int((folder / name).read_text())) for name in names)
        assert children() == family
        assert descriptors() == before
        assert list(scratch.iterdir()) == []
    finally:
        clean(folder, before)


@pytest.mark.parametrize("running", [1, 2])
def test_an_interrupt_ends_the_children(start, tmp_path, scratch, running):
    """Ctrl-C comes through as KeyboardInterrupt once the children are gone."""
    folder = tmp_path / "pids"
    folder.mkdir()
    before = descriptors()

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
        assert all(map(is_gone, pids))
        assert list(scratch.iterdir()) == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        clean(folder, before)


def clean(folder: Path, before: dict[str, str]) -> None:
    """Whatever a test that failed left, so that the next one does not suffer for it."""
    for path in folder.glob("[0-9]"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(path.read_text()), signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(int(path.read_text()), 0)
    for name, target in descriptors().items():
        if name not in before and ("pipe:" in target or "pidfd" in target):
            os.close(int(name))


# What is believed.


@pytest.fixture(scope="module")
def measured(catalogue: Catalogue) -> dict[str, Any]:
    """The measurements that an honest child sends for a good file, by check."""
    measurements: dict[str, Any] = {}
    receive_message = ChildProtocol.receive_message

    def record(protocol: ChildProtocol, message: dict[str, Any]) -> None:
        if "end" in message:
            measurements[message["end"]] = message["measurement"]
        receive_message(protocol, message)

    source = (FIXTURES / "training/passes_epoch_unit.py").read_text(encoding="utf-8")
    tiny = candidate("tiny", catalogue.variant(1), source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ChildProtocol, "receive_message", record)
        (outcome,) = local.run([tiny], VerifySettings(), data.load("digits"))
    assert outcome.status is Status.VERIFIED, outcome.reason
    return measurements


def claim(measurements: dict[str, Any], last: Stage) -> Behaviour:
    """A child that claims that all checks have passed."""

    def behaviour(pipe: int) -> None:
        for stage in list(Stage)[: list(Stage).index(last) + 1]:
            say(pipe, start=stage)
            end(pipe, stage, "", measurements[stage])

    return behaviour


@pytest.fixture
def judged(run: Callable[..., list[Outcome]], catalogue: Catalogue, measured: dict[str, Any]) -> Callable[..., Outcome]:
    """How a file ends whose child claims to have passed, after the measurement of one check was tampered with."""

    def judged(stage: Stage, tamper: Callable[[Any], None]) -> Outcome:
        forged = copy.deepcopy(measured)
        tamper(forged[stage])
        options = {"variant": catalogue.variant(1), "settings": VerifySettings(stage=stage), "workers": 2}
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
def test_a_claimed_schedule_is_compared_again(judged, tamper):
    """A child that says "passed" of a trace which is not the curve's is not believed."""
    outcome = judged(Stage.SCHEDULE, tamper)
    assert (outcome.status, outcome.stage) == (Status.FAILED, Stage.SCHEDULE)
    assert [check.passed for check in outcome.checks] == [True, True, False]


def build_fewer(contract: dict[str, Any]) -> None:
    contract["shapes"].pop()


def forget_the_classes(contract: dict[str, Any]) -> None:
    contract["shapes"][1] = [1, 10]


def update_less(contract: dict[str, Any]) -> None:
    contract["updates"] = 1


def stand_still(contract: dict[str, Any]) -> None:
    contract["after"] = contract["before"]


def try_no_rate(contract: dict[str, Any]) -> None:
    contract["declared"].remove("lr")
    del contract["effects"]["lr"]


def leave_one_out(contract: dict[str, Any]) -> None:
    del contract["effects"]["momentum"]


def have_no_effect(contract: dict[str, Any]) -> None:
    contract["effects"]["momentum"] = ["same", "same"]


@pytest.mark.parametrize(
    "tamper", [build_fewer, forget_the_classes, update_less, stand_still, try_no_rate, leave_one_out, have_no_effect]
)
def test_a_claimed_contract_needs_its_evidence(judged, tamper):
    """A child that says "passed" must bring the shapes, the updates and the hyperparameters' effects."""
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


def keep_the_rate(training: dict[str, Any]) -> None:
    training["epochs"][-1]["rates"] = training["epochs"][0]["rates"]


@pytest.mark.parametrize("tamper", [confuse, lose_an_image, diverge, skip_an_epoch, keep_the_rate])
def test_a_claimed_training_is_judged_again(judged, tamper):
    """A child that says "passed" of a training that was none is not believed."""
    outcome = judged(Stage.TRAINING, tamper)
    assert (outcome.status, outcome.stage) == (Status.FAILED, Stage.TRAINING)


def have_no_classes(training: dict[str, Any]) -> None:
    training["support"] = []
    for epoch in training["epochs"]:
        epoch["confusion"] = []


def have_one_column(training: dict[str, Any]) -> None:
    for epoch in training["epochs"]:
        epoch["confusion"] = [[5], [5]]


def tell_words(training: dict[str, Any]) -> None:
    training["support"] = ["many", "few"]
    training["epochs"][0]["confusion"] = [["many"], ["few"]]


def take_back(training: dict[str, Any]) -> None:
    row = training["epochs"][0]["confusion"][0]
    row[0], row[1] = row[0] + 1000, row[1] - 1000


def tell_a_number(training: dict[str, Any]) -> None:
    training["epochs"] = 5


@pytest.mark.parametrize(
    "tamper",
    [
        have_no_classes,
        have_one_column,
        take_back,
        tell_words,
        tell_a_number,
    ],
)
def test_a_nonsensical_training_ends_its_own_file_only(judged, tamper):
    """Whatever a child says of its training, the parent goes on with the next file."""
    outcome = judged(Stage.TRAINING, tamper)
    assert not outcome.status.ok
    assert outcome.accuracy is None or 0 <= outcome.accuracy <= 1


def test_a_check_that_was_not_asked_for_is_not_believed(run, catalogue, measured):
    """A child that is to be checked up to the contract cannot bring epochs, which would be recorded."""
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
    "unsigned": b'{"start": "contract"}\n',
    "signed by another": b'{"by": "0123456789abcdef0123456789abcdef", "start": "contract"}\n',
    "too long a time": b'{"by": "BY", "end": "syntax", "reason": "", "seconds": 99, "measurement": {}}\n',
}


@pytest.mark.parametrize("message", NOT_RESULTS.values(), ids=NOT_RESULTS)
def test_what_is_no_result_is_not_believed(run, message):
    """A garbled or forged message ends its file, and neither the parent nor the next file."""

    def garble(pipe: int) -> None:
        os.write(pipe, message.replace(b"BY", SECRETS[pipe].encode()))
        pass_contract(pipe)

    forged, honest = run(garble, pass_contract)
    assert forged.status is Status.CRASHED
    assert re.fullmatch(r"the child process sends a message that is not a result: \w+", forged.reason)
    assert honest.status is Status.PASSED


@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_too_long_a_message_is_not_read_to_its_end(run, newline):
    """A child cannot fill the parent's memory with one message or with many."""

    def ramble(pipe: int) -> None:
        while True:
            os.write(pipe, b" " * 10_000 + newline)

    (outcome,) = run(ramble, limits={"messages": 200_000})
    assert outcome.status is Status.CRASHED
    assert outcome.reason in (
        "the child process sends more than 200000 bytes of results",
        "the child process sends a message that is not a result: JSONDecodeError",
    )


def test_a_message_may_come_in_pieces(run):
    """A line is understood once it is whole, however it was cut on its way."""

    def stutter(pipe: int) -> None:
        by = f'{{"by": "{SECRETS[pipe]}", "reason": "", "seconds": 0, "measurement": {{}}, '.encode()
        data = by + b'"end": "syntax"}\n' + by.replace(b"{}", json.dumps(KEPT_CONTRACT).encode()) + b'"end": "con'
        for at in range(0, len(data), 7):
            os.write(pipe, data[at : at + 7])
        select.select([], [], [], 0.05)
        os.write(pipe, b'tract"}\n')

    (outcome,) = run(stutter)
    assert [check.stage for check in outcome.checks] == [Stage.SYNTAX, Stage.CONTRACT]
    assert outcome.status is Status.PASSED


@pytest.mark.parametrize("order", [("contract", "syntax"), ("syntax", "syntax"), ("syntax", "schedule")])
def test_the_checks_end_in_their_order(run, order):
    """Two ends are not the two checks that were asked for when they are others, or come the other way round."""

    def claim_both(pipe: int) -> None:
        for stage in order:
            end(pipe, stage)

    (outcome,) = run(claim_both)
    assert outcome.status is Status.CRASHED
    assert outcome.reason == "the child process sends a message that is not a result: ValueError"


def test_a_check_that_failed_is_not_taken_back(run):
    """The first reason stands, whatever the child says after it."""

    def waver(pipe: int) -> None:
        end(pipe, "syntax", "not Python")
        end(pipe, "contract")

    (outcome,) = run(waver)
    assert (outcome.status, outcome.stage, outcome.reason) == (Status.FAILED, Stage.SYNTAX, "not Python")


def test_an_end_without_the_checks_is_a_crash(run):
    """Exit code 0 alone proves nothing."""

    def half(pipe: int) -> None:
        end(pipe, "syntax")
        say(pipe, start="contract")

    (outcome,) = run(half)
    assert (outcome.status, outcome.stage) == (Status.CRASHED, Stage.CONTRACT)
    assert outcome.reason == "the child process exits with code 0 before the check ends"


def test_an_error_in_a_check_is_a_crash_with_its_message(run):
    """What goes wrong outside the file's own code is told by its last line of output."""

    def stumble(pipe: int) -> None:
        raise ValueError("no such thing")

    (outcome,) = run(stumble)
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
def test_a_signal_is_named(run, number, name):
    """A file that dies of a signal is told by it, and the next file is run."""
    outcomes = run(lambda pipe: os.kill(os.getpid(), number), pass_contract)
    assert outcomes[0].status is Status.CRASHED
    assert outcomes[0].reason == f"the child process was killed by {name}"
    assert outcomes[1].status is Status.PASSED


# One process for many files.


def pass_as(folder: Path, name: str) -> Behaviour:
    """Pass, and note the process that did."""

    def behaviour(pipe: int) -> None:
        noted(folder, name)
        pass_contract(pipe)

    return behaviour


def pid_of(folder: Path, name: str) -> int:
    return int((folder / name).read_text())


def test_a_reused_child_takes_one_file_after_the_other(run, tmp_path):
    """Files that pass follow each other in one process, as many processes as there are workers."""
    outcomes = run(*(pass_as(tmp_path, str(index)) for index in range(7)), workers=2, reuse=True)
    assert [outcome.status for outcome in outcomes] == [Status.PASSED] * 7
    assert len({pid_of(tmp_path, str(index)) for index in range(7)}) == 2


def test_without_reuse_each_file_has_its_own_process(run, tmp_path):
    """By default nothing that a file does to its process reaches the next."""
    run(*(pass_as(tmp_path, str(index)) for index in range(3)))
    assert len({pid_of(tmp_path, str(index)) for index in range(3)}) == 3


def fail_syntax(pipe: int) -> bool:
    end(pipe, "syntax", "not Python")
    return False


def die(pipe: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang(pipe: int) -> None:
    sleep_forever()


def lie(pipe: int) -> None:
    os.write(pipe, b"{}\n")


@pytest.mark.parametrize(
    ("harm", "status"),
    [
        (fail_syntax, Status.FAILED),
        (die, Status.CRASHED),
        (hang, Status.TIMED_OUT),
        (lie, Status.CRASHED),
    ],
)
def test_a_reused_child_is_replaced_after_a_file_that_does_not_pass(run, tmp_path, harm, status):
    """Whoever failed, died, hung or lied takes no other file; the next one has a process of its own."""
    first, second = pass_as(tmp_path, "before"), pass_as(tmp_path, "after")
    outcomes = run(first, harm, second, reuse=True, limits={"seconds": 0.5 if harm is hang else PATIENCE})
    assert [outcome.status for outcome in outcomes] == [Status.PASSED, status, Status.PASSED]
    assert pid_of(tmp_path, "before") != pid_of(tmp_path, "after")


def test_a_stuck_child_is_ended_without_its_neighbours(run, tmp_path):
    """The others go on in the process that they had."""

    def slow(name: str) -> Behaviour:
        def behaviour(pipe: int) -> None:
            noted(tmp_path, name)
            select.select([], [], [], 0.2)
            pass_contract(pipe)

        return behaviour

    outcomes = run(hang, *(slow(str(index)) for index in range(5)), workers=2, reuse=True, limits={"seconds": 0.5})
    assert [outcome.status for outcome in outcomes] == [Status.TIMED_OUT, *[Status.PASSED] * 5]
    assert len({pid_of(tmp_path, str(index)) for index in range(5)}) <= 2


def test_a_reused_child_that_dies_between_two_files_costs_none(start, tmp_path):
    """Its end is noticed before it is given another."""

    def vanish(pipe: int) -> None:
        noted(tmp_path, "vanished")
        pass_contract(pipe)
        say(pipe, done=True)
        os._exit(1)

    outcomes = start(vanish, pass_as(tmp_path, "after"), reuse=True)
    found = [next(outcomes)]
    wait_for(lambda: is_zombie(tmp_path / "vanished"), "its end")
    found += outcomes
    assert [outcome.status for outcome in found] == [Status.PASSED] * 2


def test_a_reused_child_has_an_empty_folder_for_each_file(run, scratch):
    """What one file writes, the next one does not find, and at the end nothing of it is left."""

    def write(pipe: int) -> None:
        found = [path.name for path in Path.cwd().iterdir()]
        Path("mine").write_text("x")
        if found:
            end(pipe, "syntax", f"found {found}")
        else:
            pass_contract(pipe)

    outcomes = run(write, write, write, reuse=True)
    assert [(outcome.status, outcome.reason) for outcome in outcomes] == [(Status.PASSED, "")] * 3
    assert list(scratch.iterdir()) == []


def test_a_reused_child_whose_process_was_changed_is_replaced(catalogue, monkeypatch, tmp_path):
    """A file that leaves torch set up otherwise than it found it is the last one of its process."""
    source = (FIXTURES / "training/passes_epoch_unit.py").read_text(encoding="utf-8")
    line = "        self.train()\n"
    assert line in source
    changed = source.replace(line, f"{line}        torch.use_deterministic_algorithms(True)\n")
    run_one = local.child_process.run

    def run(one: Candidate, *others: Any) -> bool:
        noted(tmp_path, one.model_name)
        return run_one(one, *others)

    monkeypatch.setattr(local.child_process, "run", run)
    texts = {"good": source, "changed": changed, "last": source}
    files = [candidate(name, catalogue.variant(1), text) for name, text in texts.items()]
    outcomes = list(local.run(files, CONTRACT, None, reuse=True))
    assert [outcome.status for outcome in outcomes] == [Status.PASSED] * 3
    assert pid_of(tmp_path, "good") == pid_of(tmp_path, "changed") != pid_of(tmp_path, "last")


def test_real_files_pass_in_a_reused_child_as_in_their_own(catalogue):
    """The same file ends with the same numbers, the first time, the second time and in a process of its own."""
    source = (FIXTURES / "training/passes_epoch_unit.py").read_text(encoding="utf-8")
    files = [candidate("tiny", catalogue.variant(1), source)] * 2
    digits = data.load("digits")
    reused = list(local.run(files, VerifySettings(), digits, reuse=True))
    own = list(local.run(files[:1], VerifySettings(), digits))
    assert {outcome.status for outcome in (*reused, *own)} == {Status.VERIFIED}
    assert len({outcome.accuracy for outcome in (*reused, *own)}) == 1
    assert len({epoch.confusion for outcome in (*reused, *own) for epoch in outcome.epochs[-1:]}) == 1


# Stages and statuses.


@pytest.mark.parametrize("stage", [Stage.SYNTAX, Stage.CONTRACT, Stage.SCHEDULE])
def test_a_stage_runs_the_checks_up_to_it(catalogue, stage):
    """A file with a fault in the very next check ends well, and the checks that it went through are told."""
    faults = {
        Stage.SYNTAX: "contract/fails_no_net.py",
        Stage.CONTRACT: "schedule/fails_wrong_gamma.py",
        Stage.SCHEDULE: "training/fails_exits.py",
    }
    source = (FIXTURES / faults[stage]).read_text(encoding="utf-8")
    one = candidate("tiny", catalogue.variant(1), source)
    (outcome,) = local.run([one], VerifySettings(stage=stage), None)
    assert outcome.status is Status.PASSED, outcome.reason
    assert (outcome.stage, outcome.reason) == (stage, "")
    assert [check.stage for check in outcome.checks] == list(Stage)[: list(Stage).index(stage) + 1]
    assert all(check.passed and check.seconds > 0 for check in outcome.checks)
    assert outcome.accuracy is None


def verdict(
    end: tuple[Status, str] | None = None,
    checks: tuple[str, ...] = ("", "", "", ""),
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


def test_the_gravest_finding_decides(catalogue):
    """A limit that was exceeded comes before a failed check, that before a crash, that before what is left running."""
    held = catalogue.variant(1)
    crash, half = signal.SIGSEGV.value, ("", "")
    assert verdict((Status.TIMED_OUT, "late"), ("wrong",), crash, 1, variant=held) is Status.TIMED_OUT
    assert verdict(None, ("wrong",), crash, 1, variant=held) is Status.FAILED
    assert verdict(None, half, crash, 1, variant=held) is Status.CRASHED
    assert verdict(None, ("", "", "", ""), 1 << 8, 1, variant=held) is Status.CRASHED
    assert verdict(None, half, 0, 1, variant=held) is Status.CRASHED
    assert verdict(orphans=1, variant=held) is Status.FAILED
    assert verdict() is Status.UNCLAIMED
    assert verdict(None, ("", "", ""), stage=Stage.SCHEDULE) is Status.UNCLAIMED
    assert verdict(None, half, stage=Stage.CONTRACT) is Status.PASSED
    assert verdict(None, ("", "", ""), stage=Stage.SCHEDULE, variant=held) is Status.PASSED
    assert verdict(None, half, stage=Stage.CONTRACT, variant=held) is Status.PASSED
    assert verdict(variant=held) is Status.VERIFIED


def test_statuses_say_what_may_be_trusted_and_reused():
    """Three ends are fine; a file that hung, crashed or ran out of memory may end otherwise another time."""
    assert [status for status in Status if status.ok] == [Status.VERIFIED, Status.PASSED, Status.UNCLAIMED]
    assert [status for status in Status if status.final and not status.ok] == [Status.FAILED]

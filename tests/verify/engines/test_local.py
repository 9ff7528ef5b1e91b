"""The local engine runs each file in a process of its own, limits it, ends it, and lets it end no other file."""

import contextlib
import itertools
import json
import os
import re
import resource
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lrgen.errors import EngineError
from lrgen.records import Budget, Outcome, Stage, Status, VerifySettings
from lrgen.verify import examiner, isolation
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.engines import local
from lrgen.verify.limits import Limits
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.session import Place, Session
from tests.verify.engines.test_every_engine import of_file
from tests.verify.loading import LINES_BEFORE, file_of, light_nursery, light_view, replace_checks
from tests.verify.processes import TIMEOUT, children_of, exists, wait_for

CONTRACT = VerifySettings(stage=Stage.CONTRACT)
SLEEP = ["sleep", "600"]

Run = Callable[..., list[Outcome]]
Start = Callable[..., Iterator[Outcome]]


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """A nursery for files that use no torch."""
    with light_nursery(tmp_path_factory.mktemp("light") / "packages") as nursery:
        yield nursery


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, light: Nursery, tmp_path: Path) -> Start:
    """Runs files of this code, which a check loads that does nothing else; the names of the files count from 0."""
    replace_checks(monkeypatch)

    def start(*codes: str, **options: Any) -> Iterator[Outcome]:
        limits = Limits(**{"seconds": TIMEOUT} | options.pop("limits", {}))
        files = [file_of(code, str(index), tmp_path) for index, code in enumerate(codes)]
        return local.run(files, CONTRACT, None, limits=limits, **{"nursery": light} | options)

    return start


@pytest.fixture
def run(start: Start) -> Run:
    """Runs files as ``start`` does; returns all outcomes in the order of the files."""

    def run(*codes: str, **options: Any) -> list[Outcome]:
        return sorted(start(*codes, **options), key=lambda outcome: int(outcome.candidate.model_name))

    return run


def descriptors() -> dict[str, str]:
    """The open descriptors of this process."""
    targets = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            targets[entry.name] = str(entry.readlink())
    return targets


def pid_in(path: Path) -> int:
    return int(path.read_text())


# Outcomes.

FAIL = "raise ValueError('no')"
DIE = "os.kill(os.getpid(), signal.SIGKILL)"
LEAVE = "os._exit(0)"
FORGE = "send({})"


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_file_has_an_outcome(run, workers):
    """The outcome of a file depends neither on the number of workers nor on the other files."""
    outcomes = run("", FAIL, DIE, LEAVE, "", FORGE, "", workers=workers)
    passed, failed, crashed = Status.PASSED, Status.FAILED, Status.CRASHED
    assert [outcome.status for outcome in outcomes] == [passed, failed, crashed, crashed, passed, crashed, passed]
    assert all(outcome.seconds > 0 and bool(outcome.reason) is not outcome.status.ok for outcome in outcomes)


def test_no_files_have_no_outcomes(run):
    """A run without files yields nothing."""
    assert run() == []


@pytest.mark.parametrize(("workers", "expected"), [(1, Status.TIMED_OUT), (2, Status.PASSED)])
def test_as_many_files_run_at_a_time_as_there_are_workers(run, workers, expected):
    """Two files that wait for each other pass with two workers and time out with one."""
    limits = {"seconds": TIMEOUT if workers == 2 else 0.3}
    first, _ = run("write_pid('a'); wait_for('b')", "write_pid('b'); wait_for('a')", workers=workers, limits=limits)
    assert first.status is expected


def test_an_outcome_is_yielded_while_other_files_run(start, tmp_path):
    """The outcome of a file is yielded before the other files end."""
    outcomes = start("wait_for('go')", "", workers=2)
    assert next(outcomes).candidate.model_name == "1"
    (tmp_path / "go").touch()
    last = next(outcomes)
    assert (last.candidate.model_name, last.status) == ("0", Status.PASSED)


def test_each_file_has_its_own_process(run, tmp_path):
    """Files that run one after another share no process."""
    run(*(f"write_pid('{index}')" for index in range(3)))
    assert len({pid_in(tmp_path / str(index)) for index in range(3)}) == 3


# Limits.


@pytest.mark.parametrize(
    "code",
    [
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); forever()",
        "os.kill(os.getpid(), signal.SIGSTOP)",
        "while True: pass",
    ],
    ids=["ignores SIGTERM", "stopped", "computes"],
)
def test_a_file_that_does_not_end_is_killed(run, code):
    """A file that ignores signals, stands still or computes without end is killed at the limit of its check."""
    (outcome,) = run(code, limits={"seconds": 60.0, "check_seconds": 0.4})
    assert (outcome.status, outcome.stage) == (Status.TIMED_OUT, Stage.CONTRACT)
    assert outcome.reason == "the contract check takes longer than 0.4 s"
    assert outcome.seconds >= 0.4


def test_training_has_the_time_limit_of_the_file():
    """Training has the limit of the file or of its budget; the other checks have that of a check, if it is smaller."""
    limits = Limits(seconds=900, check_seconds=120)
    assert [limits.of(stage, None) for stage in Stage] == [120, 120, 120, 120, 900]
    assert {Limits(seconds=5, check_seconds=120).of(stage, None) for stage in Stage} == {5}
    budget = Budget(images=20, pixels=8, batch=10, epochs=5, seconds=30)
    assert [limits.of(stage, budget) for stage in Stage] == [120, 120, 120, 120, 30]


@pytest.mark.parametrize("pause", ["pass", "time.sleep(0.01)"], ids=["without pause", "with pauses"])
def test_an_answer_in_pieces_does_not_extend_the_time_limit(run, pause):
    """A file that sends an answer byte by byte times out."""
    code = f"""
        os.write(channel(), struct.pack(">II", 8 << 20, 32 << 20))
        while True:
            os.write(channel(), b" ")
            {pause}
    """
    (outcome,) = run(code, limits={"seconds": 0.5})
    assert outcome.status is Status.TIMED_OUT


def test_a_file_that_exceeds_the_memory_limit_is_ended(run):
    """Only the file whose resident memory exceeds the limit is stopped."""
    modest, greedy = run(
        "block = b'x' * (10 << 20)", "block = b'x' * (300 << 20); forever()", workers=2, limits={"memory": 150 << 20}
    )
    assert modest.status is Status.PASSED
    assert greedy.status is Status.OUT_OF_MEMORY
    assert greedy.reason == "the file uses more than 150 MiB of memory"


def test_a_file_may_say_that_it_is_out_of_memory(run):
    """A MemoryError of the file is the reason of the outcome."""
    (outcome,) = run("raise MemoryError")
    assert (outcome.status, outcome.stage) == (Status.OUT_OF_MEMORY, Stage.CONTRACT)
    assert outcome.reason == f"MemoryError (line {LINES_BEFORE + 1})"


def test_a_file_that_floods_its_output_is_ended(run):
    """A file that prints without end fails, and the outcome keeps at most 4096 characters of its output."""
    (outcome,) = run("while True: os.write(1, b'a line of output\\n' * 1000)", limits={"output": 1 << 18})
    assert outcome.status is Status.FAILED
    assert outcome.reason == "the file prints more than 262144 bytes"
    assert "a line of output" in outcome.output
    assert len(outcome.output) <= 4096


def test_output_is_limited_even_if_the_file_answers_first(run):
    """A file that exceeds the limit on output fails, even if it answers before its output is read."""
    outcomes = run(*["os.write(1, b'x' * 20_000)"] * 12, workers=2, limits={"output": 10_000})
    assert {outcome.status for outcome in outcomes} == {Status.FAILED}


PRINTED = {
    "os.write(1, b'from write\\n')": "from write\n",
    "sys.stderr.write('from stderr\\n')": "from stderr\n",
    "subprocess.run(['echo', 'from a program'])": "from a program\n",
    "os.write(1, b'\\xff not UTF-8\\n')": "\ufffd not UTF-8\n",
    "os.write(2, b'\\x1b[31m red \\xe2\\x80\\xae\\n')": "\\x1b[31m red \\u202e\n",
    "for line in range(9): os.write(1, b'%d\\n' % line); select.select([], [], [], 0.01)": "".join(
        f"{line}\n" for line in range(9)
    ),
}


def test_output_does_not_fail_a_file(run):
    """What a file and its programs write to standard output and standard error is captured, in printable form."""
    outcomes = run(*PRINTED)
    assert [outcome.status for outcome in outcomes] == [Status.PASSED] * len(PRINTED)
    assert [outcome.output for outcome in outcomes] == list(PRINTED.values())


def test_a_file_has_no_standard_input(run):
    """A file that reads standard input gets an empty string, not the input of lrgen."""
    reading, writing = os.pipe()
    os.write(writing, b"typed")
    before = os.dup(0)
    os.dup2(reading, 0)
    try:
        (outcome,) = run("raise ValueError(f'read {os.read(0, 10)!r}')")
    finally:
        os.dup2(before, 0)
        for descriptor in (reading, writing, before):
            os.close(descriptor)
    assert "read b''" in outcome.reason


# Processes, folders and descriptors that a file leaves.

IN_GROUP = "write_pid('group', subprocess.Popen(['sleep', '600']).pid)"
IN_OWN_SESSION = "write_pid('session', subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
DOUBLE_FORKED = """
middle = os.fork()
if middle == 0:
    os.setsid()
    if os.fork() == 0:
        write_pid('daemon')
        forever()
    os._exit(0)
os.waitpid(middle, 0)
wait_for('daemon')
"""
THREE_GENERATIONS = """
if os.fork() == 0:
    for generation in range(3):
        os.setsid()
        write_pid(f'generation{generation}')
        if generation < 2 and os.fork() != 0:
            break
    forever()
wait_for('generation0', 'generation1', 'generation2')
"""
# The driver counts the children; a file that shares its process can have it count none.
UNCOUNTED = "sys._getframe(1).f_back.f_globals['_running_children'] = lambda: 0\n"
ENDS = {
    "answers": ("", Status.FAILED, r"the file leaves \d process(es)? of its own running"),
    "hides them": (UNCOUNTED, Status.FAILED, "the file leaves processes of its own running"),
    "exits": ("os._exit(0)", Status.CRASHED, "the process of the file exits with code 0 before the check ends"),
    "is timed out": ("forever()", Status.TIMED_OUT, "the contract check takes longer than 3 s"),
}


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Callable[[], dict[str, int]]]:
    """The processes whose ids the files have written; those that still run are killed after the test."""

    def pids() -> dict[str, int]:
        written = [path for path in tmp_path.iterdir() if path.is_file() and not path.name.startswith(".")]
        return {path.name: pid_in(path) for path in written if path.stat().st_size}

    yield pids
    for pid in pids().values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


LEFT = {
    "in its group": IN_GROUP,
    "in a session of its own": IN_OWN_SESSION,
    "behind two forks": DOUBLE_FORKED,
    "three generations": THREE_GENERATIONS,
}


# A timeout takes three seconds: the fast tests wait for one.
WAITING = [("is timed out", leave) for leave in LEFT if leave != "behind two forks"]


@pytest.mark.parametrize(
    ("end", "leave"),
    [
        pytest.param(*case, marks=[pytest.mark.slow] if case in WAITING else [])
        for case in itertools.product(ENDS, LEFT)
    ],
)
def test_processes_of_a_file_end_with_it(run, pids, leave, end):
    """A process in the file's group, in its own session, or behind a double fork ends with the file."""
    code, status, reason = ENDS[end]
    (outcome,) = run(f"{LEFT[leave]}\n{code}", limits={"seconds": 3.0 if end == "is timed out" else TIMEOUT})
    started = pids()
    assert started
    assert {name: exists(pid) for name, pid in started.items()} == dict.fromkeys(started, False)
    assert outcome.status is status
    assert re.fullmatch(reason, outcome.reason)


def test_processes_of_other_running_files_are_not_ended(start, tmp_path, pids):
    """The end of a file does not end the processes that a running file has started."""
    busy = """
        helper = subprocess.Popen(['sleep', '600'], start_new_session=True)
        write_pid('helper', helper.pid)
        wait_for('go')
        alive = helper.poll() is None
        helper.kill()
        helper.wait()
        assert alive
    """
    outcomes = start(busy, f"wait_for('helper')\n{IN_OWN_SESSION}", workers=2)
    assert next(outcomes).status is Status.FAILED
    (tmp_path / "go").touch()
    assert next(outcomes).status is Status.PASSED
    assert pids()


def test_only_the_file_that_leaves_a_process_fails(run, pids):
    """If several files end at once, only the one that left a process running fails."""
    clean = [f"write_pid('{name}'); wait_for('a', 'b', 'c', 'daemon')" for name in "abc"]
    outcomes = run(*clean, f"wait_for('a', 'b', 'c')\n{DOUBLE_FORKED}", workers=4)
    assert [outcome.status for outcome in outcomes] == [*[Status.PASSED] * 3, Status.FAILED]
    assert not exists(pids()["daemon"])


@pytest.mark.parametrize("own_session", [False, True])
def test_other_children_of_the_parent_are_not_ended(run, own_session):
    """A process that the caller of the engine has started keeps running."""
    with subprocess.Popen(SLEEP, start_new_session=own_session) as other:
        try:
            run(IN_OWN_SESSION, "")
            assert other.poll() is None
        finally:
            other.kill()


def test_scratch_folders_are_removed(run, light):
    """Each file has an empty scratch folder, which is removed when the file ends or is killed."""
    write = """
        assert list(Path.cwd().iterdir()) == []
        Path("folder").mkdir()
        Path("folder/file").write_text("x")
        raise ValueError(f"in {Path.cwd()} now")
    """
    die = "Path('file').write_text('x'); os.kill(os.getpid(), signal.SIGSEGV)"
    here = Path.cwd()
    outcomes = run(write, write, die, workers=2)
    folders = {Path(match[1]) for outcome in outcomes if (match := re.search(r"in (/\S+) now", outcome.reason))}
    assert len(folders) == 2
    assert {folder.parent for folder in folders} == {light.folder}
    assert list(light.folder.iterdir()) == []
    assert Path.cwd() == here


def test_no_descriptor_process_or_folder_leaks(run, light):
    """After fifty files no descriptor, zombie or folder remains."""
    run("")
    open_before, children_before, files_before = descriptors(), children_of(os.getpid()), children_of(light.pid)
    outcomes = run(*["", FAIL, "os.abort()", "", FORGE] * 10, workers=3)
    assert len(outcomes) == 50
    assert descriptors() == open_before
    assert children_of(os.getpid()) == children_before
    assert children_of(light.pid) == files_before == set()
    assert list(light.folder.iterdir()) == []


def test_a_caller_with_many_open_files_can_verify(run):
    """The engine works in a process that has more than 1024 open descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2000:
        pytest.skip("the hard limit on descriptors is below 2000")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        assert [outcome.status for outcome in run("")] == [Status.PASSED]
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# Stopping early.


@pytest.mark.parametrize("running", [1, 3])
def test_closing_the_outcomes_ends_the_files(start, tmp_path, pids, light, running):
    """A caller that closes the outcomes leaves no process, descriptor or folder."""
    open_before = descriptors()
    names = [f"f{index}" for index in range(running)]
    outcomes = start("", *(f"write_pid('{name}'); forever()" for name in names), workers=running + 1)
    next(outcomes)
    wait_for(lambda: all((tmp_path / name).exists() for name in names), "all files")
    outcomes.close()
    assert not any(map(exists, pids().values()))
    assert descriptors() == open_before
    assert list(light.folder.iterdir()) == []


def test_closing_the_outcomes_ends_files_that_have_not_begun(start, tmp_path, light):
    """A file whose process is forked while the outcomes are closed ends, too, and no file begins after it."""
    begun, abandoned = threading.Event(), threading.Event()

    def session(place: Place) -> Session:
        if (tmp_path / "first").exists():
            begun.set()
            assert abandoned.wait(TIMEOUT)
        return light.session(place)

    def abandon() -> None:
        light.abandon()
        abandoned.set()

    late = SimpleNamespace(session=session, abandon=abandon)
    codes = ("write_pid('first')", "write_pid('second'); forever()", "write_pid('third')")
    outcomes = start(*codes, nursery=late, limits={"seconds": 600.0})
    next(outcomes)
    assert begun.wait(TIMEOUT)
    outcomes.close()
    assert not (tmp_path / "third").exists()
    assert children_of(light.pid) == set()


def test_an_interrupt_ends_the_files(start, tmp_path, pids, light):
    """Ctrl-C raises KeyboardInterrupt after the files have ended."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def signal_when_both_run() -> None:
        wait_for(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists(), "both files")
        os.kill(os.getpid(), signal.SIGALRM)

    outcomes = start("write_pid('a'); forever()", "write_pid('b'); forever()", workers=2)
    handler = signal.signal(signal.SIGALRM, interrupt)
    thread = threading.Thread(target=signal_when_both_run)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            next(outcomes)
        assert not any(map(exists, pids().values()))
        assert list(light.folder.iterdir()) == []
    finally:
        thread.join()
        signal.signal(signal.SIGALRM, handler)


# A nursery that dies.


@pytest.mark.parametrize("victim", ["host", "guardian", "both"])
def test_a_killed_nursery_ends_only_the_files_in_flight(start, tmp_path, monkeypatch, pids, victim):
    """Files that run when the nursery is killed have crashed; the others are verified with another nursery."""
    with light_view(tmp_path / "packages") as view:
        monkeypatch.setattr(isolation, "view", view)
    with Nursery() as nursery:
        code = "write_pid('{}'); write_pid('nursery', os.getppid()); wait_for('never')"
        outcomes = start(code.format("a"), code.format("b"), *[""] * 4, workers=2, nursery=nursery)
        killed = nursery.pid
        guardian = next(iter(children_of(os.getpid()) & {parent_of(killed)}))

        def kill() -> None:
            wait_for(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists(), "both files")
            for pid in {"host": [killed], "guardian": [guardian], "both": [killed, guardian]}[victim]:
                os.kill(pid, signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        ended = {outcome.candidate.model_name: outcome for outcome in outcomes}
        thread.join()
        statuses = {name: outcome.status for name, outcome in ended.items()}
        assert statuses == dict.fromkeys("01", Status.CRASHED) | dict.fromkeys("2345", Status.PASSED)
        assert {ended[name].reason for name in "01"} == {"the nursery of the file's process has ended"}
        wait_for(lambda: not any(exists(pids()[name]) for name in "ab"), "the end of the files")
        assert nursery.pid != killed
        assert list(nursery.folder.iterdir()) == []


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


# Answers that are none.


def frame(header: bytes | object, body: str = "b''", lengths: tuple[int, int] | None = None) -> str:
    """The code that writes a frame: a header, or what is written as JSON, and an expression for the body."""
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    sizes = "len(header), len(body)" if lengths is None else f"*{lengths}"
    return f"header, body = {data!r}, {body}\nos.write(channel(), struct.pack('>II', {sizes}) + header + body)"


LOADED = {
    "printed": "",
    "changed": [],
    "makes_scheduler": True,
    "is_module": True,
    "signatures": {},
    "hyperparameters": [],
}
NOTHING = {"children": 0, "arrays": []}


def answer(**values: Any) -> dict[str, Any]:
    """The answer to the command that loads the file, with other values."""
    return {**NOTHING, "done": LOADED | values}


NOT_ANSWERS = {
    "a header of 4 GiB": frame(b"", lengths=((1 << 32) - 1, 0)),
    "a body of 4 GiB": frame(b"{}", lengths=(2, (1 << 32) - 1)),
    "no header": frame(b""),
    "no JSON": frame(b"{garbled"),
    "not UTF-8": frame(b'{"\xff\xfe": 1}'),
    "a number": frame(b"17"),
    "null": frame(b"null"),
    "a list": frame(b"[1, 2]"),
    "an empty object": frame(b"{}"),
    "nested too deep": "send(b'[' * 100_000 + b']' * 100_000)",
    "nested values": "send(b'{\"children\":0,\"arrays\":[],\"done\":' + b'{\"printed\":' * 900 + b'1' + b'}' * 901)",
    "too long a number": "send(b'{\"children\":' + b'9' * 5000 + b',\"arrays\":[]}')",
    "no arrays": frame({"children": 0, "done": LOADED}),
    "arrays that are a number": frame({**NOTHING, "arrays": 5}),
    "an array of objects": frame({**NOTHING, "arrays": [["object", [1]]]}, "bytes(8)"),
    "an array of a negative size": frame({**NOTHING, "arrays": [["uint8", [-1]]]}),
    "an array of true values": frame({**NOTHING, "arrays": [["uint8", [True]]]}, "b'x'"),
    "an array of a size with a fraction": frame({**NOTHING, "arrays": [["uint8", [1.0]]]}, "b'x'"),
    "an array of exabytes": frame({**NOTHING, "arrays": [["float64", [1 << 31] * 6]]}),
    "an array of seven dimensions": frame({**NOTHING, "arrays": [["uint8", [1] * 7]]}, "b'x'"),
    "a body that is too short": frame({**NOTHING, "arrays": [["float32", [2]]]}, "bytes(7)"),
    "a body that is too long": frame({**NOTHING, "arrays": [["float32", [2]]]}, "bytes(9)"),
    "a million arrays of nothing": "send({'children': 0, 'arrays': [['uint8', [0]]] * 400_000})",
    "nothing done": frame(NOTHING),
    "null for what was done": frame({**NOTHING, "done": None}),
    "a list for what was done": frame({**NOTHING, "done": [LOADED]}),
    "an unknown field": frame({**answer(), "verdict": "passed"}),
    "an unknown value": frame(answer(status="passed")),
    "no values": frame({**NOTHING, "done": {}}),
    "true for a count": frame({**answer(), "children": True}),
    "a count with a fraction": frame({**answer(), "children": 0.0}),
    "a negative count": frame({**answer(), "children": -1}),
    "a count of 10**30": frame({**answer(), "children": 10**30}),
    "NaN for a count": frame({**answer(), "children": float("nan")}),
    "a number for a truth value": frame(answer(is_module=1)),
    "a number for a text": frame(answer(printed=5)),
    "a text with half a character": frame(answer(printed="\ud800")),
    "too long a text": frame(answer(printed="x" * 2000)),
    "too many names": frame(answer(changed=["x"] * 100)),
    "a text for a list": frame(answer(changed="x")),
    "numbers for names": frame(answer(hyperparameters=[1, 2])),
    "a list for a table": frame(answer(signatures=[])),
    "an error that is a text": frame({**NOTHING, "raised": "ValueError"}),
    "an error at a line of text": frame({**NOTHING, "raised": {"type": "E", "message": "", "line": "5"}}),
    "an error at line 10**30": frame({**NOTHING, "raised": {"type": "E", "message": "", "line": 10**30}}),
}


@pytest.mark.parametrize("code", NOT_ANSWERS.values(), ids=NOT_ANSWERS)
def test_a_malformed_answer_ends_its_own_file(run, code):
    """A file that writes something else than an answer has crashed, and the next file passes."""
    forging, honest = run(code, "")
    assert forging.status is Status.CRASHED
    assert re.fullmatch(
        r"the process of the file sends an answer (that is none: [\w.]+(: [^\n]*)?|of 4294967295 bytes|without values)",
        forging.reason,
    )
    assert forging.reason.isprintable()
    assert honest.status is Status.PASSED


def test_an_answer_may_arrive_in_pieces(run):
    """An answer is read when it is complete."""
    code = f"""
        header = {json.dumps(answer()).encode()!r}
        data = struct.pack(">II", len(header), 0) + header
        for at in range(0, len(data), 7):
            os.write(channel(), data[at : at + 7])
            select.select([], [], [], 0.001)
    """
    (outcome,) = run(code)
    assert outcome.status is Status.PASSED


def test_more_answers_than_commands_are_not_read(run):
    """A file that answers twice, or without end, keeps nothing busy: what is beyond the answers is never read."""
    flood = f"""
        os.set_blocking(channel(), False)
        try:
            while True:
                send({answer()!r})
        except BlockingIOError:
            os.set_blocking(channel(), True)
    """
    outcomes = run(f"send({answer()!r})", flood, "")
    assert [outcome.status for outcome in outcomes][::2] == [Status.PASSED] * 2
    assert outcomes[1].status in (Status.PASSED, Status.CRASHED)  # the last frame may be cut


def test_what_a_file_says_is_printable(run):
    """The type and the message of a forged error have no control or bidirectional characters, and one line."""
    words = {"type": "E\x1b]0;\x07", "message": "a\nb\u202ec\x00", "line": 3}
    (outcome,) = run(f"send({ {**NOTHING, 'raised': words}!r})")
    assert outcome.reason == "importing the file raises E\\x1b]0;\\x07: a\\nb\\u202ec\\x00 (line 3)"


# Ends of processes.


def test_an_exit_before_the_last_check_is_a_crash(run):
    """A file that exits with code 0 has crashed; with another code, the reason has the last line of its output."""
    outcomes = run("os._exit(0)", "os.write(2, b'first\\nno such thing\\n'); os._exit(3)", "os.close(channel())")
    assert {outcome.status for outcome in outcomes} == {Status.CRASHED}
    before = "before the check ends"
    assert outcomes[0].reason == f"the process of the file exits with code 0 {before}"
    assert outcomes[1].reason == f"the process of the file exits with code 3 {before}: no such thing"
    assert outcomes[2].reason.startswith("the process of the file exits with code 70")


def test_a_closed_channel_is_a_crash(run):
    """A file that closes its channel and goes on is ended."""
    (outcome,) = run("os.close(channel()); forever()")
    assert outcome.status is Status.CRASHED
    assert outcome.reason == "the process of the file closes its channel to the examiner"


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
    """The reason names the signal that killed the file, and the next file passes."""
    outcomes = run(
        f"signal.signal({int(number)}, 0) if {int(number)} != 9 else None\nos.kill(os.getpid(), {int(number)})", ""
    )
    assert outcomes[0].status is Status.CRASHED
    assert outcomes[0].reason == f"the process of the file was killed by {name}"
    assert outcomes[1].status is Status.PASSED


# Stages and statuses.


@pytest.mark.parametrize("stage", [Stage.SYNTAX, Stage.POLICY, Stage.CONTRACT, Stage.SCHEDULE])
def test_a_stage_runs_the_checks_up_to_it(nursery, stage):
    """A file whose fault the next check finds passes, and the outcome has the checks that were run."""
    faults = {
        Stage.SYNTAX: "contract/fails_no_net.py",
        Stage.POLICY: "contract/fails_no_net.py",
        Stage.CONTRACT: "schedule/fails_wrong_gamma.py",
        Stage.SCHEDULE: "training/fails_exits.py",
    }
    (outcome,) = local.run([of_file(faults[stage])], VerifySettings(stage=stage), None, nursery=nursery)
    assert outcome.status is Status.PASSED, outcome.reason
    assert (outcome.stage, outcome.reason) == (stage, "")
    assert [check.stage for check in outcome.checks] == list(Stage)[: list(Stage).index(stage) + 1]
    assert all(check.passed and check.seconds > 0 for check in outcome.checks)
    assert outcome.accuracy is None


@pytest.fixture
def verdict(monkeypatch: pytest.MonkeyPatch, light: Nursery, catalogue: Any) -> Callable[..., Outcome]:
    """The outcome of a file for whose last check this function is called, up to a stage."""

    def verdict(check: Callable[[Any], None], stage: Stage, code: str = "", claimed: bool = True) -> Outcome:
        last = SimpleNamespace(STAGE=stage, run=check)
        monkeypatch.setattr(examiner, "up_to", lambda stage, candidate: (last,))
        file = file_of(code, variant=catalogue.variant(1) if claimed else None)
        [outcome] = local.run([file], VerifySettings(stage=stage), None, nursery=light)
        return outcome

    return verdict


def test_the_status_is_that_of_the_stage_and_of_the_claim(verdict):
    """A claim is verified by training alone; what no claim says is compared with nothing after the contract."""

    def accept(examination: Any) -> None:
        pass

    statuses = {stage: verdict(accept, stage).status for stage in Stage}
    assert statuses == dict.fromkeys(Stage, Status.PASSED) | {Stage.TRAINING: Status.VERIFIED}
    statuses = {stage: verdict(accept, stage, claimed=False).status for stage in Stage}
    assert statuses == dict.fromkeys(Stage, Status.PASSED) | dict.fromkeys(
        (Stage.SCHEDULE, Stage.TRAINING), Status.UNCLAIMED
    )


def test_a_reason_precedes_processes_left_running(verdict):
    """A file that fails its check and leaves a process has the reason of the check."""

    def refuse(examination: Any) -> None:
        examination.load(examination.session)
        raise CheckFailure("no gradient")

    outcome = verdict(refuse, Stage.CONTRACT, UNCOUNTED + "subprocess.Popen(['sleep', '600'])")
    assert (outcome.status, outcome.reason) == (Status.FAILED, "no gradient")


def test_an_error_in_a_comparison_ends_only_its_file(verdict):
    """Whatever a check raises on the answers of a file, that file has crashed, and the reason is one line."""

    def stumble(examination: Any) -> None:
        raise IndexError("list index\nout of range\x1b")

    outcome = verdict(stumble, Stage.SCHEDULE)
    assert (outcome.status, outcome.stage) == (Status.CRASHED, Stage.SCHEDULE)
    assert outcome.reason == (
        "the schedule check cannot use the answers of the file: IndexError: list index\\nout of range\\x1b"
    )


def test_a_nursery_that_cannot_be_started_again_ends_the_run(verdict):
    """An error of the engine is no verdict on a file: the caller gets it."""

    def lose(examination: Any) -> None:
        raise EngineError("the process that files are forked from does not start")

    with pytest.raises(EngineError, match="does not start$"):
        verdict(lose, Stage.CONTRACT)


def test_statuses_are_grouped_by_success_and_finality():
    """Three statuses are successes, and of the others only a failure is final."""
    assert [status for status in Status if status.ok] == [Status.VERIFIED, Status.PASSED, Status.UNCLAIMED]
    assert [status for status in Status if status.final and not status.ok] == [Status.FAILED]

"""After a kill or an interrupt, reported outcomes are recorded, none twice, and the next run verifies the rest.

The run is a fork of the test: its files are loaded by one check, in a nursery whose torch does nothing. Processes that
it leaves become children of the test, which finds them.
"""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lrgen.errors import StoreError
from lrgen.records import Candidate, Stage, VerifySettings
from lrgen.store import Store, rows
from lrgen.verify import isolation, scratch
from lrgen.verify import run as verify
from lrgen.verify.isolation import Isolation
from lrgen.verify.sandbox.processes import descendants
from lrgen.verify.sandbox.syscalls import PR_SET_CHILD_SUBREAPER, adopt_orphans, call
from tests.paths import FIXTURES
from tests.verify.loading import file_of, light_view, replace_checks
from tests.verify.processes import children_of, has_exited, reap, wait_for

COUNTS_PROCESSES = True
KILLS = (15, pytest.param(50, marks=pytest.mark.slow))
INTERRUPTS = (5, pytest.param(20, marks=pytest.mark.slow))
SETTINGS = VerifySettings(stage=Stage.CONTRACT)
OPTIONS = {"timeout": 60, "isolation": Isolation.PROCESS}


def files(count: int, comment: str = "") -> list[Candidate]:
    """Files that take a few milliseconds each."""
    return [
        file_of(f"select.select([], [], [], {index % 7 / 500})  # {comment}", f"net{index}") for index in range(count)
    ]


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Replaces the checks and torch; temporary files are in a folder of the test."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    replace_checks(monkeypatch)
    with light_view(tmp_path / "packages") as view:
        monkeypatch.setattr(isolation, "view", view)
        yield


@pytest.fixture
def left(tmp_path: Path) -> Iterator[Callable[[], set[int]]]:
    """The processes that the runs of the test have left; the test adopts them."""
    before = children_of(os.getpid())
    adopt_orphans()

    def left() -> set[int]:
        adopted = children_of(os.getpid()) - before
        for pid in adopted:
            reap(pid)
        return {pid for pid in adopted if not has_exited(pid)}

    yield left
    for pid in left():
        os.kill(pid, signal.SIGKILL)
    call("prctl", PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@contextlib.contextmanager
def session(database: Path, candidates: list[Candidate]) -> Iterator[tuple[int, int]]:
    """Runs ``verify`` in its own process group; yields its process id and a pipe of the recorded outcomes."""
    reports, reports_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setsid()
            os.close(reports)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.default_int_handler)  # as the command line does
            store = Store(f"sqlite:///{database}")
            for outcome in verify.verify(candidates, SETTINGS, store, workers=3, **OPTIONS):
                os.write(reports_in, f"{outcome.candidate.model_name} {outcome.status} {outcome.reused}\n".encode())
            code = 0
        except KeyboardInterrupt:
            code = 130
        finally:
            os._exit(code)
    os.close(reports_in)
    try:
        yield pid, reports
    finally:
        os.close(reports)


def read_all(descriptor: int) -> list[list[str]]:
    """The words of each line that is written until the pipe is closed."""
    with os.fdopen(os.dup(descriptor)) as lines:
        return [line.split() for line in lines if line.endswith("\n")]


def recorded(database: Path) -> Counter[str]:
    """The number of recorded passes of each network."""
    if not database.exists():
        return Counter()
    with contextlib.closing(sqlite3.connect(database)) as connection, contextlib.suppress(sqlite3.OperationalError):
        rows = connection.execute("SELECT model_name FROM lrgen_runs WHERE status = 'passed'").fetchall()
        return Counter(name for (name,) in rows)
    return Counter()


def folders(tmp_path: Path) -> list[Path]:
    """The folders of runs."""
    return list((tmp_path / "tmp").glob(f"{scratch.PREFIX}*"))


@pytest.mark.parametrize("count", KILLS)
def test_random_kills_lose_and_repeat_no_outcome(tmp_path, left, count):
    """After a kill of the run, its nursery or a file, every reported outcome is recorded once, and nothing is left."""
    generator = random.Random(0)
    kills, rounds = Counter[str](), 0
    while sum(kills.values()) < count:
        rounds += 1
        database, work = tmp_path / f"{rounds}.db", files(16, str(rounds))
        done = False
        while not done:
            with session(database, work) as (pid, reports):
                time.sleep(generator.random() * 0.8)
                kind = generator.choice(["descendant", "run", "all"])
                started = sorted(descendants(pid))
                victims = {"descendant": started and [generator.choice(started)], "run": [pid], "all": [*started, pid]}
                for victim in victims[kind]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(victim, signal.SIGKILL)
                kills[kind] += bool(victims[kind])
                reported = [name for name, status, _ in read_all(reports) if status == "passed"]
                _, status = os.waitpid(pid, 0)
            wait_for(lambda: not left(), "the end of all processes")
            passes = recorded(database)
            assert set(reported) <= set(passes)
            assert set(passes.values()) <= {1}
            done = status == 0 and len(passes) == len(work)
    assert set(kills) == {"descendant", "run", "all"}
    assert folders(tmp_path) == []  # those that a killed guardian has left were removed by the next run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("count", INTERRUPTS)
def test_random_interrupts_lose_and_repeat_no_outcome(tmp_path, left, count, number):
    """After SIGINT or SIGTERM at a random moment, every reported outcome is recorded once, and nothing is left."""
    generator = random.Random(int(number))
    database, work = tmp_path / "results.db", files(16 * count)
    codes = []
    for _ in range(count):
        with session(database, work) as (pid, reports):
            time.sleep(generator.random() * 0.8)
            os.kill(pid, number)
            reported = [name for name, status, _ in read_all(reports) if status == "passed"]
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        wait_for(lambda: not left(), "the end of all processes")
        wait_for(lambda: not folders(tmp_path), "the removal of the folder")
        assert set(reported) <= set(recorded(database))
        assert set(recorded(database).values()) <= {1}
    assert set(codes) <= {130, 0, -number}  # before the handler is set the signal ends the process
    assert 130 in codes
    ended = list(verify.verify(work, SETTINGS, Store(f"sqlite:///{database}"), workers=2, **OPTIONS))
    assert all(outcome.status.ok for outcome in ended)
    assert recorded(database) == Counter({file.model_name: 1 for file in work})


def test_files_end_with_a_killed_run(tmp_path, left):
    """The nursery and the files of a killed run end, and their folder is removed."""
    with session(tmp_path / "results.db", files(400)) as (pid, reports):
        os.read(reports, 1)
        assert len(list(descendants(pid))) >= 2
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        read_all(reports)
    wait_for(lambda: not left(), "the end of all processes")
    wait_for(lambda: not folders(tmp_path), "the removal of the folder")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_line_is_interrupted_at_any_moment(tmp_path, left, number):
    """From its first millisecond on, an interrupt of ``lrgen verify`` loses, doubles and leaves nothing."""
    good = (FIXTURES / "training/passes_epoch_unit.py").read_bytes()
    names = [f"f{index}.py" for index in range(30)]
    for name in names:
        (tmp_path / name).write_bytes(good + f"# {name}\n".encode())
    database = tmp_path / "results.db"
    command = [
        sys.executable,
        "-m",
        "lrgen",
        "verify",
        *names,
        "--stage",
        "contract",
        "--device",
        "cpu",
        "--workers",
        "2",
    ]
    command += ["--isolation", "process", "--as", "1", "--db", f"sqlite:///{database}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LRGEN_")}
    generator = random.Random(int(number))
    for turn in range(20):
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment | {"TMPDIR": str(tmp_path / "tmp")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.001 if turn == 0 else generator.random() * 12)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode in (130, 0, -number), err
        assert process.returncode == -number or "Traceback" not in err
        wait_for(lambda: not left(), "the end of all processes")
        wait_for(lambda: not folders(tmp_path), "the removal of the folder")
        assert set(recorded(database).values()) <= {1}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 800 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_the_run_and_keeps_the_recorded_outcomes(small_disk, left):
    """The error names the database, and the next run verifies the rest."""
    database, work = small_disk / "results.db", files(40)
    filler = small_disk / "filler"
    store = Store(f"sqlite:///{database}")
    store.prepare()
    filler.write_bytes(b"x" * (800 * 1024 - 4096 - sum(path.stat().st_size for path in small_disk.iterdir()) - 40_000))
    options = {"workers": 2, **OPTIONS}
    reported: list[str] = []
    outcomes = (outcome.candidate.model_name for outcome in verify.verify(work, SETTINGS, store, **options))
    with pytest.raises(StoreError, match=r"/results\.db: (database or disk is full|disk I/O error)"):
        reported.extend(outcomes)
    store.close()
    filler.unlink()
    assert set(reported) <= set(recorded(database))
    assert left() == set()
    ended = list(verify.verify(work, SETTINGS, Store(f"sqlite:///{database}"), **options))
    assert sum(outcome.reused for outcome in ended) >= len(reported)
    assert set(recorded(database).values()) == {1}
    assert len(recorded(database)) == len(work)


def test_the_order_of_runs_does_not_depend_on_the_clock(tmp_path, monkeypatch):
    """The run that was recorded last is reused, even if the clock went back."""

    class BackwardClock(rows.datetime):
        hours = 24

        @classmethod
        def now(cls, zone=None):
            cls.hours -= 1
            return cls(2026, 1, 1, cls.hours, tzinfo=zone)

    monkeypatch.setattr(rows, "datetime", BackwardClock)
    store, work = Store(f"sqlite:///{tmp_path / 'results.db'}"), files(3)
    options = {"workers": 1, **OPTIONS}
    list(verify.verify(work, SETTINGS, store, **options))
    again = list(verify.verify(work, SETTINGS, store, **options))
    assert [outcome.reused for outcome in again] == [True] * 3

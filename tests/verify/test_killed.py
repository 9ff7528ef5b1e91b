"""After a kill, reported outcomes are recorded, none is recorded twice, and the next run verifies the rest."""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lrgen.errors import StoreError
from lrgen.records import Candidate, Stage, VerifySettings
from lrgen.store import Store, rows
from lrgen.verify import run as verify
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import local
from lrgen.verify.isolation import Isolation
from tests.verify.engines.test_local import PASSING_CONTRACT
from tests.verify.processes import children_of, has_exited, reap, wait_for

KILLS = (15, pytest.param(60, marks=pytest.mark.slow))
SETTINGS = VerifySettings(stage=Stage.CONTRACT)


def files(count: int, comment: str = "") -> list[Candidate]:
    """Files that pass the fake checks below."""
    return [candidate_of(Path(f"/files/net{index}.py"), f"# {comment} {index}".encode()) for index in range(count)]


@pytest.fixture(autouse=True)
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the checks by one that passes after a few milliseconds."""

    def run(candidate: Candidate, settings: object, dataset: object, channel: local.child_process.Channel) -> bool:
        time.sleep(0.002 + int(candidate.sha256[:2], 16) / 255 * 0.02)
        for static in ("syntax", "policy"):
            channel.send(end=static, reason="", seconds=0.0, measurement={})
        channel.send(end="contract", reason="", seconds=0.0, measurement=PASSING_CONTRACT)
        return True

    monkeypatch.setattr(local.child_process, "run", run)
    monkeypatch.setattr(local.gc, "collect", lambda: 0)


@contextlib.contextmanager
def session(database: Path, candidates: list[Candidate]) -> Iterator[tuple[int, int]]:
    """Runs ``lrgen verify`` in its own process group; yields its process id and a pipe of the recorded outcomes."""
    reports, reports_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setsid()
            os.close(reports)
            store = Store(f"sqlite:///{database}")
            options = {"workers": 3, "timeout": 60, "isolation": Isolation.PROCESS}
            for outcome in verify.verify(candidates, SETTINGS, store, **options):
                os.write(reports_in, f"{outcome.candidate.model_name} {outcome.status} {outcome.reused}\n".encode())
            code = 0
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


@pytest.mark.parametrize("count", KILLS)
def test_random_kills_lose_and_repeat_no_outcome(tmp_path, count):
    """After a child, the parent or both are killed at a random moment, every reported outcome is recorded once."""
    generator = random.Random(0)
    kills, rounds = Counter[str](), 0
    while sum(kills.values()) < count:
        rounds += 1
        database, work = tmp_path / f"{rounds}.db", files(16, str(rounds))
        done = False
        while not done:
            with session(database, work) as (pid, reports):
                time.sleep(generator.random() * 0.35)
                kind = generator.choice(["child", "parent", "group"])
                victims = children_of(pid)
                with contextlib.suppress(ProcessLookupError):
                    if kind == "child" and victims:
                        os.kill(generator.choice(sorted(victims)), signal.SIGKILL)
                        kills[kind] += 1
                    elif kind == "parent":
                        os.kill(pid, signal.SIGKILL)
                        kills[kind] += 1
                    elif kind == "group":
                        for victim in [*victims, pid]:
                            with contextlib.suppress(ProcessLookupError):
                                os.kill(victim, signal.SIGKILL)
                        kills[kind] += 1
                reported = [name for name, status, _ in read_all(reports) if status == "passed"]
                _, status = os.waitpid(pid, 0)
            passes = recorded(database)
            assert set(reported) <= set(passes)
            assert set(passes.values()) <= {1}
            done = status == 0 and len(passes) == len(work)
    assert set(kills) == {"child", "parent", "group"}


def test_children_end_with_their_parent(tmp_path):
    """The children of a killed parent end."""
    with session(tmp_path / "results.db", files(400)) as (pid, reports):
        os.read(reports, 1)
        victims = children_of(pid)
        assert victims
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        read_all(reports)  # returns when the last child has closed it
    wait_for(lambda: all(has_exited(victim) for victim in victims), "the end of the children")
    for victim in victims:
        reap(victim)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_the_run_and_keeps_the_recorded_outcomes(small_disk):
    """The error names the database, and the next run verifies the rest."""
    database, work = small_disk / "results.db", files(40)
    filler = small_disk / "filler"
    store = Store(f"sqlite:///{database}")
    store.prepare()
    filler.write_bytes(b"x" * (600 * 1024 - 4096 - sum(path.stat().st_size for path in small_disk.iterdir()) - 40_000))
    options = {"workers": 2, "timeout": 60, "isolation": Isolation.PROCESS}
    reported: list[str] = []
    children = local.child_processes()
    outcomes = (outcome.candidate.model_name for outcome in verify.verify(work, SETTINGS, store, **options))
    with pytest.raises(StoreError, match=r"/results\.db: (database or disk is full|disk I/O error)"):
        reported.extend(outcomes)
    store.close()
    filler.unlink()
    assert set(reported) <= set(recorded(database))
    assert local.child_processes() <= children
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
    options = {"workers": 1, "timeout": 60, "isolation": Isolation.PROCESS}
    list(verify.verify(work, SETTINGS, store, **options))
    again = list(verify.verify(work, SETTINGS, store, **options))
    assert [outcome.reused for outcome in again] == [True] * 3

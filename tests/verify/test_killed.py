"""Whatever is killed whenever: what was reported is recorded, nothing is recorded twice, the next run does the rest."""

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
from lrgen.store import Store
from lrgen.verify import run as verify
from lrgen.verify.candidate import candidate_of
from lrgen.verify.engines import local
from lrgen.verify.sandbox import Isolation
from tests.verify.engines.test_local import KEPT_CONTRACT, wait_for

KILLS = 60
SETTINGS = VerifySettings(stage=Stage.CONTRACT)


def files(count: int, of: str = "") -> list[Candidate]:
    """Files that the stand-in for the checks below passes."""
    return [candidate_of(Path(f"/files/net{index}.py"), f"# {of} {index}".encode()) for index in range(count)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that take some milliseconds and pass."""

    def run(candidate: Candidate, settings: object, dataset: object, channel: local.child_process.Channel) -> bool:
        time.sleep(0.002 + int(candidate.sha256[:2], 16) / 255 * 0.02)
        channel.send(end="syntax", reason="", seconds=0.0, measurement={})
        channel.send(end="contract", reason="", seconds=0.0, measurement=KEPT_CONTRACT)
        return True

    monkeypatch.setattr(local.child_process, "run", run)
    monkeypatch.setattr(local.gc, "collect", lambda: 0)


@contextlib.contextmanager
def session(database: Path, candidates: list[Candidate]) -> Iterator[tuple[int, int]]:
    """``lrgen verify`` in a process group of its own; its id, and a pipe on which it reports what is recorded."""
    reports, reporting = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setsid()
            os.close(reports)
            store = Store(f"sqlite:///{database}")
            how = {"workers": 3, "timeout": 60, "isolation": Isolation.PROCESS}
            for outcome in verify.verify(candidates, SETTINGS, store, **how):
                os.write(reporting, f"{outcome.candidate.model_name} {outcome.status} {outcome.reused}\n".encode())
            code = 0
        finally:
            os._exit(code)
    os.close(reporting)
    try:
        yield pid, reports
    finally:
        os.close(reports)


def read_all(descriptor: int) -> list[list[str]]:
    """What is reported until the end."""
    with os.fdopen(os.dup(descriptor)) as lines:
        return [line.split() for line in lines if line.endswith("\n")]


def recorded(database: Path) -> Counter[str]:
    """How often each network is recorded as having ended well."""
    if not database.exists():
        return Counter()
    with contextlib.closing(sqlite3.connect(database)) as connection, contextlib.suppress(sqlite3.OperationalError):
        rows = connection.execute("SELECT model_name FROM lrgen_runs WHERE status = 'passed'").fetchall()
        return Counter(name for (name,) in rows)
    return Counter()


def children_of(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    return []


def is_zombie_or_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_kills_at_random_lose_nothing_and_double_nothing(tmp_path):
    """Sixty times a child, the parent or all of them get SIGKILL at some moment."""
    chance = random.Random(0)
    kills, rounds = Counter[str](), 0
    while sum(kills.values()) < KILLS:
        rounds += 1
        database, work = tmp_path / f"{rounds}.db", files(16, str(rounds))
        done = False
        while not done:
            with session(database, work) as (pid, reports):
                time.sleep(chance.random() * 0.35)
                kind = chance.choice(["child", "parent", "group"])
                victims = children_of(pid)
                with contextlib.suppress(ProcessLookupError):
                    if kind == "child" and victims:
                        os.kill(chance.choice(victims), signal.SIGKILL)
                        kills[kind] += 1
                    elif kind == "parent":
                        os.kill(pid, signal.SIGKILL)
                        kills[kind] += 1
                    elif kind == "group":
                        for one in [*victims, pid]:
                            with contextlib.suppress(ProcessLookupError):
                                os.kill(one, signal.SIGKILL)
                        kills[kind] += 1
                reported = [name for name, status, _ in read_all(reports) if status == "passed"]
                _, status = os.waitpid(pid, 0)
            found = recorded(database)
            assert set(reported) <= set(found)
            assert set(found.values()) <= {1}
            done = status == 0 and len(found) == len(work)
    assert set(kills) == {"child", "parent", "group"}


def test_a_killed_parent_takes_its_children_along(tmp_path):
    """Nothing computes on for nobody."""
    with session(tmp_path / "results.db", files(400)) as (pid, reports):
        os.read(reports, 1)
        victims = children_of(pid)
        assert victims
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        read_all(reports)  # comes to its end when the last child has let go of it
    wait_for(lambda: all(is_zombie_or_gone(one) for one in victims), "the children's end")
    for one in victims:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(one, 0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that holds 600 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_the_run_and_keeps_what_was_recorded(small_disk):
    """One sentence names the database; once there is room the next run does the rest."""
    database, work = small_disk / "results.db", files(40)
    filler = small_disk / "filler"
    store = Store(f"sqlite:///{database}")
    store.prepare()
    filler.write_bytes(b"x" * (600 * 1024 - 4096 - sum(path.stat().st_size for path in small_disk.iterdir()) - 40_000))
    how = {"workers": 2, "timeout": 60, "isolation": Isolation.PROCESS}
    reported: list[str] = []
    family = local._children()
    outcomes = (outcome.candidate.model_name for outcome in verify.verify(work, SETTINGS, store, **how))
    with pytest.raises(StoreError, match=r"results\.db: .*(full|I/O)"):
        reported.extend(outcomes)
    store.close()
    filler.unlink()
    assert set(reported) <= set(recorded(database))
    assert local._children() <= family
    ended = list(verify.verify(work, SETTINGS, Store(f"sqlite:///{database}"), **how))
    assert sum(outcome.reused for outcome in ended) >= len(reported)
    assert set(recorded(database).values()) == {1}
    assert len(recorded(database)) == len(work)


def test_a_clock_that_goes_back_changes_no_order(tmp_path, monkeypatch):
    """The newest run is the one that was recorded last, whatever the clock said."""
    from lrgen.store import rows as stores

    class Backwards(stores.datetime):
        hours = 24

        @classmethod
        def now(cls, zone=None):
            cls.hours -= 1
            return cls(2026, 1, 1, cls.hours, tzinfo=zone)

    monkeypatch.setattr(stores, "datetime", Backwards)
    store, work = Store(f"sqlite:///{tmp_path / 'results.db'}"), files(3)
    how = {"workers": 1, "timeout": 60, "isolation": Isolation.PROCESS}
    list(verify.verify(work, SETTINGS, store, **how))
    again = list(verify.verify(work, SETTINGS, store, **how))
    assert [outcome.reused for outcome in again] == [True] * 3

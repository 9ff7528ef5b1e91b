"""A run has one scratch folder; those of runs that were killed are removed by the next, those of living runs stay."""

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lrgen.verify import scratch
from lrgen.verify.sandbox import removal
from tests.verify.sandbox.kinds import ROOT


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@contextlib.contextmanager
def living_run() -> Iterator[tuple[int, Path]]:
    """A run in another process, with a file in its folder; it is killed at the end, if it was not before."""
    ready, ready_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with scratch.run_folder() as folder:
                Path(tempfile.mkdtemp(dir=folder), "file").write_text("x")
                os.write(ready_in, str(folder).encode())
                while True:
                    signal.pause()
        finally:
            os._exit(1)
    os.close(ready_in)
    folder = Path(os.read(ready, 4096).decode())
    os.close(ready)
    try:
        yield pid, folder
    finally:
        kill(pid)


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_run_leaves_no_folder(temporary):
    """The folder of a run exists while it runs, and is removed with its content, also after an error."""

    def run() -> None:
        with scratch.run_folder() as folder:
            assert folder.parent == temporary.resolve()
            Path(tempfile.mkdtemp(dir=folder), "file").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        run()
    assert list(temporary.iterdir()) == []


def test_the_next_run_removes_what_a_killed_one_left(temporary):
    """The folder of a living run stays, that of a killed one is removed."""
    with living_run() as (_, living), living_run() as (dead_pid, dead):
        with scratch.run_folder() as folder:
            assert living.exists()
            assert dead.exists()
        kill(dead_pid)
        assert dead.exists()
        with scratch.run_folder() as folder:
            assert sorted(temporary.iterdir()) == sorted([living, folder])
        assert list(living.glob("*/file"))


def test_the_folder_of_a_run_stays_while_a_child_of_it_runs():
    """A forked child of the run inherits the lock."""
    with living_run() as (_, folder):
        descriptor = os.open(folder, os.O_RDONLY)
        assert removal.lock(folder) is None
        os.close(descriptor)
        assert not removal.remove_unlocked(folder)


def test_other_folders_and_links_stay(temporary):
    """Neither folders with other names nor files, nor what a link with such a name points to is removed."""
    (temporary / "lrgen-other").mkdir()
    (temporary / f"{scratch.PREFIX}file").write_text("x")
    kept = temporary / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    (temporary / f"{scratch.PREFIX}link").symlink_to(kept)
    before = sorted(temporary.iterdir())
    scratch.remove_dead()
    assert sorted(temporary.iterdir()) == before
    assert (kept / "file").exists()


@pytest.mark.skipif(not ROOT, reason="only root may make a folder of another user")
def test_a_folder_of_another_user_stays(temporary):
    """Even root removes only its own."""
    folder = temporary / f"{scratch.PREFIX}other"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    scratch.remove_dead()
    assert folder.exists()


def test_a_run_whose_new_folder_was_removed_makes_another(monkeypatch, temporary):
    """Between making a folder and locking it, another run may take it for dead and remove it."""
    lock, removed = removal.lock, []

    def remove_first(folder: Path) -> int | None:
        if not removed:
            removed.append(folder)
            monkeypatch.setattr(removal, "lock", lock)
            assert removal.remove_unlocked(folder)
        return lock(folder)

    monkeypatch.setattr(removal, "lock", remove_first)
    descriptors = len(os.listdir("/proc/self/fd"))
    folder, descriptor = scratch._create()
    assert folder.exists()
    assert [folder] != removed
    assert removal.lock(folder) is None
    os.close(descriptor)
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_folder_that_cannot_be_locked_is_an_error(monkeypatch, temporary):
    """The run does not try for ever, and leaves nothing."""
    monkeypatch.setattr(removal, "lock", lambda folder: None)
    with pytest.raises(OSError, match="cannot be locked"):
        scratch._create()
    assert list(temporary.iterdir()) == []


def test_runs_that_start_together_keep_their_folders(temporary):
    """Of many runs that start at the same moment, and remove dead folders meanwhile, each keeps its own."""
    for number in range(10):
        (temporary / f"{scratch.PREFIX}dead{number}").mkdir()
    barrier, kept = threading.Barrier(8), []

    def run() -> None:
        barrier.wait()
        for _ in range(10):
            with scratch.run_folder() as folder:
                (folder / "file").write_text("x")
                scratch.remove_dead()
                kept.append((folder / "file").exists())

    threads = [threading.Thread(target=run) for _ in range(barrier.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept == [True] * 80
    assert list(temporary.iterdir()) == []

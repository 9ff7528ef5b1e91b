"""Folders in which unknown code has written are removed whole, unless a living process holds their lock."""

import os
import signal
from pathlib import Path

import pytest

from lrgen.verify.sandbox import removal
from tests.verify.sandbox.kinds import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to be removed."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


def test_a_deep_tree_is_removed(folder):
    """Folders that are nested deeper than Python recurses, and than a path may be long, are removed."""
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("inner", dir_fd=descriptor)
        inner = os.open("inner", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(os.open("file", os.O_CREAT, dir_fd=descriptor))
    os.close(descriptor)
    assert removal.remove_tree(folder)
    assert not folder.exists()


def test_links_are_not_followed(folder, tmp_path):
    """What a link points to stays, also where the folder itself is a link."""
    kept = tmp_path / "kept"
    (kept / "inner").mkdir(parents=True)
    (kept / "inner" / "file").write_text("x")
    (folder / "a").mkdir()
    for place in (folder, folder / "a"):
        (place / "link").symlink_to(kept)
        (place / "hard").hardlink_to(kept / "inner" / "file")
    assert removal.remove_tree(folder)
    assert (kept / "inner" / "file").read_text() == "x"
    (tmp_path / "link").symlink_to(kept)
    assert not removal.remove_tree(tmp_path / "link")
    assert (kept / "inner" / "file").exists()


def test_folders_without_rights_and_names_that_collide_are_removed(folder):
    """Neither missing rights, nor pipes, nor names like those of folders that are moved keep a folder."""
    for number in range(3):
        for inner in range(4):
            place = folder / f".{number}" / f".{inner}" / f".{inner + 1}"
            place.mkdir(parents=True)
            os.mkfifo(place / "pipe")
            place.chmod(0)
            place.parent.chmod(0)
        place.parent.parent.chmod(0)

    def remove() -> bool:
        if ROOT:
            os.chown(folder.parent, 65534, 65534)
            for path, folders, files in os.walk(folder):
                for name in (".", *folders, *files):
                    os.chown(Path(path, name), 65534, 65534, follow_symlinks=False)
            os.chdir(folder.parent)
            os.setresuid(65534, 65534, 65534)
        return removal.remove_tree("folder" if ROOT else folder)

    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if remove() else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert not folder.exists()


def test_a_missing_folder_is_gone_and_a_file_is_no_folder(tmp_path):
    """The one needs no work; the other is left."""
    assert removal.remove_tree(tmp_path / "missing")
    (tmp_path / "file").write_text("x")
    assert not removal.remove_tree(tmp_path / "file")
    assert (tmp_path / "file").exists()


def test_a_lock_is_held_until_its_process_ends(folder):
    """A second process gets no lock and removes nothing while the first lives, and does when that was killed."""
    ready, ready_in = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(ready_in, b"x" if removal.lock(folder) is not None else b"-")
        while True:
            signal.pause()
    os.close(ready_in)
    assert os.read(ready, 1) == b"x"
    os.close(ready)
    assert removal.lock(folder) is None
    assert not removal.remove_unlocked(folder)
    assert folder.exists()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert removal.remove_unlocked(folder)
    assert not folder.exists()


def test_a_folder_that_was_replaced_is_not_locked(folder, monkeypatch):
    """A lock on a folder that another process removed between opening and locking is none."""
    flock = removal.fcntl.flock

    def remove_first(descriptor: int, operation: int) -> None:
        folder.rmdir()
        folder.mkdir()
        flock(descriptor, operation)

    monkeypatch.setattr(removal.fcntl, "flock", remove_first)
    before = len(os.listdir("/proc/self/fd"))
    assert removal.lock(folder) is None
    assert len(os.listdir("/proc/self/fd")) == before

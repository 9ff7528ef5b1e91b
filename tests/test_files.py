"""Reading and writing of files: what is no regular file, what cannot be read, and several files at once."""

import os
import re
import stat
from pathlib import Path

import pytest

from lrgen import files
from lrgen.errors import OutputError


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("fifo", "Not a regular file"),
        ("folder", "Is a directory"),
        ("dangling", "No such file or directory"),
        ("loop", "Too many levels of symbolic links"),
        ("/dev/zero", "Not a regular file"),
        ("/proc/self/mem", "Input/output error"),
    ],
)
def test_what_is_no_readable_regular_file_is_one_sentence(tmp_path, kind, reason):
    """A FIFO, a device, a folder, a dangling link and an unreadable file are errors with path and reason."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    path = tmp_path / kind
    with pytest.raises(OutputError, match=f"^{re.escape(str(path))}: cannot be read: {reason}$"):
        files.read_bytes(path)


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path, monkeypatch):
    """A file that grows between the first and the last byte is not taken for its first half."""
    path = tmp_path / "log.py"
    path.write_text("a")
    fstat = os.fstat

    def grow(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            with path.open("a") as log:
                log.write("b")
        return status

    monkeypatch.setattr(os, "fstat", grow)
    with pytest.raises(OutputError, match=r"/log\.py: cannot be read: it changes while it is read$"):
        files.read_bytes(path)


def test_only_the_first_bytes_are_read_up_to_a_limit(tmp_path):
    """With a limit, a terabyte is read no further than the limit."""
    path = tmp_path / "sparse.py"
    path.touch()
    os.truncate(path, 1 << 40)
    assert files.read_bytes(path, 5) == b"\0" * 5


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 5_000, '{"a": ' + "9" * 5_000 + "}", "{", "\ud800"])
def test_json_that_cannot_be_read_is_one_sentence(tmp_path, text):
    """JSON that is nested thousands deep, has endless numbers or is cut off is an error with the path."""
    path = tmp_path / "manifest.json"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(OutputError, match=f"^{path}: not a manifest: "):
        files.read_json(path, "a manifest")


def test_files_are_written_together_with_the_folder(tmp_path):
    """Several files are written to a folder that did not exist, and no other file is left in it."""
    files.write_together(tmp_path / "a" / "b", {"x.py": "x\n", "y.py": "ü\n"})
    assert {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "a" / "b").iterdir()} == {
        "x.py": "x\n",
        "y.py": "ü\n",
    }


def test_a_folder_in_place_of_a_file_leaves_the_others(tmp_path):
    """Of files that are written together, none is written if one of them is a folder."""
    (tmp_path / "y.py").mkdir()
    with pytest.raises(OutputError, match=r"/y\.py: cannot be written: Is a directory$"):
        files.write_together(tmp_path, {"x.py": "x\n", "y.py": "y\n"})
    assert [path.name for path in tmp_path.iterdir()] == ["y.py"]


def test_written_files_keep_no_trace_of_the_ones_before(tmp_path):
    """Files that existed are replaced, whatever their length was."""
    path: Path = tmp_path / "x.py"
    path.write_text("long" * 1000)
    files.write_together(tmp_path, {"x.py": "short\n"})
    assert path.read_text() == "short\n"

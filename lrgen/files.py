"""Reading of regular files, and atomic writing; a failure is an OutputError."""

import contextlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrgen.errors import OutputError


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """Return the content of a regular file, or its first ``limit`` bytes.

    Raises:
        OutputError: if it does not exist, is not a regular file, cannot be read, or changes while it is read.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise OutputError(f"{path}: cannot be read: Not a regular file")
            content = file.read(-1 if limit is None else limit)
            after = os.fstat(file.fileno())
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror}") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise OutputError(f"{path}: cannot be read: it changes while it is read")
    return content


def read_json(path: Path, kind: str = "valid JSON") -> Any:
    """Return the value of a JSON file; ``kind`` is what an error says that the file is not.

    Raises:
        OutputError: if it cannot be read or is not JSON.
    """
    try:
        return json.loads(read_bytes(path).decode())
    except RecursionError as error:
        raise OutputError(f"{path}: not {kind}: nested too deeply") from error
    except ValueError as error:
        raise OutputError(f"{path}: not {kind}: {error}") from error


def write_atomically(path: Path, text: str) -> None:
    """Write a text to a file; a reader sees the old or the new content, never a part of it.

    Raises:
        OutputError: if it cannot be written; the old content is kept.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_together(folder: Path, texts: Mapping[str, str]) -> None:
    """Write some files of a folder, all or none.

    A reader sees the old or the new content of each file, never a part of it. After an error or an interrupt, every
    file has its old content.

    Raises:
        OutputError: if one of them cannot be written; it names the first one.
    """
    path = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=folder) as temporary:
            new, old = Path(temporary, "new"), Path(temporary, "old")
            for side in (new, old):
                side.mkdir()
            for name, text in texts.items():  # all that needs space
                path = folder / name
                (new / name).write_text(text, encoding="utf-8")
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy2(path, old / name)
            try:
                for name in texts:
                    path = folder / name
                    os.replace(new / name, path)
            except BaseException:
                _restore(folder, texts, new, old)
                raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def _restore(folder: Path, names: Mapping[str, str], new: Path, old: Path) -> None:
    """Undo the replacement of those files whose new content is no longer in its temporary place."""
    for name in names:
        if not (new / name).exists():
            if (old / name).exists():
                os.replace(old / name, folder / name)
            else:
                (folder / name).unlink()


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a FIFO without a writer is opened at once."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))

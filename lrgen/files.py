"""Reading of files, and atomic writing; a failure is an OutputError."""

import contextlib
import os
from pathlib import Path

from lrgen.errors import OutputError


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        OutputError: if it does not exist or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror}") from error


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

"""Folders that are written whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lrgen.errors import OutputError


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; it is renamed to ``path`` at the end, or removed after an error.

    Raises:
        OutputError: when ``path`` is a file or a folder that is not empty, or cannot be written.
    """
    target = path.absolute()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise OutputError(f"{path}: already exists and is not an empty folder; nothing was written")
        temporary.mkdir(parents=True)
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

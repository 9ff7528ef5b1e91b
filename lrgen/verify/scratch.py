"""The scratch folder of a run, and the removal of those that killed runs have left.

A run holds the lock of its folder. The kernel frees the lock when the run ends, however that happens; the next run
removes the folders whose lock is free.
"""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lrgen.verify.sandbox import removal

PREFIX = "lrgen-run-"
_ATTEMPTS = 100
_MODE = 0o755  # a file may have another uid, which must reach its own folder in this one


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """Create the folder of a run in the folder for temporary files, and remove it at the end.

    The folders of files belong into it (``tempfile.mkdtemp(dir=…)``): only this user can read those. Folders of runs of
    this user that have ended without removing them are removed first.
    """
    remove_dead()
    folder, descriptor = _create()
    try:
        yield folder
    finally:
        removal.remove_tree(folder)
        os.close(descriptor)


def remove_dead() -> None:
    """Remove the folders of runs of this user that have ended."""
    with contextlib.suppress(OSError):
        for folder in sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")):
            with contextlib.suppress(OSError):
                removal.remove_unlocked(folder)


def _create() -> tuple[Path, int]:
    """Create a folder and lock it; another run may remove it between the two.

    Raises:
        OSError: if no folder can be created or locked.
    """
    for _ in range(_ATTEMPTS):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
        descriptor = removal.lock(folder)
        if descriptor is not None:
            folder.chmod(_MODE)
            return folder, descriptor
        removal.remove_tree(folder)
    raise OSError(errno.ENOLCK, "folders cannot be locked here", tempfile.gettempdir())

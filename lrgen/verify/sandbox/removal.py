"""Removal of folders in which unknown code has written, and the locks of folders that are in use."""

import contextlib
import errno
import fcntl
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ALL_RIGHTS = 0o700


def remove_tree(folder: str | Path) -> bool:
    """Remove a folder and what is in it, when no process writes to it any more; whether it is gone.

    Folders may be nested thousands deep, and their owner may have no right to them: each subfolder is emptied into the
    top folder, so that no path is long and few descriptors are open. Links are removed, not followed.
    """
    try:
        top = _open(os.fspath(folder))
    except FileNotFoundError:
        return True
    except OSError:  # another user's, or not a folder
        return False
    names = map(".{}".format, itertools.count())
    try:
        while inner := _remove_files(top):
            if not sum(_remove_inner(top, name, names) for name in inner):
                return False
    finally:
        os.close(top)
    with contextlib.suppress(OSError):
        os.rmdir(folder)
    return not os.path.lexists(folder)


def lock(folder: str | Path) -> int | None:
    """Lock a folder; returns the descriptor that holds the lock until it is closed in all processes.

    None if a living process holds the lock, if the folder was removed meanwhile, or if this user cannot read it.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | _FOLDER)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.stat(folder, follow_symlinks=False), os.fstat(descriptor)):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def remove_unlocked(folder: str | Path) -> bool:
    """Remove a folder of this user whose lock no living process holds; whether it is gone."""
    descriptor = lock(folder)
    if descriptor is None:
        return not os.path.lexists(folder)
    try:
        return os.fstat(descriptor).st_uid == os.geteuid() and remove_tree(folder)
    finally:
        os.close(descriptor)


def _open(name: str, parent: int | None = None) -> int:
    """Open a folder of this user, which gets all rights to it."""
    place = os.open(name, os.O_PATH | _FOLDER, dir_fd=parent)
    try:
        with contextlib.suppress(OSError):
            os.chmod(f"/proc/self/fd/{place}", _ALL_RIGHTS)
        return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(place)


def _remove_files(folder: int) -> list[str]:
    """Remove what is not a folder from a folder; returns the names of the folders in it."""
    folders = []
    with os.scandir(folder) as entries:
        content = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in content:
        if is_folder:
            folders.append(name)
        else:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder)
    return folders


def _remove_inner(top: int, name: str, names: Iterator[str]) -> bool:
    """Move the folders in a subfolder to the top under new names, and remove it; whether it is gone."""
    with contextlib.suppress(OSError):
        inner = _open(name, top)
        try:
            for deeper in _remove_files(inner):
                os.close(_open(deeper, inner))  # a folder without rights cannot be moved
                _move_up(deeper, inner, top, names)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=top)
        return True
    return False


def _move_up(name: str, folder: int, top: int, names: Iterator[str]) -> None:
    """Move a folder to the top under the next name that is free."""
    for free in names:
        try:
            os.rename(name, free, src_dir_fd=folder, dst_dir_fd=top)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
        else:
            return

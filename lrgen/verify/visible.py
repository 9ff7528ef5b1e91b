"""The paths that a file under verification may read: what the interpreter needs, without lrgen and without data."""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import lrgen.version
from lrgen.verify.sandbox.view import View

# Paths that every program may read.
_SYSTEM = """
/usr /bin /sbin /lib /lib32 /lib64 /libx32 /nix/store /gnu/store /etc/alternatives /etc/ld.so.cache /etc/localtime
"""
# Folders of packages, also of other interpreters of this machine.
_PACKAGES = ("lib*/python*/site-packages", "lib*/python*/dist-packages", "local/lib*/python*/*-packages")
# Data sets and images that packages contain.
_DATA = """
sklearn/datasets/data sklearn/datasets/descr sklearn/datasets/images sklearn/datasets/tests mlxtend/data/data
skimage/data statsmodels/datasets seaborn/data-raw
"""
_PACKAGE = Path(lrgen.version.__file__).resolve().parent


def view(hide: Iterable[Path] = ()) -> View:
    """Find what the interpreter needs on this disk, without lrgen, data sets and the paths ``hide``."""
    needed = _needed()
    readable = _outermost(path.resolve() for path in needed)
    hidden = _outermost(
        path.resolve() for path in (*_of_lrgen(readable), *_data(), *hide) if _is_within(path.resolve(), readable)
    )
    listed: list[Path] = []
    granted: list[Path] = []
    for path in readable:
        _split(path, hidden, listed, granted)
    imports = [entry for entry in sys.path if entry and _is_within(Path(entry).resolve(), readable)]
    return View(
        readable=[str(path) for path in readable],
        hidden=[str(path) for path in hidden],
        listed=[str(path) for path in listed],
        granted=[str(path) for path in granted],
        links=[(str(path), str(path.resolve())) for path in needed if path != path.resolve()],
        imports=[entry for entry in imports if not _is_within(Path(entry).resolve(), hidden)],
    )


def _needed() -> list[Path]:
    """The paths that the interpreter needs, under the names that it uses.

    A folder that contains the user's home is left out. So is an entry of sys.path that contains the working directory,
    the folder for temporary files or a repository of lrgen, because of the other files in it.
    """
    home = Path("~").expanduser().resolve()
    inside = (home, Path.cwd(), Path(tempfile.gettempdir()).resolve())
    prefixes = [Path(prefix).absolute() for prefix in _prefixes()]
    chosen = [path for path in prefixes if not home.is_relative_to(path.resolve())]
    roots = [path.resolve() for path in chosen]
    for entry in (Path(entry).absolute() for entry in sys.path if entry and Path(entry).is_dir()):
        place = entry.resolve()
        has_lrgen = _PACKAGE.is_relative_to(place) or (place / "lrgen" / "version.py").exists()
        is_repository = has_lrgen and not _is_within(place, roots) and not place.match("*-packages")
        if not is_repository and not any(path.is_relative_to(place) for path in inside):
            chosen.append(entry)
    return [path for path in dict.fromkeys((*chosen, *map(Path, _SYSTEM.split()))) if path.exists()]


def _prefixes() -> set[str]:
    return {sys.prefix, sys.base_prefix, sys.exec_prefix}


def _packages() -> Iterator[Path]:
    """The folders with packages: those of the import path, and those of every interpreter in the readable prefixes."""
    yield from (Path(entry) for entry in sys.path if entry and Path(entry).is_dir())
    for prefix in {*_prefixes(), "/usr"}:
        for pattern in _PACKAGES:
            yield from Path(prefix).glob(pattern)


def _of_lrgen(readable: Iterable[Path]) -> Iterator[Path]:
    """lrgen, its templates, the metadata of its installations, and the files that name a repository of it."""
    yield from (_PACKAGE, _PACKAGE.parent / "templates")
    for folder in _packages():
        if not _is_within(folder.resolve(), readable):
            continue
        yield from folder.glob("*lrgen*")
        yield from (path for path in folder.glob("*.pth") if _names_lrgen(path))


def _names_lrgen(path: Path) -> bool:
    """Whether a path configuration file adds a folder that contains lrgen."""
    try:
        lines = path.read_text(errors="replace").splitlines()
        return any((path.parent / line.strip() / "lrgen").is_dir() for line in lines if line.strip())
    except (OSError, ValueError):  # unreadable, or a line that is no path
        return False


def _data() -> Iterator[Path]:
    for folder in _packages():
        yield from (folder / name for name in _DATA.split() if (folder / name).exists())


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """The paths in order, without those inside others."""
    outermost: list[Path] = []
    for path in sorted(set(paths)):
        if not _is_within(path, outermost):
            outermost.append(path)
    return outermost


def _is_within(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _split(path: Path, hidden: list[Path], listed: list[Path], granted: list[Path]) -> None:
    """Add a path to those granted; a folder that contains hidden paths is listed, and its entries are split."""
    below = [place for place in hidden if place.is_relative_to(path)]
    if not below:
        granted.append(path)
    elif path not in below:
        listed.append(path)
        for name in sorted(os.listdir(path)):
            entry = path / name
            if not entry.is_symlink():  # its target counts
                _split(entry, below, listed, granted)

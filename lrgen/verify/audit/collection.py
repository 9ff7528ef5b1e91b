"""The Python files of a folder of other people's files, and what is skipped there."""

import ast
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lrgen.errors import OutputError
from lrgen.files import read_bytes
from lrgen.verify.limits import MAX_BYTES
from lrgen.verify.messages import printable

_IGNORED = frozenset({"__pycache__", "node_modules", "site-packages"})
# File names that say nothing: the folder has the name of the network.
_NAMELESS = frozenset({"new_nn", "net", "model", "main", "code"})


@dataclass(frozen=True)
class Skipped:
    """A path that is not examined, and the reason."""

    path: str
    reason: str


@dataclass(frozen=True)
class File:
    """A Python file; ``name`` is its path below the folder, ``tree`` None if it is no Python."""

    path: Path
    name: str
    content: bytes
    sha256: str
    tree: ast.Module | None

    @property
    def label(self) -> str:
        """The name that the file carries: its own, or that of its folder where its own is any."""
        return self.path.parent.name if self.path.stem in _NAMELESS else self.path.stem


def collect(folder: Path) -> tuple[list[File], list[Skipped]]:
    """The files below a folder in the order of their names, and the paths that are skipped.

    Raises:
        OutputError: if it is no folder, or there is no Python file in it.
    """
    if not folder.is_dir():
        raise OutputError(f"{folder}: not a folder")
    files: list[File] = []
    skipped: list[Skipped] = []
    for path in sorted(_paths(folder, skipped)):
        name = printable(path.relative_to(folder).as_posix().encode("utf-8", "backslashreplace").decode(), 300)
        if path.is_symlink() and not path.exists():
            skipped.append(Skipped(name, "a link that leads nowhere"))
            continue
        try:
            content = read_bytes(path, MAX_BYTES + 1)
        except OutputError as error:
            skipped.append(Skipped(name, printable(str(error).removeprefix(f"{path}: "))))
            continue
        if reason := _unfit(content):
            skipped.append(Skipped(name, reason))
            continue
        files.append(File(path, name, content, hashlib.sha256(content).hexdigest(), _parsed(content)))
    if not files and not skipped:
        raise OutputError(
            f"{folder}: there is no Python file in it or below it: looked for *.py, among them "
            "LEMUR's ab/nn/nn/NAME.py and NNGPT's synth_nn/ID/new_nn.py"
        )
    return files, skipped


def _paths(folder: Path, skipped: list[Skipped]) -> Iterator[Path]:
    """The Python files below a folder; links to folders are not followed."""
    for root, folders, names in os.walk(folder):
        for name in sorted(folders):
            path = Path(root, name)
            if path.is_symlink():
                skipped.append(Skipped(printable(str(path.relative_to(folder)), 300), "a link to a folder"))
        folders[:] = sorted(name for name in folders if name not in _IGNORED and not name.startswith("."))
        for name in sorted(names):
            if name.endswith(".py") and name != "__init__.py":
                yield Path(root, name)


def _unfit(content: bytes) -> str:
    """The reason why content is no text of a file; empty if it may be."""
    if len(content) > MAX_BYTES:
        return f"larger than {MAX_BYTES:,} bytes"
    if not content.strip():
        return "empty"
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return "not text: no UTF-8"
    return "not text: it contains null bytes" if "\0" in text else ""


def _parsed(content: bytes) -> ast.Module | None:
    try:
        return ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None

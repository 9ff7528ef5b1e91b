"""The forms in which a dataset is published: a module each, a folder each, a file a split.

A module of lines has a NAME, a SUMMARY, ``takes(row)``, which says whether a row belongs there, and ``line(row)``, what
is written of it. ``parquet`` holds all columns of all rows and is always written: it is what ``lrgen dataset check``
holds the others to. Of a line, ``meta`` is a JSON string: an object whose values are null in a whole read block, or
whose keys differ, breaks ``datasets.load_dataset`` in large files.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from lrgen.errors import UnknownNameError
from lrgen.finetune.example import Row
from lrgen.finetune.formats import dpo, kto, messages, nngpt, parquet, prompt_completion
from lrgen.finetune.formats.lines import LinesWriter


class Lines(Protocol):
    """A module of this package that writes a line a row."""

    NAME: str
    SUMMARY: str

    def takes(self, row: Row) -> bool:
        """Whether the row is one for such a trainer."""
        ...

    def line(self, row: Row) -> dict[str, Any]:
        """What is written of the row."""
        ...

    def file_of(self, split: str) -> str:
        """The name of a split's file."""
        ...

    def extras(self, splits: Iterable[str]) -> dict[str, str]:
        """More files for the folder: name and text."""
        ...


class Writer(Protocol):
    """Takes rows in their order; the files are whole once it is closed."""

    def write(self, row: Row) -> None: ...

    def close(self) -> None: ...


LINES: tuple[Lines, ...] = (messages, prompt_completion, dpo, kto, nngpt)
NAMES = (*(one.NAME for one in LINES), parquet.NAME)


def named(names: Iterable[str]) -> list[Lines]:
    """The formats of lines with these names, in the order of LINES; ``parquet`` needs no asking.

    Raises:
        UnknownNameError: for a name that is no format.
    """
    wanted = set(names)
    for name in sorted(wanted - set(NAMES)):
        raise UnknownNameError("format", name, NAMES)
    return [one for one in LINES if one.NAME in wanted]


def writers(formats: Iterable[Lines], folder: Path) -> list[Writer]:
    """A writer into a folder of its own for each format, and one for parquet."""
    return [parquet.ParquetWriter(folder / parquet.NAME), *(LinesWriter(one, folder / one.NAME) for one in formats)]

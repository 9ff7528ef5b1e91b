"""The formats of a dataset: one module and one folder each, with one file per split.

A module that writes JSON lines has a NAME, a SUMMARY, ``takes(row)``, whether the format includes a row, and
``line(row)``, the line of a row. ``parquet`` holds all columns of all rows and is always written; ``lrgen dataset
check`` compares the other formats with it. ``meta`` is a JSON string, because an object whose values are null in a
whole read block, or whose keys differ, breaks ``datasets.load_dataset`` in large files.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from lrgen.errors import UnknownNameError
from lrgen.finetune.example import Row
from lrgen.finetune.formats import dpo, kto, messages, nngpt, parquet, prompt_completion
from lrgen.finetune.formats.lines import LinesWriter


class Lines(Protocol):
    """A module of this package that writes JSON lines."""

    NAME: str
    SUMMARY: str

    def takes(self, row: Row) -> bool:
        """Return whether the format includes a row."""
        ...

    def line(self, row: Row) -> dict[str, Any]:
        """Return the line of a row."""
        ...

    def file_of(self, split: str) -> str:
        """Return the file name of a split."""
        ...

    def extras(self, splits: Iterable[str]) -> dict[str, str]:
        """Return the texts of additional files by name."""
        ...


class Writer(Protocol):
    """Writes rows in order; the files are complete after ``close``."""

    def write(self, row: Row) -> None: ...

    def close(self) -> None: ...


LINES: tuple[Lines, ...] = (messages, prompt_completion, dpo, kto, nngpt)
NAMES = (*(form.NAME for form in LINES), parquet.NAME)


def named(names: Iterable[str]) -> list[Lines]:
    """Return the JSON-lines formats with these names, in the order of LINES; ``parquet`` is always written.

    Raises:
        UnknownNameError: for an unknown format.
    """
    wanted = set(names)
    for name in sorted(wanted - set(NAMES)):
        raise UnknownNameError("format", name, NAMES)
    return [form for form in LINES if form.NAME in wanted]


def writers(formats: Iterable[Lines], folder: Path) -> list[Writer]:
    """Return a writer for each format and one for parquet, each with its own folder."""
    return [parquet.ParquetWriter(folder / parquet.NAME), *(LinesWriter(form, folder / form.NAME) for form in formats)]

"""The formats of a dataset: one module and one folder each, with one file per split.

A module that writes JSON lines has a NAME, a SUMMARY, ``takes(row)``, whether the format includes a row, and
``line(row)``, the line of a row. One that writes Parquet has ``schema()`` and ``record(row, index)`` instead, and
includes each row. Each folder has a card, by which ``datasets`` keeps its splits apart. ``parquet`` holds all columns
of all rows and is always written; ``lrgen dataset check`` compares the other formats with it. ``meta`` is a JSON
string, because an object whose values are null in a whole read block, or whose keys differ, breaks
``datasets.load_dataset`` in large files.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from lrgen.errors import UnknownNameError
from lrgen.finetune.example import Row
from lrgen.finetune.formats import (
    dpo,
    dpo_messages,
    kto,
    kto_messages,
    lm_eval,
    messages,
    nngpt,
    openrlhf,
    parquet,
    prompt_completion,
    verl,
)
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

    def extras(self, splits: Mapping[str, Collection[str]]) -> dict[str, str]:
        """Return the texts of additional files by name; ``splits`` are those with lines, each with its tasks."""
        ...


class Table(Protocol):
    """A module of this package that writes each row to Parquet; the files are named as by ``parquet.file_of``."""

    NAME: str
    SUMMARY: str

    def schema(self) -> Any:
        """Return the columns as a pyarrow schema."""
        ...

    def record(self, row: Row, index: int) -> Row:
        """Return the columns of a row, whose index in its split is given."""
        ...


class Writer(Protocol):
    """Writes rows in order; the files are complete after ``close``."""

    def write(self, row: Row) -> None: ...

    def close(self) -> None: ...


LINES: tuple[Lines, ...] = (
    *(messages, prompt_completion, dpo, kto, dpo_messages, kto_messages, nngpt, openrlhf, lm_eval),
)
TABLES: tuple[Table, ...] = (verl,)
FORMATS: tuple[Lines | Table, ...] = (*LINES, *TABLES)
"""All formats but ``parquet``."""

NAMES = (*(form.NAME for form in FORMATS), parquet.NAME)


def named(names: Iterable[str]) -> list[Lines | Table]:
    """Return the formats with these names, in the order of FORMATS; ``parquet`` is always written.

    Raises:
        UnknownNameError: for an unknown format.
    """
    wanted = set(names)
    for name in sorted(wanted - set(NAMES)):
        raise UnknownNameError("format", name, NAMES)
    return [form for form in FORMATS if form.NAME in wanted]


def writers(formats: Iterable[Lines | Table], folder: Path) -> list[Writer]:
    """Return a writer for each format and one for parquet, each with its own folder."""
    names = {form.NAME for form in formats}
    return [
        parquet.ParquetWriter(parquet, folder / parquet.NAME),
        *(LinesWriter(form, folder / form.NAME) for form in LINES if form.NAME in names),
        *(parquet.ParquetWriter(table, folder / table.NAME) for table in TABLES if table.NAME in names),
    ]

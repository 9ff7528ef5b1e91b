"""Checks of the formats of a dataset: each agrees with the rows in ``parquet``."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lrgen.errors import LrgenError
from lrgen.finetune import formats
from lrgen.finetune.formats import folder_card, parquet
from lrgen.finetune.formats.lines import encoded, extras_of

_UNREADABLE = (LrgenError, KeyError, TypeError, AttributeError)


def problems(folder: Path, facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield differences between the formats and the rows; ``facts`` is the manifest."""
    present = parquet.splits(folder)
    for form in formats.LINES:
        if _is_written(folder, form.NAME, facts):
            yield from _lines(folder, form)
    for table in formats.TABLES:
        if _is_written(folder, table.NAME, facts):
            yield from _records(folder, table)
            yield from _text(folder, f"{table.NAME}/{folder_card.NAME}", parquet.card_of(table, present))
    yield from _text(folder, f"{parquet.NAME}/{folder_card.NAME}", parquet.card_of(parquet, present))


def _is_written(folder: Path, name: str, facts: Mapping[str, Any]) -> bool:
    return name in facts["arguments"].get("formats", ()) or (folder / name).exists()


def _lines(folder: Path, form: formats.Lines) -> Iterator[str]:
    """Yield differences between the lines of a format and the rows; without any, those of its other files."""
    tasks: dict[str, set[str]] = {}
    differ = False
    for split in parquet.splits(folder):
        for problem in _lines_of(folder, form, split, tasks):
            differ = True
            yield problem
    if differ or not tasks:
        return
    for name, text in extras_of(form, tasks).items():
        yield from _text(folder, f"{form.NAME}/{name}", text)


def _text(folder: Path, name: str, text: str) -> Iterator[str]:
    """Yield whether a file differs from a text."""
    path = folder / name
    if not path.is_file():
        yield f"{name}: is missing"
    elif path.read_bytes() != text.encode():
        yield f"{name}: differs from the file that the build writes"


def _lines_of(folder: Path, form: formats.Lines, split: str, tasks: dict[str, set[str]]) -> Iterator[str]:
    name = f"{form.NAME}/{form.file_of(split)}"
    expected = _expected_lines(folder, form, split, tasks)
    try:
        if (folder / name).is_file():
            with (folder / name).open("rb") as lines:
                yield from _first_difference(f"{name}, line", expected, lines)
        elif next(expected, None) is not None:
            yield f"{name}: is missing, but {parquet.NAME} has rows for it"
    except _UNREADABLE as error:
        yield f"{name}: cannot be compared with {parquet.NAME}: {error}"


def _expected_lines(folder: Path, form: formats.Lines, split: str, tasks: dict[str, set[str]]) -> Iterator[bytes]:
    """Yield the lines of a split and collect their tasks."""
    for row in parquet.read(folder, split):
        if form.takes(row):
            tasks.setdefault(split, set()).add(row["task"])
            yield encoded(form.line(row))


def _records(folder: Path, table: formats.Table) -> Iterator[str]:
    """Yield differences between the records of a format and the rows."""
    for split in parquet.splits(folder):
        name = f"{table.NAME}/{parquet.file_of(split)}"
        if not (folder / name).is_file():
            yield f"{name}: is missing, but {parquet.NAME} has rows for it"
            continue
        try:
            if not parquet.is_current(folder, split, table.schema(), table.NAME):
                yield f"{name}: its columns differ from those of the format"
                continue
            expected = (table.record(row, index) for index, row in enumerate(parquet.read(folder, split)))
            yield from _first_difference(f"{name}, row", expected, parquet.read(folder, split, name=table.NAME))
        except _UNREADABLE as error:
            yield f"{name}: cannot be compared with {parquet.NAME}: {error}"


def _first_difference(place: str, expected: Iterable[Any], present: Iterable[Any]) -> Iterator[str]:
    for number, (row, written) in enumerate(itertools.zip_longest(expected, present), start=1):
        if row != written:
            yield f"{place} {number}: differs from the row in {parquet.NAME}"
            return

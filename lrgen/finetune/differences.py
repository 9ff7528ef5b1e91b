"""Differences between two dataset folders: rows by column, other files by bytes."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import orjson

from lrgen.errors import DatasetError
from lrgen.finetune import manifest
from lrgen.finetune.formats import parquet

_SHOWN = 60  # characters of a value
# Columns that follow from others, which are reported first.
_FOLLOWING = ("id", "reference", "prompt_chars", "completion_chars", "prompt_tokens", "completion_tokens")


def between(folder: Path, expected: Path) -> Iterator[str]:
    """Yield the differences of a dataset from the same one, built again."""
    for split in sorted({*parquet.splits(folder), *parquet.splits(expected)}):
        yield from _rows(folder, expected, split)
    tables = {f"{parquet.NAME}/{parquet.file_of(split)}" for split in parquet.splits(expected)}
    for name in sorted(manifest.entries(expected).keys() - tables):
        path = folder / name
        if not path.is_file():
            yield f"{name}: is missing"
        elif path.read_bytes() != (expected / name).read_bytes():
            yield f"{name}: differs from the one that the build writes{_first_line(path, expected / name)}"
    yield from _facts(folder, expected)


def _rows(folder: Path, expected: Path, split: str) -> Iterator[str]:
    """Yield the rows of a split that differ."""
    name = parquet.file_of(split)
    paths = [each / parquet.NAME / name for each in (folder, expected)]
    if not all(path.is_file() for path in paths):
        yield f"{parquet.NAME}/{name}: {'is missing' if paths[1].is_file() else 'the build writes no such file'}"
        return
    if paths[0].read_bytes() == paths[1].read_bytes():
        return
    try:
        differs = False
        pairs = itertools.zip_longest(parquet.read(folder, split), parquet.read(expected, split))
        for number, (row, own) in enumerate(pairs, start=1):
            if row is None or own is None:
                amount = "more" if own is None else "fewer"
                yield f"{split}: has {amount} rows than the build makes, from row {number} on"
                return
            if row != own:
                differs = True
                columns = [column for column in {**own, **row} if row.get(column) != own.get(column)]
                columns.sort(key=_FOLLOWING.__contains__)
                shown = _value(row.get(columns[0])), _value(own.get(columns[0]))
                others = f", and {', '.join(columns[1:])}" if len(columns) > 1 else ""
                yield f"{split}, row {own['id']}: {columns[0]} is {shown[0]}, but the build makes {shown[1]}{others}"
        if not differs:
            yield f"{parquet.NAME}/{name}: its bytes differ from those that the build writes"
    except DatasetError as error:
        yield str(error)


def _value(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _first_line(path: Path, expected: Path) -> str:
    """Return where two text files differ first; empty for other files."""
    try:
        pairs = itertools.zip_longest(*(each.read_text(encoding="utf-8").splitlines() for each in (path, expected)))
    except UnicodeDecodeError:
        return ""
    number = next((number for number, pair in enumerate(pairs, start=1) if len(set(pair)) > 1), None)
    return f", from line {number} on" if number else ""


def _facts(folder: Path, expected: Path) -> Iterator[str]:
    """Yield the facts of the manifest that differ, other than the hashes of files."""
    given, own = (orjson.loads((each / manifest.NAME).read_bytes()) for each in (folder, expected))
    for name in sorted((given.keys() | own.keys()) - {"files"}):
        if given.get(name) != own.get(name):
            yield f"{manifest.NAME}: {name} is {_value(given.get(name))}, but the build writes {_value(own.get(name))}"

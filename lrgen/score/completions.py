"""The completions of a model on disk, in the forms that evaluation harnesses write.

- JSON Lines of EvalPlus and HumanEval: ``{"task_id": …, "completion": …}`` or ``"solution"``, or of SWE-bench:
  ``{"instance_id": …, "model_patch": …}``; any number of lines for a row.
- a JSON list of such objects, or of lists of texts, one list for each row (``generations.json`` of bigcode).
- a folder ``DIR/<task_id>/<n>.py``, with any suffix.
"""

import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from lrgen import files
from lrgen.errors import OutputError, ScoreError, first_line, shown

MAX_BYTES = 10_000_000
"""A longer line, text or file is no completion."""

_LINES = ".jsonl"  # the suffix of JSON Lines, whatever the first line is
_IDS = ("task_id", "instance_id")
_TEXTS = ("solution", "completion", "model_patch")  # EvalPlus prefers the solution
_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Completion:
    """A text that a model wrote for the prompt of a row.

    Attributes:
        row_id: the id of the row.
        sample: the number of the completion among those of its row, from 0, in input order.
        text: the text as the model wrote it.
        place: where it stands, for messages: ``samples.jsonl, line 3``.
    """

    row_id: str
    sample: int
    text: str
    place: str


@dataclass(frozen=True)
class Skipped:
    """A part of the input that is no completion of a row, and the reason."""

    place: str
    reason: str


def read(path: Path, ids: Sequence[str]) -> tuple[list[Completion], list[Skipped]]:
    """Return the completions of rows, and the parts of the input that are none.

    Args:
        path: a file or a folder.
        ids: the ids of the rows, in their order: a list of lists has the texts of the first row first.

    Raises:
        ScoreError: if the path cannot be read, is neither a file nor a folder, has more lists than there are rows, or
            has no completion.
    """
    known = set(ids)
    count: Counter[str] = Counter()
    completions: list[Completion] = []
    skipped: list[Skipped] = []
    for entry in _entries(path, ids):
        if isinstance(entry, Skipped):
            skipped.append(entry)
        elif entry.row_id not in known:
            skipped.append(Skipped(entry.place, f"no row of the dataset has the id {shown(entry.row_id)}"))
        else:
            completions.append(Completion(entry.row_id, count[entry.row_id], entry.text, entry.place))
            count[entry.row_id] += 1
    if not completions:
        first = f": {skipped[0].place}: {skipped[0].reason}" if skipped else ""
        raise ScoreError(f"{_printable(path)}: no completion of a row{first}")
    return completions, skipped


@dataclass(frozen=True)
class _Entry:
    """A completion of a row that may not exist."""

    row_id: str
    text: str
    place: str


def _entries(path: Path, ids: Sequence[str]) -> Iterator[_Entry | Skipped]:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            yield from _of_folder(path)
        elif stat.S_ISREG(mode):
            with path.open("rb") as file:
                if path.suffix.lower() != _LINES and _begins_a_list(file):
                    yield from _of_list(path, ids)
                else:
                    yield from _of_lines(file, path.name)
        else:
            raise ScoreError(f"{_printable(path)}: neither a file nor a folder")
    except (OSError, ValueError) as error:  # a path may contain a null byte
        reason = error.strerror if isinstance(error, OSError) else first_line(error)
        raise ScoreError(f"{_printable(path)}: cannot be read: {reason}") from error


# Lines.


def _of_lines(file: BinaryIO, name: str) -> Iterator[_Entry | Skipped]:
    """Yield the completions of JSON Lines; a line is in memory only while it is read."""
    for number, line in enumerate(_lines(file), start=1):
        place = f"{_printable(name)}, line {number}"
        if line is None:
            yield Skipped(place, f"it has more than {MAX_BYTES:,} bytes")
            continue
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            yield Skipped(place, "it is not UTF-8")
            continue
        if text.strip():
            yield _of_json(text, place)


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Yield the lines of a file; None for a line that is too long."""
    while line := file.readline(MAX_BYTES + 1):
        if len(line) <= MAX_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while rest := file.readline(MAX_BYTES):
            if rest.endswith(b"\n"):
                break
        yield None


def _of_json(text: str, place: str) -> _Entry | Skipped:
    try:
        value = json.loads(text)
    except RecursionError:
        return Skipped(place, "it is not JSON: nested too deeply")
    except ValueError as error:
        return Skipped(place, f"it is not JSON: {error}")
    return _of_value(value, place)


def _of_value(value: Any, place: str) -> _Entry | Skipped:
    """Return the completion in the object of a line."""
    if not isinstance(value, dict):
        return Skipped(place, "it is not a JSON object")
    row_id = next((value[key] for key in _IDS if key in value), None)
    if not isinstance(row_id, str):
        return Skipped(place, "it has no text task_id or instance_id")
    text = next((value[key] for key in _TEXTS if value.get(key) is not None), None)
    if not isinstance(text, str):
        return Skipped(place, "it has no text completion, solution or model_patch")
    return _Entry(row_id, text, place)


# Lists.


def _begins_a_list(file: BinaryIO) -> bool:
    """Return whether a file begins with a bracket; it is then read from its beginning."""
    begin = file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()
    file.seek(0)
    return begin.startswith(b"[")


def _of_list(path: Path, ids: Sequence[str]) -> Iterator[_Entry | Skipped]:
    """Yield the completions of a list of objects, or of a list of lists of texts."""
    name = _printable(path.name)
    try:
        values = json.loads(files.read_bytes(path).decode("utf-8-sig"))
    except OutputError as error:
        raise ScoreError(str(error)) from error
    except RecursionError as error:
        raise ScoreError(f"{_printable(path)}: not JSON: nested too deeply") from error
    except ValueError as error:
        raise ScoreError(f"{_printable(path)}: not JSON: {error}") from error
    if any(isinstance(value, list) for value in values) and len(values) > len(ids):
        raise ScoreError(f"{_printable(path)}: {len(values)} lists of completions, but {len(ids)} rows")
    for index, value in enumerate(values):
        place = f"{name}, list {index + 1}" if isinstance(value, list) else f"{name}, element {index + 1}"
        if not isinstance(value, list):
            yield _of_value(value, place)
            continue
        for number, text in enumerate(value, start=1):
            place = f"{name}, list {index + 1}, text {number}"
            if isinstance(text, str):
                yield _Entry(ids[index], text, place)
            else:
                yield Skipped(place, "it is not a text")


# Folders.


def _of_folder(path: Path) -> Iterator[_Entry | Skipped]:
    """Yield the completions of a folder: rows by name, and the files of a row by number."""
    for folder in sorted(path.iterdir(), key=lambda entry: entry.name):
        place = f"{_printable(path.name)}/{_printable(folder.name)}"
        if folder.name.startswith("."):
            continue
        try:
            members = sorted(folder.iterdir(), key=lambda entry: entry.name)
        except OSError:
            yield Skipped(place, "it is not the folder of a row")
            continue
        numbered: list[tuple[int, str, Path]] = []
        for file in members:
            if _NUMBER.fullmatch(file.stem):
                numbered.append((int(file.stem), file.name, file))
            elif not file.name.startswith("."):
                yield Skipped(f"{place}/{_printable(file.name)}", "its name is not a number")
        for _, name, file in sorted(numbered):
            yield _of_file(file, folder.name, f"{place}/{_printable(name)}")


def _of_file(file: Path, row_id: str, place: str) -> _Entry | Skipped:
    try:
        content = files.read_bytes(file, MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            return Skipped(place, f"it has more than {MAX_BYTES:,} bytes")
        return _Entry(row_id, content.decode("utf-8"), place)
    except OutputError:
        return Skipped(place, "it cannot be read as a file")
    except UnicodeDecodeError:
        return Skipped(place, "it is not UTF-8")


def _printable(path: Path | str) -> str:
    """Return a path in which bytes that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")

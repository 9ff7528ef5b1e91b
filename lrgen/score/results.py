"""The folder of a run: ``run.json`` with its conditions, ``results.jsonl`` with a line for each verdict.

``run.json`` is written first. Each verdict is appended whole as soon as it is known, so a run may be killed at any
moment: the next run in the same folder cuts off a torn last line and reuses the other verdicts. ``Results.finish``
orders the lines as the completions are ordered.
"""

import contextlib
import fcntl
import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self, get_type_hints

from lrgen.errors import OutputError, ScoreError, shown
from lrgen.files import read_json, write_atomically
from lrgen.score.verdict import CHECKS, Verdict

RUN = "run.json"
LINES = "results.jsonl"
SUMMARY = "summary.json"

_TYPES = get_type_hints(Verdict)
_ROW_ID = "task_id"  # the name of a row's id in the formats of other scorers

Key = tuple[str, int]
"""The id of a row and the number of a sample."""


@dataclass(frozen=True)
class Conditions:
    """The conditions of a run; verdicts under different conditions are not mixed in one folder.

    Attributes:
        lrgen: the version of lrgen.
        ladder: the version of the reward ladder.
        dataset: the sha256 of the dataset's manifest.
        splits: the splits of the scored rows, separated by commas.
        tasks: the tasks of the scored rows, separated by commas, or ``all``.
        rows: the number of rows that were selected.
        stage: the last check that was requested.
        policy: the code that an answer may contain.
        case_seed: the seed of the drawn cases.
    """

    lrgen: str
    ladder: int
    dataset: str
    splits: str
    tasks: str
    rows: int
    stage: str
    policy: str
    case_seed: int


@dataclass(frozen=True)
class Scored:
    """A folder of results that was read: its conditions, and its verdicts in the order of the lines."""

    folder: Path
    conditions: Conditions
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class _Line:
    """A verdict without its answer, and the place of its line in the file."""

    verdict: Verdict
    offset: int
    length: int


class Results:
    """The results of a run while it scores; one process at a time writes to a folder.

    The answers stay on disk: memory grows by a few hundred bytes for each verdict.
    """

    def __init__(self, folder: Path, conditions: Conditions) -> None:
        """Open a folder for the results of a run, or continue the run that it holds.

        Raises:
            ScoreError: if the folder holds results of another dataset or under other conditions, results that cannot be
                read, or results that another process is writing.
            OutputError: if the folder cannot be written.
        """
        self.folder = folder
        self.conditions = conditions
        self._path = folder / LINES
        self._open = contextlib.ExitStack()
        with contextlib.ExitStack() as opened:
            opened.enter_context(_locked(folder))
            _require(folder, conditions)
            self._file = _descriptor(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            opened.callback(lambda: os.close(self._file))
            self._lines, self._size = self._resumed()
            self._open = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder; all verdicts that were added are on disk."""
        self._open.close()

    def verdict(self, row_id: str, sample: int, sha256: str) -> Verdict | None:
        """Return the verdict on a completion, without its answer; None if this text has none in this place."""
        line = self._lines.get((row_id, sample))
        return line.verdict if line is not None and line.verdict.sha256 == sha256 else None

    def add(self, verdict: Verdict) -> None:
        """Append a verdict; a second one on the same completion is ignored.

        Raises:
            OutputError: if it cannot be written; the file is as before.
        """
        if self.verdict(verdict.row_id, verdict.sample, verdict.sha256) is not None:
            return
        line = _encoded(verdict)
        try:
            _write_whole(self._file, line)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise OutputError(f"{self._path}: cannot be written: {error.strerror}") from error
        self._keep(verdict, self._size, len(line))
        self._size += len(line)

    def finish(self, order: Iterable[Key]) -> list[Verdict]:
        """Write the lines in an order, without those of completions that are not in it; return their verdicts.

        The verdicts that are returned have no answers. A reader sees the old or the new file. Each completion of the
        order must have a verdict.

        Raises:
            OutputError: if the file cannot be written.
        """
        lines = [self._lines[key] for key in order]
        _replace(self._path, (self._read(line) for line in lines))
        replaced, self._file = self._file, _descriptor(self._path, os.O_RDWR | os.O_APPEND)
        os.close(replaced)
        self._lines, self._size = {}, 0
        for line in lines:
            self._keep(line.verdict, self._size, line.length)
            self._size += line.length
        return [line.verdict for line in lines]

    def answer(self, key: Key) -> str:
        """Return the answer of a completion that has a verdict, from the file."""
        return _decoded(self._path, 0, self._read(self._lines[key])).answer

    def write(self, name: str, document: dict[str, Any]) -> Path:
        """Write a JSON document beside the results, whole or not at all, and return its path.

        Raises:
            OutputError: if it cannot be written.
        """
        return self.write_parts(name, [json.dumps(document, indent=1, allow_nan=False), "\n"])

    def write_parts(self, name: str, parts: Iterable[str]) -> Path:
        """Write the parts of a text in ASCII beside the results, whole or not at all, and return its path.

        Raises:
            OutputError: if it cannot be written.
        """
        path = self.folder / name
        _replace(path, (part.encode("ascii") for part in parts))
        return path

    def _read(self, line: _Line) -> bytes:
        return os.pread(self._file, line.length, line.offset)

    def _keep(self, verdict: Verdict, offset: int, length: int) -> None:
        self._lines[verdict.row_id, verdict.sample] = _Line(replace(verdict, answer=""), offset, length)

    def _resumed(self) -> tuple[dict[Key, _Line], int]:
        """Return the lines of the file and their size, after a torn last line was cut off."""
        self._lines, size = {}, 0
        for number, line in enumerate(_whole_lines(self._path), 1):
            self._keep(_decoded(self._path, number, line), size, len(line))
            size += len(line)
        os.ftruncate(self._file, size)
        return self._lines, size


def read(folder: Path, longest: int | None = None) -> Scored:
    """Read a folder of results, also of a run that is not finished; ``longest`` is a length to cut answers to.

    Raises:
        ScoreError: if it is not a folder of results, or a line is not a verdict.
    """
    conditions = conditions_of(folder)
    if conditions is None:
        raise ScoreError(f"{folder}: has no {RUN}: not a folder of results of lrgen score")
    path = folder / LINES
    verdicts = {}
    for number, line in enumerate(_whole_lines(path), 1):
        verdict = _decoded(path, number, line)
        # Of two lines the newer one counts: the text of the completion was changed.
        verdicts[verdict.row_id, verdict.sample] = replace(verdict, answer=verdict.answer[:longest])
    return Scored(folder, conditions, tuple(verdicts.values()))


def conditions_of(folder: Path) -> Conditions | None:
    """Return the conditions of the run in a folder; None if it holds none.

    Raises:
        ScoreError: if its ``run.json`` is not one of this version of lrgen.
    """
    path = folder / RUN
    if not path.exists():
        return None
    try:
        values = read_json(path)
    except OutputError as error:
        raise ScoreError(str(error)) from error
    types = get_type_hints(Conditions)
    if not isinstance(values, dict) or {name: type(value) for name, value in values.items()} != types:
        raise ScoreError(
            f"{path}: does not have the conditions that this version of lrgen records: choose another --out"
        )
    return Conditions(**values)


def _require(folder: Path, conditions: Conditions) -> None:
    """Compare the conditions with those of the folder; record them if it holds no results."""
    recorded = conditions_of(folder)
    if recorded is None:
        if (folder / LINES).exists():
            raise ScoreError(f"{folder}: has {LINES} but no {RUN} with its conditions: choose another --out")
        write_atomically(folder / RUN, json.dumps(asdict(conditions), indent=1) + "\n")
    elif recorded.dataset != conditions.dataset:
        raise ScoreError(f"{folder}: has the results of another dataset: choose another --out")
    elif recorded != conditions:
        before, now = asdict(recorded), asdict(conditions)
        changed = [name for name in now if before[name] != now[name]]
        differences = ", ".join(f"{name.replace('_', ' ')} {before[name]} instead of {now[name]}" for name in changed)
        raise ScoreError(f"{folder}: has results under other conditions ({differences}): choose another --out")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Create a folder and lock it against other writers."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be created: {error.strerror}") from error
    descriptor = _descriptor(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ScoreError(f"{folder}: another run is writing its results there") from error
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, parts: Iterable[bytes]) -> None:
    """Replace a file by one with these parts; a reader sees the old or the new file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.writelines(parts)
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _descriptor(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        raise OutputError(f"{path}: cannot be opened: {error.strerror}") from error


def _write_whole(descriptor: int, line: bytes) -> None:
    """Write a line in one call, or in several where the system takes only a part of it."""
    while line:
        line = line[os.write(descriptor, line) :]


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file that end with a line break; a missing file has none."""
    try:
        with path.open("rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))
    except FileNotFoundError:
        return
    except OSError as error:
        raise ScoreError(f"{path}: cannot be read: {error.strerror}") from error


def _encoded(verdict: Verdict) -> bytes:
    """Return the line of a verdict in ASCII, which holds every text, also a lone surrogate."""
    values = {_ROW_ID if name == "row_id" else name: value for name, value in asdict(verdict).items()}
    return json.dumps(values, allow_nan=False).encode("ascii") + b"\n"


def _decoded(path: Path, number: int, line: bytes) -> Verdict:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ScoreError(f"{path}, line {number}: is not a verdict: it is not JSON") from error
    if not isinstance(values, dict):
        raise ScoreError(f"{path}, line {number}: is not a verdict: it is not an object")
    values = {"row_id" if name == _ROW_ID else name: value for name, value in values.items()}
    if values.keys() != _TYPES.keys():
        names = ", ".join(sorted(values.keys() ^ _TYPES.keys()))
        raise ScoreError(f"{path}, line {number}: is not a verdict: {shown(names)} is missing or unknown")
    for name, value in values.items():
        if not _fits(name, value):
            raise ScoreError(f"{path}, line {number}: is not a verdict: {name} cannot be {shown(value)}")
    return Verdict(**values)


def _fits(name: str, value: object) -> bool:
    """Return whether a value of a line has the type and the range of its field."""
    if _TYPES[name] is float:
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
    return type(value) is _TYPES[name] and (name != "check" or value in CHECKS)

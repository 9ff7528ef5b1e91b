"""Observations of executed mutants, each by a key of all that decides it.

A dataset keeps its observations, so that a check makes the rows again without executing every mutant.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from lrgen.errors import DatasetError

FILE = "mutants.jsonl"
"""The observations of a dataset."""


class Observations:
    """Observations that are known, and those that were used since ``take`` was called."""

    def __init__(self, known: Mapping[str, Any] | None = None) -> None:
        self._known = dict(known or {})
        self._used: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        """Return what is known of a key; None if nothing is."""
        if key in self._known:
            self._used[key] = self._known[key]
        return self._known.get(key)

    def note(self, key: str, answer: Any) -> None:
        """Keep what was observed."""
        self._used[key] = answer

    def used(self, key: str) -> Any:
        """Return an observation that was used since ``take`` was called."""
        return self._used[key]

    def take(self) -> dict[str, Any]:
        """Return the observations that were used since the last call."""
        used, self._used = self._used, {}
        return used


def write(path: Path, observed: Mapping[str, Any]) -> None:
    """Write observations, sorted by key; no file without any."""
    if observed:
        with path.open("wb") as lines:
            for key in sorted(observed):
                lines.write(orjson.dumps({"key": key, "answer": observed[key]}, option=orjson.OPT_APPEND_NEWLINE))


def merge(target: Path, paths: Iterable[Path]) -> None:
    """Write the observations of several files to one, each once."""
    merged: dict[str, bytes] = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError), path.open("rb") as lines:
            merged |= ((orjson.loads(line)["key"], line) for line in lines)
    if merged:
        with target.open("wb") as file:
            file.writelines(merged[key] for key in sorted(merged))


def read(folder: Path) -> dict[str, Any]:
    """Return the observations of a dataset by key.

    Raises:
        DatasetError: when they cannot be read.
    """
    path = folder / FILE
    try:
        return dict(_read(path)) if path.exists() else {}
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}: not the observations of mutants: {error!r}") from error


def _read(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as lines:
        for line in lines:
            value = orjson.loads(line)
            yield value["key"], value["answer"]

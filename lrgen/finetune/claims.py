"""Claims of completions: an answer of training is in no test.

A completion belongs to training if any row of training has it, in any task, else to validation, else to the tests. The
other rows with that completion are left out. Completions of a line or two coincide by chance and are not claimed; the
card counts those of tests that occur in training (``exposure``).
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from lrgen.finetune.dedup import Deduplicator
from lrgen.finetune.example import Row
from lrgen.finetune.rows import SPLITS, exposure_of

LINES = 3
"""Completions of fewer lines are not claimed."""

_DIGEST = 10  # bytes
_READ = (_DIGEST + 1) << 14
_EXPOSURES = tuple(dict.fromkeys(map(exposure_of, SPLITS)))
_PLACES = ("training", "validation", "tests")


def is_claimed(row: Row) -> bool:
    """Return whether the completion of a row belongs to one of training, validation and test."""
    completion: str = row["completion"]
    return completion.strip().count("\n") + 1 >= LINES


def write(row: Row, file: BinaryIO) -> None:
    """Append the claim of a row to a file."""
    if is_claimed(row):
        file.write(_digest(row) + bytes([exposure_of(row["split"])]))


class Claims:
    """The claims of some files, kept on disk at ``path``."""

    def __init__(self, files: Iterable[Path], path: Path) -> None:
        paths = list(files)
        with ExitStack() as stack:
            self._owners = stack.enter_context(Deduplicator(path))
            for exposure in _EXPOSURES:  # training first: the first claim of a completion remains
                for digest, claimed in itertools.chain.from_iterable(map(_read, paths)):
                    if claimed == exposure:
                        self._owners.record(digest, exposure)
            stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._owners.__exit__(kind, error, traceback)

    def elsewhere(self, row: Row) -> str:
        """Return where the completion of a row belongs: to training, validation or tests; empty if it is the row's."""
        if not is_claimed(row):
            return ""
        own = exposure_of(row["split"])
        owner = self._owners.record(_digest(row), own)
        return "" if owner in (None, own) else _PLACES[owner or 0]


def _digest(row: Row) -> bytes:
    return hashlib.sha256(row["completion"].encode()).digest()[:_DIGEST]


def _read(path: Path) -> Iterator[tuple[bytes, int]]:
    with path.open("rb") as file:
        while block := file.read(_READ):
            for at in range(0, len(block), _DIGEST + 1):
                yield block[at : at + _DIGEST], block[at + _DIGEST]

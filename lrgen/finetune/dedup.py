"""Deduplication on disk: the memory of a build does not grow with its rows."""

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from lrgen.errors import OutputError


class Deduplicator:
    """A set of keys in a scratch file, each with the mark of its first occurrence."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._path = path
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -32768"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("CREATE TABLE keys (key BLOB PRIMARY KEY, mark INTEGER) WITHOUT ROWID")
        self._connection.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()
        self._path.unlink(missing_ok=True)

    def record(self, key: bytes, mark: int) -> int | None:
        """Return the mark of a known key; keep a new key with ``mark`` and return None."""
        try:
            if self._connection.execute("INSERT OR IGNORE INTO keys VALUES (?, ?)", (key, mark)).rowcount:
                return None
            (first,) = self._connection.execute("SELECT mark FROM keys WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise OutputError(f"{self._path}: cannot be written: {error}") from error
        return int(first)

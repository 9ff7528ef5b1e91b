"""A database by its URL: opened, migrated, one transaction at a time."""

import contextlib
import hashlib
import itertools
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import orjson
from sqlalchemy import URL, Connection, create_engine, event, exc, text
from sqlalchemy.engine import make_url

from lrgen.errors import NoResultError, StoreError, first_line
from lrgen.store.migrations import is_current, migrate

PARAMETERS = 400  # pairs of values in one statement: SQLite may take no more than 999 parameters
_BUSY_SECONDS = 60  # many writers that never pause may keep one waiting for seconds: it is better than to fail

T = TypeVar("T")


class Database:
    """SQLite (a file) or PostgreSQL, by SQLAlchemy URL.

    Raises:
        StoreError: from every method, when the database cannot be opened, read or written.
    """

    def __init__(self, url: str) -> None:
        try:
            self._url = make_url(url)
        except exc.ArgumentError as error:
            raise StoreError(f"db: not a database URL, got {url!r} (for example sqlite:///db/ab.nn.db)") from error
        if self._url.get_backend_name() not in ("sqlite", "postgresql"):
            raise StoreError(f"db: must be sqlite or postgresql, got {self._url.get_backend_name()!r}")
        if self._url.drivername == "postgresql":
            self._url = self._url.set(drivername="postgresql+psycopg")
        try:
            options = {"timeout": _BUSY_SECONDS} if self.sqlite else {}
            # A confusion matrix of a hundred classes is ten thousand numbers: the standard library's JSON would cost
            # more than all else that is recorded.
            self._engine = create_engine(
                self._address(), connect_args=options, json_serializer=_to_json, json_deserializer=orjson.loads
            )
        except ModuleNotFoundError as error:
            raise StoreError(f"{self.place}: PostgreSQL needs psycopg: pip install 'lrgen[postgres]'") from error
        except exc.SQLAlchemyError as error:
            raise StoreError(f"{self.place}: {first_line(error)}") from error
        if self.sqlite:
            event.listen(self._engine, "connect", _configure_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        self._for_writing = self._engine.execution_options(lrgen_write=True)
        self._ready = False

    @property
    def sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    @property
    def place(self) -> str:
        """Where the database is, without a password."""
        return self._url.database or ":memory:" if self.sqlite else self._url.render_as_string(hide_password=True)

    def _address(self) -> URL:
        """The URL to open: a file that is not ours to write is opened as one that nobody writes."""
        path = Path(self._url.database or "")
        if not self.sqlite or not path.is_file() or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            return self._url
        query = {"mode": "ro", "uri": "true"}
        log = path.with_name(f"{path.name}-wal")
        if not log.exists() or not log.stat().st_size:  # else what is recorded last stands in the log
            query["immutable"] = "1"
        return self._url.set(database=f"file:{quote(str(path))}", query=query)

    def exists(self) -> bool:
        """Whether there is a database to read from."""
        return not self.sqlite or self._url.database in (None, "", ":memory:") or Path(self.place).is_file()

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def session(self, write: bool = False) -> Iterator[Connection]:
        """One transaction: commits, or rolls back and says what was wrong."""
        try:
            if not self._ready:
                if self.sqlite and self._url.database:
                    Path(self.place).parent.mkdir(parents=True, exist_ok=True)
                with self._engine.begin() as connection:
                    current = is_current(connection)
                if not current:
                    with self._for_writing.begin() as connection:
                        migrate(connection)
                self._ready = True
            with (self._for_writing if write else self._engine).begin() as connection:
                yield connection
        except exc.DBAPIError as error:
            outcome = "; nothing of this was recorded" if write else ""
            raise StoreError(f"{self.place}: {first_line(error.orig)}{outcome}") from error
        except exc.SQLAlchemyError as error:
            raise StoreError(f"{self.place}: {first_line(error)}") from error
        except OSError as error:
            raise StoreError(f"{self.place}: {error.strerror}") from error

    def require(self) -> None:
        """Raise NoResultError when there is no database to read from."""
        if not self.exists():
            raise NoResultError(f"there is no database at {self.place}: run lrgen verify first")

    def rows(self, query: Any) -> list[dict[str, Any]]:
        """What a query finds, a dictionary a row.

        Raises:
            NoResultError: when there is no database yet.
        """
        self.require()
        with self.session() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def alone(connection: Connection, what: str) -> None:
    """Until the transaction ends, keep everybody out who would be alone with the same thing (in SQLite a writer is)."""
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(what.encode()).digest()[:8], signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _to_json(value: object) -> str:
    return orjson.dumps(value).decode()


def _configure_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite, a writing one with the lock
    cursor = connection.cursor()
    for statement in ("foreign_keys = ON", "synchronous = NORMAL"):
        cursor.execute(f"PRAGMA {statement}")
    with contextlib.suppress(sqlite3.OperationalError):  # a database that is only read keeps the mode it has
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("lrgen_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def chunks(items: Iterable[T], size: int = PARAMETERS) -> Iterator[list[T]]:
    """The items in lists of at most ``size``; by default as many pairs as one statement takes parameters."""
    rest = iter(items)
    while chunk := list(itertools.islice(rest, size)):
        yield chunk

"""Connection to a database by its URL: migration and transactions."""

import contextlib
import hashlib
import itertools
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import orjson
from sqlalchemy import URL, Connection, create_engine, event, exc, text
from sqlalchemy.engine import make_url

from lrgen.errors import NoResultError, StoreError, first_line, shown
from lrgen.store.migrations import is_current, migrate

PARAMETERS = 400  # pairs of values in one statement: SQLite may accept at most 999 parameters
BUSY_TIMEOUT = 60.0  # seconds; with many writers, waiting for seconds is better than failing

_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg")

StoredRow = dict[str, Any]  # column → value

T = TypeVar("T")


class Database:
    """SQLite (a file) or PostgreSQL, by SQLAlchemy URL.

    A writer of SQLite waits up to ``busy_timeout`` seconds for another writer.

    Raises:
        StoreError: from every method, when the database cannot be opened, read or written.
    """

    def __init__(self, url: str, busy_timeout: float = BUSY_TIMEOUT) -> None:
        got = shown(re.sub("//[^@/]*@", "//***@", url))  # without the password
        try:
            self._url = make_url(url)
        except (exc.ArgumentError, ValueError) as error:
            raise StoreError(f"db: not a database URL, got {got} (for example sqlite:///db/ab.nn.db)") from error
        if self._url.drivername not in _DRIVERS:
            raise StoreError(f"db: must be sqlite or postgresql, got {self._url.drivername!r}")
        if self.sqlite and (self._url.query or "\0" in url):
            raise StoreError(f"db: the URL of a SQLite file has no options and no null character, got {got}")
        if self._url.drivername == "postgresql":
            self._url = self._url.set(drivername="postgresql+psycopg")
        try:
            options = {"timeout": busy_timeout} if self.sqlite else {}
            # A confusion matrix of a hundred classes has ten thousand numbers: with the standard library's JSON, it
            # would take longer than all other columns together.
            self.engine = create_engine(
                self._address(), connect_args=options, json_serializer=_to_json, json_deserializer=orjson.loads
            )
        except ModuleNotFoundError as error:
            raise StoreError(f"{self.place}: PostgreSQL needs psycopg: pip install 'lrgen[postgres]'") from error
        except (exc.SQLAlchemyError, ValueError) as error:
            raise StoreError(f"{self.place}: {first_line(error)}") from error
        except OSError as error:
            raise StoreError(f"{self.place}: {error.strerror}") from error
        if self.sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._for_writing = self.engine.execution_options(lrgen_write=True)
        self._ready = False

    @property
    def sqlite(self) -> bool:
        """Whether the database is SQLite rather than PostgreSQL."""
        return self._url.get_backend_name() == "sqlite"

    @property
    def place(self) -> str:
        """The path or the URL of the database, without a password."""
        return self._url.database or ":memory:" if self.sqlite else self._url.render_as_string(hide_password=True)

    def _address(self) -> URL:
        """Return the URL to open: read-only, and immutable if possible, for a file without write permission."""
        path = Path(self._url.database or "")
        if not self.sqlite or not path.is_file() or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            return self._url
        query = {"mode": "ro", "uri": "true"}
        log = path.with_name(f"{path.name}-wal")
        if (
            not log.exists() or not log.stat().st_size
        ):  # a log holds the newest rows, which an immutable database would not show
            query["immutable"] = "1"
        return self._url.set(database=f"file:{quote(str(path))}", query=query)

    def exists(self) -> bool:
        """Whether there is a database to read; one on a server or in memory always counts as existing."""
        return not self.sqlite or self._url.database in (None, "", ":memory:") or Path(self.place).is_file()

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    @contextlib.contextmanager
    def session(self, write: bool = False) -> Iterator[Connection]:
        """Yield the connection of one transaction, which is committed, or rolled back with a StoreError."""
        try:
            if not self._ready:
                if self.sqlite and self._url.database:
                    Path(self.place).parent.mkdir(parents=True, exist_ok=True)
                with self.engine.begin() as connection:
                    current = is_current(connection)
                if not current:
                    with self._for_writing.begin() as connection:
                        migrate(connection)
                self._ready = True
            with (self._for_writing if write else self.engine).begin() as connection:
                yield connection
        except exc.DBAPIError as error:
            consequence = "; nothing of this was recorded" if write else ""
            raise StoreError(f"{self.place}: {first_line(error.orig)}{consequence}") from error
        except exc.SQLAlchemyError as error:
            reason = error.orig if isinstance(error, exc.StatementError) and error.orig else error
            raise StoreError(f"{self.place}: {first_line(reason)}") from error
        except (OverflowError, UnicodeEncodeError) as error:  # of a number or a text in a query
            raise StoreError(f"{self.place}: cannot be stored or looked up: {error}") from error
        except OSError as error:
            raise StoreError(f"{self.place}: {error.strerror}") from error

    def require(self) -> None:
        """Raise NoResultError when the database does not exist."""
        if not self.exists():
            raise NoResultError(f"there is no database at {self.place}: run lrgen verify first")

    def rows(self, query: Any) -> list[StoredRow]:
        """Return the rows of a query as dictionaries.

        Raises:
            NoResultError: when the database does not exist.
        """
        self.require()
        with self.session() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def lock(connection: Connection, name: str) -> None:
    """Hold the lock of this name until the transaction ends; a writer of SQLite is always alone."""
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _to_json(value: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:  # a number beyond 64 bits, a text that is not UTF-8
        raise OverflowError(str(error)) from error


def _configure_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # _begin_sqlite begins transactions; a writing one takes the lock at once
    cursor = connection.cursor()
    for statement in ("foreign_keys = ON", "synchronous = NORMAL"):
        cursor.execute(f"PRAGMA {statement}")
    with contextlib.suppress(sqlite3.OperationalError):  # a read-only database keeps its mode
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("lrgen_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def chunks(items: Iterable[T], size: int = PARAMETERS) -> Iterator[list[T]]:
    """Yield the items in lists of at most ``size``, by default the number of pairs that a statement can take."""
    remaining = iter(items)
    while chunk := list(itertools.islice(remaining, size)):
        yield chunk

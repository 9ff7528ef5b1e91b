"""A database as a whole: what is in it, whether it is sound, and its way into files and back.

Exported tables hold every column but nothing of the database's own (ids are numbers that hold rows together, and are
given anew on import). A run is the same run when all its columns are: importing twice adds nothing.
"""

import contextlib
import csv
import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from sqlalchemy import JSON, Column, DateTime, Float, Integer, Table, func, insert, inspect, select, text

from lrgen.errors import OutputError, StoreError
from lrgen.records import accuracy_of
from lrgen.store import renamed
from lrgen.store.database import Database, alone, chunks
from lrgen.store.metrics import class_scores
from lrgen.store.migrations import MIGRATIONS
from lrgen.store.recording import RECORDED
from lrgen.store.tables import CLASS_DATA, METADATA, RUNS, SCHEDULER_RESULTS

FORMATS = ("csv", "parquet")
_CHUNK = 5_000
_TOLERANCE = 1e-12  # what two ways to add up the same counts may differ by

Rows = Iterator[dict[str, Any]]


@dataclass(frozen=True)
class Imported:
    """How many runs were added, and how many were there already."""

    added: int
    known: int


def info(database: Database) -> dict[str, Any]:
    """Where the database is, its schema, and how much is in it.

    Raises:
        StoreError: when it cannot be read.
        NoResultError: when there is none.
    """
    counts = {table.name: database.rows(select(func.count()).select_from(table))[0]["count_1"] for table in _TABLES}
    newest = database.rows(select(func.max(RUNS.c.timestamp).label("newest")))[0]["newest"]
    by_status = database.rows(select(RUNS.c.status, func.count().label("runs")).group_by(RUNS.c.status))
    with database.session() as connection:
        others = sorted(set(inspect(connection).get_table_names()) - {*METADATA.tables, "lrgen_migrations"})
        if database.sqlite:
            size = connection.execute(text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"))
        else:
            size = connection.execute(text("SELECT pg_database_size(current_database())"))
        taken = int(size.scalar_one())
    return {
        "place": database.place,
        "schema": len(MIGRATIONS),
        "bytes": taken,
        **counts,
        "newest": newest,
        "statuses": {row["status"]: row["runs"] for row in sorted(by_status, key=lambda row: -row["runs"])},
        "other tables": others,
    }


def problems(database: Database) -> Iterator[str]:
    """What is wrong with the database, a sentence each: its file, rows that belong to nothing, and numbers that are not
    those of the confusion matrix beside them.

    Raises:
        StoreError: when it cannot be read at all.
    """
    database.require()
    if database.sqlite:
        with database.session() as connection:
            said = connection.execute(text("PRAGMA integrity_check")).scalars().all()
        yield from (f"the file is damaged: {line}" for line in said if line != "ok")
    r, c = SCHEDULER_RESULTS, CLASS_DATA
    for table, column, other in ((r, r.c.run_id, RUNS), (c, c.c.run_id, RUNS), (c, c.c.result_id, r)):
        orphans = select(func.count()).select_from(table).where(column.is_not(None), column.not_in(select(other.c.id)))
        count = database.rows(orphans)[0]["count_1"]
        if count:
            yield f"{count} rows of {table.name} name a row of {other.name} that is not there"
    for result in _rows(database, select(r).where(r.c.confusion.is_not(None)), r):
        if reason := _contradiction(database, result):
            what = (
                f"{result['model_name']} {result['scheduler_type']}, epoch {result['epoch']} of run {result['run_id']}"
            )
            yield f"{what}: {reason}"


def _contradiction(database: Database, result: dict[str, Any]) -> str:
    """Where a result says something else than its confusion matrix."""
    c, confusion = CLASS_DATA, result["confusion"]
    if any(len(row) != len(confusion) for row in confusion):
        return "the confusion matrix is not square"
    right = accuracy_of(confusion)
    if result["accuracy"] is None or abs(result["accuracy"] - right) > _TOLERANCE:
        return f"accuracy is {result['accuracy']}, the confusion matrix says {right}"
    wanted = {one.class_id: one for one in class_scores(confusion)}
    for row in database.rows(select(c).where(c.c.result_id == result["id"])):
        for name in ("accuracy", "precision", "recall", "f1_score", "support"):
            told, computed = row[name], getattr(wanted.get(row["class_id"]), name, None)
            if told is None or computed is None or abs(told - computed) > _TOLERANCE:
                return f"{name} of {row['class_name']} is {told}, the confusion matrix says {computed}"
    return ""


# Into files.


def backup(database: Database, path: Path, advance: Callable[[int], None] = lambda rows: None) -> None:
    """Copy the database, whatever its kind, into a new SQLite file, while others may go on writing to it.

    Raises:
        OutputError: when the file exists, or cannot be written.
        StoreError: when the database cannot be read.
    """
    if path.exists():
        raise OutputError(f"{path}: exists already, and a backup overwrites nothing")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if database.sqlite:
            _copy_file(database, beside)
        else:
            copy = Database(f"sqlite:///{beside}")
            import_rows(copy, _Open(database), advance)
            copy.close()
            with contextlib.closing(sqlite3.connect(beside)) as connection:  # one file, without a log beside it
                connection.execute("PRAGMA journal_mode = DELETE")
        beside.rename(path)
    except (OSError, sqlite3.Error) as error:
        raise OutputError(f"{path}: cannot be written: {error}") from error
    finally:
        for leftover in path.parent.glob(f"{beside.name}*"):
            leftover.unlink()


def _copy_file(database: Database, path: Path) -> None:
    with database.session() as connection:
        source: Any = connection.connection.driver_connection
        with contextlib.closing(sqlite3.connect(path)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")


def export(database: Database, folder: Path, how: str, advance: Callable[[int], None] = lambda rows: None) -> int:
    """Write each table to a file in a new folder, as ``csv`` or ``parquet``; returns the number of rows.

    In CSV an empty field is NULL, or an empty text where a column has no NULL; JSON stands as text.

    Raises:
        OutputError: when the folder exists, or cannot be written.
    """
    if folder.exists():
        raise OutputError(f"{folder}: exists already, and an export overwrites nothing")
    write = _write_csv if how == "csv" else _write_parquet
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            beside = Path(temporary) / "export"
            beside.mkdir()
            count = 0
            for table in _TABLES:
                for rows in write(_rows(database, select(table), table), table, beside / f"{table.name}.{how}"):
                    count += rows
                    advance(rows)
            beside.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error
    return count


def _write_csv(rows: Rows, table: Table, path: Path) -> Iterator[int]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.c.keys())
        for chunk in chunks(rows, _CHUNK):
            writer.writerows([_text(row[column.name], column) for column in table.c] for row in chunk)
            yield len(chunk)


def _write_parquet(rows: Rows, table: Table, path: Path) -> Iterator[int]:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(column.name, _arrow(pa, column)) for column in table.c])
    with parquet.ParquetWriter(path, schema) as writer:
        for chunk in chunks(rows, _CHUNK):
            plain = [
                {c.name: _json(row[c.name]) if isinstance(c.type, JSON) else row[c.name] for c in table.c}
                for row in chunk
            ]
            writer.write_table(pa.Table.from_pylist(plain, schema))
            yield len(chunk)


def _arrow(pa: Any, column: Column[Any]) -> Any:
    if isinstance(column.type, Integer):
        return pa.int64()
    if isinstance(column.type, Float):
        return pa.float64()
    return pa.timestamp("us") if isinstance(column.type, DateTime) else pa.string()


def _text(value: object, column: Column[Any]) -> str:
    """A value as CSV holds it; floats to the last digit."""
    if value is None:
        return ""
    if isinstance(column.type, JSON):
        return json.dumps(value)
    return value.isoformat() if isinstance(value, datetime) else repr(value) if isinstance(value, float) else str(value)


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value)


# And back.


class Source(Protocol):
    """Where rows come from: each table whole, in the order of its ids, as often as it is asked for."""

    def rows(self, table: Table) -> Rows: ...


class _Open:
    """A database that is open."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self, table: Table) -> Rows:
        return _rows(self._database, select(table), table)


class _Folder:
    """What ``export`` wrote."""

    def __init__(self, folder: Path, how: str) -> None:
        self._folder, self._how = folder, how

    def rows(self, table: Table) -> Rows:
        path = self._folder / f"{table.name}.{self._how}"
        read = _read_csv if self._how == "csv" else _read_parquet
        renew = {RUNS: renamed.run, SCHEDULER_RESULTS: renamed.result}.get(table, dict)
        try:
            for row in read(path, table):  # an earlier version may have written it
                yield renew(row)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path}: not a table of an export: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Source]:
    """A backup, any other database file of lrgen's, or an exported folder, to import from; it stays as it is.

    Raises:
        StoreError: when it is none of these.
    """
    if path.is_dir():
        found = [how for how in FORMATS if (path / f"{RUNS.name}.{how}").is_file()]
        if len(found) != 1:
            raise StoreError(f"{path}: not an export: there is no {RUNS.name}.csv or {RUNS.name}.parquet")
        yield _Folder(path, found[0])
        return
    if not path.is_file():
        raise StoreError(f"{path}: there is no such file or folder")
    with tempfile.TemporaryDirectory(prefix="lrgen-") as folder:  # an old schema is brought up to date in a copy
        copy = Path(folder) / "copy.db"
        try:
            with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as source:
                if not source.execute("SELECT 1 FROM sqlite_master WHERE name = 'lrgen_migrations'").fetchone():
                    raise StoreError(f"{path}: not a database of lrgen's")
                with contextlib.closing(sqlite3.connect(copy)) as target:
                    source.backup(target)
        except sqlite3.Error as error:
            raise StoreError(f"{path}: not a database that can be read: {error}") from error
        database = Database(f"sqlite:///{copy}")
        try:
            yield _Open(database)
        finally:
            database.close()


def import_rows(database: Database, source: Source, advance: Callable[[int], None] = lambda rows: None) -> Imported:
    """Add the runs of a source that are not there, with their results and classes, in one transaction; to recorded runs
    that are there what has come to them since.

    Raises:
        StoreError: when the source or the database cannot be read or written; nothing was added.
    """
    r, c = SCHEDULER_RESULTS, CLASS_DATA
    with database.session(write=True) as connection:
        alone(connection, "import")
        ours = {_identity(row): row["id"] for row in connection.execute(select(RUNS)).mappings()}
        runs: dict[int, int] = {}  # theirs → ours
        added, there_already = 0, 0
        growing: set[int] = set()
        for row in source.rows(RUNS):
            if (known := ours.get(_identity(row))) is not None:
                there_already += 1
                if row["status"] == RECORDED:  # a caller may have gone on with it
                    runs[row["id"]] = known
                    growing.add(known)
                continue
            inserted = insert(RUNS).returning(RUNS.c.id)
            runs[row["id"]] = int(connection.execute(inserted, _without_id(row)).scalar_one())
            added += 1
            advance(1)
        known_results = select(r.c.run_id, r.c.epoch, r.c.id).where(r.c.run_id.in_(growing))
        results = {(run_id, epoch): result_id for run_id, epoch, result_id in connection.execute(known_results)}
        known_classes = select(c.c.run_id, c.c.epoch, c.c.class_id).where(c.c.run_id.in_(growing))
        classes = {tuple(row) for row in connection.execute(known_classes)}
        for chunk in chunks(_as_ours(source.rows(r), runs), _CHUNK):
            new = [row for row in chunk if (row["run_id"], row["epoch"]) not in results]
            if new:
                inserted = insert(r).returning(r.c.id, sort_by_parameter_order=True)
                ids = connection.execute(inserted, [_without_id(row) for row in new]).scalars()
                results |= {(row["run_id"], row["epoch"]): one for row, one in zip(new, ids, strict=True)}
            advance(len(chunk))
        for chunk in chunks(_as_ours(source.rows(c), runs), _CHUNK):
            values = [
                _without_id(row) | {"result_id": results.get((row["run_id"], row["epoch"]))}
                for row in chunk
                if (row["run_id"], row["epoch"], row["class_id"]) not in classes
            ]
            if values:
                connection.execute(insert(c), values)
            advance(len(chunk))
    return Imported(added, there_already)


def _as_ours(rows: Rows, runs: dict[int, int]) -> Rows:
    """The rows of runs that are taken, under our numbers."""
    return (row | {"run_id": runs[row["run_id"]]} for row in rows if row["run_id"] in runs)


def _identity(row: Any) -> bytes:
    """What tells a run from every other: all its columns but its number."""
    values = [str(row[column.name]) for column in RUNS.c if column.name not in ("id", "checks")]
    return hashlib.sha256("\0".join(values).encode()).digest()


def _without_id(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "id"}


def _read_csv(path: Path, table: Table) -> Rows:
    csv.field_size_limit(1 << 27)  # the confusion matrix of a hundred classes is long
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {column.name: _value(row[column.name], column) for column in table.c}


def _value(told: str, column: Column[Any]) -> Any:
    if told == "":
        return None if column.nullable else ""
    if isinstance(column.type, JSON):
        return json.loads(told)
    if isinstance(column.type, DateTime):
        return datetime.fromisoformat(told)
    return int(told) if isinstance(column.type, Integer) else float(told) if isinstance(column.type, Float) else told


def _read_parquet(path: Path, table: Table) -> Rows:
    import pyarrow as pa
    from pyarrow import parquet

    texts = [column.name for column in table.c if isinstance(column.type, JSON)]
    try:
        for batch in parquet.ParquetFile(path).iter_batches(_CHUNK):
            for row in batch.to_pylist():
                yield {
                    name: json.loads(row[name]) if name in texts and row[name] is not None else row[name]
                    for name in table.c.keys()  # noqa: SIM118  a collection of columns is not a dictionary
                }
    except pa.ArrowInvalid as error:
        raise ValueError(str(error)) from error


# What they share.


def _rows(database: Database, query: Any, table: Table) -> Rows:
    """A query over a table, some thousand rows at a time, in the order of its ids."""
    last = 0
    while rows := database.rows(query.where(table.c.id > last).order_by(table.c.id).limit(_CHUNK)):
        yield from rows
        last = rows[-1]["id"]


_TABLES = (RUNS, SCHEDULER_RESULTS, CLASS_DATA)

"""Maintenance of a database: statistics, consistency checks, backup, export and import.

Exported tables have all columns. Ids only connect rows; an import assigns new ones. Two runs are the same when all
other columns are equal, so a second import adds nothing.
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
from lrgen.records import Stage, Status, Training, accuracy_of
from lrgen.store import renamed
from lrgen.store.database import Database, StoredRow, chunks, lock
from lrgen.store.metrics import class_scores
from lrgen.store.migrations import MIGRATIONS
from lrgen.store.recording import RECORDED
from lrgen.store.tables import CLASS_DATA, METADATA, RUNS, SCHEDULER_RESULTS

FORMATS = ("csv", "parquet")
_CHUNK = 5_000
_TOLERANCE = 1e-12  # rounding of two ways to add up the same counts


@dataclass(frozen=True)
class Imported:
    """The number of added runs, and the number of runs that were known before."""

    added: int
    known: int


def info(database: Database) -> dict[str, Any]:
    """Return the place of the database, its schema, its size and the numbers of its rows.

    Raises:
        StoreError: when the database cannot be read.
        NoResultError: when the database does not exist.
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
        size_in_bytes = int(size.scalar_one())
    return {
        "place": database.place,
        "schema": len(MIGRATIONS),
        "bytes": size_in_bytes,
        **counts,
        "newest": newest,
        "statuses": {row["status"]: row["runs"] for row in sorted(by_status, key=lambda row: -row["runs"])},
        "other tables": others,
    }


def problems(database: Database) -> Iterator[str]:
    """Yield a sentence for each problem of the database.

    Problems are a damaged file, rows that refer to missing rows, a status, a stage or a kind of training that does not
    exist, and scores that contradict their confusion matrix.

    Raises:
        StoreError: when the database cannot be read at all.
    """
    database.require()
    if database.sqlite:
        with database.session() as connection:
            report = connection.execute(text("PRAGMA integrity_check")).scalars().all()
        yield from (f"the file is damaged: {line}" for line in report if line != "ok")
    r, c = SCHEDULER_RESULTS, CLASS_DATA
    for table, column, other in ((r, r.c.run_id, RUNS), (c, c.c.run_id, RUNS), (c, c.c.result_id, r)):
        orphans = select(func.count()).select_from(table).where(column.is_not(None), column.not_in(select(other.c.id)))
        count = database.rows(orphans)[0]["count_1"]
        if count:
            yield f"{count} rows of {table.name} refer to missing rows of {other.name}"
    known = {"status": (*Status, RECORDED), "stage": (*Stage, None), "training": (*Training, None)}
    for name, values in known.items():
        for row in database.rows(select(RUNS.c[name], func.count().label("runs")).group_by(RUNS.c[name])):
            if row[name] not in values:
                yield f"{row['runs']} rows of {RUNS.name} have the {name} {row[name]!r}, which does not exist"
    for result in _rows(database, select(r).where(r.c.confusion.is_not(None)), r):
        if reason := _contradiction(database, result):
            place = f"epoch {result['epoch']} of run {result['run_id']}"
            yield f"{result['model_name']} {result['scheduler_type']}, {place}: {reason}"


def _contradiction(database: Database, result: StoredRow) -> str:
    """Return the first contradiction between a result and its confusion matrix, or an empty text."""
    c, confusion = CLASS_DATA, result["confusion"]
    if any(len(row) != len(confusion) for row in confusion):
        return "the confusion matrix is not square"
    accuracy = accuracy_of(confusion)
    if result["accuracy"] is None or abs(result["accuracy"] - accuracy) > _TOLERANCE:
        return f"accuracy is {result['accuracy']}, the confusion matrix gives {accuracy}"
    expected = {scores.class_id: scores for scores in class_scores(confusion)}
    for row in database.rows(select(c).where(c.c.result_id == result["id"])):
        for name in ("accuracy", "precision", "recall", "f1_score", "support"):
            stored, computed = row[name], getattr(expected.get(row["class_id"]), name, None)
            if stored is None or computed is None or abs(stored - computed) > _TOLERANCE:
                return f"{name} of {row['class_name']} is {stored}, the confusion matrix gives {computed}"
    return ""


# Backup and export.


def backup(database: Database, path: Path, advance: Callable[[int], None] = lambda rows: None) -> None:
    """Copy a database of either kind to a new SQLite file; other processes may write to the database meanwhile.

    Raises:
        OutputError: when the file exists or cannot be written.
        StoreError: when the database cannot be read.
    """
    if path.exists():
        raise OutputError(f"{path}: already exists, and a backup overwrites nothing")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if database.sqlite:
            _copy_file(database, temporary)
        else:
            copy = Database(f"sqlite:///{temporary}")
            import_rows(copy, _OpenDatabase(database), advance)
            copy.close()
            with contextlib.closing(sqlite3.connect(temporary)) as connection:  # one file, without a log beside it
                connection.execute("PRAGMA journal_mode = DELETE")
        temporary.rename(path)
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise OutputError(f"{path}: cannot be written: {reason}") from error
    finally:
        for leftover in path.parent.glob(f"{temporary.name}*"):
            leftover.unlink()


def _copy_file(database: Database, path: Path) -> None:
    with database.session() as connection:
        source: Any = connection.connection.driver_connection
        with contextlib.closing(sqlite3.connect(path)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")


def export(database: Database, folder: Path, suffix: str, advance: Callable[[int], None] = lambda rows: None) -> int:
    """Write each table to a ``csv`` or ``parquet`` file in a new folder, and return the number of rows.

    In CSV, an empty field is NULL, or an empty text in a column without NULL; JSON is written as text.

    Raises:
        OutputError: when the folder exists or cannot be written.
    """
    if folder.exists():
        raise OutputError(f"{folder}: already exists, and an export overwrites nothing")
    write = _write_csv if suffix == "csv" else _write_parquet
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            unfinished = Path(temporary) / "export"
            unfinished.mkdir()
            count = 0
            for table in _TABLES:
                for rows in write(_rows(database, select(table), table), table, unfinished / f"{table.name}.{suffix}"):
                    count += rows
                    advance(rows)
            unfinished.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error
    return count


def _write_csv(rows: Iterator[StoredRow], table: Table, path: Path) -> Iterator[int]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.c.keys())
        for chunk in chunks(rows, _CHUNK):
            writer.writerows([_text(row[column.name], column) for column in table.c] for row in chunk)
            yield len(chunk)


def _write_parquet(rows: Iterator[StoredRow], table: Table, path: Path) -> Iterator[int]:
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
    """Return a value as text in CSV; floats keep all digits."""
    if value is None:
        return ""
    if isinstance(column.type, JSON):
        return json.dumps(value)
    return value.isoformat() if isinstance(value, datetime) else repr(value) if isinstance(value, float) else str(value)


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value)


# Import.


class Source(Protocol):
    """A source of rows: ``rows`` yields a whole table in the order of its ids, and may be called repeatedly."""

    def rows(self, table: Table) -> Iterator[StoredRow]: ...


class _OpenDatabase:
    """The rows of an open database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self, table: Table) -> Iterator[StoredRow]:
        return _rows(self._database, select(table), table)


class _ExportedFolder:
    """The rows of a folder that ``export`` wrote."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self._folder, self._suffix = folder, suffix

    def rows(self, table: Table) -> Iterator[StoredRow]:
        path = self._folder / f"{table.name}.{self._suffix}"
        read = _read_csv if self._suffix == "csv" else _read_parquet
        translate = {RUNS: renamed.run, SCHEDULER_RESULTS: renamed.result}.get(table, dict)
        try:
            for row in read(path, table):  # an earlier version may have written the export
                yield translate(row)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path}: not an exported table: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a backup, another SQLite file of lrgen, or an exported folder for an import, without changing it.

    Raises:
        StoreError: when the path is none of these.
    """
    if path.is_dir():
        suffixes = [suffix for suffix in FORMATS if (path / f"{RUNS.name}.{suffix}").is_file()]
        if len(suffixes) != 1:
            raise StoreError(f"{path}: not an export: must contain either {RUNS.name}.csv or {RUNS.name}.parquet")
        yield _ExportedFolder(path, suffixes[0])
        return
    if not path.is_file():
        raise StoreError(f"{path}: there is no such file or folder")
    with tempfile.TemporaryDirectory(prefix="lrgen-") as folder:  # an old schema is migrated in a copy
        copy = Path(folder) / "copy.db"
        try:
            with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as source:
                if not source.execute("SELECT 1 FROM sqlite_master WHERE name = 'lrgen_migrations'").fetchone():
                    raise StoreError(f"{path}: not a database of lrgen")
                with contextlib.closing(sqlite3.connect(copy)) as target:
                    source.backup(target)
        except sqlite3.Error as error:
            raise StoreError(f"{path}: cannot be read as a database: {error}") from error
        database = Database(f"sqlite:///{copy}")
        try:
            yield _OpenDatabase(database)
        finally:
            database.close()


def import_rows(database: Database, source: Source, advance: Callable[[int], None] = lambda rows: None) -> Imported:
    """Add the unknown runs of a source, with their results and classes, in one transaction.

    A known run that a caller recorded gets those results and classes that are new, because the caller may have
    continued it after an earlier import.

    Raises:
        StoreError: when the source or the database cannot be read or written; nothing was added.
    """
    r, c = SCHEDULER_RESULTS, CLASS_DATA
    with database.session(write=True) as connection:
        lock(connection, "import")
        known_runs = {_identity(row): row["id"] for row in connection.execute(select(RUNS)).mappings()}
        run_ids: dict[int, int] = {}  # id in the source → id in the database
        added, known = 0, 0
        recorded_ids: set[int] = set()
        for row in source.rows(RUNS):
            if (known_id := known_runs.get(_identity(row))) is not None:
                known += 1
                if row["status"] == RECORDED:
                    run_ids[row["id"]] = known_id
                    recorded_ids.add(known_id)
                continue
            inserted = insert(RUNS).returning(RUNS.c.id)
            run_ids[row["id"]] = int(connection.execute(inserted, _without_id(row)).scalar_one())
            added += 1
            advance(1)
        known_results = select(r.c.run_id, r.c.epoch, r.c.id).where(r.c.run_id.in_(recorded_ids))
        results = {(run_id, epoch): result_id for run_id, epoch, result_id in connection.execute(known_results)}
        known_classes = select(c.c.run_id, c.c.epoch, c.c.class_id).where(c.c.run_id.in_(recorded_ids))
        classes = {tuple(row) for row in connection.execute(known_classes)}
        for chunk in chunks(_with_run_ids(source.rows(r), run_ids), _CHUNK):
            new = [row for row in chunk if (row["run_id"], row["epoch"]) not in results]
            if new:
                inserted = insert(r).returning(r.c.id, sort_by_parameter_order=True)
                ids = connection.execute(inserted, [_without_id(row) for row in new]).scalars()
                results |= {(row["run_id"], row["epoch"]): new_id for row, new_id in zip(new, ids, strict=True)}
            advance(len(chunk))
        for chunk in chunks(_with_run_ids(source.rows(c), run_ids), _CHUNK):
            values = [
                _without_id(row) | {"result_id": results.get((row["run_id"], row["epoch"]))}
                for row in chunk
                if (row["run_id"], row["epoch"], row["class_id"]) not in classes
            ]
            if values:
                connection.execute(insert(c), values)
            advance(len(chunk))
    return Imported(added, known)


def _with_run_ids(rows: Iterator[StoredRow], run_ids: dict[int, int]) -> Iterator[StoredRow]:
    """Yield the rows of imported runs, with the ids of the runs in the database."""
    return (row | {"run_id": run_ids[row["run_id"]]} for row in rows if row["run_id"] in run_ids)


def _identity(row: Any) -> bytes:
    """Return a digest that identifies a run: of all its columns except the id and the reports of its checks."""
    values = [str(row[column.name]) for column in RUNS.c if column.name not in ("id", "checks")]
    return hashlib.sha256("\0".join(values).encode()).digest()


def _without_id(row: StoredRow) -> StoredRow:
    return {name: value for name, value in row.items() if name != "id"}


def _read_csv(path: Path, table: Table) -> Iterator[StoredRow]:
    csv.field_size_limit(1 << 27)  # the confusion matrix of a hundred classes is long
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            absent = dict.fromkeys(renamed.ADDED - row.keys(), "")
            yield {column.name: _value((row | absent)[column.name], column) for column in table.c}


def _value(field: str, column: Column[Any]) -> Any:
    if field == "":
        return None if column.nullable else ""
    if isinstance(column.type, JSON):
        return json.loads(field)
    if isinstance(column.type, DateTime):
        return datetime.fromisoformat(field)
    return int(field) if isinstance(column.type, Integer) else float(field) if isinstance(column.type, Float) else field


def _read_parquet(path: Path, table: Table) -> Iterator[StoredRow]:
    import pyarrow as pa
    from pyarrow import parquet

    texts = [column.name for column in table.c if isinstance(column.type, JSON)]
    try:
        for batch in parquet.ParquetFile(path).iter_batches(_CHUNK):
            for exported in batch.to_pylist():
                row = dict.fromkeys(renamed.ADDED) | exported
                yield {
                    name: json.loads(row[name]) if name in texts and row[name] is not None else row[name]
                    for name in table.c.keys()  # noqa: SIM118  a collection of columns is not a dictionary
                }
    except pa.ArrowInvalid as error:
        raise ValueError(str(error)) from error


# Reading in chunks.


def _rows(database: Database, query: Any, table: Table) -> Iterator[StoredRow]:
    """Yield the rows of a query over a table, in chunks and in the order of the ids."""
    last = 0
    while rows := database.rows(query.where(table.c.id > last).order_by(table.c.id).limit(_CHUNK)):
        yield from rows
        last = rows[-1]["id"]


_TABLES = (RUNS, SCHEDULER_RESULTS, CLASS_DATA)

"""The results database: writes against the bare driver, and queries over a million class rows."""

import contextlib
import os
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from lrgen.catalogue import Catalogue
from lrgen.records import Candidate, EpochReport, Outcome, Stage, Status
from lrgen.store import Conditions, Store, maintenance
from lrgen.store.tables import CLASS_DATA, RUNS, SCHEDULER_RESULTS

CONDITIONS = Conditions('{"stage": "training"}', "0" * 16, "2.15.0", "cpu", "cifar-100", 0, "0.1.0")
FILES, ROUNDS, EPOCHS = 200, 7, 5
LARGE = 2000  # runs of 5 epochs with 100 classes: a million class rows


def bench(folder: Path, catalogue: Catalogue) -> None:
    """Print both tables."""
    print(f"results: {FILES} files of {EPOCHS} epochs recorded, a transaction each; medians of {ROUNDS} rounds")
    for kind, url in databases(folder):
        for classes in (10, 100):
            writing(kind, url, catalogue, classes)
    print()
    reading(f"sqlite:///{folder}/large.db", catalogue)


def databases(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the kind and the URL of each database."""
    yield "SQLite", f"sqlite:///{folder}/results.db"
    if url := os.environ.get("LRGEN_TEST_POSTGRES"):
        yield "PostgreSQL", url


def outcome(catalogue: Catalogue, number: int, classes: int) -> Outcome:
    """Return a run with dense confusion matrices."""
    variant, name = catalogue.variants[number % len(catalogue.variants)], f"Network{number // len(catalogue.variants)}"
    candidate = Candidate(Path("x.py"), "", f"{number:064}", name, variant.key, variant, {"lr": 0.1})
    row = tuple(range(classes))
    confusion = tuple(row[i:] + row[:i] for i in range(classes))
    epochs = tuple(EpochReport(e + 1, 1.5, 0.5, 1.25 / (e + 1), confusion, 0.1, 3.0) for e in range(EPOCHS))
    return Outcome(candidate, Status.VERIFIED, Stage.TRAINING, "", 20.0, epochs=epochs, accuracy=0.5)


def writing(kind: str, url: str, catalogue: Catalogue, classes: int) -> None:
    """Store.save against the driver, which writes the same rows from texts and numbers."""
    store, names = Store(url), tuple(map(str, range(classes)))
    outcomes = [outcome(catalogue, number, classes) for number in range(FILES)]
    store.save(outcomes[0], CONDITIONS, names)
    with bare(url) as write:
        by_store, by_driver = [], []
        for _ in range(ROUNDS):
            by_driver.append(seconds(lambda: [write() for _ in range(FILES)]))
            by_store.append(seconds(lambda: [store.save(outcome, CONDITIONS, names) for outcome in outcomes]))
    store.close()
    count = FILES * (1 + EPOCHS + EPOCHS * classes)
    ratio = statistics.median(store / driver for store, driver in zip(by_store, by_driver, strict=True))
    speeds = [f"{count / statistics.median(taken):10,.0f} rows/s" for taken in (by_driver, by_store)]
    print(f"  {kind:<12}{classes:4} classes   driver{speeds[0]}   store{speeds[1]}   {ratio:5.2f} times its cost")


@contextlib.contextmanager
def bare(url: str) -> Iterator[Callable[[], None]]:
    """A function that writes the rows of the newest run as a new run, with the driver only."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        connection: Any = sqlite3.connect(address.database or "", isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        mark, begin = "?", "BEGIN IMMEDIATE"
    else:
        import psycopg

        connection, mark, begin = psycopg.connect(url, autocommit=True), "%s", "BEGIN"
    cursor = connection.cursor()
    run_id = cursor.execute("SELECT max(id) FROM lrgen_runs").fetchone()[0]
    content = {}
    for table in (RUNS, SCHEDULER_RESULTS, CLASS_DATA):
        columns = [column.name for column in table.c if column.name != "id"]
        chosen = ", ".join(
            f"CAST({n} AS TEXT)" if n in ("checks", "confusion", "hyperparameters") else n for n in columns
        )
        key = "id" if table is RUNS else "run_id"
        rows = cursor.execute(f"SELECT {chosen} FROM {table.name} WHERE {key} = {run_id} ORDER BY id").fetchall()
        sql = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join([mark] * len(columns))})"
        content[table.name] = sql, columns, rows
    runs, results, classes = content.values()
    per_epoch = len(classes[2]) // len(results[2])
    result_at, class_at = results[1].index("run_id"), [classes[1].index(name) for name in ("run_id", "result_id")]

    def write() -> None:
        cursor.execute(begin)
        new = cursor.execute(f"{runs[0]} RETURNING id", runs[2][0]).fetchone()[0]
        ids = []
        for row in results[2]:
            values = (*row[:result_at], new, *row[result_at + 1 :])
            ids.append(cursor.execute(f"{results[0]} RETURNING id", values).fetchone()[0])
        class_rows = []
        for position, row in enumerate(classes[2]):
            values = list(row)
            values[class_at[0]], values[class_at[1]] = new, ids[position // per_epoch]
            class_rows.append(values)
        cursor.executemany(classes[0], class_rows)
        cursor.execute("COMMIT")

    yield write
    connection.close()


def reading(url: str, catalogue: Catalogue) -> None:
    """Time of each query with a million class rows."""
    store, names = Store(url), tuple(map(str, range(100)))
    for begin in range(0, LARGE, 100):
        store.save_all([outcome(catalogue, number, 100) for number in range(begin, begin + 100)], CONDITIONS, names)
    count = maintenance.info(store)
    print(f"results: queries over {count['class_data']:,} class rows, {count['scheduler_results']:,} epochs (SQLite)")
    file = ("Network3", "A0_007")
    queries: dict[str, Callable[[], object]] = {
        "classes of one epoch": lambda: store.classes(*file, 3),
        "classes at the best epoch": lambda: store.classes(*file),
        "their means": lambda: store.class_means(*file),
        "a confusion matrix": lambda: store.confusion(*file),
        "the best 20 files": lambda: store.best(limit=20),
        "the best 20 of a network": lambda: store.best("Network3", limit=20),
        "unique files of a network, by accuracy": lambda: store.unique(90, ["Network3"]),
        "unique files of a network, by f1": lambda: store.unique(90, ["Network3"], metric="f1"),
        "unique files of all, by accuracy": lambda: store.unique(90),
        "unique files of all, by f1": lambda: store.unique(90, metric="f1"),
        "runs of a network, to compare": lambda: store.best_of_runs("Network3"),
        "failures": store.failures,
    }
    for label, query in queries.items():
        query()
        taken = statistics.median(seconds(query) for _ in range(5))
        print(f"  {label:<42}{1000 * taken:9.1f} ms")
    print()
    store.close()


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun

"""SQLite and PostgreSQL: concurrent writers, killed writers, old schemas, backup, export and import."""

import contextlib
import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from sqlalchemy import text

from lrgen.errors import OutputError, StoreError
from lrgen.records import Status
from lrgen.store import Series, Store, maintenance, migrations, renamed, tables
from lrgen.store.database import chunks
from lrgen.store.metrics import ClassScores
from tests.paths import REPOSITORY
from tests.store.outcomes import CLASSES, CONDITIONS, confusion_of, epoch, outcome

NAMES = ("lrgen_runs", "scheduler_results", "class_data")


def query(store: Store, sql: str) -> list[tuple[Any, ...]]:
    with store.session() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def counts(store: Store) -> tuple[int, ...]:
    return tuple(query(store, f"SELECT COUNT(*) FROM {name}")[0][0] for name in NAMES)


def contents(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table, with positions of rows instead of ids."""
    from sqlalchemy import select

    rows_by_table, ids = {}, {}
    for table in (tables.RUNS, tables.SCHEDULER_RESULTS, tables.CLASS_DATA):
        rows = store.rows(select(table).order_by(table.c.id))
        ids[table.name] = {row["id"]: position for position, row in enumerate(rows)}
        for row in rows:
            del row["id"]
            if "run_id" in row:
                row["run_id"] = ids["lrgen_runs"][row["run_id"]]
            if "result_id" in row:
                row["result_id"] = ids["scheduler_results"].get(row["result_id"])
        rows_by_table[table.name] = rows
    return rows_by_table


@pytest.fixture
def store(any_url) -> Store:
    opened = Store(any_url)
    yield opened
    opened.close()


@pytest.fixture
def filled(store, catalogue) -> Store:
    """Runs of all kinds: verified, failed, of a foreign file, recorded by a caller, with tracked classes only."""
    store.save(outcome(catalogue.variant(1), epoch(1, 3), epoch(2, 8), trace="abc"), CONDITIONS, CLASSES)
    store.save(
        outcome(catalogue.variant(2), status=Status.FAILED, reason='a "quoted", long\nreason'), CONDITIONS, CLASSES
    )
    store.save(outcome(None, epoch(1, loss=float("nan")), source="müde"), CONDITIONS, CLASSES)
    series = Series("ResNet", "A0_003", "cifar-10", seed=2**40)
    store.record_epoch(series, 1, 0.1 + 0.2, 1 / 3, hyperparameters={"lr": 0.1, "name": "ä"})
    store.record_class(series, 1, "cat", ClassScores(3, 0.5, None, 0.5, None, None))
    store.track_classes(Series("VGG", "A0_004", "digits"), 1, CLASSES)
    return store


# Concurrent writers.

WRITERS = """
import os, sys
from tests.store.outcomes import CLASSES, CONDITIONS, epoch, outcome
from lrgen import catalogue
from lrgen.store.metrics import class_scores
from lrgen.store import Store

url, count, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
variant = catalogue.load().variant(1)
class_scores([[1]])  # imports numpy before the fork
for name in names:
    if len(names) > 1 and os.fork():
        continue
    store = Store(url)
    for number in range(count):
        store.save(outcome(variant, epoch(1), model=name, source=f"{name} {number}"), CONDITIONS, CLASSES)
        os.write(1, f"{name} {number}\\n".encode())
    os._exit(0)
sys.exit(max(os.waitstatus_to_exitcode(os.wait()[1]) for _ in names))
"""


def writers(url: str, count: int, *names: str) -> "subprocess.Popen[str]":
    """Start a process for each name, which records ``count`` results and prints a line after each."""
    command = [sys.executable, "-c", WRITERS, url, str(count), *names]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


NETWORKS = [f"network {number}" for number in range(8)]


@pytest.mark.parametrize("results", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_concurrent_writers_record_every_result_once(any_url, results):
    """Eight processes record results: none is lost, duplicated or incomplete."""
    process = writers(any_url, results, *NETWORKS)
    reported = process.communicate()[0].splitlines()
    assert process.returncode == 0
    assert len(reported) == len(set(reported)) == 8 * results
    store = Store(any_url)
    assert counts(store) == (8 * results, 8 * results, 8 * results * len(CLASSES))
    distinct = "SELECT COUNT(*) FROM (SELECT DISTINCT model_name, source_sha256 FROM lrgen_runs) AS runs"
    assert query(store, distinct) == [(8 * results,)]
    incomplete = "SELECT COUNT(*) FROM class_data GROUP BY result_id HAVING COUNT(*) <> 10"
    assert query(store, incomplete) == []
    store.close()


def test_a_killed_writer_leaves_complete_results(any_url):
    """After a writer is killed, all results that it reported are complete, and other writers continue."""
    reported = 0
    for after in (1, 7, 30):
        process = writers(any_url, 1000, f"killed after {after}")
        assert process.stdout is not None
        for _ in range(after):
            assert process.stdout.readline()
            reported += 1
        process.send_signal(signal.SIGKILL)
        reported += len(process.communicate()[0].splitlines())
    store = Store(any_url)
    runs, results, classes = counts(store)
    assert runs == results
    assert classes == 10 * results
    assert reported <= runs <= reported + 3
    assert list(maintenance.problems(store)) == []
    store.close()


def test_processes_can_migrate_a_database_concurrently(any_url):
    """Concurrent processes create the tables of an empty database once."""
    process = writers(any_url, 1, *NETWORKS)
    process.communicate()
    assert process.returncode == 0
    store = Store(any_url)
    numbers = query(store, "SELECT number FROM lrgen_migrations ORDER BY number")
    assert numbers == [(number,) for number in range(1, len(migrations.MIGRATIONS) + 1)]
    assert counts(store) == (8, 8, 80)
    store.close()


# Old and new schemas.


def old_rows(version: int) -> list[str]:
    """Return the statements that insert a run with an epoch and two classes in that schema."""
    status = "proved" if version < 6 else "verified"
    new_columns = {2: ", training", 3: ", isolation", 4: ", trace", 9: ", case_seed, evidence"}
    new_columns |= {10: ", claimed_model, architecture", 11: ", diagnosis"}
    new_values = {
        2: ", 'full'",
        3: ", 'process'",
        4: ", 'abc'",
        9: ", 3, '[]'",
        10: ", 'ResNet', 'equal'",
        11: ", NULL",
    }
    columns = "".join(new_columns.get(number, "") for number in range(2, version + 1))
    values = "".join(new_values.get(number, "") for number in range(2, version + 1))
    training = (", training", ", 'full'") if version >= 2 else ("", "")
    time = "'2026-01-02 03:04:05'"
    return [
        f"""INSERT INTO lrgen_runs (model_name, scheduler_type, variant, variant_name, path, source_sha256, status,
            reason, accuracy, seconds, checks, dataset, seed, device, settings, check_version, torch, lrgen,
            timestamp{columns})
            VALUES ('ResNet', 'A0_001', 1, 'StepLR_default', 'x.py', 'ff', '{status}', '', 0.5, 1.5, '[]', 'digits', 7,
            'cpu', '{{}}', 'v', '2.6', '0.1', {time}{values})""",
        f"""INSERT INTO scheduler_results (model_name, scheduler_type, dataset, task, epoch, accuracy, loss,
            best_accuracy, hyperparameters, timestamp, run_id, seed, device, source_sha256, lr, train_loss,
            train_accuracy, confusion,
            seconds{training[0]}) VALUES ('ResNet', 'A0_001', 'digits', 'img-classification', 1, 0.5, 1.0, 0.5,
            '{{"lr": 0.1}}', {time}, 1, 7, 'cpu', 'ff', 0.1, 1.0, 0.5, '[[1, 1], [1, 1]]', 1.0{training[1]})""",
        *(
            f"""INSERT INTO class_data (model_name, scheduler_type, class_id, class_name, accuracy, precision, recall,
            f1_score, epoch, timestamp, run_id, result_id, dataset, support)
            VALUES ('ResNet', 'A0_001', {number}, 'c{number}', 0.5, 0.5, 0.5, 0.5, 1, {time}, 1, 1, 'digits', 2)"""
            for number in range(2)
        ),
    ]


@pytest.mark.parametrize("version", range(1, len(migrations.MIGRATIONS) + 1))
def test_a_database_of_every_earlier_schema_is_migrated(any_url, catalogue, version, monkeypatch):
    """After the migration, all rows are returned by the current queries, and new results can be added."""
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:version])
        old = Store(any_url)
        with old.session(write=True) as connection:
            for statement in old_rows(version):
                connection.exec_driver_sql(statement)
        old.close()
    store = Store(any_url)
    (row,) = store.best()
    assert (row["model_name"], row["accuracy"], row["seed"], row["training"]) == ("ResNet", 0.5, 7, "full")
    assert [row["class_name"] for row in store.classes("ResNet", "A0_001")] == ["c0", "c1"]
    assert store.confusion("ResNet", "A0_001") == ([[1, 1], [1, 1]], ["c0", "c1"])
    assert [row["metric_value"] for row in store.unique(metric="f1")] == [0.5]
    assert [row["isolation"] for row in store.epochs()] == ["process"]
    store.save(outcome(catalogue.variant(2), epoch(1)), CONDITIONS, CLASSES)
    assert counts(store) == (2, 2, 12)
    assert list(maintenance.problems(store)) == []
    store.close()


# Runs before the sixth schema: status, stage, reason, variant, requested stage, kind of training.
OLD_RUNS = (
    ("proved", None, "", 1, "training", "full"),
    ("proved", None, "", 2, "training", "memorised"),
    ("unproven", None, "there is no variant to compare its schedule with", None, "training", "memorised"),
    ("unproven", None, "there is no variant to compare its schedule with", None, "schedule", None),
    ("unproven", None, "there is no variant to compare its schedule with", None, "contract", None),
    ("unproven", None, "checked up to the schedule stage only", 3, "schedule", None),
    ("unproven", None, "checked up to the syntax stage only", 4, "syntax", None),
    ("failed", "training", "does not learn", 5, "training", "memorised"),
    ("crashed", None, "was lost 3 times with what ran it", 6, "training", None),
    ("recorded", None, "the numbers are the caller's", None, None, None),
)
# The same runs after the migration.
NEW_RUNS = [
    ("verified", "training", "", 1, "full"),
    ("verified", "training", "", 2, "overfit"),
    ("unclaimed", "training", "there is no variant to compare its schedule with", None, "overfit"),
    ("unclaimed", "schedule", "there is no variant to compare its schedule with", None, None),
    ("passed", "contract", "", None, None),
    ("passed", "schedule", "", 3, None),
    ("passed", "syntax", "", 4, None),
    ("failed", "training", "does not learn", 5, "overfit"),
    ("crashed", "syntax", "was lost 3 times with what ran it", 6, None),
    ("recorded", None, "the numbers are the caller's", None, None),
]


def run_of(status, stage, reason, variant, requested, training) -> dict[str, Any]:
    """Return a row of ``lrgen_runs`` in schema 5."""
    command = json.dumps({"epochs": 5, "stage": requested})
    settings = json.dumps({"settings": command, "prm": {}}) if requested else "recorded"
    row = dict.fromkeys(set(tables.RUNS.c.keys()) - renamed.ADDED, "x") | {
        "id": None,
        "accuracy": None,
        "seconds": 1.0,
        "seed": 0,
    }
    row |= {"status": status, "stage": stage, "reason": reason, "variant": variant, "training": training}
    return row | {"settings": settings, "checks": [], "timestamp": datetime(2026, 1, 2)}


def fill_with_old_runs(store: Store) -> None:
    """Insert the runs of ``OLD_RUNS``, each with a result of its kind of training."""
    from sqlalchemy import insert

    r = tables.SCHEDULER_RESULTS
    with store.session(write=True) as connection:
        for number, values in enumerate(OLD_RUNS, start=1):
            connection.execute(insert(tables.RUNS), run_of(*values) | {"id": number})
            names = {"model_name": "x", "scheduler_type": "x", "dataset": "x", "task": "x", "epoch": 1}
            names |= {"timestamp": datetime(2026, 1, 2), "run_id": number, "training": values[-1]}
            connection.execute(insert(r), names)


def runs_of(store: Store) -> list[tuple[Any, ...]]:
    """Return status, stage, reason, variant and kind of training of each run; its result has the same training."""
    runs = query(store, "SELECT status, stage, reason, variant, training FROM lrgen_runs ORDER BY id")
    results = query(store, "SELECT training FROM scheduler_results ORDER BY run_id")
    assert [training for (training,) in results] == [run[-1] for run in runs]
    return runs


def test_old_runs_are_migrated(any_url, monkeypatch):
    """Each status, stage and kind of training of schema 5 gets its current value, for any chunk size."""
    monkeypatch.setattr(migrations, "CHUNK", 3)
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:5])
        old = Store(any_url)
        fill_with_old_runs(old)
        assert sorted({row[0] for row in runs_of(old)}) == ["crashed", "failed", "proved", "recorded", "unproven"]
        old.close()
    store = Store(any_url)
    assert runs_of(store) == NEW_RUNS
    store.close()


@pytest.mark.parametrize("suffix", maintenance.FORMATS)
def test_an_old_export_is_translated(tmp_path, suffix):
    """An export of schema 5 is translated like its database, and its runs are known in a second import."""
    old, new = Store(f"sqlite:///{tmp_path}/old.db"), other(tmp_path)
    fill_with_old_runs(old)
    maintenance.export(old, tmp_path / "tables", suffix)
    old.close()
    for expected in ((len(OLD_RUNS), 0), (0, len(OLD_RUNS))):
        with maintenance.open_source(tmp_path / "tables") as source:
            imported = maintenance.import_rows(new, source)
        assert (imported.added, imported.known) == expected
        assert runs_of(new) == NEW_RUNS
    new.close()


@pytest.mark.parametrize("suffix", maintenance.FORMATS)
def test_an_export_without_later_columns_is_imported(tmp_path, catalogue, suffix):
    """The runs of an export from before case seeds were recorded have none, and are known in a second import."""
    later = ["case_seed", "evidence", "claimed_model", "architecture", "diagnosis"]
    old, new = Store(f"sqlite:///{tmp_path}/old.db"), other(tmp_path)
    old.save(outcome(catalogue.variant(1), epoch(1)), CONDITIONS, CLASSES)
    maintenance.export(old, tmp_path / "tables", suffix)
    old.close()
    runs = tmp_path / "tables" / f"lrgen_runs.{suffix}"
    if suffix == "csv":
        rows = list(csv.reader(runs.read_text().splitlines()))
        assert rows[0][-5:] == later
        with runs.open("w", newline="") as file:
            csv.writer(file).writerows(row[:-5] for row in rows)
    else:
        parquet.write_table(parquet.read_table(runs).drop_columns(later), runs)
    for expected in ((1, 0), (0, 1)):
        with maintenance.open_source(tmp_path / "tables") as source:
            imported = maintenance.import_rows(new, source)
        assert (imported.added, imported.known) == expected
    assert [(row["case_seed"], row["evidence"]) for row in new.newest_runs()] == [(None, None)]
    new.close()


@pytest.mark.parametrize("settings", ["{}", "recorded", "[]", '{"settings": "no JSON"}', '{"stage": "later"}', "null"])
def test_settings_without_a_stage_mean_the_first_stage(settings):
    """An old run whose settings have no stage is translated to ``passed`` at the first stage."""
    row = run_of("unproven", None, "", None, None, None) | {"settings": settings}
    assert renamed.run(row) == row | {"status": "passed", "stage": "syntax"}


def test_hyperparameters_of_an_old_database_get_their_new_names(any_url, monkeypatch):
    """Each row is renamed by its variant; names of other variants and rows without hyperparameters stay."""
    before = {
        "A0_037": '{"lr": 0.1, "warmup": 0.25}',
        "A0_161": '{"start": 0.5, "patience": 0.01, "min_lr_ratio": 0.1, "batch": 64}',
        "A0_041": '{"lr": 0.1, "warmup": 0.25}',
        "A0_034": '{"swa_start_fraction": 0.75, "swa_ratio": 0.05}',
        "A0_035": '{"warmup": 0.2, "swa_start": 0.75, "swa_ratio": 0.05}',
        "A0_900": '{"warmup": 0.25}',
        "file-00ff": '{"patience": 3}',
        "A0_036": None,
        "A0_040": "{}",
    }
    step = next(i for i, (name, _) in enumerate(migrations.MIGRATIONS) if name.startswith("hyperparameters"))
    monkeypatch.setattr(migrations, "CHUNK", 2)
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:step])
        old = Store(any_url)
        statement = text(
            "INSERT INTO scheduler_results"
            " (model_name, scheduler_type, dataset, task, epoch, hyperparameters, timestamp) VALUES"
            " ('ResNet', :key, 'digits', 'img-classification', 1, :prm, '2026-01-02 03:04:05')"
        )
        with old.session(write=True) as connection:
            connection.execute(statement, [{"key": key, "prm": prm} for key, prm in before.items()])
        old.close()
    store = Store(any_url)
    r = tables.SCHEDULER_RESULTS
    assert {row["scheduler_type"]: row["hyperparameters"] for row in store.rows(r.select())} == {
        "A0_037": {"lr": 0.1, "warmup_fraction": 0.25},
        "A0_161": {"initial_lr_ratio": 0.5, "patience_fraction": 0.01, "min_lr_ratio": 0.1, "batch": 64},
        "A0_041": {"lr": 0.1, "warmup": 0.25},
        "A0_034": {"anneal_start_fraction": 0.75, "final_lr_ratio": 0.05},
        "A0_035": {"warmup_fraction": 0.2, "anneal_start_fraction": 0.75, "final_lr_ratio": 0.05},
        "A0_900": {"warmup": 0.25},
        "file-00ff": {"patience": 3},
        "A0_036": None,
        "A0_040": {},
    }
    store.close()


def test_runs_of_a_renamed_variant_get_its_new_name(any_url, monkeypatch):
    """The name of a run's variant is the catalogue's, in a database and in an export of an earlier version."""
    before = ["SWALR_linear_base", "StepLR_default", None]
    after = ["warmup_anneal_to_constant", "StepLR_default", None]
    rows = [run_of("failed", "training", "", None, None, None) | {"variant_name": name} for name in before]
    assert [renamed.run(row)["variant_name"] for row in rows] == after
    step = next(i for i, (name, _) in enumerate(migrations.MIGRATIONS) if name.startswith("annealing"))
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:step])
        old = Store(any_url)
        with old.session(write=True) as connection:
            for number, row in enumerate(rows, start=1):
                connection.execute(tables.RUNS.insert(), row | {"id": number})
        old.close()
    store = Store(any_url)
    assert [name for (name,) in query(store, "SELECT variant_name FROM lrgen_runs ORDER BY id")] == after
    store.close()


def test_a_newer_schema_is_an_error(any_url, filled, catalogue):
    """A database of a newer version is neither read nor written, and no row is lost."""
    with filled.session(write=True) as connection:
        connection.execute(text("INSERT INTO lrgen_migrations VALUES (99, 'from the future', '2031-01-01')"))
    before = counts(filled)
    for operation in (lambda s: s.best(), lambda s: s.save(outcome(None), CONDITIONS, ()), maintenance.info):
        newer = Store(any_url)
        with pytest.raises(StoreError, match=r"^the database has schema 99, this lrgen knows \d+: update lrgen$"):
            operation(newer)
        newer.close()
    assert counts(filled) == before


# Backup, export and import.


def other(tmp_path: Path) -> Store:
    return Store(f"sqlite:///{tmp_path}/other.db")


def test_a_backup_is_a_complete_database(filled, tmp_path):
    """A backup is a single SQLite file with every row, and can be used as a database."""
    maintenance.backup(filled, tmp_path / "deep" / "backup.db")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["backup.db"]
    copy = Store(f"sqlite:///{tmp_path}/deep/backup.db")
    assert contents(copy) == contents(filled)
    assert copy.best() == filled.best()
    copy.close()


@pytest.mark.parametrize("suffix", maintenance.FORMATS)
def test_an_export_is_imported_unchanged(filled, tmp_path, suffix):
    """An export and its import keep every row exactly; a second import adds nothing."""
    progress = []
    count = maintenance.export(filled, tmp_path / "tables", suffix, progress.append)
    assert count == sum(counts(filled)) == sum(progress)
    assert {path.name for path in (tmp_path / "tables").iterdir()} == {f"{name}.{suffix}" for name in NAMES}
    target = other(tmp_path)
    for expected in ((len(contents(filled)["lrgen_runs"]), 0), (0, len(contents(filled)["lrgen_runs"]))):
        with maintenance.open_source(tmp_path / "tables") as source:
            imported = maintenance.import_rows(target, source)
        assert (imported.added, imported.known) == expected
        assert contents(target) == contents(filled)
    target.close()


def test_an_import_adds_runs(any_url, filled, tmp_path, catalogue):
    """An imported run gets a new id and keeps its results and classes."""
    second = other(tmp_path)
    second.save(outcome(catalogue.variant(7), epoch(1, 9), epoch(2, 4)), CONDITIONS, CLASSES)
    second.close()
    before = contents(filled)
    with maintenance.open_source(tmp_path / "other.db") as source:
        assert maintenance.import_rows(filled, source) == maintenance.Imported(1, 0)
    for name, rows in before.items():
        assert contents(filled)[name][: len(rows)] == rows
    assert [row["accuracy"] for row in filled.classes("ResNet", "A0_007", 1)] == [0.9] * 10
    filled.save(outcome(catalogue.variant(8), epoch(1)), CONDITIONS, CLASSES)  # the next ids are free
    assert list(maintenance.problems(filled)) == []


@pytest.mark.parametrize("suffix", maintenance.FORMATS)
def test_hyperparameters_of_an_old_export_get_their_new_names(store, tmp_path, suffix):
    """Hyperparameters that were renamed after an export are imported under their new names."""
    store.record_epoch(Series("ResNet", "A0_037", "digits"), 1, 0.5, None, hyperparameters={"lr": 0.1})
    store.record_epoch(Series("ResNet", "A0_041", "digits"), 1, 0.5, None, hyperparameters={"warmup": 0.1})
    with store.session(write=True) as connection:
        old = '{"lr": 0.1, "warmup": 0.25}'
        connection.execute(
            text("UPDATE scheduler_results SET hyperparameters = :old WHERE scheduler_type = 'A0_037'"), {"old": old}
        )
    maintenance.export(store, tmp_path / "tables", suffix)
    target = other(tmp_path)
    with maintenance.open_source(tmp_path / "tables") as source:
        maintenance.import_rows(target, source)
    imported = {row["scheduler_type"]: row["hyperparameters"] for row in contents(target)["scheduler_results"]}
    assert imported == {"A0_037": {"lr": 0.1, "warmup_fraction": 0.25}, "A0_041": {"warmup": 0.1}}
    target.close()


def test_a_callers_hyperparameters_get_their_new_names(store):
    """A caller's hyperparameters under old names are recorded under the new names."""
    store.record_epoch(Series("ResNet", "A0_144", "digits"), 1, 0.5, None, hyperparameters={"decay": 0.3, "lr": 0.1})
    (row,) = contents(store)["scheduler_results"]
    assert row["hyperparameters"] == {"decay_fraction": 0.3, "lr": 0.1}


def test_a_failed_import_adds_nothing(filled, tmp_path):
    """A truncated table is an error, and no row of the export is added."""
    maintenance.export(filled, tmp_path / "tables", "csv")
    classes = tmp_path / "tables" / "class_data.csv"
    classes.write_text(classes.read_text()[:-40] + "\n")
    target = other(tmp_path)
    target.prepare()
    with (
        maintenance.open_source(tmp_path / "tables") as source,
        pytest.raises(StoreError, match=r"/class_data\.csv: not an exported table: \w+: "),
    ):
        maintenance.import_rows(target, source)
    assert counts(target) == (0, 0, 0)
    target.close()


def test_an_old_backup_can_be_imported(tmp_path, monkeypatch):
    """A file of an earlier schema is migrated in a copy and stays unchanged."""
    path = tmp_path / "old.db"
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
        old = Store(f"sqlite:///{path}")
        with old.session(write=True) as connection:
            for statement in old_rows(1):
                connection.exec_driver_sql(statement)
        old.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    before = path.read_bytes()
    target = other(tmp_path)
    with maintenance.open_source(path) as source:
        assert maintenance.import_rows(target, source).added == 1
    assert len(target.best()) == 1
    assert path.read_bytes() == before
    target.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "there is no such file or folder$"),
        (lambda path: path.mkdir(), r"not an export: must contain either lrgen_runs\.csv or lrgen_runs\.parquet$"),
        (lambda path: path.write_text("text " * 100), "cannot be read as a database: file is not a database$"),
        (
            lambda path: sqlite3.connect(path).execute("CREATE TABLE nn (name TEXT)").connection.commit(),
            "not a database of lrgen$",
        ),
    ],
)
def test_an_invalid_source_is_an_error(tmp_path, make, message):
    """The import of a missing file, an empty folder, a text and a foreign database are errors."""
    make(tmp_path / "source")
    with pytest.raises(StoreError, match=f"/source: {message}"), maintenance.open_source(tmp_path / "source"):
        pass


def test_a_backup_and_an_export_overwrite_nothing(filled, tmp_path):
    """A backup or an export to an existing path is an error and writes nothing."""
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match="/taken: already exists, and a backup overwrites nothing$"):
        maintenance.backup(filled, tmp_path / "taken")
    with pytest.raises(OutputError, match="/taken: already exists, and an export overwrites nothing$"):
        maintenance.export(filled, tmp_path / "taken", "csv")
    assert list((tmp_path / "taken").iterdir()) == []


def test_csv_has_empty_fields_for_null_and_json_for_matrices(filled, tmp_path):
    """In CSV, NULL is an empty field, a matrix is JSON, and floats keep all digits."""
    maintenance.export(filled, tmp_path / "tables", "csv")
    with (tmp_path / "tables" / "scheduler_results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert json.loads(rows[0]["confusion"]) == [list(row) for row in epoch(1, 3).confusion]
    assert rows[2]["loss"] == ""
    assert float(rows[3]["accuracy"]) == 0.1 + 0.2


# Consistency checks.


def test_a_consistent_database_has_no_problems(filled):
    """``problems`` reports nothing for rows that lrgen wrote."""
    assert list(maintenance.problems(filled)) == []


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (
            "UPDATE scheduler_results SET accuracy = 0.99 WHERE id = 1",
            "accuracy is 0.99, the confusion matrix gives 0.3",
        ),
        ("UPDATE class_data SET recall = 0.0 WHERE id = 2", "recall of b is 0.0, the confusion matrix gives 0.3"),
        ("UPDATE class_data SET support = NULL WHERE id = 3", "support of c is None, the confusion matrix gives 10"),
        ("UPDATE scheduler_results SET confusion = '[[1, 2]]' WHERE id = 1", "the confusion matrix is not square"),
    ],
)
def test_a_contradiction_to_the_confusion_matrix_is_reported(filled, damage, problem):
    """A changed score is reported with its file, epoch and run."""
    with filled.session(write=True) as connection:
        connection.execute(text(damage))
    assert list(maintenance.problems(filled)) == [f"ResNet A0_001, epoch 1 of run 1: {problem}"]


@pytest.mark.parametrize("column", ["status", "stage", "training"])
def test_a_value_that_does_not_exist_is_reported(filled, column):
    """A status, a stage or a kind of training that lrgen does not know is reported with the number of its runs."""
    with filled.session(write=True) as connection:
        connection.execute(text(f"UPDATE lrgen_runs SET {column} = 'proved' WHERE id = 1"))
    assert list(maintenance.problems(filled)) == [
        f"1 rows of lrgen_runs have the {column} 'proved', which does not exist"
    ]


def test_orphaned_rows_are_reported(tmp_path, catalogue):
    """Results and classes of a run that another tool deleted are reported (PostgreSQL prevents the deletion)."""
    store = other(tmp_path)
    store.save(outcome(catalogue.variant(1), epoch(1)), CONDITIONS, CLASSES)
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("DELETE FROM lrgen_runs")
        connection.commit()
    assert list(maintenance.problems(store)) == [
        "1 rows of scheduler_results refer to missing rows of lrgen_runs",
        "10 rows of class_data refer to missing rows of lrgen_runs",
    ]
    store.close()


def test_a_damaged_file_is_reported(tmp_path, catalogue):
    """An overwritten page of an index is reported."""
    store = other(tmp_path)
    for number in range(60):
        store.save(outcome(catalogue.variant(1), epoch(1), source=str(number)), CONDITIONS, CLASSES)
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_class_data_file'").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with (tmp_path / "other.db").open("r+b") as file:
        file.seek(root * size - 400)
        file.write(b"\xff" * 300)
    store = other(tmp_path)
    try:
        problems = list(maintenance.problems(store))
    except StoreError as error:
        problems = [str(error)]
    assert problems
    store.close()


def test_info_counts_rows(filled, any_url):
    """``info`` returns the schema, the size, and the numbers of rows by table and by status."""
    info = maintenance.info(filled)
    assert tuple(info[name] for name in NAMES) == counts(filled)
    assert info["schema"] == len(migrations.MIGRATIONS)
    assert sum(info["statuses"].values()) == info["lrgen_runs"]
    assert info["other tables"] == []
    assert info["bytes"] > 0


# The command line.


def test_the_commands_work_together(lrgen, catalogue, any_url, filled, tmp_path):
    """``db backup``, ``export``, ``import``, ``info`` and ``check`` work on each other's output."""
    assert lrgen("db", "backup", "copy.db", "--db", any_url)[0] == 0
    assert lrgen("db", "export", "tables", "--parquet", "--db", any_url)[0] == 0
    code, out, _ = lrgen("db", "import", "copy.db", "--db", "sqlite:///new.db", "--json")
    assert (code, json.loads(out)) == (0, {"added": 5, "known": 0})
    code, out, _ = lrgen("db", "import", "tables", "--db", "sqlite:///new.db", "--json")
    assert (code, json.loads(out)) == (0, {"added": 0, "known": 5})
    code, out, _ = lrgen("db", "info", "--db", "sqlite:///new.db", "--json")
    assert json.loads(out)["lrgen_runs"] == 5
    assert lrgen("db", "info", "--db", "sqlite:///new.db")[0] == 0
    assert lrgen("db", "check", "--db", "sqlite:///new.db")[:2] == (0, "no problems\n")
    with filled.session(write=True) as connection:
        connection.execute(text("UPDATE scheduler_results SET accuracy = 0.99 WHERE id = 1"))
    code, out, _ = lrgen("db", "check", "--db", any_url, "--json")
    assert (code, len(json.loads(out))) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["db", "export", "x"], "db export needs one of --csv and --parquet"),
        (["db", "export", "x", "--csv", "--parquet"], "db export needs one of --csv and --parquet"),
        (["db", "info"], "there is no database at db/ab.nn.db"),
        (["db", "backup", "x"], "there is no database"),
        (["db", "check"], "there is no database"),
        (["db", "import", "nowhere"], "nowhere: there is no such file or folder"),
    ],
)
def test_invalid_use_of_db_is_an_error(lrgen, arguments, message):
    """Invalid use exits with 2 and a message, and creates nothing."""
    code, _, err = lrgen(*arguments)
    assert code == 2
    assert message in err
    assert not os.path.exists("db") or not os.listdir("db")


def test_an_unreachable_server_is_an_error(lrgen):
    """The message about an unreachable server has its address, without password and traceback."""
    url = "postgresql://me:secret@127.0.0.1:1/results"
    code, _, err = lrgen("results", "best", "--db", url)
    assert code == 2
    assert "127.0.0.1:1" in err
    assert "secret" not in err
    assert "Traceback" not in err


def test_a_second_writer_continues_after_a_commit(any_url, store, catalogue):
    """Of two stores in one process, the second writes after the first has committed."""
    store.prepare()
    second = Store(any_url, busy_timeout=10)
    with store.session(write=True):
        pass
    assert second.save(outcome(catalogue.variant(1), epoch(1)), CONDITIONS, CLASSES) == 1
    assert store.save(outcome(catalogue.variant(1), epoch(1)), CONDITIONS, CLASSES) == 2
    second.close()


def test_recorded_results_are_the_same_in_both_kinds_of_database(store):
    """All queries of a caller's epochs and classes return the same rows in SQLite and PostgreSQL."""
    series = Series("ResNet", "A0_001", "digits")
    store.track_classes(series, 1, CLASSES)
    store.record_epoch(series, 1, 0.3, 2.0, confusion=confusion_of(3), classes=CLASSES)
    store.record_epoch(series, 2, 0.8, 1.0, confusion=confusion_of(8), classes=CLASSES)
    store.record_epoch(series, 2, 0.5, 1.5)
    assert [row["accuracy"] for row in store.best()] == [0.5]
    assert [(row["epoch"], row["accuracy"]) for row in store.epochs()] == [(2, 0.5)]
    assert {row["accuracy"] for row in store.classes("ResNet", "A0_001", 1)} == {0.3}
    assert store.confusion("ResNet", "A0_001", 2)[0] == confusion_of(8)
    assert [row["accuracy"] for row in store.best_of_runs("ResNet")] == [0.8, 0.5]
    assert [row["metric_value"] for row in store.unique(metric="loss")] == [1.5]
    assert store.failures() == []
    assert counts(store) == (2, 3, 20)


def test_an_import_adds_later_epochs_of_a_recorded_run(any_url, store, tmp_path):
    """When a caller continues an imported run, the next import adds the later epochs, once."""
    second, series = other(tmp_path), Series("ResNet", "A0_001", "digits")
    for epochs in ((1, 2), (3,)):
        for number in epochs:
            second.record_epoch(series, number, 0.8, 1.0, confusion=confusion_of(8), classes=CLASSES)
        with maintenance.open_source(tmp_path / "other.db") as source:
            maintenance.import_rows(store, source)
        with maintenance.open_source(tmp_path / "other.db") as source:
            maintenance.import_rows(store, source)
    assert counts(store) == (1, 3, 30)
    assert [row["epoch"] for row in store.epochs()] == [1, 2, 3]
    assert list(maintenance.problems(store)) == []
    second.close()


def test_durations_are_returned_by_stage(store, catalogue):
    """``durations`` returns the seconds of files that were run up to the same stage."""
    import dataclasses

    conditions = dataclasses.replace(CONDITIONS, settings=json.dumps({"stage": "training", "epochs": 5}))
    store.save(outcome(catalogue.variant(1), epoch(1)), conditions, CLASSES)
    assert store.durations(conditions) == {("ResNet", "A0_001"): 11.5}
    syntax = dataclasses.replace(conditions, settings=json.dumps({"stage": "syntax", "epochs": 5}))
    assert store.durations(syntax) == {}


@pytest.mark.parametrize("name", ["r#2.db", "100%.db", "what?.db"])
def test_a_file_name_with_special_characters_can_be_imported(tmp_path, catalogue, name):
    """Characters with a meaning in URLs are accepted in the name of an imported file."""
    second = other(tmp_path)
    second.save(outcome(catalogue.variant(1), epoch(1)), CONDITIONS, CLASSES)
    second.close()
    (tmp_path / "other.db").rename(tmp_path / name)
    with maintenance.open_source(tmp_path / name) as source:
        assert len(list(source.rows(tables.RUNS))) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {name, f"{name}-wal", f"{name}-shm"}


def test_a_path_that_cannot_be_written_is_an_error(filled, tmp_path):
    """A backup and an export below a file are OutputErrors."""
    (tmp_path / "file").write_text("x")
    for write in (
        lambda: maintenance.backup(filled, tmp_path / "file" / "x.db"),
        lambda: maintenance.export(filled, tmp_path / "file" / "x", "csv"),
    ):
        with pytest.raises(OutputError, match=r"/file/x(\.db)?: cannot be written: "):
            write()


def test_characters_that_no_database_accepts_are_escaped(store, catalogue, tmp_path):
    """A surrogate and a null character in a reason are recorded as escapes."""
    from lrgen.records import Stage, VerifySettings
    from lrgen.verify import run
    from lrgen.verify.isolation import Isolation

    good = (REPOSITORY / "generated" / "ResNet" / "A0_001.py").read_text()
    bad = good.replace("    step_size =", '    raise ValueError("bad \\ud800 \\0 text")\n    step_size =')
    assert bad != good
    for name, text_of in (("bad", bad), ("good", good)):
        (tmp_path / f"{name}.py").write_text(text_of)
    paths = [tmp_path / "bad.py", tmp_path / "good.py"]
    candidates = run.from_paths(catalogue, paths, tmp_path, catalogue.variant(1))
    options = {"workers": 1, "timeout": 60, "isolation": Isolation.PROCESS}
    outcomes = list(run.verify(candidates, VerifySettings(stage=Stage.SCHEDULE), store, **options))
    assert sorted(result.status for result in outcomes) == [Status.FAILED, Status.PASSED]
    (failure,) = store.failures()
    assert "bad \\ud800 \\x00 text" in failure["reason"]


@pytest.mark.parametrize(
    ("count", "lengths"),
    [(0, []), (1, [1]), (400, [400]), (401, [400, 1])],
)
def test_chunks_have_every_item_once_and_in_order(count, lengths):
    """The default size is the maximum of a statement, and the last chunk has the remaining items."""
    parts = list(chunks(range(count)))
    assert [len(chunk) for chunk in parts] == lengths
    assert [item for chunk in parts for item in chunk] == list(range(count))
    assert list(chunks("abcde", 2)) == [["a", "b"], ["c", "d"], ["e"]]

"""The same demands on SQLite and PostgreSQL: many writers, kills, old schemas, the way into files and back."""

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
from sqlalchemy import text

from lrgen.errors import OutputError, StoreError
from lrgen.records import Status
from lrgen.store import Series, Store, database, maintenance, migrations, renamed, tables
from lrgen.store.database import chunks
from lrgen.store.metrics import ClassScores
from tests.paths import REPOSITORY
from tests.store.test_store import CLASSES, CONDITIONS, diagonal, epoch, outcome

NAMES = ("lrgen_runs", "scheduler_results", "class_data")


def ask(store: Store, sql: str) -> list[tuple[Any, ...]]:
    with store.session() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def counts(store: Store) -> tuple[int, ...]:
    return tuple(ask(store, f"SELECT COUNT(*) FROM {name}")[0][0] for name in NAMES)


def contents(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, without the numbers that hold them together: those of the rows they name instead."""
    from sqlalchemy import select

    found, ids = {}, {}
    for table in (tables.RUNS, tables.SCHEDULER_RESULTS, tables.CLASS_DATA):
        rows = store.rows(select(table).order_by(table.c.id))
        ids[table.name] = {row["id"]: position for position, row in enumerate(rows)}
        for row in rows:
            del row["id"]
            if "run_id" in row:
                row["run_id"] = ids["lrgen_runs"][row["run_id"]]
            if "result_id" in row:
                row["result_id"] = ids["scheduler_results"].get(row["result_id"])
        found[table.name] = rows
    return found


@pytest.fixture
def store(any_url) -> Store:
    opened = Store(any_url)
    yield opened
    opened.close()


@pytest.fixture
def filled(store, catalogue) -> Store:
    """Runs of every kind: verified, failed, foreign, recorded by a caller, classes that are only tracked."""
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


# Many at once.

WRITERS = """
import os, sys
from tests.store.test_store import CLASSES, CONDITIONS, epoch, outcome
from lrgen import catalogue
from lrgen.store.metrics import class_scores
from lrgen.store import Store

url, count, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
variant = catalogue.load().variant(1)
class_scores([[1]])  # what all of them need is loaded once
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
    """A process for each name, that records so many results one by one and says so of each."""
    command = [sys.executable, "-c", WRITERS, url, str(count), *names]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


EIGHT = [f"network {number}" for number in range(8)]


@pytest.mark.parametrize("results", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_what_many_write_at_once_is_all_there_once(any_url, results):
    """Eight processes record so many results each: none is lost, none is there twice, each is whole."""
    process = writers(any_url, results, *EIGHT)
    reported = process.communicate()[0].splitlines()
    assert process.returncode == 0
    assert len(reported) == len(set(reported)) == 8 * results
    store = Store(any_url)
    assert counts(store) == (8 * results, 8 * results, 8 * results * len(CLASSES))
    different = "SELECT COUNT(*) FROM (SELECT DISTINCT model_name, source_sha256 FROM lrgen_runs) AS runs"
    assert ask(store, different) == [(8 * results,)]
    whole = "SELECT COUNT(*) FROM class_data GROUP BY result_id HAVING COUNT(*) <> 10"
    assert ask(store, whole) == []
    store.close()


def test_a_writer_that_is_killed_leaves_whole_results(any_url):
    """Killed at some moment while writing: what it reported is there, no half of a result is, and others go on."""
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


def test_many_may_bring_a_database_up_to_date_at_once(any_url):
    """Processes that meet at an empty database make its tables once."""
    process = writers(any_url, 1, *EIGHT)
    process.communicate()
    assert process.returncode == 0
    store = Store(any_url)
    numbers = ask(store, "SELECT number FROM lrgen_migrations ORDER BY number")
    assert numbers == [(number,) for number in range(1, len(migrations.MIGRATIONS) + 1)]
    assert counts(store) == (8, 8, 80)
    store.close()


# Old and new schemas.


def old_rows(version: int) -> list[str]:
    """A run with an epoch and two classes, as a database of that schema holds them."""
    status = "proved" if version < 6 else "verified"
    later = {2: ", training", 3: ", isolation", 4: ", trace"}
    values = {2: ", 'full'", 3: ", 'process'", 4: ", 'abc'"}
    more = "".join(later.get(number, "") for number in range(2, version + 1))
    given = "".join(values.get(number, "") for number in range(2, version + 1))
    trained = (", training", ", 'full'") if version >= 2 else ("", "")
    when = "'2026-01-02 03:04:05'"
    return [
        f"""INSERT INTO lrgen_runs (model_name, scheduler_type, variant, variant_name, path, source_sha256, status,
            reason, accuracy, seconds, checks, dataset, seed, device, settings, check_version, torch, lrgen,
            timestamp{more})
            VALUES ('ResNet', 'A0_001', 1, 'StepLR_default', 'x.py', 'ff', '{status}', '', 0.5, 1.5, '[]', 'digits', 7,
            'cpu', '{{}}', 'v', '2.6', '0.1', {when}{given})""",
        f"""INSERT INTO scheduler_results (model_name, scheduler_type, dataset, task, epoch, accuracy, loss,
            best_accuracy, hyperparameters, timestamp, run_id, seed, device, source_sha256, lr, train_loss,
            train_accuracy, confusion,
            seconds{trained[0]}) VALUES ('ResNet', 'A0_001', 'digits', 'img-classification', 1, 0.5, 1.0, 0.5,
            '{{"lr": 0.1}}', {when}, 1, 7, 'cpu', 'ff', 0.1, 1.0, 0.5, '[[1, 1], [1, 1]]', 1.0{trained[1]})""",
        *(
            f"""INSERT INTO class_data (model_name, scheduler_type, class_id, class_name, accuracy, precision, recall,
            f1_score, epoch, timestamp, run_id, result_id, dataset, support)
            VALUES ('ResNet', 'A0_001', {number}, 'c{number}', 0.5, 0.5, 0.5, 0.5, 1, {when}, 1, 1, 'digits', 2)"""
            for number in range(2)
        ),
    ]


@pytest.mark.parametrize("version", range(1, len(migrations.MIGRATIONS) + 1))
def test_a_database_of_every_earlier_schema_is_brought_up_to_date(any_url, catalogue, version, monkeypatch):
    """Its rows are all there, today's questions find them, and new results stand beside them."""
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
    assert [one["class_name"] for one in store.classes("ResNet", "A0_001")] == ["c0", "c1"]
    assert store.confusion("ResNet", "A0_001") == ([[1, 1], [1, 1]], ["c0", "c1"])
    assert [one["metric_value"] for one in store.unique(metric="f1")] == [0.5]
    assert [one["isolation"] for one in store.epochs()] == ["process"]
    store.save(outcome(catalogue.variant(2), epoch(1)), CONDITIONS, CLASSES)
    assert counts(store) == (2, 2, 12)
    assert list(maintenance.problems(store)) == []
    store.close()


# Of a run before the sixth schema: status, stage, reason, variant, the stage that it was asked for, kind of training.
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
# The same runs today.
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


def run_of(status, stage, reason, variant, asked, training) -> dict[str, Any]:
    """A row of ``lrgen_runs`` as schema 5 holds it."""
    settings = json.dumps({"settings": json.dumps({"epochs": 5, "stage": asked}), "prm": {}}) if asked else "recorded"
    row = dict.fromkeys(tables.RUNS.c.keys(), "x") | {"id": None, "accuracy": None, "seconds": 1.0, "seed": 0}
    row |= {"status": status, "stage": stage, "reason": reason, "variant": variant, "training": training}
    return row | {"settings": settings, "checks": [], "timestamp": datetime(2026, 1, 2)}


def fill_with_old_words(store: Store) -> None:
    """The runs of ``OLD_RUNS``, each with a result of its kind of training."""
    from sqlalchemy import insert

    r = tables.SCHEDULER_RESULTS
    with store.session(write=True) as connection:
        for number, values in enumerate(OLD_RUNS, start=1):
            connection.execute(insert(tables.RUNS), run_of(*values) | {"id": number})
            names = {"model_name": "x", "scheduler_type": "x", "dataset": "x", "task": "x", "epoch": 1}
            names |= {"timestamp": datetime(2026, 1, 2), "run_id": number, "training": values[-1]}
            connection.execute(insert(r), names)


def words(store: Store) -> list[tuple[Any, ...]]:
    """Status, stage, reason, variant and kind of training of each run, which its result has as well."""
    runs = ask(store, "SELECT status, stage, reason, variant, training FROM lrgen_runs ORDER BY id")
    results = ask(store, "SELECT training FROM scheduler_results ORDER BY run_id")
    assert [training for (training,) in results] == [run[-1] for run in runs]
    return runs


def test_old_words_become_todays(any_url, monkeypatch):
    """Each status, stage and kind of training of schema 5 ends as what it is called today, whatever the batch size."""
    monkeypatch.setattr(migrations, "_CHUNK", 3)
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:5])
        old = Store(any_url)
        fill_with_old_words(old)
        assert sorted({row[0] for row in words(old)}) == ["crashed", "failed", "proved", "recorded", "unproven"]
        old.close()
    store = Store(any_url)
    assert words(store) == NEW_RUNS
    store.close()


@pytest.mark.parametrize("how", maintenance.FORMATS)
def test_an_old_export_is_imported_in_todays_words(tmp_path, how):
    """An export of schema 5 is translated as its database is, and is known when it is imported again."""
    old, new = Store(f"sqlite:///{tmp_path}/old.db"), other(tmp_path)
    fill_with_old_words(old)
    maintenance.export(old, tmp_path / "tables", how)
    old.close()
    for expected in ((len(OLD_RUNS), 0), (0, len(OLD_RUNS))):
        with maintenance.opened(tmp_path / "tables") as source:
            found = maintenance.import_rows(new, source)
        assert (found.added, found.known) == expected
        assert words(new) == NEW_RUNS
    new.close()


@pytest.mark.parametrize("settings", ["{}", "recorded", "[]", '{"settings": "no JSON"}', '{"stage": "later"}', "null"])
def test_settings_without_a_stage_claim_the_least(settings):
    """A run whose settings do not name a stage is said to have passed the first check."""
    row = run_of("unproven", None, "", None, None, None) | {"settings": settings}
    assert renamed.run(row) == row | {"status": "passed", "stage": "syntax"}


def test_an_old_databases_hyperparameters_get_the_names_of_today(any_url, monkeypatch):
    """Each row by its variant; names that the variant never had, and rows without hyperparameters, stay."""
    before = {
        "A0_037": '{"lr": 0.1, "warmup": 0.25}',
        "A0_161": '{"start": 0.5, "patience": 0.01, "min_lr_ratio": 0.1, "batch": 64}',
        "A0_041": '{"lr": 0.1, "warmup": 0.25}',
        "A0_900": '{"warmup": 0.25}',
        "file-00ff": '{"patience": 3}',
        "A0_036": None,
        "A0_040": "{}",
    }
    step = next(i for i, (name, _) in enumerate(migrations.MIGRATIONS) if name.startswith("hyperparameters"))
    monkeypatch.setattr(migrations, "_CHUNK", 2)
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
        "A0_900": {"warmup": 0.25},
        "file-00ff": {"patience": 3},
        "A0_036": None,
        "A0_040": {},
    }
    store.close()


def test_a_newer_schema_is_refused(any_url, filled, catalogue):
    """A database that a later version has changed is neither read nor written, and nothing in it is lost."""
    with filled.session(write=True) as connection:
        connection.execute(text("INSERT INTO lrgen_migrations VALUES (99, 'from the future', '2031-01-01')"))
    before = counts(filled)
    for question in (lambda s: s.best(), lambda s: s.save(outcome(None), CONDITIONS, ()), maintenance.info):
        newer = Store(any_url)
        with pytest.raises(StoreError, match="schema 99.*update lrgen"):
            question(newer)
        newer.close()
    assert counts(filled) == before


# Into files and back.


def other(tmp_path: Path) -> Store:
    return Store(f"sqlite:///{tmp_path}/other.db")


def test_a_backup_is_a_database(filled, tmp_path):
    """A copy in one SQLite file that holds every row, and can be used as it is."""
    maintenance.backup(filled, tmp_path / "deep" / "backup.db")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["backup.db"]
    copy = Store(f"sqlite:///{tmp_path}/deep/backup.db")
    assert contents(copy) == contents(filled)
    assert copy.best() == filled.best()
    copy.close()


@pytest.mark.parametrize("how", maintenance.FORMATS)
def test_an_export_comes_back(filled, tmp_path, how):
    """Every row of every table, to the last digit, through files and into another database; once, however often."""
    told = []
    count = maintenance.export(filled, tmp_path / "tables", how, told.append)
    assert count == sum(counts(filled)) == sum(told)
    assert {path.name for path in (tmp_path / "tables").iterdir()} == {f"{name}.{how}" for name in NAMES}
    target = other(tmp_path)
    for expected in ((len(contents(filled)["lrgen_runs"]), 0), (0, len(contents(filled)["lrgen_runs"]))):
        with maintenance.opened(tmp_path / "tables") as source:
            found = maintenance.import_rows(target, source)
        assert (found.added, found.known) == expected
        assert contents(target) == contents(filled)
    target.close()


def test_an_import_adds_to_what_is_there(any_url, filled, tmp_path, catalogue):
    """Runs of two databases end in one, each under a new number, with its own results and classes."""
    theirs = other(tmp_path)
    theirs.save(outcome(catalogue.variant(7), epoch(1, 9), epoch(2, 4)), CONDITIONS, CLASSES)
    theirs.close()
    before = contents(filled)
    with maintenance.opened(tmp_path / "other.db") as source:
        assert maintenance.import_rows(filled, source) == maintenance.Imported(1, 0)
    for name, rows in before.items():
        assert contents(filled)[name][: len(rows)] == rows
    assert [row["accuracy"] for row in filled.classes("ResNet", "A0_007", 1)] == [0.9] * 10
    filled.save(outcome(catalogue.variant(8), epoch(1)), CONDITIONS, CLASSES)  # the next numbers are free
    assert list(maintenance.problems(filled)) == []


@pytest.mark.parametrize("how", maintenance.FORMATS)
def test_an_old_export_comes_back_under_the_names_of_today(store, tmp_path, how):
    """Hyperparameters that were renamed since an export was written are imported under their new names."""
    store.record_epoch(Series("ResNet", "A0_037", "digits"), 1, 0.5, None, hyperparameters={"lr": 0.1})
    store.record_epoch(Series("ResNet", "A0_041", "digits"), 1, 0.5, None, hyperparameters={"warmup": 0.1})
    with store.session(write=True) as connection:
        old = '{"lr": 0.1, "warmup": 0.25}'
        connection.execute(
            text("UPDATE scheduler_results SET hyperparameters = :old WHERE scheduler_type = 'A0_037'"), {"old": old}
        )
    maintenance.export(store, tmp_path / "tables", how)
    target = other(tmp_path)
    with maintenance.opened(tmp_path / "tables") as source:
        maintenance.import_rows(target, source)
    imported = {row["scheduler_type"]: row["hyperparameters"] for row in contents(target)["scheduler_results"]}
    assert imported == {"A0_037": {"lr": 0.1, "warmup_fraction": 0.25}, "A0_041": {"warmup": 0.1}}
    target.close()


def test_a_callers_result_is_recorded_under_the_names_of_today(store):
    """A caller who trained a file of an earlier version may pass the hyperparameters that it had."""
    store.record_epoch(Series("ResNet", "A0_144", "digits"), 1, 0.5, None, hyperparameters={"decay": 0.3, "lr": 0.1})
    (row,) = contents(store)["scheduler_results"]
    assert row["hyperparameters"] == {"decay_fraction": 0.3, "lr": 0.1}


def test_an_import_is_whole_or_not_at_all(filled, tmp_path):
    """A table that breaks off in the middle adds nothing."""
    maintenance.export(filled, tmp_path / "tables", "csv")
    classes = tmp_path / "tables" / "class_data.csv"
    classes.write_text(classes.read_text()[:-40] + "\n")
    target = other(tmp_path)
    target.prepare()
    with (
        maintenance.opened(tmp_path / "tables") as source,
        pytest.raises(StoreError, match="class_data.csv: not a table"),
    ):
        maintenance.import_rows(target, source)
    assert counts(target) == (0, 0, 0)
    target.close()


def test_an_old_backup_can_be_imported(tmp_path, monkeypatch):
    """A file of an earlier schema is brought up to date in a copy, and stays as it is."""
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
    with maintenance.opened(path) as source:
        assert maintenance.import_rows(target, source).added == 1
    assert len(target.best()) == 1
    assert path.read_bytes() == before
    target.close()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "there is no such file or folder"),
        (lambda path: path.mkdir(), "not an export"),
        (lambda path: path.write_text("nothing of the kind " * 100), "not a database that can be read"),
        (
            lambda path: sqlite3.connect(path).execute("CREATE TABLE nn (name TEXT)").connection.commit(),
            "not a database of",
        ),
    ],
)
def test_what_cannot_be_imported_is_told(tmp_path, make, told):
    """Nothing, an empty folder, a text, somebody else's database."""
    make(tmp_path / "source")
    with pytest.raises(StoreError, match=told), maintenance.opened(tmp_path / "source"):
        pass


def test_nothing_is_overwritten(filled, tmp_path):
    """A backup and an export go to new places, and leave nothing behind when they do not."""
    (tmp_path / "taken").mkdir()
    for write in (
        lambda: maintenance.backup(filled, tmp_path / "taken"),
        lambda: maintenance.export(filled, tmp_path / "taken", "csv"),
    ):
        with pytest.raises(OutputError, match="taken: exists already"):
            write()
    assert list((tmp_path / "taken").iterdir()) == []


def test_csv_says_null_and_json(filled, tmp_path):
    """A spreadsheet shows what is not measured as empty, and a matrix as JSON."""
    maintenance.export(filled, tmp_path / "tables", "csv")
    with (tmp_path / "tables" / "scheduler_results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert json.loads(rows[0]["confusion"]) == [list(row) for row in epoch(1, 3).confusion]
    assert rows[2]["loss"] == ""
    assert float(rows[3]["accuracy"]) == 0.1 + 0.2


# Soundness.


def test_a_sound_database_has_no_problems(filled):
    """Nothing is reported of what lrgen wrote."""
    assert list(maintenance.problems(filled)) == []


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            "UPDATE scheduler_results SET accuracy = 0.99 WHERE id = 1",
            "accuracy is 0.99, the confusion matrix says 0.3",
        ),
        ("UPDATE class_data SET recall = 0.0 WHERE id = 2", "recall of b is 0.0, the confusion matrix says 0.3"),
        ("UPDATE class_data SET support = NULL WHERE id = 3", "support of c is None"),
        ("UPDATE scheduler_results SET confusion = '[[1, 2]]' WHERE id = 1", "the confusion matrix is not square"),
    ],
)
def test_a_number_that_was_changed_is_found(filled, damage, told):
    """What contradicts the confusion matrix beside it is told with its place."""
    with filled.session(write=True) as connection:
        connection.execute(text(damage))
    (found,) = maintenance.problems(filled)
    assert found.startswith("ResNet A0_001, epoch 1 of run 1: ")
    assert told in found


def test_rows_that_belong_to_nothing_are_found(tmp_path, catalogue):
    """A tool that removes runs and forgets their results leaves orphans (PostgreSQL itself forbids it)."""
    store = other(tmp_path)
    store.save(outcome(catalogue.variant(1), epoch(1)), CONDITIONS, CLASSES)
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("DELETE FROM lrgen_runs")
        connection.commit()
    found = list(maintenance.problems(store))
    assert found == [
        "1 rows of scheduler_results name a row of lrgen_runs that is not there",
        "10 rows of class_data name a row of lrgen_runs that is not there",
    ]
    store.close()


def test_a_damaged_file_is_found(tmp_path, catalogue):
    """A page of an index that was overwritten: the file opens, and the check says what is wrong."""
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
        found = list(maintenance.problems(store))
    except StoreError as error:
        found = [str(error)]
    assert found
    store.close()


def test_info_counts(filled, any_url):
    """What ``lrgen db info`` tells is what is in the tables."""
    found = maintenance.info(filled)
    assert tuple(found[name] for name in NAMES) == counts(filled)
    assert found["schema"] == len(migrations.MIGRATIONS)
    assert sum(found["statuses"].values()) == found["lrgen_runs"]
    assert found["other tables"] == []
    assert found["bytes"] > 0


# Through the command line.


def test_the_commands_work_together(lrgen, catalogue, any_url, filled, tmp_path):
    """backup, export, import, check and info, as a user calls them."""
    assert lrgen("db", "backup", "copy.db", "--db", any_url)[0] == 0
    assert lrgen("db", "export", "tables", "--parquet", "--db", any_url)[0] == 0
    code, out, _ = lrgen("db", "import", "copy.db", "--db", "sqlite:///new.db", "--json")
    assert (code, json.loads(out)) == (0, {"added": 5, "known": 0})
    code, out, _ = lrgen("db", "import", "tables", "--db", "sqlite:///new.db", "--json")
    assert (code, json.loads(out)) == (0, {"added": 0, "known": 5})
    code, out, _ = lrgen("db", "info", "--db", "sqlite:///new.db", "--json")
    assert json.loads(out)["lrgen_runs"] == 5
    assert lrgen("db", "info", "--db", "sqlite:///new.db")[0] == 0
    assert lrgen("db", "check", "--db", "sqlite:///new.db")[:2] == (0, "nothing is wrong\n")
    with filled.session(write=True) as connection:
        connection.execute(text("UPDATE scheduler_results SET accuracy = 0.99 WHERE id = 1"))
    code, out, _ = lrgen("db", "check", "--db", any_url, "--json")
    assert (code, len(json.loads(out))) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["db", "export", "x"], "db export takes --csv or --parquet"),
        (["db", "export", "x", "--csv", "--parquet"], "db export takes --csv or --parquet"),
        (["db", "info"], "there is no database at db/ab.nn.db"),
        (["db", "backup", "x"], "there is no database"),
        (["db", "check"], "there is no database"),
        (["db", "import", "nowhere"], "nowhere: there is no such file or folder"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(lrgen, arguments, told):
    """Exit code 2, one sentence, and nothing is created."""
    code, _, err = lrgen(*arguments)
    assert code == 2
    assert told in err
    assert not os.path.exists("db") or not os.listdir("db")


def test_a_server_that_is_not_there_is_told(lrgen):
    """A sentence without a password, and not a traceback."""
    url = "postgresql://me:secret@127.0.0.1:1/results"
    code, _, err = lrgen("results", "best", "--db", url)
    assert code == 2
    assert "127.0.0.1:1" in err
    assert "secret" not in err
    assert "Traceback" not in err


def test_a_lock_of_another_writer_is_waited_for(any_url, store, catalogue, monkeypatch):
    """Two writers of one process: the second goes on when the first has committed."""
    monkeypatch.setattr(database, "_BUSY_SECONDS", 10)
    store.prepare()
    second = Store(any_url)
    with store.session(write=True):
        pass
    assert second.save(outcome(catalogue.variant(1), epoch(1)), CONDITIONS, CLASSES) == 1
    assert store.save(outcome(catalogue.variant(1), epoch(1)), CONDITIONS, CLASSES) == 2
    second.close()


def test_recorded_numbers_are_the_same_everywhere(store):
    """What callers bring, over epochs and classes, is answered alike by both kinds of database."""
    series = Series("ResNet", "A0_001", "digits")
    store.track_classes(series, 1, CLASSES)
    store.record_epoch(series, 1, 0.3, 2.0, confusion=diagonal(3), classes=CLASSES)
    store.record_epoch(series, 2, 0.8, 1.0, confusion=diagonal(8), classes=CLASSES)
    store.record_epoch(series, 2, 0.5, 1.5)
    assert [row["accuracy"] for row in store.best()] == [0.5]
    assert [(row["epoch"], row["accuracy"]) for row in store.epochs()] == [(2, 0.5)]
    assert {row["accuracy"] for row in store.classes("ResNet", "A0_001", 1)} == {0.3}
    assert store.confusion("ResNet", "A0_001", 2)[0] == diagonal(8)
    assert [row["accuracy"] for row in store.best_of_runs("ResNet")] == [0.8, 0.5]
    assert [row["metric_value"] for row in store.unique(metric="loss")] == [1.5]
    assert store.failures() == []
    assert counts(store) == (2, 3, 20)


def test_an_import_brings_what_has_come_to_a_recorded_run(any_url, store, tmp_path):
    """A caller goes on with a run after it was imported: the later epochs come with the next import."""
    theirs, series = other(tmp_path), Series("ResNet", "A0_001", "digits")
    for epochs in ((1, 2), (3,)):
        for number in epochs:
            theirs.record_epoch(series, number, 0.8, 1.0, confusion=diagonal(8), classes=CLASSES)
        with maintenance.opened(tmp_path / "other.db") as source:
            maintenance.import_rows(store, source)
        with maintenance.opened(tmp_path / "other.db") as source:  # twice is as good as once
            maintenance.import_rows(store, source)
    assert counts(store) == (1, 3, 30)
    assert [row["epoch"] for row in store.epochs()] == [1, 2, 3]
    assert list(maintenance.problems(store)) == []
    theirs.close()


def test_durations_are_found_everywhere(store, catalogue):
    """How long files took is known by the stage they went up to, in either kind of database."""
    import dataclasses

    conditions = dataclasses.replace(CONDITIONS, settings=json.dumps({"stage": "training", "epochs": 5}))
    store.save(outcome(catalogue.variant(1), epoch(1)), conditions, CLASSES)
    assert store.durations(conditions) == {("ResNet", "A0_001"): 11.5}
    syntax = dataclasses.replace(conditions, settings=json.dumps({"stage": "syntax", "epochs": 5}))
    assert store.durations(syntax) == {}


@pytest.mark.parametrize("name", ["r#2.db", "100%.db", "what?.db"])
def test_an_odd_file_name_can_be_imported(tmp_path, catalogue, name):
    """Signs that mean something in an address are part of a name like any other."""
    theirs = other(tmp_path)
    theirs.save(outcome(catalogue.variant(1), epoch(1)), CONDITIONS, CLASSES)
    theirs.close()
    (tmp_path / "other.db").rename(tmp_path / name)
    with maintenance.opened(tmp_path / name) as source:
        assert len(list(source.rows(tables.RUNS))) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {name, f"{name}-wal", f"{name}-shm"}


def test_a_place_that_cannot_be_written_is_told(filled, tmp_path):
    """A file where a folder must be: an error of ours for the backup and for the export."""
    (tmp_path / "file").write_text("x")
    for write in (
        lambda: maintenance.backup(filled, tmp_path / "file" / "x.db"),
        lambda: maintenance.export(filled, tmp_path / "file" / "x", "csv"),
    ):
        with pytest.raises(OutputError, match="cannot be written"):
            write()


def test_what_a_file_says_can_be_recorded(store, catalogue, tmp_path):
    """Characters that no database takes do not stop a batch: they are written out in the reason."""
    from lrgen.records import Stage, VerifySettings
    from lrgen.verify import run
    from lrgen.verify.sandbox import Isolation

    good = (REPOSITORY / "generated" / "ResNet" / "A0_001.py").read_text()
    bad = good.replace("    step_size =", '    raise ValueError("bad \\ud800 \\0 text")\n    step_size =')
    assert bad != good
    for name, text_of in (("bad", bad), ("good", good)):
        (tmp_path / f"{name}.py").write_text(text_of)
    paths = [tmp_path / "bad.py", tmp_path / "good.py"]
    candidates = run.from_paths(catalogue, paths, tmp_path, catalogue.variant(1))
    how = {"workers": 1, "timeout": 60, "isolation": Isolation.PROCESS}
    ended = list(run.verify(candidates, VerifySettings(stage=Stage.SCHEDULE), store, **how))
    assert sorted(one.status for one in ended) == [Status.FAILED, Status.PASSED]
    (failure,) = store.failures()
    assert "bad \\ud800 \\0 text" in failure["reason"]


@pytest.mark.parametrize(
    ("count", "lengths"),
    [(0, []), (1, [1]), (400, [400]), (401, [400, 1])],
)
def test_chunks_hold_every_item_once_and_in_order(count, lengths):
    """By default there are as many as one statement takes, and the last chunk holds what is left."""
    found = list(chunks(range(count)))
    assert [len(chunk) for chunk in found] == lengths
    assert [item for chunk in found for item in chunk] == list(range(count))
    assert list(chunks("abcde", 2)) == [["a", "b"], ["c", "d"], ["e"]]

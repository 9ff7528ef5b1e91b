"""The results database: one contract for every kind of it, and what must never happen to a file of results."""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from lrgen.errors import NoResultError, StoreError
from lrgen.records import Candidate, CheckReport, EpochReport, Outcome, Stage, Status, Variant
from lrgen.store import Conditions, Store, database, key_of, migrations, rows, tables
from lrgen.store.metrics import class_scores

CLASSES = tuple("abcdefghij")
CONDITIONS = Conditions(
    settings='{"epochs": 5}',
    check_version="0123456789abcdef",
    torch="2.15.0",
    device="cpu",
    dataset="digits",
    seed=0,
    lrgen="0.1.0",
)
NOBODY = 65534


def diagonal(right: int) -> list[list[int]]:
    """The confusion matrix of ten classes with ten images each, so many of which are classified rightly."""
    rows = [[0] * 10 for _ in CLASSES]
    for actual, row in enumerate(rows):
        row[actual] += right
        row[(actual + 1) % 10] += 10 - right
    return rows


def epoch(number: int, right: int = 8, **values: Any) -> EpochReport:
    """An evaluated epoch of ten classes with ten images each, of which ``right`` are classified rightly."""
    confusion = tuple(map(tuple, diagonal(right)))
    standard = {"train_loss": 1.5, "train_accuracy": 0.4, "loss": 1 / number, "lr": 0.1, "seconds": 2.0}
    return EpochReport(epoch=number, confusion=confusion, **standard | values)


def outcome(
    variant: Variant | None,
    *epochs: EpochReport,
    status: Status = Status.VERIFIED,
    model: str = "ResNet",
    source: str = "pass",
    **values: Any,
) -> Outcome:
    sha256 = hashlib.sha256(source.encode()).hexdigest()
    candidate = Candidate(
        path=Path(f"generated/{model}/file.py"),
        source=source,
        sha256=sha256,
        model_name=model,
        scheduler_type=variant.key if variant else f"file-{sha256[:8]}",
        variant=variant,
        prm={"lr": 0.1, "momentum": 0.9},
    )
    standard = {
        "stage": Stage.TRAINING,
        "reason": "" if status in (Status.VERIFIED, Status.PASSED) else "for a reason",
        "seconds": 11.5,
        "checks": (CheckReport(Stage.SYNTAX, True, "", 0.1),),
        "accuracy": max((one.accuracy for one in epochs), default=None),
    }
    return Outcome(candidate=candidate, status=status, epochs=epochs, **standard | values)


@pytest.fixture(params=["a file", "a file with an odd name", "memory", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Every kind of database, empty."""
    urls = {
        "a file": f"sqlite:///{tmp_path}/new/folder/results.db",
        "a file with an odd name": f"sqlite:///{tmp_path}/Ergebnisse für müde #1.db",
        "memory": "sqlite://",
    }
    kind = request.param
    opened = Store(request.getfixturevalue("postgres") if kind == "postgresql" else urls[kind])
    yield opened
    opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.db"


@pytest.fixture
def kept(path: Path, catalogue) -> Store:
    """A database on disk that holds one run of two epochs."""
    opened = Store(url(path))
    opened.save(outcome(catalogue.variant(1), epoch(1, 3), epoch(2, 8)), CONDITIONS, CLASSES)
    return opened


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock is waited for, but not for long."""
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.1)


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def counts(path: Path) -> tuple[int, int, int]:
    """Rows of runs, results and classes."""
    return tuple(
        query(path, f"SELECT COUNT(*) FROM {table}")[0][0]
        for table in ("lrgen_runs", "scheduler_results", "class_data")
    )


# The contract.


def test_an_empty_store_has_nothing(store, catalogue):
    """Nothing is made up: no results, no failures, nothing to reuse, and the classes are an error."""
    store.prepare()
    assert store.best() == []
    assert store.failures() == []
    assert store.reusable([outcome(catalogue.variant(1)).candidate], CONDITIONS) == {}
    with pytest.raises(NoResultError, match="no class metrics of ResNet A0_001 .*lrgen verify"):
        store.classes("ResNet", "A0_001")


def test_what_is_saved_is_found(store, catalogue):
    """A run with its epochs comes back with the numbers that were measured."""
    variant = catalogue.variant(1)
    first, second = epoch(1, 3), epoch(2, 8)
    store.save(outcome(variant, first, second), CONDITIONS, CLASSES)
    (row,) = store.best()
    assert row["model_name"] == "ResNet"
    assert row["scheduler_type"] == "A0_001"
    assert row["variant_name"] == variant.name
    assert row["dataset"] == "digits"
    assert (row["epoch"], row["accuracy"], row["loss"]) == (2, 0.8, 0.5)
    assert row["status"] == "verified"
    assert row["hyperparameters"] == {**variant.defaults, "lr": 0.1, "momentum": 0.9}
    wanted = class_scores(second.confusion)
    found = store.classes("ResNet", "A0_001")
    assert [one["class_name"] for one in found] == list(CLASSES)
    assert [one["class_id"] for one in found] == list(range(10))
    for one, scores in zip(found, wanted, strict=True):
        told = {name: one[name] for name in ("accuracy", "precision", "recall", "f1_score", "support")}
        assert told == {name: value for name, value in vars(scores).items() if name != "class_id"}


def test_best_is_the_best_epoch_of_the_newest_run(store, catalogue):
    """A later run of the same file stands for it, also when it is worse; of its epochs the best, of equal ones the
    first."""
    variant = catalogue.variant(1)
    store.save(outcome(variant, epoch(1, 9)), CONDITIONS, CLASSES)
    store.save(outcome(variant, epoch(1, 5), epoch(2, 7), epoch(3, 7), epoch(4, 6)), CONDITIONS, CLASSES)
    assert [(row["epoch"], row["accuracy"]) for row in store.best()] == [(2, 0.7)]


def test_best_comes_first(store, catalogue):
    """Files are ordered by accuracy, then loss, then name, and cut at the limit."""
    for number, right, loss in ((1, 5, 1.0), (2, 9, 1.0), (3, 7, 0.5), (4, 7, 0.2), (6, 7, 0.5)):
        store.save(outcome(catalogue.variant(number), epoch(1, right, loss=loss)), CONDITIONS, CLASSES)
    keys = ["A0_002", "A0_004", "A0_003", "A0_006", "A0_001"]
    assert [row["scheduler_type"] for row in store.best()] == keys
    assert [row["scheduler_type"] for row in store.best(limit=2)] == keys[:2]


def test_best_can_be_restricted(store, catalogue):
    """To a model and to a dataset, each with the newest run of its own."""
    elsewhere = dataclasses.replace(CONDITIONS, dataset="cifar-10")
    variant = catalogue.variant(1)
    store.save(outcome(variant, epoch(1, 9)), CONDITIONS, CLASSES)
    store.save(outcome(variant, epoch(1, 4)), elsewhere, CLASSES)
    store.save(outcome(variant, epoch(1, 6), model="ConvNeXt"), CONDITIONS, CLASSES)

    def told(**chosen: str) -> list[tuple[str, str, float]]:
        return [(row["model_name"], row["dataset"], row["accuracy"]) for row in store.best(**chosen)]

    assert told(model="ResNet") == [("ResNet", "digits", 0.9), ("ResNet", "cifar-10", 0.4)]
    assert told(dataset="digits") == [("ResNet", "digits", 0.9), ("ConvNeXt", "digits", 0.6)]
    assert told(model="ResNet", dataset="cifar-10") == [("ResNet", "cifar-10", 0.4)]
    assert told(model="nobody") == []


def test_a_run_without_epochs_hides_no_results(store, catalogue):
    """A later run that was never trained (a lower stage, a failure before it) leaves the measured results visible."""
    variant = catalogue.variant(1)
    store.save(outcome(variant, epoch(1, 9)), CONDITIONS, CLASSES)
    store.save(outcome(variant, status=Status.PASSED, stage=Stage.SCHEDULE), CONDITIONS, ())
    assert [row["accuracy"] for row in store.best()] == [0.9]
    assert len(store.classes("ResNet", "A0_001")) == 10


def test_classes_are_of_the_epoch_that_is_asked_for(store, catalogue):
    """By default the best epoch, else the one that is given."""
    store.save(outcome(catalogue.variant(1), epoch(1, 3), epoch(2, 8), epoch(3, 6)), CONDITIONS, CLASSES)
    assert {row["epoch"] for row in store.classes("ResNet", "A0_001")} == {2}
    assert {(row["epoch"], row["recall"]) for row in store.classes("ResNet", "A0_001", 3)} == {(3, 0.6)}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ResNet", "A0_001", 9), "no class metrics of ResNet A0_001 at epoch 9 (evaluated epochs: 1, 2, 11)"),
        (("ResNet", "A0_002"), "no class metrics of ResNet A0_002 (it was never trained here: run lrgen verify)"),
        (("ResNet18", "A0_001"), "no class metrics of ResNet18 A0_001 (it was never trained here: run lrgen verify)"),
        (
            ("ResNet", "A0_001", None, "cifar-10"),
            "no class metrics of ResNet A0_001 on cifar-10 (it was never trained here: run lrgen verify)",
        ),
    ],
)
def test_classes_that_were_never_measured_are_an_error(store, catalogue, arguments, told):
    """The error names what was asked for and the epochs that were evaluated."""
    store.save(outcome(catalogue.variant(1), epoch(1, 3), epoch(2, 8), epoch(11, 6)), CONDITIONS, CLASSES)
    with pytest.raises(NoResultError) as raised:
        store.classes(*arguments)
    assert str(raised.value) == told


def test_the_means_over_the_classes_are_scikit_learns(store, catalogue):
    """Macro counts each class once, weighted each as often as it has images."""
    from sklearn.metrics import precision_recall_fscore_support

    confusion = ((5, 3, 2), (1, 30, 9), (0, 2, 1))
    one = dataclasses.replace(epoch(1), confusion=confusion)
    store.save(outcome(catalogue.variant(1), one), CONDITIONS, ("a", "b", "c"))
    actual = [i for i, row in enumerate(confusion) for count in row for _ in range(count)]
    predicted = [j for row in confusion for j, count in enumerate(row) for _ in range(count)]
    for row in store.class_means("ResNet", "A0_001"):
        wanted = precision_recall_fscore_support(actual, predicted, average=row["mean"])
        assert [row["precision"], row["recall"], row["f1_score"]] == pytest.approx(wanted[:3])
        assert row["accuracy"] == row["recall"]
        assert (row["support"], row["epoch"]) == (53, 1)


def test_failures_are_of_the_newest_runs(store, catalogue):
    """A file that was repaired is no failure any more, one that broke is; newest first."""
    one, two, three, four = (catalogue.variant(number) for number in (1, 2, 3, 4))
    store.save(outcome(one, status=Status.FAILED), CONDITIONS, ())
    store.save(outcome(two, epoch(1)), CONDITIONS, CLASSES)
    store.save(outcome(three, status=Status.PASSED, stage=Stage.SCHEDULE), CONDITIONS, ())
    store.save(outcome(four, status=Status.TIMED_OUT, reason="takes longer than 900 s"), CONDITIONS, ())
    assert [row["scheduler_type"] for row in store.failures()] == ["A0_004", "A0_001"]
    assert store.failures()[0] | {"timestamp": None} == {
        "model_name": "ResNet",
        "scheduler_type": "A0_004",
        "variant_name": four.name,
        "status": "timed out",
        "stage": "training",
        "reason": "takes longer than 900 s",
        "seconds": 11.5,
        "path": "generated/ResNet/file.py",
        "timestamp": None,
    }
    store.save(outcome(one), CONDITIONS, ())
    store.save(outcome(two, status=Status.CRASHED), CONDITIONS, ())
    assert [row["scheduler_type"] for row in store.failures()] == ["A0_002", "A0_004"]


def test_nothing_is_overwritten(store, catalogue):
    """Saving the same outcome again adds a run and keeps the one before."""
    one = outcome(catalogue.variant(1), epoch(1))
    first = store.save(one, CONDITIONS, CLASSES)
    second = store.save(one, CONDITIONS, CLASSES)
    assert second > first
    with store.session() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM class_data").scalar_one() == 20


def test_a_known_result_is_reused(store, catalogue):
    """The same file under the same conditions comes back as it ended, and says that it is reused."""
    one = outcome(catalogue.variant(1), epoch(1, 3), epoch(2, 8))
    store.save(one, CONDITIONS, CLASSES)
    found = store.reusable([one.candidate], CONDITIONS)
    assert list(found) == [key_of(one.candidate)]
    again = found[key_of(one.candidate)]
    assert again.candidate is one.candidate
    assert (again.status, again.stage, again.reason) == (Status.VERIFIED, Stage.TRAINING, "")
    assert (again.accuracy, again.seconds, again.reused) == (0.8, 11.5, True)


@pytest.mark.parametrize("status", Status)
def test_only_final_results_are_reused(store, catalogue, status):
    """What timed out, crashed or ran out of memory is tried again; a failure is known to fail."""
    one = outcome(catalogue.variant(1), status=status)
    store.save(one, CONDITIONS, ())
    assert bool(store.reusable([one.candidate], CONDITIONS)) == status.final


@pytest.mark.parametrize(
    "changed",
    [{"settings": '{"epochs": 6}'}, {"check_version": "f" * 16}, {"torch": "2.16.0"}, {"device": "cuda"}],
    ids=lambda changed: next(iter(changed)),
)
def test_other_conditions_are_other_results(store, catalogue, changed):
    """A change of settings, checks, torch or device means that everything is verified again."""
    one = outcome(catalogue.variant(1))
    store.save(one, CONDITIONS, ())
    assert store.reusable([one.candidate], dataclasses.replace(CONDITIONS, **changed)) == {}
    assert store.reusable([one.candidate], CONDITIONS) != {}


@pytest.mark.parametrize(
    "changed",
    [{"sha256": "f" * 64}, {"model_name": "other"}, {"scheduler_type": "A0_002"}, {"prm": {"lr": 0.2}}, {"variant": 2}],
    ids=lambda changed: next(iter(changed)),
)
def test_another_file_has_no_result(store, catalogue, changed):
    """A change of the source, of its name, of its claim or of what it is given is another file."""
    one = outcome(catalogue.variant(1))
    store.save(one, CONDITIONS, ())
    if "variant" in changed:
        changed = {"variant": catalogue.variant(changed["variant"])}
    assert store.reusable([dataclasses.replace(one.candidate, **changed)], CONDITIONS) == {}


def test_many_files_are_looked_up_at_once(store, catalogue):
    """More files than one query may have parameters are found, each with its own result."""
    everything = [outcome(catalogue.variant(1), source=f"x = {number}") for number in range(1200)]
    for one in everything[::3]:
        store.save(one, CONDITIONS, ())
    found = store.reusable([one.candidate for one in everything], CONDITIONS)
    assert set(found) == {key_of(one.candidate) for one in everything[::3]}


# What is written.


def test_a_run_is_a_row_per_epoch_and_ten_per_class(path, catalogue):
    """Three evaluated epochs of ten classes are one run, three results and thirty classes, joined by their keys."""
    store = Store(url(path))
    run_id = store.save(outcome(catalogue.variant(1), epoch(1, 3), epoch(2, 8), epoch(3, 7)), CONDITIONS, CLASSES)
    assert counts(path) == (1, 3, 30)
    results = query(
        path, "SELECT id, run_id, epoch, accuracy, best_accuracy, task, source_sha256, lr FROM scheduler_results"
    )
    assert [row[1:6] for row in results] == [
        (run_id, 1, 0.3, 0.3, "img-classification"),
        (run_id, 2, 0.8, 0.8, "img-classification"),
        (run_id, 3, 0.7, 0.8, "img-classification"),
    ]
    assert {row[6] for row in results} == {hashlib.sha256(b"pass").hexdigest()}
    for result_id, _, number, accuracy, *_ in results:
        rows = query(path, f"SELECT epoch, run_id, recall, support FROM class_data WHERE result_id = {result_id}")
        assert rows == [(number, run_id, accuracy, 10)] * 10


def test_the_confusion_matrix_is_kept(path, catalogue):
    """Everything that the class scores were computed from can be looked up again."""
    one = epoch(1, 3)
    Store(url(path)).save(outcome(catalogue.variant(1), one), CONDITIONS, CLASSES)
    ((text,),) = query(path, "SELECT confusion FROM scheduler_results")
    assert json.loads(text) == [list(row) for row in one.confusion]


def test_a_number_that_is_none_becomes_null(path, catalogue):
    """NaN and infinity are not numbers: they are NULL in the database, not text and not 0."""
    bad = epoch(1, loss=math.nan, lr=math.inf, train_loss=-math.inf, train_accuracy=math.nan)
    Store(url(path)).save(outcome(catalogue.variant(1), bad, status=Status.FAILED), CONDITIONS, CLASSES)
    columns = "loss, lr, train_loss, train_accuracy"
    assert query(path, f"SELECT {columns} FROM scheduler_results") == [(None, None, None, None)]
    (row,) = Store(url(path)).best()
    assert row["loss"] is None


@pytest.mark.parametrize("fault", ["a class without a name", "a class too few", "no such column"])
def test_a_file_is_recorded_whole_or_not_at_all(path, kept, catalogue, monkeypatch, fault):
    """When the last insert fails, neither the run nor its epochs are there, and what was there still is."""
    class_rows = rows.class_rows

    def broken(report: EpochReport, classes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        for row in class_rows(report, classes):
            yield row | ({"class_name": None} if row["class_id"] == 9 and report.epoch == 2 else {})

    classes: tuple[Any, ...] = CLASSES
    expected: type[Exception] = StoreError
    if fault == "a class without a name":
        monkeypatch.setattr(rows, "class_rows", broken)
    elif fault == "a class too few":
        classes, expected = CLASSES[:9], IndexError
    else:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("ALTER TABLE class_data RENAME COLUMN support TO images")
    before = counts(path)
    with pytest.raises(expected):
        kept.save(outcome(catalogue.variant(2), epoch(1), epoch(2)), CONDITIONS, classes)
    assert counts(path) == before == (1, 2, 20)
    kept.save(outcome(catalogue.variant(2)), CONDITIONS, ())
    assert counts(path) == (2, 2, 20)


def test_a_class_result_belongs_to_a_result(path, kept):
    """Foreign keys are enforced on the connections of the store."""
    with pytest.raises(StoreError, match="FOREIGN KEY"), kept.session(write=True) as connection:
        connection.exec_driver_sql("UPDATE class_data SET result_id = 999")


# Tables and migrations.


def test_the_tables_are_those_of_the_migrations(path, kept):
    """Every column that the code knows is made by a migration, and the other way round; required alike."""
    for table in tables.METADATA.tables.values():
        rows = query(path, f"PRAGMA table_info({table.name})")
        made = {name: (bool(required or key), bool(key)) for _, name, _, required, _, key in rows}
        known = {column.name: (not column.nullable, column.primary_key) for column in table.columns}
        assert made == known, table.name
        targets = {(row[3], row[2], row[4]) for row in query(path, f"PRAGMA foreign_key_list({table.name})")}
        keys = {(key.parent.name, *key.target_fullname.split(".")) for key in table.foreign_keys}
        assert targets == keys, table.name
    names = {name for (name,) in query(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names - {"sqlite_sequence"} == {*tables.METADATA.tables, "lrgen_migrations"}


def test_the_columns_of_the_first_document_are_there(path, kept):
    """The tables that others read keep the names and columns that they were first described with."""
    both = {"id", "model_name", "scheduler_type", "accuracy", "epoch", "timestamp"}
    results = {"dataset", "task", "loss", "best_accuracy", "hyperparameters"}
    classes = {"class_id", "class_name", "precision", "recall", "f1_score"}
    for table, wanted in (("scheduler_results", both | results), ("class_data", both | classes)):
        assert wanted <= {row[1] for row in query(path, f"PRAGMA table_info({table})")}


def test_migrations_are_numbered_and_applied_once(path, kept):
    """Each is recorded with its number and name; opening the database again applies none."""
    recorded = query(path, "SELECT number, name FROM lrgen_migrations ORDER BY number")
    assert recorded == [(number, name) for number, (name, _) in enumerate(migrations.MIGRATIONS, start=1)]
    before = query(path, "SELECT * FROM lrgen_migrations")
    again = Store(url(path))
    assert len(again.best()) == 1
    again.prepare()
    assert query(path, "SELECT * FROM lrgen_migrations") == before


def test_a_new_migration_keeps_the_data(path, kept, monkeypatch):
    """A database of yesterday gets what is new, and every row of it stays as it was."""
    before = {table: query(path, f"SELECT * FROM {table}") for table in tables.METADATA.tables}
    step = ("a note", ("ALTER TABLE lrgen_runs ADD COLUMN note VARCHAR", "CREATE TABLE lrgen_notes (id {id})"))
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, step))
    assert len(Store(url(path)).best()) == 1
    assert query(path, "SELECT number, name FROM lrgen_migrations")[-1] == (len(migrations.MIGRATIONS), "a note")
    assert query(path, "SELECT COUNT(*) FROM lrgen_notes") == [(0,)]
    assert query(path, "SELECT * FROM lrgen_runs") == [(*row, None) for row in before.pop("lrgen_runs")]
    assert {table: query(path, f"SELECT * FROM {table}") for table in before} == before


def test_a_migration_that_fails_changes_nothing(path, kept, monkeypatch):
    """A step is applied whole or not at all, and the database can still be used by the version that made it."""
    before = query(path, "SELECT * FROM sqlite_master")
    step = ("broken", ("ALTER TABLE lrgen_runs ADD COLUMN note VARCHAR", "ALTER TABLE nowhere ADD COLUMN x VARCHAR"))
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, step))
        with pytest.raises(StoreError, match="nowhere"):
            Store(url(path)).best()
    assert query(path, "SELECT * FROM sqlite_master") == before
    assert len(Store(url(path)).best()) == 1


def test_a_newer_database_is_refused(path, kept, catalogue):
    """A database that a later version has changed is neither read nor written, and the error says what to do."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO lrgen_migrations VALUES (99, 'from the future', '2031-01-01')")
    before = counts(path)
    newer = Store(url(path))
    with pytest.raises(StoreError, match=f"schema 99, this lrgen knows {len(migrations.MIGRATIONS)}: update lrgen"):
        newer.best()
    with pytest.raises(StoreError, match="update lrgen"):
        newer.save(outcome(catalogue.variant(2)), CONDITIONS, ())
    assert counts(path) == before


def test_many_may_open_a_new_database_at_once(path, catalogue):
    """Processes that meet at an empty file make the tables once, and record all that they have."""
    one = outcome(catalogue.variant(1), epoch(1))
    pids = []
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                Store(url(path)).save(one, CONDITIONS, CLASSES)
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert codes == [0] * 5
    assert counts(path) == (5, 5, 50)
    assert len(query(path, "SELECT * FROM lrgen_migrations")) == len(migrations.MIGRATIONS)


# Beside others.


def test_other_tables_in_the_file_are_left_alone(path, catalogue):
    """LEMUR's tables in the same file keep their definitions and rows."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE nn (name TEXT PRIMARY KEY, code TEXT NOT NULL, id TEXT NOT NULL);
            CREATE TABLE transform (name TEXT PRIMARY KEY, code TEXT NOT NULL, id TEXT NOT NULL);
            CREATE TABLE metric (name TEXT PRIMARY KEY, code TEXT NOT NULL, id TEXT NOT NULL);
            CREATE TABLE prm (uid TEXT NOT NULL, name TEXT NOT NULL, value OBJECT NOT NULL);
            CREATE INDEX idx_prm_uid ON prm (uid, name, value);
            CREATE TABLE stat (id TEXT PRIMARY KEY, accuracy REAL, epoch INTEGER, duration INTEGER, task TEXT,
                dataset TEXT, metric TEXT, nn TEXT, transform TEXT, prm TEXT,
                FOREIGN KEY (nn) REFERENCES nn (name) ON DELETE CASCADE,
                FOREIGN KEY (metric) REFERENCES metric (name) ON DELETE CASCADE);
            CREATE INDEX idx_accuracy_desc ON stat (accuracy DESC);
            CREATE TABLE train_stat (stat_id TEXT PRIMARY KEY, train_loss REAL, test_loss REAL, gradient_norm REAL);
            CREATE TABLE nn_minhash (nn TEXT PRIMARY KEY, hashvalues BLOB NOT NULL);
            INSERT INTO nn VALUES ('ResNet', 'import torch', 'abc');
            INSERT INTO metric VALUES ('acc', 'class Net: ...', 'def');
            INSERT INTO prm VALUES ('u1', 'lr', 0.1), ('u1', 'momentum', 0.9), ('u1', 'transform', 'norm_32');
            INSERT INTO stat VALUES ('s1', 0.75, 5, 7, 'img-classification', 'cifar-10', 'acc', 'ResNet', NULL, 'u1');
            INSERT INTO train_stat VALUES ('s1', 0.5, 0.6, NULL);
            INSERT INTO nn_minhash VALUES ('ResNet', x'00ff');
            """
        )

    def theirs() -> list[Any]:
        names = ("nn", "transform", "metric", "prm", "stat", "train_stat", "nn_minhash")
        everything = query(path, "SELECT tbl_name, type, name, sql FROM sqlite_master ORDER BY name")
        definitions = [row for row in everything if row[0] in names]
        return [definitions, *(query(path, f"SELECT * FROM {table}") for table in names)]

    before = theirs()
    store = Store(url(path))
    store.save(outcome(catalogue.variant(1), epoch(1)), CONDITIONS, CLASSES)
    assert len(store.best()) == 1
    assert theirs() == before
    assert counts(path) == (1, 1, 10)


def test_tables_of_our_names_that_are_not_ours_are_left_alone(path, catalogue):
    """A file whose scheduler_results was made by someone else is refused, and stays as it is."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE scheduler_results (id INTEGER PRIMARY KEY, model_name TEXT);"
            "INSERT INTO scheduler_results VALUES (1, 'theirs');"
        )
    before = query(path, "SELECT * FROM sqlite_master")
    with pytest.raises(StoreError, match="scheduler_results already exists"):
        Store(url(path)).save(outcome(catalogue.variant(1), epoch(1)), CONDITIONS, CLASSES)
    assert query(path, "SELECT * FROM sqlite_master") == before
    assert query(path, "SELECT * FROM scheduler_results") == [(1, "theirs")]


def test_writers_do_not_block_readers(path, kept):
    """The write-ahead log is on: results can be read while another process records."""
    assert query(path, "PRAGMA journal_mode") == [("wal",)]
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM class_data")
        assert len(kept.classes("ResNet", "A0_001")) == 10
        other.execute("ROLLBACK")


# What can go wrong.


@pytest.mark.usefixtures("impatient")
def test_a_locked_database_is_an_error_and_loses_nothing(path, kept, catalogue):
    """Another writer that does not let go is told; after it everything is there and recording goes on."""
    store = Store(url(path))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=f"{path}: database is locked"):
            store.save(outcome(catalogue.variant(2), epoch(1)), CONDITIONS, CLASSES)
        with pytest.raises(StoreError, match="locked"):
            store.prepare()
        other.execute("ROLLBACK")
    assert counts(path) == (1, 2, 20)
    store.save(outcome(catalogue.variant(2), epoch(1)), CONDITIONS, CLASSES)
    assert counts(path) == (2, 3, 30)


def test_a_lock_is_waited_for(path, kept, catalogue):
    """A writer that lets go in time delays the other, and nothing more."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    release.start()
    try:
        kept.save(outcome(catalogue.variant(2)), CONDITIONS, ())
    finally:
        release.join()
        other.close()
    assert counts(path)[0] == 2


def use(store: Store, catalogue: Any) -> list[Callable[[], Any]]:
    """Everything that can be asked of a store."""
    one = outcome(catalogue.variant(2), epoch(1))
    return [
        store.prepare,
        lambda: store.save(one, CONDITIONS, CLASSES),
        lambda: store.reusable([one.candidate], CONDITIONS),
        store.best,
        store.failures,
        lambda: store.classes("ResNet", "A0_001"),
    ]


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_what_is_no_database_is_not_touched(path, catalogue, content):
    """A file that holds something else is refused by every function, and stays as it is."""
    path.write_bytes(content)
    for ask in use(Store(url(path)), catalogue):
        with pytest.raises(StoreError, match=str(path)):
            ask()
    assert path.read_bytes() == content
    assert sorted(path.parent.iterdir()) == [path]


def test_a_damaged_database_is_an_error(path, kept, catalogue):
    """Pages that were overwritten are told as such, and nothing is written to the file."""
    kept.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    for ask in use(Store(url(path)), catalogue):
        with pytest.raises(StoreError, match="malformed|corrupt|not a database"):
            ask()
    assert path.read_bytes() == content


def test_a_database_below_a_file_is_an_error(tmp_path, catalogue):
    """A path that cannot be one is told as such, and the file that stands there is not touched."""
    (tmp_path / "file").write_text("mine")
    store = Store(url(tmp_path / "file" / "results.db"))
    with pytest.raises(StoreError, match="file/results.db: "):
        store.prepare()
    with pytest.raises(StoreError, match="file/results.db: "):
        store.save(outcome(catalogue.variant(1)), CONDITIONS, ())
    with pytest.raises(NoResultError, match="there is no database"):
        store.best()
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_is_no_database(tmp_path):
    """A folder in the database's place is an error, not a traceback."""
    with pytest.raises(StoreError, match="unable to open"):
        Store(url(tmp_path)).prepare()


def test_asking_creates_nothing(path, catalogue):
    """Reading from a database that is not there says so, and does not make one."""
    store = Store(url(path))
    assert not store.exists()
    assert store.reusable([outcome(catalogue.variant(1)).candidate], CONDITIONS) == {}
    for ask in (store.best, store.failures, lambda: store.classes("ResNet", "A0_001")):
        with pytest.raises(NoResultError, match="run lrgen verify first"):
            ask()
    assert not path.exists()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("results.db", "not a database URL, got 'results.db'"),
        ("", "not a database URL"),
        ("mysql://host/name", "must be sqlite or postgresql, got 'mysql'"),
        ("oracle://host", "must be sqlite or postgresql"),
        ("postgresql+nodriver://host/name", "postgresql"),
    ],
)
def test_what_is_no_address_is_refused(address, told):
    """A database URL that cannot be used is an error of ours with the value in it."""
    with pytest.raises(StoreError, match=told):
        Store(address)


def test_a_password_is_not_told():
    """Errors name the place of a database without its password."""
    try:
        place = Store("postgresql://me:secret@nowhere.invalid/results").place
    except StoreError as error:  # no driver here
        place = str(error)
    assert "nowhere.invalid" in place
    assert "secret" not in place


def save_until_full(store: Store, one: Outcome, told: str) -> int:
    """Record the same outcome until there is no room; returns how often there was."""
    for saved in range(100):
        try:
            store.save(one, CONDITIONS, CLASSES)
        except StoreError as error:
            assert told in str(error)  # noqa: PT017  how often it went well is asked for
            return saved
    pytest.fail("there is room without end")


def test_a_full_disk_is_an_error_and_loses_nothing(path, kept, catalogue):
    """When the file cannot grow, that file's results are not recorded, and all others are still there."""
    kept.close()
    full = Store(url(path))
    event.listen(full._engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 30"))
    one = outcome(catalogue.variant(2), *(epoch(number) for number in range(1, 20)))
    saved = save_until_full(full, one, "database or disk is full; nothing of this was recorded")
    assert counts(path) == (1 + saved, 2 + 19 * saved, 20 + 190 * saved)
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert len(full.best()) == 1 + bool(saved)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    root = os.geteuid() == 0 and shutil.which("mount") is not None
    if not root or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_is_full_for_others_too(small_disk, catalogue):
    """On a full file system recording fails with an error, reading goes on, and recording does once there is room."""
    path = small_disk / "results.db"
    store = Store(url(path))
    store.save(outcome(catalogue.variant(1), epoch(1)), CONDITIONS, CLASSES)
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    saved = 1 + save_until_full(store, outcome(catalogue.variant(2), epoch(1)), f"{path}: ")
    assert counts(path) == (saved, saved, 10 * saved)
    with pytest.raises(StoreError):
        Store(url(small_disk / "new.db")).prepare()
    ballast.unlink()
    store.save(outcome(catalogue.variant(3), epoch(1)), CONDITIONS, CLASSES)
    assert counts(path)[0] == saved + 1
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.fixture
def read_only(kept: Store, path: Path) -> Iterator[Path]:
    """A database that was closed, in a folder where nobody but root may write."""
    kept.close()
    folder = Path(tempfile.mkdtemp())
    shutil.copy(path, folder)
    (folder / path.name).chmod(0o444)
    folder.chmod(0o555)
    yield folder / path.name
    folder.chmod(0o755)
    shutil.rmtree(folder)


def as_nobody(function: Callable[[], object]) -> str:
    """What a function returns, or raises, in a process that has no rights beyond those of everybody."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            told = repr(function())
        except BaseException as error:  # noqa: BLE001  it is what the test asks for
            told = f"{type(error).__name__}: {error}"
        os.write(writing, told.encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        told = file.read().decode()
    os.waitpid(pid, 0)
    return told


def test_a_database_can_be_read_without_the_right_to_write(read_only):
    """Results on a medium that is not ours to write can be looked up."""
    assert "0.8" in as_nobody(lambda: Store(url(read_only)).best()[0]["accuracy"])


def test_a_reader_without_rights_sees_what_is_being_recorded(path, catalogue):
    """What another process has recorded is seen at once, also by those who may not write."""
    folder = Path(tempfile.mkdtemp())
    writer = Store(url(folder / path.name))
    try:
        writer.save(outcome(catalogue.variant(1), epoch(1, 8)), CONDITIONS, CLASSES)
        for file in folder.iterdir():
            file.chmod(0o444)
        folder.chmod(0o555)
        assert "0.8" in as_nobody(lambda: Store(url(folder / path.name)).best()[0]["accuracy"])
        writer.save(outcome(catalogue.variant(2), epoch(1, 9)), CONDITIONS, CLASSES)
        assert "0.9" in as_nobody(lambda: Store(url(folder / path.name)).best()[0]["accuracy"])
    finally:
        folder.chmod(0o755)
        writer.close()
        shutil.rmtree(folder)


def test_a_database_that_may_not_be_written_says_so(read_only, catalogue):
    """Recording without the right to write is an error that names the file, and changes nothing."""
    before = read_only.read_bytes()
    one = outcome(catalogue.variant(2))
    told = as_nobody(lambda: Store(url(read_only)).save(one, CONDITIONS, ()))
    assert told.startswith(f"StoreError: {read_only}: ")
    assert read_only.read_bytes() == before
    told = as_nobody(lambda: Store(url(read_only.parent / "new.db")).prepare())
    assert told.startswith(f"StoreError: {read_only.parent}/new.db: ")


# How it is found.


def plan_of(path: Path, store: Store, ask: Callable[[], object]) -> list[str]:
    """How SQLite goes about the queries that a function makes."""
    statements: list[tuple[str, Any]] = []

    def listen(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")) and "lrgen_migrations" not in statement:
            statements.append((statement, parameters))

    event.listen(store._engine, "before_cursor_execute", listen)
    ask()
    event.remove(store._engine, "before_cursor_execute", listen)
    assert statements
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [
            row[3]
            for statement, parameters in statements
            for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]


def scans(plan: list[str]) -> list[str]:
    """The steps that read a whole table."""
    return [step for step in plan if step.startswith("SCAN") and any(name in step for name in tables.METADATA.tables)]


def test_known_results_are_found_by_an_index(path, kept, catalogue):
    """Looking up what may be reused does not read all the runs there ever were."""
    candidate = outcome(catalogue.variant(1)).candidate
    plan = plan_of(path, kept, lambda: kept.reusable([candidate], CONDITIONS))
    assert scans(plan) == []
    assert any("ix_lrgen_runs_source" in step for step in plan)


def test_classes_are_found_by_an_index(path, kept):
    """Looking up the classes of one epoch does not read those of all epochs."""
    plan = plan_of(path, kept, lambda: kept.classes("ResNet", "A0_001"))
    assert scans(plan) == []
    assert any("ix_scheduler_results" in step for step in plan)


@pytest.mark.parametrize("metric", ["accuracy", "loss", "f1"])
def test_the_best_are_found_without_reading_every_result(path, kept, metric):
    """Which epochs are the best is read from indices; whole results are read for those alone."""
    for ask in (kept.best, lambda: kept.unique(90, metric=metric)):
        for step in scans(plan_of(path, kept, ask)):
            assert "COVERING INDEX" in step, step

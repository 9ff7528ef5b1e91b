"""The store: one contract for every kind of database, and the safety of files with results."""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import re
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
from sqlalchemy import event, text

from lrgen.errors import NoResultError, StoreError
from lrgen.records import (
    Comparison,
    Diagnosis,
    EpochReport,
    NearestSchedule,
    Outcome,
    ReferenceNetwork,
    Stage,
    Status,
    Unit,
)
from lrgen.store import Series, Store, key_of, migrations, rows, tables
from lrgen.store.metrics import class_scores
from tests.store.outcomes import CLASSES, CONDITIONS, epoch, outcome

NOBODY = 65534


@pytest.fixture(params=["a file", "a file with an odd name", "memory", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty database of each kind."""
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
    """A database on disk with one run of two epochs."""
    opened = Store(url(path))
    opened.save(outcome(catalogue.variant(1), epoch(1, 3), epoch(2, 8)), CONDITIONS, CLASSES)
    return opened


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def counts(path: Path) -> tuple[int, int, int]:
    """Return the numbers of runs, results and class rows."""
    return tuple(
        query(path, f"SELECT COUNT(*) FROM {table}")[0][0]
        for table in ("lrgen_runs", "scheduler_results", "class_data")
    )


# The contract.


def test_an_empty_store_has_no_results(store, catalogue):
    """An empty store has no results, no failures and no reusable outcome; class scores are an error."""
    store.prepare()
    assert store.best() == []
    assert store.failures() == []
    assert store.reusable([outcome(catalogue.variant(1)).candidate], CONDITIONS) == {}
    with pytest.raises(
        NoResultError, match=r"^no class metrics of ResNet A0_001 \(no run trained it: run lrgen verify\)$"
    ):
        store.classes("ResNet", "A0_001")


def test_a_saved_run_is_returned(store, catalogue):
    """A saved run is returned with its measured accuracy, loss and class scores."""
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
    expected = class_scores(second.confusion)
    classes = store.classes("ResNet", "A0_001")
    assert [row["class_name"] for row in classes] == list(CLASSES)
    assert [row["class_id"] for row in classes] == list(range(10))
    for row, scores in zip(classes, expected, strict=True):
        stored = {name: row[name] for name in ("accuracy", "precision", "recall", "f1_score", "support")}
        assert stored == {name: value for name, value in vars(scores).items() if name != "class_id"}


def test_best_is_the_best_epoch_of_the_newest_run(store, catalogue):
    """A file is represented by its newest run, even if it is worse, and by that run's first best epoch."""
    variant = catalogue.variant(1)
    store.save(outcome(variant, epoch(1, 9)), CONDITIONS, CLASSES)
    store.save(outcome(variant, epoch(1, 5), epoch(2, 7), epoch(3, 7), epoch(4, 6)), CONDITIONS, CLASSES)
    assert [(row["epoch"], row["accuracy"]) for row in store.best()] == [(2, 0.7)]


def test_best_results_are_sorted(store, catalogue):
    """Files are sorted by accuracy, loss and name, up to the limit."""
    for number, correct, loss in ((1, 5, 1.0), (2, 9, 1.0), (3, 7, 0.5), (4, 7, 0.2), (6, 7, 0.5)):
        store.save(outcome(catalogue.variant(number), epoch(1, correct, loss=loss)), CONDITIONS, CLASSES)
    keys = ["A0_002", "A0_004", "A0_003", "A0_006", "A0_001"]
    assert [row["scheduler_type"] for row in store.best()] == keys
    assert [row["scheduler_type"] for row in store.best(limit=2)] == keys[:2]


@pytest.mark.parametrize("status", Status)
def test_only_files_that_pass_their_checks_have_a_best_result(store, catalogue, status):
    """The accuracy of a file whose newest run failed counts nowhere, whatever an older run had."""
    store.save(outcome(catalogue.variant(1), epoch(1, 7)), CONDITIONS, CLASSES)
    store.save(outcome(catalogue.variant(2), epoch(1, 8), source="2"), CONDITIONS, CLASSES)
    store.save(outcome(catalogue.variant(2), epoch(1, 10), source="2", status=status), CONDITIONS, CLASSES)
    expected = ["A0_002", "A0_001"] if status.ok else ["A0_001"]
    assert [row["scheduler_type"] for row in store.best()] == expected
    assert [row["scheduler_type"] for row in store.unique()] == expected


def test_a_recorded_run_counts_among_the_best(store):
    """A run that a caller recorded is among the best, although lrgen has checked nothing of it."""
    store.record_epoch(Series("Mine", "A0_001", "digits"), 1, 0.9, None)
    assert [row["status"] for row in store.best()] == ["recorded"]


@pytest.mark.parametrize(("column", "value"), [("stage", "nonsense"), ("training", "nonsense"), ("status", "proved")])
def test_a_run_with_a_value_that_does_not_exist_is_not_reused(store, catalogue, column, value):
    """A run whose status, stage or kind of training does not exist is neither reused nor an error."""
    saved = outcome(catalogue.variant(1), epoch(1))
    store.save(saved, CONDITIONS, CLASSES)
    assert len(store.reusable([saved.candidate], CONDITIONS)) == 1
    with store.session(write=True) as connection:
        connection.execute(text(f"UPDATE lrgen_runs SET {column} = '{value}'"))
    assert store.reusable([saved.candidate], CONDITIONS) == {}


def test_a_number_or_a_text_that_cannot_be_stored_is_an_error(store, catalogue):
    """A number beyond 64 bits and a text that is not UTF-8 are StoreErrors, in a query and in a record."""
    store.save(outcome(catalogue.variant(1), epoch(1)), CONDITIONS, CLASSES)
    for action in (
        lambda: store.best(limit=2**70),
        lambda: store.unique(2**70),
        lambda: store.best("\udcff"),
        lambda: store.record_epoch(Series("\udcff", "A0_001", "digits"), 1, 0.9, None),
        lambda: store.record_epoch(Series("M", "A0_001", "digits", seed=2**64), 1, 0.9, None),
        lambda: store.record_epoch(Series("M", "A0_001", "digits"), 1, 0.9, None, hyperparameters={"a": 2**70}),
        lambda: store.record_epoch(Series("M", "A0_001", "digits"), 1, 0.9, None, hyperparameters={"a": "\udcff"}),
    ):
        with pytest.raises(StoreError):
            action()
    assert len(store.best()) == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "sqlite:///x.db?mode=ro",
            "the URL of a SQLite file has no options and no null character, got 'sqlite:///x.db?mode=ro'",
        ),
        ("sqlite:///x.db?timeout=abc", "the URL of a SQLite file has no options"),
        ("sqlite:///a\0b", "the URL of a SQLite file has no options and no null character, got 'sqlite:///a"),
        ("sqlite+aiosqlite:///x.db", "must be sqlite or postgresql, got 'sqlite+aiosqlite'"),
        ("postgresql://me:secret@host:abc/x", "not a database URL, got 'postgresql://***@host:abc/x' (for example"),
        ("x" * 5000, f"not a database URL, got '{'x' * 37}...{'x' * 38}' (for example sqlite:///db/ab.nn.db)"),
    ],
)
def test_a_url_that_names_no_database_is_an_error(url, message):
    """The error names the URL, without its password and cut off, before anything is opened."""
    with pytest.raises(StoreError) as raised:
        Store(url)
    assert str(raised.value).startswith(f"db: {message}")


def test_a_database_whose_name_is_too_long_is_an_error():
    """The error of a file name that the system refuses is a StoreError as well."""
    with pytest.raises(StoreError, match="File name too long$"):
        Store(f"sqlite:///{'x' * 300}").prepare()


def test_best_can_be_limited_to_a_model_and_a_dataset(store, catalogue):
    """The best results of a model and of a dataset use the newest run of each file and dataset."""
    elsewhere = dataclasses.replace(CONDITIONS, dataset="cifar-10")
    variant = catalogue.variant(1)
    store.save(outcome(variant, epoch(1, 9)), CONDITIONS, CLASSES)
    store.save(outcome(variant, epoch(1, 4)), elsewhere, CLASSES)
    store.save(outcome(variant, epoch(1, 6), model="ConvNeXt"), CONDITIONS, CLASSES)

    def best(**selection: str) -> list[tuple[str, str, float]]:
        return [(row["model_name"], row["dataset"], row["accuracy"]) for row in store.best(**selection)]

    assert best(model="ResNet") == [("ResNet", "digits", 0.9), ("ResNet", "cifar-10", 0.4)]
    assert best(dataset="digits") == [("ResNet", "digits", 0.9), ("ConvNeXt", "digits", 0.6)]
    assert best(model="ResNet", dataset="cifar-10") == [("ResNet", "cifar-10", 0.4)]
    assert best(model="nobody") == []


def test_a_run_without_epochs_does_not_hide_results(store, catalogue):
    """After a later run without training, the results of the earlier run are still returned."""
    variant = catalogue.variant(1)
    store.save(outcome(variant, epoch(1, 9)), CONDITIONS, CLASSES)
    store.save(outcome(variant, status=Status.PASSED, stage=Stage.SCHEDULE), CONDITIONS, ())
    assert [row["accuracy"] for row in store.best()] == [0.9]
    assert len(store.classes("ResNet", "A0_001")) == 10


def test_classes_are_those_of_the_requested_epoch(store, catalogue):
    """Class scores are those of the given epoch, by default of the best epoch."""
    store.save(outcome(catalogue.variant(1), epoch(1, 3), epoch(2, 8), epoch(3, 6)), CONDITIONS, CLASSES)
    assert {row["epoch"] for row in store.classes("ResNet", "A0_001")} == {2}
    assert {(row["epoch"], row["recall"]) for row in store.classes("ResNet", "A0_001", 3)} == {(3, 0.6)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ResNet", "A0_001", 9), "no class metrics of ResNet A0_001 at epoch 9 (evaluated epochs: 1, 2, 11)"),
        (("ResNet", "A0_002"), "no class metrics of ResNet A0_002 (no run trained it: run lrgen verify)"),
        (("ResNet18", "A0_001"), "no class metrics of ResNet18 A0_001 (no run trained it: run lrgen verify)"),
        (
            ("ResNet", "A0_001", None, "cifar-10"),
            "no class metrics of ResNet A0_001 on cifar-10 (no run trained it: run lrgen verify)",
        ),
    ],
)
def test_missing_class_scores_are_an_error(store, catalogue, arguments, message):
    """The error names the file, the dataset, the epoch, and the evaluated epochs."""
    store.save(outcome(catalogue.variant(1), epoch(1, 3), epoch(2, 8), epoch(11, 6)), CONDITIONS, CLASSES)
    with pytest.raises(NoResultError) as raised:
        store.classes(*arguments)
    assert str(raised.value) == message


def test_the_means_over_the_classes_equal_scikit_learns(store, catalogue):
    """The macro and weighted means of the class scores equal scikit-learn's."""
    from sklearn.metrics import precision_recall_fscore_support

    confusion = ((5, 3, 2), (1, 30, 9), (0, 2, 1))
    report = dataclasses.replace(epoch(1), confusion=confusion)
    store.save(outcome(catalogue.variant(1), report), CONDITIONS, ("a", "b", "c"))
    actual = [i for i, row in enumerate(confusion) for count in row for _ in range(count)]
    predicted = [j for row in confusion for j, count in enumerate(row) for _ in range(count)]
    for row in store.class_means("ResNet", "A0_001"):
        expected = precision_recall_fscore_support(actual, predicted, average=row["mean"])
        assert [row["precision"], row["recall"], row["f1_score"]] == pytest.approx(expected[:3])
        assert row["accuracy"] == row["recall"]
        assert (row["support"], row["epoch"]) == (53, 1)


def test_failures_are_of_the_newest_runs(store, catalogue):
    """A file is a failure according to its newest run; failures are sorted newest first."""
    first, second, third, fourth = (catalogue.variant(number) for number in (1, 2, 3, 4))
    store.save(outcome(first, status=Status.FAILED), CONDITIONS, ())
    store.save(outcome(second, epoch(1)), CONDITIONS, CLASSES)
    store.save(outcome(third, status=Status.PASSED, stage=Stage.SCHEDULE), CONDITIONS, ())
    store.save(outcome(fourth, status=Status.TIMED_OUT, reason="takes longer than 900 s"), CONDITIONS, ())
    assert [row["scheduler_type"] for row in store.failures()] == ["A0_004", "A0_001"]
    assert store.failures()[0] | {"timestamp": None} == {
        "model_name": "ResNet",
        "scheduler_type": "A0_004",
        "variant_name": fourth.name,
        "status": "timed out",
        "stage": "training",
        "reason": "takes longer than 900 s",
        "seconds": 11.5,
        "case_seed": None,
        "evidence": [],
        "path": "generated/ResNet/file.py",
        "timestamp": None,
    }
    store.save(outcome(first), CONDITIONS, ())
    store.save(outcome(second, status=Status.CRASHED), CONDITIONS, ())
    assert [row["scheduler_type"] for row in store.failures()] == ["A0_002", "A0_004"]


def test_nothing_is_overwritten(store, catalogue):
    """Saving the same outcome again adds a run and keeps the earlier run."""
    result = outcome(catalogue.variant(1), epoch(1))
    first = store.save(result, CONDITIONS, CLASSES)
    second = store.save(result, CONDITIONS, CLASSES)
    assert second > first
    with store.session() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM class_data").scalar_one() == 20


def test_a_known_result_is_reused(store, catalogue):
    """The outcome of the same file under the same conditions is returned and marked as reused."""
    result = outcome(catalogue.variant(1), epoch(1, 3), epoch(2, 8))
    store.save(result, CONDITIONS, CLASSES)
    outcomes = store.reusable([result.candidate], CONDITIONS)
    assert list(outcomes) == [key_of(result.candidate)]
    reused = outcomes[key_of(result.candidate)]
    assert reused.candidate is result.candidate
    assert (reused.status, reused.stage, reused.reason) == (Status.VERIFIED, Stage.TRAINING, "")
    assert (reused.accuracy, reused.seconds, reused.reused) == (0.8, 11.5, True)


@pytest.mark.parametrize("status", Status)
def test_only_final_results_are_reused(store, catalogue, status):
    """Outcomes with a final status are reused; others, such as a timeout or a crash, are not."""
    result = outcome(catalogue.variant(1), status=status)
    store.save(result, CONDITIONS, ())
    assert bool(store.reusable([result.candidate], CONDITIONS)) == status.final


@pytest.mark.parametrize(
    "changed",
    [{"settings": '{"epochs": 6}'}, {"check_version": "f" * 16}, {"torch": "2.16.0"}, {"device": "cuda"}],
    ids=lambda changed: next(iter(changed)),
)
def test_results_under_other_conditions_are_not_reused(store, catalogue, changed):
    """A change of settings, check version, torch or device prevents reuse."""
    result = outcome(catalogue.variant(1))
    store.save(result, CONDITIONS, ())
    assert store.reusable([result.candidate], dataclasses.replace(CONDITIONS, **changed)) == {}
    assert store.reusable([result.candidate], CONDITIONS) != {}


@pytest.mark.parametrize(
    "changed",
    [{"sha256": "f" * 64}, {"model_name": "other"}, {"scheduler_type": "A0_002"}, {"prm": {"lr": 0.2}}, {"variant": 2}],
    ids=lambda changed: next(iter(changed)),
)
def test_results_of_another_file_are_not_reused(store, catalogue, changed):
    """A change of source, name, variant or ``prm`` prevents reuse."""
    result = outcome(catalogue.variant(1))
    store.save(result, CONDITIONS, ())
    if "variant" in changed:
        changed = {"variant": catalogue.variant(changed["variant"])}
    assert store.reusable([dataclasses.replace(result.candidate, **changed)], CONDITIONS) == {}


def test_a_result_with_another_claimed_model_is_not_reused(store, catalogue):
    """The reference network is part of a result's key; the comparison is recorded."""
    known = outcome(catalogue.variant(1), architecture=Comparison.NOT_COMPARABLE)
    reference = ReferenceNetwork("ResNet", "class Net: ...")
    claiming = dataclasses.replace(known.candidate, reference=reference)
    store.save(dataclasses.replace(known, candidate=claiming), CONDITIONS, ())
    [reused] = store.reusable([claiming], CONDITIONS).values()
    assert reused.architecture is Comparison.NOT_COMPARABLE
    [row] = store.newest_runs()
    assert (row["claimed_model"], row["architecture"]) == ("ResNet", "not comparable")
    for other in (None, dataclasses.replace(reference, source="class Net: pass")):
        assert not store.reusable([dataclasses.replace(claiming, reference=other)], CONDITIONS)


def test_a_result_of_another_case_seed_is_not_reused(store, catalogue):
    """With a case seed only its own results are reused, without one those of any seed; the newest comes first."""
    results = [outcome(catalogue.variant(1), case_seed=seed, evidence=(f"seed {seed}",)) for seed in (2**63 - 1, 5)]
    for result in results:
        store.save(result, CONDITIONS, ())
    candidate = results[0].candidate

    def reused(case_seed):
        known = store.reusable([candidate], CONDITIONS, case_seed).values()
        return [(result.case_seed, result.evidence) for result in known]

    assert reused(2**63 - 1) == [(2**63 - 1, (f"seed {2**63 - 1}",))]
    assert reused(None) == reused(5) == [(5, ("seed 5",))]
    assert reused(0) == []


def test_a_diagnosis_is_recorded_whole(store, catalogue):
    """The diagnosis of a file without a claim is that of its recorded result, whatever is in it."""
    nearest = NearestSchedule("A0_002", "MultiStepLR_milestones", 0.01, {"milestones": [0.5]}, 90, "×0.1", ("A0_061",))
    diagnoses = [
        Diagnosis(Unit.BATCH, 90, 360, 180, ("it is stepped once a batch",), (nearest,), "abc", (0.1, 0.01)),
        Diagnosis(None, 1, 4, 0, (), (), "def"),
        None,
    ]
    results = [
        outcome(catalogue.variant(1), source=f"x = {at}", diagnosis=diagnosis) for at, diagnosis in enumerate(diagnoses)
    ]
    for result in results:
        store.save(result, CONDITIONS, ())
    known = store.reusable([result.candidate for result in results], CONDITIONS)
    assert [known[key_of(result.candidate)].diagnosis for result in results] == diagnoses


def test_many_files_are_looked_up_in_chunks(store, catalogue):
    """More files than a query can have parameters are looked up, each with its own outcome."""
    results = [outcome(catalogue.variant(1), source=f"x = {number}") for number in range(1200)]
    for result in results[::3]:
        store.save(result, CONDITIONS, ())
    reused = store.reusable([result.candidate for result in results], CONDITIONS)
    assert set(reused) == {key_of(result.candidate) for result in results[::3]}


# The rows of a run.


def test_a_run_has_a_row_per_epoch_and_per_class(path, catalogue):
    """Three epochs of ten classes give one run, three results and thirty class rows with matching keys."""
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


def test_the_confusion_matrix_is_recorded(path, catalogue):
    """The confusion matrix of an epoch is recorded as JSON."""
    report = epoch(1, 3)
    Store(url(path)).save(outcome(catalogue.variant(1), report), CONDITIONS, CLASSES)
    ((text,),) = query(path, "SELECT confusion FROM scheduler_results")
    assert json.loads(text) == [list(row) for row in report.confusion]


def test_nan_and_infinity_become_null(path, catalogue):
    """NaN and infinity are NULL in the database, not text and not 0."""
    report = epoch(1, loss=math.nan, lr=math.inf, train_loss=-math.inf, train_accuracy=math.nan)
    Store(url(path)).save(outcome(catalogue.variant(1), report), CONDITIONS, CLASSES)
    columns = "loss, lr, train_loss, train_accuracy"
    assert query(path, f"SELECT {columns} FROM scheduler_results") == [(None, None, None, None)]
    (row,) = Store(url(path)).best()
    assert row["loss"] is None


@pytest.mark.parametrize("fault", ["a class without a name", "a class too few", "no such column"])
def test_a_file_is_recorded_whole_or_not_at_all(path, kept, catalogue, monkeypatch, fault):
    """When the last insert fails, no row of the run is recorded, and earlier rows stay."""
    class_rows = rows.class_rows

    def without_a_name(report: EpochReport, classes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        for row in class_rows(report, classes):
            yield row | ({"class_name": None} if row["class_id"] == 9 and report.epoch == 2 else {})

    classes: tuple[Any, ...] = CLASSES
    error: type[Exception] = StoreError
    if fault == "a class without a name":
        monkeypatch.setattr(rows, "class_rows", without_a_name)
    elif fault == "a class too few":
        classes, error = CLASSES[:9], IndexError
    else:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("ALTER TABLE class_data RENAME COLUMN support TO images")
    before = counts(path)
    with pytest.raises(error):
        kept.save(outcome(catalogue.variant(2), epoch(1), epoch(2)), CONDITIONS, classes)
    assert counts(path) == before == (1, 2, 20)
    kept.save(outcome(catalogue.variant(2)), CONDITIONS, ())
    assert counts(path) == (2, 2, 20)


def test_foreign_keys_are_enforced(path, kept):
    """A class row that refers to a missing result is an error."""
    message = f"^{re.escape(str(path))}: FOREIGN KEY constraint failed; nothing of this was recorded$"
    with pytest.raises(StoreError, match=message), kept.session(write=True) as connection:
        connection.exec_driver_sql("UPDATE class_data SET result_id = 999")


# Tables and migrations.


def test_the_tables_are_those_of_the_migrations(path, kept):
    """The migrations create exactly the columns and foreign keys of ``tables``, with the same NOT NULL."""
    for table in tables.METADATA.tables.values():
        rows = query(path, f"PRAGMA table_info({table.name})")
        migrated = {name: (bool(required or key), bool(key)) for _, name, _, required, _, key in rows}
        declared = {column.name: (not column.nullable, column.primary_key) for column in table.columns}
        assert migrated == declared, table.name
        targets = {(row[3], row[2], row[4]) for row in query(path, f"PRAGMA foreign_key_list({table.name})")}
        keys = {(key.parent.name, *key.target_fullname.split(".")) for key in table.foreign_keys}
        assert targets == keys, table.name
    names = {name for (name,) in query(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names - {"sqlite_sequence"} == {*tables.METADATA.tables, "lrgen_migrations"}


def test_the_columns_of_the_seed_document_exist(path, kept):
    """The tables that other programs read have the names and columns of the seed document."""
    common = {"id", "model_name", "scheduler_type", "accuracy", "epoch", "timestamp"}
    results = {"dataset", "task", "loss", "best_accuracy", "hyperparameters"}
    classes = {"class_id", "class_name", "precision", "recall", "f1_score"}
    for table, columns in (("scheduler_results", common | results), ("class_data", common | classes)):
        assert columns <= {row[1] for row in query(path, f"PRAGMA table_info({table})")}


def test_migrations_are_numbered_and_applied_once(path, kept):
    """Each migration is recorded with number and name; opening the database again applies none."""
    recorded = query(path, "SELECT number, name FROM lrgen_migrations ORDER BY number")
    assert recorded == [(number, name) for number, (name, _) in enumerate(migrations.MIGRATIONS, start=1)]
    before = query(path, "SELECT * FROM lrgen_migrations")
    reopened = Store(url(path))
    assert len(reopened.best()) == 1
    reopened.prepare()
    assert query(path, "SELECT * FROM lrgen_migrations") == before


def test_a_new_migration_keeps_the_data(path, kept, monkeypatch):
    """A new migration is applied to an existing database, and every row stays unchanged."""
    before = {table: query(path, f"SELECT * FROM {table}") for table in tables.METADATA.tables}
    step = ("a note", ("ALTER TABLE lrgen_runs ADD COLUMN note VARCHAR", "CREATE TABLE lrgen_notes (id {id})"))
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, step))
    assert len(Store(url(path)).best()) == 1
    assert query(path, "SELECT number, name FROM lrgen_migrations")[-1] == (len(migrations.MIGRATIONS), "a note")
    assert query(path, "SELECT COUNT(*) FROM lrgen_notes") == [(0,)]
    assert query(path, "SELECT * FROM lrgen_runs") == [(*row, None) for row in before.pop("lrgen_runs")]
    assert {table: query(path, f"SELECT * FROM {table}") for table in before} == before


def test_a_migration_that_fails_changes_nothing(path, kept, monkeypatch):
    """A failed migration is rolled back, and the earlier version can still use the database."""
    before = query(path, "SELECT * FROM sqlite_master")
    step = ("invalid", ("ALTER TABLE lrgen_runs ADD COLUMN note VARCHAR", "ALTER TABLE nowhere ADD COLUMN x VARCHAR"))
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, step))
        with pytest.raises(StoreError, match=rf"^{re.escape(str(path))}: no such table: nowhere$"):
            Store(url(path)).best()
    assert query(path, "SELECT * FROM sqlite_master") == before
    assert len(Store(url(path)).best()) == 1


def test_a_newer_schema_is_an_error(path, kept, catalogue):
    """A database of a newer version is neither read nor written; the error asks for an update of lrgen."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO lrgen_migrations VALUES (99, 'from the future', '2031-01-01')")
    before = counts(path)
    newer = Store(url(path))
    with pytest.raises(
        StoreError, match=f"^the database has schema 99, this lrgen knows {len(migrations.MIGRATIONS)}: update lrgen$"
    ):
        newer.best()
    with pytest.raises(StoreError, match="^the database has schema 99, .*: update lrgen$"):
        newer.save(outcome(catalogue.variant(2)), CONDITIONS, ())
    assert counts(path) == before


def test_processes_can_create_a_database_concurrently(path, catalogue):
    """Concurrent processes create the tables of a new file once and record all their runs."""
    result = outcome(catalogue.variant(1), epoch(1))
    pids = []
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                Store(url(path)).save(result, CONDITIONS, CLASSES)
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert codes == [0] * 5
    assert counts(path) == (5, 5, 50)
    assert len(query(path, "SELECT * FROM lrgen_migrations")) == len(migrations.MIGRATIONS)


# Other tables and processes.


def test_other_tables_of_the_file_stay_unchanged(path, catalogue):
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

    def lemur_tables() -> list[Any]:
        names = ("nn", "transform", "metric", "prm", "stat", "train_stat", "nn_minhash")
        schema = query(path, "SELECT tbl_name, type, name, sql FROM sqlite_master ORDER BY name")
        definitions = [row for row in schema if row[0] in names]
        return [definitions, *(query(path, f"SELECT * FROM {table}") for table in names)]

    before = lemur_tables()
    store = Store(url(path))
    store.save(outcome(catalogue.variant(1), epoch(1)), CONDITIONS, CLASSES)
    assert len(store.best()) == 1
    assert lemur_tables() == before
    assert counts(path) == (1, 1, 10)


def test_a_foreign_table_with_a_name_of_lrgen_is_an_error(path, catalogue):
    """A file with another program's scheduler_results is an error and stays unchanged."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE scheduler_results (id INTEGER PRIMARY KEY, model_name TEXT);"
            "INSERT INTO scheduler_results VALUES (1, 'foreign');"
        )
    before = query(path, "SELECT * FROM sqlite_master")
    with pytest.raises(
        StoreError,
        match=rf"^{re.escape(str(path))}: table scheduler_results already exists; nothing of this was recorded$",
    ):
        Store(url(path)).save(outcome(catalogue.variant(1), epoch(1)), CONDITIONS, CLASSES)
    assert query(path, "SELECT * FROM sqlite_master") == before
    assert query(path, "SELECT * FROM scheduler_results") == [(1, "foreign")]


def test_writers_do_not_block_readers(path, kept):
    """With the write-ahead log, results can be read while another process writes."""
    assert query(path, "PRAGMA journal_mode") == [("wal",)]
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM class_data")
        assert len(kept.classes("ResNet", "A0_001")) == 10
        other.execute("ROLLBACK")


# Errors.


def test_a_locked_database_is_an_error(path, kept, catalogue):
    """A lock beyond the timeout is an error without loss of rows; later writes succeed."""
    store = Store(url(path), busy_timeout=0.1)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            StoreError, match=f"^{re.escape(str(path))}: database is locked; nothing of this was recorded$"
        ):
            store.save(outcome(catalogue.variant(2), epoch(1)), CONDITIONS, CLASSES)
        with pytest.raises(
            StoreError, match=f"^{re.escape(str(path))}: database is locked; nothing of this was recorded$"
        ):
            store.prepare()
        other.execute("ROLLBACK")
    assert counts(path) == (1, 2, 20)
    store.save(outcome(catalogue.variant(2), epoch(1)), CONDITIONS, CLASSES)
    assert counts(path) == (2, 3, 30)


def test_a_writer_waits_for_a_lock(path, kept, catalogue):
    """A lock that is released within the timeout only delays another writer."""
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


def operations(store: Store, catalogue: Any) -> list[Callable[[], Any]]:
    """Return calls of the methods of a store."""
    result = outcome(catalogue.variant(2), epoch(1))
    return [
        store.prepare,
        lambda: store.save(result, CONDITIONS, CLASSES),
        lambda: store.reusable([result.candidate], CONDITIONS),
        store.best,
        store.failures,
        lambda: store.classes("ResNet", "A0_001"),
    ]


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_not_a_database_stays_unchanged(path, catalogue, content):
    """Every operation on a file with other content is an error, and the file stays unchanged."""
    path.write_bytes(content)
    for operation in operations(Store(url(path)), catalogue):
        with pytest.raises(StoreError, match=f"^{re.escape(str(path))}: file is not a database"):
            operation()
    assert path.read_bytes() == content
    assert sorted(path.parent.iterdir()) == [path]


def test_a_damaged_database_is_an_error(path, kept, catalogue):
    """Every operation on a database with overwritten pages is an error, and nothing is written."""
    kept.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    for operation in operations(Store(url(path)), catalogue):
        with pytest.raises(StoreError, match="/results.db: (database disk image is malformed|file is not a database)"):
            operation()
    assert path.read_bytes() == content


def test_a_database_below_a_file_is_an_error(tmp_path, catalogue):
    """A database path below a file is an error, and the file stays unchanged."""
    (tmp_path / "file").write_text("mine")
    store = Store(url(tmp_path / "file" / "results.db"))
    with pytest.raises(StoreError, match=r"/file/results\.db: (File exists|Not a directory)$"):
        store.prepare()
    with pytest.raises(StoreError, match=r"/file/results\.db: (File exists|Not a directory)$"):
        store.save(outcome(catalogue.variant(1)), CONDITIONS, ())
    with pytest.raises(NoResultError, match=r"^there is no database at .*/file/results\.db: run lrgen verify first$"):
        store.best()
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_is_not_a_database(tmp_path):
    """A folder at the path of a database is a StoreError."""
    with pytest.raises(
        StoreError, match=f"^{re.escape(str(tmp_path))}: unable to open database file; nothing of this was recorded$"
    ):
        Store(url(tmp_path)).prepare()


def test_reading_creates_no_database(path, catalogue):
    """Reading from a missing database is an error and does not create the file."""
    store = Store(url(path))
    assert not store.exists()
    assert store.reusable([outcome(catalogue.variant(1)).candidate], CONDITIONS) == {}
    message = f"^there is no database at {re.escape(str(path))}: run lrgen verify first$"
    for read in (store.best, store.failures, lambda: store.classes("ResNet", "A0_001")):
        with pytest.raises(NoResultError, match=message):
            read()
    assert not path.exists()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("results.db", r"db: not a database URL, got 'results\.db' \(for example sqlite:///db/ab\.nn\.db\)"),
        ("", r"db: not a database URL, got '' \(for example sqlite:///db/ab\.nn\.db\)"),
        ("mysql://host/name", "db: must be sqlite or postgresql, got 'mysql'"),
        ("oracle://host", "db: must be sqlite or postgresql, got 'oracle'"),
        ("postgresql+nodriver://host/name", r"db: must be sqlite or postgresql, got 'postgresql\+nodriver'"),
    ],
)
def test_an_invalid_url_is_an_error(address, message):
    """A URL that cannot be used is a StoreError with the URL or its kind of database."""
    with pytest.raises(StoreError, match=f"^{message}$"):
        Store(address)


def test_errors_do_not_show_the_password():
    """The place of a database in errors has no password."""
    try:
        place = Store("postgresql://me:secret@nowhere.invalid/results").place
    except StoreError as error:  # without a driver
        place = str(error)
    assert "nowhere.invalid" in place
    assert "secret" not in place


def save_until_full(store: Store, result: Outcome, message: str) -> int:
    """Record the same outcome until the disk is full; return the number of recorded runs."""
    for saved in range(100):
        try:
            store.save(result, CONDITIONS, CLASSES)
        except StoreError as error:
            assert message in str(error)  # noqa: PT017  the number of calls before the error is needed
            return saved
    pytest.fail("the disk is not full after 100 runs")


def test_a_full_database_is_an_error(path, kept, catalogue):
    """When the database cannot grow, the run is not recorded, and earlier runs stay."""
    kept.close()
    full = Store(url(path))
    event.listen(full.engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 30"))
    result = outcome(catalogue.variant(2), *(epoch(number) for number in range(1, 20)))
    saved = save_until_full(full, result, "database or disk is full; nothing of this was recorded")
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
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_an_error(small_disk, catalogue):
    """On a full file system, writing is an error and reading works; writing works again once there is space."""
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
    """A closed database in a folder where only root may write."""
    kept.close()
    folder = Path(tempfile.mkdtemp())
    shutil.copy(path, folder)
    (folder / path.name).chmod(0o444)
    folder.chmod(0o555)
    yield folder / path.name
    folder.chmod(0o755)
    shutil.rmtree(folder)


def as_nobody(function: Callable[[], object]) -> str:
    """Return the result or the error of a function in a process of the user ``nobody``, as text."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            result = repr(function())
        except BaseException as error:  # noqa: BLE001  the error is the result
            result = f"{type(error).__name__}: {error}"
        os.write(writing, result.encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        result = file.read().decode()
    os.waitpid(pid, 0)
    return result


def test_a_read_only_database_can_be_read(read_only):
    """Results can be read without permission to write the file and its folder."""
    assert "0.8" in as_nobody(lambda: Store(url(read_only)).best()[0]["accuracy"])


def test_a_reader_without_write_permission_sees_new_results(path, catalogue):
    """A reader without write permission sees the results that another process has just recorded."""
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


def test_writing_a_read_only_database_is_an_error(read_only, catalogue):
    """Recording without write permission is an error that names the file, which stays unchanged."""
    before = read_only.read_bytes()
    result = outcome(catalogue.variant(2))
    message = as_nobody(lambda: Store(url(read_only)).save(result, CONDITIONS, ()))
    assert message.startswith(f"StoreError: {read_only}: ")
    assert read_only.read_bytes() == before
    message = as_nobody(lambda: Store(url(read_only.parent / "new.db")).prepare())
    assert message.startswith(f"StoreError: {read_only.parent}/new.db: ")


# Query plans.


def plan_of(path: Path, store: Store, function: Callable[[], object]) -> list[str]:
    """Return the steps of SQLite's plans for the queries that a function makes."""
    statements: list[tuple[str, Any]] = []

    def collect(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")) and "lrgen_migrations" not in statement:
            statements.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", collect)
    function()
    event.remove(store.engine, "before_cursor_execute", collect)
    assert statements
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [
            row[3]
            for statement, parameters in statements
            for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]


def scans(plan: list[str]) -> list[str]:
    """Return the steps of a plan that read a whole table."""
    return [step for step in plan if step.startswith("SCAN") and any(name in step for name in tables.METADATA.tables)]


def test_the_lookup_of_reusable_results_uses_an_index(path, kept, catalogue):
    """The lookup of reusable results does not scan the table of runs."""
    candidate = outcome(catalogue.variant(1)).candidate
    plan = plan_of(path, kept, lambda: kept.reusable([candidate], CONDITIONS))
    assert scans(plan) == []
    assert any("ix_lrgen_runs_source" in step for step in plan)


def test_the_lookup_of_classes_uses_an_index(path, kept):
    """The lookup of the classes of an epoch does not scan a table."""
    plan = plan_of(path, kept, lambda: kept.classes("ResNet", "A0_001"))
    assert scans(plan) == []
    assert any("ix_scheduler_results" in step for step in plan)


@pytest.mark.parametrize("metric", ["accuracy", "loss", "f1"])
def test_the_best_epochs_are_selected_from_indices(path, kept, metric):
    """The best epochs are selected from covering indices; complete results are read for these only."""
    for function in (kept.best, lambda: kept.unique(90, metric=metric)):
        for step in scans(plan_of(path, kept, function)):
            assert "COVERING INDEX" in step, step

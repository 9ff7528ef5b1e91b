"""The functions that people call from Python."""

import hashlib
from pathlib import Path

import pytest

import lrgen as package
from lrgen import verify
from lrgen.errors import NoResultError
from lrgen.records import Candidate, EpochReport, Outcome, Status, VerifySettings
from lrgen.store import Store

CONFUSION = ((3, 1), (0, 4))


@pytest.fixture
def database(catalogue, tmp_path: Path) -> str:
    """A store with one run of two epochs."""
    url = f"sqlite:///{tmp_path / 'results.db'}"
    source = "pass"
    candidate = Candidate(
        path=Path("A0_001.py"),
        source=source,
        sha256=hashlib.sha256(source.encode()).hexdigest(),
        model_name="ResNet",
        scheduler_type="A0_001",
        variant=catalogue.variant(1),
        prm={"lr": 0.1},
    )
    epochs = tuple(EpochReport(epoch, 1.0, 0.5, 1.0, CONFUSION, 0.1, 1.0) for epoch in (1, 2))
    outcome = Outcome(candidate, Status.PROVED, None, "", 1.0, epochs=epochs, accuracy=0.875)
    Store(url).save(outcome, verify.conditions_of(VerifySettings()), ("cat", "dog"))
    return url


def test_get_class_accuracies_answers_with_what_was_measured(database):
    """The frame holds one row a class, computed from the confusion matrix of the epoch."""
    frame = package.get_class_accuracies(model_name="ResNet", scheduler_type="A0_001", epoch=2, db=database)
    assert frame["class_name"].tolist() == ["cat", "dog"]
    assert frame["accuracy"].tolist() == [0.75, 1.0]
    assert frame["precision"].tolist() == [1.0, 0.8]
    assert frame["support"].tolist() == [4, 4]
    assert set(frame["epoch"]) == {2}


def test_an_epoch_that_was_never_run_is_an_error_and_no_frame_of_zeros(database):
    """Nothing is made up: the error names the epochs that were evaluated."""
    with pytest.raises(NoResultError, match="at epoch 9 .*evaluated epochs: 1, 2"):
        package.get_class_accuracies("ResNet", "A0_001", 9, db=database)


def test_the_database_of_the_configuration_is_the_default(database, tmp_path, monkeypatch):
    """Without ``db`` the functions read where ``lrgen verify`` records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LRGEN_DB", database)
    assert len(package.get_class_accuracies("ResNet", "A0_001")) == 2

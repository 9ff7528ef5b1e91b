"""LEMUR's own client reads an export; ``make lemur`` runs these tests, docs/lemur.md describes the use."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrgen.catalogue import Catalogue
from lrgen.lemur import layout
from lrgen.lemur.runs import MeasuredRun, collect
from lrgen.records import EpochReport, Outcome, Stage, Status, Training, VerifySettings
from lrgen.store import Store
from lrgen.verify import run as verify
from lrgen.verify import verdicts

CLIENT = os.environ.get("LRGEN_LEMUR_PYTHON")
SCRIPT = Path(__file__).with_name("lemur_reader.py")

Tables = dict[str, list[dict[str, Any]]]


def epoch(number: int, correct: int) -> EpochReport:
    """Return an epoch with ``correct`` correct predictions for ten images."""
    return EpochReport(number, 1.0, 0.5, 0.75, ((correct, 10 - correct), (0, 0)), lr=0.1, seconds=2.0)


@pytest.fixture(scope="module")
def runs(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> list[MeasuredRun]:
    """The runs of two rendered files, one of them also on a dataset whose transform LEMUR lacks."""
    folder = tmp_path_factory.mktemp("measured")
    pairs = [(catalogue.architecture("ResNet"), catalogue.variant(number)) for number in (1, 37)]
    store = Store(f"sqlite:///{folder}/results.db")
    for candidate in verify.from_selection(catalogue, pairs, folder / "generated"):
        outcome = Outcome(
            candidate,
            Status.VERIFIED,
            Stage.TRAINING,
            "",
            4.0,
            epochs=(epoch(1, 3), epoch(2, 9)),
            accuracy=0.9,
            training=Training.FULL,
            base_lr=0.1,
        )
        conditions = verdicts.conditions_of(VerifySettings(epochs=2))
        store.save(outcome, conditions, ("a", "b"))
        if candidate.scheduler_type == "A0_001":
            store.save(outcome, replace(conditions, dataset="cifar-10"), ("a", "b"))
    measured, left_out = collect(store.epochs(checked=True), folder / "generated")
    store.close()
    assert left_out == []
    return measured


@pytest.fixture(scope="module")
def tables(runs: list[MeasuredRun], tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The rows of the client's database after it read the export."""
    if not CLIENT:
        pytest.skip("LRGEN_LEMUR_PYTHON does not name the Python of an environment with nn-dataset (make lemur)")
    out, scratch = tmp_path_factory.mktemp("exports") / "out", tmp_path_factory.mktemp("lemur")
    layout.export(runs, out)
    done = subprocess.run(
        [CLIENT, "-B", str(SCRIPT), str(out)],
        cwd=scratch,
        env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Warning: skipping" not in done.stderr
    return json.loads(done.stdout)


def test_the_client_has_every_epoch(tables, runs):
    """Each epoch is a row of the client's database, with the exported accuracy, duration, transform and code."""
    assert sorted(
        (row["nn"], row["dataset"], row["epoch"], row["accuracy"], row["duration"], row["prm"].get("transform"))
        for row in tables["data"]
    ) == [
        ("ResNet-A0-001", "cifar-10", 1, 0.3, 2 * 10**9, None),
        ("ResNet-A0-001", "cifar-10", 2, 0.9, 4 * 10**9, None),
        ("ResNet-A0-001", "digits", 1, 0.3, 2 * 10**9, "norm_32"),
        ("ResNet-A0-001", "digits", 2, 0.9, 4 * 10**9, "norm_32"),
        ("ResNet-A0-037", "digits", 1, 0.3, 2 * 10**9, "norm_32"),
        ("ResNet-A0-037", "digits", 2, 0.9, 4 * 10**9, "norm_32"),
    ]
    codes = {run.name: run.code.decode() for run in runs}
    assert all(row["nn_code"] == codes[row["nn"]] for row in tables["data"])
    assert {(row["task"], row["metric"]) for row in tables["data"]} == {("img-classification", "acc")}


def test_the_client_has_exactly_the_hyperparameters(tables, runs):
    """The prm of a row are the file's hyperparameters and the number of epochs, without any other field."""
    expected = {(run.name, run.dataset): run.prm | {"epoch_max": 2} for run in runs}
    for row in tables["data"]:
        prm = {name: value for name, value in row["prm"].items() if name != "transform"}
        assert prm == expected[row["nn"], row["dataset"]]


def test_rendered_files_are_recognised_in_the_clients_database(tables):
    """``lemur_rows`` returns lrgen's own files from LEMUR's database, each at its best epoch."""
    assert sorted(
        (row["model_name"], row["scheduler_type"], row["epoch"], row["accuracy"]) for row in tables["lemur_rows"]
    ) == [("ResNet", "A0_001", 2, 0.9), ("ResNet", "A0_037", 2, 0.9)]

"""Exports for LEMUR and NNGPT can be imported again unchanged, and never hold code that was not measured."""

import dataclasses
import hashlib
import itertools
import json
import re
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgen.errors import LrgenError, OutputError
from lrgen.lemur import reader
from lrgen.lemur.folder import new_folder
from lrgen.lemur.names import key_of, lemur_rows, name_of
from lrgen.records import EpochReport, Outcome, Stage, Status, Training, VerifySettings
from lrgen.store import Series, Store
from lrgen.verify.candidate import candidate_of
from lrgen.verify.verdicts import conditions_of

CODES = {"A0_001": b"# one\n", "A0_002": b"# two\n"}
STATISTICS = "stat/train/img-classification_digits_acc_ResNet-A0-001"
LAYOUTS = ("lemur", "nngpt")

in_every_layout = pytest.mark.parametrize("layout", LAYOUTS)


def digest(code: bytes) -> str:
    return hashlib.sha256(code).hexdigest()


def epoch(number: int, correct: int, total: int = 10) -> EpochReport:
    """Return an evaluated epoch of two classes with ``correct`` correct predictions of ``total`` in each."""
    confusion = ((correct, total - correct), (total - correct, correct))
    return EpochReport(number, 1 / number, 0.25, 2 / number, confusion, lr=0.1, seconds=1.5)


def outcome(path: Path, catalogue, *epochs: EpochReport, **values: Any) -> Outcome:
    """Return the outcome of verifying a rendered file of the ResNet."""
    candidate = candidate_of(path, path.read_bytes(), catalogue.architecture("ResNet"), catalogue.variant(path.stem))
    defaults = {"accuracy": 1.0, "training": Training.FULL, "base_lr": 0.1}
    return Outcome(candidate, Status.VERIFIED, Stage.TRAINING, "", 3.0, epochs=epochs, **defaults | values)


@pytest.fixture
def project(tmp_path: Path, lrgen: Callable[..., tuple]) -> Path:
    """The current folder of the command line, with two rendered files."""
    for stem, code in CODES.items():
        path = tmp_path / "generated" / "ResNet" / f"{stem}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(code)
    return tmp_path


@pytest.fixture
def save(project: Path, catalogue) -> Callable[..., None]:
    """A function that records the outcome of verifying one of the files."""

    def record(
        stem: str, *epochs: EpochReport, dataset: str = "digits", folder: str = "generated", **values: Any
    ) -> None:
        settings = VerifySettings(dataset=dataset, epochs=len(epochs), batch_size=24, stage=Stage.TRAINING)
        store = Store(f"sqlite:///{project}/db/ab.nn.db")
        path = project / folder / "ResNet" / f"{stem}.py"
        store.save(outcome(path, catalogue, *epochs, **values), conditions_of(settings), ("a", "b"))
        store.close()

    return record


@pytest.fixture
def saved(save: Callable[..., None]) -> None:
    """Record that both files were verified, one of them on two datasets."""
    save("A0_001", epoch(1, 3), epoch(2, 9))
    save("A0_001", epoch(1, 4), dataset="cifar-10")
    save("A0_002", epoch(1, 7), epoch(2, 6))


def rows(project: Path, name: str = "db/ab.nn.db") -> list[dict[str, Any]]:
    store = Store(f"sqlite:///{project}/{name}")
    try:
        return store.epochs()
    finally:
        store.close()


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def exported(project: Path, saved: None, lrgen: Callable[..., tuple]) -> Path:
    """An export of all recorded runs for LEMUR."""
    assert lrgen("export", "lemur", "--out", "out")[0] == 0
    return project / "out"


# Export and import.


@in_every_layout
def test_an_export_is_imported_unchanged(project, saved, lrgen, layout):
    """Epochs, accuracies, losses and hyperparameters stay equal; batch, horizon and transform are added."""
    assert lrgen("export", layout, "--out", "out")[0] == 0
    code, out, _ = lrgen("import", "lemur", "out", "--db", "sqlite:///new.db", "--json")
    assert code == 0
    report = {"files": 2, "epochs": 5, "runs": 3, "recorded": 3, "known": 0}
    assert json.loads(out) == {"folder": "out"} | report
    kept = ("model_name", "scheduler_type", "dataset", "task", "epoch", "accuracy", "best_accuracy", "loss")
    kept += ("train_loss", "train_accuracy", "source_sha256", "seconds")
    before, after = rows(project), rows(project, "new.db")
    assert [{name: row[name] for name in kept} for row in after] == [
        {name: row[name] for name in kept} for row in before
    ]
    for old, new in zip(before, after, strict=True):
        epochs = 1 if old["dataset"] == "cifar-10" else 2
        transform = "norm_32" if old["dataset"] == "digits" else None
        added = {"batch": 24, "epoch_max": epochs, "transform": transform}
        assert new["hyperparameters"] == old["hyperparameters"] | added
        assert new["status"] == "recorded"
        assert digest(Path(new["path"]).read_bytes()) == new["source_sha256"]


@in_every_layout
def test_a_known_run_is_not_recorded_again(project, saved, lrgen, layout):
    """A second import adds nothing, and neither does an import into the exported database."""
    lrgen("export", layout, "--out", "out")
    for database, recorded in (("new.db", 3), ("new.db", 0), ("db/ab.nn.db", 0)):
        _, out, _ = lrgen("import", "lemur", "out", "--db", f"sqlite:///{database}", "--json")
        assert json.loads(out)["recorded"] == recorded
    assert all(row["status"] == "verified" for row in rows(project))


OLD_CODE = b'prm.get("warmup", 0.1)\n'


@pytest.fixture
def old_file(project: Path, save: Callable[..., None]) -> Path:
    """A verified file of an earlier version, which reads a hyperparameter under its old name."""
    path = project / "generated" / "ResNet" / "A0_037.py"
    path.write_bytes(OLD_CODE)
    save("A0_037", epoch(1, 3))
    return path


@in_every_layout
def test_old_code_is_published_with_the_names_that_it_reads(project, old_file, lrgen, layout):
    """The database has a hyperparameter's new name; the export has the old name if the code reads that."""
    assert {"warmup_fraction", "lr"} <= rows(project)[0]["hyperparameters"].keys()
    assert lrgen("export", layout, "--out", "out")[0] == 0
    (path,) = (project / "out").rglob("1.json")
    (trial,) = json.loads(path.read_text())
    assert trial["warmup"] == 0.1
    assert "warmup_fraction" not in trial


@in_every_layout
def test_old_names_are_imported_as_new_names(project, old_file, lrgen, layout):
    """A trial with a hyperparameter's old name is recorded under its new name, and is known afterwards."""
    assert lrgen("export", layout, "--out", "out")[0] == 0
    for database, recorded in (("new.db", 1), ("new.db", 0), ("db/ab.nn.db", 0)):
        _, out, _ = lrgen("import", "lemur", "out", "--db", f"sqlite:///{database}", "--json")
        assert json.loads(out)["recorded"] == recorded
    (row,) = rows(project, "new.db")
    assert row["hyperparameters"]["warmup_fraction"] == 0.1
    assert "warmup" not in row["hyperparameters"]


@pytest.mark.parametrize("changed", [{"accuracy": 0.95}, {"lr": 0.5}], ids=str)
def test_a_run_that_differs_from_a_known_run_is_recorded(project, exported, lrgen, changed):
    """A run of the same code with another accuracy or learning rate is recorded as a run of its own."""
    for path in (exported / STATISTICS).iterdir():
        (trial,) = json.loads(path.read_text())
        path.write_text(json.dumps([trial | changed]))
    _, out, _ = lrgen("import", "lemur", "out", "--json")
    assert json.loads(out)["recorded"] == 1
    recorded = [row for row in rows(project) if (row["scheduler_type"], row["dataset"]) == ("A0_001", "digits")]
    assert [row["accuracy"] for row in recorded] == ([0.95, 0.95] if "accuracy" in changed else [0.3, 0.9])
    assert {row["hyperparameters"]["lr"] for row in recorded} == {changed.get("lr", 0.1)}


def test_the_same_accuracy_on_another_dataset_is_recorded(exported, lrgen):
    """A run on another dataset is a new run, even with equal accuracies."""
    shutil.copytree(exported / STATISTICS, exported / STATISTICS.replace("digits", "svhn"))
    _, out, _ = lrgen("import", "lemur", "out", "--json")
    assert json.loads(out)["recorded"] == 1


def test_both_layouts_hold_the_same_runs(project, exported, lrgen):
    """LEMUR's and NNGPT's folders are read as the same runs."""
    lrgen("export", "nngpt", "--out", "other")

    def read(folder: str) -> dict[Series, Any]:
        by_series = {}
        for source in reader.sources(project / folder):
            by_series |= {dataclasses.replace(series, path=""): runs for series, runs in reader.read(source).items()}
        return by_series

    assert read("out") == read("other")
    assert len(read("out")) == 3


# The files of an export.


def test_an_export_for_lemur_has_the_layout_of_its_reader(exported):
    """Each network has a file, each dataset a folder of statistics with a name of four parts, each epoch a file."""
    assert sorted(content(exported)) == [
        "nn/ResNet-A0-001.py",
        "nn/ResNet-A0-002.py",
        "stat/train/img-classification_cifar-10_acc_ResNet-A0-001/1.json",
        "stat/train/img-classification_digits_acc_ResNet-A0-001/1.json",
        "stat/train/img-classification_digits_acc_ResNet-A0-001/2.json",
        "stat/train/img-classification_digits_acc_ResNet-A0-002/1.json",
        "stat/train/img-classification_digits_acc_ResNet-A0-002/2.json",
    ]
    assert (exported / "nn" / "ResNet-A0-002.py").read_bytes() == CODES["A0_002"]


def test_a_trial_has_exactly_the_measured_fields(exported, catalogue):
    """A trial has hyperparameters, accuracy, nanoseconds since the start of the first epoch, and statistics."""
    (trial,) = json.loads((exported / STATISTICS / "2.json").read_text())
    uid = trial.pop("uid")
    assert uid == json.loads((exported / STATISTICS / "1.json").read_text())[0]["uid"]
    prm = catalogue.variant(1).defaults | {"lr": 0.1, "momentum": 0.9, "dropout": 0.0, "batch": 24, "epoch_max": 2}
    assert trial == prm | {
        "transform": "norm_32",
        "accuracy": 0.9,
        "duration": 3_000_000_000,
        "train_stat": {
            "train_loss": 0.5,
            "test_loss": 1.0,
            "train_accuracy": 0.25,
            "best_accuracy": 0.9,
            "best_epoch": 2,
            "epoch_max": 2,
        },
    }


def test_an_export_for_nngpt_has_code_hyperparameters_and_trials(project, saved, lrgen, catalogue):
    """No eval_info.json is written, with which NNGPT would skip a network, and no number of epochs."""
    lrgen("export", "nngpt", "--out", "out", "--variant", "2")
    network = project / "out" / "synth_nn" / "ResNet-A0-002"
    assert sorted(content(project / "out" / "synth_nn")) == [
        f"ResNet-A0-002/{name}" for name in ("1.json", "2.json", "hp.txt", "new_nn.py")
    ]
    assert (network / "new_nn.py").read_bytes() == CODES["A0_002"]
    prm = catalogue.variant(2).defaults | {"lr": 0.1, "momentum": 0.9, "dropout": 0.0, "batch": 24}
    assert json.loads((network / "hp.txt").read_text()) == prm | {"transform": "norm_32"}
    (trial,) = json.loads((network / "1.json").read_text())
    assert {"uid", "transform", "duration", "accuracy"} <= trial.keys()
    assert (trial["task"], trial["dataset"], trial["metric"]) == ("img-classification", "digits", "acc")


def test_an_export_for_nngpt_has_one_folder_per_file(project, saved, lrgen):
    """The trials of an epoch on several datasets are in one list, in descending order of accuracy."""
    lrgen("export", "nngpt", "--out", "out", "--variant", "1")
    trials = json.loads((project / "out" / "synth_nn" / "ResNet-A0-001" / "1.json").read_text())
    assert [(trial["dataset"], trial["accuracy"]) for trial in trials] == [("cifar-10", 0.4), ("digits", 0.3)]


# Names.


@given(model=st.from_regex(r"[A-Za-z][A-Za-z0-9_]*", fullmatch=True), number=st.integers(1, 9999))
def test_a_name_in_lemur_leads_back_to_its_file(model, number):
    """For any architecture and number, the name has no underscore and gives the same key again."""
    key = (model, f"A0_{number:03d}")
    name = name_of(*key, "0" * 64)
    assert "_" not in name
    assert key_of(name, "1" * 64) == key


def test_names_in_lemur_are_unique(catalogue):
    """No two files of the corpus have the same name."""
    pairs = itertools.product(catalogue.architectures, catalogue.variants)
    names = {name_of(architecture.name, variant.key, "") for architecture, variant in pairs}
    assert len(names) == len(catalogue.architectures) * len(catalogue.variants)


def test_a_file_from_elsewhere_keeps_its_name():
    """A file from elsewhere is named by its stem and its digest; a network of LEMUR keeps its own name."""
    assert name_of("my_net", "file-0123abcd", "0123abcd" * 8) == "my-net-0123abcd"
    assert key_of("rag-5f3a", "0123abcd" * 8) == ("rag-5f3a", "file-0123abcd")


# Files that are not exported.


def test_changed_code_is_not_published(project, saved, lrgen):
    """A file whose bytes changed after the measurement is left out, and the output names it."""
    (project / "generated" / "ResNet" / "A0_001.py").write_text("# changed\n")
    code, out, _ = lrgen("export", "lemur", "--out", "out", "--json")
    assert code == 0
    left_out = json.loads(out)["left_out"]
    assert [(run["scheduler_type"], run["dataset"]) for run in left_out] == [
        ("A0_001", "cifar-10"),
        ("A0_001", "digits"),
    ]
    assert not [name for name in content(project / "out") if "A0-001" in name]
    assert "ResNet/A0_001 on digits" in lrgen("export", "nngpt", "--out", "other")[1]


def test_code_is_read_from_the_folder_of_rendered_files(project, saved, lrgen):
    """Files that were moved after their verification are read from --files."""
    shutil.move(project / "generated", project / "moved")
    assert lrgen("export", "lemur", "--out", "out")[0] == 2
    assert lrgen("export", "lemur", "--out", "out", "--files", "moved")[0] == 0


def test_two_versions_of_a_file_do_not_share_a_name(project, save, lrgen):
    """Of two existing versions of a file, measured on two datasets, only the newer one is published."""
    shutil.copytree(project / "generated", project / "old")
    save("A0_001", epoch(1, 4), dataset="cifar-10", folder="old")
    path = project / "generated" / "ResNet" / "A0_001.py"
    path.write_text("# later\n")
    save("A0_001", epoch(1, 5))
    code, out, _ = lrgen("export", "lemur", "--out", "out", "--json")
    assert code == 0
    assert [run["dataset"] for run in json.loads(out)["left_out"]] == ["cifar-10"]
    assert sorted(content(project / "out")) == ["nn/ResNet-A0-001.py", f"{STATISTICS}/1.json"]
    assert (project / "out" / "nn" / "ResNet-A0-001.py").read_text() == "# later\n"


def test_a_run_that_overfits_a_small_subset_is_left_out(project, saved, save, lrgen):
    """A run of the overfitting check is left out, with the reason."""
    save("A0_002", epoch(1, 10), training=Training.OVERFIT)
    code, out, _ = lrgen("export", "lemur", "--out", "out", "--json")
    assert code == 0
    report = json.loads(out)
    assert report["files"] == 1
    assert [(run["scheduler_type"], run["reason"]) for run in report["left_out"]] == [
        ("A0_002", "only overfit a few images")
    ]


def test_only_runs_that_lrgen_evaluated_are_exported(project, saved, lrgen):
    """A caller's results are not exported and do not hide the results that lrgen measured."""
    sha256 = digest(CODES["A0_001"])
    path = project / "generated" / "ResNet" / "A0_001.py"
    store = Store(f"sqlite:///{project}/db/ab.nn.db")
    store.record_epoch(Series("ResNet", "A0_001", "digits", path=str(path), source_sha256=sha256), 1, 0.99, None)
    store.close()
    assert lrgen("export", "lemur", "--out", "out", "--dataset", "digits")[0] == 0
    (trial,) = json.loads((project / "out" / STATISTICS / "1.json").read_text())
    assert trial["accuracy"] == 0.3


def test_a_selection_is_exported_alone(project, saved, lrgen):
    """Models, variants, families and the dataset select the exported runs; an unknown name is an error."""
    for number, (options, files) in enumerate(
        (
            (("--variant", "2"), {"ResNet-A0-002"}),
            (("--dataset", "cifar-10"), {"ResNet-A0-001"}),
            (("--model", "ResNet", "--family", "step"), {"ResNet-A0-001", "ResNet-A0-002"}),
        )
    ):
        assert lrgen("export", "lemur", "--out", f"out{number}", *options)[0] == 0
        assert {path.stem for path in (project / f"out{number}" / "nn").iterdir()} == files
    code, _, err = lrgen("export", "lemur", "--out", "none", "--model", "ResNt")
    assert code == 2
    assert "ResNet" in err
    assert lrgen("export", "lemur", "--out", "none", "--variant", "3")[0] == 2
    assert not (project / "none").exists()


@in_every_layout
def test_an_export_overwrites_nothing(project, saved, lrgen, layout):
    """A folder that is not empty, and a file, are errors and stay unchanged; an empty folder is accepted."""
    (project / "full").mkdir()
    (project / "full" / "kept").write_text("kept")
    for name in ("full", "full/kept"):
        code, _, err = lrgen("export", layout, "--out", name)
        assert code == 2
        assert name in err
    assert content(project / "full") == {"kept": b"kept"}
    (project / "empty").mkdir()
    assert lrgen("export", layout, "--out", "empty")[0] == 0
    assert content(project / "empty")


def test_an_existing_folder_is_an_error_before_anything_is_written(tmp_path):
    """A folder that is not empty is an error at the start of an export."""
    (tmp_path / "kept").write_text("kept")
    message = f"^{re.escape(str(tmp_path))}: already exists and is not an empty folder; nothing was written$"
    with pytest.raises(OutputError, match=message):
        new_folder(tmp_path).__enter__()


def test_an_unfinished_folder_is_removed(tmp_path):
    """An exception while a folder is written leaves neither the folder nor its temporary one."""

    def write_half() -> None:
        with new_folder(tmp_path / "out") as folder:
            (folder / "half").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert list(tmp_path.iterdir()) == []


# Folders that are not imported.


@pytest.mark.parametrize(
    "text",
    [
        "[{",
        "3",
        "[3]",
        '[{"uid": "1"}]',
        '[{"accuracy": 1.5}]',
        '[{"accuracy": -0.1}]',
        '[{"accuracy": NaN}]',
        '[{"accuracy": "0.5"}]',
        '[{"accuracy": true}]',
        '[{"accuracy": 1e400}]',
        f'[{{"accuracy": {"9" * 400}}}]',
        f'[{{"accuracy": {"9" * 5000}}}]',
        "[" * 5000,
    ],
)
def test_an_invalid_file_is_named_and_nothing_is_imported(project, exported, lrgen, text):
    """One file without LEMUR's format stops the whole import, and the error names it."""
    invalid = exported / "stat/train/img-classification_digits_acc_ResNet-A0-002/2.json"
    invalid.write_text(text)
    code, _, err = lrgen("import", "lemur", "out", "--db", "sqlite:///new.db")
    assert code == 2
    assert "ResNet-A0-002/2.json" in err
    assert not (project / "new.db").exists()


@pytest.mark.parametrize("epoch", [0, 10**20])
def test_a_file_that_names_no_epoch_is_named(project, exported, lrgen, epoch):
    """Epochs count from 1, and not beyond what a database can hold."""
    folder = exported / "stat/train/img-classification_digits_acc_ResNet-A0-002"
    (folder / f"{epoch}.json").write_bytes((folder / "2.json").read_bytes())
    code, _, err = lrgen("import", "lemur", "out", "--db", "sqlite:///new.db")
    assert code == 2
    assert f"/{epoch}.json: must be named after an epoch from 1 to 1000000" in err
    assert not (project / "new.db").exists()


@pytest.mark.parametrize("trial", [{"lr": 10**30}, {"duration": 10**400}, {"train_stat": {"test_loss": 10**400}}])
def test_numbers_beyond_all_floats_are_no_traceback(project, exported, lrgen, trial):
    """A measurement beyond all floats is unknown, and a hyperparameter beyond 64 bits is an error."""
    folder = exported / "stat/train/img-classification_digits_acc_ResNet-A0-002"
    (folder / "2.json").write_text(json.dumps([{"accuracy": 0.5, "lr": 0.1} | trial]))
    code, _, err = lrgen("import", "lemur", "out", "--db", "sqlite:///new.db")
    assert (code, err) == ((2, "lrgen: new.db: Integer exceeds 64-bit range\n") if "lr" in trial else (0, ""))


@pytest.mark.parametrize("name", ["img-classification_digits_acc_A0_001", "img-classification_digits_ResNet", "a__c_d"])
def test_a_folder_with_an_invalid_name_is_named(project, exported, lrgen, name):
    """A folder whose name does not have four parts stops the import, and the error names it."""
    (exported / "stat" / "train" / name).mkdir()
    code, _, err = lrgen("import", "lemur", "out", "--db", "sqlite:///new.db")
    assert code == 2
    assert name in err
    assert not (project / "new.db").exists()


def test_statistics_without_code_are_not_imported(exported, lrgen):
    """Statistics whose code is missing are an error that names the missing file."""
    (exported / "nn" / "ResNet-A0-002.py").unlink()
    code, _, err = lrgen("import", "lemur", "out")
    assert code == 2
    assert "ResNet-A0-002.py" in err


def test_a_folder_in_neither_layout_is_an_error(project, lrgen):
    """The import of a folder in neither layout fails and names the folder."""
    code, _, err = lrgen("import", "lemur", "generated")
    assert code == 2
    assert "generated" in err


# Folders that LEMUR itself wrote.


@pytest.fixture
def lemur_folder(tmp_path: Path) -> Path:
    """A folder as LEMUR's search writes it: several trials per epoch, other metrics, other files."""
    folder = tmp_path / "ab" / "nn"
    (folder / "nn").mkdir(parents=True)
    (folder / "nn" / "AlexNet.py").write_text("raise SystemExit('executed')\n")
    trial = {"batch": 8, "transform": "norm_64", "metric_acc": 0.5, "layer_stat": {"a": 1}, "epoch_max": 2}
    trials = {
        1: [(0.02, 0.8, 4e9), (0.01, 0.5, 1e9)],
        2: [(0.01, 0.6, 3e9)],
        3: [(0.03, 0.1, 9e9), (0.03, 0.1, 9e9)],
    }
    statistics = folder / "stat" / "train" / "img-classification_cifar-10_acc_AlexNet"
    statistics.mkdir(parents=True)
    for number, epoch_trials in trials.items():
        measured = [{"lr": lr, "accuracy": accuracy, "duration": int(time)} for lr, accuracy, time in epoch_trials]
        written = [trial | values | {"uid": f"{number}-{index}"} for index, values in enumerate(measured)]
        (statistics / f"{number}.json").write_text(json.dumps(written))
    (statistics / "training_summary.json").write_text("{}")
    (folder / "stat" / "train" / "img-captioning_coco_bleu,meteor_AlexNet").mkdir()
    other = folder / "stat" / "train" / "img-captioning_coco_bleu,meteor_AlexNet" / "1.json"
    other.write_text(json.dumps([trial | {"uid": "d", "accuracy": 0.9, "duration": 1}]))
    return folder


def test_each_of_lemurs_own_trials_is_a_run(lemur_folder):
    """Each trial becomes a run, the best one last; durations are per epoch; other metrics are skipped."""
    ((series, runs),) = [item for source in reader.sources(lemur_folder) for item in reader.read(source).items()]
    sha256 = digest((lemur_folder / "nn" / "AlexNet.py").read_bytes())
    assert (series.model_name, series.scheduler_type) == ("AlexNet", f"file-{sha256[:8]}")
    assert (series.dataset, series.source_sha256) == ("cifar-10", sha256)
    assert [[(epoch.epoch, epoch.accuracy, epoch.seconds) for epoch in run] for run in runs] == [
        [(3, 0.1, None)],
        [(3, 0.1, None)],
        [(1, 0.5, 1.0), (2, 0.6, 2.0)],
        [(1, 0.8, 4.0)],
    ]
    prm = {"batch": 8, "transform": "norm_64", "epoch_max": 2}
    for run, lr in zip(runs, (0.03, 0.03, 0.01, 0.02), strict=True):
        assert all(epoch.hyperparameters == prm | {"lr": lr} and epoch.loss is None for epoch in run)


def test_trials_of_lemur_are_recorded_separately(lemur_folder, tmp_path, lrgen):
    """In the store each trial is a run, equal trials are one run, and queries return the best."""
    code, out, _ = lrgen("import", "lemur", lemur_folder, "--json")
    assert code == 0
    assert {name: json.loads(out)[name] for name in ("runs", "recorded", "known")} == {
        "runs": 4,
        "recorded": 3,
        "known": 1,
    }
    (row,) = rows(tmp_path)
    assert (row["epoch"], row["accuracy"], row["model_name"]) == (1, 0.8, "AlexNet")


def test_an_answer_that_nngpt_has_not_evaluated_has_no_runs(tmp_path):
    """A network without statistics has no runs; statistics without a dataset are an error."""
    network = tmp_path / "synth_nn" / "B1"
    network.mkdir(parents=True)
    (network / "new_nn.py").write_text("")
    (source,) = reader.sources(tmp_path / "synth_nn")
    assert reader.read(source) == {}
    (network / "1.json").write_text('[{"accuracy": 0.5, "task": "img-classification", "metric": "acc"}]')
    with pytest.raises(OutputError, match=r"/synth_nn/B1/1\.json: a trial has no dataset$"):
        reader.read(source)


# LEMUR's database.


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A test double of LEMUR's client; the list collects the arguments of its calls."""
    calls: list[dict[str, Any]] = []

    def row(nn: str, code: str, epoch: int, accuracy: float, dataset: str = "cifar-10") -> dict[str, Any]:
        fields = {"task": "img-classification", "dataset": dataset, "metric": "acc"}
        return fields | {"nn": nn, "nn_code": code, "epoch": epoch, "accuracy": accuracy, "prm": {"lr": 0.1}}

    table = [
        row("ResNet-A0-001", "one", 1, 0.5),
        row("ResNet-A0-001", "one", 2, 0.7),
        row("AlexNet", "two", 1, 0.6),
        row("AlexNet", "two", 5, 0.9),
        row("rag-copy", "two", 1, 0.65),
        row("AlexNet", "two", 1, 0.4, "svhn"),
    ]

    def data(**options: Any) -> pd.DataFrame:
        calls.append(options)
        return pd.DataFrame([row for row in table if options["dataset"] in (None, row["dataset"])])

    for name in ("ab", "ab.nn", "ab.nn.api"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(sys.modules["ab.nn.api"], "data", data, raising=False)
    return calls


def test_lemur_rows_are_the_best_of_each_code(client):
    """Each code has one row at its best epoch up to the limit, best first; lrgen's files are recognised."""
    best = lemur_rows(2, dataset="cifar-10", task="img-classification")
    assert client == [{"task": "img-classification", "dataset": "cifar-10", "metric": "acc"}]
    assert [(row["model_name"], row["scheduler_type"], row["epoch"], row["accuracy"]) for row in best] == [
        ("ResNet", "A0_001", 2, 0.7),
        ("rag-copy", "", 1, 0.65),
    ]
    assert best[0] == {
        "model_name": "ResNet",
        "scheduler_type": "A0_001",
        "dataset": "cifar-10",
        "task": "img-classification",
        "epoch": 2,
        "accuracy": 0.7,
        "loss": None,
        "metric_value": 0.7,
        "hyperparameters": {"lr": 0.1},
        "source_sha256": digest(b"one"),
        "path": None,
        "status": "lemur",
    }


def test_lemur_rows_can_be_limited_to_networks(client):
    """Networks are selected by LEMUR's names or by lrgen's architectures; each dataset has its own row."""
    assert [row["model_name"] for row in lemur_rows(models=["ResNet"])] == ["ResNet"]
    assert [row["model_name"] for row in lemur_rows(models=["ResNet-A0-001"])] == ["ResNet"]
    assert [(row["dataset"], row["accuracy"]) for row in lemur_rows(models=["AlexNet"])] == [
        ("cifar-10", 0.9),
        ("svhn", 0.4),
    ]


def test_lemur_rows_have_the_new_names_of_hyperparameters(client, monkeypatch):
    """A hyperparameter under its old name in LEMUR's database has its new name in the rows."""
    row = {"task": "img-classification", "dataset": "digits", "metric": "acc", "nn_code": "one", "epoch": 1}
    row |= {"nn": "ResNet-A0-037", "accuracy": 0.5, "prm": {"lr": 0.1, "warmup": 0.2}}
    monkeypatch.setattr(sys.modules["ab.nn.api"], "data", lambda **_: pd.DataFrame([row]))
    assert [row["hyperparameters"] for row in lemur_rows()] == [{"lr": 0.1, "warmup_fraction": 0.2}]


def test_the_value_of_another_metric_is_not_an_accuracy(client):
    """LEMUR stores every metric in one column; its value is an accuracy only for the metric acc."""
    row = lemur_rows(metric="iou")[0]
    assert client[0]["metric"] == "iou"
    assert (row["accuracy"], row["metric_value"]) == (None, 0.9)


def test_the_error_about_a_missing_client_names_the_package(monkeypatch):
    """LEMUR's package is optional; without it, the error names the package to install."""
    for name in ("ab", "ab.nn", "ab.nn.api"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(LrgenError, match="^LEMUR's database needs the package nn-dataset: pip install nn-dataset$"):
        lemur_rows()

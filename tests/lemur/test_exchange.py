"""What was measured goes to LEMUR and NNGPT, comes back as it was, and is never published with other code."""

import dataclasses
import hashlib
import json
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


def epoch(number: int, right: int, total: int = 10) -> EpochReport:
    """An evaluated epoch of two classes, of whose images ``right`` of ``total`` each are classified rightly."""
    confusion = ((right, total - right), (total - right, right))
    return EpochReport(number, 1 / number, 0.25, 2 / number, confusion, lr=0.1, seconds=1.5)


def outcome(path: Path, catalogue, *epochs: EpochReport, **values: Any) -> Outcome:
    """How the verification of a rendered file of the ResNet ended."""
    candidate = candidate_of(path, path.read_bytes(), catalogue.architecture("ResNet"), catalogue.variant(path.stem))
    standard = {"accuracy": 1.0, "training": Training.FULL, "base_lr": 0.1}
    return Outcome(candidate, Status.VERIFIED, Stage.TRAINING, "", 3.0, epochs=epochs, **standard | values)


@pytest.fixture
def place(tmp_path: Path, lrgen: Callable[..., tuple]) -> Path:
    """The current folder, where two files were rendered; the command line runs in it."""
    for stem, code in CODES.items():
        path = tmp_path / "generated" / "ResNet" / f"{stem}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(code)
    return tmp_path


@pytest.fixture
def save(place: Path, catalogue) -> Callable[..., None]:
    """Records how the verification of one of the files ended."""

    def record(
        stem: str, *epochs: EpochReport, dataset: str = "digits", folder: str = "generated", **values: Any
    ) -> None:
        settings = VerifySettings(dataset=dataset, epochs=len(epochs), batch_size=24, stage=Stage.TRAINING)
        store = Store(f"sqlite:///{place}/db/ab.nn.db")
        path = place / folder / "ResNet" / f"{stem}.py"
        store.save(outcome(path, catalogue, *epochs, **values), conditions_of(settings), ("a", "b"))
        store.close()

    return record


@pytest.fixture
def saved(save: Callable[..., None]) -> None:
    """Both files were verified, one of them on two datasets."""
    save("A0_001", epoch(1, 3), epoch(2, 9))
    save("A0_001", epoch(1, 4), dataset="cifar-10")
    save("A0_002", epoch(1, 7), epoch(2, 6))


def rows(place: Path, name: str = "db/ab.nn.db") -> list[dict[str, Any]]:
    store = Store(f"sqlite:///{place}/{name}")
    try:
        return store.epochs()
    finally:
        store.close()


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def exported(place: Path, saved: None, lrgen: Callable[..., tuple]) -> Path:
    """An export for LEMUR of all that was measured."""
    assert lrgen("export", "lemur", "--out", "out")[0] == 0
    return place / "out"


# There and back.


@in_every_layout
def test_what_is_exported_comes_back_as_it_was(place, saved, lrgen, layout):
    """Epochs, accuracies, losses and hyperparameters survive both ways; batch, horizon and transform come along."""
    assert lrgen("export", layout, "--out", "out")[0] == 0
    code, out, _ = lrgen("import", "lemur", "out", "--db", "sqlite:///new.db", "--json")
    assert code == 0
    report = {"files": 2, "epochs": 5, "runs": 3, "recorded": 3, "known": 0}
    assert json.loads(out) == {"folder": "out"} | report
    same = ("model_name", "scheduler_type", "dataset", "task", "epoch", "accuracy", "best_accuracy", "loss")
    same += ("train_loss", "train_accuracy", "source_sha256", "seconds")
    before, after = rows(place), rows(place, "new.db")
    assert [{name: row[name] for name in same} for row in after] == [
        {name: row[name] for name in same} for row in before
    ]
    for old, new in zip(before, after, strict=True):
        epochs = 1 if old["dataset"] == "cifar-10" else 2
        transform = "norm_32" if old["dataset"] == "digits" else None
        added = {"batch": 24, "epoch_max": epochs, "transform": transform}
        assert new["hyperparameters"] == old["hyperparameters"] | added
        assert new["status"] == "recorded"
        assert digest(Path(new["path"]).read_bytes()) == new["source_sha256"]


@in_every_layout
def test_what_is_known_is_not_recorded_again(place, saved, lrgen, layout):
    """An import adds nothing the second time, nor to the database that the export is of."""
    lrgen("export", layout, "--out", "out")
    for database, recorded in (("new.db", 3), ("new.db", 0), ("db/ab.nn.db", 0)):
        _, out, _ = lrgen("import", "lemur", "out", "--db", f"sqlite:///{database}", "--json")
        assert json.loads(out)["recorded"] == recorded
    assert all(row["status"] == "verified" for row in rows(place))


OLD_CODE = b'prm.get("warmup", 0.1)\n'


@pytest.fixture
def of_old_code(place: Path, save: Callable[..., None]) -> Path:
    """A file of an earlier version, whose hyperparameter had another name, was verified."""
    path = place / "generated" / "ResNet" / "A0_037.py"
    path.write_bytes(OLD_CODE)
    save("A0_037", epoch(1, 3))
    return path


@in_every_layout
def test_old_code_is_published_with_the_names_that_it_reads(place, of_old_code, lrgen, layout):
    """In the database stands the hyperparameter's new name, beside code that reads the old one the old name."""
    assert {"warmup_fraction", "lr"} <= rows(place)[0]["hyperparameters"].keys()
    assert lrgen("export", layout, "--out", "out")[0] == 0
    (path,) = (place / "out").rglob("1.json")
    (trial,) = json.loads(path.read_text())
    assert trial["warmup"] == 0.1
    assert "warmup_fraction" not in trial


@in_every_layout
def test_old_names_are_imported_as_new_ones(place, of_old_code, lrgen, layout):
    """Trials with a hyperparameter's old name are recorded under its new name, and known when they come again."""
    assert lrgen("export", layout, "--out", "out")[0] == 0
    for database, recorded in (("new.db", 1), ("new.db", 0), ("db/ab.nn.db", 0)):
        _, out, _ = lrgen("import", "lemur", "out", "--db", f"sqlite:///{database}", "--json")
        assert json.loads(out)["recorded"] == recorded
    (row,) = rows(place, "new.db")
    assert row["hyperparameters"]["warmup_fraction"] == 0.1
    assert "warmup" not in row["hyperparameters"]


@pytest.mark.parametrize("changed", [{"accuracy": 0.95}, {"lr": 0.5}], ids=str)
def test_what_differs_from_a_known_run_is_a_run_of_its_own(place, exported, lrgen, changed):
    """What another machine measured with the same code is recorded beside what is known."""
    for path in (exported / STATISTICS).iterdir():
        (trial,) = json.loads(path.read_text())
        path.write_text(json.dumps([trial | changed]))
    _, out, _ = lrgen("import", "lemur", "out", "--json")
    assert json.loads(out)["recorded"] == 1
    found = [row for row in rows(place) if (row["scheduler_type"], row["dataset"]) == ("A0_001", "digits")]
    assert [row["accuracy"] for row in found] == ([0.95, 0.95] if "accuracy" in changed else [0.3, 0.9])
    assert {row["hyperparameters"]["lr"] for row in found} == {changed.get("lr", 0.1)}


def test_the_same_accuracy_on_another_dataset_is_not_known(exported, lrgen):
    """Runs on different datasets are never taken for each other."""
    shutil.copytree(exported / STATISTICS, exported / STATISTICS.replace("digits", "svhn"))
    _, out, _ = lrgen("import", "lemur", "out", "--json")
    assert json.loads(out)["recorded"] == 1


def test_both_layouts_say_the_same(place, exported, lrgen):
    """LEMUR's and NNGPT's folders hold the same runs."""
    lrgen("export", "nngpt", "--out", "other")

    def brought(folder: str) -> dict[Series, Any]:
        found = {}
        for source in reader.sources(place / folder):
            found |= {dataclasses.replace(series, path=""): runs for series, runs in reader.read(source).items()}
        return found

    assert brought("out") == brought("other")
    assert len(brought("out")) == 3


# What LEMUR and NNGPT find.


def test_lemurs_folders_are_laid_out_as_its_reader_wants_them(exported):
    """A network each, a folder of statistics for each dataset whose name has four parts, a file for each epoch."""
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


def test_a_trial_has_what_was_measured_and_no_more(exported, catalogue):
    """The last epoch of a run: its prm, its accuracy, the nanoseconds since the first epoch began, and statistics."""
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


def test_nngpt_gets_code_and_hyperparameters_and_nothing_that_stops_it(place, saved, lrgen, catalogue):
    """It evaluates a network that has no eval_info.json, for as many epochs as it likes; no pickle is written."""
    lrgen("export", "nngpt", "--out", "out", "--variant", "2")
    network = place / "out" / "synth_nn" / "ResNet-A0-002"
    assert sorted(content(place / "out" / "synth_nn")) == [
        f"ResNet-A0-002/{name}" for name in ("1.json", "2.json", "hp.txt", "new_nn.py")
    ]
    assert (network / "new_nn.py").read_bytes() == CODES["A0_002"]
    prm = catalogue.variant(2).defaults | {"lr": 0.1, "momentum": 0.9, "dropout": 0.0, "batch": 24}
    assert json.loads((network / "hp.txt").read_text()) == prm | {"transform": "norm_32"}
    (trial,) = json.loads((network / "1.json").read_text())
    assert {"uid", "transform", "duration", "accuracy"} <= trial.keys()
    assert (trial["task"], trial["dataset"], trial["metric"]) == ("img-classification", "digits", "acc")


def test_nngpt_gets_one_folder_for_a_file_on_several_datasets(place, saved, lrgen):
    """The trials of an epoch stand together, the best first."""
    lrgen("export", "nngpt", "--out", "out", "--variant", "1")
    trials = json.loads((place / "out" / "synth_nn" / "ResNet-A0-001" / "1.json").read_text())
    assert [(trial["dataset"], trial["accuracy"]) for trial in trials] == [("cifar-10", 0.4), ("digits", 0.3)]


# Names.


@given(model=st.from_regex(r"[A-Za-z][A-Za-z0-9_]*", fullmatch=True), number=st.integers(1, 9999))
def test_a_name_of_ours_is_understood_again(model, number):
    """Whatever an architecture may be called, its name has no underscore and leads back to the same file."""
    key = (model, f"A0_{number:03d}")
    name = name_of(*key, "0" * 64)
    assert "_" not in name
    assert key_of(name, "1" * 64) == key


def test_names_of_the_grid_are_unique(catalogue):
    """No two files of the corpus have one name."""
    names = {name_of(one.name, variant.key, "") for one in catalogue.architectures for variant in catalogue.variants}
    assert len(names) == len(catalogue.architectures) * len(catalogue.variants)


def test_a_foreign_name_stays_what_it_is():
    """A file that we do not know is called by its stem and its code; a network of LEMUR keeps its own name."""
    assert name_of("my_net", "file-0123abcd", "0123abcd" * 8) == "my-net-0123abcd"
    assert key_of("rag-5f3a", "0123abcd" * 8) == ("rag-5f3a", "file-0123abcd")


# What is not exported.


def test_changed_code_is_not_published(place, saved, lrgen):
    """A file whose bytes are not those that were measured is left out, and named."""
    (place / "generated" / "ResNet" / "A0_001.py").write_text("# changed\n")
    code, out, _ = lrgen("export", "lemur", "--out", "out", "--json")
    assert code == 0
    left_out = json.loads(out)["left_out"]
    assert [(one["scheduler_type"], one["dataset"]) for one in left_out] == [
        ("A0_001", "cifar-10"),
        ("A0_001", "digits"),
    ]
    assert not [name for name in content(place / "out") if "A0-001" in name]
    assert "ResNet/A0_001 on digits" in lrgen("export", "nngpt", "--out", "other")[1]


def test_code_is_found_where_the_rendered_files_are(place, saved, lrgen):
    """Files that were moved since are found under --files."""
    shutil.move(place / "generated", place / "moved")
    assert lrgen("export", "lemur", "--out", "out")[0] == 2
    assert lrgen("export", "lemur", "--out", "out", "--files", "moved")[0] == 0


def test_two_versions_of_a_file_do_not_share_a_name(place, save, lrgen):
    """Of two versions of a file that were measured on two datasets, and are both there, the newer is published."""
    shutil.copytree(place / "generated", place / "old")
    save("A0_001", epoch(1, 4), dataset="cifar-10", folder="old")
    path = place / "generated" / "ResNet" / "A0_001.py"
    path.write_text("# later\n")
    save("A0_001", epoch(1, 5))
    code, out, _ = lrgen("export", "lemur", "--out", "out", "--json")
    assert code == 0
    assert [one["dataset"] for one in json.loads(out)["left_out"]] == ["cifar-10"]
    assert sorted(content(place / "out")) == ["nn/ResNet-A0-001.py", f"{STATISTICS}/1.json"]
    assert (place / "out" / "nn" / "ResNet-A0-001.py").read_text() == "# later\n"


def test_the_accuracy_on_overfit_images_is_left_out(place, saved, save, lrgen):
    """A run that only overfit a few images is left out and counted."""
    save("A0_002", epoch(1, 10), training=Training.OVERFIT)
    code, out, _ = lrgen("export", "lemur", "--out", "out", "--json")
    assert code == 0
    report = json.loads(out)
    assert report["files"] == 1
    assert [(one["scheduler_type"], one["reason"]) for one in report["left_out"]] == [
        ("A0_002", "only overfit a few images")
    ]


def test_only_what_lrgen_evaluated_is_exported(place, saved, lrgen):
    """Numbers that somebody brought are not passed on as measured, and do not hide those that were."""
    sha256 = digest(CODES["A0_001"])
    path = place / "generated" / "ResNet" / "A0_001.py"
    store = Store(f"sqlite:///{place}/db/ab.nn.db")
    store.record_epoch(Series("ResNet", "A0_001", "digits", path=str(path), source_sha256=sha256), 1, 0.99, None)
    store.close()
    assert lrgen("export", "lemur", "--out", "out", "--dataset", "digits")[0] == 0
    (trial,) = json.loads((place / "out" / STATISTICS / "1.json").read_text())
    assert trial["accuracy"] == 0.3


def test_a_selection_is_exported_alone(place, saved, lrgen):
    """Models, variants, families and the dataset narrow an export down; a name that is not there is an error."""
    for number, (options, files) in enumerate(
        (
            (("--variant", "2"), {"ResNet-A0-002"}),
            (("--dataset", "cifar-10"), {"ResNet-A0-001"}),
            (("--model", "ResNet", "--family", "step"), {"ResNet-A0-001", "ResNet-A0-002"}),
        )
    ):
        assert lrgen("export", "lemur", "--out", f"out{number}", *options)[0] == 0
        assert {path.stem for path in (place / f"out{number}" / "nn").iterdir()} == files
    code, _, err = lrgen("export", "lemur", "--out", "none", "--model", "ResNt")
    assert code == 2
    assert "ResNet" in err
    assert lrgen("export", "lemur", "--out", "none", "--variant", "3")[0] == 2
    assert not (place / "none").exists()


@in_every_layout
def test_an_export_overwrites_nothing(place, saved, lrgen, layout):
    """A folder with anything in it, and a file, are refused and stay as they are; an empty folder is filled."""
    (place / "full").mkdir()
    (place / "full" / "kept").write_text("kept")
    for name in ("full", "full/kept"):
        code, _, err = lrgen("export", layout, "--out", name)
        assert code == 2
        assert name in err
    assert content(place / "full") == {"kept": b"kept"}
    (place / "empty").mkdir()
    assert lrgen("export", layout, "--out", "empty")[0] == 0
    assert content(place / "empty")


def test_a_folder_that_is_in_the_way_is_known_before_anything_is_written(tmp_path):
    """A long export does not fail at its end."""
    (tmp_path / "kept").write_text("kept")
    opened = new_folder(tmp_path)
    with pytest.raises(OutputError):
        opened.__enter__()


def test_a_folder_that_is_not_finished_is_not_there(tmp_path):
    """When something goes wrong in the middle, nothing is left."""

    def write_half() -> None:
        with new_folder(tmp_path / "out") as folder:
            (folder / "half").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert list(tmp_path.iterdir()) == []


# What is not imported.


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
    ],
)
def test_a_broken_file_is_named_and_nothing_is_imported(place, exported, lrgen, text):
    """One file that is not what LEMUR writes stops the import of all."""
    broken = exported / "stat/train/img-classification_digits_acc_ResNet-A0-002/2.json"
    broken.write_text(text)
    code, _, err = lrgen("import", "lemur", "out", "--db", "sqlite:///new.db")
    assert code == 2
    assert "ResNet-A0-002/2.json" in err
    assert not (place / "new.db").exists()


@pytest.mark.parametrize("name", ["img-classification_digits_acc_A0_001", "img-classification_digits_ResNet", "a__c_d"])
def test_a_folder_that_lemur_cannot_read_is_named(place, exported, lrgen, name):
    """A folder whose name does not have four parts stops the import."""
    (exported / "stat" / "train" / name).mkdir()
    code, _, err = lrgen("import", "lemur", "out", "--db", "sqlite:///new.db")
    assert code == 2
    assert name in err
    assert not (place / "new.db").exists()


def test_statistics_without_code_are_not_imported(exported, lrgen):
    """What cannot be traced to the code that it was measured with is refused."""
    (exported / "nn" / "ResNet-A0-002.py").unlink()
    code, _, err = lrgen("import", "lemur", "out")
    assert code == 2
    assert "ResNet-A0-002.py" in err


def test_a_folder_of_something_else_is_refused(place, lrgen):
    """A folder in neither layout is no empty import."""
    code, _, err = lrgen("import", "lemur", "generated")
    assert code == 2
    assert "generated" in err


# What LEMUR itself wrote.


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder as LEMUR's search leaves it: several trials an epoch, other metrics, files of other kinds."""
    folder = tmp_path / "ab" / "nn"
    (folder / "nn").mkdir(parents=True)
    (folder / "nn" / "AlexNet.py").write_text("raise SystemExit('executed')\n")
    trial = {"batch": 8, "transform": "norm_64", "metric_acc": 0.5, "layer_stat": {"a": 1}, "epoch_max": 2}
    trials = {
        1: [(0.02, 0.8, 4e9), (0.01, 0.5, 1e9)],
        2: [(0.01, 0.6, 3e9)],
        3: [(0.03, 0.1, 9e9), (0.03, 0.1, 9e9)],
    }
    place = folder / "stat" / "train" / "img-classification_cifar-10_acc_AlexNet"
    place.mkdir(parents=True)
    for number, of_epoch in trials.items():
        measured = [{"lr": lr, "accuracy": one, "duration": int(time)} for lr, one, time in of_epoch]
        written = [trial | one | {"uid": f"{number}-{index}"} for index, one in enumerate(measured)]
        (place / f"{number}.json").write_text(json.dumps(written))
    (place / "training_summary.json").write_text("{}")
    (folder / "stat" / "train" / "img-captioning_coco_bleu,meteor_AlexNet").mkdir()
    other = folder / "stat" / "train" / "img-captioning_coco_bleu,meteor_AlexNet" / "1.json"
    other.write_text(json.dumps([trial | {"uid": "d", "accuracy": 0.9, "duration": 1}]))
    return folder


def test_lemurs_own_trials_are_runs_of_their_own(theirs):
    """Each trial is a run, the best the newest; durations become those of the epochs; other metrics stay out."""
    ((series, runs),) = [item for source in reader.sources(theirs) for item in reader.read(source).items()]
    sha256 = digest((theirs / "nn" / "AlexNet.py").read_bytes())
    assert (series.model_name, series.scheduler_type) == ("AlexNet", f"file-{sha256[:8]}")
    assert (series.dataset, series.source_sha256) == ("cifar-10", sha256)
    assert [[(one.epoch, one.accuracy, one.seconds) for one in run] for run in runs] == [
        [(3, 0.1, None)],
        [(3, 0.1, None)],
        [(1, 0.5, 1.0), (2, 0.6, 2.0)],
        [(1, 0.8, 4.0)],
    ]
    prm = {"batch": 8, "transform": "norm_64", "epoch_max": 2}
    for run, lr in zip(runs, (0.03, 0.03, 0.01, 0.02), strict=True):
        assert all(one.hyperparameters == prm | {"lr": lr} and one.loss is None for one in run)


def test_trials_of_lemur_are_not_mixed(theirs, tmp_path, lrgen):
    """In the store each trial is a run, two that say the same are one, and the best answers for the file."""
    code, out, _ = lrgen("import", "lemur", theirs, "--json")
    assert code == 0
    assert {name: json.loads(out)[name] for name in ("runs", "recorded", "known")} == {
        "runs": 4,
        "recorded": 3,
        "known": 1,
    }
    (row,) = rows(tmp_path)
    assert (row["epoch"], row["accuracy"], row["model_name"]) == (1, 0.8, "AlexNet")


def test_an_answer_that_nngpt_has_not_evaluated_brings_nothing(tmp_path):
    """A network without statistics is passed over; one whose statistics name no dataset is refused."""
    network = tmp_path / "synth_nn" / "B1"
    network.mkdir(parents=True)
    (network / "new_nn.py").write_text("")
    (source,) = reader.sources(tmp_path / "synth_nn")
    assert reader.read(source) == {}
    (network / "1.json").write_text('[{"accuracy": 0.5, "task": "img-classification", "metric": "acc"}]')
    with pytest.raises(OutputError, match="1.json: a trial does not say its dataset"):
        reader.read(source)


# LEMUR's database.


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A stand-in for LEMUR's client; what it is asked for is appended to the list."""
    asked: list[dict[str, Any]] = []

    def row(nn: str, code: str, epoch: int, accuracy: float, dataset: str = "cifar-10") -> dict[str, Any]:
        where = {"task": "img-classification", "dataset": dataset, "metric": "acc"}
        return where | {"nn": nn, "nn_code": code, "epoch": epoch, "accuracy": accuracy, "prm": {"lr": 0.1}}

    table = [
        row("ResNet-A0-001", "one", 1, 0.5),
        row("ResNet-A0-001", "one", 2, 0.7),
        row("AlexNet", "two", 1, 0.6),
        row("AlexNet", "two", 5, 0.9),
        row("rag-copy", "two", 1, 0.65),
        row("AlexNet", "two", 1, 0.4, "svhn"),
    ]

    def data(**options: Any) -> pd.DataFrame:
        asked.append(options)
        return pd.DataFrame([one for one in table if options["dataset"] in (None, one["dataset"])])

    for name in ("ab", "ab.nn", "ab.nn.api"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(sys.modules["ab.nn.api"], "data", data, raising=False)
    return asked


def test_lemurs_rows_are_the_best_of_each_code(client):
    """One row for each code at its best epoch up to the limit, best first; our own files are recognised."""
    found = lemur_rows(2, dataset="cifar-10", task="img-classification")
    assert client == [{"task": "img-classification", "dataset": "cifar-10", "metric": "acc"}]
    assert [(row["model_name"], row["scheduler_type"], row["epoch"], row["accuracy"]) for row in found] == [
        ("ResNet", "A0_001", 2, 0.7),
        ("rag-copy", "", 1, 0.65),
    ]
    assert found[0] == {
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


def test_lemurs_rows_may_be_of_some_networks(client):
    """Networks are named as LEMUR names them, or by our architecture; datasets are kept apart."""
    assert [row["model_name"] for row in lemur_rows(models=["ResNet"])] == ["ResNet"]
    assert [row["model_name"] for row in lemur_rows(models=["ResNet-A0-001"])] == ["ResNet"]
    assert [(row["dataset"], row["accuracy"]) for row in lemur_rows(models=["AlexNet"])] == [
        ("cifar-10", 0.9),
        ("svhn", 0.4),
    ]


def test_lemurs_rows_have_the_names_of_today(client, monkeypatch):
    """A hyperparameter that LEMUR's database has under its old name stands under its new name in the answer."""
    row = {"task": "img-classification", "dataset": "digits", "metric": "acc", "nn_code": "one", "epoch": 1}
    row |= {"nn": "ResNet-A0-037", "accuracy": 0.5, "prm": {"lr": 0.1, "warmup": 0.2}}
    monkeypatch.setattr(sys.modules["ab.nn.api"], "data", lambda **_: pd.DataFrame([row]))
    assert [one["hyperparameters"] for one in lemur_rows()] == [{"lr": 0.1, "warmup_fraction": 0.2}]


def test_another_metric_is_no_accuracy(client):
    """LEMUR keeps every metric in one column: only of acc it is an accuracy."""
    row = lemur_rows(metric="iou")[0]
    assert client[0]["metric"] == "iou"
    assert (row["accuracy"], row["metric_value"]) == (None, 0.9)


def test_without_the_client_the_package_is_named(monkeypatch):
    """LEMUR's package is optional: without it the error says what to install."""
    for name in ("ab", "ab.nn", "ab.nn.api"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(LrgenError, match="pip install nn-dataset"):
        lemur_rows()

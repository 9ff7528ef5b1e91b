"""The functions that people call from Python."""

import dataclasses
import hashlib
import inspect
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import lrgen as package
from lrgen import data
from lrgen.errors import DataError, NoResultError, ParameterError, StoreError, UnknownNameError
from lrgen.records import Candidate, EpochReport, Outcome, Stage, Status, VerifySettings
from lrgen.store import Store
from lrgen.verify import verdicts
from lrgen.verify.candidate import candidate_of

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
    outcome = Outcome(candidate, Status.VERIFIED, Stage.TRAINING, "", 1.0, epochs=epochs, accuracy=0.875)
    Store(url).save(outcome, verdicts.conditions_of(VerifySettings()), ("cat", "dog"))
    return url


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own with an empty database at the place of the configuration; returns the database's path."""
    monkeypatch.chdir(tmp_path)
    for name in ("LRGEN_DB", "LRGEN_DATASET"):
        monkeypatch.delenv(name, raising=False)
    package.init_database()
    return tmp_path / "db" / "ab.nn.db"


def query(path: Path, sql: str) -> list[tuple]:
    with sqlite3.connect(path) as connection:
        return connection.execute(sql).fetchall()


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


def test_get_results_has_a_row_for_the_newest_run_of_each_file(database):
    """It says how the run ended; an architecture without runs has no row, and the columns are there all the same."""
    frame = package.get_results(db=database)
    assert frame["model_name"].tolist() == ["ResNet"]
    assert frame["scheduler_type"].tolist() == ["A0_001"]
    assert frame["accuracy"].tolist() == [0.875]
    assert package.get_results("ResNet", "StepLR_default", "digits", db=database).equals(frame)
    for nothing in ({"model": "VGG"}, {"schedule": 2}, {"dataset": "cifar-10"}):
        empty = package.get_results(**nothing, db=database)
        assert len(empty) == 0
        assert list(empty.columns) == list(frame.columns)


def test_get_results_has_a_row_for_each_epoch_if_asked(database):
    """The numbers of an epoch are those of the run's report."""
    frame = package.get_results(schedule=1, epochs=True, db=database)
    assert frame["epoch"].tolist() == [1, 2]
    assert frame["train_accuracy"].tolist() == [0.5, 0.5]
    assert frame["lr"].tolist() == [0.1, 0.1]
    assert len(package.get_results(schedule=2, epochs=True, db=database)) == 0


def test_the_database_of_the_configuration_is_the_default(database, tmp_path, monkeypatch):
    """Without ``db`` the functions read where ``lrgen verify`` records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LRGEN_DB", database)
    assert len(package.get_class_accuracies("ResNet", "A0_001")) == 2


# The names of the first document.

SIGNATURES = {
    "unique_nn": ["epoch_max", "nns", "dataset", "task", "metric"],
    "unique_nn_cls": ["epoch_max", "dataset", "task", "metric"],
    "get_active_model": [],
    "set_active_model": ["model_name"],
    "init_database": [],
    "save_scheduler_result": [
        *("model_name", "scheduler_type", "dataset", "task", "epoch", "accuracy", "loss", "best_accuracy"),
        "hyperparameters",
    ],
    "get_best_schedulers": ["model_name", "dataset", "task", "limit"],
    "init_class_data": ["model_name", "scheduler_type", "num_classes", "epoch"],
    "save_class_accuracy": [
        *("model_name", "scheduler_type", "class_id", "class_name", "accuracy", "precision", "recall", "f1_score"),
        "epoch",
    ],
    "get_class_accuracies": ["model_name", "scheduler_type", "epoch"],
    "generate_class_data_for_epoch": ["model_name", "scheduler_type", "epoch", "num_classes"],
    "get_hyperparams": ["scheduler_name"],
    "validate_hyperparams": ["hp"],
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_functions_have_the_parameters_of_the_first_document(name):
    """By position and by name they are called as there; whatever else they take is an optional keyword."""
    parameters = inspect.signature(getattr(package, name)).parameters.values()
    assert [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD] == SIGNATURES[name]
    assert all(one.default is not one.empty for one in parameters if one.kind is one.KEYWORD_ONLY)


def test_every_name_that_is_promised_is_there():
    """What ``__all__`` and ``dir`` tell can be had, and what they do not tell is an AttributeError."""
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="lrgen.*no attribute 'nonsense'"):
        _ = package.nonsense


def test_importing_the_package_costs_nothing():
    """``import lrgen`` alone loads none of what its names need."""
    code = "import lrgen, sys; print(sorted({'torch', 'pandas', 'sqlalchemy', 'numpy', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_lists_are_those_of_the_first_document():
    """26 networks, 12 additional ones, all 38; ten classes and twenty."""
    core, additional = package.IMAGE_CLASSIFICATION_MODELS, package.ADDITIONAL_MODELS
    first = """AlexNet BagNet ConvNeXt ConvNeXtTransformer DarkNet DenseNet EfficientNet FractalNet GoogLeNet ICNet
        InceptionV3 MNASNet MaxVit MobileNetV2 MobileNetV3 RegNet ResNet ResNet18 ResNet34 ResNet50 ResNet101 ShuffleNet
        SqueezeNet SwinTransformer VGG VisionTransformer"""
    assert set(core) == set(first.split())
    eight = {"AirNet", "AirNext", "BayesianNet", "ComplexNet", "DPN68", "DPN107", "DPN131", "Diffuser"}
    assert set(additional) == eight | {"EfficientNetV2", "MobileNetV4", "NASNet", "Xception"}
    assert core + additional == package.ALL_MODELS
    assert len(set(package.ALL_MODELS)) == 38
    ten = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    assert ten == package.CIFAR10_CLASSES
    assert len(package.CIFAR10_EXTENDED_CLASSES) == 20


def test_the_scheduler_types_hold_every_schedule_once(catalogue):
    """Family → names, and each name is one that get_hyperparams takes."""
    names = [name for names in package.SCHEDULER_TYPES.values() for name in names]
    assert sorted(names) == sorted(one.name for one in catalogue.variants)
    assert {"step", "polynomial", "cosine", "cyclic"} <= set(package.SCHEDULER_TYPES)


def test_the_configuration_is_read_when_it_is_asked_for(tmp_path, monkeypatch):
    """A change of lrgen.toml is seen at once by the constants."""
    monkeypatch.chdir(tmp_path)
    assert package.ACTIVE_MODEL == "ResNet"
    assert package.DB_CONFIG == {"path": "db/ab.nn.db", "use_cache": True, "auto_refresh": True}
    assert set(package.FEATURES.values()) == {True}
    Path("lrgen.toml").write_text(
        'active_model = "VGG"\ndb = "sqlite:///my.db"\nenable_database_caching = false\n'
        "[prompt.lr_extraction]\ndefault_lr = 0.01\nlr_range = [0.0001, 0.5]\n"
    )
    assert package.ACTIVE_MODEL == package.get_active_model() == "VGG"
    assert package.DB_CONFIG == {"path": "my.db", "use_cache": False, "auto_refresh": True}
    assert package.FEATURES["enable_database_caching"] is False
    assert package.PROMPT_CONFIG["lr_extraction"]["default_lr"] == 0.01
    assert package.extract_lr("no rate here") == 0.01
    assert package.extract_lr("lr=0.8") == 0.01
    assert package.extract_lr("lr=0.0005") == 0.0005


# Recording.


def test_a_saved_epoch_is_found(empty):
    """What is saved comes back from get_best_schedulers, at its best epoch, as recorded and not as verified."""
    for epoch, accuracy in ((1, 0.5), (2, 0.7), (3, 0.6)):
        assert package.save_scheduler_result(
            "ResNet", "A0_001", "cifar-10", "img-classification", epoch, accuracy, 1.0, accuracy, {"lr": 0.1}
        )
    package.save_scheduler_result("ResNet", "A0_002", "cifar-10", "img-classification", 1, 0.8, None)
    frame = package.get_best_schedulers("ResNet", "cifar-10", "img-classification", 5)
    assert frame[["scheduler_type", "epoch", "accuracy", "status"]].values.tolist() == [
        ["A0_002", 1, 0.8, "recorded"],
        ["A0_001", 2, 0.7, "recorded"],
    ]
    assert frame["hyperparameters"].tolist() == [{}, {"lr": 0.1}]
    assert len(package.get_best_schedulers("ResNet", "cifar-10", "another task")) == 0
    assert len(package.get_best_schedulers("ResNet", limit=1)) == 1
    assert query(empty, "SELECT COUNT(*) FROM lrgen_runs") == [(2,)]
    assert query(empty, "SELECT best_accuracy FROM scheduler_results ORDER BY id") == [(0.5,), (0.7,), (0.6,), (0.8,)]


def test_an_epoch_is_recorded_again_and_not_over(empty):
    """The same epoch of the same file begins a new run, which answers from now on; the old one is kept."""
    for accuracy in (0.5, 0.4):
        package.save_scheduler_result("ResNet", "A0_001", "digits", "img-classification", 1, accuracy, 1.0)
    assert package.get_best_schedulers("ResNet")["accuracy"].tolist() == [0.4]
    assert query(empty, "SELECT run_id, accuracy FROM scheduler_results ORDER BY id") == [(1, 0.5), (2, 0.4)]


def test_seeds_are_runs_of_their_own(empty):
    """Epochs of two trainings that differ by their seed are kept apart, in whatever order they come."""
    for epoch in (1, 2):
        for seed in (0, 1):
            package.save_scheduler_result(
                "ResNet", "A0_001", "digits", "img-classification", epoch, 0.1, 1.0, seed=seed
            )
    rows = query(empty, "SELECT run_id, seed, epoch FROM scheduler_results ORDER BY run_id, epoch")
    assert rows == [(1, 0, 1), (1, 0, 2), (2, 1, 1), (2, 1, 2)]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"accuracy": 1.2}, r"accuracy: must lie in \[0, 1\], got 1.2"),
        ({"accuracy": float("nan")}, "accuracy: must lie"),
        ({"best_accuracy": -0.1}, "best_accuracy: must lie"),
        ({"epoch": 0}, "epochs are counted from 1, got 0"),
        ({"confusion": [[1, 0], [0, 1]]}, "confusion: digits has 10 classes, got 2 rows"),
    ],
)
def test_what_cannot_be_a_result_is_not_recorded(empty, changed, told):
    """A number outside its range is an error that names it, and leaves no row."""
    values = {"epoch": 1, "accuracy": 0.5, "loss": 1.0} | changed
    with pytest.raises(ParameterError, match=told):
        package.save_scheduler_result("ResNet", "A0_001", "digits", "img-classification", **values)
    assert query(empty, "SELECT COUNT(*) FROM lrgen_runs") == [(0,)]


def test_a_loss_that_is_none_is_null(empty):
    """A loss that is not a number is recorded as NULL."""
    package.save_scheduler_result("ResNet", "A0_001", "digits", "img-classification", 1, 0.1, float("nan"))
    assert query(empty, "SELECT loss FROM scheduler_results") == [(None,)]


def test_tracked_classes_are_null_until_they_are_measured(empty):
    """init_class_data names the classes and invents no scores; save_class_accuracy puts them where they belong."""
    package.save_scheduler_result("ResNet", "A0_001", "cifar-10", "img-classification", 1, 0.5, 1.0)
    assert package.init_class_data("ResNet", "A0_001", 10, 1)
    package.init_class_data("ResNet", "A0_001", 10, 1)  # twice is as good as once
    frame = package.get_class_accuracies("ResNet", "A0_001", 1)
    assert frame["class_name"].tolist() == package.CIFAR10_CLASSES
    assert frame["accuracy"].isna().all()
    assert query(empty, "SELECT COUNT(*), COUNT(accuracy) FROM class_data") == [(10, 0)]
    assert package.save_class_accuracy("ResNet", "A0_001", 3, "cat", 0.25, 0.5, 0.25, 1 / 3, 1, support=4)
    frame = package.get_class_accuracies("ResNet", "A0_001", 1)
    assert frame["accuracy"].notna().tolist() == [name == "cat" for name in package.CIFAR10_CLASSES]
    assert frame.loc[3, ["accuracy", "precision", "support"]].tolist() == [0.25, 0.5, 4]
    assert query(empty, "SELECT COUNT(*) FROM lrgen_runs") == [(1,)]


def test_measured_classes_are_not_hidden_by_tracked_ones(database, monkeypatch):
    """Announcing classes after a run does not take its scores away."""
    monkeypatch.setenv("LRGEN_DB", database)
    package.init_class_data("ResNet", "A0_001", 10, 2)
    assert package.get_class_accuracies("ResNet", "A0_001", 2)["accuracy"].tolist() == [0.75, 1.0]


def test_a_class_is_measured_again_and_not_over(empty):
    """A second measurement of the same class and epoch is a run of its own, and answers."""
    for accuracy in (0.5, 0.6):
        package.save_class_accuracy("ResNet", "A0_001", 0, "zero", accuracy, epoch=1)
    assert package.get_class_accuracies("ResNet", "A0_001", 1)["accuracy"].tolist() == [0.6]
    assert query(empty, "SELECT run_id, accuracy FROM class_data ORDER BY id") == [(1, 0.5), (2, 0.6)]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: package.init_class_data("ResNet", "A0_001", 11), "num_classes: digits has 10 classes, got 11"),
        (lambda: package.init_class_data("ResNet", "A0_001", epoch=0), "epochs are counted from 1"),
        (lambda: package.save_class_accuracy("ResNet", "A0_001", -1, "x", 0.5), "class_id: must be 0 or greater"),
        (lambda: package.save_class_accuracy("ResNet", "A0_001", 0, "x", 0.5, precision=2.0), "precision: must lie"),
    ],
)
def test_what_cannot_be_a_class_is_not_recorded(empty, call, told):
    """A class outside the dataset, or a score outside 0–1, is an error and leaves no row."""
    with pytest.raises(ParameterError, match=told):
        call()
    assert query(empty, "SELECT COUNT(*) FROM class_data") == [(0,)]


def diagonal(right: Sequence[int], images: int = 10) -> list[list[int]]:
    """Ten classes with so many images each, of which these are right and the others taken for the next class."""
    rows = np.diag(right) + np.roll(np.diag([images - one for one in right]), 1, axis=1)
    return rows.tolist()


def test_generated_class_data_come_from_the_confusion_matrix(empty):
    """The recall of each class, recomputed from the matrix of that epoch."""
    right = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    package.save_scheduler_result(
        "ResNet", "A0_001", "digits", "img-classification", 1, 0.55, 1.0, confusion=diagonal(right)
    )
    found = package.generate_class_data_for_epoch("ResNet", "A0_001", 1, 10)
    assert found == {str(number): one / 10 for number, one in enumerate(right)}
    stored = package.get_class_accuracies("ResNet", "A0_001", 1)
    assert stored["recall"].tolist() == list(found.values())
    assert stored["support"].tolist() == [10] * 10


def test_an_epoch_that_was_never_run_has_no_class_data(database, monkeypatch):
    """Nothing is generated from a name: an epoch without a matrix is an error, and so is another number of classes."""
    monkeypatch.setenv("LRGEN_DB", database)
    assert package.generate_class_data_for_epoch("ResNet", "A0_001", 2) == {"cat": 0.75, "dog": 1.0}
    with pytest.raises(NoResultError, match="at epoch 3 .*evaluated epochs: 1, 2"):
        package.generate_class_data_for_epoch("ResNet", "A0_001", 3, 2)
    with pytest.raises(NoResultError, match="no class metrics of ResNet A0_077"):
        package.generate_class_data_for_epoch("ResNet", "A0_077", 1)
    with pytest.raises(ParameterError, match="num_classes: 10 were asked for, 2 were evaluated"):
        package.generate_class_data_for_epoch("ResNet", "A0_001", 2, 10)
    package.save_class_accuracy("ResNet", "A0_002", 0, "cat", 0.5, epoch=1)
    with pytest.raises(NoResultError, match="no confusion matrix of ResNet A0_002 at epoch 1"):
        package.generate_class_data_for_epoch("ResNet", "A0_002", 1)


def test_a_checkpoint_is_evaluated(empty, catalogue, monkeypatch):
    """The scores of a checkpoint are those of its network on the held-out images, and they are recorded."""
    import torch

    from lrgen.render.renderer import Renderer

    digits = data.load("digits")
    small = dataclasses.replace(digits, test_images=digits.test_images[:60], test_labels=digits.test_labels[:60])
    monkeypatch.setattr(data, "load", lambda *_: small)
    scope: dict = {"__name__": "rendered"}
    exec(Renderer(catalogue).render(catalogue.architecture("ResNet"), catalogue.variant(1)).text, scope)
    torch.manual_seed(3)
    net = scope["Net"]((1, 3, 32, 32), (10,), {"lr": 0.1, "momentum": 0.9}, torch.device("cpu"))
    torch.save(net.state_dict(), "epoch7.pt")
    found = package.generate_class_data_for_epoch("ResNet", "A0_001", 7, 10, checkpoint="epoch7.pt")
    images = torch.from_numpy(small.train_images).float()
    mean, std = images.mean((0, 2, 3), keepdim=True), images.std((0, 2, 3), keepdim=True, correction=0)
    with torch.no_grad():
        predicted = net.eval()((torch.from_numpy(small.test_images) - mean) / std).argmax(1).numpy()
    for number in range(10):
        own = small.test_labels == number
        assert found[str(number)] == (predicted[own] == number).mean()
    assert package.get_class_accuracies("ResNet", "A0_001", 7)["accuracy"].tolist() == list(found.values())
    assert package.generate_class_data_for_epoch("ResNet", "A0_001", 7) == found


def test_what_is_no_checkpoint_of_the_network_is_refused(empty):
    """A file that is not there, one that would execute something, and another network's weights."""
    import pickle

    import torch

    Path("evil.pt").write_bytes(pickle.dumps(print, protocol=2))
    torch.save({"weight": torch.zeros(1)}, "other.pt")
    for name, told in (
        ("absent.pt", "absent.pt: not a checkpoint that can be read"),
        ("evil.pt", "evil.pt: not a checkpoint that can be read"),
        ("other.pt", "other.pt: not the weights of ResNet with 10 classes"),
    ):
        with pytest.raises(DataError, match=told):
            package.generate_class_data_for_epoch("ResNet", "A0_001", 1, checkpoint=name)
    assert query(empty, "SELECT COUNT(*) FROM lrgen_runs") == [(0,)]


# The best files.


def save(url: str, catalogue, number: int, accuracies: Sequence[float], model: str = "ResNet", **more) -> None:
    """A run of a variant whose epochs have these accuracies (of ten classes with ten images each)."""
    variant = catalogue.variant(number)
    source = more.pop("source", f"{model} {number}")
    path = Path(f"generated/{model}/{variant.key}.py")
    candidate = candidate_of(path, source.encode(), catalogue.architecture(model), variant)
    epochs = tuple(
        EpochReport(epoch, 1.0, 0.5, 1.0 / epoch, tuple(map(tuple, diagonal([round(10 * value)] * 10))), 0.1, 1.0)
        for epoch, value in enumerate(accuracies, start=1)
    )
    outcome = Outcome(
        candidate, Status.VERIFIED, Stage.TRAINING, "", 1.0, epochs=epochs, accuracy=max(accuracies), **more
    )
    Store(url).save(outcome, verdicts.conditions_of(VerifySettings()), data.CLASSES["digits"])


@pytest.fixture
def results(catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path / 'many.db'}"
    save(url, catalogue, 1, [0.9, 0.3], trace="a")
    save(url, catalogue, 1, [0.2, 0.5, 0.8], trace="a")  # newer, and so it answers
    save(url, catalogue, 2, [0.6, 0.7, 0.1], trace="b")
    save(url, catalogue, 3, [0.4], trace="b")  # the same rates as 2
    save(url, catalogue, 4, [0.3], trace="c")
    save(url, catalogue, 1, [0.4, 0.6], model="VGG", trace="a")
    save(url, catalogue, 2, [0.6], model="AirNet", trace="a")
    monkeypatch.setenv("LRGEN_DB", url)
    return url


def ranking(frame) -> list[tuple[str, str, int, float]]:
    return list(zip(*(frame[name] for name in ("model_name", "scheduler_type", "epoch", "accuracy")), strict=True))


def test_unique_nn_has_each_curve_of_a_network_once(results):
    """A row for each file at the best epoch of its newest run, best first; of two with the same rates the better."""
    frame = package.unique_nn(90, ["ResNet"], "digits", "img-classification", "accuracy")
    assert ranking(frame) == [
        ("ResNet", "A0_001", 3, 0.8),
        ("ResNet", "A0_002", 2, 0.7),
        ("ResNet", "A0_004", 1, 0.3),
    ]
    assert frame["metric_value"].tolist() == frame["accuracy"].tolist()
    assert frame["code_hash"].str.len().eq(64).all()
    assert frame["path"].tolist()[0] == "generated/ResNet/A0_001.py"
    assert frame["hyperparameters"].tolist()[0]["lr"] == 0.1


def test_epochs_after_the_last_do_not_count(results):
    """The best epoch is sought up to epoch_max."""
    frame = package.unique_nn(2, ["ResNet"], "digits", "img-classification", "acc")
    assert ranking(frame)[:2] == [("ResNet", "A0_002", 2, 0.7), ("ResNet", "A0_001", 2, 0.5)]
    frame = package.unique_nn(1, ["ResNet"])
    assert ranking(frame)[0] == ("ResNet", "A0_002", 1, 0.6)


def test_the_metric_decides(results):
    """By loss the least is best; by f1 the mean over the classes is the value."""
    frame = package.unique_nn(3, ["ResNet"], metric="loss")
    assert ranking(frame)[0][:3] == ("ResNet", "A0_001", 3)
    assert frame["metric_value"].tolist() == sorted(frame["loss"])
    frame = package.unique_nn(3, ["ResNet"], metric="f1")
    assert frame["metric_value"].tolist() == pytest.approx([0.8, 0.7, 0.3])
    with pytest.raises(UnknownNameError, match="unknown metric 'f2': did you mean f1"):
        package.unique_nn(metric="f2")
    with pytest.raises(UnknownNameError, match="unknown source 'lemurs': did you mean lemur"):
        package.unique_nn(source="lemurs")


def test_the_same_code_stands_once(catalogue, results):
    """A file that was verified under two names is one."""
    save(results, catalogue, 5, [0.95], source="the same", trace="d")
    save(results, catalogue, 6, [0.85], source="the same", trace="e")
    assert [row[1] for row in ranking(package.unique_nn(90, ["ResNet"]))][:2] == ["A0_005", "A0_001"]


def test_unique_nn_cls_knows_the_classification_models_alone(results):
    """The additional networks are not among them; without a name list they are."""
    assert {row[0] for row in ranking(package.unique_nn_cls(90, "digits", "img-classification", "acc"))} == {
        "ResNet",
        "VGG",
    }
    assert {row[0] for row in ranking(package.unique_nn())} == {"ResNet", "VGG", "AirNet"}
    assert ranking(package.unique_nn_cls(90, "cifar-10")) == []


def test_a_database_that_cannot_be_read_is_an_error(tmp_path):
    """No empty frame hides that something is wrong."""
    (tmp_path / "broken.db").write_text("this is no database, and long enough to be looked at" * 30)
    with pytest.raises(StoreError, match="broken.db"):
        package.unique_nn(db=f"sqlite:///{tmp_path / 'broken.db'}")
    with pytest.raises(NoResultError, match="there is no database"):
        package.get_best_schedulers("ResNet", db=f"sqlite:///{tmp_path / 'absent.db'}")


# Hyperparameters.


def test_hyperparameters_are_the_files_defaults(catalogue):
    """By name, key or number; what a recipe gives and what the schedule adds."""
    variant, recipe = catalogue.variant(37), catalogue.architecture("ResNet").recipe
    found = package.get_hyperparams(variant.name)
    assert found == {"lr": recipe.lr, "momentum": recipe.momentum, "dropout": recipe.dropout, **variant.defaults}
    assert found == package.get_hyperparams("A0_037") == package.get_hyperparams("37")
    other = package.get_hyperparams("A0_037", model_name="VisionTransformer")
    assert other["lr"] == catalogue.architecture("VisionTransformer").recipe.lr
    with pytest.raises(UnknownNameError, match="unknown variant 'StepLR_defautl': did you mean StepLR_default"):
        package.get_hyperparams("StepLR_defautl")


def test_the_defaults_of_every_schedule_are_valid(catalogue):
    """get_hyperparams and validate_hyperparams agree."""
    for variant in catalogue.variants:
        assert package.validate_hyperparams(package.get_hyperparams(variant.name), scheduler_name=variant.name) == (
            True,
            "",
        )


@pytest.mark.parametrize(
    ("hp", "told"),
    [
        ({"lr": 0.0}, "lr: must lie in"),
        ({"lr": 0.1, "momentum": 1.0}, "momentum: must lie in [0, 0.999], got 1.0"),
        ({"dropout": -0.1}, "dropout: must lie in"),
        ({"lr": "fast"}, "lr: must be a number, got 'fast'"),
        ({"lr": float("nan")}, "lr: must be a number"),
        ({"lr": True}, "lr: must be a number, got True"),
        ({"epoch": 0}, "epoch: must be a whole number from 1, got 0"),
        ({"batch": 2.5}, "batch: must be a whole number from 1, got 2.5"),
        ({"lr": 0.1, "warmup_fraction": 2}, "warmup_fraction: must lie in"),
        ({"nonsense": 1}, "nonsense: not a hyperparameter of any schedule"),
        ({"warmup": 0.1}, "warmup: not a hyperparameter of any schedule: it is called warmup_fraction now"),
    ],
)
def test_what_is_wrong_with_hyperparameters_is_told(hp, told):
    """The answer is False and a reason that names the value; it does not raise."""
    valid, reason = package.validate_hyperparams(hp)
    assert not valid
    assert told in reason


def test_hyperparameters_are_those_of_a_schedule_when_it_is_named():
    """What another schedule has is none of this one."""
    assert package.validate_hyperparams({"warmup_fraction": 0.1, "batch": 64, "epoch": 90, "transform": "norm"}) == (
        True,
        "",
    )
    assert package.validate_hyperparams({"warmup_fraction": 0.1}, scheduler_name="StepLR_default") == (
        False,
        "warmup_fraction: not a hyperparameter of StepLR_default",
    )


def test_numbers_that_contradict_each_other_are_not_recorded(empty):
    """An accuracy that is not the matrix's, a best one below it: what ``lrgen db check`` would find is refused."""
    told = ("ResNet", "A0_001", "digits", "img-classification")
    with pytest.raises(ParameterError, match="accuracy: the confusion matrix says 0.1, got 0.5"):
        package.save_scheduler_result(*told, 1, 0.5, 1.0, confusion=[[1] * 10] * 10)
    with pytest.raises(ParameterError, match="best_accuracy: must be at least the accuracy 0.6, got 0.3"):
        package.save_scheduler_result(*told, 1, 0.6, 1.0, 0.3)
    for epoch in (2.5, True, "1"):
        with pytest.raises(ParameterError, match="epochs are counted from 1"):
            package.save_scheduler_result(*told, epoch, 0.6, 1.0)
    assert query(empty, "SELECT COUNT(*) FROM lrgen_runs") == [(0,)]
    package.save_scheduler_result(*told, 1, 0.55, 1.0, confusion=np.asarray(diagonal(range(1, 11))))
    assert package.generate_class_data_for_epoch("ResNet", "A0_001", 1)["0"] == 0.1


def test_an_empty_answer_has_its_columns(empty):
    """A frame without rows can be asked for its columns all the same."""
    assert list(package.get_best_schedulers("ResNet")["accuracy"]) == []
    assert list(package.unique_nn(90, "ResNet")["metric_value"]) == []
    assert package.errors.NoResultError is NoResultError

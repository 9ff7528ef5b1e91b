"""The functions of the API: results, hyperparameters, constants."""

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
    """An empty folder with an empty database at the path of the configuration; returns the path of the database."""
    monkeypatch.chdir(tmp_path)
    for name in ("LRGEN_DB", "LRGEN_DATASET"):
        monkeypatch.delenv(name, raising=False)
    package.init_database()
    return tmp_path / "db" / "ab.nn.db"


def query(path: Path, sql: str) -> list[tuple]:
    """The rows of a query of a database."""
    with sqlite3.connect(path) as connection:
        return connection.execute(sql).fetchall()


def test_get_class_accuracies_has_a_row_for_each_class(database):
    """The metrics of each class are computed from the confusion matrix of the epoch."""
    frame = package.get_class_accuracies(model_name="ResNet", scheduler_type="A0_001", epoch=2, db=database)
    assert frame["class_name"].tolist() == ["cat", "dog"]
    assert frame["accuracy"].tolist() == [0.75, 1.0]
    assert frame["precision"].tolist() == [1.0, 0.8]
    assert frame["support"].tolist() == [4, 4]
    assert set(frame["epoch"]) == {2}


def test_the_classes_of_an_epoch_that_was_never_evaluated_are_an_error(database):
    """The error names the evaluated epochs."""
    with pytest.raises(NoResultError, match="^no class metrics of ResNet A0_001 at epoch 9 .*evaluated epochs: 1, 2"):
        package.get_class_accuracies("ResNet", "A0_001", 9, db=database)


def test_get_results_has_a_row_for_the_newest_run_of_each_file(database):
    """A row has the status of the newest run; without runs the frame has the same columns and no rows."""
    frame = package.get_results(db=database)
    assert frame["model_name"].tolist() == ["ResNet"]
    assert frame["scheduler_type"].tolist() == ["A0_001"]
    assert frame["accuracy"].tolist() == [0.875]
    assert package.get_results("ResNet", "StepLR_default", "digits", db=database).equals(frame)
    for selection in ({"model": "VGG"}, {"schedule": 2}, {"dataset": "cifar-10"}):
        empty = package.get_results(**selection, db=database)
        assert len(empty) == 0
        assert list(empty.columns) == list(frame.columns)


def test_the_accuracy_of_recorded_results_is_that_of_their_best_epoch(empty):
    """A caller's run has no accuracy of its own in the database; ``get_results`` has the best of its epochs."""
    for epoch, accuracy in ((1, 0.5), (2, 0.75), (3, 0.625)):
        package.save_scheduler_result("ResNet", "A0_001", "digits", "img-classification", epoch, accuracy, 1.0)
    package.init_class_data("ResNet", "A0_002", 10, 1)
    frame = package.get_results()
    assert frame["status"].tolist() == ["recorded", "recorded"]
    assert frame["accuracy"].tolist()[0] == 0.75
    assert frame["accuracy"].isna().tolist() == [False, True]


def test_get_results_with_epochs_has_a_row_for_each_epoch(database):
    """The values of an epoch are those of the recorded report."""
    frame = package.get_results(schedule=1, epochs=True, db=database)
    assert frame["epoch"].tolist() == [1, 2]
    assert frame["train_accuracy"].tolist() == [0.5, 0.5]
    assert frame["lr"].tolist() == [0.1, 0.1]
    assert len(package.get_results(schedule=2, epochs=True, db=database)) == 0


def test_the_database_of_the_configuration_is_the_default(database, tmp_path, monkeypatch):
    """Without ``db`` a function reads the database of the configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LRGEN_DB", database)
    assert len(package.get_class_accuracies("ResNet", "A0_001")) == 2


# The API of the upstream generator.

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
def test_the_functions_have_the_parameters_of_the_upstream_generator(name):
    """A function has the upstream parameters in their order; its other parameters are optional keywords."""
    parameters = inspect.signature(getattr(package, name)).parameters.values()
    assert [
        parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ] == SIGNATURES[name]
    keywords = [parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    assert all(parameter.default is not parameter.empty for parameter in keywords)


def test_every_name_of_the_package_can_be_imported():
    """Each name of ``__all__`` is an attribute and in ``dir``; any other name is an AttributeError."""
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="^module 'lrgen' has no attribute 'nonsense'$"):
        _ = package.nonsense


def test_importing_the_package_imports_no_library():
    """``import lrgen`` imports none of the libraries that its functions need."""
    code = "import lrgen, sys; print(sorted({'torch', 'pandas', 'sqlalchemy', 'numpy', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_lists_of_models_and_classes_are_those_of_the_upstream_generator():
    """There are 26 core and 12 additional models, with ten classes of CIFAR-10 and twenty of CIFAR-20."""
    core, additional = package.IMAGE_CLASSIFICATION_MODELS, package.ADDITIONAL_MODELS
    names = """AlexNet BagNet ConvNeXt ConvNeXtTransformer DarkNet DenseNet EfficientNet FractalNet GoogLeNet ICNet
        InceptionV3 MNASNet MaxVit MobileNetV2 MobileNetV3 RegNet ResNet ResNet18 ResNet34 ResNet50 ResNet101 ShuffleNet
        SqueezeNet SwinTransformer VGG VisionTransformer"""
    assert set(core) == set(names.split())
    others = {"AirNet", "AirNext", "BayesianNet", "ComplexNet", "DPN68", "DPN107", "DPN131", "Diffuser"}
    assert set(additional) == others | {"EfficientNetV2", "MobileNetV4", "NASNet", "Xception"}
    assert core + additional == package.ALL_MODELS
    assert len(set(package.ALL_MODELS)) == 38
    classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    assert classes == package.CIFAR10_CLASSES
    assert len(package.CIFAR10_EXTENDED_CLASSES) == 20


def test_the_scheduler_types_have_every_schedule_once(catalogue):
    """``SCHEDULER_TYPES`` maps each family to the names of its schedules."""
    names = [name for names in package.SCHEDULER_TYPES.values() for name in names]
    assert sorted(names) == sorted(variant.name for variant in catalogue.schedules)
    assert {"step", "polynomial", "cosine", "cyclic"} <= set(package.SCHEDULER_TYPES)


def test_the_constants_follow_the_configuration(tmp_path, monkeypatch):
    """After a change of lrgen.toml the constants have the new values."""
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


def test_a_saved_epoch_is_in_the_best_schedulers(empty):
    """get_best_schedulers returns the best of the saved epochs, with the status recorded."""
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


def test_a_repeated_epoch_begins_a_new_run(empty):
    """Saving an epoch a second time begins a new run, which is the newest one; the old run is kept."""
    for accuracy in (0.5, 0.4):
        package.save_scheduler_result("ResNet", "A0_001", "digits", "img-classification", 1, accuracy, 1.0)
    assert package.get_best_schedulers("ResNet")["accuracy"].tolist() == [0.4]
    assert query(empty, "SELECT run_id, accuracy FROM scheduler_results ORDER BY id") == [(1, 0.5), (2, 0.4)]


def test_each_seed_has_its_own_run(empty):
    """Epochs of two seeds are recorded in two runs, in any order of the calls."""
    for epoch in (1, 2):
        for seed in (0, 1):
            package.save_scheduler_result(
                "ResNet", "A0_001", "digits", "img-classification", epoch, 0.1, 1.0, seed=seed
            )
    rows = query(empty, "SELECT run_id, seed, epoch FROM scheduler_results ORDER BY run_id, epoch")
    assert rows == [(1, 0, 1), (1, 0, 2), (2, 1, 1), (2, 1, 2)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"accuracy": 1.2}, r"accuracy: must lie in \[0, 1\], got 1\.2"),
        ({"accuracy": float("nan")}, r"accuracy: must lie in \[0, 1\], got nan"),
        ({"best_accuracy": -0.1}, r"best_accuracy: must lie in \[0, 1\], got -0.1"),
        ({"epoch": 0}, "epoch: must be a whole number from 1, got 0"),
        ({"confusion": [[1, 0], [0, 1]]}, "confusion: digits has 10 classes, got 2 rows"),
    ],
)
def test_an_invalid_result_is_not_recorded(empty, changed, message):
    """A value outside its range is an error with argument and value, and no row is written."""
    values = {"epoch": 1, "accuracy": 0.5, "loss": 1.0} | changed
    with pytest.raises(ParameterError, match=f"^{message}$"):
        package.save_scheduler_result("ResNet", "A0_001", "digits", "img-classification", **values)
    assert query(empty, "SELECT COUNT(*) FROM lrgen_runs") == [(0,)]


def test_a_loss_that_is_not_a_number_is_null(empty):
    """NaN is recorded as NULL."""
    package.save_scheduler_result("ResNet", "A0_001", "digits", "img-classification", 1, 0.1, float("nan"))
    assert query(empty, "SELECT loss FROM scheduler_results") == [(None,)]


def test_initialised_classes_are_null_until_they_are_measured(empty):
    """init_class_data records classes without metrics, and save_class_accuracy fills in the metrics of one class."""
    package.save_scheduler_result("ResNet", "A0_001", "cifar-10", "img-classification", 1, 0.5, 1.0)
    assert package.init_class_data("ResNet", "A0_001", 10, 1)
    package.init_class_data("ResNet", "A0_001", 10, 1)  # a second call changes nothing
    frame = package.get_class_accuracies("ResNet", "A0_001", 1)
    assert frame["class_name"].tolist() == package.CIFAR10_CLASSES
    assert frame["accuracy"].isna().all()
    assert query(empty, "SELECT COUNT(*), COUNT(accuracy) FROM class_data") == [(10, 0)]
    assert package.save_class_accuracy("ResNet", "A0_001", 3, "cat", 0.25, 0.5, 0.25, 1 / 3, 1, support=4)
    frame = package.get_class_accuracies("ResNet", "A0_001", 1)
    assert frame["accuracy"].notna().tolist() == [name == "cat" for name in package.CIFAR10_CLASSES]
    assert frame.loc[3, ["accuracy", "precision", "support"]].tolist() == [0.25, 0.5, 4]
    assert query(empty, "SELECT COUNT(*) FROM lrgen_runs") == [(1,)]


def test_initialised_classes_do_not_hide_measured_ones(database, monkeypatch):
    """After init_class_data, the metrics of a measured epoch are returned as before."""
    monkeypatch.setenv("LRGEN_DB", database)
    package.init_class_data("ResNet", "A0_001", 10, 2)
    assert package.get_class_accuracies("ResNet", "A0_001", 2)["accuracy"].tolist() == [0.75, 1.0]


def test_a_repeated_measurement_of_a_class_begins_a_new_run(empty):
    """A second measurement of a class at an epoch begins a new run, which is the newest one."""
    for accuracy in (0.5, 0.6):
        package.save_class_accuracy("ResNet", "A0_001", 0, "zero", accuracy, epoch=1)
    assert package.get_class_accuracies("ResNet", "A0_001", 1)["accuracy"].tolist() == [0.6]
    assert query(empty, "SELECT run_id, accuracy FROM class_data ORDER BY id") == [(1, 0.5), (2, 0.6)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: package.init_class_data("ResNet", "A0_001", 11), "num_classes: digits has 10 classes, got 11"),
        (lambda: package.init_class_data("ResNet", "A0_001", epoch=0), "epoch: must be a whole number from 1, got 0"),
        (lambda: package.save_class_accuracy("ResNet", "A0_001", -1, "x", 0.5), "class_id: must be at least 0, got -1"),
        (
            lambda: package.save_class_accuracy("ResNet", "A0_001", 0, "x", 0.5, precision=2.0),
            r"precision: must lie in \[0, 1\], got 2\.0",
        ),
    ],
)
def test_invalid_class_data_are_not_recorded(empty, call, message):
    """A class outside the dataset or a metric outside [0, 1] is an error, and no row is written."""
    with pytest.raises(ParameterError, match=f"^{message}$"):
        call()
    assert query(empty, "SELECT COUNT(*) FROM class_data") == [(0,)]


def confusion_of(correct: Sequence[int], images: int = 10) -> list[list[int]]:
    """A confusion matrix with these correct predictions; the other images are predicted as the next class."""
    rows = np.diag(correct) + np.roll(np.diag([images - count for count in correct]), 1, axis=1)
    return rows.tolist()


def test_class_data_are_computed_from_the_confusion_matrix(empty):
    """generate_class_data_for_epoch returns the recall of each class in the confusion matrix of the epoch."""
    correct = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    package.save_scheduler_result(
        "ResNet", "A0_001", "digits", "img-classification", 1, 0.55, 1.0, confusion=confusion_of(correct)
    )
    accuracies = package.generate_class_data_for_epoch("ResNet", "A0_001", 1, 10)
    assert accuracies == {str(number): count / 10 for number, count in enumerate(correct)}
    stored = package.get_class_accuracies("ResNet", "A0_001", 1)
    assert stored["recall"].tolist() == list(accuracies.values())
    assert stored["support"].tolist() == [10] * 10


def test_an_epoch_without_a_confusion_matrix_has_no_class_data(database, monkeypatch):
    """An epoch without a confusion matrix is an error, and so is another number of classes."""
    monkeypatch.setenv("LRGEN_DB", database)
    assert package.generate_class_data_for_epoch("ResNet", "A0_001", 2) == {"cat": 0.75, "dog": 1.0}
    with pytest.raises(NoResultError, match="^no class metrics of ResNet A0_001 at epoch 3 .*evaluated epochs: 1, 2"):
        package.generate_class_data_for_epoch("ResNet", "A0_001", 3, 2)
    with pytest.raises(NoResultError, match="^no class metrics of ResNet A0_077"):
        package.generate_class_data_for_epoch("ResNet", "A0_077", 1)
    with pytest.raises(ParameterError, match="^num_classes: must be the number of evaluated classes, 2, got 10$"):
        package.generate_class_data_for_epoch("ResNet", "A0_001", 2, 10)
    package.save_class_accuracy("ResNet", "A0_002", 0, "cat", 0.5, epoch=1)
    with pytest.raises(NoResultError, match="^no confusion matrix of ResNet A0_002 at epoch 1"):
        package.generate_class_data_for_epoch("ResNet", "A0_002", 1)


def test_a_checkpoint_is_evaluated_on_the_held_out_images(empty, catalogue, monkeypatch):
    """The accuracies are those of the checkpoint's network on the held-out images, and they are recorded."""
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
    accuracies = package.generate_class_data_for_epoch("ResNet", "A0_001", 7, 10, checkpoint="epoch7.pt")
    images = torch.from_numpy(small.train_images).float()
    mean, std = images.mean((0, 2, 3), keepdim=True), images.std((0, 2, 3), keepdim=True, correction=0)
    with torch.no_grad():
        predicted = net.eval()((torch.from_numpy(small.test_images) - mean) / std).argmax(1).numpy()
    for number in range(10):
        own = small.test_labels == number
        assert accuracies[str(number)] == (predicted[own] == number).mean()
    assert package.get_class_accuracies("ResNet", "A0_001", 7)["accuracy"].tolist() == list(accuracies.values())
    assert package.generate_class_data_for_epoch("ResNet", "A0_001", 7) == accuracies


def test_an_invalid_checkpoint_is_an_error(empty):
    """A missing file, a pickle that executes code and the weights of another network are errors."""
    import pickle

    import torch

    Path("evil.pt").write_bytes(pickle.dumps(print, protocol=2))
    torch.save({"weight": torch.zeros(1)}, "other.pt")
    for name, message in (
        ("absent.pt", "absent.pt: cannot read the checkpoint: "),
        ("evil.pt", "evil.pt: cannot read the checkpoint: "),
        ("other.pt", "other.pt: the weights do not match ResNet with 10 classes: "),
    ):
        with pytest.raises(DataError, match=f"^{message}"):
            package.generate_class_data_for_epoch("ResNet", "A0_001", 1, checkpoint=name)
    assert query(empty, "SELECT COUNT(*) FROM lrgen_runs") == [(0,)]


# The best files.


def save(url: str, catalogue, number: int, accuracies: Sequence[float], model: str = "ResNet", **fields) -> None:
    """Save a run of a variant whose epochs have these accuracies, on ten classes with ten images each."""
    variant = catalogue.variant(number)
    source = fields.pop("source", f"{model} {number}")
    path = Path(f"generated/{model}/{variant.key}.py")
    candidate = candidate_of(path, source.encode(), catalogue.architecture(model), variant)
    epochs = tuple(
        EpochReport(epoch, 1.0, 0.5, 1.0 / epoch, tuple(map(tuple, confusion_of([round(10 * value)] * 10))), 0.1, 1.0)
        for epoch, value in enumerate(accuracies, start=1)
    )
    outcome = Outcome(
        candidate, Status.VERIFIED, Stage.TRAINING, "", 1.0, epochs=epochs, accuracy=max(accuracies), **fields
    )
    Store(url).save(outcome, verdicts.conditions_of(VerifySettings()), data.CLASSES["digits"])


@pytest.fixture
def results(catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with runs of several networks and schedules."""
    url = f"sqlite:///{tmp_path / 'many.db'}"
    save(url, catalogue, 1, [0.9, 0.3], trace="a")
    save(url, catalogue, 1, [0.2, 0.5, 0.8], trace="a")  # the newest run of this file
    save(url, catalogue, 2, [0.6, 0.7, 0.1], trace="b")
    save(url, catalogue, 3, [0.4], trace="b")  # the same learning rates as 2
    save(url, catalogue, 4, [0.3], trace="c")
    save(url, catalogue, 1, [0.4, 0.6], model="VGG", trace="a")
    save(url, catalogue, 2, [0.6], model="AirNet", trace="a")
    monkeypatch.setenv("LRGEN_DB", url)
    return url


def ranking(frame) -> list[tuple[str, str, int, float]]:
    """Model, schedule, epoch and accuracy of each row."""
    return list(zip(*(frame[name] for name in ("model_name", "scheduler_type", "epoch", "accuracy")), strict=True))


def test_unique_nn_has_each_curve_of_a_network_once(results):
    """Files are listed at the best epoch of their newest run, best first; equal learning rates have one row."""
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


def test_epochs_after_epoch_max_are_ignored(results):
    """The best epoch is at most epoch_max."""
    frame = package.unique_nn(2, ["ResNet"], "digits", "img-classification", "acc")
    assert ranking(frame)[:2] == [("ResNet", "A0_002", 2, 0.7), ("ResNet", "A0_001", 2, 0.5)]
    frame = package.unique_nn(1, ["ResNet"])
    assert ranking(frame)[0] == ("ResNet", "A0_002", 1, 0.6)


def test_the_rows_are_ordered_by_the_metric(results):
    """The minimum loss is best; the value of f1 is the mean over the classes."""
    frame = package.unique_nn(3, ["ResNet"], metric="loss")
    assert ranking(frame)[0][:3] == ("ResNet", "A0_001", 3)
    assert frame["metric_value"].tolist() == sorted(frame["loss"])
    frame = package.unique_nn(3, ["ResNet"], metric="f1")
    assert frame["metric_value"].tolist() == pytest.approx([0.8, 0.7, 0.3])
    with pytest.raises(UnknownNameError, match=r"^unknown metric 'f2': did you mean f1\?$"):
        package.unique_nn(metric="f2")
    with pytest.raises(UnknownNameError, match=r"^unknown source 'lemurs': did you mean lemur"):
        package.unique_nn(source="lemurs")


def test_files_with_the_same_code_have_one_row(catalogue, results):
    """Of two files with the same code, unique_nn lists the better."""
    save(results, catalogue, 5, [0.95], source="the same", trace="d")
    save(results, catalogue, 6, [0.85], source="the same", trace="e")
    assert [row[1] for row in ranking(package.unique_nn(90, ["ResNet"]))][:2] == ["A0_005", "A0_001"]


def test_unique_nn_cls_lists_the_image_classification_models(results):
    """unique_nn_cls leaves out the additional models, which unique_nn lists."""
    assert {row[0] for row in ranking(package.unique_nn_cls(90, "digits", "img-classification", "acc"))} == {
        "ResNet",
        "VGG",
    }
    assert {row[0] for row in ranking(package.unique_nn())} == {"ResNet", "VGG", "AirNet"}
    assert ranking(package.unique_nn_cls(90, "cifar-10")) == []


def test_a_database_that_cannot_be_read_is_an_error(tmp_path):
    """A damaged or missing database is an error, not an empty frame."""
    (tmp_path / "broken.db").write_text("this is no database, and long enough to be looked at" * 30)
    with pytest.raises(StoreError, match=r"broken\.db: file is not a database"):
        package.unique_nn(db=f"sqlite:///{tmp_path / 'broken.db'}")
    with pytest.raises(NoResultError, match="^there is no database at "):
        package.get_best_schedulers("ResNet", db=f"sqlite:///{tmp_path / 'absent.db'}")


# Hyperparameters.


def test_hyperparameters_are_those_of_the_recipe_and_the_schedule(catalogue):
    """get_hyperparams accepts a name, a key or a number of a schedule and the name of an architecture."""
    variant, recipe = catalogue.variant(37), catalogue.architecture("ResNet").recipe
    accuracies = package.get_hyperparams(variant.name)
    assert accuracies == {"lr": recipe.lr, "momentum": recipe.momentum, "dropout": recipe.dropout, **variant.defaults}
    assert accuracies == package.get_hyperparams("A0_037") == package.get_hyperparams("37")
    other = package.get_hyperparams("A0_037", model_name="VisionTransformer")
    assert other["lr"] == catalogue.architecture("VisionTransformer").recipe.lr
    with pytest.raises(UnknownNameError, match="^unknown variant 'StepLR_defautl': did you mean StepLR_default"):
        package.get_hyperparams("StepLR_defautl")


def test_the_defaults_of_every_schedule_are_valid(catalogue):
    """validate_hyperparams accepts what get_hyperparams returns for each schedule."""
    for variant in catalogue.schedules:
        assert package.validate_hyperparams(package.get_hyperparams(variant.name), scheduler_name=variant.name) == (
            True,
            "",
        )


@pytest.mark.parametrize(
    ("hp", "message"),
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
def test_an_invalid_hyperparameter_has_a_reason(hp, message):
    """validate_hyperparams returns False and a reason with the name and the value."""
    valid, reason = package.validate_hyperparams(hp)
    assert not valid
    assert reason.startswith(message)


def test_hyperparameters_of_another_schedule_are_invalid():
    """With scheduler_name, a hyperparameter of another schedule is invalid."""
    assert package.validate_hyperparams({"warmup_fraction": 0.1, "batch": 64, "epoch": 90, "transform": "norm"}) == (
        True,
        "",
    )
    assert package.validate_hyperparams({"warmup_fraction": 0.1}, scheduler_name="StepLR_default") == (
        False,
        "warmup_fraction: not a hyperparameter of StepLR_default",
    )


def test_inconsistent_results_are_not_recorded(empty):
    """An accuracy that is not the matrix's and a best accuracy below the accuracy are errors."""
    series = ("ResNet", "A0_001", "digits", "img-classification")
    with pytest.raises(ParameterError, match=r"^accuracy: must be that of the confusion matrix, 0\.1, got 0\.5$"):
        package.save_scheduler_result(*series, 1, 0.5, 1.0, confusion=[[1] * 10] * 10)
    with pytest.raises(ParameterError, match=r"^best_accuracy: must be at least the accuracy 0\.6, got 0\.3$"):
        package.save_scheduler_result(*series, 1, 0.6, 1.0, 0.3)
    for epoch in (2.5, True, "1"):
        with pytest.raises(ParameterError, match="^epoch: must be a whole number from 1, got "):
            package.save_scheduler_result(*series, epoch, 0.6, 1.0)
    assert query(empty, "SELECT COUNT(*) FROM lrgen_runs") == [(0,)]
    package.save_scheduler_result(*series, 1, 0.55, 1.0, confusion=np.asarray(confusion_of(range(1, 11))))
    assert package.generate_class_data_for_epoch("ResNet", "A0_001", 1)["0"] == 0.1


def test_an_empty_frame_has_its_columns(empty):
    """A frame without rows has the columns of a frame with rows."""
    assert list(package.get_best_schedulers("ResNet")["accuracy"]) == []
    assert list(package.unique_nn(90, "ResNet")["metric_value"]) == []
    assert package.errors.NoResultError is NoResultError

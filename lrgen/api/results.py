"""Results of verification and of a caller's own training: queries and records.

Most functions have the names and the parameters of the API of the upstream generator. The dataset, the seed and the
database are optional keywords: by default a query reads the newest run, in the database of the configuration. Where the
upstream generator returns False or an empty frame on a failure, these functions raise a named error.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrgen import config, data
from lrgen.api import current
from lrgen.errors import ParameterError, UnknownNameError
from lrgen.records import Collection, accuracy_of
from lrgen.store.metrics import ClassScores, class_scores

if TYPE_CHECKING:
    import pandas as pd

    from lrgen.store import Series, Store

METRICS = {"accuracy": "accuracy", "acc": "accuracy", "loss": "loss", "f1": "f1"}
SOURCES = ("lrgen", "lemur")
_ROUNDING = 1e-6  # tolerance for an accuracy that was rounded or computed in float32


_BEST = (
    *("model_name", "scheduler_type", "variant_name", "dataset", "training", "accuracy", "loss", "epoch", "status"),
    *("hyperparameters", "seed", "device", "source_sha256", "path", "timestamp"),
)
_RUN = (
    *("model_name", "scheduler_type", "variant_name", "dataset", "status", "stage", "reason", "training"),
    *("accuracy", "seconds", "seed", "device", "source_sha256", "path", "timestamp", "practice"),
)
_EPOCH = (
    *("model_name", "scheduler_type", "variant_name", "dataset", "status", "epoch", "lr", "train_loss"),
    *("train_accuracy", "loss", "accuracy", "seconds", "training", "seed", "device", "source_sha256", "path"),
    *("timestamp", "practice"),
)


# Files.


def unique_nn(
    epoch_max: int | None = None,
    nns: Sequence[str] | str | None = None,
    dataset: str | None = None,
    task: str | None = None,
    metric: str = "accuracy",
    *,
    source: str = "lrgen",
    db: str | None = None,
) -> "pd.DataFrame":
    """Return the best files, each at its best epoch, with one file for each distinct curve of a network.

    Args:
        epoch_max: the last epoch to consider; by default all epochs are considered.
        nns: the names of architectures, or one name; by default all architectures.
        dataset: consider only runs on this dataset.
        task: consider only runs of this task, ``"img-classification"``.
        metric: ``"accuracy"`` (or ``"acc"``), ``"loss"``, or ``"f1"``, the mean over the classes.
        source: ``"lrgen"``, or ``"lemur"`` for LEMUR's database, which needs the package nn-dataset.
        db: database URL; by default that of the configuration.

    Returns:
        A frame with a row for the newest run of each (model, schedule), best first. Among files with the same code, and
        among files of one network with the same learning rates and the same practice, it has only the best. A file
        whose newest run did not pass its checks is left out. Columns: model_name, scheduler_type, variant_name,
        metric_value, epoch, accuracy, loss, hyperparameters, code_hash (sha256), path, dataset, task, status, training,
        seed. Networks that only overfit a small subset are last, since their metrics are not comparable.

    Raises:
        UnknownNameError: if there is no such metric or source.
        StoreError, NoResultError: if the database cannot be read or does not exist.
        LrgenError: if nn-dataset is not installed.
    """
    import pandas as pd

    if metric not in METRICS:
        raise UnknownNameError("metric", metric, METRICS)
    if isinstance(nns, str):
        nns = [nns]
    if source not in SOURCES:
        raise UnknownNameError("source", source, SOURCES)
    if source == "lemur":
        from lrgen.lemur.names import lemur_rows

        rows = lemur_rows(epoch_max, nns, dataset, task, METRICS[metric])
    else:
        with _store(db) as store:
            rows = store.unique(epoch_max, nns, dataset, task, METRICS[metric], _practices())
    columns = (
        *("model_name", "scheduler_type", "variant_name", "metric_value", "epoch", "accuracy", "loss"),
        *("hyperparameters", "source_sha256", "path", "dataset", "task", "status", "training", "seed"),
    )
    return pd.DataFrame(rows, columns=columns).rename(columns={"source_sha256": "code_hash"})


def unique_nn_cls(
    epoch_max: int | None = None,
    dataset: str | None = None,
    task: str | None = "img-classification",
    metric: str = "accuracy",
    *,
    source: str = "lrgen",
    db: str | None = None,
) -> "pd.DataFrame":
    """Return ``unique_nn`` for the image classification models (``lrgen.IMAGE_CLASSIFICATION_MODELS``)."""
    architectures = current.catalogue().architectures
    nns = [architecture.name for architecture in architectures if architecture.collection is Collection.CORE]
    return unique_nn(epoch_max, nns, dataset, task, metric, source=source, db=db)


# Results.


def init_database(*, db: str | None = None) -> bool:
    """Create the database and its tables, or migrate an existing database to the current schema without loss.

    Returns:
        True. A failure raises an error.

    Raises:
        StoreError: if the database cannot be opened or written.
    """
    with _store(db) as store:
        store.prepare()
    return True


def save_scheduler_result(
    model_name: str,
    scheduler_type: str,
    dataset: str,
    task: str,
    epoch: int,
    accuracy: float,
    loss: float | None,
    best_accuracy: float | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    *,
    confusion: Sequence[Sequence[int]] | None = None,
    seed: int = 0,
    db: str | None = None,
) -> bool:
    """Record an epoch of your own training.

    The run has the status ``recorded``, since no check measured its numbers. An epoch that the newest run already has
    begins a new run and is not overwritten.

    Args:
        epoch: counted from 1.
        accuracy: accuracy on held-out images, in [0, 1].
        best_accuracy: best accuracy up to this epoch; by default that of the run's epochs.
        confusion: confusion matrix of shape (classes, classes), actual × predicted; with it the metrics of each class
            are recorded as well.
        seed: seed of the training; each seed has its own run.
        db: database URL; by default that of the configuration.

    Returns:
        True. A failure raises an error.

    Raises:
        ParameterError: if the epoch is below 1, an accuracy is outside [0, 1], the accuracy is not that of the matrix,
            the best accuracy is below it, or the shape of the matrix does not fit the dataset's classes.
        StoreError: if the database cannot be written; nothing is recorded.
    """
    _check_epoch(epoch)
    _check_fractions(accuracy=accuracy, best_accuracy=best_accuracy)
    classes: Sequence[str] = ()
    if confusion is not None:
        classes = data.CLASSES.get(dataset) or [str(number) for number in range(len(confusion))]
        if [len(row) for row in confusion] != [len(classes)] * len(classes):
            raise ParameterError(f"confusion: {dataset} has {len(classes)} classes, got {len(confusion)} rows")
        confusion = [[int(count) for count in row] for row in confusion]  # counts may be numpy's
        exact = accuracy_of(confusion)
        if abs(exact - accuracy) > _ROUNDING:
            raise ParameterError(f"accuracy: must be that of the confusion matrix, {exact}, got {accuracy}")
        accuracy = exact
    if best_accuracy is not None and best_accuracy < accuracy - _ROUNDING:
        raise ParameterError(f"best_accuracy: must be at least the accuracy {accuracy}, got {best_accuracy}")
    from lrgen.store import Series

    with _store(db) as store:
        series = Series(model_name, scheduler_type, dataset, task, seed)
        matrix = {"confusion": confusion, "classes": classes}
        store.record_epoch(
            series, epoch, accuracy, loss, best_accuracy=best_accuracy, hyperparameters=hyperparameters, **matrix
        )
    return True


def get_results(
    model: str | None = None,
    schedule: str | int | None = None,
    dataset: str | None = None,
    *,
    practice: str | None = None,
    epochs: bool = False,
    db: str | None = None,
) -> "pd.DataFrame":
    """Return the newest run of each file on each dataset, or the evaluated epochs of these runs.

    Args:
        model: return only files of this architecture, or foreign files with this stem.
        schedule: return only files with this schedule: its name, its number, ``"A0_001"``, or the ``file-…`` of a
            foreign file.
        dataset: return only runs on this dataset.
        practice: return only files with this practice, or with one of this kind.
        epochs: return a row for each evaluated epoch of the newest run that has epochs.
        db: database URL; by default that of the configuration.

    Returns:
        A frame with the columns model_name, scheduler_type, variant_name, dataset, status, stage, reason, training,
        accuracy (of the best epoch, in [0, 1]), seconds, seed, device, source_sha256, path, timestamp, practice (NaN
        without one). With ``epochs``: model_name, scheduler_type, variant_name, dataset, status, epoch, lr, train_loss,
        train_accuracy, loss, accuracy, seconds, training, seed, device, source_sha256, path, timestamp, practice.

    Raises:
        UnknownNameError: if there is no such schedule or practice.
        StoreError, NoResultError: if the database cannot be read, or there is none.

    Example:
        >>> lrgen.init_database()
        True
        >>> results = lrgen.get_results(model="ResNet")
        >>> len(results)
        0
        >>> list(results.columns)[:5]
        ['model_name', 'scheduler_type', 'variant_name', 'dataset', 'status']
    """
    import pandas as pd

    scheduler_type = None if schedule is None else _scheduler_type(schedule)
    practices = _practices(practice)
    with _store(db) as store:
        rows = store.epochs(model, dataset) if epochs else store.newest_runs(model, scheduler_type, dataset)
    rows = [row | {"practice": practices.get(row["scheduler_type"])} for row in rows]
    if epochs:
        rows = [row for row in rows if scheduler_type in (None, row["scheduler_type"])]
    if practice is not None:
        rows = [row for row in rows if row["practice"] is not None]
    return pd.DataFrame(rows, columns=_EPOCH if epochs else _RUN)


def get_best_schedulers(
    model_name: str,
    dataset: str | None = None,
    task: str | None = None,
    limit: int | None = 10,
    *,
    db: str | None = None,
) -> "pd.DataFrame":
    """Return the schedules of a network, each at the best epoch of its newest run, best first.

    A file whose newest run did not pass its checks is left out.

    Args:
        model_name: the architecture.
        dataset: consider only runs on this dataset.
        task: consider only runs of this task.
        limit: maximum number of rows; None for all.
        db: database URL; by default that of the configuration.

    Raises:
        StoreError, NoResultError: if the database cannot be read or does not exist.
    """
    import pandas as pd

    with _store(db) as store:
        return pd.DataFrame(store.best(model_name, dataset, limit, task), columns=_BEST)


# Classes.


def init_class_data(
    model_name: str,
    scheduler_type: str,
    num_classes: int | None = None,
    epoch: int = 1,
    *,
    dataset: str | None = None,
    seed: int = 0,
    db: str | None = None,
) -> bool:
    """Add rows for the classes of an epoch, with metrics that are NULL until they are measured.

    Args:
        num_classes: number of classes, the first of the dataset; by default all.
        dataset: dataset of the run; by default that of the file's newest run, else that of the configuration.

    Returns:
        True. A failure raises an error.

    Raises:
        ParameterError: if the dataset has fewer classes, or the epoch is below 1.
        UnknownNameError: if there is no such dataset.
        StoreError: if the database cannot be written.
    """
    _check_epoch(epoch)
    with _store(db) as store:
        series = _series(store, model_name, scheduler_type, dataset, seed)
        data.check_name(series.dataset, config.load().enable_extended_classes)
        names = data.CLASSES[series.dataset]
        if num_classes is not None and not 1 <= num_classes <= len(names):
            raise ParameterError(f"num_classes: {series.dataset} has {len(names)} classes, got {num_classes}")
        store.track_classes(series, epoch, names[:num_classes])
    return True


def save_class_accuracy(
    model_name: str,
    scheduler_type: str,
    class_id: int,
    class_name: str,
    accuracy: float,
    precision: float | None = None,
    recall: float | None = None,
    f1_score: float | None = None,
    epoch: int = 1,
    *,
    support: int | None = None,
    dataset: str | None = None,
    seed: int = 0,
    db: str | None = None,
) -> bool:
    """Record metrics of one class from your own evaluation, each in [0, 1].

    Args:
        class_id: index of the class, from 0.
        support: number of held-out images of the class.
        dataset: dataset of the run; by default that of the file's newest run, else that of the configuration.

    Returns:
        True. A failure raises an error.

    Raises:
        ParameterError: if the epoch is below 1, the class is negative, or a metric is outside [0, 1].
        StoreError: if the database cannot be written; nothing is recorded.
    """
    _check_epoch(epoch)
    _check_fractions(accuracy=accuracy, precision=precision, recall=recall, f1_score=f1_score)
    if class_id < 0:
        raise ParameterError(f"class_id: must be at least 0, got {class_id}")
    scores = ClassScores(class_id, accuracy, precision, recall, f1_score, support)
    with _store(db) as store:
        store.record_class(_series(store, model_name, scheduler_type, dataset, seed), epoch, class_name, scores)
    return True


def get_class_accuracies(
    model_name: str,
    scheduler_type: str,
    epoch: int | None = None,
    *,
    dataset: str | None = None,
    db: str | None = None,
) -> "pd.DataFrame":
    """Return the metrics of each class at one evaluated epoch of a file's newest run.

    Args:
        model_name: an architecture (``"ResNet"``), or the stem of a foreign file.
        scheduler_type: ``"A0_001"``, or ``file-`` and the first eight digits of a foreign file's sha256.
        epoch: epoch, counted from 1; by default the one with the best accuracy.
        dataset: dataset of the run; by default that of the newest run.
        db: database URL; by default that of the configuration.

    Returns:
        A frame with a row for each class and the columns class_id, class_name, accuracy (the recall of the class),
        precision, recall, f1_score (all in [0, 1]), support (number of held-out images) and epoch. The metrics of
        classes that were not measured are NaN.

    Raises:
        NoResultError: if the epoch was never evaluated.
        StoreError: if the database cannot be read.
    """
    import pandas as pd

    with _store(db) as store:
        return pd.DataFrame(store.classes(model_name, scheduler_type, epoch, dataset))


def generate_class_data_for_epoch(
    model_name: str,
    scheduler_type: str,
    epoch: int,
    num_classes: int | None = None,
    *,
    checkpoint: str | Path | None = None,
    dataset: str | None = None,
    seed: int = 0,
    db: str | None = None,
) -> dict[str, float]:
    """Return the accuracy of each class at an epoch.

    It is computed from the recorded confusion matrix of the epoch, or with a checkpoint from an evaluation on the
    held-out images, which is recorded as by ``save_scheduler_result``.

    Args:
        num_classes: number of classes that the confusion matrix must have; by default any number.
        checkpoint: file that ``torch.save(net.state_dict(), checkpoint)`` wrote after the epoch.
        dataset: dataset of the run; by default that of the file's newest run, else that of the configuration.

    Returns:
        Class name → recall, in [0, 1].

    Raises:
        NoResultError: if there is no checkpoint and the epoch was never evaluated.
        ParameterError: if there are not ``num_classes`` classes, or the epoch is below 1.
        DataError: if the checkpoint does not fit the network, or the dataset is missing.
        StoreError: if the database cannot be read or written.
    """
    _check_epoch(epoch)
    with _store(db) as store:
        if checkpoint is None:
            confusion, names = store.confusion(model_name, scheduler_type, epoch, dataset)
            _check_count(num_classes, len(names))
        else:
            from lrgen.verify.checkpoint import evaluate_checkpoint

            settings = config.load()
            series = _series(store, model_name, scheduler_type, dataset, seed)
            data.check_name(series.dataset, settings.enable_extended_classes)
            loaded = data.load(series.dataset, settings.data_root)
            names = list(loaded.classes)
            _check_count(num_classes, len(names))
            loss, confusion = evaluate_checkpoint(
                current.catalogue(settings), model_name, scheduler_type, Path(checkpoint), loaded
            )
            accuracy = accuracy_of(confusion)
            store.record_epoch(series, epoch, accuracy, loss, confusion=confusion, classes=names)
    by_class = class_scores(confusion)
    return {names[scores.class_id]: scores.accuracy for scores in by_class if scores.accuracy is not None}


# Arguments.


@contextlib.contextmanager
def _store(db: str | None) -> Iterator["Store"]:
    """Open the database of a URL, or that of the configuration."""
    from lrgen.store import Store

    store = Store(config.load({"db": db}).db)
    try:
        yield store
    finally:
        store.close()


def _practices(name: str | None = None) -> dict[str, str]:
    """The practice of each ``scheduler_type`` that has one: this practice, one of this kind, or any.

    Raises:
        UnknownNameError: if there is no such practice and no such kind.
    """
    catalogue = current.catalogue()
    variants = catalogue.with_practice if name is None else catalogue.of_practice(name)
    return {variant.key: variant.practice.name for variant in variants if variant.practice is not None}


def _scheduler_type(schedule: str | int) -> str:
    """The ``A0_001`` of a schedule; the ``file-…`` of a foreign file is returned as it is."""
    if isinstance(schedule, str) and schedule.startswith("file-"):
        return schedule
    return current.catalogue().variant(schedule).key


def _series(store: "Store", model_name: str, scheduler_type: str, dataset: str | None, seed: int) -> "Series":
    """The series of a file's runs, by default on the dataset of its newest run."""
    from lrgen.store import Series

    dataset = dataset or store.dataset_of(model_name, scheduler_type) or config.load().dataset
    return Series(model_name, scheduler_type, dataset, seed=seed)


def _check_epoch(epoch: object) -> None:
    if isinstance(epoch, bool) or not isinstance(epoch, int | np.integer) or epoch < 1:
        raise ParameterError(f"epoch: must be a whole number from 1, got {epoch!r}")


def _check_fractions(**values: object) -> None:
    for name, value in values.items():
        if value is not None and not (isinstance(value, int | float | np.number) and 0 <= value <= 1):
            raise ParameterError(f"{name}: must lie in [0, 1], got {value!r}")


def _check_count(requested: int | None, evaluated: int) -> None:
    if requested is not None and requested != evaluated:
        raise ParameterError(f"num_classes: must be the number of evaluated classes, {evaluated}, got {requested}")

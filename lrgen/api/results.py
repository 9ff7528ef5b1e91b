"""Results from Python, with the names and parameters of the project's first document.

What the store needs to know beyond those parameters (the dataset, the seed, the database) is an optional keyword: the
newest run answers, and the configuration names the database. What the first document answered with False or an empty
frame when something was wrong raises a named error here.
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
_ROUNDING = 1e-6  # of an accuracy that was rounded, or computed in float32


_BEST = (
    *("model_name", "scheduler_type", "variant_name", "dataset", "training", "accuracy", "loss", "epoch", "status"),
    *("hyperparameters", "seed", "device", "source_sha256", "path", "timestamp"),
)
_RUN = (
    *("model_name", "scheduler_type", "variant_name", "dataset", "status", "stage", "reason", "training"),
    *("accuracy", "seconds", "seed", "device", "source_sha256", "path", "timestamp"),
)
_EPOCH = (
    *("model_name", "scheduler_type", "variant_name", "dataset", "status", "epoch", "lr", "train_loss"),
    *("train_accuracy", "loss", "accuracy", "seconds", "training", "seed", "device", "source_sha256", "path"),
    "timestamp",
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
    """The best files, each at its best epoch, and each curve of a network once.

    Args:
        epoch_max: epochs after this one do not count; by default all do.
        nns: architectures, or one; by default all.
        dataset: by default every one.
        task: ``"img-classification"``; by default every one.
        metric: ``"accuracy"`` (or ``"acc"``), ``"loss"``, or ``"f1"``, the mean over the classes.
        source: ``"lrgen"``, or ``"lemur"``: LEMUR's own database, with the package nn-dataset installed.
        db: database URL; by default that of the configuration.

    Returns:
        A frame with a row for each (model, scheduler) of its newest run, best first; of those with the same code, and
        of those of one network whose rates were the same, the best. The columns: model_name, scheduler_type,
        variant_name, metric_value, epoch, accuracy, loss, hyperparameters, code_hash (sha256), path, dataset, task,
        status, training, seed. Networks that only overfit a few images come last: their scores are not comparable.

    Raises:
        UnknownNameError: for a metric or a source that does not exist.
        StoreError, NoResultError: when the database cannot be read, or there is none.
        LrgenError: when nn-dataset is not installed.
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
            rows = store.unique(epoch_max, nns, dataset, task, METRICS[metric])
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
    """``unique_nn`` of the image classification models (``lrgen.IMAGE_CLASSIFICATION_MODELS``)."""
    nns = [one.name for one in current.catalogue().architectures if one.collection is Collection.CORE]
    return unique_nn(epoch_max, nns, dataset, task, metric, source=source, db=db)


# Results.


def init_database(*, db: str | None = None) -> bool:
    """Create the database with its tables, or bring those that are there to today's form; nothing in it is lost.

    Returns:
        True: what cannot be done raises.

    Raises:
        StoreError: when the database cannot be opened or written.
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
    """Record an epoch of your own training. Its run has the status ``recorded``: no check saw the numbers.

    An epoch that is there already is not overwritten: it begins a new run, and the newest run answers.

    Args:
        epoch: counted from 1.
        accuracy: of held-out images, in 0–1.
        best_accuracy: the best so far; by default that of the run's epochs.
        confusion: classes × classes, actual × predicted; with it the scores of each class are recorded too.
        seed: of the training; runs with other seeds are others.
        db: database URL; by default that of the configuration.

    Returns:
        True: what cannot be recorded raises.

    Raises:
        ParameterError: for an epoch below 1, an accuracy outside 0–1 or other than the matrix's, a best one below it,
            or a matrix that is not of the dataset's classes.
        StoreError: when the database cannot be written; nothing of this was recorded.
    """
    _check_epoch(epoch)
    _check_shares(accuracy=accuracy, best_accuracy=best_accuracy)
    classes: Sequence[str] = ()
    if confusion is not None:
        classes = data.CLASSES.get(dataset) or [str(number) for number in range(len(confusion))]
        if [len(row) for row in confusion] != [len(classes)] * len(classes):
            raise ParameterError(f"confusion: {dataset} has {len(classes)} classes, got {len(confusion)} rows")
        confusion = [[int(count) for count in row] for row in confusion]  # numpy's, perhaps
        right = accuracy_of(confusion)
        if abs(right - accuracy) > _ROUNDING:
            raise ParameterError(f"accuracy: the confusion matrix says {right}, got {accuracy}")
        accuracy = right
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
    epochs: bool = False,
    db: str | None = None,
) -> "pd.DataFrame":
    """What verification recorded: a row for the newest run of each file on each dataset, or for each of its epochs.

    Args:
        model: only files of this architecture, or of this stem for files of your own.
        schedule: only files with this schedule: its name, its number, ``"A0_001"``, or the ``file-…`` that
            stands for it with a file of your own.
        dataset: only runs on this dataset.
        epochs: a row for each evaluated epoch of the newest run that has any.
        db: database URL; by default that of the configuration.

    Returns:
        A frame with the columns model_name, scheduler_type, variant_name, dataset, status, stage, reason, training,
        accuracy (of the best epoch, in 0–1), seconds, seed, device, source_sha256, path, timestamp. With ``epochs``
        instead: model_name, scheduler_type, variant_name, dataset, status, epoch, lr, train_loss, train_accuracy, loss,
        accuracy, seconds, training, seed, device, source_sha256, path, timestamp.

    Raises:
        UnknownNameError: if there is no such schedule.
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
    with _store(db) as store:
        if not epochs:
            return pd.DataFrame(store.newest_runs(model, scheduler_type, dataset), columns=_RUN)
        rows = [row for row in store.epochs(model, dataset) if scheduler_type in (None, row["scheduler_type"])]
    return pd.DataFrame(rows, columns=_EPOCH)


def get_best_schedulers(
    model_name: str,
    dataset: str | None = None,
    task: str | None = None,
    limit: int | None = 10,
    *,
    db: str | None = None,
) -> "pd.DataFrame":
    """The schedules of a network, each at the best epoch of its newest run, best first.

    Raises:
        StoreError, NoResultError: when the database cannot be read, or there is none.
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
    """Record which classes will be measured at an epoch: their scores are NULL until they are.

    Args:
        num_classes: the first so many of the dataset's; by default all.
        dataset: by default that of the file's newest run, else that of the configuration.

    Returns:
        True: what cannot be recorded raises.

    Raises:
        ParameterError: when the dataset has fewer classes, or the epoch is below 1.
        UnknownNameError: when there is no such dataset.
        StoreError: when the database cannot be written.
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
    """Record the scores of one class that you measured, each in 0–1.

    Args:
        dataset: by default that of the file's newest run, else that of the configuration.

    Returns:
        True: what cannot be recorded raises.

    Raises:
        ParameterError: for an epoch below 1, a negative class, or a score outside 0–1.
        StoreError: when the database cannot be written; nothing of this was recorded.
    """
    _check_epoch(epoch)
    _check_shares(accuracy=accuracy, precision=precision, recall=recall, f1_score=f1_score)
    if class_id < 0:
        raise ParameterError(f"class_id: must be 0 or greater, got {class_id}")
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
    """The scores of each class at one evaluated epoch of a file's newest run.

    Args:
        model_name: an architecture (``"ResNet"``), or the stem of a foreign file.
        scheduler_type: ``"A0_001"``, or ``file-`` and eight digits of a foreign file's sha256.
        epoch: counted from 1; by default the one with the best accuracy.
        dataset: only runs on this dataset; by default whichever was newest.
        db: database URL; by default that of the configuration.

    Returns:
        A frame with a row for each class and the columns class_id, class_name, accuracy (the recall of the class),
        precision, recall, f1_score (all in 0-1), support (held-out images) and epoch. Classes that are tracked and not
        measured yet have NaN.

    Raises:
        NoResultError: when that epoch was never evaluated; nothing is made up.
        StoreError: when the database cannot be read.
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
    """The accuracy of each class at an epoch: computed from the confusion matrix that was recorded when it was run, or
    from a checkpoint, which is evaluated on the held-out images; that is recorded like ``save_scheduler_result``.

    Args:
        num_classes: as many as the matrix must have; by default any number.
        checkpoint: what ``torch.save(net.state_dict(), checkpoint)`` wrote after that epoch.
        dataset: by default that of the file's newest run, else that of the configuration.

    Returns:
        Class name → recall, in 0–1.

    Raises:
        NoResultError: without a checkpoint, when the epoch was never run; nothing is made up.
        ParameterError: when there are not ``num_classes`` classes, or the epoch is below 1.
        DataError: when the checkpoint is not of this network, or the dataset is not there.
        StoreError: when the database cannot be read or written.
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
    scores = class_scores(confusion)
    return {names[one.class_id]: one.accuracy for one in scores if one.accuracy is not None}


# What they share.


@contextlib.contextmanager
def _store(db: str | None) -> Iterator["Store"]:
    from lrgen.store import Store

    store = Store(config.load({"db": db}).db)
    try:
        yield store
    finally:
        store.close()


def _scheduler_type(schedule: str | int) -> str:
    """``A0_001`` of a schedule; the name of a file without one is its own."""
    if isinstance(schedule, str) and schedule.startswith("file-"):
        return schedule
    return current.catalogue().variant(schedule).key


def _series(store: "Store", model_name: str, scheduler_type: str, dataset: str | None, seed: int) -> "Series":
    from lrgen.store import Series

    known = dataset or store.dataset_of(model_name, scheduler_type) or config.load().dataset
    return Series(model_name, scheduler_type, known, seed=seed)


def _check_epoch(epoch: object) -> None:
    if isinstance(epoch, bool) or not isinstance(epoch, int | np.integer) or epoch < 1:
        raise ParameterError(f"epoch: epochs are counted from 1, got {epoch!r}")


def _check_shares(**values: object) -> None:
    for name, value in values.items():
        if value is not None and not (isinstance(value, int | float | np.number) and 0 <= value <= 1):
            raise ParameterError(f"{name}: must lie in [0, 1], got {value!r}")


def _check_count(wanted: int | None, found: int) -> None:
    if wanted is not None and wanted != found:
        raise ParameterError(f"num_classes: {wanted} were asked for, {found} were evaluated")

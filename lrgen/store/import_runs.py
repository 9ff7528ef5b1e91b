"""Whole runs that another program measured, each recorded once however often they are brought."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, insert, select

from lrgen import old_names
from lrgen.store.database import alone
from lrgen.store.recording import Series, new_run
from lrgen.store.rows import timestamp
from lrgen.store.tables import RUNS, SCHEDULER_RESULTS


@dataclass(frozen=True)
class Epoch:
    """One evaluated epoch; what was not measured is None, and every number is finite."""

    epoch: int
    accuracy: float
    loss: float | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    seconds: float | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)


_Known = dict[int, tuple[float | None, Mapping[str, Any]]]  # of a run: epoch → accuracy and hyperparameters


def record_runs(connection: Connection, series: Series, runs: Iterable[Sequence[Epoch]]) -> int:
    """Insert the runs that are not known, in their order; returns how many they were.

    A run is known when one of the same code on the same dataset has all its epochs with their accuracies, and no
    hyperparameter that says otherwise. Hyperparameters under an old name are recorded under the new one.
    """
    alone(connection, f"{series.model_name} {series.scheduler_type} {series.dataset}")
    known = _known(connection, series)
    new = 0
    for brought in runs:
        epochs = [_under_new_names(series, epoch) for epoch in brought]
        if any(_is_part(epochs, run) for run in known):
            continue
        connection.execute(insert(SCHEDULER_RESULTS), list(_rows(new_run(connection, series), series, epochs)))
        known.append({one.epoch: (one.accuracy, one.hyperparameters) for one in epochs})
        new += 1
    return new


def _under_new_names(series: Series, epoch: Epoch) -> Epoch:
    return replace(epoch, hyperparameters=old_names.translated(series.scheduler_type, epoch.hyperparameters))


def _known(connection: Connection, series: Series) -> list[_Known]:
    r = SCHEDULER_RESULTS
    query = (
        select(r.c.run_id, r.c.epoch, r.c.accuracy, r.c.hyperparameters)
        .join(RUNS, RUNS.c.id == r.c.run_id)
        .where(RUNS.c.source_sha256 == series.source_sha256, r.c.dataset == series.dataset, r.c.task == series.task)
    )
    runs: dict[int, _Known] = {}
    for run_id, epoch, accuracy, hyperparameters in connection.execute(query):
        runs.setdefault(run_id, {})[epoch] = (accuracy, hyperparameters or {})
    return list(runs.values())


def _is_part(epochs: Sequence[Epoch], run: _Known) -> bool:
    for one in epochs:
        accuracy, hyperparameters = run.get(one.epoch, (None, {}))
        if accuracy != one.accuracy or not hyperparameters.items() <= one.hyperparameters.items():
            return False
    return True


def _rows(run_id: int, series: Series, epochs: Sequence[Epoch]) -> Iterator[dict[str, Any]]:
    common = {name: value for name, value in asdict(series).items() if name != "path"}
    best = accumulate((one.accuracy for one in epochs), max)
    for one, best_accuracy in zip(epochs, best, strict=True):
        more = {"best_accuracy": best_accuracy, "run_id": run_id, "timestamp": timestamp()}
        yield asdict(one) | common | more

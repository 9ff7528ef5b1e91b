"""Import of complete runs that another program measured; each run is recorded once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, insert, select

from lrgen import old_names
from lrgen.store.database import lock
from lrgen.store.recording import Series, new_run
from lrgen.store.rows import timestamp
from lrgen.store.tables import RUNS, SCHEDULER_RESULTS


@dataclass(frozen=True)
class Epoch:
    """One evaluated epoch; values that were not measured are None, and all numbers are finite."""

    epoch: int
    accuracy: float
    loss: float | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    seconds: float | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)


_KnownRun = dict[int, tuple[float | None, Mapping[str, Any]]]  # epoch → accuracy and hyperparameters


def record_runs(connection: Connection, series: Series, runs: Iterable[Sequence[Epoch]]) -> int:
    """Insert the runs that are not known, in their order, and return their number.

    A run is known when a recorded run of the same code on the same dataset has all its epochs with equal accuracies,
    and no conflicting hyperparameter. Hyperparameters under an old name are recorded under the new name.
    """
    lock(connection, f"{series.model_name} {series.scheduler_type} {series.dataset}")
    known = _known_runs(connection, series)
    new = 0
    for run in runs:
        epochs = [_with_new_names(series, epoch) for epoch in run]
        if any(_is_contained(epochs, known_run) for known_run in known):
            continue
        connection.execute(insert(SCHEDULER_RESULTS), list(_rows(new_run(connection, series), series, epochs)))
        known.append({epoch.epoch: (epoch.accuracy, epoch.hyperparameters) for epoch in epochs})
        new += 1
    return new


def _with_new_names(series: Series, epoch: Epoch) -> Epoch:
    return replace(epoch, hyperparameters=old_names.translated(series.scheduler_type, epoch.hyperparameters))


def _known_runs(connection: Connection, series: Series) -> list[_KnownRun]:
    r = SCHEDULER_RESULTS
    query = (
        select(r.c.run_id, r.c.epoch, r.c.accuracy, r.c.hyperparameters)
        .join(RUNS, RUNS.c.id == r.c.run_id)
        .where(RUNS.c.source_sha256 == series.source_sha256, r.c.dataset == series.dataset, r.c.task == series.task)
    )
    runs: dict[int, _KnownRun] = {}
    for run_id, epoch, accuracy, hyperparameters in connection.execute(query):
        runs.setdefault(run_id, {})[epoch] = (accuracy, hyperparameters or {})
    return list(runs.values())


def _is_contained(epochs: Sequence[Epoch], known: _KnownRun) -> bool:
    for epoch in epochs:
        accuracy, hyperparameters = known.get(epoch.epoch, (None, {}))
        if accuracy != epoch.accuracy or not hyperparameters.items() <= epoch.hyperparameters.items():
            return False
    return True


def _rows(run_id: int, series: Series, epochs: Sequence[Epoch]) -> Iterator[dict[str, Any]]:
    common = {name: value for name, value in asdict(series).items() if name != "path"}
    best = accumulate((epoch.accuracy for epoch in epochs), max)
    for epoch, best_accuracy in zip(epochs, best, strict=True):
        yield asdict(epoch) | common | {"best_accuracy": best_accuracy, "run_id": run_id, "timestamp": timestamp()}

"""Recording of a caller's results, from the caller's own training or from another program's files.

The runs have the status ``recorded``, which distinguishes them from checked runs in all queries. A run has each epoch,
and each class of an epoch, at most once; a repeated epoch or class starts a new run, and nothing is overwritten.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, exists, func, insert, select, update

from lrgen import old_names
from lrgen.store.database import lock
from lrgen.store.metrics import ClassScores, class_scores
from lrgen.store.rows import TASK, finite, timestamp
from lrgen.store.tables import CLASS_DATA, RUNS, SCHEDULER_RESULTS
from lrgen.version import __version__

RECORDED = "recorded"


@dataclass(frozen=True)
class Series:
    """The common properties of the epochs of a run; a property that the caller does not know is empty."""

    model_name: str
    scheduler_type: str
    dataset: str
    task: str = TASK
    seed: int = 0
    device: str = ""
    path: str = ""
    source_sha256: str = ""


def record_epoch(
    connection: Connection,
    series: Series,
    epoch: int,
    accuracy: float | None,
    loss: float | None,
    best_accuracy: float | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    confusion: Sequence[Sequence[int]] | None = None,
    classes: Sequence[str] = (),
) -> int:
    """Insert one evaluated epoch, and its classes if there is a ``confusion`` matrix; return the run's id.

    Hyperparameters under an old name are recorded under the new name.
    """
    r, c = SCHEDULER_RESULTS, CLASS_DATA
    run_id = _run(connection, series, r, r.c.epoch == epoch)
    if confusion is not None:
        run_id = _run(connection, series, c, (c.c.epoch == epoch) & c.c.accuracy.is_not(None))
    if best_accuracy is None:
        earlier = connection.execute(select(func.max(r.c.accuracy)).where(r.c.run_id == run_id)).scalar_one()
        best_accuracy = max((value for value in (earlier, accuracy) if value is not None), default=None)
    values = {
        "run_id": run_id,
        "epoch": epoch,
        "accuracy": accuracy,
        "loss": None if loss is None else finite(loss),
        "best_accuracy": best_accuracy,
        "hyperparameters": old_names.translated(series.scheduler_type, hyperparameters or {}),
        "confusion": [list(row) for row in confusion] if confusion is not None else None,
        "timestamp": timestamp(),
    }
    common = {name: value if value != "" else None for name, value in asdict(series).items() if name != "path"}
    inserted = insert(r).returning(r.c.id)
    result_id = connection.execute(inserted, values | common).scalar_one()
    for scores in class_scores(confusion) if confusion is not None else ():
        _put_class(connection, series, run_id, epoch, classes[scores.class_id], scores)
    here = (c.c.run_id == run_id) & (c.c.epoch == epoch)
    connection.execute(update(c).where(here).values(result_id=result_id))
    return run_id


def track_classes(connection: Connection, series: Series, epoch: int, classes: Sequence[str]) -> int:
    """Insert the classes of an epoch with NULL scores, except those that exist; return the run's id."""
    c = CLASS_DATA
    run_id = _run(connection, series, c, (c.c.epoch == epoch) & c.c.accuracy.is_not(None))
    here = select(c.c.class_id).where(c.c.run_id == run_id, c.c.epoch == epoch)
    known = set(connection.execute(here).scalars())
    row = _class_row(series, run_id, epoch)
    rows = [row | {"class_id": number, "class_name": name} for number, name in enumerate(classes)]
    if missing := [row for row in rows if row["class_id"] not in known]:
        connection.execute(insert(c), missing)
    return run_id


def record_class(connection: Connection, series: Series, epoch: int, class_name: str, scores: ClassScores) -> int:
    """Insert the scores of one class, or update the row that ``track_classes`` inserted; return the run's id."""
    c = CLASS_DATA
    condition = (c.c.epoch == epoch) & (c.c.class_id == scores.class_id) & c.c.accuracy.is_not(None)
    run_id = _run(connection, series, c, condition)
    _put_class(connection, series, run_id, epoch, class_name, scores)
    return run_id


def _put_class(
    connection: Connection, series: Series, run_id: int, epoch: int, class_name: str, scores: ClassScores
) -> None:
    c, r = CLASS_DATA, SCHEDULER_RESULTS
    this = (c.c.run_id == run_id) & (c.c.epoch == epoch) & (c.c.class_id == scores.class_id)
    measured = asdict(scores) | {"class_name": class_name, "timestamp": timestamp()}
    changed = connection.execute(update(c).where(this).values(measured)).rowcount
    if not changed:
        result = select(r.c.id).where(r.c.run_id == run_id, r.c.epoch == epoch)
        row = _class_row(series, run_id, epoch) | {"result_id": connection.execute(result).scalar_one_or_none()}
        connection.execute(insert(c), row | measured)


def _run(connection: Connection, series: Series, table: Any, condition: Any) -> int:
    """Return the id of the newest recorded run of the series, or of a new run if a row of that one matches."""
    newest = (
        select(RUNS.c.id)
        .where(*(RUNS.c[name] == value for name, value in asdict(series).items() if name in RUNS.c))
        .where(RUNS.c.status == RECORDED)
        .order_by(RUNS.c.id.desc())
        .limit(1)
    )
    lock(connection, f"{series.model_name} {series.scheduler_type} {series.dataset}")
    run_id = connection.execute(newest).scalar_one_or_none()
    if (
        run_id is not None
        and not connection.execute(select(exists().where(table.c.run_id == run_id, condition))).scalar()
    ):
        return int(run_id)
    return new_run(connection, series)


def new_run(connection: Connection, series: Series) -> int:
    """Insert a run without epochs; return its id."""
    values = {
        "status": RECORDED,
        "reason": "recorded by a caller; no check was run",
        "seconds": 0.0,
        "checks": [],
        "settings": RECORDED,
        "check_version": "",
        "torch": "",
        "lrgen": __version__,
        "timestamp": timestamp(),
    }
    common = {name: value for name, value in asdict(series).items() if name in RUNS.c}
    return int(connection.execute(insert(RUNS).returning(RUNS.c.id), values | common).scalar_one())


def _class_row(series: Series, run_id: int, epoch: int) -> dict[str, Any]:
    names = {name: getattr(series, name) for name in ("model_name", "scheduler_type", "dataset")}
    return names | {"run_id": run_id, "epoch": epoch, "timestamp": timestamp()}

"""Queries of the report over a whole database; each row names its run."""

from collections.abc import Iterable

from sqlalchemy import func, select, tuple_

from lrgen.store.database import Database, StoredRow, chunks
from lrgen.store.queries import COUNTED
from lrgen.store.tables import CLASS_DATA, RUNS, SCHEDULER_RESULTS


def runs(database: Database) -> list[StoredRow]:
    """Return every run without its settings and the reports of its checks, oldest first."""
    columns = [column for column in RUNS.c if column.name not in ("checks", "settings", "accuracy")]
    return database.rows(select(*columns).order_by(RUNS.c.id))


def best_epochs(database: Database) -> list[StoredRow]:
    """Return the best epoch of each file's newest run with evaluated epochs, the same epochs as ``Store.best``."""
    r = SCHEDULER_RESULTS
    newest = select(func.max(r.c.run_id)).group_by(r.c.model_name, r.c.scheduler_type, r.c.dataset)
    best_first = (r.c.accuracy.desc().nulls_last(), r.c.epoch)
    rank = func.row_number().over(partition_by=r.c.run_id, order_by=best_first).label("rank")
    columns = (r.c.run_id, r.c.epoch, r.c.accuracy, r.c.loss, r.c.hyperparameters)
    ranked = select(*columns, rank).where(r.c.run_id.in_(newest)).subquery()
    chosen = [column for column in ranked.c if column.name != "rank"]
    counted = select(*chosen).join(RUNS, RUNS.c.id == ranked.c.run_id).where(RUNS.c.status.in_(COUNTED))
    return database.rows(counted.where(ranked.c.rank == 1).order_by(ranked.c.run_id))


def epochs(database: Database, run_ids: Iterable[int]) -> list[StoredRow]:
    """Return the accuracy of every evaluated epoch of the runs, by run and epoch."""
    r = SCHEDULER_RESULTS
    query = select(r.c.run_id, r.c.epoch, r.c.accuracy).order_by(r.c.run_id, r.c.epoch)
    return [row for chunk in chunks(sorted(run_ids)) for row in database.rows(query.where(r.c.run_id.in_(chunk)))]


def recalls(database: Database, epochs: Iterable[tuple[int, int]]) -> list[StoredRow]:
    """Return the recall of every class at the given (run, epoch) pairs, by run and class."""
    c = CLASS_DATA
    columns = (c.c.run_id, c.c.class_id, c.c.class_name, c.c.recall)
    query = select(*columns).order_by(c.c.run_id, c.c.class_id)
    here = tuple_(c.c.run_id, c.c.epoch)
    return [row for chunk in chunks(sorted(epochs)) for row in database.rows(query.where(here.in_(chunk)))]

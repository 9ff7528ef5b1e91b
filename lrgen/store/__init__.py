"""The results database: what was executed, and how it ended; the only importer of SQLAlchemy.

One transaction a file: the run, a row for each evaluated epoch and one for each of its classes. Nothing is ever
deleted or overwritten.
"""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, func, select

from lrgen.errors import NoResultError
from lrgen.records import Candidate, Outcome, Status, Training
from lrgen.store.database import Database
from lrgen.store.rows import TASK, CandidateKey, Conditions, insert_outcome, key_of, outcome_of, settings_of
from lrgen.store.tables import CLASS_DATA, RUNS, SCHEDULER_RESULTS

__all__ = ["TASK", "Conditions", "Store", "key_of", "settings_of"]

_CHUNK = 500


class Store(Database):
    """Results in SQLite (a file) or PostgreSQL, by SQLAlchemy URL.

    Raises:
        StoreError: from every method, when the database cannot be opened, read or written.
    """

    # Writing.

    def prepare(self) -> None:
        """Open the database for writing, so that one that cannot be written is known before anything is run."""
        with self.session(write=True):
            pass

    def save(self, outcome: Outcome, conditions: Conditions, classes: tuple[str, ...]) -> int:
        """Record how a file's verification ended, with its epochs and their classes; returns the run's id."""
        return self.save_all([outcome], conditions, classes)[0]

    def save_all(self, outcomes: Iterable[Outcome], conditions: Conditions, classes: tuple[str, ...]) -> list[int]:
        """Record several outcomes in one transaction: all of them, or none; returns the runs' ids."""
        with self.session(write=True) as connection:
            return [insert_outcome(connection, outcome, conditions, classes) for outcome in outcomes]

    # Reading.

    def reusable(self, candidates: Iterable[Candidate], conditions: Conditions) -> dict[CandidateKey, Outcome]:
        """The recorded outcomes of files that would end the same way again, by ``key_of``."""
        if not self.exists():
            return {}
        wanted = {key_of(candidate): candidate for candidate in candidates}
        hashes = sorted({candidate.sha256 for candidate in wanted.values()})
        found: dict[CandidateKey, Outcome] = {}
        with self.session() as connection:
            for begin in range(0, len(hashes), _CHUNK):
                rows = connection.execute(
                    select(RUNS)
                    .where(
                        RUNS.c.source_sha256.in_(hashes[begin : begin + _CHUNK]),
                        RUNS.c.check_version == conditions.check_version,
                        RUNS.c.torch == conditions.torch,
                        RUNS.c.device == conditions.device,
                        RUNS.c.status.in_([status.value for status in Status if status.final]),
                    )
                    .order_by(RUNS.c.id)
                )
                for row in rows.mappings():
                    key = (row["source_sha256"], row["model_name"], row["scheduler_type"], row["variant"])
                    if key in wanted and row["settings"] == settings_of(wanted[key], conditions):
                        found[key] = outcome_of(row, wanted[key])
        return found

    def durations(self, conditions: Conditions) -> dict[tuple[str, str], float]:
        """The seconds that each (model, scheduler_type) took the last time that it was run on such a device up to the
        same stage.
        """
        if not self.exists():
            return {}
        stage = json.loads(conditions.settings)["stage"]
        newest = select(func.max(RUNS.c.id)).where(RUNS.c.device == conditions.device)
        rows = self.rows(
            select(RUNS.c.model_name, RUNS.c.scheduler_type, RUNS.c.seconds).where(
                RUNS.c.id.in_(newest.where(_up_to(stage)).group_by(RUNS.c.model_name, RUNS.c.scheduler_type))
            )
        )
        return {(row["model_name"], row["scheduler_type"]): row["seconds"] for row in rows}

    def best(
        self, model: str | None = None, dataset: str | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """The best epoch of each file's newest run with evaluated epochs, best first; those that only memorised a few
        images come after those that were trained in full, since their accuracies are not comparable.
        """
        r = SCHEDULER_RESULTS
        newest = self._newest(model, dataset)
        rank = func.row_number().over(partition_by=r.c.run_id, order_by=(r.c.accuracy.desc(), r.c.epoch)).label("rank")
        ranked = select(r, rank).where(r.c.run_id.in_(select(newest.c.run_id))).subquery()
        query = (
            select(
                ranked.c.model_name,
                ranked.c.scheduler_type,
                RUNS.c.variant_name,
                ranked.c.dataset,
                ranked.c.training,
                ranked.c.accuracy,
                ranked.c.loss,
                ranked.c.epoch,
                RUNS.c.status,
                ranked.c.hyperparameters,
                ranked.c.seed,
                ranked.c.device,
                ranked.c.source_sha256,
                RUNS.c.path,
                RUNS.c.timestamp,
            )
            .join(RUNS, RUNS.c.id == ranked.c.run_id)
            .where(ranked.c.rank == 1)
            .order_by(func.coalesce(ranked.c.training, Training.FULL.value))  # "full" before "memorised"
            .order_by(ranked.c.accuracy.desc(), ranked.c.loss, ranked.c.model_name, ranked.c.scheduler_type)
            .limit(limit)
        )
        return self.rows(query)

    def classes(
        self, model: str, scheduler_type: str, epoch: int | None = None, dataset: str | None = None
    ) -> list[dict[str, Any]]:
        """The class scores of one epoch (by default the best) of a file's newest run.

        Raises:
            NoResultError: when that epoch was never evaluated.
        """
        r, c = SCHEDULER_RESULTS, CLASS_DATA
        newest = self._newest(model, dataset)
        query = (
            select(r.c.id, r.c.epoch)
            .join(newest, newest.c.run_id == r.c.run_id)
            .where(r.c.scheduler_type == scheduler_type, r.c.model_name == model)
            .order_by(r.c.run_id.desc(), r.c.accuracy.desc(), r.c.epoch)
        )
        epochs = self.rows(query)
        chosen = next((row for row in epochs if epoch is None or row["epoch"] == epoch), None)
        if chosen is None:
            what = f"{model} {scheduler_type}" + (f" on {dataset}" if dataset else "")
            seen = ", ".join(str(row["epoch"]) for row in sorted(epochs, key=lambda row: row["epoch"]))
            hint = f"evaluated epochs: {seen}" if seen else "it was never trained here: run lrgen verify"
            raise NoResultError(f"no class metrics of {what}" + (f" at epoch {epoch}" if epoch else "") + f" ({hint})")
        columns = (c.c.class_id, c.c.class_name, c.c.accuracy, c.c.precision, c.c.recall, c.c.f1_score)
        return self.rows(
            select(*columns, c.c.support, c.c.epoch).where(c.c.result_id == chosen["id"]).order_by(c.c.class_id)
        )

    def failures(self) -> list[dict[str, Any]]:
        """The files whose newest run did not end well, newest first."""
        newest = select(func.max(RUNS.c.id)).group_by(RUNS.c.model_name, RUNS.c.scheduler_type)
        columns = (RUNS.c.model_name, RUNS.c.scheduler_type, RUNS.c.variant_name, RUNS.c.status, RUNS.c.stage)
        return self.rows(
            select(*columns, RUNS.c.reason, RUNS.c.seconds, RUNS.c.path, RUNS.c.timestamp)
            .where(RUNS.c.id.in_(newest), RUNS.c.status.not_in([status.value for status in Status if status.ok]))
            .order_by(RUNS.c.id.desc())
        )

    def _newest(self, model: str | None, dataset: str | None) -> Any:
        """Of each file and dataset, the newest run that has evaluated epochs."""
        r = SCHEDULER_RESULTS
        query = select(func.max(r.c.run_id).label("run_id")).group_by(r.c.model_name, r.c.scheduler_type, r.c.dataset)
        if model is not None:
            query = query.where(r.c.model_name == model)
        if dataset is not None:
            query = query.where(r.c.dataset == dataset)
        return query.subquery()


def _up_to(stage: str) -> ColumnElement[bool]:
    """Whether a run was asked to go up to a stage: the settings are a JSON text within a JSON text."""
    return RUNS.c.settings.contains(json.dumps(json.dumps({"stage": stage})[1:-1])[1:-1])

"""Queries of the results database."""

import contextlib
import json
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select, true

from lrgen.errors import NoResultError
from lrgen.records import Candidate, Outcome, Status, Training
from lrgen.store.database import Database, StoredRow, chunks
from lrgen.store.recording import RECORDED
from lrgen.store.rows import CandidateKey, Conditions, key_of, outcome_of, settings_of
from lrgen.store.tables import CLASS_DATA, RUNS, SCHEDULER_RESULTS

_OF_RUN = (
    *("model_name", "scheduler_type", "variant_name", "dataset", "status", "stage", "reason", "training"),
    *("accuracy", "seconds", "seed", "case_seed", "evidence", "claimed_model", "architecture"),
    *("device", "source_sha256", "path", "timestamp"),
)


# The statuses of runs whose accuracies count: those that passed their checks, and those that a caller recorded.
COUNTED = (*(status.value for status in Status if status.ok), RECORDED)


class Queries(Database):
    """The queries of the store."""

    def reusable(
        self, candidates: Iterable[Candidate], conditions: Conditions, case_seed: int | None = None
    ) -> dict[CandidateKey, Outcome]:
        """Return the recorded final outcomes of files under the same conditions, by ``key_of``.

        Outcomes with another seed of the drawn cases count only if no ``case_seed`` is given.
        """
        if not self.exists():
            return {}
        wanted = {key_of(candidate): candidate for candidate in candidates}
        hashes = sorted({candidate.sha256 for candidate in wanted.values()})
        outcomes: dict[CandidateKey, Outcome] = {}
        of_seed = RUNS.c.case_seed == case_seed if case_seed is not None else true()
        with self.session() as connection:
            for chunk in chunks(hashes):
                rows = connection.execute(
                    select(RUNS)
                    .where(
                        RUNS.c.source_sha256.in_(chunk),
                        RUNS.c.check_version == conditions.check_version,
                        RUNS.c.torch == conditions.torch,
                        RUNS.c.device == conditions.device,
                        of_seed,
                        RUNS.c.status.in_([status.value for status in Status if status.final]),
                    )
                    .order_by(RUNS.c.id)
                )
                for row in rows.mappings():
                    key = (row["source_sha256"], row["model_name"], row["scheduler_type"], row["variant"])
                    if key in wanted and row["settings"] == settings_of(wanted[key], conditions):
                        with contextlib.suppress(ValueError):  # a stage that does not exist: db check reports it
                            outcomes[key] = outcome_of(row, wanted[key])
        return outcomes

    def durations(self, conditions: Conditions) -> dict[tuple[str, str], float]:
        """Return the seconds of the newest run of each (model, scheduler_type) on this device up to this stage."""
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
        self,
        model: str | None = None,
        dataset: str | None = None,
        limit: int | None = None,
        task: str | None = None,
        scheduler_types: Collection[str] | None = None,
    ) -> list[StoredRow]:
        """Return the best epoch of each file's newest run with evaluated epochs, best first.

        A file whose newest run did not pass its checks is left out, as is one of none of the ``scheduler_types``. Runs
        that overfit a small subset come after fully trained runs, because their accuracies are not comparable.
        """
        r = SCHEDULER_RESULTS
        best = self._best_epochs(r.c.accuracy.desc().nulls_last(), self._newest(model, dataset, _of_task(task)))
        names = ("model_name", "scheduler_type", "dataset", "accuracy", "loss", "epoch", "hyperparameters", "seed")
        of_run = ("variant_name", "training", "status", "case_seed", "evidence", "path", "timestamp")
        query = (
            select(*(r.c[name] for name in (*names, "device", "source_sha256")), *(RUNS.c[name] for name in of_run))
            .join(RUNS, RUNS.c.id == r.c.run_id)
            .where(r.c.id.in_(best), RUNS.c.status.in_(COUNTED))
            .order_by(func.coalesce(RUNS.c.training, Training.FULL.value))  # "full" before "overfit"
            .order_by(r.c.accuracy.desc().nulls_last(), r.c.loss.nulls_last(), r.c.model_name, r.c.scheduler_type)
            .limit(limit)
        )
        if scheduler_types is not None:
            query = query.where(r.c.scheduler_type.in_(scheduler_types))
        return self.rows(query)

    def unique(
        self,
        epoch_max: int | None = None,
        models: Collection[str] | None = None,
        dataset: str | None = None,
        task: str | None = None,
        metric: str = "accuracy",
        practices: Mapping[str, str] = MappingProxyType({}),
    ) -> list[StoredRow]:
        """Return the best epoch up to ``epoch_max`` of each file's newest run, best first.

        A file whose newest run did not pass its checks is left out.

        ``metric`` is ``accuracy``, ``loss`` or ``f1`` (the mean over the classes). Only the best is returned of runs of
        the same code, and of runs of one model with the same trace. ``practices`` has the practice of each
        ``scheduler_type`` that has one: files with and without it do not repeat each other.
        """
        r, c = SCHEDULER_RESULTS, CLASS_DATA
        f1 = select(func.avg(c.c.f1_score)).where(c.c.result_id == r.c.id).scalar_subquery()
        value = {"accuracy": r.c.accuracy, "loss": r.c.loss, "f1": f1}[metric]
        conditions: list[ColumnElement[bool]] = [value.is_not(None)]
        if epoch_max is not None:
            conditions.append(r.c.epoch <= epoch_max)
        if models is not None:
            conditions.append(r.c.model_name.in_(models))
        order = value.asc() if metric == "loss" else value.desc()
        best = self._best_epochs(order, self._newest(None, dataset, _of_task(task)), *conditions)
        names = ("model_name", "scheduler_type", "dataset", "task", "epoch", "accuracy", "loss", "hyperparameters")
        of_run = ("variant_name", "training", "status", "path", "trace")
        query = (
            select(
                value.label("metric_value"),
                *(r.c[name] for name in (*names, "seed", "device", "source_sha256", "run_id")),
                *(RUNS.c[name] for name in of_run),
            )
            .join(RUNS, RUNS.c.id == r.c.run_id)
            .where(r.c.id.in_(best), RUNS.c.status.in_(COUNTED))
            .order_by(func.coalesce(RUNS.c.training, Training.FULL.value), order, r.c.epoch, r.c.run_id)
        )
        unique: list[StoredRow] = []
        seen: set[tuple[Any, ...]] = set()
        for row in self.rows(query):
            setting = (row["dataset"], row["task"])
            code = (row["source_sha256"] or row["run_id"], *setting)
            practice = practices.get(row["scheduler_type"], "")
            trace = (row["model_name"], row["trace"] or row["run_id"], practice, *setting)
            name = (row["model_name"], row["scheduler_type"], *setting)
            if seen.isdisjoint({code, trace, name}):
                unique.append(row)
            seen |= {code, trace, name}
        return unique

    def epochs(self, model: str | None = None, dataset: str | None = None, checked: bool = False) -> list[StoredRow]:
        """Return every evaluated epoch of each file's newest run with the run's status, by file and epoch.

        With ``checked``, runs that a caller recorded are ignored.
        """
        r = SCHEDULER_RESULTS
        executed = r.c.run_id.in_(select(RUNS.c.id).where(RUNS.c.status != RECORDED))
        newest = self._newest(model, dataset, executed if checked else None)
        names = ("variant", "variant_name", "status", "path", "isolation", "check_version", "torch", "lrgen", "trace")
        columns = [column for column in r.c if column.name != "confusion"]
        query = (
            select(*columns, RUNS.c.settings, *(RUNS.c[name] for name in names))
            .join(RUNS, RUNS.c.id == r.c.run_id)
            .where(r.c.run_id.in_(select(newest.c.run_id)))
            .order_by(r.c.model_name, r.c.scheduler_type, r.c.dataset, r.c.epoch)
        )
        return self.rows(query)

    def best_of_runs(
        self, model: str, scheduler_types: Collection[str] | None = None, dataset: str | None = None
    ) -> list[StoredRow]:
        """Return the best accuracy of each run of a model with the run's seed and conditions, oldest first."""
        r = SCHEDULER_RESULTS
        columns = [r.c.scheduler_type, r.c.dataset, r.c.training, r.c.seed, r.c.run_id]
        names = ("variant_name", "settings", "source_sha256", "torch", "device", "status", "check_version")
        columns += [RUNS.c[name] for name in names]
        query = (
            select(*columns, func.max(r.c.accuracy).label("accuracy"))
            .join(RUNS, RUNS.c.id == r.c.run_id)
            .where(r.c.model_name == model, r.c.accuracy.is_not(None))
            .group_by(*columns)
            .order_by(r.c.run_id)
        )
        if scheduler_types is not None:
            query = query.where(r.c.scheduler_type.in_(scheduler_types))
        if dataset is not None:
            query = query.where(r.c.dataset == dataset)
        return self.rows(query)

    def classes(
        self, model: str, scheduler_type: str, epoch: int | None = None, dataset: str | None = None
    ) -> list[StoredRow]:
        """Return the class scores of one epoch, by default the best, of a file's newest run with measured scores.

        Raises:
            NoResultError: when that epoch was never evaluated.
        """
        c = CLASS_DATA
        chosen = self._chosen(model, scheduler_type, epoch, dataset)
        columns = (c.c.class_id, c.c.class_name, c.c.accuracy, c.c.precision, c.c.recall, c.c.f1_score)
        here = (c.c.run_id == chosen["run_id"], c.c.epoch == chosen["epoch"])
        return self.rows(select(*columns, c.c.support, c.c.epoch).where(*here).order_by(c.c.class_id))

    def class_means(
        self, model: str, scheduler_type: str, epoch: int | None = None, dataset: str | None = None
    ) -> list[StoredRow]:
        """Return the means of the class scores of one epoch, by default the best, of a file's newest run.

        The ``macro`` mean weights all classes equally, and the ``weighted`` mean weights each by its number of images.

        Raises:
            NoResultError: when that epoch was never evaluated.
        """
        c = CLASS_DATA
        chosen = self._chosen(model, scheduler_type, epoch, dataset)
        here = (c.c.run_id == chosen["run_id"], c.c.epoch == chosen["epoch"])
        scores = [c.c[name] for name in ("accuracy", "precision", "recall", "f1_score")]
        support = func.sum(c.c.support).label("support")
        means = {
            "macro": [func.avg(score).label(score.name) for score in scores],
            "weighted": [(func.sum(score * c.c.support) / func.sum(c.c.support)).label(score.name) for score in scores],
        }
        return [
            {"mean": mean} | row | {"epoch": chosen["epoch"]}
            for mean, columns in means.items()
            for row in self.rows(select(*columns, support).where(*here))
        ]

    def confusion(
        self, model: str, scheduler_type: str, epoch: int | None = None, dataset: str | None = None
    ) -> tuple[list[list[int]], list[str]]:
        """Return the confusion matrix of one epoch, by default the best, of a file's newest run, and its class names.

        Raises:
            NoResultError: when that epoch was never evaluated, or its matrix was not recorded.
        """
        r, c = SCHEDULER_RESULTS, CLASS_DATA
        chosen = self._chosen(model, scheduler_type, epoch, dataset)
        here = (r.c.run_id == chosen["run_id"], r.c.epoch == chosen["epoch"])
        results = self.rows(select(r.c.confusion).where(*here))
        if not results or results[0]["confusion"] is None:
            place = f"{model} {scheduler_type} at epoch {chosen['epoch']}"
            raise NoResultError(f"no confusion matrix of {place}: only class scores were recorded")
        here = (c.c.run_id == chosen["run_id"], c.c.epoch == chosen["epoch"])
        names = self.rows(select(c.c.class_name).where(*here).order_by(c.c.class_id))
        return results[0]["confusion"], [row["class_name"] for row in names]

    def _chosen(self, model: str, scheduler_type: str, epoch: int | None, dataset: str | None) -> StoredRow:
        """Return the run and the epoch whose class scores represent a file."""
        r, c = SCHEDULER_RESULTS, CLASS_DATA
        scored = exists().where(c.c.run_id == r.c.run_id, c.c.epoch == r.c.epoch, c.c.accuracy.is_not(None))
        results = select(r.c.run_id, r.c.epoch, r.c.accuracy).where(
            r.c.model_name == model, r.c.scheduler_type == scheduler_type, scored
        )
        others = (
            select(c.c.run_id, c.c.epoch, func.count(c.c.accuracy).label("scored"))
            .where(c.c.model_name == model, c.c.scheduler_type == scheduler_type, c.c.result_id.is_(None))
            .group_by(c.c.run_id, c.c.epoch)
        )
        if dataset is not None:
            results, others = results.where(r.c.dataset == dataset), others.where(c.c.dataset == dataset)
        epochs = [row | {"scored": 1} for row in self.rows(results)]
        epochs += [row | {"accuracy": None} for row in self.rows(others)]
        epochs.sort(key=lambda row: (not row["scored"], -row["run_id"], -(row["accuracy"] or 0.0), row["epoch"]))
        chosen = next((row for row in epochs if epoch is None or row["epoch"] == epoch), None)
        if chosen is None:
            file = f"{model} {scheduler_type}" + (f" on {dataset}" if dataset else "")
            evaluated = ", ".join(map(str, sorted({row["epoch"] for row in epochs if row["scored"]})))
            hint = f"evaluated epochs: {evaluated}" if evaluated else "no run trained it: run lrgen verify"
            raise NoResultError(f"no class metrics of {file}" + (f" at epoch {epoch}" if epoch else "") + f" ({hint})")
        return chosen

    def final_runs(self, hashes: Iterable[str]) -> list[StoredRow]:
        """Return the runs with a final status of files with these sha256 digests, oldest first."""
        distinct = sorted(set(hashes))
        names = ("id", "source_sha256", "model_name", "scheduler_type", "status", "stage", "reason", "checks")
        columns = [
            RUNS.c[name]
            for name in (*names, "variant", "check_version", "accuracy", "training", "trace", "seed", "dataset")
        ]
        final = RUNS.c.status.in_([status.value for status in Status if status.final])
        runs: list[StoredRow] = []
        for chunk in chunks(distinct):
            runs += self.rows(select(*columns).where(RUNS.c.source_sha256.in_(chunk), final))
        return sorted(runs, key=lambda row: row["id"])

    def dataset_of(self, model: str, scheduler_type: str) -> str | None:
        """Return the dataset of a file's newest run; None without a run."""
        if not self.exists():
            return None
        newest = select(RUNS.c.dataset).where(RUNS.c.model_name == model, RUNS.c.scheduler_type == scheduler_type)
        rows = self.rows(newest.order_by(RUNS.c.id.desc()).limit(1))
        return str(rows[0]["dataset"]) if rows else None

    def newest_runs(
        self, model: str | None = None, scheduler_type: str | None = None, dataset: str | None = None
    ) -> list[StoredRow]:
        """Return the newest run of each file and dataset with any status, by file."""
        newest = select(func.max(RUNS.c.id)).group_by(RUNS.c.model_name, RUNS.c.scheduler_type, RUNS.c.dataset)
        r = SCHEDULER_RESULTS
        best = select(func.max(r.c.accuracy)).where(r.c.run_id == RUNS.c.id).scalar_subquery()
        accuracy = func.coalesce(RUNS.c.accuracy, best).label("accuracy")  # a recorded run has it in its epochs alone
        columns = [accuracy if name == "accuracy" else RUNS.c[name] for name in _OF_RUN]
        query = select(*columns).where(RUNS.c.id.in_(newest))
        for column, value in (
            (RUNS.c.model_name, model),
            (RUNS.c.scheduler_type, scheduler_type),
            (RUNS.c.dataset, dataset),
        ):
            if value is not None:
                query = query.where(column == value)
        return self.rows(query.order_by(RUNS.c.model_name, RUNS.c.scheduler_type, RUNS.c.dataset))

    def failures(self) -> list[StoredRow]:
        """Return the files whose newest run failed, timed out, crashed or ran out of memory, newest first."""
        checked = select(func.max(RUNS.c.id)).where(RUNS.c.status != RECORDED)
        newest = checked.group_by(RUNS.c.model_name, RUNS.c.scheduler_type)
        names = (
            *("model_name", "scheduler_type", "variant_name", "status", "stage", "reason", "seconds"),
            *("case_seed", "evidence", "path", "timestamp"),
        )
        return self.rows(
            select(*(RUNS.c[name] for name in names))
            .where(RUNS.c.id.in_(newest), RUNS.c.status.not_in([status.value for status in Status if status.ok]))
            .order_by(RUNS.c.id.desc())
        )

    def _best_epochs(self, order: Any, newest: Any, *conditions: ColumnElement[bool]) -> Any:
        """Select the ids of the results that come first within their runs; equal results are ordered by epoch."""
        r = SCHEDULER_RESULTS
        rank = func.row_number().over(partition_by=r.c.run_id, order_by=(order, r.c.epoch)).label("rank")
        ranked = select(r.c.id, rank).where(r.c.run_id.in_(select(newest.c.run_id)), *conditions).subquery()
        return select(ranked.c.id).where(ranked.c.rank == 1)

    def _newest(self, model: str | None, dataset: str | None, condition: ColumnElement[bool] | None = None) -> Any:
        """Select the newest run with evaluated epochs of each file and dataset."""
        r = SCHEDULER_RESULTS
        query = select(func.max(r.c.run_id).label("run_id")).group_by(r.c.model_name, r.c.scheduler_type, r.c.dataset)
        if model is not None:
            query = query.where(r.c.model_name == model)
        if dataset is not None:
            query = query.where(r.c.dataset == dataset)
        return (query if condition is None else query.where(condition)).subquery()


def _of_task(task: str | None) -> ColumnElement[bool] | None:
    return SCHEDULER_RESULTS.c.task == task if task is not None else None


def _up_to(stage: str) -> ColumnElement[bool]:
    """Select the runs up to a stage: the settings are a JSON text within a JSON text."""
    return RUNS.c.settings.contains(json.dumps(json.dumps({"stage": stage})[1:-1])[1:-1], autoescape=True, escape="!")

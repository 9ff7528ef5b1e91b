"""What the results database is asked."""

import json
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select

from lrgen.errors import NoResultError
from lrgen.records import Candidate, Outcome, Status, Training
from lrgen.store.database import Database, chunks
from lrgen.store.recording import RECORDED
from lrgen.store.rows import CandidateKey, Conditions, key_of, outcome_of, settings_of
from lrgen.store.tables import CLASS_DATA, RUNS, SCHEDULER_RESULTS

_OF_RUN = (
    *("model_name", "scheduler_type", "variant_name", "dataset", "status", "stage", "reason", "training"),
    *("accuracy", "seconds", "seed", "device", "source_sha256", "path", "timestamp"),
)


class Queries(Database):
    """The reading half of the store."""

    def reusable(self, candidates: Iterable[Candidate], conditions: Conditions) -> dict[CandidateKey, Outcome]:
        """The recorded outcomes of files that would end the same way again, by ``key_of``."""
        if not self.exists():
            return {}
        wanted = {key_of(candidate): candidate for candidate in candidates}
        hashes = sorted({candidate.sha256 for candidate in wanted.values()})
        found: dict[CandidateKey, Outcome] = {}
        with self.session() as connection:
            for some in chunks(hashes):
                rows = connection.execute(
                    select(RUNS)
                    .where(
                        RUNS.c.source_sha256.in_(some),
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
        self,
        model: str | None = None,
        dataset: str | None = None,
        limit: int | None = None,
        task: str | None = None,
    ) -> list[dict[str, Any]]:
        """The best epoch of each file's newest run with evaluated epochs, best first; those that only overfit a few
        images come after those that were trained in full, since their accuracies are not comparable.
        """
        r = SCHEDULER_RESULTS
        best = self._best_epochs(r.c.accuracy.desc().nulls_last(), self._newest(model, dataset, _of_task(task)))
        names = ("model_name", "scheduler_type", "dataset", "accuracy", "loss", "epoch", "hyperparameters", "seed")
        of_run = ("variant_name", "training", "status", "path", "timestamp")
        query = (
            select(*(r.c[name] for name in (*names, "device", "source_sha256")), *(RUNS.c[name] for name in of_run))
            .join(RUNS, RUNS.c.id == r.c.run_id)
            .where(r.c.id.in_(best))
            .order_by(func.coalesce(RUNS.c.training, Training.FULL.value))  # "full" before "overfit"
            .order_by(r.c.accuracy.desc().nulls_last(), r.c.loss.nulls_last(), r.c.model_name, r.c.scheduler_type)
            .limit(limit)
        )
        return self.rows(query)

    def unique(
        self,
        epoch_max: int | None = None,
        models: Collection[str] | None = None,
        dataset: str | None = None,
        task: str | None = None,
        metric: str = "accuracy",
    ) -> list[dict[str, Any]]:
        """The best epoch up to ``epoch_max`` of each file's newest run, best first by the metric (accuracy, loss, f1:
        the mean over the classes); of runs of the same code, and of those of one model with the same trace, the best.
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
            .where(r.c.id.in_(best))
            .order_by(func.coalesce(RUNS.c.training, Training.FULL.value), order, r.c.epoch, r.c.run_id)
        )
        found: list[dict[str, Any]] = []
        seen: set[tuple[Any, ...]] = set()
        for row in self.rows(query):
            where = (row["dataset"], row["task"])
            code = (row["source_sha256"] or row["run_id"], *where)
            trace = (row["model_name"], row["trace"] or row["run_id"], *where)
            name = (row["model_name"], row["scheduler_type"], *where)
            if seen.isdisjoint({code, trace, name}):
                found.append(row)
            seen |= {code, trace, name}
        return found

    def epochs(
        self, model: str | None = None, dataset: str | None = None, checked: bool = False
    ) -> list[dict[str, Any]]:
        """Every evaluated epoch of each file's newest run, with the run's status, in the order of files and epochs;
        with ``checked`` of the newest that is not merely recorded.
        """
        r = SCHEDULER_RESULTS
        seen = r.c.run_id.in_(select(RUNS.c.id).where(RUNS.c.status != RECORDED))
        newest = self._newest(model, dataset, seen if checked else None)
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
    ) -> list[dict[str, Any]]:
        """The best accuracy of each run of a model, with its seed and what it was run with, oldest first."""
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
    ) -> list[dict[str, Any]]:
        """The class scores of one epoch (by default the best) of a file's newest run; those that were measured before
        those that are only tracked.

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
    ) -> list[dict[str, Any]]:
        """The means over the classes of one epoch (by default the best) of a file's newest run: ``macro``, each class
        counting once, and ``weighted``, each as often as it has images.

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
        """The confusion matrix of one epoch (by default the best) of a file's newest run, and the names of its classes.

        Raises:
            NoResultError: when that epoch was never evaluated, or its matrix was not recorded.
        """
        r, c = SCHEDULER_RESULTS, CLASS_DATA
        chosen = self._chosen(model, scheduler_type, epoch, dataset)
        here = (r.c.run_id == chosen["run_id"], r.c.epoch == chosen["epoch"])
        found = self.rows(select(r.c.confusion).where(*here))
        if not found or found[0]["confusion"] is None:
            raise NoResultError(
                f"no confusion matrix of {model} {scheduler_type} at epoch {chosen['epoch']}: only scores"
            )
        here = (c.c.run_id == chosen["run_id"], c.c.epoch == chosen["epoch"])
        names = self.rows(select(c.c.class_name).where(*here).order_by(c.c.class_id))
        return found[0]["confusion"], [row["class_name"] for row in names]

    def _chosen(self, model: str, scheduler_type: str, epoch: int | None, dataset: str | None) -> dict[str, Any]:
        """The run and the epoch that answer for the classes of a file."""
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
        found = [row | {"scored": 1} for row in self.rows(results)]
        found += [row | {"accuracy": None} for row in self.rows(others)]
        found.sort(key=lambda row: (not row["scored"], -row["run_id"], -(row["accuracy"] or 0.0), row["epoch"]))
        chosen = next((row for row in found if epoch is None or row["epoch"] == epoch), None)
        if chosen is None:
            what = f"{model} {scheduler_type}" + (f" on {dataset}" if dataset else "")
            seen = ", ".join(map(str, sorted({row["epoch"] for row in found if row["scored"]})))
            hint = f"evaluated epochs: {seen}" if seen else "it was never trained here: run lrgen verify"
            raise NoResultError(f"no class metrics of {what}" + (f" at epoch {epoch}" if epoch else "") + f" ({hint})")
        return chosen

    def final_runs(self, hashes: Iterable[str]) -> list[dict[str, Any]]:
        """The runs of files with one of these sha256 sums that ended as they would end again, oldest first."""
        wanted = sorted(set(hashes))
        names = ("id", "source_sha256", "model_name", "scheduler_type", "status", "stage", "reason", "checks")
        columns = [
            RUNS.c[name]
            for name in (*names, "variant", "check_version", "accuracy", "training", "trace", "seed", "dataset")
        ]
        final = RUNS.c.status.in_([status.value for status in Status if status.final])
        found: list[dict[str, Any]] = []
        for some in chunks(wanted):
            found += self.rows(select(*columns).where(RUNS.c.source_sha256.in_(some), final))
        return sorted(found, key=lambda row: row["id"])

    def dataset_of(self, model: str, scheduler_type: str) -> str | None:
        """The dataset of a file's newest run; None when there is none."""
        if not self.exists():
            return None
        newest = select(RUNS.c.dataset).where(RUNS.c.model_name == model, RUNS.c.scheduler_type == scheduler_type)
        found = self.rows(newest.order_by(RUNS.c.id.desc()).limit(1))
        return str(found[0]["dataset"]) if found else None

    def newest_runs(
        self, model: str | None = None, scheduler_type: str | None = None, dataset: str | None = None
    ) -> list[dict[str, Any]]:
        """The newest run of each file and dataset, however it ended, in the order of files."""
        newest = select(func.max(RUNS.c.id)).group_by(RUNS.c.model_name, RUNS.c.scheduler_type, RUNS.c.dataset)
        columns = [RUNS.c[name] for name in _OF_RUN]
        query = select(*columns).where(RUNS.c.id.in_(newest))
        for column, value in (
            (RUNS.c.model_name, model),
            (RUNS.c.scheduler_type, scheduler_type),
            (RUNS.c.dataset, dataset),
        ):
            if value is not None:
                query = query.where(column == value)
        return self.rows(query.order_by(RUNS.c.model_name, RUNS.c.scheduler_type, RUNS.c.dataset))

    def failures(self) -> list[dict[str, Any]]:
        """The files whose newest run did not end well, newest first."""
        checked = select(func.max(RUNS.c.id)).where(RUNS.c.status != RECORDED)
        newest = checked.group_by(RUNS.c.model_name, RUNS.c.scheduler_type)
        columns = (RUNS.c.model_name, RUNS.c.scheduler_type, RUNS.c.variant_name, RUNS.c.status, RUNS.c.stage)
        return self.rows(
            select(*columns, RUNS.c.reason, RUNS.c.seconds, RUNS.c.path, RUNS.c.timestamp)
            .where(RUNS.c.id.in_(newest), RUNS.c.status.not_in([status.value for status in Status if status.ok]))
            .order_by(RUNS.c.id.desc())
        )

    def _best_epochs(self, order: Any, newest: Any, *conditions: ColumnElement[bool]) -> Any:
        """The numbers of the results that come first in the order of their run (of equal ones the earliest epoch)."""
        r = SCHEDULER_RESULTS
        rank = func.row_number().over(partition_by=r.c.run_id, order_by=(order, r.c.epoch)).label("rank")
        ranked = select(r.c.id, rank).where(r.c.run_id.in_(select(newest.c.run_id)), *conditions).subquery()
        return select(ranked.c.id).where(ranked.c.rank == 1)

    def _newest(self, model: str | None, dataset: str | None, more: ColumnElement[bool] | None = None) -> Any:
        """Of each file and dataset, the newest run that has evaluated epochs."""
        r = SCHEDULER_RESULTS
        query = select(func.max(r.c.run_id).label("run_id")).group_by(r.c.model_name, r.c.scheduler_type, r.c.dataset)
        if model is not None:
            query = query.where(r.c.model_name == model)
        if dataset is not None:
            query = query.where(r.c.dataset == dataset)
        return (query if more is None else query.where(more)).subquery()


def _of_task(task: str | None) -> ColumnElement[bool] | None:
    return SCHEDULER_RESULTS.c.task == task if task is not None else None


def _up_to(stage: str) -> ColumnElement[bool]:
    """Whether a run was asked to go up to a stage: the settings are a JSON text within a JSON text."""
    return RUNS.c.settings.contains(json.dumps(json.dumps({"stage": stage})[1:-1])[1:-1], autoescape=True, escape="!")

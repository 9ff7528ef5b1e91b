"""The results database: what was executed, and how it ended; the only importer of SQLAlchemy.

One transaction a file: the run, a row for each evaluated epoch and one for each of its classes. Nothing is ever
deleted or overwritten.
"""

import contextlib
import hashlib
import json
import math
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, ColumnElement, Connection, create_engine, event, exc, func, insert, select
from sqlalchemy.engine import make_url

from lrgen.errors import NoResultError, StoreError
from lrgen.metrics import class_scores
from lrgen.records import Candidate, EpochReport, Outcome, Stage, Status, Training
from lrgen.store.migrations import is_current, migrate
from lrgen.store.tables import CLASS_DATA, RUNS, SCHEDULER_RESULTS

TASK = "img-classification"
_BUSY_SECONDS = 10
_CHUNK = 500

CandidateKey = tuple[str, str, str, int | None]


@dataclass(frozen=True)
class Conditions:
    """What, besides the file, decides how a verification ends; a result is reused when all of it is equal."""

    settings: str
    check_version: str
    torch: str
    device: str
    dataset: str
    seed: int
    lrgen: str


class Store:
    """Results in SQLite (a file) or PostgreSQL, by SQLAlchemy URL.

    Raises:
        StoreError: from every method, when the database cannot be opened, read or written.
    """

    def __init__(self, url: str) -> None:
        try:
            self._url = make_url(url)
        except exc.ArgumentError as error:
            raise StoreError(f"db: not a database URL, got {url!r} (for example sqlite:///db/ab.nn.db)") from error
        if self._url.get_backend_name() not in ("sqlite", "postgresql"):
            raise StoreError(f"db: must be sqlite or postgresql, got {self._url.get_backend_name()!r}")
        try:
            options = {"timeout": _BUSY_SECONDS} if self._sqlite else {}
            self._engine = create_engine(self._address(), connect_args=options)
        except (exc.SQLAlchemyError, ImportError) as error:
            raise StoreError(f"{self.place}: {_first_line(error)}") from error
        if self._sqlite:
            event.listen(self._engine, "connect", _configure_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        self._ready = False

    @property
    def _sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    @property
    def place(self) -> str:
        """Where the database is, without a password."""
        return self._url.database or ":memory:" if self._sqlite else self._url.render_as_string(hide_password=True)

    def _address(self) -> URL:
        """The URL to open: a file that is not ours to write is opened as one that nobody writes."""
        path = Path(self._url.database or "")
        if not self._sqlite or not path.is_file() or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            return self._url
        query = {"mode": "ro", "immutable": "1", "uri": "true"}
        return self._url.set(database=f"file:{quote(str(path))}", query=query)

    def exists(self) -> bool:
        """Whether there is a database to read from."""
        return not self._sqlite or self._url.database in (None, "", ":memory:") or Path(self.place).is_file()

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _session(self, write: bool = False) -> Iterator[Connection]:
        """One transaction: commits, or rolls back and says what was wrong."""
        try:
            if not self._ready:
                if self._sqlite and self._url.database:
                    Path(self.place).parent.mkdir(parents=True, exist_ok=True)
                with self._engine.begin() as connection:
                    current = is_current(connection)
                if not current:
                    with self._engine.execution_options(lrgen_write=True).begin() as connection:
                        migrate(connection)
                self._ready = True
            with self._engine.execution_options(lrgen_write=write).begin() as connection:
                yield connection
        except exc.DBAPIError as error:
            raise StoreError(f"{self.place}: {_first_line(error.orig)}; nothing of this was recorded") from error
        except exc.SQLAlchemyError as error:
            raise StoreError(f"{self.place}: {_first_line(error)}") from error
        except OSError as error:
            raise StoreError(f"{self.place}: {error.strerror}") from error

    # Writing.

    def prepare(self) -> None:
        """Open the database for writing, so that one that cannot be written is known before anything is run."""
        with self._session(write=True):
            pass

    def save(self, outcome: Outcome, conditions: Conditions, classes: tuple[str, ...]) -> int:
        """Record how a file's verification ended, with its epochs and their classes; returns the run's id."""
        return self.save_all([outcome], conditions, classes)[0]

    def save_all(self, outcomes: Iterable[Outcome], conditions: Conditions, classes: tuple[str, ...]) -> list[int]:
        """Record several outcomes in one transaction: all of them, or none; returns the runs' ids."""
        with self._session(write=True) as connection:
            return [_insert(connection, outcome, conditions, classes) for outcome in outcomes]

    # Reading.

    def reusable(self, candidates: Iterable[Candidate], conditions: Conditions) -> dict[CandidateKey, Outcome]:
        """The recorded outcomes of files that would end the same way again, by ``key_of``."""
        if not self.exists():
            return {}
        wanted = {key_of(candidate): candidate for candidate in candidates}
        hashes = sorted({candidate.sha256 for candidate in wanted.values()})
        found: dict[CandidateKey, Outcome] = {}
        with self._session() as connection:
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
                        found[key] = _outcome(row, wanted[key])
        return found

    def durations(self, conditions: Conditions) -> dict[tuple[str, str], float]:
        """The seconds that each (model, scheduler_type) took the last time that it was run on such a device up to the
        same stage.
        """
        if not self.exists():
            return {}
        stage = json.loads(conditions.settings)["stage"]
        newest = select(func.max(RUNS.c.id)).where(RUNS.c.device == conditions.device)
        rows = self._rows(
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
        return self._rows(query)

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
        epochs = self._rows(query)
        chosen = next((row for row in epochs if epoch is None or row["epoch"] == epoch), None)
        if chosen is None:
            what = f"{model} {scheduler_type}" + (f" on {dataset}" if dataset else "")
            seen = ", ".join(str(row["epoch"]) for row in sorted(epochs, key=lambda row: row["epoch"]))
            hint = f"evaluated epochs: {seen}" if seen else "it was never trained here: run lrgen verify"
            raise NoResultError(f"no class metrics of {what}" + (f" at epoch {epoch}" if epoch else "") + f" ({hint})")
        columns = (c.c.class_id, c.c.class_name, c.c.accuracy, c.c.precision, c.c.recall, c.c.f1_score)
        return self._rows(
            select(*columns, c.c.support, c.c.epoch).where(c.c.result_id == chosen["id"]).order_by(c.c.class_id)
        )

    def failures(self) -> list[dict[str, Any]]:
        """The files whose newest run did not end well, newest first."""
        newest = select(func.max(RUNS.c.id)).group_by(RUNS.c.model_name, RUNS.c.scheduler_type)
        columns = (RUNS.c.model_name, RUNS.c.scheduler_type, RUNS.c.variant_name, RUNS.c.status, RUNS.c.stage)
        return self._rows(
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

    def _rows(self, query: Any) -> list[dict[str, Any]]:
        if not self.exists():
            raise NoResultError(f"there is no database at {self.place}: run lrgen verify first")
        with self._session() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _insert(connection: Connection, outcome: Outcome, conditions: Conditions, classes: tuple[str, ...]) -> int:
    """The rows of one outcome; returns the run's id."""
    candidate = outcome.candidate
    now = datetime.now(UTC).replace(tzinfo=None)
    name = {"model_name": candidate.model_name, "scheduler_type": candidate.scheduler_type}
    run = _run_row(outcome, conditions) | name | {"timestamp": now}
    run_id = int(connection.execute(insert(RUNS).returning(RUNS.c.id), run).scalar_one())
    if not outcome.epochs:
        return run_id
    common = name | {"dataset": conditions.dataset, "run_id": run_id, "timestamp": now}
    result_ids = connection.execute(
        insert(SCHEDULER_RESULTS).returning(SCHEDULER_RESULTS.c.id, sort_by_parameter_order=True),
        [row | common for row in _result_rows(outcome, conditions)],
    ).scalars()
    classes_of_epochs = [
        row | common | {"result_id": result_id}
        for result_id, epoch in zip(result_ids, outcome.epochs, strict=True)
        for row in _class_rows(epoch, classes)
    ]
    connection.execute(insert(CLASS_DATA), classes_of_epochs)
    return run_id


def key_of(candidate: Candidate) -> CandidateKey:
    """What tells one file from another in the store."""
    number = candidate.variant.number if candidate.variant else None
    return candidate.sha256, candidate.model_name, candidate.scheduler_type, number


def settings_of(candidate: Candidate, conditions: Conditions) -> str:
    """The settings of a run as they are compared: the command's, the file's ``prm``, the curve it is held to,
    and the budget of its training.
    """
    compared = {"settings": conditions.settings, "prm": candidate.prm, "curve": _curve_of(candidate)}
    compared["budget"] = asdict(candidate.budget) if candidate.budget else None
    return json.dumps(compared, sort_keys=True)


def _up_to(stage: str) -> ColumnElement[bool]:
    """Whether a run was asked to go up to a stage: the settings are a JSON text within a JSON text."""
    return RUNS.c.settings.contains(json.dumps(json.dumps({"stage": stage})[1:-1])[1:-1])


def _curve_of(candidate: Candidate) -> dict[str, Any] | None:
    """What decides the rates that a file is held to; the shipped curves' code is part of the check version."""
    variant = candidate.variant
    if variant is None:
        return None
    own = (candidate.family_folder or Path()) / "curves.py"
    code = own.read_bytes() if candidate.family_folder and own.is_file() else b""
    return {
        "curve": f"{variant.family}.{variant.curve}",
        "unit": variant.unit,
        "past_end": variant.past_end,
        "constants": variant.constants,
        "defaults": variant.defaults,
        "tolerance": variant.tolerance,
        "code": hashlib.sha256(code).hexdigest(),
    }


def _configure_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite, a writing one with the lock
    cursor = connection.cursor()
    for statement in ("foreign_keys = ON", "synchronous = NORMAL"):
        cursor.execute(f"PRAGMA {statement}")
    with contextlib.suppress(sqlite3.OperationalError):  # a database that is only read keeps the mode it has
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("lrgen_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _first_line(error: object) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__


def _run_row(outcome: Outcome, conditions: Conditions) -> dict[str, Any]:
    candidate = outcome.candidate
    return {
        "variant": candidate.variant.number if candidate.variant else None,
        "variant_name": candidate.variant.name if candidate.variant else None,
        "path": str(candidate.path),
        "source_sha256": candidate.sha256,
        "status": outcome.status.value,
        "stage": outcome.stage.value if outcome.stage else None,
        "reason": outcome.reason,
        "accuracy": outcome.accuracy,
        "training": outcome.training.value if outcome.training else None,
        "seconds": outcome.seconds,
        "checks": [
            {"stage": check.stage.value, "passed": check.passed, "reason": check.reason, "seconds": check.seconds}
            for check in outcome.checks
        ],
        "dataset": conditions.dataset,
        "seed": conditions.seed,
        "device": conditions.device,
        "settings": settings_of(candidate, conditions),
        "check_version": conditions.check_version,
        "torch": conditions.torch,
        "lrgen": conditions.lrgen,
        "isolation": outcome.isolation,
    }


def _result_rows(outcome: Outcome, conditions: Conditions) -> Iterator[dict[str, Any]]:
    variant = outcome.candidate.variant
    hyperparameters = {**(variant.defaults if variant else {}), **outcome.candidate.prm}
    if outcome.base_lr is not None:
        hyperparameters["lr"] = outcome.base_lr
    best = 0.0
    for epoch in outcome.epochs:
        best = max(best, epoch.accuracy)
        yield {
            "task": TASK,
            "epoch": epoch.epoch,
            "training": outcome.training.value if outcome.training else None,
            "accuracy": epoch.accuracy,
            "loss": _finite(epoch.loss),
            "best_accuracy": best,
            "hyperparameters": hyperparameters,
            "seed": conditions.seed,
            "device": conditions.device,
            "source_sha256": outcome.candidate.sha256,
            "lr": _finite(epoch.lr),
            "train_loss": _finite(epoch.train_loss),
            "train_accuracy": _finite(epoch.train_accuracy),
            "confusion": [list(row) for row in epoch.confusion],
            "seconds": epoch.seconds,
        }


def _class_rows(epoch: EpochReport, classes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for scores in class_scores(epoch.confusion):
        yield {
            "class_id": scores.class_id,
            "class_name": classes[scores.class_id],
            "accuracy": scores.accuracy,
            "precision": scores.precision,
            "recall": scores.recall,
            "f1_score": scores.f1_score,
            "support": scores.support,
            "epoch": epoch.epoch,
        }


def _finite(value: float) -> float | None:
    """A number, or NULL for one that is none."""
    return value if math.isfinite(value) else None


def _outcome(row: Any, candidate: Candidate) -> Outcome:
    return Outcome(
        candidate=candidate,
        status=Status(row["status"]),
        stage=Stage(row["stage"]) if row["stage"] else None,
        reason=row["reason"],
        seconds=row["seconds"],
        accuracy=row["accuracy"],
        training=Training(row["training"]) if row["training"] else None,
        isolation=row["isolation"],
        reused=True,
    )

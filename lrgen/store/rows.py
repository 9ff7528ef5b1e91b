"""Conversion of outcomes to rows of the tables and back."""

import functools
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, insert

from lrgen.records import (
    Candidate,
    Comparison,
    Diagnosis,
    EpochReport,
    NearestSchedule,
    Outcome,
    Stage,
    Status,
    Training,
    Unit,
)
from lrgen.store.metrics import class_scores
from lrgen.store.tables import CLASS_DATA, RUNS, SCHEDULER_RESULTS

TASK = "img-classification"

CandidateKey = tuple[str, str, str, int | None]


@dataclass(frozen=True)
class Conditions:
    """The conditions of a verification, besides the file; a result is reused under equal conditions only."""

    settings: str
    check_version: str
    torch: str
    device: str
    dataset: str
    seed: int
    lrgen: str


def insert_outcome(connection: Connection, outcome: Outcome, conditions: Conditions, classes: tuple[str, ...]) -> int:
    """Insert the rows of one outcome; return the run's id."""
    candidate = outcome.candidate
    now = timestamp()
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
        row | {"result_id": result_id}
        for result_id, epoch in zip(result_ids, outcome.epochs, strict=True)
        for row in class_rows(epoch, classes)
    ]
    _insert_classes(connection, common, classes_of_epochs)
    return run_id


def _insert_classes(connection: Connection, common: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Insert class rows directly through the driver.

    Most rows are class rows, and SQLAlchemy's processing of each value takes longer than writing it. The ``common``
    values are converted for the driver once.
    """
    names = (*common, *rows[0])
    sql, order = _class_statement(connection.dialect, names)
    shared = [_driver_value(connection.dialect, name, value) for name, value in common.items()]
    values = ((*shared, *row.values()) for row in rows)
    if order is not None:
        connection.exec_driver_sql(sql, list(map(itemgetter(*order), values)))
    else:
        connection.exec_driver_sql(sql, [dict(zip(names, row, strict=True)) for row in values])


@functools.cache
def _class_statement(dialect: Dialect, names: tuple[str, ...]) -> tuple[str, list[int] | None]:
    """Return the driver's statement for these columns, and their order if the driver takes values by position."""
    compiled: Any = insert(CLASS_DATA).inline().compile(dialect=dialect, column_keys=list(names))
    return str(compiled), [names.index(name) for name in compiled.positiontup] if compiled.positional else None


def _driver_value(dialect: Dialect, name: str, value: Any) -> Any:
    process = CLASS_DATA.c[name].type.dialect_impl(dialect).bind_processor(dialect)
    return process(value) if process else value


def key_of(candidate: Candidate) -> CandidateKey:
    """Return the key that identifies a file in the store."""
    number = candidate.variant.number if candidate.variant else None
    return candidate.sha256, candidate.model_name, candidate.scheduler_type, number


def settings_of(candidate: Candidate, conditions: Conditions) -> str:
    """Return the settings of a run as JSON for comparison: command, ``prm``, references and training budget."""
    compared = {"settings": conditions.settings, "prm": candidate.prm, "curve": _curve_of(candidate)}
    compared["budget"] = asdict(candidate.budget) if candidate.budget else None
    compared["reference"] = _digest(candidate.reference.source) if candidate.reference else None
    if candidate.claim:
        compared["claim"] = asdict(candidate.claim)
    return json.dumps(compared, sort_keys=True)


def _digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


def _curve_of(candidate: Candidate) -> dict[str, Any] | None:
    """Return the inputs of the reference curve; the code of built-in curves is part of the check version instead."""
    variant = candidate.variant
    if variant is None:
        return None
    own = variant.curves_folder / "curves.py" if variant.curves_folder else None
    code = own.read_bytes() if own and own.is_file() else b""
    return {
        "curve": f"{variant.family}.{variant.curve}",
        "unit": variant.unit,
        "past_end": variant.past_end,
        "constants": variant.constants,
        "defaults": variant.defaults,
        "tolerance": variant.tolerance,
        "code": hashlib.sha256(code).hexdigest(),
    }


def _run_row(outcome: Outcome, conditions: Conditions) -> dict[str, Any]:
    candidate = outcome.candidate
    return {
        "variant": candidate.variant.number if candidate.variant else None,
        "variant_name": candidate.variant.name if candidate.variant else None,
        "path": str(candidate.path).encode("utf-8", "backslashreplace").decode(),
        "source_sha256": candidate.sha256,
        "status": outcome.status.value,
        "stage": outcome.stage.value,
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
        "trace": outcome.trace,
        "case_seed": outcome.case_seed,
        "evidence": list(outcome.evidence),
        "claimed_model": candidate.reference.name if candidate.reference else None,
        "architecture": outcome.architecture.value if outcome.architecture else None,
        "diagnosis": asdict(outcome.diagnosis) if outcome.diagnosis else None,
    }


def _result_rows(outcome: Outcome, conditions: Conditions) -> Iterator[dict[str, Any]]:
    variant = outcome.candidate.variant
    hyperparameters = {**(variant.defaults if variant else {}), **outcome.candidate.prm}
    if outcome.base_lr is not None:
        hyperparameters["lr"] = outcome.base_lr
    best = 0.0
    for epoch in outcome.epochs:
        accuracy = epoch.accuracy
        best = max(best, accuracy)
        yield {
            "task": TASK,
            "epoch": epoch.epoch,
            "training": outcome.training.value if outcome.training else None,
            "accuracy": accuracy,
            "loss": finite(epoch.loss),
            "best_accuracy": best,
            "hyperparameters": hyperparameters,
            "seed": conditions.seed,
            "device": conditions.device,
            "source_sha256": outcome.candidate.sha256,
            "lr": finite(epoch.lr),
            "train_loss": finite(epoch.train_loss),
            "train_accuracy": finite(epoch.train_accuracy),
            "confusion": epoch.confusion,
            "seconds": epoch.seconds,
        }


def class_rows(epoch: EpochReport, classes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
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


def finite(value: float) -> float | None:
    """Return a finite number, and None (NULL) for NaN and infinity."""
    return value if math.isfinite(value) else None


def outcome_of(row: Any, candidate: Candidate) -> Outcome:
    return Outcome(
        candidate=candidate,
        status=Status(row["status"]),
        stage=Stage(row["stage"]),
        reason=row["reason"],
        seconds=row["seconds"],
        accuracy=row["accuracy"],
        training=Training(row["training"]) if row["training"] else None,
        isolation=row["isolation"],
        trace=row["trace"],
        case_seed=row["case_seed"],
        evidence=tuple(row["evidence"] or ()),
        architecture=Comparison(row["architecture"]) if row["architecture"] else None,
        diagnosis=_diagnosis(row["diagnosis"]) if row["diagnosis"] else None,
        reused=True,
    )


def _diagnosis(stored: Mapping[str, Any]) -> Diagnosis:
    nearest = [NearestSchedule(**{**entry, "equivalents": tuple(entry["equivalents"])}) for entry in stored["nearest"]]
    unit = Unit(stored["unit"]) if stored["unit"] else None
    lists = {name: tuple(stored.get(name, ())) for name in ("findings", "rates", "practices")}
    return Diagnosis(**{**stored, **lists, "unit": unit, "nearest": tuple(nearest)})


def timestamp() -> datetime:
    """Return the current time in UTC without a time zone, as the store records it."""
    return datetime.now(UTC).replace(tzinfo=None)

"""Outcomes of verifications for tests of the store and of the report."""

import hashlib
from pathlib import Path
from typing import Any

from lrgen.records import Candidate, CheckReport, EpochReport, Outcome, Stage, Status, Variant
from lrgen.store import Conditions

CLASSES = tuple("abcdefghij")
CONDITIONS = Conditions(
    settings='{"epochs": 5}',
    check_version="0123456789abcdef",
    torch="2.15.0",
    device="cpu",
    dataset="digits",
    seed=0,
    lrgen="0.1.0",
)


def confusion_of(correct: int) -> list[list[int]]:
    """Return the confusion matrix of ten classes of ten images with ``correct`` correct predictions in each."""
    rows = [[0] * 10 for _ in CLASSES]
    for actual, row in enumerate(rows):
        row[actual] += correct
        row[(actual + 1) % 10] += 10 - correct
    return rows


def epoch(number: int, correct: int = 8, **values: Any) -> EpochReport:
    """Return an evaluated epoch of ten classes of ten images with ``correct`` correct predictions in each."""
    confusion = tuple(map(tuple, confusion_of(correct)))
    defaults = {"train_loss": 1.5, "train_accuracy": 0.4, "loss": 1 / number, "lr": 0.1, "seconds": 2.0}
    return EpochReport(epoch=number, confusion=confusion, **defaults | values)


def outcome(
    variant: Variant | None,
    *epochs: EpochReport,
    status: Status = Status.VERIFIED,
    model: str = "ResNet",
    source: str = "pass",
    **values: Any,
) -> Outcome:
    """Return the outcome of a file that is defined by its variant, its model and its source."""
    sha256 = hashlib.sha256(source.encode()).hexdigest()
    candidate = Candidate(
        path=Path(f"generated/{model}/file.py"),
        source=source,
        sha256=sha256,
        model_name=model,
        scheduler_type=variant.key if variant else f"file-{sha256[:8]}",
        variant=variant,
        prm={"lr": 0.1, "momentum": 0.9},
    )
    defaults = {
        "stage": Stage.TRAINING,
        "reason": "" if status in (Status.VERIFIED, Status.PASSED) else "for a reason",
        "seconds": 11.5,
        "checks": (CheckReport(Stage.SYNTAX, True, "", 0.1),),
        "accuracy": max((report.accuracy for report in epochs), default=None),
    }
    return Outcome(candidate=candidate, status=status, epochs=epochs, **defaults | values)

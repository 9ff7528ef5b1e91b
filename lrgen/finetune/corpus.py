"""The corpus of a dataset: rendered files on disk whose verification is recorded in the results database."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from lrgen.files import read_bytes
from lrgen.records import Architecture, Stage, Status, Training, Variant
from lrgen.render import output
from lrgen.render.output import Pair
from lrgen.store import Store


class Level(StrEnum):
    """The last check that a file passed; each level includes the ones before it."""

    CONTRACT = "contract"
    SCHEDULE = "schedule"
    TRAINING = "training"

    @property
    def rank(self) -> int:
        return list(Level).index(self)


@dataclass(frozen=True)
class VerifiedFile:
    """A rendered file whose exact bytes passed the checks up to a level.

    Attributes:
        result_id: the id of its run in ``lrgen_runs``.
        accuracy: the held-out accuracy of its best epoch; None when it was not trained in full.
        trace: a digest of its learning rates; files with equal traces have equal learning rates.
    """

    architecture: Architecture
    variant: Variant
    source: str
    sha256: str
    path: Path
    result_id: int
    level: Level
    accuracy: float | None
    trace: str | None

    @property
    def name(self) -> str:
        return f"{self.architecture.name}/{self.variant.key}"


@dataclass(frozen=True)
class IneligibleFile:
    """A file that did not reach the requested level, with the reason."""

    path: Path
    reason: str


def collect(
    store: Store, pairs: Iterable[Pair], out: Path, level: Level, check_version: str
) -> tuple[list[VerifiedFile], list[IneligibleFile]]:
    """Split the selected files into those that passed the checks up to a level and those that did not.

    A file is judged by the run of its exact bytes that passed the most checks, among runs of this version of the checks
    that are not older than a failed one. Both lists keep the order of the selection.

    Raises:
        OutputError: when a file cannot be read.
        StoreError, NoResultError: when the database cannot be read.
    """
    pairs = list(pairs)
    ineligible = [
        IneligibleFile(path, "is not rendered") for pair in pairs if not (path := output.path_of(out, *pair)).exists()
    ]
    selected = [pair for pair in pairs if output.path_of(out, *pair).exists()]
    contents = [read_bytes(output.path_of(out, *pair)) for pair in selected]
    hashes = [hashlib.sha256(content).hexdigest() for content in contents]
    all_runs = store.final_runs(hashes)
    runs = _decisive(run for run in all_runs if run["check_version"] == check_version)
    known = {_key(run) for run in all_runs}
    verified: list[VerifiedFile] = []
    for (architecture, variant), content, sha256 in zip(selected, contents, hashes, strict=True):
        path = output.path_of(out, architecture, variant)
        key = (sha256, architecture.name, variant.key)
        run = runs.get(key)
        reached = _level(run) if run else None
        if run is None:
            ineligible.append(
                IneligibleFile(
                    path, "was verified by another version of the checks" if key in known else "was never verified"
                )
            )
        elif reached is None or reached.rank < level.rank:
            ineligible.append(IneligibleFile(path, _reason(run, level)))
        else:
            full = run["training"] == Training.FULL and reached is Level.TRAINING
            verified.append(
                VerifiedFile(
                    architecture=architecture,
                    variant=variant,
                    source=content.decode(),
                    sha256=sha256,
                    path=path,
                    result_id=run["id"],
                    level=reached,
                    accuracy=run["accuracy"] if full else None,
                    trace=run["trace"],
                )
            )
    return verified, ineligible


def _decisive(runs: Iterable[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The decisive run by (sha256, model, scheduler); the runs come oldest first."""
    decisive: dict[tuple[str, str, str], dict[str, Any]] = {}
    for run in runs:
        key = _key(run)
        older = decisive.get(key)
        older_is_better = older and Status(older["status"]).ok and len(older["checks"]) > len(run["checks"])
        if not (older_is_better and Status(run["status"]).ok):
            decisive[key] = run
    return decisive


def _key(run: dict[str, Any]) -> tuple[str, str, str]:
    return run["source_sha256"], run["model_name"], run["scheduler_type"]


def _level(run: dict[str, Any]) -> Level | None:
    """The highest level that a run reached; None when it did not pass the contract check."""
    passed = {check["stage"] for check in run["checks"] if check["passed"]}
    reached: Level | None = None
    for level in Level:
        if Stage(level) not in passed or (
            level is Level.SCHEDULE and run["variant"] is None
        ):  # without a curve the check compares nothing
            break
        reached = level
    return reached


def _reason(run: dict[str, Any], level: Level) -> str:
    if Status(run["status"]).ok:
        return "has no curve to check against" if run["variant"] is None else f"was not verified up to {level}"
    return f"{run['status']} in the {run['stage']} check: {run['reason']}"


def summarise(ineligible: Sequence[IneligibleFile], count: int = 3) -> Iterator[str]:
    """Yield a phrase for each of the first ineligible files, and one for the number of others."""
    yield from (f"{file.path} {file.reason}" for file in ineligible[:count])
    if (others := len(ineligible) - count) > 0:
        yield f"and {others} other{'s' * (others > 1)}"

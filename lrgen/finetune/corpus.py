"""The verified files that a dataset is made of: what is on disk, and what the store says that its bytes did."""

import hashlib
from collections.abc import Iterable, Iterator
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
    """Up to which check a file passed; each holds what those before it hold."""

    CONTRACT = "contract"
    SCHEDULE = "schedule"
    TRAINING = "training"

    @property
    def rank(self) -> int:
        return list(Level).index(self)


@dataclass(frozen=True)
class ProvedFile:
    """A rendered file whose very bytes passed the checks up to a level.

    ``result_id`` is its run in ``lrgen_runs``. ``accuracy`` is that of its best epoch, held-out (None: not trained in
    full). Files with the same ``trace`` had the same rates.
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
class Refused:
    """A file that may not be published at the level that was asked for, and why."""

    path: Path
    reason: str


def collect(
    store: Store, pairs: Iterable[Pair], out: Path, level: Level, check_version: str
) -> tuple[list[ProvedFile], list[Refused]]:
    """The selected rendered files, in the order of the selection: those that passed up to the level, and the others.

    Of the runs of a file's bytes, by checks of this version, the one that came furthest answers; none that is older
    than a failure.

    Raises:
        OutputError: when a file cannot be read.
        StoreError, NoResultError: when the database cannot be read.
    """
    pairs = list(pairs)
    refused = [Refused(path, "is not rendered") for pair in pairs if not (path := output.path_of(out, *pair)).exists()]
    selected = [pair for pair in pairs if output.path_of(out, *pair).exists()]
    contents = [read_bytes(output.path_of(out, *pair)) for pair in selected]
    hashes = [hashlib.sha256(content).hexdigest() for content in contents]
    everything = store.final_runs(hashes)
    runs = _answering(run for run in everything if run["check_version"] == check_version)
    before = {_key(run) for run in everything}
    proved: list[ProvedFile] = []
    for (architecture, variant), content, sha256 in zip(selected, contents, hashes, strict=True):
        path = output.path_of(out, architecture, variant)
        key = (sha256, architecture.name, variant.key)
        run = runs.get(key)
        reached = _level(run) if run else None
        if run is None:
            refused.append(
                Refused(path, "was verified by other checks only" if key in before else "was never verified")
            )
        elif reached is None or reached.rank < level.rank:
            refused.append(Refused(path, _reason(run, level)))
        else:
            full = run["training"] == Training.FULL and reached is Level.TRAINING
            proved.append(
                ProvedFile(
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
    return proved, refused


def _answering(runs: Iterable[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """By (sha256, model, scheduler), of runs that come oldest first."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for run in runs:
        key = _key(run)
        before = found.get(key)
        older_is_better = before and Status(before["status"]).ok and len(before["checks"]) > len(run["checks"])
        if not (older_is_better and Status(run["status"]).ok):
            found[key] = run
    return found


def _key(run: dict[str, Any]) -> tuple[str, str, str]:
    return run["source_sha256"], run["model_name"], run["scheduler_type"]


def _level(run: dict[str, Any]) -> Level | None:
    """The last check that a run passed, of those that a dataset can ask for."""
    passed = {check["stage"] for check in run["checks"] if check["passed"]}
    reached: Level | None = None
    for level in Level:
        if Stage(level) not in passed or (level is Level.SCHEDULE and run["variant"] is None):  # no curve was there
            break
        reached = level
    return reached


def _reason(run: dict[str, Any], level: Level) -> str:
    if Status(run["status"]).ok:
        return "has no curve to be compared with" if run["variant"] is None else f"was not verified up to {level}"
    return f"{run['status']} in the {run['stage']} check: {run['reason']}"


def shown(refused: Iterable[Refused], count: int = 3) -> Iterator[str]:
    """A sentence for each of the first refused files, and one for the rest."""
    everything = list(refused)
    yield from (f"{one.path} {one.reason}" for one in everything[:count])
    if more := len(everything) - count > 0 and len(everything) - count:
        yield f"and {more} other{'s' * (more > 1)}"

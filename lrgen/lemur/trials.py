"""Runs as LEMUR's trials: of each epoch a list, the best accuracy first."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import Any

from lrgen.lemur.runs import Measured

Trial = dict[str, Any]

# Which of LEMUR's transforms does to the images what our training did. CIFAR's are shifted and mirrored here, which is
# none of LEMUR's; its reader takes null for that.
_TRANSFORMS = {"digits": "norm_32"}
_NANOSECONDS = 10**9


def trials(run: Measured) -> dict[int, Trial]:
    """A run's epochs as trials, with what LEMUR's own have and was measured here.

    ``uid`` is, as theirs, the md5 of the hyperparameters' text, ``duration`` the nanoseconds from the first epoch on.
    """
    prm = run.prm | {"epoch_max": run.epoch_max, "transform": transform_of(run)}
    prm = {name: prm[name] for name in sorted(prm)}
    uid = hashlib.md5("".join(str(prm).split()).encode(), usedforsecurity=False).hexdigest()
    durations = accumulate(row["seconds"] for row in run.epochs)
    best = run.epochs[0]
    found = {}
    for row, seconds in zip(run.epochs, durations, strict=True):
        best = max(best, row, key=itemgetter("accuracy"))
        statistics = {
            "train_loss": row["train_loss"],
            "test_loss": row["loss"],
            "train_accuracy": row["train_accuracy"],
            "best_accuracy": best["accuracy"],
            "best_epoch": best["epoch"],
            "epoch_max": run.epoch_max,
        }
        found[row["epoch"]] = prm | {
            "uid": uid,
            "duration": round(seconds * _NANOSECONDS),
            "accuracy": row["accuracy"],
            "train_stat": {name: value for name, value in statistics.items() if value is not None},
        }
    return found


def transform_of(run: Measured) -> str | None:
    """The name of LEMUR's transform that a run's images went through; None when it was none of LEMUR's."""
    return _TRANSFORMS.get(run.dataset)


def write(folder: Path, epochs: Iterable[tuple[int, Trial]]) -> None:
    """Write ``<epoch>.json`` for each epoch, with its trials."""
    lists: defaultdict[int, list[Trial]] = defaultdict(list)
    for epoch, trial in epochs:
        lists[epoch].append(trial)
    folder.mkdir(parents=True, exist_ok=True)
    for epoch, of_epoch in lists.items():
        of_epoch.sort(key=lambda trial: -trial["accuracy"])
        (folder / f"{epoch}.json").write_text(json.dumps(of_epoch, indent=4, allow_nan=False) + "\n")

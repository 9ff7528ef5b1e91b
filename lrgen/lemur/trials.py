"""LEMUR's trials of a run: for each epoch a list, in descending order of accuracy."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import Any

from lrgen.lemur.runs import MeasuredRun

Trial = dict[str, Any]

# LEMUR's transform that prepares the images as lrgen's training did. CIFAR's images are shifted and mirrored here, and
# no transform of LEMUR does that; its reader accepts null.
_TRANSFORMS = {"digits": "norm_32"}
_NANOSECONDS = 10**9


def trials(run: MeasuredRun) -> dict[int, Trial]:
    """Return the trial of each epoch of a run, with those of LEMUR's fields that were measured.

    ``uid`` is the md5 of the hyperparameters' text, as in LEMUR; ``duration`` is in nanoseconds since the start of the
    first epoch.
    """
    prm = run.prm | {"epoch_max": run.epoch_max, "transform": transform_of(run)}
    prm = {name: prm[name] for name in sorted(prm)}
    uid = hashlib.md5("".join(str(prm).split()).encode(), usedforsecurity=False).hexdigest()
    durations = accumulate(row["seconds"] for row in run.epochs)
    best = run.epochs[0]
    trials_by_epoch = {}
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
        trials_by_epoch[row["epoch"]] = prm | {
            "uid": uid,
            "duration": round(seconds * _NANOSECONDS),
            "accuracy": row["accuracy"],
            "train_stat": {name: value for name, value in statistics.items() if value is not None},
        }
    return trials_by_epoch


def transform_of(run: MeasuredRun) -> str | None:
    """Return LEMUR's name of the transform of a run's images; None when LEMUR has no such transform."""
    return _TRANSFORMS.get(run.dataset)


def write(folder: Path, epochs: Iterable[tuple[int, Trial]]) -> None:
    """Write the trials of each epoch to ``<epoch>.json``."""
    lists: defaultdict[int, list[Trial]] = defaultdict(list)
    for epoch, trial in epochs:
        lists[epoch].append(trial)
    folder.mkdir(parents=True, exist_ok=True)
    for epoch, epoch_trials in lists.items():
        epoch_trials.sort(key=lambda trial: -trial["accuracy"])
        (folder / f"{epoch}.json").write_text(json.dumps(epoch_trials, indent=4, allow_nan=False) + "\n")

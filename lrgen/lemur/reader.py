"""Reader of LEMUR's and NNGPT's folders: their trials become runs to record; nothing is executed or unpickled."""

import hashlib
import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrgen.errors import OutputError
from lrgen.files import read_bytes, read_json
from lrgen.lemur import nngpt
from lrgen.lemur.layout import STATISTICS
from lrgen.lemur.names import ACCURACY, key_of
from lrgen.store import Epoch, Series

Runs = dict[Series, list[list[Epoch]]]

_NANOSECONDS = 10**9
_LAST_EPOCH = 1_000_000
# The fields of a trial that are no hyperparameters, besides those named ``metric_<name>``.
_OTHER_FIELDS = {"accuracy", "duration", "duration_seconds", "uid", "task", "dataset", "metric", "model"}


@dataclass(frozen=True)
class Source:
    """A folder with the trials of one network, and its code; fields that the folder's name lacks are None."""

    folder: Path
    code: Path
    name: str
    task: str | None = None
    dataset: str | None = None
    metric: str | None = None


def sources(folder: Path) -> list[Source]:
    """Return the networks of a folder in LEMUR's or NNGPT's layout.

    Raises:
        OutputError: when the folder has neither layout, or a folder of statistics does not have a name of LEMUR's form.
    """
    networks = folder if folder.name == nngpt.NETWORKS else folder / nngpt.NETWORKS
    if networks.is_dir():
        codes = sorted(networks.glob(f"*/{nngpt.CODE}"))
        return [Source(code.parent, code, code.parent.name) for code in codes]
    statistics = next((path for path in (folder / STATISTICS, folder / "stat") if path.is_dir()), None)
    if statistics is None:
        raise OutputError(f"{folder}: has neither {STATISTICS} (LEMUR) nor {nngpt.NETWORKS} (NNGPT)")
    return [_source(folder, path) for path in sorted(statistics.iterdir()) if path.is_dir()]


def read(source: Source) -> Runs:
    """Return the runs of a network by series; metrics other than accuracy are skipped.

    A run consists of the trials with equal hyperparameters, one per epoch, because ``uid`` changes from epoch to epoch
    (nn-dataset 2.2.11). Where several trials of an epoch have the same hyperparameters, LEMUR does not record which
    epochs belong together. The best run of a series comes last: queries read the newest run.

    Raises:
        OutputError: when a file does not have LEMUR's format; the error names the file.
    """
    sha256 = hashlib.sha256(read_bytes(source.code)).hexdigest()
    model_name, scheduler_type = key_of(source.name, sha256)
    runs: defaultdict[tuple[str, str, str, int], dict[int, dict[str, Any]]] = defaultdict(dict)
    for epoch, path in _statistics(source.folder):
        for trial in _trials(path):
            task, dataset, metric = (_field(path, trial, source, name) for name in ("task", "dataset", "metric"))
            if metric == ACCURACY:
                accuracy = _number(trial.get("accuracy"))
                if accuracy is None or not 0 <= accuracy <= 1:
                    raise OutputError(f"{path}: accuracy must be between 0 and 1, got {trial.get('accuracy')!r}")
                prm = json.dumps(_hyperparameters(trial), sort_keys=True)
                repetition = 0
                while epoch in runs[task, dataset, prm, repetition]:
                    repetition += 1
                runs[task, dataset, prm, repetition][epoch] = trial
    by_series: Runs = {}
    for (task, dataset, *_), trials in runs.items():
        series = Series(
            model_name, scheduler_type, dataset, task, path=str(source.code.absolute()), source_sha256=sha256
        )
        by_series.setdefault(series, []).append(list(_epochs(trials)))
    for series_runs in by_series.values():
        series_runs.sort(key=lambda epochs: max(epoch.accuracy for epoch in epochs))
    return by_series


def _source(folder: Path, statistics: Path) -> Source:
    parts = statistics.name.split("_")
    if len(parts) != 4 or not all(parts):
        raise OutputError(f"{statistics}: must be named <task>_<dataset>_<metric>_<network>, with no other underscore")
    task, dataset, metric, name = parts
    return Source(statistics, folder / "nn" / f"{name}.py", name, task, dataset, metric)


def _statistics(folder: Path) -> Iterator[tuple[int, Path]]:
    """Yield the number and the file of each epoch; files whose names are not numbers are skipped."""
    numbered = sorted((int(path.stem), path) for path in folder.glob("*.json") if path.stem.isdecimal())
    for epoch, path in numbered:
        if not 1 <= epoch <= _LAST_EPOCH:
            raise OutputError(f"{path}: must be named after an epoch from 1 to {_LAST_EPOCH}")
        yield epoch, path


def _trials(path: Path) -> list[dict[str, Any]]:
    trials = read_json(path)
    if isinstance(trials, dict):  # LEMUR's own reader accepts a single trial as well
        trials = [trials]
    if not isinstance(trials, list) or not all(isinstance(trial, dict) for trial in trials):
        raise OutputError(f"{path}: must hold a list of trials")
    return trials


def _field(path: Path, trial: Mapping[str, Any], source: Source, name: str) -> str:
    """Return the task, dataset or metric of a trial, from the folder's name or from the trial itself."""
    value = getattr(source, name) or trial.get(name)
    if not isinstance(value, str) or not value:
        raise OutputError(f"{path}: a trial has no {name}")
    return value


def _epochs(trials: Mapping[int, Mapping[str, Any]]) -> Iterator[Epoch]:
    for epoch, trial in sorted(trials.items()):
        statistics = trial.get("train_stat")
        measured = statistics if isinstance(statistics, dict) else {}
        yield Epoch(
            epoch=epoch,
            accuracy=float(trial["accuracy"]),
            loss=_number(measured.get("test_loss")),
            train_loss=_number(measured.get("train_loss")),
            train_accuracy=_number(measured.get("train_accuracy")),
            seconds=_seconds(trials, epoch),
            hyperparameters=_hyperparameters(trial),
        )


def _seconds(trials: Mapping[int, Mapping[str, Any]], epoch: int) -> float | None:
    """Return the duration of an epoch in seconds; a trial's duration is counted from the start of its run."""
    began = 0.0 if epoch == 1 else _number(trials.get(epoch - 1, {}).get("duration"))
    ended = _number(trials[epoch].get("duration"))
    return (ended - began) / _NANOSECONDS if began is not None and ended is not None and ended >= began else None


def _hyperparameters(trial: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in trial.items()
        if name not in _OTHER_FIELDS and not name.startswith("metric_") and not isinstance(value, (dict, list))
    }


def _number(value: Any) -> float | None:
    """Return a finite number as a float, and None for any other value."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > sys.float_info.max:
        return None
    return float(value) if math.isfinite(value) else None

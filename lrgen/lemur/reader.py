"""LEMUR's and NNGPT's folders, ours or theirs, as runs to be recorded; nothing in them is executed or unpickled."""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lrgen.errors import OutputError
from lrgen.lemur import nngpt
from lrgen.lemur.layout import STATISTICS
from lrgen.lemur.names import ACCURACY, key_of
from lrgen.store import Epoch, Series

Runs = dict[Series, list[list[Epoch]]]

_NANOSECONDS = 10**9
# What a trial has besides hyperparameters; it may also have ``metric_<name>``.
_NO_HYPERPARAMETERS = {"accuracy", "duration", "duration_seconds", "uid", "task", "dataset", "metric", "model"}


@dataclass(frozen=True)
class Source:
    """A folder with the trials of one network, and its code; what the folder's name does not say is None."""

    folder: Path
    code: Path
    name: str
    task: str | None = None
    dataset: str | None = None
    metric: str | None = None


def sources(folder: Path) -> list[Source]:
    """The networks of a folder in either layout.

    Raises:
        OutputError: when it is in neither, or a folder of statistics is not named as LEMUR names them.
    """
    networks = folder if folder.name == nngpt.NETWORKS else folder / nngpt.NETWORKS
    if networks.is_dir():
        codes = sorted(networks.glob(f"*/{nngpt.CODE}"))
        return [Source(code.parent, code, code.parent.name) for code in codes]
    statistics = next((path for path in (folder / STATISTICS, folder / "stat") if path.is_dir()), None)
    if statistics is None:
        raise OutputError(f"{folder}: has neither {STATISTICS} (LEMUR) nor {nngpt.NETWORKS} (NNGPT)")
    return [_source(folder, place) for place in sorted(statistics.iterdir()) if place.is_dir()]


def read(source: Source) -> Runs:
    """The runs of a network, by what they have in common; of each series the best comes last, since the newest run is
    the one that a query answers with. Numbers of other metrics than the accuracy are left out.

    A run are the trials with the same hyperparameters, one an epoch: ``uid`` changes from epoch to epoch (nn-dataset
    2.2.11). Of hyperparameters that were tried more than once nothing says which epochs belong together.

    Raises:
        OutputError: when a file is not what LEMUR writes; it names the file.
    """
    try:
        sha256 = hashlib.sha256(source.code.read_bytes()).hexdigest()
    except OSError as error:
        raise OutputError(f"{source.code}: cannot be read: {error.strerror}") from error
    model_name, scheduler_type = key_of(source.name, sha256)
    runs: defaultdict[tuple[str, str, str, int], dict[int, dict[str, Any]]] = defaultdict(dict)
    for epoch, path in _statistics(source.folder):
        for trial in _trials(path):
            said = partial(_said, path, trial)
            task, dataset, metric = (said(name, getattr(source, name)) for name in ("task", "dataset", "metric"))
            if metric == ACCURACY:
                accuracy = _number(trial.get("accuracy"))
                if accuracy is None or not 0 <= accuracy <= 1:
                    raise OutputError(f"{path}: accuracy must be between 0 and 1, got {trial.get('accuracy')!r}")
                prm = json.dumps(_hyperparameters(trial), sort_keys=True)
                again = 0
                while epoch in runs[task, dataset, prm, again]:
                    again += 1
                runs[task, dataset, prm, again][epoch] = trial
    found: Runs = {}
    for (task, dataset, *_), trials in runs.items():
        series = Series(
            model_name, scheduler_type, dataset, task, path=str(source.code.absolute()), source_sha256=sha256
        )
        found.setdefault(series, []).append(list(_epochs(trials)))
    for of_series in found.values():
        of_series.sort(key=lambda epochs: max(one.accuracy for one in epochs))
    return found


def _source(folder: Path, place: Path) -> Source:
    parts = place.name.split("_")
    if len(parts) != 4 or not all(parts):
        raise OutputError(f"{place}: must be named <task>_<dataset>_<metric>_<network>, with no other underscore")
    task, dataset, metric, name = parts
    return Source(place, folder / "nn" / f"{name}.py", name, task, dataset, metric)


def _statistics(folder: Path) -> Iterator[tuple[int, Path]]:
    """The files of the epochs; a file whose name is no number is something else."""
    numbered = [(int(path.stem), path) for path in folder.glob("*.json") if path.stem.isdecimal()]
    yield from sorted(numbered)


def _trials(path: Path) -> list[dict[str, Any]]:
    try:
        trials = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OutputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise OutputError(f"{path}: not valid JSON: {error}") from error
    if isinstance(trials, dict):  # so does their own reader
        trials = [trials]
    if not isinstance(trials, list) or not all(isinstance(trial, dict) for trial in trials):
        raise OutputError(f"{path}: must be a list of trials")
    return trials


def _said(path: Path, trial: Mapping[str, Any], name: str, by_folder: str | None) -> str:
    """What the folder's name or the trial itself says of where it belongs."""
    value = by_folder or trial.get(name)
    if not isinstance(value, str) or not value:
        raise OutputError(f"{path}: a trial does not say its {name}")
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
    """How long an epoch took: a trial's duration is counted from the beginning of its run."""
    began = 0.0 if epoch == 1 else _number(trials.get(epoch - 1, {}).get("duration"))
    ended = _number(trials[epoch].get("duration"))
    return (ended - began) / _NANOSECONDS if began is not None and ended is not None and ended >= began else None


def _hyperparameters(trial: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in trial.items()
        if name not in _NO_HYPERPARAMETERS and not name.startswith("metric_") and not isinstance(value, (dict, list))
    }


def _number(value: Any) -> float | None:
    """A finite number, or None for whatever else stands there."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None

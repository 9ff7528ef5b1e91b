"""Writer of NNGPT's folders: ``synth_nn/<name>/`` holds a network in the layout of a language model's answer.

``new_nn.py`` is the code, ``hp.txt`` holds the hyperparameters to train it with, and each ``<epoch>.json`` is a list of
LEMUR's trials. No ``eval_info.json`` is written, because NNGPT skips a network that has one.
"""

import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from lrgen.lemur import trials
from lrgen.lemur.folder import new_folder
from lrgen.lemur.names import ACCURACY
from lrgen.lemur.runs import MeasuredRun

NETWORKS = "synth_nn"
CODE = "new_nn.py"
HYPERPARAMETERS = "hp.txt"


def export(runs: Sequence[MeasuredRun], out: Path, advance: Callable[[], None] = lambda: None) -> None:
    """Write the runs into a new folder; ``advance`` is called once for each run.

    Raises:
        OutputError: when the folder exists and is not empty, or cannot be written; no part of it remains.
    """
    with new_folder(out) as folder:
        (folder / NETWORKS).mkdir()
        for name, group in groupby(sorted(runs, key=lambda run: run.name), key=lambda run: run.name):
            file_runs = list(group)
            network = folder / NETWORKS / name
            trials.write(network, [item for run in file_runs for item in _trials(run).items()])
            (network / CODE).write_bytes(file_runs[0].code)
            (network / HYPERPARAMETERS).write_text(json.dumps(_hyperparameters(file_runs), indent=4) + "\n")
            for _ in file_runs:
                advance()


def _trials(run: MeasuredRun) -> dict[int, trials.Trial]:
    """Return a run's trials, each with the fields that LEMUR reads from the name of a folder."""
    fields = {"task": run.task, "dataset": run.dataset, "metric": ACCURACY, "model": run.name}
    return {epoch: trial | fields for epoch, trial in trials.trials(run).items()}


def _hyperparameters(runs: Sequence[MeasuredRun]) -> dict[str, object]:
    """Return the best run's; NNGPT chooses the number of epochs, and the transform where LEMUR has none."""
    best = max(runs, key=lambda run: max(float(row["accuracy"]) for row in run.epochs))
    transform = trials.transform_of(best)
    return best.prm | ({"transform": transform} if transform else {})

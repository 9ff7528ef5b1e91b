"""NNGPT's folders: ``synth_nn/<name>/`` with a network as if a model had written it, and what was measured with it.

``new_nn.py`` is the code, ``hp.txt`` the hyperparameters to train it with, ``<epoch>.json`` are LEMUR's trials. No
``eval_info.json`` is written: with one, NNGPT takes the network for evaluated and passes it over.
"""

import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from lrgen.lemur import trials
from lrgen.lemur.folder import new_folder
from lrgen.lemur.names import ACCURACY
from lrgen.lemur.runs import Measured

NETWORKS = "synth_nn"
CODE = "new_nn.py"
HYPERPARAMETERS = "hp.txt"


def export(runs: Sequence[Measured], out: Path, advance: Callable[[], None] = lambda: None) -> None:
    """Write the runs into a new folder; ``advance`` is called once for each.

    Raises:
        OutputError: when the folder is there and not empty, or cannot be written; nothing of it is left.
    """
    with new_folder(out) as folder:
        (folder / NETWORKS).mkdir()
        for name, group in groupby(sorted(runs, key=lambda run: run.name), key=lambda run: run.name):
            of_file = list(group)
            place = folder / NETWORKS / name
            trials.write(place, [one for run in of_file for one in _named(run).items()])
            (place / CODE).write_bytes(of_file[0].code)
            (place / HYPERPARAMETERS).write_text(json.dumps(_hyperparameters(of_file), indent=4) + "\n")
            for _ in of_file:
                advance()


def _named(run: Measured) -> dict[int, trials.Trial]:
    """A run's trials, each with what in LEMUR's folders the name of the folder says."""
    where = {"task": run.task, "dataset": run.dataset, "metric": ACCURACY, "model": run.name}
    return {epoch: trial | where for epoch, trial in trials.trials(run).items()}


def _hyperparameters(runs: Sequence[Measured]) -> dict[str, object]:
    """Those of the best run; how many epochs to train for is NNGPT's choice, as is a transform that LEMUR lacks."""
    best = max(runs, key=lambda run: max(float(row["accuracy"]) for row in run.epochs))
    transform = trials.transform_of(best)
    return best.prm | ({"transform": transform} if transform else {})

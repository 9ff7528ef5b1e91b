"""Writer of LEMUR's folders, which are copied over its ``ab/nn``: networks and their training statistics.

The files are ``nn/<name>.py`` and ``stat/train/<task>_<dataset>_<metric>_<name>/<epoch>.json``.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from lrgen.lemur import trials
from lrgen.lemur.folder import new_folder
from lrgen.lemur.names import ACCURACY
from lrgen.lemur.runs import MeasuredRun

STATISTICS = Path("stat", "train")


def export(runs: Iterable[MeasuredRun], out: Path, advance: Callable[[], None] = lambda: None) -> None:
    """Write the runs into a new folder; ``advance`` is called once for each run.

    Raises:
        OutputError: when the folder exists and is not empty, or cannot be written; no part of it remains.
    """
    with new_folder(out) as folder:
        (folder / "nn").mkdir()
        for run in runs:
            (folder / "nn" / f"{run.name}.py").write_bytes(run.code)
            statistics = folder / STATISTICS / "_".join((run.task, run.dataset, ACCURACY, run.name))
            trials.write(statistics, trials.trials(run).items())
            advance()

"""LEMUR's folders, to be laid over its ``ab/nn``: the networks, and what was measured with them.

``nn/<name>.py`` and ``stat/train/<task>_<dataset>_<metric>_<name>/<epoch>.json``.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from lrgen.lemur import trials
from lrgen.lemur.folder import new_folder
from lrgen.lemur.names import ACCURACY
from lrgen.lemur.runs import Measured

STATISTICS = Path("stat", "train")


def export(runs: Iterable[Measured], out: Path, advance: Callable[[], None] = lambda: None) -> None:
    """Write the runs into a new folder; ``advance`` is called once for each.

    Raises:
        OutputError: when the folder is there and not empty, or cannot be written; nothing of it is left.
    """
    with new_folder(out) as folder:
        (folder / "nn").mkdir()
        for run in runs:
            (folder / "nn" / f"{run.name}.py").write_bytes(run.code)
            place = folder / STATISTICS / "_".join((run.task, run.dataset, ACCURACY, run.name))
            trials.write(place, trials.trials(run).items())
            advance()

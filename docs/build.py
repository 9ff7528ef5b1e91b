"""``make docs``: the reference of the command line and the picture of the schedules.

A test says whether what is committed is what this writes.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lrgen import catalogue as catalogues
from lrgen import curves
from lrgen.records import Unit, Variant

HERE = Path(__file__).parent
COMMANDS = (
    (),
    ("render",),
    ("verify",),
    ("list", "models"),
    ("list", "schedules"),
    ("list", "families"),
    ("results", "best"),
    ("results", "classes"),
    ("results", "failures"),
    ("doctor",),
)
HORIZON = 360
# Okabe & Ito's colours, which colour-blind people can tell apart, and dashes for print without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999", "#F0E442", "#8C564B")
DASHES = ("-", "--", "-.", ":")


def cli_text() -> str:
    """The help of every command, as it is printed on 90 columns."""
    parts = ["# The command line\n\nWritten by `make docs` from the commands themselves.\n"]
    environment = {**os.environ, "COLUMNS": "90", "NO_COLOR": "1", "TERM": "dumb"}
    for command in COMMANDS:
        name = " ".join(("lrgen", *command))
        arguments = [sys.executable, "-m", "lrgen", *command, "--help"]
        shown = subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True).stdout
        lines = "\n".join(line.rstrip() for line in shown.replace("python -m lrgen", "lrgen").strip().splitlines())
        parts.append(f"## {name}\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


def drawn(variant: Variant) -> np.ndarray:
    """The curve of a variant as fractions of the base rate; a metric-driven one on a loss that stops falling."""
    if variant.unit is Unit.METRIC:
        loss = np.maximum(np.exp(-np.arange(HORIZON) / (HORIZON / 8)), np.exp(-3.0))
        return curves.follow(variant, list(loss[:-1]), HORIZON)
    return curves.rates(variant, np.arange(HORIZON), HORIZON)


def picture(path: Path) -> None:
    """The schedules in small multiples by family; one line for each curve, equivalents left out."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "lrgen", "svg.fonttype": "none", "font.size": 8, "axes.titlesize": 9})
    families = catalogues.load().families
    columns = 4
    rows = -(-len(families) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(11, 2.2 * rows), sharex=True, sharey=True)
    for axis, family in zip(axes.flat, families, strict=False):
        for index, variant in enumerate(one for one in family.variants if one.equivalent_to is None):
            style = {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}
            axis.plot(np.arange(HORIZON) / HORIZON, drawn(variant), linewidth=1.2, **style)
        axis.set_title(family.title)
        axis.grid(alpha=0.25)
    for axis in axes.flat[len(families) :]:
        axis.set_axis_off()
    figure.supxlabel("fraction of training")
    figure.supylabel("learning rate / base rate")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def stale() -> Iterator[str]:
    """The generated documents that are not what this module writes."""
    if (HERE / "cli.md").read_text(encoding="utf-8") != cli_text():
        yield "docs/cli.md"


if __name__ == "__main__":
    (HERE / "cli.md").write_text(cli_text(), encoding="utf-8")
    picture(HERE / "schedules.svg")

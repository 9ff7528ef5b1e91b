"""``python -m docs.anywhere [NAME ...]``: runs the matrix for all schedules, or for some; writes it if it is whole.

It ends with 1 if a learning rate differs from its curve by more than 1e-9 of the base learning rate.
"""

import math
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from docs.anywhere import torch_ways, trainers
from docs.anywhere.updates import BASE_LRS, BATCHES, TOLERANCE, UPDATES, NotApplicableError, expected, horizon_of
from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue
from lrgen.schedules import SCHEDULES, Schedule, find

DOCUMENT = Path(__file__).parent.parent / "schedules-anywhere.md"
LIBRARIES = ("torch", "transformers", "accelerate", "lightning", "timm")


@dataclass(frozen=True)
class Column:
    """A way to train; ``per_update`` says that it advances every schedule once per update."""

    title: str
    run: Callable[[Schedule], list[list[float]]]
    lrs: tuple[float, ...] = BASE_LRS[:1]
    per_update: bool = False


COLUMNS = (
    Column("plain loop", torch_ways.plain_loop),
    Column("transformers.Trainer", trainers.hf, per_update=True),
    Column("accelerate, 1 process", trainers.accelerate_1),
    Column("accelerate, 2 processes", trainers.accelerate_2),
    Column("Lightning", trainers.lightning),
    Column("timm", trainers.timm),
    Column("torch.compile", torch_ways.compiled),
    Column("foreach", torch_ways.foreach),
    Column("fused", torch_ways.fused),
    Column("capturable", torch_ways.capturable),
    Column("GradScaler", torch_ways.grad_scaler),
    Column("two groups", torch_ways.two_groups, lrs=BASE_LRS),
    Column("tensor rate", torch_ways.tensor_rate),
    Column("pickle", torch_ways.pickled),
    Column("deepcopy", torch_ways.deep_copied),
    Column("resume", torch_ways.resumed),
)

Cell = float | str
"""The largest difference as a fraction of the base learning rate, or the reason why there is none."""


def cell(catalogue: Catalogue, column: Column, schedule: Schedule) -> Cell:
    """Train a schedule in a way, and compare the learning rate of each update with the curve."""
    horizon = UPDATES if column.per_update else horizon_of(schedule)
    curve = expected(catalogue, schedule, horizon, column.lrs)
    try:
        used = np.array(column.run(schedule))
    except NotApplicableError as reason:
        return str(reason)
    if used.shape != curve.shape:
        return float("inf")  # another number of updates
    return float(np.max(np.abs(used - curve) / np.array(column.lrs)))


def table(catalogue: Catalogue, schedules: Sequence[Schedule], columns: Sequence[Column] = COLUMNS) -> list[list[Cell]]:
    """The cells of some schedules, a row for each."""
    trainers.SELECTED[:] = schedules
    return [[cell(catalogue, column, schedule) for column in columns] for schedule in schedules]


def failed(rows: Sequence[Sequence[Cell]]) -> int:
    """The number of cells whose learning rates are not those of the curve."""
    return sum(not isinstance(value, str) and not value <= TOLERANCE for row in rows for value in row)


def text(schedules: Sequence[Schedule], rows: Sequence[Sequence[Cell]], columns: Sequence[Column] = COLUMNS) -> str:
    """The document: what a column is, the table, and the reasons of cells that are not applicable."""
    reasons = sorted({value for row in rows for value in row if isinstance(value, str)})
    shown = [[_shown(value, reasons) for value in row] for row in rows]
    measured = [[value for value in column if not isinstance(value, str)] for column in zip(*rows, strict=True)]
    largest = [_bound(max(value)) if value else "" for value in measured]
    installed = {library.name: library.version for library in metadata.distributions()}
    versions = ", ".join(f"{name} {installed[name]}" for name in LIBRARIES if name in installed)
    lines = [
        "# Schedules anywhere\n",
        f"Written by `make matrix` ({versions}). Each schedule of `lrgen.schedules` (docs/schedules-library.md) is "
        f"trained for {UPDATES} updates, {BATCHES} in each epoch, in each way. The learning rate of **each update** is "
        "read off the parameters and compared with the curve of `lrgen.curves`. "
        f"✓: the largest difference is at most {TOLERANCE:g} of the base learning rate.\n",
        "| column | what is run |\n|---|---|",
        *(f"| {column.title} | {' '.join((column.run.__doc__ or '').split())} |" for column in columns),
        f"\n| schedule | {' | '.join(column.title for column in columns)} |\n|---|{':-:|' * len(columns)}",
        *(f"| {_link(schedule)} | {' | '.join(row)} |" for schedule, row in zip(schedules, shown, strict=True)),
        f"| **largest difference below** | {' | '.join(largest)} |",
        *([""] if reasons else []),
        *(f"{index}. Not applicable: {reason}." for index, reason in enumerate(reasons, start=1)),
    ]
    return "\n".join(lines) + "\n"


def _shown(value: Cell, reasons: Sequence[str]) -> str:
    if isinstance(value, str):
        return f"– ({reasons.index(value) + 1})"
    return "✓" if value <= TOLERANCE else f"**{value:.0e}**"


def _link(schedule: Schedule) -> str:
    """The name of a schedule, with a link to its entry."""
    key = f"A0_{schedule.number:03d}"
    return f"[{schedule.name}](schedules.md#{key.lower()}-{schedule.name.lower()})"


def _bound(value: float) -> str:
    """The power of ten above a difference: rounding differs from machine to machine, its order does not."""
    return f"1e{max(-15, math.floor(math.log10(value)) + 1):d}" if value else "1e-15"


def main(names: Sequence[str]) -> int:
    """Run the matrix for the named schedules, by default all; return the exit code."""
    torch.set_num_threads(1)  # for tensors of one number
    warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*before.*optimizer.step.*")  # a skipped first update
    schedules = [find(name) for name in names] or list(SCHEDULES)
    rows = table(catalogues.load(), schedules)
    document = text(schedules, rows)
    if names:
        print(document)
    else:
        DOCUMENT.write_text(document, encoding="utf-8")
    count = failed(rows)
    print(f"{len(schedules)} schedules in {len(COLUMNS)} ways: {count} cells differ from their curves")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

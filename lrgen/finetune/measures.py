"""Measures of a written dataset, for its card: what tests share with training, and how training repeats itself."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from lrgen.finetune import exposure, near_duplicates, repetition
from lrgen.finetune.exposure import Exposure, Samples
from lrgen.finetune.formats import parquet
from lrgen.finetune.near_duplicates import NearDuplicates
from lrgen.finetune.repetition import Repetition
from lrgen.finetune.rows import Split

_MANY = 50_000  # rows, from which on a process for each measure is worth its start


@dataclass(frozen=True)
class Measures:
    """The measures of a dataset; without training there are none."""

    exposures: list[Exposure]
    near: list[NearDuplicates]
    repetition: Repetition | None


def measure(folder: Path, samples: Samples, rows: int, workers: int) -> Measures:
    """Measure a dataset whose Parquet files are written; ``samples`` are answers outside of training."""
    if Split.TRAIN not in parquet.splits(folder):
        return Measures([], [], None)
    calls: list[tuple[Callable[..., Any], Any]] = [
        (_exposures, samples),
        (_near, samples),
        (_repetition, None),
    ]
    if workers > 1 and rows > _MANY:
        with ProcessPoolExecutor(min(workers, len(calls)), get_context("spawn")) as pool:
            running = [pool.submit(function, argument, folder) for function, argument in calls]
            exposures, near, repeated = [future.result() for future in running]
    else:
        exposures, near, repeated = [function(argument, folder) for function, argument in calls]
    return Measures(exposures, near, repeated)


def _exposures(samples: Samples, folder: Path) -> list[Exposure]:
    return exposure.measure(samples, _texts(folder, ("prompt", "completion")))


def _near(samples: Samples, folder: Path) -> list[NearDuplicates]:
    return near_duplicates.measure(samples, _texts(folder, ("completion",)))


def _repetition(_: None, folder: Path) -> Repetition:
    return repetition.measure(_texts(folder, ("completion",)))


def _texts(folder: Path, columns: tuple[str, ...]) -> Iterator[str]:
    """Yield columns of the rows of training, each row as one text."""
    for row in parquet.read(folder, Split.TRAIN, columns):
        yield "\n".join(row[column] for column in columns)

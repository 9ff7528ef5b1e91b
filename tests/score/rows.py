"""Rows of a small dataset, and a scorer for them."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lrgen.catalogue import Catalogue
from lrgen.finetune import manifest
from lrgen.finetune.example import Example, Reference, Row
from lrgen.finetune.formats import parquet
from lrgen.finetune.rows import SCHEMA, Rows, Split
from lrgen.finetune.tasks import convert, explain, infill, trace, write
from lrgen.score.completions import Completion
from lrgen.score.scorer import Scorer, ScoreSettings
from lrgen.verify import verdicts
from tests import corpus

CASE_SEED = 1


def row_of(example: Example) -> Row:
    """Return an example as a row of the test split."""
    return Rows(0).of(example, Split.TEST, "group")


def rows_of(catalogue: Catalogue, task: str, numbers: Iterable[int], model: str = "Tiny") -> list[Row]:
    """Return the rows of a task from files of a model, one of each file if it asks for a file."""
    task_input = dataclasses.replace(corpus.task_input(catalogue, numbers, model), rows_per_file=1)
    tasks = {each.NAME: each for each in (write, infill, convert, explain, trace)}
    return [row_of(example) for example in tasks[task].examples(task_input)]


def scorer_in(folder: Path, catalogue: Catalogue, workers: int = 2, **changed: Any) -> Scorer:
    """Return a scorer whose cache is in a folder; ``changed`` are its other settings."""
    settings = ScoreSettings(case_seed=CASE_SEED, workers=workers, **changed)
    return Scorer(Reference(catalogue), settings, verdicts.cache_in(folder))


def samples_of(row: Row, texts: Iterable[str]) -> list[tuple[Row, Completion]]:
    """Return texts as samples of a row."""
    return [(row, Completion(row["id"], number, text, "")) for number, text in enumerate(texts)]


def dataset_in(folder: Path, catalogue: Catalogue) -> dict[Split, list[Row]]:
    """Write a dataset that explains schedules, whose answers are graded without executing a file."""
    rows = {}
    folder.mkdir()
    writer = parquet.ParquetWriter(parquet, folder / parquet.NAME)
    for split, number in ((Split.TRAIN, 1), (Split.TEST, 2)):
        examples = explain.examples(corpus.task_input(catalogue, [number]))
        rows[split] = [Rows(0).of(example, split, split.value) for example in examples]
        for row in rows[split]:
            writer.write(row)
    writer.close()
    manifest.write(folder, {"schema": SCHEMA, "arguments": {}, "counts": {}, "held_out": {}})
    return rows

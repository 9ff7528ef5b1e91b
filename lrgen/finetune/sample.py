"""Samples of the rows of a dataset."""

import heapq
from collections.abc import Collection
from pathlib import Path

from lrgen.errors import UnknownNameError
from lrgen.finetune import manifest
from lrgen.finetune.example import Row
from lrgen.finetune.formats import parquet


def sample(folder: Path, count: int, tasks: Collection[str] = ()) -> list[Row]:
    """Return the rows with the smallest ids: a random but reproducible sample.

    Raises:
        DatasetError: when the folder is not a dataset.
        UnknownNameError: when the dataset has no such task.
    """
    known = manifest.read(folder).get("counts", {}).get("tasks", {})
    for task in tasks:
        if task not in known:
            raise UnknownNameError("task", task, known)
    splits = parquet.splits(folder)
    rows = (row for split in splits for row in parquet.read(folder, split, ("id", "task")))
    chosen = heapq.nsmallest(count, (row["id"] for row in rows if not tasks or row["task"] in tasks))
    sampled = [row for split in splits for row in _with_ids(folder, split, chosen)]
    return sorted(sampled, key=lambda row: str(row["id"]))


def _with_ids(folder: Path, split: str, ids: Collection[str]) -> list[Row]:
    from pyarrow import parquet as files

    path = folder / parquet.NAME / parquet.file_of(split)
    rows: list[Row] = files.read_table(path, filters=[("id", "in", sorted(ids))]).to_pylist()
    return rows

"""Answers that are labelled good or bad (KTO in TRL and LLaMA-Factory): ``{"prompt", "completion", "label", …}``."""

from collections.abc import Iterable
from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats.lines import dataset_info, meta, named_lines

NAME = "kto"
SUMMARY = "answers that are labelled good or bad (KTO)"
file_of = named_lines


def takes(row: Row) -> bool:
    """Rows with a label."""
    return row["label"] is not None


def line(row: Row) -> dict[str, Any]:
    """The row as a labelled answer."""
    texts = {name: row[name] for name in ("id", "task", "prompt", "completion", "label")}
    return texts | {"meta": meta(row)}


def extras(splits: Iterable[str]) -> dict[str, str]:
    """LLaMA-Factory's description of the files."""
    columns = {"prompt": "prompt", "response": "completion", "kto_tag": "label"}
    return dataset_info(NAME, splits, {"columns": columns})

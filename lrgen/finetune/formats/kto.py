"""Completions labelled correct or incorrect, for KTO (TRL, LLaMA-Factory): ``{"prompt", "completion", "label", …}``."""

from collections.abc import Iterable
from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats.lines import dataset_info, meta, named_lines

NAME = "kto"
SUMMARY = "completions labelled correct or incorrect (KTO)"
file_of = named_lines


def takes(row: Row) -> bool:
    """Return whether the row has a label."""
    return row["label"] is not None


def line(row: Row) -> dict[str, Any]:
    """Return the row as a labelled completion."""
    texts = {name: row[name] for name in ("id", "task", "prompt", "completion", "label")}
    return texts | {"meta": meta(row)}


def extras(splits: Iterable[str]) -> dict[str, str]:
    """Return LLaMA-Factory's ``dataset_info.json``."""
    columns = {"prompt": "prompt", "response": "completion", "kto_tag": "label"}
    return dataset_info(NAME, splits, {"columns": columns})

"""Pairs for direct preference optimization (TRL, LLaMA-Factory): ``{"prompt", "chosen", "rejected", …}``."""

from collections.abc import Iterable
from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats.lines import dataset_info, meta, named_lines

NAME = "dpo"
SUMMARY = "preference pairs (DPO)"
file_of = named_lines


def takes(row: Row) -> bool:
    """Return whether the row has a rejected completion."""
    return row["rejected"] is not None


def line(row: Row) -> dict[str, Any]:
    """Return the row as a preference pair."""
    texts = {"prompt": row["prompt"], "chosen": row["completion"], "rejected": row["rejected"]}
    return {"id": row["id"], "task": row["task"]} | texts | {"meta": meta(row)}


def extras(splits: Iterable[str]) -> dict[str, str]:
    """Return LLaMA-Factory's ``dataset_info.json``."""
    columns = {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"}
    return dataset_info(NAME, splits, {"ranking": True, "columns": columns})

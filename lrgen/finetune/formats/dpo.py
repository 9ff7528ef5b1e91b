"""Pairs for direct preference optimisation (TRL, LLaMA-Factory): ``{"prompt", "chosen", "rejected", …}``."""

from collections.abc import Iterable
from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats.lines import dataset_info, meta, named_lines

NAME = "dpo"
SUMMARY = "pairs of a better and a worse answer (DPO)"
file_of = named_lines


def takes(row: Row) -> bool:
    """Rows with a worse answer."""
    return row["rejected"] is not None


def line(row: Row) -> dict[str, Any]:
    """The row as a pair."""
    texts = {"prompt": row["prompt"], "chosen": row["completion"], "rejected": row["rejected"]}
    return {"id": row["id"], "task": row["task"]} | texts | {"meta": meta(row)}


def extras(splits: Iterable[str]) -> dict[str, str]:
    """LLaMA-Factory's description of the files."""
    columns = {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"}
    return dataset_info(NAME, splits, {"ranking": True, "columns": columns})

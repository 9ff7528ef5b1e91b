"""Prompts with completions; TRL computes the loss on the completion only: ``{"prompt", "completion", …}``."""

from collections.abc import Iterable
from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats import messages
from lrgen.finetune.formats.lines import dataset_info, meta, named_lines

NAME = "prompt_completion"
SUMMARY = "prompts with completions (TRL, with the loss on the completion only)"
file_of = named_lines
takes = messages.takes


def line(row: Row) -> dict[str, Any]:
    """Return the row as a prompt and its completion."""
    texts = {name: row[name] for name in ("id", "task", "prompt", "completion")}
    return texts | {"meta": meta(row)}


def extras(splits: Iterable[str]) -> dict[str, str]:
    """Return LLaMA-Factory's ``dataset_info.json``."""
    return dataset_info(NAME, splits, {"columns": {"prompt": "prompt", "response": "completion"}})

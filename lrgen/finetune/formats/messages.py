"""Conversations for TRL, Axolotl, Unsloth and LLaMA-Factory: ``{"messages": [system, user, assistant], …}``."""

from collections.abc import Iterable
from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats.lines import dataset_info, meta, named_lines

NAME = "messages"
SUMMARY = "conversations (TRL, Axolotl, Unsloth, LLaMA-Factory)"
SYSTEM = (
    "You are an expert in PyTorch and learning-rate schedules. You write complete, runnable code and answer with "
    "exactly what was requested."
)
file_of = named_lines


def takes(row: Row) -> bool:
    """Return whether the row has a single, correct completion."""
    return row["rejected"] is None and row["label"] is None


def conversation(prompt: str, completion: str) -> list[dict[str, str]]:
    """Return a prompt and its completion as messages."""
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": prompt},
        {"role": "assistant", "content": completion},
    ]


def line(row: Row) -> dict[str, Any]:
    """Return the row as a conversation."""
    messages = conversation(row["prompt"], row["completion"])
    return {"id": row["id"], "task": row["task"], "messages": messages, "meta": meta(row)}


def extras(splits: Iterable[str]) -> dict[str, str]:
    """Return LLaMA-Factory's ``dataset_info.json``."""
    roles = {"user_tag": "user", "assistant_tag": "assistant", "system_tag": "system"}
    tags = {"role_tag": "role", "content_tag": "content"} | roles
    return dataset_info(NAME, splits, {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags})

"""Conversations for TRL, Axolotl, Unsloth and LLaMA-Factory: ``{"messages": [system, user, assistant], …}``."""

from collections.abc import Iterable
from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats.lines import dataset_info, meta, named_lines

NAME = "messages"
SUMMARY = "conversations (TRL, Axolotl, Unsloth, LLaMA-Factory)"
SYSTEM = (
    "You are an expert in PyTorch and in learning-rate schedules. You write complete code that runs as it stands, and "
    "answer with what was asked for and nothing else."
)
file_of = named_lines


def takes(row: Row) -> bool:
    """Rows with one good answer."""
    return row["rejected"] is None and row["label"] is None


def conversation(prompt: str, answer: str) -> list[dict[str, str]]:
    """A question with its answer."""
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": prompt},
        {"role": "assistant", "content": answer},
    ]


def line(row: Row) -> dict[str, Any]:
    """The row as a conversation."""
    messages = conversation(row["prompt"], row["completion"])
    return {"id": row["id"], "task": row["task"], "messages": messages, "meta": meta(row)}


def extras(splits: Iterable[str]) -> dict[str, str]:
    """LLaMA-Factory's description of the files."""
    roles = {"user_tag": "user", "assistant_tag": "assistant", "system_tag": "system"}
    tags = {"role_tag": "role", "content_tag": "content"} | roles
    return dataset_info(NAME, splits, {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags})

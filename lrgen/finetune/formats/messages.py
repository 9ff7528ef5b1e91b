"""Conversations for TRL, Axolotl, Unsloth and LLaMA-Factory: ``{"messages": [system, user, assistant], …}``."""

from collections.abc import Iterable
from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats.lines import dataset_info, meta, named_lines

NAME = "messages"
SUMMARY = "conversations (TRL, Axolotl, Unsloth, LLaMA-Factory)"
file_of = named_lines


def takes(row: Row) -> bool:
    """Return whether the row has a single, correct completion."""
    return row["rejected"] is None and row["label"] is None


def question(row: Row) -> list[dict[str, str]]:
    """Return the system's and the user's message of a row."""
    return [{"role": "system", "content": row["system"]}, {"role": "user", "content": row["prompt"]}]


def reply(completion: str) -> list[dict[str, str]]:
    """Return a completion as the assistant's message."""
    return [{"role": "assistant", "content": completion}]


def line(row: Row) -> dict[str, Any]:
    """Return the row as a conversation."""
    messages = [*question(row), *reply(row["completion"])]
    return {"id": row["id"], "task": row["task"], "messages": messages, "meta": meta(row)}


def extras(splits: Iterable[str]) -> dict[str, str]:
    """Return LLaMA-Factory's ``dataset_info.json``."""
    roles = {"user_tag": "user", "assistant_tag": "assistant", "system_tag": "system"}
    tags = {"role_tag": "role", "content_tag": "content"} | roles
    return dataset_info(NAME, splits, {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags})

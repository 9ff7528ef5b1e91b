"""Conversations for TRL, Axolotl, Unsloth and LLaMA-Factory: ``{"messages": [system, user, assistant], …}``."""

from collections.abc import Iterable
from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats.lines import dataset_info, meta, named_lines

NAME = "messages"
SUMMARY = "conversations (TRL, Axolotl, Unsloth, LLaMA-Factory)"
file_of = named_lines

Messages = list[dict[str, str]]


def takes(row: Row) -> bool:
    """Return whether the row has a single, correct completion."""
    return row["rejected"] is None and row["label"] is None


def question(row: Row) -> Messages:
    """Return the system's and the user's message of a row."""
    return [{"role": "system", "content": row["system"]}, {"role": "user", "content": row["prompt"]}]


def reply(completion: str) -> Messages:
    """Return a completion as the assistant's message."""
    return [{"role": "assistant", "content": completion}]


def conversation(row: Row) -> Messages:
    """Return a row as a conversation of three messages."""
    return [*question(row), *reply(row["completion"])]


def line(row: Row) -> dict[str, Any]:
    """Return the row as a conversation."""
    return {"id": row["id"], "task": row["task"], "messages": conversation(row), "meta": meta(row)}


def extras(splits: Iterable[str]) -> dict[str, str]:
    """Return LLaMA-Factory's ``dataset_info.json``."""
    return dataset_info(NAME, splits, {"columns": {"messages": "messages"}})

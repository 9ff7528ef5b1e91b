"""Conversations for TRL, Axolotl, Unsloth and LLaMA-Factory: ``{"messages": [system, user, assistant], …}``."""

from collections.abc import Iterable
from typing import Any

import orjson

from lrgen.finetune.example import Row
from lrgen.finetune.formats.lines import dataset_info, meta, named_lines

NAME = "messages"
SUMMARY = "conversations (TRL, Axolotl, Unsloth, LLaMA-Factory)"
file_of = named_lines

Messages = list[dict[str, str]]
_ROLES = ("user", "assistant")


def takes(row: Row) -> bool:
    """Return whether the row has a single, correct completion."""
    return row["rejected"] is None and row["label"] is None


def question(row: Row) -> Messages:
    """Return the system's message, the turns before the prompt, and the prompt of a row."""
    return asked(row, row["prompt"])


def asked(row: Row, prompt: str) -> Messages:
    """Return the messages of a row with another prompt."""
    turns = orjson.loads(row["history"]) if row["history"] != "[]" else ()
    earlier = [{"role": role, "content": text} for turn in turns for role, text in zip(_ROLES, turn, strict=True)]
    return [{"role": "system", "content": row["system"]}, *earlier, {"role": "user", "content": prompt}]


def reply(completion: str) -> Messages:
    """Return a completion as the assistant's message."""
    return [{"role": "assistant", "content": completion}]


def conversation(row: Row) -> Messages:
    """Return a row as a conversation."""
    return [*question(row), *reply(row["completion"])]


def line(row: Row) -> dict[str, Any]:
    """Return the row as a conversation."""
    return {"id": row["id"], "task": row["task"], "messages": conversation(row), "meta": meta(row)}


def extras(splits: Iterable[str]) -> dict[str, str]:
    """Return LLaMA-Factory's ``dataset_info.json``."""
    return dataset_info(NAME, splits, {"columns": {"messages": "messages"}})

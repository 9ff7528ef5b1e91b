"""Conversations labelled correct or incorrect, for KTO with LLaMA-Factory: ``{"messages", "label", …}``."""

from collections.abc import Iterable
from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats import kto, messages
from lrgen.finetune.formats.lines import dataset_info, meta, named_lines

NAME = "kto_messages"
SUMMARY = "conversations labelled correct or incorrect (KTO with LLaMA-Factory)"
file_of = named_lines
takes = kto.takes


def line(row: Row) -> dict[str, Any]:
    """Return the row as a labelled conversation."""
    texts = {"messages": messages.conversation(row), "label": row["label"]}
    return {"id": row["id"], "task": row["task"]} | texts | {"meta": meta(row)}


def extras(splits: Iterable[str]) -> dict[str, str]:
    """Return LLaMA-Factory's ``dataset_info.json``."""
    return dataset_info(NAME, splits, {"columns": {"messages": "messages", "kto_tag": "label"}})

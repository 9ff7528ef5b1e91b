"""Completions labelled correct or incorrect, as messages, for KTO (TRL): ``{"prompt", "completion", "label", …}``."""

from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats import messages
from lrgen.finetune.formats.lines import meta, named_lines, no_extras

NAME = "kto"
SUMMARY = "completions labelled correct or incorrect, as messages (TRL's KTO)"
file_of = named_lines
extras = no_extras


def takes(row: Row) -> bool:
    """Return whether the row has a label."""
    return row["label"] is not None


def line(row: Row) -> dict[str, Any]:
    """Return the row as a labelled completion."""
    texts = {"prompt": messages.question(row), "completion": messages.reply(row["completion"]), "label": row["label"]}
    return {"id": row["id"], "task": row["task"]} | texts | {"meta": meta(row)}

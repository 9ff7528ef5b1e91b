"""Pairs for direct preference optimization, as messages (TRL): ``{"prompt", "chosen", "rejected", …}``."""

from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats import messages
from lrgen.finetune.formats.lines import meta, named_lines, no_extras

NAME = "dpo"
SUMMARY = "preference pairs, as messages (TRL's DPO)"
file_of = named_lines
extras = no_extras


def takes(row: Row) -> bool:
    """Return whether the row has a rejected completion."""
    return row["rejected"] is not None


def line(row: Row) -> dict[str, Any]:
    """Return the row as a preference pair."""
    answers = {"chosen": messages.reply(row["completion"]), "rejected": messages.reply(row["rejected"])}
    return {"id": row["id"], "task": row["task"], "prompt": messages.question(row)} | answers | {"meta": meta(row)}

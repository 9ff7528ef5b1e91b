"""Prompts with completions, as messages; TRL's loss is on the completion only: ``{"prompt", "completion", …}``."""

from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats import messages
from lrgen.finetune.formats.lines import meta, named_lines, no_extras

NAME = "prompt_completion"
SUMMARY = "prompts with completions, as messages (TRL, with the loss on the completion only)"
file_of = named_lines
extras = no_extras
takes = messages.takes


def line(row: Row) -> dict[str, Any]:
    """Return the row as a prompt and its completion."""
    texts = {"prompt": messages.question(row), "completion": messages.reply(row["completion"])}
    return {"id": row["id"], "task": row["task"]} | texts | {"meta": meta(row)}

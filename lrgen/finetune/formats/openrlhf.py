"""Prompts with labels for a reward function, for OpenRLHF: ``{"id", "datasource", "prompt", "label"}``.

OpenRLHF reads ``prompt``, a list of messages, with ``--data.input_key prompt --data.apply_chat_template``, ``label``
with ``--data.label_key label``, and ``datasource`` by that name. The label is the row (``scored.text_of``).
"""

from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats import scored
from lrgen.finetune.formats.lines import named_lines, no_extras

NAME = "openrlhf"
SUMMARY = "prompts with labels for a reward function (OpenRLHF)"
file_of = named_lines
extras = no_extras


def takes(row: Row) -> bool:
    """Return True: each row can be scored."""
    return True


def line(row: Row) -> dict[str, Any]:
    """Return the row as a prompt and its label."""
    values = {"prompt": scored.chat(row), "label": scored.text_of(row)}
    return {"id": row["id"], "datasource": row["data_source"]} | values

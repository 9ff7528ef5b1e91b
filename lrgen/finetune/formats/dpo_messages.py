"""Preference pairs for LLaMA-Factory and Axolotl: ``{"messages": [system, user], "chosen": {…}, "rejected": {…}, …}``.

Both read each answer as one message, where TRL reads a list of them (``dpo``).
"""

from collections.abc import Iterable
from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats import dpo, messages
from lrgen.finetune.formats.lines import dataset_info, meta, named_lines

NAME = "dpo_messages"
SUMMARY = "preference pairs (DPO with LLaMA-Factory, Axolotl)"
file_of = named_lines
takes = dpo.takes


def line(row: Row) -> dict[str, Any]:
    """Return the row as a preference pair."""
    [chosen], [rejected] = messages.reply(row["completion"]), messages.reply(row["rejected"])
    texts = {"messages": messages.question(row), "chosen": chosen, "rejected": rejected}
    return {"id": row["id"], "task": row["task"]} | texts | {"meta": meta(row)}


def extras(splits: Iterable[str]) -> dict[str, str]:
    """Return LLaMA-Factory's ``dataset_info.json``."""
    columns = {"messages": "messages", "chosen": "chosen", "rejected": "rejected"}
    return dataset_info(NAME, splits, {"ranking": True, "columns": columns})

"""Questions with answers, of which TRL learns the answer alone: ``{"prompt", "completion", …}``."""

from collections.abc import Iterable
from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats import messages
from lrgen.finetune.formats.lines import dataset_info, meta, named_lines

NAME = "prompt_completion"
SUMMARY = "prompts with completions (TRL, whose loss is then on the completion alone)"
file_of = named_lines
takes = messages.takes


def line(row: Row) -> dict[str, Any]:
    """The row as a question and its answer."""
    texts = {name: row[name] for name in ("id", "task", "prompt", "completion")}
    return texts | {"meta": meta(row)}


def extras(splits: Iterable[str]) -> dict[str, str]:
    """LLaMA-Factory's description of the files."""
    return dataset_info(NAME, splits, {"columns": {"prompt": "prompt", "response": "completion"}})

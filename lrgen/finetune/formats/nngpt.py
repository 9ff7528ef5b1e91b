"""NNGPT's corpus: ``train.jsonl``, ``dev.jsonl``, ``test.jsonl`` of ``{"id", "messages", "meta"}``.

A whole file becomes ``<hp>{json}</hp>`` and ``<nn>code</nn>``, as NNGPT parses it, a diff becomes ``<hp>`` and
``<delta>``, other code a code block; other completions are unchanged.
"""

from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats import messages
from lrgen.finetune.formats.lines import named_lines, no_extras
from lrgen.source.normalise import definitions_digest

NAME = "nngpt"
SUMMARY = "NNGPT's chat corpus, with its <hp>, <nn> and <delta> answers"
takes = messages.takes
extras = no_extras
# Columns that are never null, so that all lines have the same keys and types.
_META = (
    *("task", "split", "group", "architecture", "variant", "variant_name", "family", "unit", "scope", "level"),
    *("source_sha256", "hyperparameters", "evidence", "licence", "generator"),
)


def file_of(split: str) -> str:
    """Return NNGPT's file name of a split: validation is ``dev.jsonl``."""
    return named_lines("dev" if split == "validation" else split)


def line(row: Row) -> dict[str, Any]:
    """Return the row as a conversation in NNGPT's format."""
    conversation = [*messages.question(row), *messages.reply(answer(row))]
    return {"id": row["id"], "messages": conversation, "meta": {name: row[name] for name in _META}}


def answer(row: Row) -> str:
    """Return the completion in the format that NNGPT parses."""
    text: str = row["completion"]
    if text.startswith("--- "):
        return f"<hp>{row['hyperparameters']}</hp>\n<delta>\n{text}</delta>"
    if "\nclass Net(" in text:
        return f"<hp>{row['hyperparameters']}</hp>\n<nn>\n{text}</nn>"
    return f"```python\n{text}```" if definitions_digest(text) else text

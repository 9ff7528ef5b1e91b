"""NNGPT's corpus: ``train.jsonl``, ``dev.jsonl``, ``test.jsonl`` of ``{"id", "messages", "meta"}``.

A whole file is answered as NNGPT reads it, ``<hp>{json}</hp>`` and ``<nn>code</nn>``, a diff as ``<hp>`` and
``<delta>``, other code in a fence, and everything else as it is.
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
# Text that is never null, so that every line's object has the same keys and types.
_META = (
    *("task", "split", "group", "architecture", "variant", "variant_name", "family", "unit", "scope", "level"),
    *("source_sha256", "hyperparameters", "evidence", "licence", "generator"),
)


def file_of(split: str) -> str:
    """NNGPT's name of a split; the hard tests keep theirs."""
    return named_lines("dev" if split == "validation" else split)


def line(row: Row) -> dict[str, Any]:
    """The row as a conversation in NNGPT's form."""
    conversation = messages.conversation(row["prompt"], answer(row))
    return {"id": row["id"], "messages": conversation, "meta": {name: row[name] for name in _META}}


def answer(row: Row) -> str:
    """The completion in the form that NNGPT's parser looks for."""
    text: str = row["completion"]
    if text.startswith("--- "):
        return f"<hp>{row['hyperparameters']}</hp>\n<delta>\n{text}</delta>"
    if "\nclass Net(" in text:
        return f"<hp>{row['hyperparameters']}</hp>\n<nn>\n{text}</nn>"
    return f"```python\n{text}```" if definitions_digest(text) else text

"""NNGPT's corpus: ``train.jsonl``, ``dev.jsonl``, ``test.jsonl`` of ``{"id", "messages", "meta"}``.

A whole file becomes ``<hp>{json}</hp>`` and ``<nn>code</nn>``, as NNGPT parses it, a diff becomes ``<hp>`` and
``<delta>``, other code a code block; other completions are unchanged. The prompt asks for the form of its answer.
"""

from typing import Any

from lrgen.finetune.example import Row
from lrgen.finetune.formats import messages
from lrgen.finetune.formats.lines import meta, named_lines, no_extras
from lrgen.source.normalise import definitions_digest

NAME = "nngpt"
SUMMARY = "NNGPT's chat corpus, with its <hp>, <nn> and <delta> answers"
takes = messages.takes
extras = no_extras

_FILE = (
    "Reply with two tags: `<hp>` with the training hyperparameters as JSON, then `<nn>` with the whole file.",
    "Put the training hyperparameters as JSON in <hp>…</hp> and the complete file in <nn>…</nn>.",
    "Format: <hp>{hyperparameters as JSON}</hp>, then <nn>the full file</nn>, nothing else.",
)
_DIFF = (
    "Reply with two tags: `<hp>` with the training hyperparameters as JSON, then `<delta>` with the unified diff.",
    "Put the training hyperparameters as JSON in <hp>…</hp> and the diff in <delta>…</delta>.",
    "Format: <hp>{hyperparameters as JSON}</hp>, then <delta>the unified diff</delta>, nothing else.",
)
_CODE = (
    "Put the code in a Python code block.",
    "Reply with one fenced Python block.",
    "Format: a ```python block, nothing else.",
)


def file_of(split: str) -> str:
    """Return NNGPT's file name of a split: validation is ``dev.jsonl``."""
    return named_lines("dev" if split == "validation" else split)


def line(row: Row) -> dict[str, Any]:
    """Return the row as a conversation in NNGPT's format."""
    requests, answer = _form(row)
    *earlier, user = messages.question(row)
    if requests:
        request = requests[int(row["id"], 16) % len(requests)]
        user = user | {"content": f"{user['content']}\n\n{request}"}
    conversation = [*earlier, user, *messages.reply(answer)]
    return {"id": row["id"], "messages": conversation, "meta": meta(row)}


def _form(row: Row) -> tuple[tuple[str, ...], str]:
    """Return sentences that ask for the form that NNGPT parses, and the completion in this form."""
    text: str = row["completion"]
    if text.startswith("--- "):
        return _DIFF, f"<hp>{row['hyperparameters']}</hp>\n<delta>\n{text}</delta>"
    if "\nclass Net(" in text:
        return _FILE, f"<hp>{row['hyperparameters']}</hp>\n<nn>\n{text}</nn>"
    if definitions_digest(text):
        return _CODE, f"```python\n{text}```"
    return (), text

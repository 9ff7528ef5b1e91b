"""The answer in a completion that is asked for the code of a schedule alone, or for a part or a diff of it.

Code may stand alone, in a Markdown fence, in tags or between sentences. Of several parts, the answer is the last one
that defines what is asked for; a diff counts as that where one may be given.
"""

import json
import re
from collections.abc import Iterator

from lrgen.finetune.example import Row
from lrgen.score import blocks, patches
from lrgen.score.answers import FENCE, RAW, TAG, Answer
from lrgen.score.blocks import PROSE, framed, parsed

_CODE = frozenset({"schedule", "infill", "convert", "edit", "repair", "prefer", "inject"})
_PATCHED = frozenset({"edit", "repair", "inject"})
_PARTS = frozenset({"infill"})  # whose answer may be a part of a function


def entry_of(row: Row) -> str | None:
    """Return the name that the code of an answer defines; None for a row that does not ask for a schedule alone."""
    if row["task"] not in _CODE:
        return None
    interface = json.loads(row["checker"]).get("interface")
    return interface["entry"] if interface else None


def answer_of(task: str, entry: str, completion: str) -> Answer | None:
    """Return the answer in a completion of a task; None when nothing in it is code or a diff."""
    text = blocks.normalised(completion)
    stripped = text.strip("\n")
    defines = re.compile(rf"^(?:async[ ]+)?(?:def|class)[ ]+{re.escape(entry)}\b", re.MULTILINE)
    if _is_diff(task, stripped) or parsed(framed(text)) is not None or (task in _PARTS and _is_part(stripped)):
        return Answer(_kept(task, text), RAW)
    text = blocks.without_reasoning(blocks.finished(text))
    tagged = blocks.tagged(text)
    parts = list(_parts(task, tagged[-1] if tagged else text))
    chosen = next((part for part in reversed(parts) if defines.search(part.text) or _is_diff(task, part.text)), None)
    if chosen is None:
        chosen = parts[-1] if parts else None
    if chosen is None and tagged:
        chosen = Answer(framed(tagged[-1]), TAG)
    return Answer(chosen.text, TAG) if chosen and tagged else chosen


def _parts(task: str, text: str) -> Iterator[Answer]:
    """Yield the parts of a text that may be an answer: fences, diffs between sentences, and runs of code."""
    for block in blocks.split(text):
        if block.language != PROSE:
            yield Answer(_kept(task, block.text), FENCE)
            continue
        lines = block.text.split("\n")
        inner = list(patches.find(lines, alone=False)) if task in _PATCHED and lines else []
        yield from (Answer(patch.text, PROSE) for patch in inner)
        if not inner:
            yield from (Answer(_kept(task, run), PROSE) for run in blocks.runs(block.text) if parsed(framed(run)))


def _kept(task: str, code: str) -> str:
    """Return code as it is graded: whole code with one newline at its end, a part as it is indented."""
    if task in _PARTS:
        return code.strip("\n") + "\n"
    if _is_diff(task, code.strip("\n")):
        return code.strip("\n") + "\n"
    return framed(code)


def _is_diff(task: str, text: str) -> bool:
    return task in _PATCHED and text.startswith("--- ")


def _is_part(text: str) -> bool:
    """Return whether a text is statements or an expression, at whatever indentation, and nothing else."""
    lines = text.split("\n")
    margin = min((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), default=0)
    body = "\n".join(f"        {line[margin:]}" for line in lines)
    return parsed(f"def part():\n    while True:\n{body}\n") is not None

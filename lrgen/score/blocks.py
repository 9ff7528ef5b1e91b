"""The parts of a completion: reasoning, tags, Markdown fences, and code between sentences.

All functions are total and take linear time, whatever a model writes.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lrgen.verify.static.parsing import LOCK

PROSE = "prose"
"""``Block.language`` of text outside of fences."""

MAX_PARSED = 100_000
"""Code with more characters is not parsed; the longest rendered file has a quarter of them."""

_FINAL = "<|channel|>final<|message|>"
_END = re.compile(
    r"<\|(?:im_end|endoftext|eot_id|eom_id|end_of_text|end|return)\|>|</s>|<eos>|<end_of_turn>|<｜end▁of▁sentence｜>"
)
_REASONING = re.compile(r"<(/?)(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_TAG = re.compile(r"<(/?)(?:nn|answer)>", re.IGNORECASE)
_INFO = re.compile(r"[\w+#-]*")
_MARKDOWN = ("markdown", "md")
_STATEMENT = re.compile(
    r"import [\w., ]+$|from [\w.]+ import |(?:async )?def \w+ ?\(|class \w+ ?[(:]|@[\w.]+(?:\(|$)|[)\]}]|#(?!#)"
    r"|if __name__ ?=="
    r"|[rbuf]{0,2}(?:\"\"\"|''')"
    r"|[A-Za-z_][\w.]*(?:, ?[A-Za-z_][\w.]*)*(?:\[[^\]]*\])?(?: ?: ?[\w.\[\], |]+)? ?[-+*/|&%@]?=(?!=)"
    r"|[A-Za-z_][\w.]*\((?=.*[(),]$)"
)
_COMPOUND = re.compile(r"(?:if|for|while|with|try|else|elif|except|finally|match)\b")
_QUOTES = re.compile(r"\"\"\"|'''")
_WIDTH = 300  # of a line that is examined


@dataclass(frozen=True)
class Block:
    """A part of a text.

    Attributes:
        text: its lines, without the lines of a fence.
        language: the language that a fence names, in lower case; ``PROSE`` outside of fences.
        is_closed: whether the fence has an end.
    """

    text: str
    language: str
    is_closed: bool = True


def normalised(text: str) -> str:
    """Return a text with Unix newlines and without a byte order mark."""
    return text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def finished(text: str) -> str:
    """Return a text up to the first token by which a chat template ends an answer, in the channel of answers."""
    return _END.split(text.rpartition(_FINAL)[2], maxsplit=1)[0]


def without_reasoning(text: str) -> str:
    """Return a text without ``<think>`` blocks.

    A closing tag without an opening one ends a block that the prompt has opened; without a closing tag, the block
    extends to the end.
    """
    kept: list[str] = []
    begin, is_open = 0, False
    for tag in _REASONING.finditer(text):
        if tag[1]:
            if not is_open:
                kept.clear()
            begin, is_open = tag.end(), False
        elif not is_open:
            kept.append(text[begin : tag.start()])
            is_open = True
    return "".join(kept) if is_open else "".join((*kept, text[begin:]))


def tagged(text: str) -> list[str]:
    """Return the contents of ``<nn>`` and ``<answer>`` tags that are not blank; the last tag may be unclosed."""
    contents: list[str] = []
    begin: int | None = None
    for tag in _TAG.finditer(text):
        if begin is not None:
            contents.append(text[begin : tag.start()])
        begin = None if tag[1] else tag.end()
    if begin is not None:
        contents.append(text[begin:])
    return [content for content in contents if content.strip()]


def untagged(text: str) -> str:
    """Return a text without the tags, but with their contents."""
    return _TAG.sub("", text)


def split(text: str, *, nested: bool = True) -> list[Block]:
    """Return the fences of a text and the prose around them, in order.

    A fence may be indented, begin behind a colon, end behind code, or lack its end. The fences within a fence of
    Markdown are returned instead of it.
    """
    blocks: list[Block] = []
    for block in _split(text):
        if nested and (block.language in _MARKDOWN or block.text.lstrip().startswith(("```", "~~~"))):
            inner = split(block.text, nested=False)
            blocks += [replace(part, language=block.language) if part.language == PROSE else part for part in inner]
        else:
            blocks.append(block)
    return [block for block in blocks if block.text.strip()]


@dataclass(frozen=True)
class _Fence:
    """An opened fence."""

    mark: str
    indent: int
    language: str
    before: str = ""  # the prose of its line

    def is_closed_by(self, line: str) -> bool:
        """Return whether a line is the end of the fence."""
        mark = line.strip()
        return len(mark) >= len(self.mark) and not mark.strip(self.mark[0]) and self._is_outer(line)

    def is_replaced_by(self, other: "_Fence", line: str) -> bool:
        """Return whether a line opens a fence with a language, so that the end of this one is missing."""
        is_alike = other.mark[0] == self.mark[0] and len(other.mark) >= len(self.mark)
        return is_alike and bool(other.language) and not other.before and self._is_outer(line)

    def ends_behind(self, line: str) -> bool:
        """Return whether the end of the fence stands behind the code of a line."""
        code = line.rstrip().removesuffix(self.mark)
        is_end = bool(code.strip()) and len(code) < len(line.rstrip()) and code[-1] != "`"
        return is_end and self.mark[0] == "`" and self.mark not in code

    def _is_outer(self, line: str) -> bool:
        # A fence in the docstring of a method is indented by more.
        return len(line) - len(line.lstrip()) <= self.indent + 3


def _split(text: str) -> Iterator[Block]:
    lines: list[str] = []
    fence: _Fence | None = None
    for line in text.split("\n"):
        if "```" not in line and "~~~" not in line:
            lines.append(line)
        elif fence is None:
            if (opened := _opened(line)) is None:
                lines.append(line)
            else:
                yield Block("\n".join([*lines, opened.before]), PROSE)
                fence, lines = opened, []
        elif fence.is_closed_by(line):
            yield Block("\n".join(lines), fence.language)
            fence, lines = None, []
        elif (opened := _opened(line)) and fence.is_replaced_by(opened, line):
            yield Block("\n".join(lines), fence.language, is_closed=False)
            fence, lines = opened, []
        elif fence.ends_behind(line):
            yield Block("\n".join([*lines, line.rstrip().removesuffix(fence.mark)]), fence.language)
            fence, lines = None, []
        else:
            lines.append(line)
    yield Block("\n".join(lines), fence.language if fence else PROSE, is_closed=fence is None)


def _opened(line: str) -> _Fence | None:
    """Return the fence that a line opens."""
    stripped = line.strip()
    indent = len(line) - len(line.lstrip())
    for sign in "`~":
        if stripped.startswith(3 * sign):
            info = stripped.lstrip(sign)
            mark = stripped[: len(stripped) - len(info)]
            return None if sign in info else _Fence(mark, indent, _language(info))
    before, info = stripped[: (end := stripped.rfind("```"))].rstrip("`"), stripped[end + 3 :]
    behind_text = before.rstrip()
    if end < 0 or "```" in before or not _INFO.fullmatch(info):
        return None
    if not info and behind_text[-1:] != ":" and behind_text not in ("-", "*", "+"):
        return None
    return _Fence(stripped[len(before) : end + 3], indent, _language(info), before)


def _language(info: str) -> str:
    """Return the language that the line of a fence names: ``python title=…``, ``python:model.py``, ``{.python}``."""
    match = _INFO.match(info.strip().lstrip("{."))
    return match[0].lower() if match else ""


def runs(prose: str) -> list[str]:
    """Return the code between the sentences of a text: the longest runs of lines that may be Python.

    An indented run that follows a sentence is a code block of Markdown.
    """
    collected: list[str] = []
    lines: list[str] = []
    quotes, position = "", 0
    last = {mark: prose.rfind(mark) for mark in ('"""', "'''")}
    all_lines = prose.split("\n")
    for line, following in zip(all_lines, [*all_lines[1:], ""], strict=True):
        if quotes or (lines and not line[:1].strip()) or _is_statement(line, following):
            if lines and not quotes and line[:1].strip() and lines[0][:1] in (" ", "\t"):
                collected.append("\n".join(lines))
                lines = []
            lines.append(line)
            quotes = _quotes(line, quotes)
            if quotes and last[quotes] < position + len(line):
                quotes = ""  # the string has no end
        elif lines:
            collected.append("\n".join(lines))
            lines = []
        position += len(line) + 1
    collected.append("\n".join(lines))
    return [run for run in collected if run.strip()]


def _is_statement(line: str, following: str) -> bool:
    """Return whether a line reads as a line of Python, not as a sentence."""
    if not line.strip():
        return False
    if line[0] in " \t":
        return True
    line = line[:_WIDTH].rstrip()
    if _STATEMENT.match(line):
        return True
    is_header = line.endswith((":", "(", "[", "\\")) and following[:1] in (" ", "\t")
    return is_header and _COMPOUND.match(line) is not None


def _quotes(line: str, quotes: str) -> str:
    """Return the mark of the triple-quoted string that is open after a line; ``quotes`` is open before it."""
    comment = line.find("#")
    for match in _QUOTES.finditer(line):
        if not quotes:
            if 0 <= comment < match.start():
                break
            quotes = match[0]
        elif quotes == match[0]:
            quotes = ""
    return quotes


def framed(code: str) -> str:
    """Return code without blank lines around it, ending in a newline, and without an indentation of all lines.

    Only the first line is indented where a tokenizer begins a text with a space.
    """
    lines = code.split("\n")
    while lines and not lines[-1].strip():
        del lines[-1]
    begin = next((at for at, line in enumerate(lines) if line.strip()), 0)
    lines = lines[begin:]
    margins = {line[: len(line) - len(line.lstrip(" \t"))] for line in lines if line.strip()}
    margin = min(margins, key=len, default="")
    if margin and all(other.startswith(margin) for other in margins):
        lines = [line.removeprefix(margin) if line.strip() else "" for line in lines]
    elif lines:
        lines[0] = lines[0].lstrip(" \t")
    return "\n".join(lines).rstrip() + "\n" if lines else ""


def parsed(code: str) -> ast.Module | None:
    """Return the syntax tree of code; None when it is not Python, nested too deeply or too long."""
    if len(code) > MAX_PARSED:
        return None
    try:
        with LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None

"""Unified diffs in a text, in the form that lrgen.source.diffs applies: without the lines of git and of transport."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_HUNK = re.compile(r"@@ -\d{1,9}(?:,(\d{1,9}))? \+\d{1,9}(?:,(\d{1,9}))? @@")
_NO_NEWLINE = "\\"  # begins ``\ No newline at end of file``
IGNORED = ("diff --git ", "index ", "new file mode ", "old mode ", "new mode ", _NO_NEWLINE)
"""The beginnings of lines that git writes and that no patch contains."""

_CONTEXT = 3  # lines around a change


@dataclass(frozen=True)
class Patch:
    """A diff within lines: ``lines[begin:end]``."""

    text: str
    begin: int
    end: int


def find(lines: list[str], *, alone: bool) -> Iterator[Patch]:
    """Yield the diffs in lines. With ``alone``, as in a fence, no sentences surround a diff: it has all lines."""
    lines = _dedented(lines) if alone else [lines[0].lstrip(" "), *lines[1:]]
    at = 0
    while at < len(lines):
        if _begins(lines, at):
            patch = _read(lines, at, alone)
            yield patch
            at = patch.end
        else:
            at += 1


def _dedented(lines: list[str]) -> list[str]:
    """Return lines without the indentation of the first one; a diff within a list has it."""
    first = next((line for line in lines if line.strip()), "")
    margin = first[: len(first) - len(first.lstrip(" \t"))]
    return [line.removeprefix(margin) for line in lines] if margin else lines


def _begins(lines: list[str], at: int) -> bool:
    return lines[at].startswith("--- ") and at + 2 < len(lines) and _is_header(lines, at) and lines[at + 2][:3] == "@@ "


def _is_header(lines: list[str], at: int) -> bool:
    return lines[at].startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ ")


def _read(lines: list[str], begin: int, alone: bool) -> Patch:
    """Return the diff that begins at a line. Wrong numbers of lines are kept, so that it does not apply."""
    kept = lines[begin : begin + 2]
    at = end = begin + 2
    while at < len(lines):
        line = lines[at]
        if _is_header(lines, at):
            kept += lines[at : at + 2]
            at = end = at + 2
        elif header := _HUNK.match(line):
            kept.append(line)
            at = end = _read_hunk(lines, at + 1, int(header[1] or 1), int(header[2] or 1), kept)
        elif not line.strip() or line.startswith(IGNORED):
            at += 1
        elif alone or (at == end and line[0] in " +-"):
            kept.append(line)
            at = end = at + 1
        else:
            break
    return Patch("".join(f"{line}\n" for line in kept), begin, end)


def _read_hunk(lines: list[str], at: int, old: int, new: int, kept: list[str]) -> int:
    """Append the lines of a hunk with these numbers of lines to ``kept`` and return the index of the line after it.

    An empty line is an empty line of context, as in git; at the end of a text, such lines may be missing.
    """
    while (old > 0 or new > 0) and at < len(lines):
        line = lines[at] or " "
        if line[0] not in " +-\\":
            return at
        if line[0] != _NO_NEWLINE:
            old -= line[0] != "+"
            new -= line[0] != "-"
            kept.append(line)
        at += 1
    if at == len(lines) and 0 < old == new <= _CONTEXT:
        kept += [" "] * old
    return at

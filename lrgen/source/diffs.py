"""Unified diffs of one file in the format of git."""

import difflib
import re
from collections.abc import Iterator

from lrgen.errors import DatasetError

FILE_NAME = "model.py"
_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@.*\n?")


def unified(before: str, after: str, name: str = FILE_NAME) -> str:
    """Return the diff from ``before`` to ``after``; both end with a newline."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
    return "".join(lines)


def apply(diff: str, text: str) -> str:
    """Return the patched text. Each context or removed line must match at the exact position.

    Raises:
        DatasetError: when the text is not a diff or does not apply; the message names the hunk or the line.
    """
    old = text.splitlines(keepends=True)
    new: list[str] = []
    done = 0
    for begin, hunk in _hunks(diff):
        if begin < done:
            raise DatasetError(f"the hunk at line {begin + 1} overlaps with the hunk before it")
        new += old[done:begin]
        done = begin
        for line in hunk:
            mark, content = line[:1], line[1:]
            if mark in (" ", "-"):
                if done >= len(old) or old[done] != content:
                    raise DatasetError(f"line {done + 1} does not match the diff: {content.rstrip()!r}")
                done += 1
            if mark in (" ", "+"):
                new.append(content)
    return "".join(new + old[done:])


def patched(completion: str, text: str) -> str:
    """Return the text after a completion that is a diff; any other completion is the whole new text.

    Raises:
        DatasetError: when the completion is a diff that does not apply.
    """
    return apply(completion, text) if completion.startswith("--- ") else completion


def _hunks(diff: str) -> Iterator[tuple[int, list[str]]]:
    """Yield for each hunk the index of its first line in the old text, and its lines."""
    lines = diff.splitlines(keepends=True)
    if len(lines) < 3 or not lines[0].startswith("--- ") or not lines[1].startswith("+++ "):
        raise DatasetError("not a unified diff of one file: expected a --- line, a +++ line and a hunk")
    at = 2
    while at < len(lines):
        header = _HUNK.fullmatch(lines[at])
        if header is None:
            raise DatasetError(f"line {at + 1} of the diff is not a hunk header: {lines[at].rstrip()!r}")
        start, old_count, new_count = int(header[1]), int(header[2] or 1), int(header[4] or 1)
        hunk: list[str] = []
        at += 1
        while at < len(lines) and (old_count or new_count):
            mark = lines[at][:1]
            if mark not in (" ", "-", "+"):
                raise DatasetError(f"line {at + 1} of the diff does not begin with a space, - or +: {lines[at]!r}")
            old_count -= mark != "+"
            new_count -= mark != "-"
            hunk.append(lines[at])
            at += 1
        if old_count or new_count:
            raise DatasetError(f"the hunk at line {start} does not have the number of lines in its header")
        # An empty range names the line before it.
        yield start - (header[2] != "0"), hunk

"""Unified diffs of one file, as git writes them: made, and applied."""

import difflib
import re
from collections.abc import Iterator

from lrgen.errors import DatasetError

FILE_NAME = "model.py"
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@.*\n?")


def unified(before: str, after: str, name: str = FILE_NAME) -> str:
    """The diff that makes ``after`` of ``before``; both end with a line break."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
    return "".join(lines)


def apply(diff: str, text: str) -> str:
    """The text after the diff. Every line that the diff keeps or removes must stand exactly where it says.

    Raises:
        DatasetError: when the diff is none, or is not one of this text; names the hunk or the line.
    """
    old = text.splitlines(keepends=True)
    new: list[str] = []
    done = 0
    for begin, hunk in _hunks(diff):
        if begin < done:
            raise DatasetError(f"the hunk at line {begin + 1} lies before the end of the one above it")
        new += old[done:begin]
        done = begin
        for line in hunk:
            mark, content = line[:1], line[1:]
            if mark in (" ", "-"):
                if done >= len(old) or old[done] != content:
                    raise DatasetError(f"line {done + 1} is not what the diff says: {content.rstrip()!r}")
                done += 1
            if mark in (" ", "+"):
                new.append(content)
    return "".join(new + old[done:])


def patched(answer: str, text: str) -> str:
    """The text after an answer that is a diff of it; an answer that is no diff is the whole new text.

    Raises:
        DatasetError: when it is a diff, and not one of this text.
    """
    return apply(answer, text) if answer.startswith("--- ") else answer


def _hunks(diff: str) -> Iterator[tuple[int, list[str]]]:
    """Of each hunk the index of its first line in the old text, and its lines."""
    lines = diff.splitlines(keepends=True)
    if len(lines) < 3 or not lines[0].startswith("--- ") or not lines[1].startswith("+++ "):
        raise DatasetError("not a unified diff of one file: it begins with no --- and +++ and a hunk")
    at = 2
    while at < len(lines):
        header = _HUNK.fullmatch(lines[at])
        if header is None:
            raise DatasetError(f"line {at + 1} of the diff is no hunk header: {lines[at].rstrip()!r}")
        start, old_count, new_count = int(header[1]), int(header[2] or 1), int(header[4] or 1)
        hunk: list[str] = []
        at += 1
        while at < len(lines) and (old_count or new_count):
            mark = lines[at][:1]
            if mark not in (" ", "-", "+"):
                raise DatasetError(f"line {at + 1} of the diff is neither kept, removed nor added: {lines[at]!r}")
            old_count -= mark != "+"
            new_count -= mark != "-"
            hunk.append(lines[at])
            at += 1
        if old_count or new_count:
            raise DatasetError(f"the hunk at line {start} has not as many lines as its header says")
        # An empty range names the line before it.
        yield start - (header[2] != "0"), hunk

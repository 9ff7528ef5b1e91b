"""Mutations that replace text of a rendered file."""

import re
from collections.abc import Callable, Iterator

from lrgen.source.edit import Code

Mutation = Callable[[Code], Iterator[str]]


def replaced(*replacements: tuple[str, str]) -> Mutation:
    """Replace each text that occurs exactly once; a text replaced by itself only has to occur."""

    def mutation(code: Code) -> Iterator[str]:
        text = code.text
        if all(text.count(old) == 1 for old, _ in replacements):
            for old, new in replacements:
                text = text.replace(old, new)
            yield text

    return mutation


def substituted(*substitutions: tuple[str, str]) -> Mutation:
    """Substitute each pattern, which matches exactly once; ``^`` and ``$`` match at lines."""

    def mutation(code: Code) -> Iterator[str]:
        text = code.text
        for pattern, new in substitutions:
            text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
            if count != 1:
                return
        yield text

    return mutation


def each_match(pattern: str, new: str) -> Mutation:
    """Substitute one match of a pattern after the other."""

    def mutation(code: Code) -> Iterator[str]:
        for match in re.finditer(pattern, code.text, re.MULTILINE):
            yield code.text[: match.start()] + match.expand(new) + code.text[match.end() :]

    return mutation

"""Detection of rows that overlap with benchmarks.

The rule is that of GPT-3 (Brown et al. 2020, appendix C), as in EleutherAI's evaluation harness: a text is contaminated
when it shares 13 consecutive words with a benchmark, in lower case and without punctuation. Shorter benchmark texts of
at least eight words are compared as a whole. Code is also compared by its syntax tree.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from lrgen.errors import DatasetError
from lrgen.finetune.example import Row
from lrgen.source.normalise import definitions_digest

GRAM = 13
_SHORTEST = 8
_WORD = re.compile(r"\w+")


class Benchmarks:
    """The texts of JSONL files: every string, at any depth.

    Raises:
        DatasetError: when a file cannot be read, is not JSON lines, or has no text of at least eight words.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._grams: dict[int, set[str]] = {}
        self._code: set[str] = set()
        for path in paths:
            if not sum(self._add(text) for text in _texts(path)):
                raise DatasetError(f"{path}: no text has at least {_SHORTEST} words")

    def overlaps(self, row: Row) -> bool:
        """Return whether the prompt or a completion shares consecutive words or a syntax tree with a benchmark."""
        texts = [row["prompt"], row["completion"], row["rejected"] or ""]
        return any(self._shares_words(text) or definitions_digest(text) in self._code for text in texts)

    def _add(self, text: str) -> bool:
        words = _words(text)
        if len(words) < _SHORTEST:
            return False
        size = min(GRAM, len(words))
        self._grams.setdefault(size, set()).update(_runs(words, size))
        code = definitions_digest(text)
        self._code |= {code} if code else set()
        return True

    def _shares_words(self, text: str) -> bool:
        words = _words(text)
        return any(run in grams for size, grams in self._grams.items() for run in _runs(words, size))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _runs(words: Sequence[str], size: int) -> Iterator[str]:
    return (" ".join(words[at : at + size]) for at in range(len(words) - size + 1))


def _texts(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    try:
                        yield from _strings(orjson.loads(line))
                    except orjson.JSONDecodeError as error:
                        raise DatasetError(f"{path}, line {number}: not JSON: {error}") from error
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)

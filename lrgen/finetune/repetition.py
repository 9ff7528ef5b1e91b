"""Repetition in the training answers of a dataset: compressed size, and distinct runs of tokens.

Runs are counted twice: over the tokens of the text, and over the tokens of Python where names, numbers, texts and
comments count alike, which shows how many structures there are. At most ``_KEPT`` distinct runs are kept: if there are
more, those whose hashes are multiples of a power of two, a sample that counts equal runs as one, as the whole does.
"""

import functools
import itertools
import keyword
import lzma
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrgen.finetune.exposure import GRAM, grams_of, hashes_of

_KEPT = 1 << 22  # runs in memory; a number that is estimated from half of them is off by about 0.07%
_PRESET = 6  # of xz
_BLOCK = 1 << 20  # bytes
_LEXEME = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<text>[rbfuRBFU]{0,2}(?:\"{3}(?:.|\n)*?\"{3}|'{3}(?:.|\n)*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    |(?P<number>(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][-+]?\d+)?)
    |(?P<name>[^\W\d]\w*)
    |(?P<operator>\*\*=?|//=?|->|:=|[-+*/%@&|^=!<>]=|<<|>>|\.\.\.|[^\w\s])""",
    re.VERBOSE,
)
_KEYWORDS = frozenset(keyword.kwlist)
_OVER_LINES = ('"""', "'''", "\\\n")  # begin what may go on in the next line


@dataclass(frozen=True)
class Repetition:
    """The repetition of some answers.

    Attributes:
        answers: their number.
        characters: the length of all, joined by newlines, in bytes.
        compressed: the same after ``xz -6``.
        runs: the number of runs of ``GRAM`` tokens.
        distinct: that of distinct ones.
        structures: the number of runs of ``GRAM`` tokens of Python, where names, numbers, texts and comments are alike.
        distinct_structures: that of distinct ones.
        sampled: whether the numbers of distinct ones are estimated from a sample.
    """

    answers: int
    characters: int
    compressed: int
    runs: int
    distinct: int
    structures: int
    distinct_structures: int
    sampled: bool


TORCH = Repetition(400, 11_519_416, 1_871_800, 2_074_088, 2_048_580, 1_218_513, 1_155_719, False)
"""The first 400 modules of torch 2.15.0 by path, measured by ``measure``."""


class _Distinct:
    """A number of distinct hashes, exact up to ``_KEPT`` of them."""

    def __init__(self) -> None:
        self.total = 0
        self._shift = 0
        self._kept = np.empty(0, np.uint64)
        self._waiting: list[Any] = []
        self._count = 0

    @property
    def is_sampled(self) -> bool:
        return self._shift > 0

    def add(self, hashes: Any) -> None:
        self.total += len(hashes)
        self._waiting.append(hashes)
        self._count += len(hashes)
        if self._count > _KEPT // 4:
            self._merge()

    def __int__(self) -> int:
        self._merge()
        return len(self._kept) << self._shift

    def _merge(self) -> None:
        mixed = _mixed(np.concatenate([np.empty(0, np.uint64), *self._waiting]))
        self._waiting, self._count = [], 0
        merged = np.concatenate([self._kept, self._sample(mixed)])
        merged.sort()
        is_first = np.ones(len(merged), dtype=bool)
        np.not_equal(merged[1:], merged[:-1], out=is_first[1:])
        self._kept = merged[is_first]
        while len(self._kept) > _KEPT:
            self._shift += 1
            self._kept = self._sample(self._kept)

    def _sample(self, hashes: Any) -> Any:
        return hashes[hashes >> np.uint64(64 - self._shift) == 0] if self._shift else hashes


def measure(answers: Iterable[str]) -> Repetition:
    """Return the repetition of some answers, which are read once; a thread compresses them meanwhile."""
    runs, structures = _Distinct(), _Distinct()
    compressor = lzma.LZMACompressor(preset=_PRESET)
    count = characters = compressed = size = 0
    block: list[bytes] = []
    with ThreadPoolExecutor(1) as thread:
        last: Future[bytes] | None = None
        for answer in answers:
            text = answer.encode("utf-8", "surrogatepass") + b"\n"
            count += 1
            characters += len(text)
            size += len(text)
            block.append(text)
            if size > _BLOCK:
                compressed += len(last.result()) if last else 0
                last = thread.submit(compressor.compress, b"".join(block))
                block, size = [], 0
            runs.add(grams_of(answer))
            structures.add(hashes_of(lexemes(answer)))
        compressed += len(last.result()) if last else 0
    compressed += len(compressor.compress(b"".join(block))) + len(compressor.flush())
    return Repetition(
        count,
        characters,
        compressed,
        runs.total,
        int(runs),
        structures.total,
        int(structures),
        runs.is_sampled or structures.is_sampled,
    )


def lexemes(text: str) -> list[str]:
    """Return the tokens of Python in a text, with one placeholder for each name, number, text and comment."""
    if any(quotes in text for quotes in _OVER_LINES):
        return list(_lexemes(text))
    return list(itertools.chain.from_iterable(map(_lexemes_of_line, text.split("\n"))))


def _lexemes(text: str) -> Iterator[str]:
    for match in _LEXEME.finditer(text):
        kind = match.lastgroup
        yield match[0] if kind == "operator" or match[0] in _KEYWORDS else str(kind)


@functools.lru_cache(1 << 16)
def _lexemes_of_line(line: str) -> tuple[str, ...]:
    """Return the lexemes of a line; lines repeat in most texts."""
    return tuple(_lexemes(line))


def table(columns: Mapping[str, Repetition]) -> str:
    """Return repetitions as a Markdown table, a column each."""
    values = list(columns.values())
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(values)}"]
    lines += [f"| {name} | {' | '.join(map(of, values))} |" for name, of in _LINES.items()]
    return "\n".join(lines) + "\n"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "–"


def _distinct(repetition: Repetition, part: int, whole: int) -> str:
    return f"{'about ' if repetition.sampled else ''}{part:,} ({_share(part, whole)})"


_LINES: Mapping[str, Callable[[Repetition], str]] = {
    "texts": lambda each: f"{each.answers:,}",
    "bytes": lambda each: f"{each.characters:,}",
    "size after `xz -6`": lambda each: _share(each.compressed, each.characters),
    f"runs of {GRAM} tokens (`\\w+|[^\\w\\s]`)": lambda each: f"{each.runs:,}",
    "distinct ones": lambda each: _distinct(each, each.distinct, each.runs),
    f"runs of {GRAM} tokens of Python, where names, numbers, texts and comments are alike": (
        lambda each: f"{each.structures:,}"
    ),
    "distinct ones among these": lambda each: _distinct(each, each.distinct_structures, each.structures),
}


def _mixed(hashes: Any) -> Any:
    """Return hashes whose first bits are random: those of runs depend on few tokens."""
    mixed = hashes ^ (hashes >> np.uint64(31))
    mixed = mixed * np.uint64(0x7FB5D329728EA185)
    return mixed ^ (mixed >> np.uint64(27))

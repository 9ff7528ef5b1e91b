"""The share of the answers of each split that stands in training: reported by task, and nothing is filtered by it.

Leakage is prevented by groups (``splits``) and claims. What remains is what files share: networks, training loops and
interfaces.
"""

import functools
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

GRAM = 50  # tokens
_TOKEN = re.compile(r"\w+|[^\w\s]")
_FACTORS = np.array([pow(6364136223846793005, power, 1 << 64) for power in range(GRAM)], dtype=np.uint64)

Samples = Mapping[tuple[str, str], Sequence[str]]
"""Sampled answers by split and task."""


@dataclass(frozen=True)
class Exposure:
    """The exposure of a task's answers in a split.

    Attributes:
        answers: the number of sampled answers.
        inside: those that stand verbatim in a text of training, a prompt or a completion.
        grams: the number of distinct runs of ``GRAM`` tokens in the answers.
        known: those that stand in a text of training.
    """

    split: str
    task: str
    answers: int
    inside: int
    grams: int
    known: int


def measure(samples: Samples, trained: Iterable[str]) -> list[Exposure]:
    """Return the exposure of samples to the texts of training, which are read once."""
    if not any(samples.values()):
        return []
    answers = {key: [text.strip() for text in texts] for key, texts in samples.items() if texts}
    by_line = _by_longest_line({text for texts in answers.values() for text in texts})
    grams = {key: np.unique(np.concatenate([grams_of(text) for text in texts])) for key, texts in answers.items()}
    wanted = np.unique(np.concatenate([*grams.values(), np.empty(0, np.uint64)]))
    known = np.zeros(len(wanted), dtype=bool)
    inside: set[str] = set()
    for text in trained:
        for line in by_line.keys() & set(text.splitlines()):
            contained = {answer for answer in by_line[line] if answer in text}
            inside |= contained
            by_line[line] = [answer for answer in by_line[line] if answer not in contained]
        if len(wanted):
            _mark(grams_of(text), wanted, known)
    return [
        Exposure(
            split,
            task,
            len(texts),
            sum(text in inside for text in texts),
            len(grams[split, task]),
            int(known[np.searchsorted(wanted, grams[split, task])].sum()),
        )
        for (split, task), texts in answers.items()
    ]


def table(exposures: Sequence[Exposure]) -> str:
    """Return exposures as a Markdown table."""
    lines = [
        f"| split | task | sampled answers | in a training text | their {GRAM}-grams | in a training text |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for each in exposures:
        lines.append(
            f"| {each.split} | {each.task} | {each.answers} | {each.inside} ({each.inside / each.answers:.0%}) | "
            f"{each.grams:,} | {f'{each.known / each.grams:.0%}' if each.grams else '–'} |"
        )
    return "\n".join(lines) + "\n"


def _mark(of_text: Any, wanted: Any, known: Any) -> None:
    """Mark the wanted grams that a text has."""
    at = np.searchsorted(wanted, of_text)
    at[at == len(wanted)] = 0
    known[at[wanted[at] == of_text]] = True


def grams_of(text: str) -> Any:
    """Return the hashes of the runs of ``GRAM`` tokens in a text; tokens are words and single other characters."""
    return runs_of(text, GRAM)


def runs_of(text: str, length: int) -> Any:
    """Return the hashes of the runs of so many tokens in a text, at most ``GRAM``."""
    return _runs(np.concatenate([_hashes(line) for line in text.split("\n")]), length)


def hashes_of(tokens: Sequence[str]) -> Any:
    """Return the hashes of the runs of ``GRAM`` tokens, of which few are distinct."""
    return _runs(np.fromiter(map(_hash, tokens), dtype=np.uint64, count=len(tokens)), GRAM)


def _runs(tokens: Any, length: int) -> Any:
    if len(tokens) < length:
        return np.empty(0, np.uint64)
    return np.lib.stride_tricks.sliding_window_view(tokens, length) @ _FACTORS[:length]


@functools.lru_cache(1 << 12)
def _hash(token: str) -> int:
    return zlib.crc32(token.encode("utf-8", "surrogatepass"))


@functools.lru_cache(1 << 16)
def _hashes(line: str) -> Any:
    """Return the hashes of the tokens of a line; lines repeat in most texts."""
    tokens = _TOKEN.findall(line)
    return np.fromiter((zlib.crc32(token.encode("utf-8", "surrogatepass")) for token in tokens), dtype=np.uint64)


def _by_longest_line(answers: Iterable[str]) -> dict[str, list[str]]:
    """Group answers by their longest line: a text can contain an answer only if it has that line."""
    by_line: dict[str, list[str]] = {}
    for answer in sorted(answers):
        lines = answer.splitlines()
        inner = lines[1:-1] or lines or [""]
        by_line.setdefault(max(inner, key=lambda line: (len(line), line)), []).append(answer)
    return by_line

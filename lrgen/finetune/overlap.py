"""How near the other splits are to what is learnt from, in their text: measured and reported, never filtered by.

Variants of one network differ in a few lines, so that texts are near by nature; what must not be on two sides is
decided by groups (``splits``).
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrgen.finetune.formats import parquet
from lrgen.finetune.rows import Split

LINES = 3  # shorter answers are in other texts by chance
_SHINGLE = 5  # words
_PERMUTATIONS = 128
_PRIME = (1 << 31) - 1


@dataclass(frozen=True)
class Overlap:
    """Of a split: how many answers were looked at, how near the nearest sampled training answer is (estimated Jaccard
    similarity of runs of five words), and how many stand whole inside a training text.
    """

    split: str
    answers: int
    median: float
    greatest: float
    inside: int


def measure(folder: Path, samples: Mapping[str, Sequence[str]]) -> list[Overlap]:
    """The overlaps of the sampled answers of each split with the training split of a folder."""
    import numpy as np

    trained = samples.get(Split.TRAIN, ())
    others = {split: texts for split, texts in samples.items() if split != Split.TRAIN and texts}
    if not trained or not others:
        return []
    known = _signatures(trained)
    inside = _inside(folder, {text for texts in others.values() for text in texts})
    found = []
    for split, texts in others.items():
        nearest = [float((known == one).mean(axis=1).max()) for one in _signatures(texts)]
        count = sum(text in inside for text in texts)
        found.append(Overlap(split, len(texts), float(np.median(nearest)), max(nearest), count))
    return found


def _signatures(texts: Sequence[str]) -> Any:
    """MinHash, a row a text."""
    import numpy as np

    random = np.random.default_rng(0)
    factors = random.integers(1, _PRIME, _PERMUTATIONS, dtype=np.uint64)
    offsets = random.integers(0, _PRIME, _PERMUTATIONS, dtype=np.uint64)
    rows = []
    for text in texts:
        words = text.split()
        shingles = {" ".join(words[at : at + _SHINGLE]) for at in range(max(1, len(words) - _SHINGLE + 1))}
        hashes = np.array([zlib.crc32(shingle.encode()) % _PRIME for shingle in shingles], dtype=np.uint64)
        rows.append(((hashes[:, None] * factors + offsets) % _PRIME).min(axis=0))
    return np.array(rows)


def _inside(folder: Path, answers: set[str]) -> set[str]:
    """The answers that stand whole in a training text. An inner line of an answer is a line of the text that holds
    it, so that only texts with its longest one are searched.
    """
    by_line: dict[str, list[str]] = {}
    for answer in answers:
        by_line.setdefault(max(answer.splitlines()[1:-1], key=lambda line: (len(line), line)), []).append(answer)
    found: set[str] = set()
    for row in parquet.read(folder, Split.TRAIN, ("prompt", "completion")):
        for text in row.values():
            for line in by_line.keys() & set(text.splitlines()):
                found.update(answer for answer in by_line[line] if answer.strip() in text)
    return found

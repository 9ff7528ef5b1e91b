"""Text overlap of the other splits with training: it is reported, and nothing is filtered by it.

Files of one architecture differ in a few lines, so their texts are near-duplicates; leakage is prevented by groups
(``splits``).
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrgen.finetune.formats import parquet
from lrgen.finetune.rows import Split

LINES = 3  # shorter completions occur in other texts by chance
_SHINGLE = 5  # words
_PERMUTATIONS = 128
_PRIME = (1 << 31) - 1


@dataclass(frozen=True)
class Overlap:
    """The overlap of a split with training.

    Attributes:
        split: the name of the split.
        completions: the number of sampled completions.
        median: the median similarity (Jaccard, five-word shingles) to the nearest sampled training completion.
        maximum: the maximum of that similarity.
        inside: the number of completions that occur in full in a training text.
    """

    split: str
    completions: int
    median: float
    maximum: float
    inside: int


def measure(folder: Path, samples: Mapping[str, Sequence[str]]) -> list[Overlap]:
    """Return the overlap of the sampled completions of each split with the training split."""
    import numpy as np

    trained = samples.get(Split.TRAIN, ())
    others = {split: texts for split, texts in samples.items() if split != Split.TRAIN and texts}
    if not trained or not others:
        return []
    known = _signatures(trained)
    inside = _inside(folder, {text for texts in others.values() for text in texts})
    overlaps = []
    for split, texts in others.items():
        nearest = [float((known == signature).mean(axis=1).max()) for signature in _signatures(texts)]
        count = sum(text in inside for text in texts)
        overlaps.append(Overlap(split, len(texts), float(np.median(nearest)), max(nearest), count))
    return overlaps


def _signatures(texts: Sequence[str]) -> Any:
    """Return the MinHash signatures of texts, one per row."""
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


def _inside(folder: Path, completions: set[str]) -> set[str]:
    """Return the completions that occur in full in a training text.

    A text is searched only when it has the longest inner line of the completion.
    """
    by_line: dict[str, list[str]] = {}
    for completion in completions:
        longest = max(completion.splitlines()[1:-1], key=lambda line: (len(line), line))
        by_line.setdefault(longest, []).append(completion)
    inside: set[str] = set()
    for row in parquet.read(folder, Split.TRAIN, ("prompt", "completion")):
        for text in row.values():
            for line in by_line.keys() & set(text.splitlines()):
                inside.update(completion for completion in by_line[line] if completion.strip() in text)
    return inside

"""Near-duplicates: answers of tests that nearly stand in training, by MinHash.

An answer is a set of runs of ``RUN`` tokens. The similarity of two answers is the share of the runs of both that each
has (Jaccard), estimated from ``_HASHES`` minima (Broder, 1997); candidates are found by bands of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrgen.finetune.exposure import Samples, runs_of

RUN = 5
"""Tokens."""
SIMILAR = 0.8
"""The similarity of near-duplicates."""

_HASHES, _ROWS = 128, 4  # minima of an answer, and of a band
_RANDOM = np.random.default_rng(0)
_FACTORS = _RANDOM.integers(1, 1 << 63, _HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS = _RANDOM.integers(0, 1 << 63, _HASHES, dtype=np.uint64)
_OF_BAND = _RANDOM.integers(1, 1 << 63, _ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


@dataclass(frozen=True)
class NearDuplicates:
    """The number of sampled answers of a split, and of those that are near-duplicates of an answer of training."""

    split: str
    answers: int
    near: int


def measure(samples: Samples, trained: Iterable[str]) -> list[NearDuplicates]:
    """Return the near-duplicates of each split among the answers of training, which are read once."""
    answers = [(split, text) for (split, _), texts in samples.items() for text in texts]
    signed = [(split, signature) for split, text in answers if (signature := signature_of(text)) is not None]
    if not signed:
        return []
    signatures = np.stack([signature for _, signature in signed])
    bands = _bands(signatures)
    order = np.argsort(bands, axis=None, kind="stable")
    keys = bands.ravel()[order]
    owners = order // bands.shape[1]
    near = np.zeros(len(signed), dtype=bool)
    for text in trained:
        signature = signature_of(text)
        if signature is None:
            continue
        own = _bands(signature[None])[0]
        begin, end = np.searchsorted(keys, own, "left"), np.searchsorted(keys, own, "right")
        for first, last in zip(begin[begin < end], end[begin < end], strict=True):
            candidates = owners[first:last]
            near[candidates] |= (signatures[candidates] == signature).mean(axis=1) >= SIMILAR
    splits = dict.fromkeys(split for split, _ in signed)
    return [
        NearDuplicates(
            split,
            sum(of == split for of, _ in signed),
            int(sum(is_near for (of, _), is_near in zip(signed, near, strict=True) if of == split)),
        )
        for split in splits
    ]


def signature_of(text: str) -> Any:
    """Return the minima of an answer; None of one with fewer tokens than a run."""
    runs = np.unique(runs_of(text, RUN))
    if not len(runs):
        return None
    return (runs[:, None] * _FACTORS + _OFFSETS).min(axis=0)


def table(measured: Sequence[NearDuplicates]) -> str:
    """Return near-duplicates as a Markdown table."""
    lines = ["| split | sampled answers | near-duplicates of an answer of training |", "|---|---:|---:|"]
    lines += [f"| {each.split} | {each.answers} | {each.near} ({each.near / each.answers:.1%}) |" for each in measured]
    return "\n".join(lines) + "\n"


def _bands(signatures: Any) -> Any:
    """Return a hash of each band of signatures (answers × bands)."""
    return signatures.reshape(len(signatures), -1, _ROWS) @ _OF_BAND

"""Accumulation: an update has the gradient of the mean loss over the images of some batches.

The gradient of an update is that of the large batch: Σ nᵢ gᵢ / Σ nᵢ over its batches, each of nᵢ images and with the
mean gradient gᵢ. The last update of an epoch has the batches that are left. A schedule that advances within an epoch
does so once per update.
"""

from collections.abc import Sequence

import numpy as np

from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.notes import Notes
from lrgen.verify.session import Array

_SAME = 1e-2  # of the share of a batch in a gradient
_ROUNDING = 1e-4  # of the norm of a gradient in single precision


def updates_of(batches: int, every: int) -> int:
    """The number of updates of an epoch."""
    return -(-batches // every)


def groups_of(batches: int, every: int) -> list[range]:
    """The batches of each update of an epoch."""
    return [range(first, min(first + every, batches)) for first in range(0, batches, every)]


def shares_of(sizes: Sequence[int]) -> list[float]:
    """The share of each batch in the gradient of an update, by its number of images."""
    return [size / sum(sizes) for size in sizes]


def require_updates(notes: Notes, batches: int, every: int, what: str = "learn") -> None:
    """Require a step of the optimizer after each group of batches of an epoch of ``what``, and no other.

    Raises:
        CheckFailure: if there are more or fewer, or if one is made after another batch.
    """
    expected = [group[-1] for group in groups_of(batches, every)]
    per = "one per batch" if every == 1 else f"one for {every} batches"
    if notes.updates != len(expected):
        raise CheckFailure(
            f"the number of optimizer steps in an epoch of {what} is {notes.updates}, expected {len(expected)} ({per})"
        )
    made = notes.batch_of_updates
    if every > 1 and made != expected:
        at = next(index for index, (batch, own) in enumerate(zip(made, expected, strict=True)) if batch != own)
        raise CheckFailure(
            f"optimizer step {at + 1} of an epoch of {what} is made after batch {made[at] + 1} of {batches}, expected "
            f"after batch {expected[at] + 1} ({per})"
        )


def why(observed: Array, before: Sequence[Array], parts: Sequence[Array], sizes: Sequence[int], every: int) -> str:
    """The reason why the gradient of an update is not that of its batches together; empty if none is recognised.

    Args:
        observed: the sampled gradient.
        before: the sampled gradients of the batches of the update before.
        parts: those of the batches of the update.
        sizes: the number of images of these batches.
        every: the number of batches of a whole update.
    """
    norm = np.linalg.norm(observed)
    factors, rest = _fitted([*before, *parts], observed)
    if rest > _SAME * norm:
        return ""
    earlier, own = factors[: len(before)], factors[len(before) :]
    shares = np.array(shares_of(sizes))
    text = "the gradient of an update is not that of its batches together"
    _, unexplained = _fitted(parts, observed)
    if len(earlier) and unexplained > _ROUNDING * norm and rest < unexplained / 10:
        return f"{text}: it has those of the update before, zero_grad() may be missing after it"
    absent = np.flatnonzero(np.abs(own) <= _SAME * shares)
    if len(absent):
        return f"{text}: it has nothing of {len(absent)} of its {len(parts)} batches"
    multiples = own / shares
    if np.ptp(multiples) <= _SAME * multiples.max():
        factor = float(multiples.mean())
        if abs(factor - len(parts)) <= _SAME * factor:
            return f"{text}: it is their sum, expected their mean"
        short = f", which are not {every}" if len(parts) < every else ""
        return f"{text}: it is {factor:.3g} times that of its {len(parts)} batches{short}"
    if np.ptp(own) <= _SAME * own.max():
        return f"{text}: each batch has the same part in it, expected parts by their numbers of images"
    return f"{text}: its batches have the parts {_listed(own)}, expected {_listed(shares)}"


def _fitted(gradients: Sequence[Array], observed: Array) -> tuple[Array, float]:
    """The factors with which gradients add up to an observed one by least squares, and the norm of what is left."""
    matrix = np.stack(gradients, axis=1).astype(np.float64)
    factors: Array = np.linalg.lstsq(matrix, observed.astype(np.float64), rcond=None)[0]
    return factors, float(np.linalg.norm(matrix @ factors - observed))


def _listed(values: Array) -> str:
    return ", ".join(f"{value:.3g}" for value in values)

"""The losses of the batches of a training, compared with the cross-entropy of the logits that they came from.

The labels are those that the examiner knows. A loss may have a term that depends on the weights alone, which a second
process measures, and an output with several leaves of logits (auxiliary classifiers) one constant factor for each.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lrgen.verify import messages
from lrgen.verify.checks import accumulation, scores
from lrgen.verify.session import Array

# The losses at the leaves of logits of a batch, by these, the labels, the loss that was differentiated and its number.
LossesOf = Callable[[Sequence[Array], NDArray[np.int64], float, int], list[float]]

# The relative difference of the loss that is differentiated from the cross-entropy of the logits.
SAME = 1e-3
LOW_PRECISION = 0.1
_NEAR_POWER = 0.15  # of an exponent, with a lower precision
_TERM = 1.5  # a factor by which a term of the weights may change within an epoch


@dataclass(frozen=True)
class BatchLosses:
    """The batches of a call of ``learn``; without logits their losses are compared with nothing.

    ``values`` are the losses that were differentiated, or the cross-entropy where none was, ``entropies`` (batches ×
    leaves) the mean cross-entropy of the logits, and ``accuracies`` those of the first leaf.
    """

    values: NDArray[np.float64]
    entropies: NDArray[np.float64] | None
    accuracies: NDArray[np.float64]
    sizes: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        trained: messages.Trained,
        differentiated: Array,
        logits: Sequence[Array],
        labels: Sequence[NDArray[np.int64]],
        classes: int,
        smoothing: float,
        losses_of: LossesOf | None = None,
    ) -> "BatchLosses":
        """Notes of batches with these labels; by default the loss of a batch is the mean over its images."""
        sizes = np.array([len(part) for part in labels], dtype=np.int64)
        known = np.array(trained.differentiated[: len(sizes)], dtype=bool)
        values = differentiated[: len(sizes)].astype(np.float64)
        shape = (sum(sizes), classes)
        noted = len(logits) == trained.leaves and all(leaf.shape == shape for leaf in logits)
        # Without gradients the data may be gone through again, for statistics of norms.
        if trained.rows[: len(sizes)] != sizes.tolist() or not logits or not noted:
            return cls(values[known[: len(values)]], None, np.zeros(0), sizes[: int(known.sum())])
        rows = [np.split(leaf, np.cumsum(sizes)[:-1]) for leaf in logits]
        entropies = np.array(
            [
                [scores.losses(part, wanted, smoothing).mean() for part in parts]
                if losses_of is None
                else losses_of(parts, wanted, float(values[at]), at)
                for at, (*parts, wanted) in enumerate(zip(*rows, labels, strict=True))
            ]
        )
        accuracies = np.array(
            [float((part.argmax(axis=1) == wanted).mean()) for part, wanted in zip(rows[0], labels, strict=True)]
        )
        return cls(np.where(known, values, entropies[:, 0]), entropies, accuracies, sizes)

    def unscaled(self, every: int, tolerance: float) -> "BatchLosses":
        """The batches with losses that are not scaled, of which ``every`` add up to the gradient of an update.

        A loss may be scaled by the number of its images, by the share of its batch in the update, or by the number of
        batches; the gradient of the update shows whether that is right. Losses that are scaled otherwise remain.
        """
        if self.entropies is None or len(self.values) != len(self.entropies):
            return self
        groups = accumulation.groups_of(len(self.sizes), every)
        shares = [accumulation.shares_of([int(self.sizes[at]) for at in group]) for group in groups]
        counts = [[len(group)] * len(group) for group in groups]
        for scale in (self.sizes, np.concatenate(shares), 1 / np.concatenate(counts)):
            values = self.values / scale
            if np.all(_close(values, _fitted(values, self.entropies), tolerance)):
                return replace(self, values=values)
        return self

    def same(self, tolerance: float) -> bool:
        """Whether the losses are the cross-entropy of a single leaf of logits."""
        if self.entropies is None or self.entropies.shape[1] != 1:
            return False
        return bool(np.all(_close(self.values, self.entropies[:, 0], tolerance)))


def first_wrong(
    batches: Sequence[BatchLosses], terms: Mapping[int, float], whole: int, tolerance: float
) -> tuple[int, float, float] | None:
    """The first update of a training whose loss is wrong, with its loss and the one that is expected.

    Args:
        batches: of each epoch, each with entropies.
        terms: of the weights alone, at some updates.
        whole: the number of images of a whole batch.
        tolerance: the relative error of a loss.
    """
    losses = np.concatenate([epoch.values for epoch in batches])
    entropies = np.concatenate([epoch.entropies for epoch in batches if epoch.entropies is not None])
    if entropies.shape[1] > 1:
        expected = _fitted(losses, entropies)
        return _first(losses, expected, _close(losses, expected, tolerance))
    shares = whole / np.concatenate([epoch.sizes for epoch in batches])
    wrong = _wrong_of_one(losses, entropies[:, 0], terms, shares, tolerance)
    scale = _scale_of(losses, entropies[:, 0])
    # A term of the weights may be near a power of two times the cross-entropy, too.
    if wrong is None or scale == 1.0:
        return wrong
    scaled = _wrong_of_one(losses / scale, entropies[:, 0], terms, shares, tolerance)
    return scaled if scaled is None or not terms else wrong


def with_slow_term(batches: Sequence[BatchLosses]) -> bool:
    """Whether all losses have the same kind of term besides, which changes slowly as one of the weights alone does.

    A smaller batch may have it as a larger share. Each of ``batches`` has entropies of one leaf.
    """
    differences = np.concatenate(
        [epoch.values - epoch.entropies[:, 0] for epoch in batches if epoch.entropies is not None]
    )
    sizes = np.concatenate([epoch.sizes for epoch in batches])
    if not np.all(differences > 0):
        return False
    changes = [np.abs(np.diff(np.log(term))) for term in (differences, differences * sizes)]
    return any(bool(np.all(change <= math.log(_TERM))) for change in changes)


def _fitted(losses: NDArray[np.float64], entropies: NDArray[np.float64]) -> NDArray[np.float64]:
    """The losses of batches by the cross-entropies at the leaves of the output, with a factor for each of several."""
    if entropies.shape[1] == 1:
        return entropies[:, 0]
    fitted: NDArray[np.float64] = entropies @ np.linalg.lstsq(entropies, losses, rcond=None)[0]
    return fitted


def _wrong_of_one(
    losses: NDArray[np.float64],
    entropies: NDArray[np.float64],
    terms: Mapping[int, float],
    shares: NDArray[np.float64],
    tolerance: float,
) -> tuple[int, float, float] | None:
    """The first update whose loss is wrong, where an output has one leaf of logits."""
    expected = entropies
    right = _close(losses, expected, tolerance)
    if terms and not right.all():
        right |= _explained(losses - expected, terms, shares)
        at = np.array(sorted(terms))
        measured = np.array([terms[update] for update in sorted(terms)])
        right[at] = _close(losses[at], expected[at] + measured, tolerance)
        expected = expected + np.interp(np.arange(len(losses)), at, measured)
    return _first(losses, expected, right)


def _first(
    losses: NDArray[np.float64], expected: NDArray[np.float64], right: NDArray[np.bool_]
) -> tuple[int, float, float] | None:
    """The first update whose loss is not right, with the loss and the expected one."""
    if right.all():
        return None
    wrong = int(np.flatnonzero(~right)[0])
    return wrong, float(losses[wrong]), float(expected[wrong])


def _scale_of(losses: NDArray[np.float64], entropies: NDArray[np.float64]) -> float:
    """The power of two by which all losses are scaled, as torch's GradScaler does it; 1 if they are not.

    The gradients that are computed again show whether those of the updates are scaled back.
    """
    with np.errstate(all="ignore"):
        exponent = float(np.median(np.log2(losses / entropies)))
    near = math.isfinite(exponent) and abs(exponent - round(exponent)) < _NEAR_POWER
    return 2.0 ** max(0, round(exponent)) if near else 1.0


def _explained(
    differences: NDArray[np.float64], terms: Mapping[int, float], shares: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether differences are a slowly changing term, which a smaller batch may have as a larger share."""
    at = sorted(terms)
    term = np.interp(np.arange(len(differences)), at, [terms[update] for update in at])
    with np.errstate(all="ignore"):
        ratios = differences / term
        fits: NDArray[np.bool_] = np.zeros(len(ratios), dtype=bool)
        for ratio in (ratios, ratios / shares):
            fits |= (ratio <= _TERM) & (ratio >= 1 / _TERM)
    return fits


def _close(losses: NDArray[np.float64], expected: NDArray[np.float64], tolerance: float) -> NDArray[np.bool_]:
    with np.errstate(all="ignore"):
        close: NDArray[np.bool_] = np.abs(losses - expected) <= tolerance * np.maximum(1.0, np.abs(expected))
    return close

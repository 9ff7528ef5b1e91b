"""The loss and the confusion matrix of logits, computed with labels that the file's process does not have."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrgen.records import accuracy_of

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Score:
    """The mean cross-entropy over images, and the confusion matrix (actual × predicted)."""

    loss: float
    confusion: tuple[tuple[int, ...], ...]

    @property
    def accuracy(self) -> float:
        """The fraction of correct predictions."""
        return accuracy_of(self.confusion)


def score(logits: Logits, labels: NDArray[np.int64]) -> Score:
    """Score logits (N × classes)."""
    classes = logits.shape[1]
    counts = np.bincount(labels * classes + logits.argmax(axis=1), minlength=classes * classes)
    confusion = tuple(tuple(int(count) for count in row) for row in counts.reshape(classes, classes))
    return Score(float(losses(logits, labels).mean()), confusion)


def losses(logits: Logits, labels: NDArray[np.int64], label_smoothing: float = 0.0) -> NDArray[np.float64]:
    """The cross-entropy of each image, as torch's CrossEntropyLoss computes it."""
    with np.errstate(all="ignore"):
        shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        own = -logs[np.arange(len(labels)), labels]
        result: NDArray[np.float64] = (1 - label_smoothing) * own - label_smoothing * logs.mean(axis=1)
    return result

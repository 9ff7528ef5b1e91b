"""Confusion matrix → scores of each class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassScores:
    """The held-out scores of one class, in 0–1 (None: not measured); ``accuracy`` is the class's recall, ``support``
    its images.
    """

    class_id: int
    accuracy: float | None
    precision: float | None
    recall: float | None
    f1_score: float | None
    support: int | None


def class_scores(confusion: Sequence[Sequence[int]]) -> list[ClassScores]:
    """Precision, recall and F1 of each class by scikit-learn; 0 where a class was never predicted.

    Args:
        confusion: square; ``confusion[i][j]`` counts images of class i that were classified as j.
    """
    from sklearn.metrics import precision_recall_fscore_support

    counts = np.asarray(confusion)
    classes = np.arange(len(counts))
    actual, predicted = (axis.ravel() for axis in np.meshgrid(classes, classes, indexing="ij"))
    precision, recall, f1, support = precision_recall_fscore_support(
        actual, predicted, labels=classes, sample_weight=counts.ravel(), zero_division=0.0
    )
    return [
        ClassScores(int(i), float(recall[i]), float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
        for i in classes
    ]

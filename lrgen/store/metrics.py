"""Scores of classes and of groups of classes, computed from a confusion matrix."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassScores:
    """The scores of one class on held-out images, in [0, 1]; None was not measured.

    ``accuracy`` is the recall of the class, and ``support`` the number of its images.
    """

    class_id: int
    accuracy: float | None
    precision: float | None
    recall: float | None
    f1_score: float | None
    support: int | None


@dataclass(frozen=True)
class GroupScores:
    """The scores of a group of classes on held-out images, in [0, 1].

    ``accuracy`` is the fraction of the group's images whose predicted class is correct, ``within`` the fraction whose
    predicted class is in the group, and ``precision`` the fraction of predictions in the group whose image is in it.
    """

    group: str
    classes: int
    accuracy: float
    within: float
    precision: float
    support: int


def group_scores(
    confusion: Sequence[Sequence[int]], classes: Sequence[str], groups: Mapping[str, Collection[str]]
) -> list[GroupScores]:
    """Return the scores of each group with images; ``classes`` are the names of the rows of the matrix."""
    counts = np.asarray(confusion)
    scores = []
    for group, names in groups.items():
        members = [number for number, name in enumerate(classes) if name in names]
        support = int(counts[members].sum())
        if not support:
            continue
        within, predicted = int(counts[np.ix_(members, members)].sum()), int(counts[:, members].sum())
        scores.append(
            GroupScores(
                group=group,
                classes=len(members),
                accuracy=int(counts[members, members].sum()) / support,
                within=within / support,
                precision=within / predicted if predicted else 0.0,
                support=support,
            )
        )
    return scores


def class_scores(confusion: Sequence[Sequence[int]]) -> list[ClassScores]:
    """Return precision, recall and F1 of each class as in scikit-learn, and 0 for a division by zero.

    Args:
        confusion: square matrix; ``confusion[i][j]`` is the number of images of class i that were classified as j.
    """
    numbers = np.fromiter(itertools.chain.from_iterable(confusion), np.int64)  # twice as fast as asarray
    counts = numbers.reshape(len(confusion), -1)
    correct, support, predicted = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    precision, recall, f1 = (
        np.divide(numerator, denominator, out=np.zeros(len(counts)), where=denominator > 0)
        for numerator, denominator in ((correct, predicted), (correct, support), (2 * correct, support + predicted))
    )
    columns = (recall.tolist(), precision.tolist(), recall.tolist(), f1.tolist(), support.tolist())
    return [ClassScores(number, *scores) for number, scores in enumerate(zip(*columns, strict=True))]

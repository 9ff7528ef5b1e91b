"""Confusion matrix → scores of each class."""

import itertools
from collections.abc import Collection, Mapping, Sequence
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


@dataclass(frozen=True)
class GroupScores:
    """The held-out scores of some classes together, in 0–1: ``accuracy`` is the share of their images that got the very
    class, ``within`` the share that got a class of the group, ``precision`` the share of what was taken for the group
    that is of it.
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
    """The scores of each group that has a class with images among these ``classes``, the names of the matrix's rows."""
    counts = np.asarray(confusion)
    found = []
    for group, names in groups.items():
        members = [number for number, name in enumerate(classes) if name in names]
        support = int(counts[members].sum())
        if not support:
            continue
        within, taken = int(counts[np.ix_(members, members)].sum()), int(counts[:, members].sum())
        found.append(
            GroupScores(
                group=group,
                classes=len(members),
                accuracy=int(counts[members, members].sum()) / support,
                within=within / support,
                precision=within / taken if taken else 0.0,
                support=support,
            )
        )
    return found


def class_scores(confusion: Sequence[Sequence[int]]) -> list[ClassScores]:
    """Precision, recall and F1 of each class, as scikit-learn computes them; 0 where there is nothing to divide by.

    Args:
        confusion: square; ``confusion[i][j]`` counts images of class i that were classified as j.
    """
    numbers = np.fromiter(itertools.chain.from_iterable(confusion), np.int64)  # twice as fast as asarray
    counts = numbers.reshape(len(confusion), -1)
    right, support, taken = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    precision, recall, f1 = (
        np.divide(over, under, out=np.zeros(len(counts)), where=under > 0)
        for over, under in ((right, taken), (right, support), (2 * right, support + taken))
    )
    columns = (recall.tolist(), precision.tolist(), recall.tolist(), f1.tolist(), support.tolist())
    return [ClassScores(number, *scores) for number, scores in enumerate(zip(*columns, strict=True))]

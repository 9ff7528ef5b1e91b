"""Scores computed from a confusion matrix equal those computed from the labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from lrgen.records import EpochReport, accuracy_of
from lrgen.store.metrics import ClassScores, class_scores, group_scores


def confusion_of(actual: list[int], predicted: list[int], classes: int) -> list[list[int]]:
    counts = [[0] * classes for _ in range(classes)]
    for row, column in zip(actual, predicted, strict=True):
        counts[row][column] += 1
    return counts


@st.composite
def labels(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    """Draw the actual and predicted classes of images, and the number of classes."""
    classes = draw(st.integers(2, 6))
    pairs = draw(st.lists(st.tuples(*[st.integers(0, classes - 1)] * 2), min_size=1, max_size=60))
    return [actual for actual, _ in pairs], [predicted for _, predicted in pairs], classes


def test_scores_equal_the_hand_computation():
    """The scores of three classes with ten images equal the values computed by hand."""
    #            predicted: 0  1  2
    scores = class_scores([[3, 1, 0], [2, 2, 0], [0, 1, 1]])
    assert [score.class_id for score in scores] == [0, 1, 2]
    assert [score.support for score in scores] == [4, 4, 2]
    assert [score.recall for score in scores] == pytest.approx([3 / 4, 2 / 4, 1 / 2])
    assert [score.precision for score in scores] == pytest.approx([3 / 5, 2 / 4, 1 / 1])
    assert [score.f1_score for score in scores] == pytest.approx([2 / 3, 1 / 2, 2 / 3])


@given(labels())
@settings(deadline=None, max_examples=150)
def test_scores_equal_those_of_the_labels(images):
    """Scores from the matrix equal scikit-learn's scores from the labels, and the definitions."""
    actual, predicted, classes = images
    scores = class_scores(confusion_of(actual, predicted, classes))
    expected = precision_recall_fscore_support(actual, predicted, labels=range(classes), zero_division=0)
    computed = np.array([[score.precision, score.recall, score.f1_score, score.support] for score in scores]).T
    np.testing.assert_allclose(computed, np.array(expected), rtol=0, atol=1e-12)
    for number, score in enumerate(scores):
        correct = sum(a == p == number for a, p in zip(actual, predicted, strict=True))
        assert score.recall == pytest.approx(correct / actual.count(number) if number in actual else 0)
        assert score.precision == pytest.approx(correct / predicted.count(number) if number in predicted else 0)


@given(labels())
@settings(deadline=None, max_examples=100)
def test_the_accuracy_of_an_epoch_equals_that_of_the_labels(images):
    """The fraction on the diagonal equals scikit-learn's accuracy of the labels."""
    actual, predicted, classes = images
    confusion = tuple(map(tuple, confusion_of(actual, predicted, classes)))
    report = EpochReport(1, 0.0, 0.0, 0.0, confusion, 0.1, 1.0)
    assert report.accuracy == pytest.approx(accuracy_score(actual, predicted))


@given(labels())
@settings(deadline=None, max_examples=100)
def test_a_class_accuracy_is_its_recall(images):
    """``accuracy`` equals the recall, all scores lie in [0, 1], and the support adds up to all images."""
    scores = class_scores(confusion_of(*images))
    assert all(score.accuracy == score.recall for score in scores)
    assert all(0 <= value <= 1 for score in scores for value in (score.precision, score.recall, score.f1_score))
    assert sum(score.support for score in scores) == len(images[0])


def test_a_class_that_is_never_predicted_scores_zero():
    """A class that is never predicted has precision, recall and F1 of 0, without NaN and without a warning."""
    scores = class_scores([[5, 0], [5, 0]])
    assert scores[1] == ClassScores(class_id=1, accuracy=0.0, precision=0.0, recall=0.0, f1_score=0.0, support=5)
    assert scores[0].precision == 0.5


def test_a_class_without_images_scores_zero():
    """A class without images has support 0 and scores of 0, even if it is predicted."""
    scores = class_scores([[5, 5], [0, 0]])
    assert scores[1] == ClassScores(class_id=1, accuracy=0.0, precision=0.0, recall=0.0, f1_score=0.0, support=0)


def test_scores_are_python_numbers():
    """Scores are Python's float and int, not numpy's types."""
    for score in class_scores([[1, 1], [0, 2]]):
        assert {type(value) for value in vars(score).values()} == {int, float}


# Groups.

COUNTS = [[5, 3, 2, 0], [1, 8, 0, 1], [0, 2, 7, 1], [4, 0, 0, 6]]
NAMES = ("cat", "dog", "car", "bus")
GROUPS = {"animals": ("cat", "dog", "horse"), "vehicles": ("car", "bus"), "flowers": ("rose",)}


def test_group_scores_equal_the_hand_computation():
    """Accuracy, ``within`` and precision of groups equal the values computed by hand.

    Groups without a class of the dataset are left out, and names of other classes have no effect.
    """
    animals, vehicles = group_scores(COUNTS, NAMES, GROUPS)
    assert (animals.group, animals.classes, animals.support) == ("animals", 2, 20)
    assert (animals.accuracy, animals.within) == ((5 + 8) / 20, (5 + 3 + 1 + 8) / 20)
    assert animals.precision == (5 + 3 + 1 + 8) / (5 + 3 + 1 + 8 + 0 + 2 + 4 + 0)
    assert (vehicles.accuracy, vehicles.within, vehicles.support) == (13 / 20, 14 / 20, 20)


def test_a_group_of_one_class_has_the_scores_of_the_class():
    """The accuracy and precision of such a group equal the recall and precision of its class."""
    for number, name in enumerate(NAMES):
        (group,) = group_scores(COUNTS, NAMES, {"group": (name,)})
        scores = class_scores(COUNTS)[number]
        assert group.accuracy == group.within == pytest.approx(scores.recall)
        assert group.precision == pytest.approx(scores.precision)


def test_a_group_that_is_never_predicted_has_precision_zero():
    """A group that is never predicted has precision 0, without a division by zero."""
    (group,) = group_scores([[0, 4], [0, 4]], ("a", "b"), {"a": ("a",)})
    assert (group.accuracy, group.precision) == (0.0, 0.0)


def test_the_accuracy_of_no_images_is_zero():
    """A confusion matrix of zeros, or without classes, has accuracy 0 and raises nothing."""
    assert accuracy_of([]) == accuracy_of([[0, 0], [0, 0]]) == 0.0
    assert accuracy_of([[3, 1], [0, 4]]) == 0.875

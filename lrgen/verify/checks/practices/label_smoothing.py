"""The check of label smoothing: ``label_smoothing`` of each label's probability is spread evenly over all classes.

It is seen at the logits. The gradient of a cross-entropy is softmax minus target: the stand-in's logits are known, and
the target is the rest. Numbers of classes and values of the hyperparameter are drawn.
"""

from collections.abc import Iterator

import numpy as np

from lrgen.verify.checks.draw import Source, log_uniform
from lrgen.verify.checks.examination import Examination, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.practices.stand_in_runs import Batch, learn, one_hot, probabilities
from lrgen.verify.session import Array

PARAMETER = "label_smoothing"
_FIRST, _OTHERS = 4, (9, 64)  # images of a batch: of the first run, and of the others
_BATCHES = 3
_RUNS = 3  # the first with the default
_TOLERANCE = 1e-3


def check(examination: Examination) -> None:
    """Require the targets of the loss to be smoothed labels.

    Raises:
        CheckFailure: if they are others; the message says which.
    """
    variant = examination.candidate.variant
    assert variant is not None
    assert variant.practice is not None
    draw = examination.draw.stream("label_smoothing")
    for number in range(_RUNS):
        smoothing = 0.05 + 0.85 * draw.random() if number else variant.practice.defaults[PARAMETER]
        prm = {PARAMETER: smoothing} if number else {}
        classes = 10 if number == 0 else draw.choice([3, 5, 17])
        size = round(log_uniform(draw, *_OTHERS)) if number else _FIRST
        for batch in _batches(examination, draw, prm, classes, [size] * (_BATCHES - 1) + [size - 1]):
            for leaf in range(len(batch.logits)):
                if reason := why_wrong(batch, leaf, smoothing):
                    raise CheckFailure(f"{reason} ({PARAMETER}={smoothing:.3g}, {classes} classes)")
    examination.evidence.append(f"the smoothed labels of {_RUNS * _BATCHES} batches were compared")


def _batches(
    examination: Examination, draw: Source, prm: dict[str, float], classes: int, sizes: list[int]
) -> Iterator[Batch]:
    images, labels = random_batches(sizes, draw.getrandbits(60), classes=classes)
    seeds = [draw.getrandbits(60) for _ in sizes]
    _, batches = learn(examination.session, prm, sizes, seeds, images, labels, classes)
    yield from batches


def why_wrong(batch: Batch, leaf: int, smoothing: float) -> str:
    """The reason why the targets at a leaf are no smoothed labels; empty if they are.

    The loss of an auxiliary output may have a factor.
    """
    softmax = probabilities(batch.logits[leaf])
    classes = softmax.shape[1]
    of_labels, uniform = softmax - one_hot(batch.labels, classes), softmax - 1.0 / classes
    arrived = batch.arrived[leaf]
    weights, error = _fitted(arrived, of_labels, uniform)
    if leaf and not weights.any():
        return ""  # an output without a loss
    if error > _TOLERANCE:
        return "the gradients at the logits are not those of a cross-entropy with smoothed labels"
    total = float(weights.sum())
    own = float(weights[1]) / (total if leaf else 1.0)
    if abs(own - smoothing) <= _TOLERANCE and (leaf or abs(total - 1) <= _TOLERANCE):
        return ""
    if leaf == 0 and abs(total - 1) > _TOLERANCE:
        return f"the probabilities of a target add up to {total:.3g}, the number of classes may be wrong"
    if abs(own) <= _TOLERANCE:
        return "the labels are not smoothed"
    if abs(own - (1 - (1 - smoothing) ** 2)) <= _TOLERANCE:
        return "the labels are smoothed twice"
    if abs(own - smoothing * classes / (classes - 1)) <= _TOLERANCE:
        return f"the smoothing is spread over the {classes - 1} other classes, expected all {classes}"
    return f"the labels are smoothed by {own:.3g}, expected {smoothing:.3g}"


def _fitted(arrived: Array, *directions: Array) -> tuple[Array, float]:
    """The weights by which gradients are a sum of others, and the distance from it relative to their norm."""
    matrix = np.stack([direction.ravel() for direction in directions], axis=1)
    weights, *_ = np.linalg.lstsq(matrix, arrived.ravel(), rcond=None)
    norm = float(np.linalg.norm(arrived))
    return weights, float(np.linalg.norm(arrived.ravel() - matrix @ weights)) / norm if norm else 0.0

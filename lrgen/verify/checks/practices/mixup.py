"""The check of mixup and CutMix: an image and its label are mixed with another one of the batch by the same weight.

The weight is drawn inside the file. It is computed from the images that come to the stand-in, and from the gradients
at its logits, which are softmax minus target: the target of an image must have the weight that its pixels have.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lrgen.records import Hyperparameter, Practice
from lrgen.verify import messages
from lrgen.verify.checks.draw import MAX_BATCHES, Source, log_uniform
from lrgen.verify.checks.examination import Examination, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.large import is_large
from lrgen.verify.checks.practices.mixing_weights import require_distribution
from lrgen.verify.checks.practices.stand_in_runs import Batch, again_from_list, learn, one_hot, probabilities
from lrgen.verify.session import Array

_DEFAULT, _DRAWN, _FEW = 800, 400, 200  # batches: of the default, of a drawn value, and of either in a large network
_SIZE = 6  # images of a batch: one of 720 orders is their own, and mixes nothing
_SIZES, _LATER = (8, 32), 12  # of a batch, and epochs: of a run whose weights are few
_CLASSES = 10
_SAME = 1e-3  # weights and gradients, in single precision
_SAME_PIXELS = 1e-4
_ROUNDING = 2e-6  # of the pixels of an image that is mixed with itself
_UNMIXED = 0.4  # of the images of mixed batches; a random order leaves one of six, and a weight may be 1
_RATIO = 2.5, 4.0  # of the default and a drawn value


@dataclass(frozen=True)
class Mixed:
    """An image that is ``weight`` times its own and the rest that of image ``other`` of its batch."""

    other: int
    weight: float


def check(examination: Examination) -> None:
    """Require images and labels to be mixed alike, by weights of the right distribution.

    Raises:
        CheckFailure: if they are not; the message says how they differ.
    """
    variant = examination.candidate.variant
    assert variant is not None
    assert variant.practice is not None
    draw, practice = examination.draw.stream("mixup"), variant.practice
    [parameter] = practice.hyperparameters
    large = is_large(examination)
    compared = 0
    for alpha, batches in ((None, _FEW if large else _DEFAULT), (_other(parameter, draw), _FEW if large else _DRAWN)):
        prm = {} if alpha is None else {parameter.name: alpha}
        weights = _weights(examination, draw, practice, prm, batches)
        require_distribution(practice, weights, draw, alpha, size=_SIZE)
        compared += batches
    # In other batches than those of the distribution, the weights of images and labels agree as well.
    _weights(examination, draw, practice, {}, 2 * _LATER, round(log_uniform(draw, *_SIZES)), 2)
    compared += 2 * _LATER
    _require_kept(examination, draw, practice)
    examination.evidence.append(f"the weights of images and labels were compared in {compared} batches")


def _other(parameter: Hyperparameter, draw: Source) -> float:
    """A value of a parameter that is far from its default."""
    ratio = draw.uniform(*_RATIO)
    return parameter.default * ratio if parameter.default * _RATIO[1] <= 1 else parameter.default / ratio


def _weights(
    examination: Examination,
    draw: Source,
    practice: Practice,
    prm: dict[str, float],
    count: int,
    size: int = _SIZE,
    epoch: int = MAX_BATCHES,
) -> Array:
    """The weights of the batches of a run, ``epoch`` a call, of which images and labels are compared."""
    sizes = [size] * count
    images, labels = random_batches(sizes, draw.getrandbits(60), classes=_CLASSES)
    seeds = [draw.getrandbits(60) for _ in sizes]
    criterion, batches = learn(examination.session, prm, sizes, seeds, images, labels, _CLASSES, epoch)
    mixed_by = in_boxes if practice.constants["box"] else in_sums
    places = [f"in batch {number} of {count}" for number in range(1, count + 1)]
    mixed = [_mixed(mixed_by, batch.inputs, batch.images, place) for batch, place in zip(batches, places, strict=True)]
    weights = np.array([weight for own in mixed for weight in drawn_weights(own)])
    if weights.min() > 1 - _SAME:  # which image the labels were mixed for is not known then
        raise CheckFailure("the images are not mixed")
    with_itself = [np.mean([each.other == at for at, each in enumerate(own)]) for own in mixed]
    unmixed = float(np.mean([share for share in with_itself if share < 1]))
    if unmixed > _UNMIXED:
        raise CheckFailure(f"{unmixed:.0%} of the images of a batch are mixed with no other one")
    wrong: dict[str, list[str]] = {}  # by the words of a reason, the reasons with their numbers and places
    for batch, own, place in zip(batches, mixed, places, strict=True):
        if reason := why_wrong(batch, own, criterion):
            wrong.setdefault(re.sub(r"[\d.]+", "", reason), []).append(f"{reason} {place}")
    if wrong:  # a wrong label or weight can be the right one of a batch by chance: most batches say what is wrong
        raise CheckFailure(max(wrong.values(), key=len)[0])
    return weights


def drawn_weights(mixed: Sequence[Mixed]) -> list[float]:
    """The weights that were drawn for a batch: one, or one for each image that is mixed with another one."""
    weights = [each.weight for at, each in enumerate(mixed) if each.other != at]
    if not weights or max(weights) - min(weights) <= _SAME:
        return [min(weights, default=1.0)]
    return weights


def _require_kept(examination: Examination, draw: Source, practice: Practice) -> None:
    """Require that the images of the caller are not written to: those of a list are seen in the next epoch again."""
    sizes = [_SIZE] * 8
    images, labels = random_batches(sizes, draw.getrandbits(60), classes=_CLASSES)
    mixed_by = in_boxes if practice.constants["box"] else in_sums
    seeds = draw.getrandbits(60), draw.getrandbits(60)
    again = again_from_list(examination.session, sizes, seeds, images, labels)
    for inputs, own in zip(again, _split(images), strict=True):
        if any(mixed_by(image, own, at) is None for at, image in enumerate(inputs)):
            raise CheckFailure("learn changes the images of its caller")


def _split(images: Array) -> Sequence[Array]:
    return np.split(images, len(images) // _SIZE)


def _mixed(
    mixed_by: Callable[[Array, Array, int], Mixed | None], inputs: Array, images: Array, place: str
) -> list[Mixed]:
    mixed = [mixed_by(image, images, at) for at, image in enumerate(inputs)]
    if None in mixed:
        raise CheckFailure(f"an input of the network is no mixture of two images of its batch {place}")
    return [each for each in mixed if each is not None]


def in_sums(image: Array, images: Array, own: int) -> Mixed | None:
    """The other image and the weight of which an image is a weighted mean; None for no such mean."""
    rows, target = images.reshape(len(images), -1), image.ravel()
    differences = rows[own] - rows  # of the image itself: 0
    squares = np.einsum("ip,ip->i", differences, differences)
    weights = np.einsum("ip,ip->i", target - rows, differences) / np.where(squares, squares, 1.0)
    weights[squares == 0] = 1.0
    errors = np.abs(target - rows - weights[:, None] * differences).max(axis=1)
    other = own if errors[own] <= _ROUNDING else int(errors.argmin())
    is_mean = errors[other] <= _SAME_PIXELS and -_SAME <= weights[other] <= 1 + _SAME
    return Mixed(other, float(weights[other])) if is_mean else None


def in_boxes(image: Array, images: Array, own: int) -> Mixed | None:
    """The other image of which a box is in an image, and the fraction of its own pixels; None for no such box."""
    outside = np.all(image == images[own], axis=0)
    if outside.all():
        return Mixed(own, 1.0)
    rows, columns = np.flatnonzero(~outside.all(axis=1)), np.flatnonzero(~outside.all(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if outside[box].any():
        return None
    others = [at for at, second in enumerate(images) if np.array_equal(image[(..., *box)], second[(..., *box)])]
    return Mixed(others[0], float(outside.mean())) if others else None


def why_wrong(batch: Batch, mixed: Sequence[Mixed], criterion: messages.CriterionReport) -> str:
    """The reason why the labels are not mixed like the images; empty if they are."""
    labels = batch.labels
    for leaf, logits in enumerate(batch.logits):
        softmax, arrived = probabilities(logits), batch.arrived[leaf]
        targets = _smoothed(one_hot(labels, softmax.shape[1]), criterion.label_smoothing)
        others = targets[[each.other for each in mixed]]
        weight = np.array([each.weight for each in mixed])[:, None]
        expected = softmax - weight * targets - (1 - weight) * others
        factor = float((arrived * expected).sum() / (expected * expected).sum()) if leaf else 1.0
        if np.abs(arrived - factor * expected).max() <= _SAME * max(1.0, abs(factor)):
            continue
        for at, each in enumerate(mixed):
            if labels[at] != labels[each.other]:
                reason = _why(arrived[at], softmax[at], targets, at, each)
                if reason:
                    return reason
        return "the gradients at the logits are not those of mixed labels"
    return ""


def _why(arrived: Array, softmax: Array, targets: Array, own: int, mixed: Mixed) -> str:
    """The reason why the target of an image is wrong; empty if it is right."""
    pair = np.stack([softmax - targets[own], softmax - targets[mixed.other]], axis=1)
    (first, second), *_ = np.linalg.lstsq(pair, arrived, rcond=None)
    if np.abs(arrived - pair @ [first, second]).max() > _SAME:
        return "a label is mixed with that of another image than the pixels"
    if abs(first - mixed.weight) <= _SAME and abs(second - 1 + mixed.weight) <= _SAME:
        return ""
    if abs(first - 1) <= _SAME and abs(second) <= _SAME:
        return "the labels are not mixed"
    if abs(first - 1 + mixed.weight) <= _SAME and abs(second - mixed.weight) <= _SAME:
        return f"the weights of the two labels are swapped: an image has the weight {mixed.weight:.3f}"
    return (
        f"a label has the weight {first:.3f} where its image has {mixed.weight:.3f}, and the other label {second:.3f}"
    )


def _smoothed(targets: Array, smoothing: float) -> Array:
    smoothed: Array = (1 - smoothing) * targets + smoothing / targets.shape[1]
    return smoothed

"""The batches of a training whose practice trains on other examples than the loader's batches, or on mixed labels.

Which examples a curriculum trains on is known by their pixels, and with them their labels. The gradients at the logits
of a network that learns mixed labels are softmax minus target: a target has the weights of two labels. The losses that
are expected follow from both; the file has a part in neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lrgen.curves import pacing
from lrgen.records import Practice, Variant
from lrgen.verify.checks import scores
from lrgen.verify.checks.batch_losses import SAME, LossesOf
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.practices.in_use import InUse
from lrgen.verify.checks.practices.mixing_weights import require_distribution
from lrgen.verify.checks.practices.stand_in_runs import one_hot, probabilities
from lrgen.verify.checks.second_process import Setting
from lrgen.verify.checks.updates import Place
from lrgen.verify.session import Array

Labels = NDArray[np.int64]

_NEAR = 1e-5  # a threshold that rounding errors may move, relative to it
_MIXED = 1e-5  # the least weight of other labels that shows which they are
_KNOWN = 1e-2  # the least weight at which each of them is compared
_ENOUGH = 20  # batches that show a distribution


def labels_in_use(
    practice: Practice, seen: Sequence[Sequence[int]], labels: Labels, epoch: int, epochs: int, batch: int
) -> list[Labels]:
    """The labels of each batch of an epoch of a curriculum.

    Args:
        seen: the positions of the images of each batch among those of the loader.
        labels: of the images of the loader.
        epoch: counted from 0.
        epochs: planned.
        batch: images of a batch of the loader.

    Raises:
        CheckFailure: if they are not as many as the practice says, or not each once.
    """
    count, place = len(labels), f"in training at epoch {epoch + 1} of {epochs}"
    size = InUse.of(practice, {}, epochs, count, batch).sizes[epoch] if practice.is_paced else count
    positions = [position for of_batch in seen for position in of_batch]
    if any(position >= count for position in positions):
        raise CheckFailure(f"learn trains on images that are not those of its loader {place}")
    if len(positions) != size:
        raise CheckFailure(
            f"learn trains on {len(positions)} examples {place}, expected {size} of {count} ({practice.name})"
        )
    if len(set(positions)) != size:
        raise CheckFailure(f"learn trains on an example twice {place}, and on another one not at all")
    return [labels[list(of_batch)] for of_batch in seen]


def losses_in_use(practice: Practice, epoch: int, classes: int, smoothing: float) -> LossesOf:
    """The loss of a batch of a curriculum at each leaf of logits: the mean over its examples, weighted if self-paced.

    Args:
        epoch: counted from 0.
    """
    if practice.is_paced:
        return lambda leaves, labels, _, __: [float(scores.losses(leaf, labels, smoothing).mean()) for leaf in leaves]
    values = practice.defaults
    start, growth = values["start_threshold"] * 2.0 * float(np.log(classes)), values["threshold_growth"]
    threshold = float(pacing.threshold(epoch, start=start, growth=growth))
    weights_of = pacing.hard_weights if practice.constants["weights"] == "hard" else pacing.soft_weights

    def weighted(losses: NDArray[np.float64], value: float) -> float:
        """The weighted mean; of those with and without an example at the threshold, the nearest to the value."""
        means = []
        for moved in (0.0, -_NEAR, _NEAR):
            weights = weights_of(losses, threshold * (1 + moved))
            means.append(float((weights * losses).sum() / weights.sum()))
        return min(means, key=lambda mean: abs(mean - value))

    return lambda leaves, labels, value, _: [weighted(scores.losses(leaf, labels, smoothing), value) for leaf in leaves]


@dataclass(frozen=True)
class MixedLabels:
    """The labels of a batch, each with a weight and the rest that of its other label.

    Args:
        weights: of the batch, or of each image.
    """

    weights: Array
    others: Labels

    def losses(self, leaves: Sequence[Array], labels: Labels, smoothing: float) -> list[float]:
        """The loss at each leaf of logits."""
        return [
            float(
                (
                    self.weights * scores.losses(leaf, labels, smoothing)
                    + (1 - self.weights) * scores.losses(leaf, self.others, smoothing)
                ).mean()
            )
            for leaf in leaves
        ]


def mixed_labels(
    logits: Array, arrived: Array, labels: Labels, smoothing: float, tolerance: float = SAME
) -> MixedLabels:
    """The labels of which a loss is, by the gradients that it has at the logits; ``tolerance`` is that of a weight.

    Raises:
        CheckFailure: if they are not those of the batch in another order, with one weight or one for each image.
    """
    classes = logits.shape[1]
    targets = probabilities(logits.astype(np.float64)) - len(labels) * arrived.astype(np.float64)
    mixed = (targets - smoothing / classes) / (1 - smoothing)
    if not np.isfinite(mixed).all():
        raise CheckFailure("the gradients at the logits are not finite")
    own: Array = mixed[np.arange(len(labels)), labels]  # 1 where an image is mixed with one of its class
    for weight in (float(own.min()), float(own.max())):
        if not -tolerance <= weight <= 1 + tolerance:
            raise CheckFailure(f"a label has the weight {weight:.3f}")
    known = own < 1 - _KNOWN
    of_batch = not known.any() or float(np.ptp(own[known])) <= tolerance
    weights = own.min(keepdims=True) if of_batch else own
    of_labels = one_hot(labels, classes)
    rest = mixed - weights[:, None] * of_labels
    others = np.where(weights > 1 - _MIXED, labels, rest.argmax(axis=1))
    if np.abs(rest - (1 - weights[:, None]) * one_hot(others, classes)).max() > tolerance:
        raise CheckFailure("the gradients at the logits are not those of mixed labels")
    seen = np.bincount(others if of_batch else others[known], minlength=classes)
    if known.any() and np.any(seen > np.bincount(labels, minlength=classes)):
        raise CheckFailure("the labels of a batch are mixed with others than those of its images")
    return MixedLabels(weights, others)


@dataclass
class Mixing:
    """The mixed labels of a training, in the order of its batches."""

    weights: list[float] = field(default_factory=list)
    of_images: bool = False  # whether those of a batch differ

    def losses(self, arrived: Sequence[Array], smoothing: float, tolerance: float, number: int) -> LossesOf:
        """The loss of each batch of an epoch, by the gradients that have arrived at its logits.

        Args:
            tolerance: of the weight of a label.
            number: of the epoch, counted from 1.
        """

        def losses(leaves: Sequence[Array], labels: Labels, _: float, batch: int) -> list[float]:
            try:
                mixed = mixed_labels(leaves[0], arrived[batch], labels, smoothing, tolerance)
            except CheckFailure as failure:
                place = Place(number - 1, len(arrived), "training")(batch)
                raise CheckFailure(f"{failure} {place}") from failure
            self.of_images |= len(mixed.weights) > 1
            self.weights.append(float(mixed.weights[0]))
            return mixed.losses(leaves, labels, smoothing)

        return losses

    def judge(self, variant: Variant, setting: Setting) -> str:
        """A sentence on the weights.

        Raises:
            CheckFailure: if they do not have the distribution of the variant's practice.
        """
        assert variant.practice is not None
        draw = setting.examination.draw.stream("training", "mixing")
        pixels, batch = int(setting.data.images.shape[-1]), setting.plan.batch_size
        if self.of_images or len(self.weights) < _ENOUGH:  # one of an image that is mixed with its class is not known
            return f"the labels of {len(self.weights)} batches of training were mixed"
        weights = np.array(self.weights)
        require_distribution(variant.practice, weights, draw, pixels=pixels, size=batch, where="the labels of training")
        return f"the weights of the labels were compared in {len(weights)} batches of training"

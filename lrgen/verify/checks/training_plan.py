"""The training of a file: its epochs, its batches and its base learning rate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lrgen import curves
from lrgen.records import Budget, Candidate, PracticeKind, Training, Unit, Variant, VerifySettings
from lrgen.verify.checks.clipping import Clipping

# The mean of a schedule that short trainings assume, as a fraction of the base learning rate; most have a higher mean.
MEAN_RATE = 0.5
# The limit on the maximum learning rate, as a multiple of the base learning rate.
HIGHEST_RATE = 3.0
# The updates in an epoch of a full training, as a guess.
UPDATES = 50
# The practices with updates that are fewer for their images, shorter, or of mixed images.
_SLOW = (PracticeKind.ACCUMULATION, PracticeKind.CLIPPING, PracticeKind.MIXUP)


@dataclass(frozen=True)
class TrainingPlan:
    """The training of a file.

    Without a ``budget`` the network is trained on the training images and evaluated on held-out images. With a budget
    it is trained and evaluated on the same small subset, with batch norm statistics of this subset.
    """

    epochs: int
    batch_size: int
    lr: float
    budget: Budget | None = None

    @property
    def training(self) -> Training:
        """The kind of training in the results."""
        return Training.OVERFIT if self.budget else Training.FULL


def plan_of(candidate: Candidate, settings: VerifySettings) -> TrainingPlan:
    """The training of a candidate; its budget applies on the CPU, unless the settings ask for the full training."""
    budget = budget_of(candidate, settings)
    if budget is None:
        late = _rises(candidate, settings.epochs) or _is_paced(candidate)
        epochs = settings.epochs * (2 if late else 1)
        return TrainingPlan(epochs, _part(candidate, settings.batch_size), candidate.prm["lr"])
    lr = candidate.prm["lr"]
    if candidate.variant is not None and candidate.variant.optimizer is not None:
        lr *= budget.own_rate
    elif budget.lr:
        lr = budget.lr
    lr *= _lr_factor(candidate, budget) * _clipping_factor(candidate)
    return TrainingPlan(budget.epochs, _part(candidate, budget.batch), lr, budget)


def _part(candidate: Candidate, images: int) -> int:
    """The number of images of a batch, of which an update has so many together.

    Batch norm needs two of them.
    """
    every = candidate.variant.batches_per_update if candidate.variant else 1
    return images if every == 1 else max(2, images // every)


def budget_of(candidate: Candidate, settings: VerifySettings) -> Budget | None:
    """The budget of a candidate's training, where it applies; one that learns slowly has twice the epochs."""
    budget = candidate.budget
    if budget is None or settings.full or settings.device != "cpu":
        return None
    factor = 2 if _learns_slowly(candidate) else 1
    return replace(budget, epochs=factor * budget.epochs, seconds=factor * budget.seconds)


def _lr_factor(candidate: Candidate, budget: Budget) -> float:
    """The factor on the base learning rate that raises the mean of a low schedule to ``MEAN_RATE``.

    A budget has a few dozen updates. A schedule that stays near zero during these (a warm-up of 10,000 updates, a
    fourth power) would not test the network.
    """
    rates = _relative_rates(candidate, budget.epochs, -(-budget.images // budget.batch))
    return 1.0 if rates is None else max(1.0, min(MEAN_RATE / float(rates.mean()), HIGHEST_RATE / float(rates.max())))


def _clipping_factor(candidate: Candidate) -> float:
    """The factor on the base learning rate of a budget where gradients are clipped by their norm.

    The gradients of a new network are many times longer than the limit, and its few dozen updates shorter by as much.
    """
    clipping = Clipping.of(candidate.variant)
    return HIGHEST_RATE if clipping is not None and clipping.norm is not None else 1.0


def _rises(candidate: Candidate, epochs: int) -> bool:
    """Whether a schedule rises to the end of training and is low before, as a learning rate range test.

    Such a training learns late, just before its highest rates disturb it.
    """
    rates = _relative_rates(candidate, epochs, UPDATES)
    return rates is not None and float(rates[..., -1].min()) == float(rates.max()) and float(rates.mean()) < MEAN_RATE


def _is_paced(candidate: Candidate) -> bool:
    """Whether a curriculum keeps some of the examples for later: such a training learns late as well."""
    practice = candidate.variant.practice if candidate.variant is not None else None
    return practice is not None and practice.is_paced


def _learns_slowly(candidate: Candidate) -> bool:
    """Whether a practice gives less to learn from an update, or shorter updates, than the training of its network."""
    practice = candidate.variant.practice if candidate.variant is not None else None
    return practice is not None and (practice.kind in _SLOW or practice.is_paced)


def _relative_rates(candidate: Candidate, epochs: int, updates: int) -> NDArray[np.float64] | None:
    """The learning rates of a training as multiples of the base learning rate; None if a metric decides them."""
    variant = candidate.variant
    if variant is None or variant.unit is Unit.METRIC:
        return None
    prm = {name: value for name, value in candidate.prm.items() if name in variant.defaults}
    return curves.rates(variant, *steps_of(variant, [updates] * epochs), 1.0, prm)


def steps_of(variant: Variant, updates: Sequence[int]) -> tuple[NDArray[np.int64], int]:
    """The step of the schedule at each update of a training with these updates in each epoch, and the horizon."""
    if variant.per_batch:
        return np.arange(sum(updates)), sum(updates)
    return np.repeat(np.arange(len(updates)), updates), len(updates)

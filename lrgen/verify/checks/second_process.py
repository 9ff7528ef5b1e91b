"""A second process of a file computes from a state of its network: the logits that decide, and gradients.

The second process does not know what the first one did. The logits are those of the saved state, which may not depend
on other buffers than statistics of norms, and those of its parameters alone, with such statistics renewed over images
without labels: a network whose buffers hold what it remembers of its images has not learned with its parameters. The
gradients of drawn batches are computed at the weights before these batches, at another base learning rate: directly
where the criterion is torch's cross-entropy of one tensor, else by ``learn``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen.verify import messages
from lrgen.verify.checks import scores
from lrgen.verify.checks.clipping import Clipping
from lrgen.verify.checks.examination import Examination, raising
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.hand_over import hand_over
from lrgen.verify.checks.images import TrainingData
from lrgen.verify.checks.notes import Notes, Sampling
from lrgen.verify.checks.training_plan import TrainingPlan
from lrgen.verify.checks.updates import RESOLUTION
from lrgen.verify.session import Array, Session

NET = "net"
_SILENT, _KEPT = "silent", "batch"
# The difference of two gradients of the same batch at the same weights, relative to their norm.
TOLERANCE = 1e-3
LOW_PRECISION = 0.2  # with autocast, compiled, or on a GPU
# The factors of a loss whose gradients are computed in float16, down from that with which a GradScaler begins.
_LOSS_SCALES = tuple(2.0**power for power in range(16, -1, -1))


@dataclass(frozen=True)
class Setting:
    """The way networks are built, trained and evaluated in every process of a training."""

    examination: Examination
    plan: TrainingPlan
    data: TrainingData
    prm: Mapping[str, Any]

    @property
    def exact(self) -> bool:
        """Whether two processes compute the same numbers, but for rounding errors of float32."""
        settings = self.examination.settings
        return not (settings.autocast or settings.compile) and settings.device == "cpu"

    def give_data(self, session: Session, with_labels: bool = True) -> None:
        """Give a process the images, and the labels of the training images."""
        data = self.data
        labels = data.labels if with_labels else np.zeros_like(data.labels)
        session.call(
            "data",
            messages.Nothing,
            [data.images, labels, data.held_out],
            batch_size=self.plan.batch_size,
            crop=data.crop,
            flip=data.flip,
            held_out_batch=4 * self.plan.batch_size,
        )

    def build(self, session: Session, net: str = NET) -> list[messages.Parameter]:
        """Build the network."""
        shape = [self.plan.batch_size, *self.data.images.shape[1:]]
        seed = self.examination.settings.seed
        built, _ = session.call(
            "build",
            messages.Built,
            net=net,
            shape=shape,
            classes=self.data.classes,
            prm=dict(self.prm),
            seed=seed,
        )
        return built.parameters

    def set_up(self, session: Session, net: str = NET) -> messages.SetUp:
        """Call ``train_setup``."""
        return session.call("set_up", messages.SetUp, net=net)[0]

    def evaluation(self, session: Session, sampling: Sampling | None = None, **arguments: Any) -> "Evaluation":
        """Evaluate the network.

        Raises:
            CheckFailure: if the logits have another shape than images × classes, or if weights or buffers change.
        """
        expected = (arguments.get("count") or len(self.data.held_out), self.data.classes)
        evaluated, [logits, weights] = session.call(
            "logits",
            messages.Evaluated,
            sampling.arrays if sampling else [],
            net=NET,
            seed=self.examination.settings.seed,
            autocast=self.examination.settings.autocast,
            **arguments,
        )
        if logits.shape != expected or logits.dtype != np.float32:
            raise CheckFailure(f"the logits have the shape {logits.shape}, expected {expected}")
        for name, (before, after) in (("weights", evaluated.weights), ("buffers", evaluated.buffers)):
            if before != after:
                raise CheckFailure(f"the {name} of the network change while it is evaluated")
        return Evaluation(logits, weights, evaluated.weights[1])


@dataclass(frozen=True)
class Evaluation:
    """The logits of evaluated images, and sampled weights and the digest of all weights in evaluation mode."""

    logits: NDArray[np.float32]
    weights: Array
    digest: int


@dataclass(frozen=True)
class SavedLogits:
    """The logits of a kept state, those of its parameters and statistics of norms, and of its parameters alone.

    ``left`` are the other buffers that training changed.
    """

    logits: NDArray[np.float32]
    learned: NDArray[np.float32]
    alone: NDArray[np.float32]
    left: Sequence[str]


def saved_logits(setting: Setting, trained: Session, name: str, weights: int) -> SavedLogits:
    """Evaluate a kept state in a fresh process."""
    overfit = setting.plan.budget is not None
    norms = "held-out" if overfit else None
    with (
        setting.examination.fresh(setting.examination.settings.threads) as session,
        raising("the evaluation of the saved state"),
    ):
        setting.give_data(session, with_labels=False)
        if sum(parameter.count for parameter in setting.build(session)) != weights:
            setting.set_up(session)  # which adds the others
        hand_over(trained, session, name, weights)
        session.call("load_state", messages.Left, net=NET, name=name, part="parameters")
        alone = setting.evaluation(session, norms="held-out" if overfit else "training").logits
        [left] = session.call("load_state", messages.Left, net=NET, name=name, part="statistics")[:1]
        learned = setting.evaluation(session, norms=norms).logits if left.left else None
        session.call("load_state", messages.Left, net=NET, name=name)
        session.call("drop_state", messages.Nothing, name=name)
        logits = setting.evaluation(session, norms=norms).logits
        return SavedLogits(logits, logits if learned is None else learned, alone, left.left)


@dataclass(frozen=True)
class DrawnBatch:
    """The batches of an update of the training whose gradient is computed again, as a rule one.

    ``order`` are the images of its epoch and ``seeds`` those of its batches, both from the first drawn batch on;
    ``sizes`` are the images of each drawn batch. ``observed`` are the sampled gradients, ``norm`` is that of all
    gradients, ``largest_norm`` the largest so far. ``same_loss`` says that the loss is the cross-entropy of the logits.
    """

    place: str
    order: NDArray[np.int64]
    seeds: Sequence[int]
    sizes: Sequence[int]
    observed: NDArray[np.floating[Any]]
    norm: float
    largest_norm: float
    same_loss: bool


@dataclass(frozen=True)
class Compared:
    """The way a gradient was computed again: by ``learn``, and with which term of the weights alone."""

    by_learn: bool = False
    term: float | None = None


class SecondProcess:
    """A process that computes gradients of drawn batches again, at another base learning rate.

    It gets the parameters of the network alone: what buffers tell may not show in a gradient.
    """

    def __init__(self, setting: Setting, session: Session, sampling: Sampling, weights: int) -> None:
        self._setting, self._session, self._sampling, self._weights = setting, session, sampling, weights
        self._tolerance = TOLERANCE if setting.exact else LOW_PRECISION
        setting.give_data(session)
        setting.build(session)
        self._criterion = setting.set_up(session).criterion

    def check(self, trained: Session, batch: DrawnBatch) -> Compared:
        """Compute the gradient of a drawn batch again, whose weights the process of the training has kept as ``batch``.

        Raises:
            CheckFailure: if it differs.
        """
        hand_over(trained, self._session, _KEPT, self._weights)
        compared = self._check(batch)
        self._session.call("drop_state", messages.Nothing, name=_KEPT)
        return compared

    def _check(self, batch: DrawnBatch) -> Compared:
        self._load(NET)
        variant = self._setting.examination.candidate.variant
        by_learn = not self._criterion.cross_entropy or (variant is not None and variant.mixes_labels)
        direct = None if by_learn else self._direct(batch)
        if direct is None:
            return self._by_learn(batch)
        gradient, norm = direct
        clipping = Clipping.of(self._setting.examination.candidate.variant)
        if clipping is not None:
            gradient, norm = clipping.clipped(gradient, norm), min(norm, clipping.norm or norm)
        explained = _explained(batch, gradient, norm, self._tolerance)
        if explained and batch.same_loss:
            return Compared()
        term, term_norm, value = self._term(batch)
        if explained or (term_norm and _explained(batch, gradient + term, batch.norm, self._tolerance)):
            return Compared(term=value)
        if clipping is not None and term_norm:
            return replace(self._again_by_learn(batch), term=value)
        # At other weights, as SAM's; with a claim only what a lower precision changes.
        if self._setting.examination.candidate.variant is None or _nearly(batch, gradient, norm):
            return self._again_by_learn(batch)
        raise CheckFailure(
            f"the gradient {batch.place} is not that of the criterion with the labels of the batch: its norm is "
            f"{batch.norm:.6g}, expected {norm:.6g}"
        )

    def _again_by_learn(self, batch: DrawnBatch) -> Compared:
        """By ``learn`` of a new network: a GradScaler does not take a step that was not made."""
        self._setting.build(self._session)
        self._setting.set_up(self._session)
        self._load(NET)
        return self._by_learn(batch)

    def _by_learn(self, batch: DrawnBatch) -> Compared:
        again, norm, _ = self._learned(batch)
        if _distance(again, batch.observed) > self._tolerance or not _close(norm, batch.norm, self._tolerance):
            raise CheckFailure(
                f"the gradient {batch.place} differs from that of the same batch at the same weights in another "
                f"process: its norm is {batch.norm:.6g}, expected {norm:.6g}"
            )
        return Compared(by_learn=True)

    def _load(self, net: str) -> None:
        self._session.call("load_state", messages.Left, net=net, name=_KEPT, part="parameters")

    def _term(self, batch: DrawnBatch) -> tuple[NDArray[Any], float, float]:
        """The term of the loss that depends on the weights alone: its gradient, the norm, and its value.

        It is what ``learn`` differentiates with a stand-in that sends gradients of zero.
        """
        images = self._setting.data.images[:2].astype(np.float32) / 255
        self._setting.build(self._session, _SILENT)
        self._setting.set_up(self._session, _SILENT)
        self._load(_SILENT)
        self._session.call("stand_in", messages.StoodIn, [images], net=_SILENT)
        gradient, norm, losses = self._learned(batch, silent=True)
        self._session.call("forget", messages.Nothing, net=_SILENT)
        return gradient, norm, losses

    def _learned(self, batch: DrawnBatch, silent: bool = False) -> tuple[NDArray[Any], float, float]:
        """Let ``learn`` compute until its first step, on the batches from the drawn one on.

        The sampled gradient, its norm, and the difference of the loss from the cross-entropy of the logits.
        """
        setting = self._setting
        trained, arrays = self._session.call(
            "train",
            messages.Trained,
            [*self._sampling.arrays, batch.order],
            net=_SILENT if silent else NET,
            seeds=list(batch.seeds),
            autocast=setting.examination.settings.autocast,
            stop=True,
            silent=silent,
        )
        notes = Notes.of(trained, arrays, self._sampling, gradients=True, stopped=True)
        if notes.updates != 1 or notes.steps[0].norm is None:
            raise CheckFailure(f"learn makes no step of the optimizer in a process that resumes {batch.place}")
        difference = np.nan
        labels = setting.data.labels[batch.order[: setting.plan.batch_size]]
        if trained.leaves == 1 and trained.rows == [len(labels)] and trained.differentiated == [True]:
            own = scores.losses(arrays[4], labels, self._criterion.label_smoothing).mean()
            difference = float(arrays[3][0] - own)
        return notes.gradients[0], notes.steps[0].norm, difference

    def _direct(self, batch: DrawnBatch) -> tuple[NDArray[Any], float] | None:
        """The gradient of the criterion for the labels that the examiner knows; None for several leaves of logits.

        Where ``learn`` scales the loss, this is done at the largest power of two that overflows no gradient, as a
        GradScaler does: the scale decides only which of the smallest gradients vanish.
        """
        variant = self._setting.examination.candidate.variant
        scales = _LOSS_SCALES if variant is not None and variant.scales_loss else (1.0,)
        for scale in scales:
            gradient, sampled = self._gradient(batch, scale)
            if np.isfinite(gradient.norm) or not gradient.single:
                break
        return (sampled, gradient.norm) if gradient.single else None

    def _gradient(self, batch: DrawnBatch, scale: float) -> tuple[messages.Gradient, NDArray[Any]]:
        setting = self._setting
        variant = setting.examination.candidate.variant
        indices = batch.order[: sum(batch.sizes)]
        gradient, arrays = self._session.call(
            "gradient",
            messages.Gradient,
            [indices, setting.data.labels[indices], *self._sampling.arrays],
            net=NET,
            seeds=list(batch.seeds[: len(batch.sizes)]),
            sizes=list(batch.sizes),
            autocast=setting.examination.settings.autocast or (variant is not None and variant.autocast),
            smoothing=self._criterion.label_smoothing,
            scale=scale,
        )
        return gradient, arrays[0] if gradient.single else np.zeros(0)


def _explained(batch: DrawnBatch, gradient: NDArray[Any], norm: float, tolerance: float) -> bool:
    """Whether the observed gradient is this one, or this one clipped.

    A gradient that is clipped by its norm has the largest norm of the training.
    """
    observed = batch.observed
    if _distance(gradient, observed) <= tolerance:
        return True
    by_value = np.clip(gradient, -np.abs(observed).max(initial=0), np.abs(observed).max(initial=0))
    if _distance(by_value, observed) <= tolerance:
        return True
    clipped = batch.norm < norm and _close(batch.norm, batch.largest_norm, tolerance)
    return clipped and _distance(gradient * (batch.norm / norm), observed) <= tolerance


def _nearly(batch: DrawnBatch, gradient: NDArray[Any], norm: float) -> bool:
    """Whether the observed gradient is this one, or this one clipped by its norm, but for the noise of a low precision.

    Noise changes the direction of a gradient at least as much as its length; a factor changes its length alone.
    """
    if norm > batch.largest_norm and _close(batch.norm, batch.largest_norm, TOLERANCE):
        gradient = gradient * (batch.largest_norm / norm)
    gradient, observed = gradient.astype(np.float64), batch.observed.astype(np.float64)
    square = float(np.dot(gradient, gradient))
    if not square:
        return False
    factor = float(np.dot(observed, gradient)) / square
    noise = float(np.linalg.norm(observed - factor * gradient)) / square**0.5
    return bool(abs(factor - 1) <= min(noise, RESOLUTION) and noise <= LOW_PRECISION)


def _distance(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The distance of two gradients, relative to the mean of their norms; 0 if both are zero."""
    with np.errstate(all="ignore"):
        distance = float(np.linalg.norm(a.astype(np.float64) - b))
        scale = (float(np.linalg.norm(a)) + float(np.linalg.norm(b))) / 2
    return distance / scale if scale else distance


def _close(a: float, b: float, tolerance: float) -> bool:
    return abs(a - b) <= tolerance * (abs(a) + abs(b)) / 2

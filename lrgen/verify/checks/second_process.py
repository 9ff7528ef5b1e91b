"""What a second process of a file computes from a state of its network: the logits that decide, and a gradient.

The second process does not know what the first one did. The logits are those of the saved state, and those of its
parameters alone, with the statistics of norms renewed over images without labels: a network whose buffers hold what it
remembers of its images has not learned with its parameters. The gradient of one drawn batch is computed by ``learn`` at
the weights before that batch and, where the criterion is torch's cross-entropy of one tensor, directly.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen.verify import messages
from lrgen.verify.checks.examination import Examination, raising
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.hand_over import hand_over
from lrgen.verify.checks.images import TrainingData
from lrgen.verify.checks.observed_updates import Watched
from lrgen.verify.checks.training_plan import TrainingPlan
from lrgen.verify.session import Array, Session

NET = "net"
# The difference of two gradients of the same batch at the same weights, relative to their norm.
TOLERANCE = 1e-2
LOW_PRECISION = 0.2  # with autocast, compiled, or on a GPU


@dataclass(frozen=True)
class Setting:
    """How networks are built, trained and evaluated in every process of a training."""

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

    def build(self, session: Session) -> list[messages.Parameter]:
        """Build the network."""
        shape = [self.plan.batch_size, *self.data.images.shape[1:]]
        seed = self.examination.settings.seed
        built, _ = session.call(
            "build",
            messages.Built,
            net=NET,
            shape=shape,
            classes=self.data.classes,
            prm=dict(self.prm),
            seed=seed,
        )
        return built.parameters

    def set_up(self, session: Session) -> messages.SetUp:
        """Call ``train_setup``."""
        return session.call("set_up", messages.SetUp, net=NET)[0]

    def logits(self, session: Session, **arguments: Any) -> NDArray[np.float32]:
        """The logits of the evaluated images.

        Raises:
            CheckFailure: if they have another shape than images × classes.
        """
        expected = (arguments.get("count") or len(self.data.held_out), self.data.classes)
        autocast = self.examination.settings.autocast
        _, [logits] = session.call("logits", messages.Nothing, net=NET, autocast=autocast, **arguments)
        if logits.shape != expected or logits.dtype != np.float32:
            raise CheckFailure(f"the logits have the shape {logits.shape}, expected {expected}")
        return logits


def saved_logits(
    setting: Setting, trained: Session, name: str, weights: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The logits of a kept state in a fresh process, and those of its parameters alone."""
    overfit = setting.plan.budget is not None
    with setting.examination.fresh() as session, raising("the evaluation of the saved state"):
        setting.give_data(session, with_labels=False)
        setting.build(session)
        hand_over(trained, session, name, weights)
        session.call("load_state", messages.Nothing, net=NET, name=name, parameters_only=True)
        alone = setting.logits(session, norms="held-out" if overfit else "training")
        session.call("load_state", messages.Nothing, net=NET, name=name, parameters_only=False)
        session.call("drop_state", messages.Nothing, name=name)
        return setting.logits(session, norms="held-out" if overfit else None), alone


@dataclass(frozen=True)
class DrawnBatch:
    """A batch of the training whose gradient is computed again.

    ``order`` are the images of its epoch and ``seeds`` those of its batches, both from the drawn batch on. ``observed``
    are the sampled gradients, ``norm`` is that of all gradients, ``largest_norm`` the largest of the training.
    ``single`` says that the output of the network is one tensor.
    """

    place: str
    order: NDArray[np.int64]
    seeds: Sequence[int]
    observed: NDArray[np.floating[Any]]
    norm: float
    largest_norm: float
    single: bool


def check_gradient(
    setting: Setting, trained: Session, name: str, weights: int, sampling: Sequence[Array], batch: DrawnBatch
) -> str:
    """Compute the gradient of the drawn batch again; returns a sentence on what was compared.

    Raises:
        CheckFailure: if it differs.
    """
    tolerance = TOLERANCE if setting.exact else LOW_PRECISION
    with ExitStack() as stack:
        session = stack.enter_context(setting.examination.fresh())
        stack.enter_context(raising("training"))
        setting.give_data(session)
        parameters = setting.build(session)
        set_up = setting.set_up(session)
        hand_over(trained, session, name, weights)
        session.call("load_state", messages.Nothing, net=NET, name=name, parameters_only=False)
        session.call("drop_state", messages.Nothing, name=name)
        again, norm = _gradient_of_learn(setting, session, sampling, batch, len(parameters))
        if _distance(again, batch.observed) > tolerance or not _close(norm, batch.norm, tolerance):
            raise CheckFailure(
                f"the gradient {batch.place} differs from that of the same batch at the same weights in another "
                f"process: its norm is {batch.norm:.6g}, expected {norm:.6g}"
            )
        if not (batch.single and set_up.criterion.cross_entropy):
            return "the gradient of a drawn batch was computed again by learn: its loss is the file's own"
        direct, direct_norm = _direct_gradient(setting, session, sampling, batch)
        if _explained(batch, direct, direct_norm, tolerance):
            return "the gradient of a drawn batch was computed again"
        session.call("stand_in", messages.StoodIn, [setting_images(setting)], net=NET)
        term, term_norm = _gradient_of_learn(setting, session, sampling, batch, len(parameters), silent=True)
        whole = direct + term
        if term_norm and _explained(batch, whole, batch.norm, tolerance):
            return "the gradient of a drawn batch was computed again, with a term of the loss of weights alone"
    raise CheckFailure(
        f"the gradient {batch.place} is not that of the criterion with the labels of the batch: its norm is "
        f"{batch.norm:.6g}, expected {direct_norm:.6g}"
    )


def setting_images(setting: Setting) -> Array:
    """Two images for a forward pass whose output does not matter."""
    return setting.data.images[:2].astype(np.float32) / 255


def _gradient_of_learn(
    setting: Setting,
    session: Session,
    sampling: Sequence[Array],
    batch: DrawnBatch,
    parameters: int,
    silent: bool = False,
) -> tuple[NDArray[Any], float]:
    """The gradient at the first step of ``learn`` on the batches from the drawn one on."""
    trained, arrays = session.call(
        "train",
        messages.Trained,
        [*sampling, batch.order],
        net=NET,
        seeds=list(batch.seeds),
        autocast=setting.examination.settings.autocast,
        stop=True,
        silent=silent,
    )
    watched = Watched.of(trained, arrays, parameters, len(sampling[0]))
    if len(watched.steps) != 1 or watched.steps[0].norm is None:
        raise CheckFailure(f"learn makes no step of the optimizer in a process that resumes {batch.place}")
    return watched.gradients[0], watched.steps[0].norm


def _direct_gradient(
    setting: Setting, session: Session, sampling: Sequence[Array], batch: DrawnBatch
) -> tuple[NDArray[Any], float]:
    """The gradient of the criterion for the labels that the examiner knows."""
    indices = batch.order[: setting.plan.batch_size]
    _, [images, _] = session.call("batch", messages.Nothing, [indices], seed=batch.seeds[0])
    gradient, [sampled, _] = session.call(
        "gradient",
        messages.Gradient,
        [images, setting.data.labels[indices], *sampling],
        net=NET,
        seed=batch.seeds[0],
        autocast=setting.examination.settings.autocast,
    )
    return sampled, gradient.norm


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


def _distance(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The distance of two gradients, relative to the mean of their norms; 0 if both are zero."""
    with np.errstate(all="ignore"):
        distance = float(np.linalg.norm(a.astype(np.float64) - b))
        scale = (float(np.linalg.norm(a)) + float(np.linalg.norm(b))) / 2
    return distance / scale if scale else distance


def _close(a: float, b: float, tolerance: float) -> bool:
    return abs(a - b) <= tolerance * (abs(a) + abs(b)) / 2

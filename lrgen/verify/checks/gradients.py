"""A part of the contract check: the gradients of a batch do not depend on the batch before it.

Gradients that are not zeroed add up over the batches: the network still learns on small datasets, and every learning
rate is right. ``learn`` therefore runs twice on two batches, of which only the first differs, at a learning rate so low
that no weight changes. The gradients of the second update must have the same direction; their norm may depend on
earlier batches, as with adaptive clipping.
"""

from dataclasses import dataclass

import numpy as np

from lrgen.verify import messages
from lrgen.verify.checks.examination import prm_of, raising, random_batches
from lrgen.verify.checks.notes import Sampling
from lrgen.verify.session import Array, Session

_LR = 1e-60  # above zero, since schedules may divide by it; below the resolution of float32
_BATCH_SIZE = 2
_TOLERANCE = 1e-3
# A file whose gradients differ between equal runs (a random generator of its own, a count of epochs) is not judged.
_TIMES_REPEATED = 10.0


@dataclass(frozen=True)
class Comparison:
    """The relative difference of the second batch's gradients after two different batches, and after equal ones.

    The latter is measured only if the former is large.
    """

    difference: float
    repeated: float


def measure(session: Session, net: str, sampling: Sampling, every: int = 1) -> Comparison | None:
    """Compare the gradients of a network at sampled positions; there is an update after ``every`` batches.

    None if they cannot be compared: the optimizer makes not one step per batch, the weights change, or the gradients
    are zero or not finite.
    """
    size = _BATCH_SIZE * every
    images, labels = random_batches([size] * 3)

    def second_update(first: int) -> tuple[Array, Array] | None:
        at = np.concatenate([np.arange(size) + size * update for update in (first, 2)])
        return _second_update(session, net, [images[at], labels[at], *sampling.arrays], every)

    first = second_update(0)
    difference = _difference(first, second_update(1))
    if difference is None:
        return None
    repeated = _difference(first, second_update(0)) if difference > _TOLERANCE else 0.0
    return None if repeated is None else Comparison(difference, repeated)


def judge(comparison: Comparison | None) -> str:
    """The reason why the gradients are wrong; empty if they are not, or cannot be compared."""
    if comparison is None or comparison.difference <= max(_TOLERANCE, _TIMES_REPEATED * comparison.repeated):
        return ""
    return (
        f"the gradients of a batch depend on the batch before it (relative difference {comparison.difference:.2g}), "
        "zero_grad() may be missing"
    )


def _second_update(session: Session, net: str, arrays: list[Array], every: int) -> tuple[Array, Array] | None:
    """The gradients of the second step, and the weights before its first batch.

    None unless there is a step after ``every`` batches.
    """
    with raising("train_setup"):
        session.call("set_up", messages.SetUp, net=net, prm=prm_of(lr=_LR))
    with raising("learn"):
        learned, (weights, gradients, _) = session.call(
            "learn",
            messages.Learned,
            arrays,
            net=net,
            sizes=[_BATCH_SIZE] * 2 * every,
            seeds=list(range(2 * every)),
            watch=True,
            gradients=True,
            digests=False,
        )
    batches = [index for index, event in enumerate(learned.events) if event.kind == "batch"]
    if len(batches) != 2 * every or len(learned.steps) != 2:
        return None
    return gradients[1].astype(np.float64), weights[batches[every]].astype(np.float64)


def _difference(first: tuple[Array, Array] | None, second: tuple[Array, Array] | None) -> float | None:
    """The norm of the difference of the gradients, each divided by its norm."""
    if first is None or second is None:
        return None
    norms = [np.linalg.norm(gradients) for gradients, _ in (first, second)]
    if not all(0 < norm < np.inf for norm in norms):
        return None
    if np.linalg.norm(first[1] - second[1]) > 1e-6 * np.linalg.norm(first[1]):
        return None
    return float(np.linalg.norm(first[0] / norms[0] - second[0] / norms[1]))

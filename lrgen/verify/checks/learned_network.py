"""A part of the comparison with an architecture: ``learn`` trains the network that was compared, by its gradient.

The file trains on two batches as any caller would have it. The reference gets the weights before the second one, and
computes the gradient of the cross-entropy for that batch. Auxiliary classifiers may have any factors, and so may a term
of the loss that depends on the weights alone: it is measured on other images, while the outputs have no gradient.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lrgen.verify import messages
from lrgen.verify.checks.draw import Source, positions
from lrgen.verify.checks.examination import build, prm_of, raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.given_network import in_reference
from lrgen.verify.checks.hand_over import hand_over
from lrgen.verify.checks.notes import Notes, Sampling
from lrgen.verify.session import Array, Session

Vector = NDArray[np.float64]

_NET, _SILENT = "learning", "silent"
_KEPT = "batch"  # what the process keeps of the first network
_SIZES = [4, 4]
_TOLERANCE = 0.05  # of a gradient, relative to its norm: rounding changes that of a deep network by a hundredth


def compare(own: Session, expected: Session, name: str, pairs: Sequence[int], leaves: int, draw: Source) -> str:
    """Compare the gradient of a batch in ``learn`` with that of the reference.

    Args:
        own: the process of the file.
        expected: the process of the reference.
        name: the name of the reference.
        pairs: the index of the own parameter for each of the reference.
        leaves: the number of tensors that the reference returns in training mode.
        draw: of the images and the sampled positions.

    Returns:
        Why they were not compared, or nothing.

    Raises:
        CheckFailure: if they differ.
    """
    seed = draw.getrandbits(31)
    images, labels = random_batches(_SIZES, seed, smooth=True)
    parameters = build(own, _NET, prm_of(dropout=0.0), seed=seed)
    with in_reference(name):
        described = build(expected, _NET, prm_of(dropout=0.0), seed=seed)
    sampled = positions(draw, [parameter.shape for parameter in described])
    of_expected = Sampling(sampled)
    of_own = Sampling([sampled[pairs.index(at)] for at in range(len(pairs))])
    with raising("train_setup"):
        criterion = own.call("set_up", messages.SetUp, net=_NET)[0].criterion
    with raising("learn"):
        learned, arrays = own.call(
            "learn",
            messages.Learned,
            [images, labels, *of_own.arrays],
            net=_NET,
            sizes=_SIZES,
            seeds=[seed, seed],
            watch=True,
            gradients=True,
            digests=False,
            keep=1,
        )
    notes = Notes.of(learned, arrays, of_own, gradients=True)
    if not criterion.cross_entropy:
        return "its loss is not torch's cross-entropy"
    if not notes.updates:
        return "it makes no update in two batches"
    batches = [(images[at : at + 4], labels[at : at + 4]) for at in (0, 4)][-1 if notes.updates > 1 else 0 :]
    observed = _in_order_of(pairs, of_own, notes.gradients[min(notes.updates, 2) - 1])
    own.call("load_state", messages.Left, net=_NET, name=_KEPT)
    _give_state(own, expected, [parameters[at].name for at in pairs], sum(each.count for each in parameters))

    def of_reference(offset: int = 0) -> list[Vector]:
        """The gradients of the reference, one for each batch and each tensor of its output."""
        with in_reference(name):
            return [
                _gradient(expected, [*batch, *of_expected.arrays], seed + offset, criterion, at, leaves)
                for batch in batches
                for at in range(leaves)
            ]

    gradients = of_reference()
    difference = _difference(observed, gradients)
    if difference <= _TOLERANCE:
        return ""
    term = _in_order_of(pairs, of_own, _term(own, of_own, draw))
    if _difference(observed, [*gradients, term]) <= _TOLERANCE:
        return ""
    if _difference(of_reference(1)[0], gradients) > _TOLERANCE:
        return "its gradients are drawn"
    with raising("forward"):
        plain = [_gradient(own, [*batch, *of_own.arrays], seed, criterion) for batch in batches]
    if _difference(observed, [*(_in_order_of(pairs, of_own, each) for each in plain), term]) > _TOLERANCE:
        return "its gradient is not that of the cross-entropy of its outputs"
    raise CheckFailure(
        f"the gradient of a batch in learn differs by {difference:.2g} of its norm from that of {name} "
        "with the same weights"
    )


def _term(own: Session, sampling: Sampling, draw: Source) -> Vector:
    """The sampled gradient of ``learn`` for other images, where the outputs have none, at the present weights."""
    seed = draw.getrandbits(31)
    images, labels = random_batches(_SIZES[:1], seed, smooth=True)
    own.call("keep", messages.Nothing, net=_NET, name=_SILENT)
    build(own, _SILENT, prm_of(dropout=0.0), seed=seed)
    with raising("train_setup"):
        own.call("set_up", messages.SetUp, net=_SILENT)
    own.call("load_state", messages.Left, net=_SILENT, name=_SILENT)
    own.call("stand_in", messages.StoodIn, [images], net=_SILENT)
    with raising("learn"):
        learned, arrays = own.call(
            "learn",
            messages.Learned,
            [images, labels, *sampling.arrays],
            net=_SILENT,
            sizes=_SIZES[:1],
            seeds=[seed],
            watch=True,
            gradients=True,
            digests=False,
            silent=True,
        )
    own.call("forget", messages.Nothing, net=_SILENT)
    notes = Notes.of(learned, arrays, sampling, gradients=True)
    return notes.gradients[0].astype(np.float64) if notes.updates else np.zeros(sampling.count)


def _give_state(own: Session, expected: Session, names: Sequence[str], count: int) -> None:
    """Give the reference the kept parameters of the file's network."""
    hand_over(own, expected, _KEPT, count)
    with raising("state_dict"):
        expected.call("take", messages.Nothing, net=_NET, name=_KEPT, parameters=list(names))
    expected.call("drop_state", messages.Nothing, name=_KEPT)


def _gradient(
    session: Session,
    arrays: Sequence[Array],
    seed: int,
    criterion: messages.CriterionReport,
    at: int = 0,
    leaves: int = 1,
) -> Vector:
    """The sampled gradient of the cross-entropy of one of the tensors of an output."""
    factors = None if leaves == 1 else [float(index == at) for index in range(leaves)]
    smoothing = criterion.label_smoothing
    _, answered = session.call(
        "gradient", messages.Gradient, arrays, net=_NET, seeds=[seed], factors=factors, smoothing=smoothing
    )
    return answered[0].astype(np.float64) if answered else np.zeros(int(arrays[-1].sum()))


def _in_order_of(pairs: Sequence[int], sampling: Sampling, values: Array) -> Vector:
    """Samples of the own parameters in the order of those of the reference."""
    parts = np.split(values.astype(np.float64), np.cumsum(sampling.sizes)[:-1])
    return np.concatenate([parts[at] for at in pairs])


def _difference(observed: Vector, gradients: Sequence[Vector]) -> float:
    """The distance of a gradient from the nearest sum of others, relative to its norm.

    The first has a positive factor: a gradient may be clipped.
    """
    if any(len(gradient) != len(observed) for gradient in gradients):
        return np.inf
    if not np.isfinite([observed, *gradients]).all():
        return np.inf
    factors, *_ = np.linalg.lstsq(np.stack(gradients, axis=1), observed, rcond=None)
    norm = float(np.linalg.norm(observed))
    if norm == 0 or factors[0] <= 0:
        return 1.0
    return float(np.linalg.norm(observed - np.stack(gradients, axis=1) @ factors)) / norm

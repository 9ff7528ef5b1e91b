"""Runs of ``learn`` with the stand-in: the images that arrive at it, its logits, and the gradients that come back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lrgen.verify import messages
from lrgen.verify.checks.draw import MAX_BATCHES
from lrgen.verify.checks.examination import build, prm_of, raising
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.standin_gradients import logits_of
from lrgen.verify.session import Array, Session

_NET = "practice"


@dataclass(frozen=True)
class Batch:
    """A batch of a run: the images and labels of the loader, and what came to the stand-in.

    ``inputs`` are the images that it got. For each leaf of its output there are its ``logits`` and ``arrived``, the
    gradients at them times the number of images.
    """

    images: Array
    labels: Array
    inputs: Array
    logits: Sequence[Array]
    arrived: Sequence[Array]


def learn(
    session: Session,
    prm: Mapping[str, float],
    sizes: Sequence[int],
    seeds: Sequence[int],
    images: Array,
    labels: Array,
    classes: int,
    epoch: int = MAX_BATCHES,
) -> tuple[messages.CriterionReport, list[Batch]]:
    """Call ``learn`` on a new network with a stand-in, once per ``epoch`` batches; returns its criterion and all.

    Raises:
        CheckFailure: if it does not train through ``forward``, once per batch.
    """
    values = prm_of(**prm)
    build(session, _NET, values, classes=classes, batch=max(sizes), size=int(images.shape[-1]))
    with raising("learn"):
        stood_in, _ = session.call("stand_in", messages.StoodIn, [images[:2]], net=_NET)
    with raising("train_setup"):
        set_up, _ = session.call("set_up", messages.SetUp, net=_NET, prm=values)
    ends = np.cumsum(sizes)
    batches: list[Batch] = []
    for first in range(0, len(sizes), epoch):
        own = slice(first, first + epoch)
        shown = slice(int(ends[first]) - sizes[first], int(ends[own][-1]))
        batches += _epoch(session, stood_in.leaves, sizes[own], seeds[own], images[shown], labels[shown])
    session.call("forget", messages.Nothing, net=_NET)
    return set_up.criterion, batches


def _epoch(
    session: Session,
    leaves: Sequence[Sequence[int]],
    sizes: Sequence[int],
    seeds: Sequence[int],
    images: Array,
    labels: Array,
) -> list[Batch]:
    """Call ``learn`` once."""
    with raising("learn"):
        learned, arrays = session.call(
            "learn",
            messages.Learned,
            [images, labels],
            net=_NET,
            sizes=list(sizes),
            seeds=list(seeds),
            inputs=True,
            body=(64 << 20) + 2 * images.nbytes,
        )
    count = len(sizes)
    if learned.backward != list(range(count)) or len(arrays) != (len(leaves) + 1) * count:
        raise CheckFailure("learn does not train through forward, once per batch")
    parts = np.cumsum(sizes)[:-1]
    batches = []
    for at, (own, wanted) in enumerate(zip(np.split(images, parts), np.split(labels, parts), strict=True)):
        inputs = arrays[len(leaves) * count + at]
        if inputs.shape != own.shape:
            raise CheckFailure(f"forward gets images of the shape {inputs.shape}, expected {own.shape}")
        arrived = [gradient.astype(np.float64) for gradient in arrays[len(leaves) * at : len(leaves) * (at + 1)]]
        logits = [logits_of(seeds[at], leaf, shape, inputs) for leaf, shape in enumerate(leaves)]
        if any(gradient.shape != values.shape for gradient, values in zip(arrived, logits, strict=True)):
            raise CheckFailure("the gradients at the logits have another shape than the batch")
        batches.append(Batch(own, wanted, inputs, logits, [len(own) * gradient for gradient in arrived]))
    return batches


def again_from_list(
    session: Session, sizes: Sequence[int], seeds: tuple[int, int], images: Array, labels: Array
) -> Sequence[Array]:
    """The images of each batch in a second call of ``learn`` on the same list of batches.

    Each call has a seed of its own: the box that was pasted in place, pasted once more, would be the box of an image.
    """
    values = prm_of()
    build(session, _NET, values, batch=max(sizes))
    with raising("learn"):
        session.call("stand_in", messages.StoodIn, [images[:2]], net=_NET)
    with raising("train_setup"):
        session.call("set_up", messages.SetUp, net=_NET)
    inputs: Sequence[Array] = []
    for same, seed in zip((False, True), seeds, strict=True):
        with raising("learn"):
            learned, arrays = session.call(
                "learn",
                messages.Learned,
                [] if same else [images, labels],
                net=_NET,
                sizes=list(sizes),
                seeds=[seed],
                as_list=True,
                same=same,
                inputs=True,
                body=(64 << 20) + 2 * images.nbytes,
            )
        if len(learned.backward) != len(sizes):
            raise CheckFailure("learn does not train through forward, once per batch")
        inputs = arrays[-len(sizes) :]
    session.call("forget", messages.Nothing, net=_NET)
    return inputs


def probabilities(logits: Array) -> Array:
    """The softmax of logits."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result


def one_hot(labels: Array, classes: int) -> Array:
    """Labels as probabilities of the classes."""
    rows: Array = np.eye(classes)[labels]
    return rows

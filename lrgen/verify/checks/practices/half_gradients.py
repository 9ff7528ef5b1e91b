"""The gradients of an update with the real forward pass, and which precision they were computed in.

Another process computes them again, in float32 and in the dtype of the practice: they must be those of the latter.
"""

from collections.abc import Sequence

import numpy as np

from lrgen.verify.checks.examination import random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.notes import Notes
from lrgen.verify.checks.practices.half_again import Again, Computed, Sum
from lrgen.verify.checks.practices.half_runs import HalfRuns
from lrgen.verify.session import Array, Session

NET = "half"  # the network that is trained
_SAME = 0.25  # of the difference between the gradients of both precisions
_SAME_LOSS = 1e-2  # of the loss in float32
_DESCENTS = 24  # epochs in which a scaler may halve its scale before the first update
_SCALE = 1024.0  # of the loss, at which gradients in float16 do not vanish
_OTHER = {"bfloat16": "float16", "float16": "bfloat16"}


def check(runs: HalfRuns, second: Session) -> None:
    """Compare the gradients of an update with those of another process in both precisions.

    Raises:
        CheckFailure: if they are not those of the practice.
    """
    run = runs.run(1, 1, epochs=_DESCENTS)
    trained = runs.begin(runs.examination.session, NET, run)
    images, labels = random_batches([run.batch_size], runs.source.getrandbits(60), smooth=True)
    for _ in range(_DESCENTS):
        seed = runs.source.getrandbits(60)
        learned, arrays = runs.learn(trained, [run.batch_size], [seed], images, labels, whole=[0])
        notes = Notes.of(learned, arrays, trained.sampling, gradients=True)
        if notes.updates:
            break
    else:
        raise CheckFailure(f"learn makes no update in {_DESCENTS} epochs of one batch")
    if learned.saved != [0]:
        raise CheckFailure("learn does not ask for batch 1 of 1")
    observed = notes.gradients[0].astype(np.float64)
    again = Again(second, run, trained.sampling, arrays[3], seed, images, labels, _SCALE if runs.scaled else 1.0)
    single, half = again.computed(False), again.computed(runs.dtype)
    terms: list[Array] = []
    if not _is_near(observed, half, single, terms, runs.dtype):
        terms = [term for term in [again.term(runs.source)] if term.any()]
    if not _is_near(observed, half, single, terms, runs.dtype):
        other = _OTHER[runs.dtype]
        others = again.computed(other)
        of_other = Sum.of(observed, [*others.gradients, *terms])
        near = {"float32": Sum.of(observed, [*single.gradients, *terms]).distance, other: of_other.distance}
        nearest = min(near, key=lambda name: near[name])
        if near[nearest] <= _SAME * of_other.between(others, single):
            raise CheckFailure(f"learn computes in {nearest}, expected autocast to {runs.dtype}")
        raise CheckFailure(f"the gradients of an update are neither those of {runs.dtype} nor those of float32")
    for loss_half, loss_single in zip(half.losses, single.losses, strict=True):
        if not abs(loss_half - loss_single) <= _SAME_LOSS * max(abs(loss_single), 1.0):
            raise CheckFailure(f"the loss in {runs.dtype} is {loss_half:.6g}, in float32 {loss_single:.6g}")


def _is_near(observed: Array, half: Computed, single: Computed, terms: Sequence[Array], dtype: str) -> bool:
    """Whether observed gradients are those of the precision, with these terms.

    Raises:
        CheckFailure: if they are those of float32 as well.
    """
    of_half = Sum.of(observed, [*half.gradients, *terms])
    between = of_half.between(half, single)
    if not between > 1e-6 * float(np.linalg.norm(single.gradients[0])):
        raise CheckFailure(f"forward computes in {dtype} outside learn as well, or never")
    return of_half.distance <= _SAME * between

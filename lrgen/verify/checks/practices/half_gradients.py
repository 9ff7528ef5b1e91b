"""The gradients of an update with the real forward pass, and which precision they were computed in.

Another process computes them again, in float32 and in the dtype of the practice: they must be those of the latter.
"""

from dataclasses import replace

import numpy as np

from lrgen.verify.checks.cases import Run
from lrgen.verify.checks.examination import random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.notes import Notes
from lrgen.verify.checks.practices.half_again import Again, apart
from lrgen.verify.checks.practices.half_runs import HalfRuns
from lrgen.verify.checks.standin_gradients import OtherLossError
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
    scale = _SCALE if runs.scaled else 1.0
    again = Again(second, run, trained.sampling, arrays[3], seed, images, labels, scale)
    if not again.is_single:
        again = replace(again, factors=_factors(runs, run))
    single, half = again.computed(False), again.computed(runs.dtype)
    between = float(np.linalg.norm(half.gradients - single.gradients))
    if not between > 1e-6 * float(np.linalg.norm(single.gradients)):
        raise CheckFailure(f"forward computes in {runs.dtype} outside learn as well, or never")
    terms: list[Array] = []
    if not apart(observed, half, terms) <= _SAME * between:
        terms = [term for term in [again.term(runs.source)] if term.any()]
    if not apart(observed, half, terms) <= _SAME * between:
        other = _OTHER[runs.dtype]
        others = again.computed(other)
        near = {"float32": apart(observed, single, terms), other: apart(observed, others, terms)}
        nearest = min(near, key=lambda name: near[name])
        if near[nearest] <= _SAME * float(np.linalg.norm(others.gradients - single.gradients)):
            raise CheckFailure(f"learn computes in {nearest}, expected autocast to {runs.dtype}")
        raise CheckFailure(f"the gradients of an update are neither those of {runs.dtype} nor those of float32")
    if not abs(half.loss - single.loss) <= _SAME_LOSS * max(abs(single.loss), 1.0):
        raise CheckFailure(f"the loss in {runs.dtype} is {half.loss:.6g}, in float32 {single.loss:.6g}")


def _factors(runs: HalfRuns, run: Run) -> list[float]:
    """The factors of the losses at the tensors of an output, as a file writes them, from an update of a stand-in.

    Another factor in its last digits would be rounded otherwise in 16 bits.
    """
    trained = runs.begin(runs.examination.session, "factors", run, stand_in=True)
    images, labels = random_batches([run.batch_size], runs.source.getrandbits(60))
    seed = runs.source.getrandbits(60)
    learned, arrays = runs.learn(trained, [run.batch_size], [seed], images, labels)
    arrived = arrays[3 + len(learned.saved) :]
    if len(arrived) != len(trained.leaves):
        raise CheckFailure("learn does not train through forward, once per batch")
    try:
        scale = trained.standing.loss_factor(seed, images, labels, arrived[0])
        trained.standing.of(seed, images, labels, [gradient / scale for gradient in arrived])
    except OtherLossError as wrong:
        raise CheckFailure(f"{wrong}") from wrong
    return [float(f"{factor:.4g}") for factor in trained.standing.factors_beside_logits]

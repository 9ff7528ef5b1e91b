"""The gradients of an update with the real forward pass, and which precision they were computed in.

Another process computes them again, in float32 and in the dtype of the practice: they must be those of the latter.
"""

from dataclasses import replace

import numpy as np

from lrgen.verify.checks.cases import BASE_LR, Run
from lrgen.verify.checks.draw import log_uniform
from lrgen.verify.checks.examination import random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.large import is_large
from lrgen.verify.checks.notes import Notes
from lrgen.verify.checks.practices.half_again import Again, apart
from lrgen.verify.checks.practices.half_runs import HalfRuns
from lrgen.verify.checks.standin_gradients import OtherLossError
from lrgen.verify.session import Array, Session

NET = "half"  # the network that is trained
_SAME = 0.25  # of the difference between the gradients of both precisions
_SAME_LOSS = 1e-2  # of the loss in float32
_BATCHES = 3, 32  # of an epoch of which a later batch is compared
_LOW_LR = 1e-4  # of it: the weights stay what they are, or nearly
_DESCENTS = 24  # epochs in which a scaler may halve its scale before the first update
_SCALE = 1024.0  # of the loss, at which gradients in float16 do not vanish
_OTHER = {"bfloat16": "float16", "float16": "bfloat16"}


def check(runs: HalfRuns, second: Session) -> None:
    """Compare the gradients of updates with those of another process in both precisions.

    Raises:
        CheckFailure: if they are not those of the practice.
    """
    _check_update(runs, second, 1, 0)
    batches = 2 if is_large(runs.examination) else round(log_uniform(runs.source, *_BATCHES))
    _check_update(runs, second, batches, 1 + runs.source.randrange(batches - 1))


def _check_update(runs: HalfRuns, second: Session, batches: int, batch: int) -> None:
    """Compare the gradients of the update of a batch, in an epoch of so many."""
    run = replace(runs.run(batches, 1, epochs=_DESCENTS), base_lr=BASE_LR if batches == 1 else _LOW_LR)
    sizes, count = [run.batch_size] * batches, run.batch_size
    trained = runs.begin(runs.examination.session, NET, run)
    images, labels = random_batches(sizes, runs.source.getrandbits(60), smooth=True)
    for _ in range(_DESCENTS):
        seeds = [runs.source.getrandbits(60) for _ in sizes]
        learned, arrays = runs.learn(trained, sizes, seeds, images, labels, whole=[batch])
        notes = Notes.of(learned, arrays, trained.sampling, gradients=True)
        if batch in notes.batch_of_updates:
            break
    else:
        raise CheckFailure(f"learn makes no update in {_DESCENTS} epochs at batch {batch + 1} of {batches}")
    if learned.saved != [batch]:
        raise CheckFailure(f"learn does not ask for batch {batch + 1} of {batches}")
    observed = notes.gradients[notes.batch_of_updates.index(batch)].astype(np.float64)
    scale = _SCALE if runs.scaled else 1.0
    own = slice(batch * count, (batch + 1) * count)
    again = Again(second, run, trained.sampling, arrays[3], seeds[batch], images[own], labels[own], scale)
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

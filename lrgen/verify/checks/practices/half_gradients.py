"""The gradients of an update with the real forward pass, and which precision they were computed in.

Another process computes them again, in float32 and in the dtype of the practice: they must be those of the latter.
"""

import numpy as np

from lrgen.verify import messages
from lrgen.verify.checks.cases import Run
from lrgen.verify.checks.examination import build, raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.learn_again import prm_of_run
from lrgen.verify.checks.notes import Notes, Sampling
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
    single, loss_single = _again(runs, second, run, trained.sampling, arrays[3], seed, images, labels, False)
    half, loss_half = _again(runs, second, run, trained.sampling, arrays[3], seed, images, labels, runs.dtype)
    between = float(np.linalg.norm(half - single))
    if not between > 1e-6 * float(np.linalg.norm(single)):
        raise CheckFailure(f"forward computes in {runs.dtype} outside learn as well, or never")
    if not _apart(observed, half) <= _SAME * between:
        other = _OTHER[runs.dtype]
        others, _ = _again(runs, second, run, trained.sampling, arrays[3], seed, images, labels, other)
        near = {"float32": _apart(observed, single), other: _apart(observed, others)}
        nearest = min(near, key=lambda name: near[name])
        if near[nearest] <= _SAME * float(np.linalg.norm(others - single)):
            raise CheckFailure(f"learn computes in {nearest}, expected autocast to {runs.dtype}")
        raise CheckFailure(f"the gradients of an update are neither those of {runs.dtype} nor those of float32")
    if not abs(loss_half - loss_single) <= _SAME_LOSS * max(abs(loss_single), 1.0):
        raise CheckFailure(f"the loss in {runs.dtype} is {loss_half:.6g}, in float32 {loss_single:.6g}")


def _again(
    runs: HalfRuns,
    session: Session,
    run: Run,
    sampling: Sampling,
    state: Array,
    seed: int,
    images: Array,
    labels: Array,
    autocast: str | bool,
) -> tuple[Array, float]:
    """The sampled gradients of the criterion and the loss, in another process."""
    build(session, "again", prm_of_run(run), batch=run.batch_size)
    with raising("train_setup"):
        session.call("set_up", messages.SetUp, net="again")
    with raising("loading the weights of a run"):
        session.call("load_weights", messages.Nothing, [state], net="again")
    arrays = [images, labels, *sampling.arrays]
    with raising("forward"):
        answer, sent = session.call(
            "gradient",
            messages.Gradient,
            arrays,
            net="again",
            seeds=[seed],
            autocast=autocast,
            scale=_SCALE if runs.scaled else 1.0,
        )
    if not sent or sent[0].shape != (sampling.count,):
        raise CheckFailure("the gradients of a batch are not those of the sampled weights")
    return sent[0].astype(np.float64), answer.loss


def _apart(observed: Array, computed: Array) -> float:
    """The distance of observed gradients from computed ones, which may have been clipped to another norm."""
    factor = float(observed @ computed) / max(float(computed @ computed), 1e-300)
    distance = float(np.linalg.norm(observed - factor * computed))
    return distance / factor if factor > 0 else float("inf")

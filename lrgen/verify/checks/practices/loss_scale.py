"""The scale of the loss: through an update with infinite gradients, and in a resumed run.

A stand-in for the forward pass sends infinite gradients in a drawn batch. That update must not be made: weights stay,
the scale is halved, and a schedule that advances once per batch waits. Gradients are clipped after they are unscaled,
and a resumed run has the scale of the interrupted one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrgen import curves
from lrgen.records import Unit
from lrgen.verify import messages
from lrgen.verify.checks.cases import Run
from lrgen.verify.checks.examination import raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.notes import Notes
from lrgen.verify.checks.practices.half_runs import HalfRuns, Trained
from lrgen.verify.checks.standin_gradients import ClippingError, OtherLossError
from lrgen.verify.checks.updates import Effects, Place, observed
from lrgen.verify.session import Array, Session

_FACTOR = 1e-3  # of a scale
_CHANGED = 0.25  # of the first scale


@dataclass
class _Scales:
    """The factors of the loss in the batches of an epoch, and the notes of that epoch."""

    of_batches: list[float]
    notes: Notes


def check(runs: HalfRuns, second: Session) -> None:
    """Compare the scale of the loss through an overflow and a resumed run; or require that there is none.

    Raises:
        CheckFailure: if the scale is another one, or an update with infinite gradients has an effect.
    """
    run = runs.run(4 + runs.source.randrange(3), 2 + runs.source.randrange(3), epochs=3)
    trained = runs.begin(runs.examination.session, "scaled", run, stand_in=True)
    if not runs.scaled:
        of_batches = _epoch(runs, trained, run, []).of_batches
        if any(abs(scale - 1.0) > _FACTOR for scale in of_batches):
            raise CheckFailure(f"the loss is scaled by {of_batches[0]:.6g}: {runs.dtype} has the range of float32")
        return
    overflow = 1 + runs.source.randrange(run.batches - 2)
    epoch = _epoch(runs, trained, run, [overflow])
    _compare_skip(run, epoch, overflow)
    last = epoch.of_batches[-1]
    with raising("saving the states of a run"):
        _, [state] = runs.examination.session.call("save", messages.Saved, body=256 << 20, net="scaled")
    # To the end of the horizon: a schedule may be constant where the overflow is.
    later = [_epoch(runs, trained, run, []) for _ in range(run.epochs_run - 1)]
    _compare_updates(runs, trained, run, [each.notes for each in (epoch, *later)], overflow)
    for growing in (False, True):
        resumed = runs.begin(second, "resumed", run, stand_in=True, state=state, growing=growing)
        scales = _epoch(runs, resumed, run, []).of_batches
        if not abs(scales[0] - last) <= _FACTOR * last:
            raise CheckFailure(
                f"the scale of the loss is {scales[0]:.6g} in a resumed run, expected {last:.6g}: it is lost"
            )
        if growing and not abs(scales[1] - 2 * last) <= 2 * _FACTOR * last:
            raise CheckFailure(
                f"the scale of the loss is {scales[1]:.6g} after its growth interval, expected {2 * last:.6g}"
            )


def _compare_skip(run: Run, epoch: _Scales, overflow: int) -> None:
    """Compare an epoch with infinite gradients in one batch."""
    where = f"in learn at batch {overflow + 1} of {run.batches}, whose gradients are infinite"
    notes = epoch.notes
    if overflow in notes.batch_of_updates:
        raise CheckFailure(f"the optimizer makes a step {where}")
    asked = [at for at, event in enumerate(notes.events) if event.kind == "batch"]
    if not np.array_equal(notes.weights[asked[overflow]], notes.weights[asked[overflow + 1]]):
        raise CheckFailure(f"the weights change {where}")
    if notes.batch_of_updates != [batch for batch in range(run.batches) if batch != overflow]:
        raise CheckFailure(f"learn makes {notes.updates} updates in {run.batches} batches, of which one overflows")
    before, after = epoch.of_batches[overflow], epoch.of_batches[overflow + 1]
    if not abs(after - before / 2) <= _FACTOR * before:
        raise CheckFailure(f"the scale of the loss is {after:.6g} after an overflow at {before:.6g}, expected half")


def _compare_updates(runs: HalfRuns, trained: Trained, run: Run, epochs: Sequence[Notes], overflow: int) -> None:
    """Compare the updates of a run, of which the first epoch has one that is skipped.

    A schedule that advances once per batch advances with the updates that are made. The state of the optimizer is
    the same after a skipped update, as the updates after it show.
    """
    by_batch = runs.variant.unit is Unit.BATCH
    horizon = run.epochs_planned * (run.batches if by_batch else 1)
    epoch_of = np.repeat(np.arange(len(epochs)), [notes.updates for notes in epochs])
    steps = np.arange(len(epoch_of)) if by_batch else epoch_of
    actual = np.array([step.rates for notes in epochs for step in notes.steps]).T
    tolerance = runs.variant.tolerance * run.base_lr

    def rates_at(steps: Array) -> Array:
        return curves.rates(runs.variant, steps, horizon, run.base_lr, run.prm, depths=trained.depths)

    expected = rates_at(steps)
    if actual.shape != expected.shape or not np.all(np.abs(actual - expected) <= tolerance):
        every = rates_at(steps + (steps >= overflow))
        if by_batch and actual.shape == every.shape and np.all(np.abs(actual - every) <= tolerance):
            raise CheckFailure("the schedule advances with an update that is skipped, since its gradients are infinite")
        raise CheckFailure("the learning rates of a run with a skipped update are not those of the schedule")
    effects = Effects(trained.set_up, trained.sampling, [parameter.name for parameter in trained.set_up.parameters])
    for epoch, notes in enumerate(epochs):
        of_epoch = expected[:, epoch_of == epoch]
        effects.follow(notes, observed(notes), of_epoch, Place(epoch, run.batches), runs.variant.label)


def _epoch(runs: HalfRuns, trained: Trained, run: Run, overflowing: list[int]) -> _Scales:
    """Call ``learn`` with a stand-in; returns the factors of the losses, and requires unscaled gradients."""
    sizes = [run.batch_size] * run.batches
    images, labels = random_batches(sizes, runs.source.getrandbits(60))
    seeds = [runs.source.getrandbits(60) for _ in sizes]
    learned, arrays = runs.learn(trained, sizes, seeds, images, labels, overflowing=overflowing)
    notes = Notes.of(learned, arrays, trained.sampling, gradients=True)
    leaves = len(trained.leaves)
    arrived = arrays[3 + len(learned.saved) :]
    if learned.backward != list(range(run.batches)) or len(arrived) != leaves * run.batches:
        raise CheckFailure("learn does not train through forward, once per batch")
    update_of = {batch: update for update, batch in enumerate(notes.batch_of_updates)}
    scales = []
    for batch, seed in enumerate(seeds):
        of_batch = slice(batch * run.batch_size, (batch + 1) * run.batch_size)
        shown = images[of_batch], labels[of_batch]
        gradients = arrived[leaves * batch : leaves * (batch + 1)]
        try:
            factor = trained.standing.loss_factor(seed, *shown, gradients[0])
            scale, error = trained.standing.of(seed, *shown, [gradient / factor for gradient in gradients])
        except OtherLossError as wrong:
            raise CheckFailure(f"{wrong}") from wrong
        scales.append(factor)
        if batch in update_of and batch not in overflowing:
            step = notes.steps[update_of[batch]]
            noted = notes.gradients[update_of[batch]], step.norm or 0.0
            _compare_clipping(trained, seed, scale, error, noted, changed=abs(factor / scales[0] - 1) > _CHANGED)
    return _Scales(scales, notes)


def _compare_clipping(
    trained: Trained, seed: int, scale: float, error: float, noted: tuple[Array, float], *, changed: bool
) -> None:
    """Require the gradients of an update to be clipped to the same limit after the scale of the loss has changed.

    Gradients that no clipping explains have been compared before: their loss has terms of the weights.
    """
    if trained.explained:
        try:
            trained.standing.gradients(seed, scale, error, noted)
        except ClippingError as error_of_clipping:
            trained.explained = changed
            if changed:
                raise CheckFailure(
                    "the gradients are clipped before they are unscaled: their limit changes with the scale of the loss"
                ) from error_of_clipping

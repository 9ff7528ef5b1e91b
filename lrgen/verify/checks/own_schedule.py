"""The schedule of a file that claims no variant: ``learn`` follows the file's own ``make_scheduler``.

A few epochs of ``learn`` run with the real forward pass; the learning rates are those that the groups state.
"""

import numpy as np

from lrgen.verify import messages
from lrgen.verify.checks.cases import BASE_LR
from lrgen.verify.checks.draw import positions
from lrgen.verify.checks.examination import Examination, build, prm_of, raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.learn_reasons import UNITS
from lrgen.verify.checks.make_scheduler_trace import recorded
from lrgen.verify.checks.notes import Notes, Sampling
from lrgen.verify.checks.reference import Traces, as_array, describe, first_difference
from lrgen.verify.checks.updates import Place

BATCHES = (1, 2, 7)
EPOCHS = 3
PAST_END = 2  # epochs past the horizon


def run(examination: Examination) -> None:
    """Compare ``learn`` with the file's own ``make_scheduler``, if it calls one.

    Raises:
        CheckFailure: if a learning rate is negative, not finite, or another than the scheduler's.
    """
    for batches in BATCHES:
        _run(examination, batches)
    examination.evidence.append("learning rates as the parameter groups state them: no variant is claimed")


def _run(examination: Examination, batches: int) -> None:
    session = examination.session
    prm = prm_of(lr=BASE_LR, epoch_max=EPOCHS, batch=2)
    parameters = build(session, "run", prm)
    sampling = Sampling(positions(examination.draw.stream("own"), [parameter.shape for parameter in parameters], 512))
    with raising("train_setup"):
        set_up, _ = session.call("set_up", messages.SetUp, net="run")
    horizons, rows, epochs = list(set_up.horizons), [], EPOCHS + PAST_END
    takes_metric = set_up.takes_metric
    losses: list[float] = []
    for _ in range(epochs):
        images, labels = random_batches([2] * batches, batches)
        with raising("learn"):
            learned, arrays = session.call(
                "learn",
                messages.Learned,
                [images, labels, *sampling.arrays],
                net="run",
                sizes=[2] * batches,
                seeds=list(range(batches)),
                watch=True,
            )
        notes = Notes.of(learned, arrays, sampling)
        horizons += learned.horizons
        if notes.updates != batches:
            raise CheckFailure(
                f"the number of optimizer steps in an epoch of learn is {notes.updates}, "
                f"expected {batches} (one per batch)"
            )
        rows += [step.rates for step in learned.steps]
        losses.append(learned.result.loss if learned.result.loss is not None else float("nan"))
    actual = as_array([list(row) for row in zip(*rows, strict=False)], batches * epochs)
    if actual is None:
        raise CheckFailure(f"learn does not make {batches * epochs} updates in {epochs} epochs (one per batch)")
    if reason := not_numbers(actual, batches):
        raise CheckFailure(reason)
    if horizons and horizons[0] > 0 and not takes_metric:
        depths = [group.depth for group in set_up.groups]
        _compare(examination, actual, batches, horizons[0], depths)


def not_numbers(actual: Traces, batches: int) -> str:
    """The reason why learning rates of ``learn`` are no learning rates at all; empty if they are."""
    for fault, wrong in (("not finite", ~np.isfinite(actual)), ("negative", actual < 0)):
        if np.any(wrong):
            group, at = np.argwhere(wrong)[0]
            where = Place(int(at) // batches, batches)(int(at) % batches)
            return f"the learning rate {where} is {fault}: {actual[group, at]:.6g}"
    return ""


def _compare(examination: Examination, actual: Traces, batches: int, horizon: int, depths: list[object]) -> None:
    per_batch = horizon == EPOCHS * batches and batches > 1
    steps = actual.shape[1] if per_batch else actual.shape[1] // batches
    groups = [{"depth": depth} for depth in depths] if any(depths) else [{}]
    own = recorded(examination.session, horizon, steps, prm_of(lr=BASE_LR, epoch_max=EPOCHS), groups, BASE_LR)
    if reason := differs_from_own(actual, own, batches, horizon, per_batch):
        raise CheckFailure(reason)


def differs_from_own(actual: Traces, own: Traces, batches: int, horizon: int, per_batch: bool) -> str:
    """The reason why ``learn`` does not follow the file's own ``make_scheduler``; empty if it does.

    Args:
        actual: the learning rates of ``learn`` (groups × updates).
        own: those of ``make_scheduler`` (groups × steps), which advances once per epoch or ``per_batch``.
    """
    own = own if per_batch else np.repeat(own, batches, axis=1)
    if len(own) not in (1, len(actual)):
        return f"learn has {len(actual)} parameter groups, make_scheduler has learning rates for {len(own)}"
    at = first_difference(actual, own, 1e-9 * BASE_LR)
    if at is None:
        return ""
    source = f"make_scheduler with total_steps={horizon}, stepped once per {UNITS[per_batch]}"
    reason = describe(actual, own, at, Place(at // batches, batches)(at % batches), source)
    return f"learn does not follow the file's own make_scheduler: {reason}"

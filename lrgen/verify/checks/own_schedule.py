"""The schedule of a file that claims no variant: ``learn`` follows the file's own ``make_scheduler``.

A few epochs of ``learn`` run with the real forward pass; the learning rates are those that the groups state. Gradients
may be accumulated over several batches: without a claim the number of updates is recorded, and no fault.
"""

from collections.abc import Sequence

import numpy as np

from lrgen.verify import messages
from lrgen.verify.checks import diagnosis, observation
from lrgen.verify.checks.cases import BASE_LR
from lrgen.verify.checks.draw import positions
from lrgen.verify.checks.examination import Examination, build, prm_of, raising, random_batches
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.make_scheduler_trace import recorded
from lrgen.verify.checks.notes import Notes, Sampling
from lrgen.verify.checks.reference import Traces, as_array, describe, first_difference
from lrgen.verify.checks.updates import Place

BATCHES = (1, 7)
EPOCHS = 3  # no more than announced: what a file does past its end is no fault without a claim


def run(examination: Examination) -> None:
    """Compare ``learn`` with the file's own ``make_scheduler``, if it calls one.

    Raises:
        CheckFailure: if a learning rate is negative, not finite, or another than the scheduler's.
    """
    for batches in BATCHES:
        _run(examination, batches)
    examination.evidence.append("learning rates as the parameter groups state them: no variant is claimed")
    _diagnose(examination)


def _diagnose(examination: Examination) -> None:
    """Observe many epochs of ``learn``, and say what the file does with the learning rate.

    Raises:
        CheckFailure: if a learning rate is negative or not finite.
    """
    observed = observation.observe(examination)
    if isinstance(observed, str):
        examination.evidence.append(f"there is no diagnosis: learn raises {observed}")
        return
    if observed.updates and (reason := not_numbers(observed.by_group, observed.positions, observation.BATCHES)):
        raise CheckFailure(reason)
    examination.diagnosis = diagnosis.diagnose(observed, examination.tree, examination.candidate.path.stem)


def _run(examination: Examination, batches: int) -> None:
    session = examination.session
    prm = prm_of(lr=BASE_LR, epoch_max=EPOCHS, batch=2)
    build(session, "run", prm)
    with raising("train_setup"):
        set_up, _ = session.call("set_up", messages.SetUp, net="run")
    shapes = [parameter.shape for parameter in set_up.parameters]
    sampling = Sampling(positions(examination.draw.stream("own"), shapes, 512))
    horizons, rows, epochs = list(set_up.horizons), [], EPOCHS
    at: list[int] = []  # the batch of each update, counted over all epochs
    for epoch in range(epochs):
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
        rows += [step.rates for step in learned.steps]
        at += [epoch * batches + batch % batches for batch in notes.batch_of_updates]
    if len(at) != batches * epochs:
        counted = "1 batch" if batches == 1 else f"{batches} batches"
        examination.evidence.append(f"learn makes {len(at)} updates in {epochs} epochs of {counted}")
    if not at:
        return
    actual = as_array([list(row) for row in zip(*rows, strict=False)], len(at))
    if actual is None:
        raise CheckFailure("learn changes the number of parameter groups")
    if reason := not_numbers(actual, at, batches):
        raise CheckFailure(reason)
    if horizons and horizons[0] > 0 and not set_up.takes_metric:
        depths = [group.depth for group in set_up.groups]
        one_update = len(at) == batches * epochs
        _compare(examination, actual, at, batches, horizons[0], depths, one_update)


def not_numbers(actual: Traces, at: Sequence[int], batches: int) -> str:
    """The reason why learning rates of ``learn`` are no learning rates at all; empty if they are.

    Args:
        actual: groups × updates.
        at: the batch of each update, counted over all epochs.
        batches: in an epoch.
    """
    for fault, wrong in (("not finite", ~np.isfinite(actual)), ("negative", actual < 0)):
        if np.any(wrong):
            group, update = np.argwhere(wrong)[0]
            return f"the learning rate {_place(at[update], batches)} is {fault}: {actual[group, update]:.6g}"
    return ""


def _compare(
    examination: Examination,
    actual: Traces,
    at: Sequence[int],
    batches: int,
    horizon: int,
    depths: list[object],
    one_update: bool,
) -> None:
    groups = [{"depth": depth} for depth in depths] if any(depths) else [{}]
    steps = max(at[-1] + 1, len(at))
    prm = prm_of(lr=BASE_LR, epoch_max=EPOCHS)
    try:
        own = recorded(examination.session, horizon, steps, prm, groups, BASE_LR)
    except CheckFailure as failure:
        examination.evidence.append(f"learn is not compared with make_scheduler(optimizer, {horizon}, prm): {failure}")
        return
    units = units_of(horizon, batches, one_update=one_update)
    reasons = [differs_from_own(actual, own, at, batches, horizon, unit) for unit in units]
    if all(reasons):
        raise CheckFailure(reasons[0])


def units_of(horizon: int, batches: int, *, one_update: bool) -> list[str]:
    """The units in which a schedule with this horizon may advance.

    A horizon of the epochs or of the batches tells its unit, where ``one_update`` is made for each batch.
    """
    if horizon == EPOCHS and (one_update or batches > 1):
        return ["epoch"]
    if horizon == EPOCHS * batches and one_update:
        return ["batch"]
    return ["epoch", "batch", "update"]


def differs_from_own(actual: Traces, own: Traces, at: Sequence[int], batches: int, horizon: int, unit: str) -> str:
    """The reason why ``learn`` does not follow the file's own ``make_scheduler``; empty if it does.

    Args:
        actual: the learning rates of ``learn`` (groups × updates).
        own: those of ``make_scheduler`` (groups × steps), which advances once per ``unit``.
        at: the batch of each update, counted over all epochs.
        batches: in an epoch.
    """
    of_update = {"epoch": np.asarray(at) // batches, "batch": np.asarray(at), "update": np.arange(len(at))}[unit]
    own = own[:, of_update]
    if len(own) not in (1, len(actual)):
        return f"learn has {len(actual)} parameter groups, make_scheduler has learning rates for {len(own)}"
    update = first_difference(actual, own, 1e-9 * BASE_LR)
    if update is None:
        return ""
    source = f"make_scheduler with total_steps={horizon}, stepped once per {unit}"
    reason = describe(actual, own, update, _place(at[update], batches), source)
    return f"learn does not follow the file's own make_scheduler: {reason}"


def _place(batch: int, batches: int) -> str:
    return Place(batch // batches, batches)(batch % batches)

"""Sentences on learning rates of ``learn`` that differ from the curve."""

from collections.abc import Mapping

import numpy as np

from lrgen.records import Unit, Variant
from lrgen.verify.checks.reference import Traces, describe
from lrgen.verify.checks.updates import Place

NEVER = "learn never changes the learning rate"


def why(
    variant: Variant,
    actual: Traces,
    expected: Traces,
    at: int,
    updates: int,
    prm: Mapping[str, float],
    made: int,
    resumed_after: int | None,
    *,
    by_batch: bool = False,
) -> str:
    """The reason why the learning rates of a run differ from the curve at update ``at``.

    Args:
        actual: groups × updates; there may be updates after the last expected one.
        updates: of an epoch.
        prm: the hyperparameters that the run does not leave at their defaults.
        made: the number of calls of ``make_scheduler`` so far.
        resumed_after: the epochs before the run was resumed (None: it was not).
        by_batch: whether the schedule advances after each batch of an update.
    """
    details = [] if resumed_after is None else [f"resumed from state_dict after epoch {resumed_after}"]
    details += [f"{name}={value:g}" for name, value in prm.items()]
    unit = "batch" if variant.batches_per_update == 1 else "update"
    place = f"{Place(at // updates, updates)}, {unit} {at % updates + 1} of {updates}"
    reason = describe(actual[:, : expected.shape[1]], expected, at, place, variant.label, details)
    if by_batch:
        return f"learn steps the schedule once per batch, expected once per update: {reason}"
    if made > 1 and resumed_after is None:
        epochs = -(-actual.shape[1] // updates)
        return f"make_scheduler is called {made} times in {epochs} epochs of learn, expected once: {reason}"
    if np.ptp(actual) == 0 and np.ptp(expected) > 0:
        return f"{NEVER}, scheduler.step() may be missing: {reason}"
    if variant.unit is not Unit.METRIC and updates > 1 and resumed_after is None:
        changes = np.flatnonzero(np.any(np.diff(actual, axis=1) != 0, axis=0)) + 1
        if bool(np.any(changes % updates)) != variant.per_batch:
            units = {False: "epoch", True: unit}
            other, own = units[not variant.per_batch], units[variant.per_batch]
            return f"learn steps the schedule once per {other}, expected once per {own}: {reason}"
    return reason

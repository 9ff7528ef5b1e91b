"""Traces of ``make_scheduler`` on a dummy parameter, compared with the curve.

Some cases are fixed: short horizons, whose edges matter, and the ends of the ranges of hyperparameters. The others are
drawn (``draw``). They cover many horizons and the steps past their end, interrupted and resumed runs, other base
learning rates and other hyperparameters, and parameter groups with their own learning rates, as floats and as tensors.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lrgen import curves
from lrgen.records import Variant
from lrgen.verify import messages
from lrgen.verify.checks.cases import Case
from lrgen.verify.checks.draw import CASES, schedule_cases
from lrgen.verify.checks.examination import Examination, prm_of
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.reference import Traces, describe, first_difference
from lrgen.verify.session import FileRaised, Session

HORIZONS = (1, 2, 3, 5, 7, 10, 90)
FOLLOWED = "make_scheduler followed its curve"
DEPTHS = (0, 1, 2, 3)  # of the parameter groups for a layer-wise schedule


def fixed_cases(variant: Variant) -> list[Case]:
    """The traces that every file of a variant gets."""
    depths = DEPTHS if variant.layerwise else ()
    selected = [Case(horizon, depths=depths) for horizon in HORIZONS]
    if variant.layerwise:
        selected += [Case(horizon, depths=depths) for horizon in (1, 10, 90) for depths in ((), (0, 1))]
    selected += [Case(10, base_lr=1e-4, depths=depths), Case(10, base_lr=1.0, depths=depths)]
    selected += [Case(horizon, depths=depths, resume=quarters(horizon)) for horizon in (10, 90)]
    parameters = variant.hyperparameters
    for parameter in parameters:
        # Both ends, the middle, and a phase of a single step.
        values = (parameter.low, 1 / 20, (parameter.low + parameter.high) / 2, parameter.high)
        selected += [Case(20, depths=depths, prm={parameter.name: v}) for v in values if parameter.low <= v]
    if parameters:
        ends = ({p.name: p.low for p in parameters}, {p.name: p.high for p in parameters})
        selected += [Case(horizon, depths=depths, prm=end) for horizon in (1, 3, 20) for end in ends]
    return selected


def quarters(horizon: int) -> tuple[int, ...]:
    """The steps at a quarter, a half, three quarters and the end of the horizon."""
    return tuple(quarter * horizon // 4 for quarter in (1, 2, 3, 4))


def run(examination: Examination) -> dict[int, Traces]:
    """Compare the fixed and the drawn traces with the curve, one after the other.

    Returns:
        The traces at the horizons 10 and 90 with the defaults.

    Raises:
        CheckFailure: at the first trace that differs from the curve.
    """
    variant = examination.candidate.variant
    assert variant is not None
    defaults = {}
    fixed = fixed_cases(variant)
    for case in (*fixed, *schedule_cases(variant, examination.draw.stream("make_scheduler"))):
        rates = trace(examination.session, variant, case)
        if reason := judge(variant, case, rates):
            raise CheckFailure(reason)
        if case in (Case(10, depths=case.depths), Case(90, depths=case.depths)) and case.horizon not in defaults:
            defaults[case.horizon] = rates
    examination.evidence.append(f"{FOLLOWED} in {len(fixed)} fixed and {CASES} drawn traces")
    return defaults


def trace(session: Session, variant: Variant, case: Case) -> Traces:
    """Record the trace of a case (groups × steps).

    Raises:
        CheckFailure: if the scheduler raises; the message names the step.
    """
    prm = prm_of(lr=case.base_lr, **case.prm)
    groups: list[dict[str, Any]] = [{} for _ in case.lrs or case.depths or (0,)]
    for group, depth in zip(groups, case.depths, strict=False):
        group["depth"] = depth
    for group, lr in zip(groups, case.lrs, strict=False):
        group["lr"] = lr
    metrics = case.metrics(variant)
    return recorded(session, case.horizon, case.steps, prm, groups, case.base_lr, metrics, case.resume, case.tensor)


def recorded(
    session: Session,
    horizon: int,
    steps: int,
    prm: Mapping[str, Any],
    groups: Sequence[Mapping[str, Any]],
    default: float,
    metrics: Sequence[float] | None = None,
    resume: Sequence[int] = (),
    tensor: bool = False,
) -> Traces:
    """The learning rate of each parameter group at each step (groups × steps).

    Raises:
        CheckFailure: if the scheduler raises; the message names the step.
    """
    try:
        answer, arrays = session.call(
            "trace",
            messages.Trace,
            horizon=horizon,
            steps=steps,
            prm=dict(prm),
            default=default,
            groups=[dict(group) for group in groups],
            tensor=tensor,
            metrics=None if metrics is None else [None if math.isnan(metric) else metric for metric in metrics],
            resume=list(resume),
        )
    except FileRaised as error:
        raise CheckFailure(f"make_scheduler raises at horizon {horizon}: {error}") from error
    if answer.raised is not None:
        step = answer.failed or 0
        resumed = max((at for at in resume if at <= step), default=None)
        place, details = _place(step, horizon, resumed, prm) if step else (f"at horizon {horizon}", _values(prm))
        where = f"{place} ({', '.join(details)})" if details else place
        raise CheckFailure(f"make_scheduler raises {where}: {FileRaised(answer.raised)}")
    if len(arrays) != 1 or arrays[0].shape != (len(groups), steps):
        raise CheckFailure(
            f"the trace of make_scheduler at horizon {horizon} does not have {steps} learning rates for each group"
        )
    return arrays[0].astype(np.float64)


def judge(variant: Variant, case: Case, actual: Traces) -> str:
    """The reason why a trace differs from the curve; empty if it does not."""
    horizon, expected, base_lrs = case.horizon, expected_of(variant, case), np.array(case.base_lrs)[:, None]
    at = first_difference(actual, expected, case.tolerance(variant) * base_lrs)
    if at is None:
        return ""
    resumed = max((step for step in case.resume if step <= at), default=None)
    place, details = _place(at, horizon, resumed, case.prm)
    if case.lrs:
        kind = "tensors " if case.tensor else ""
        details.append(
            f"initial learning rates {kind}{', '.join(f'{lr:g}' for lr in case.lrs)}, default {case.base_lr:g}"
        )
    reason = describe(actual, expected, at, place, variant.label, details)
    if np.ptp(actual) == 0 and np.ptp(expected) > 0:
        return f"make_scheduler never changes the learning rate at horizon {horizon}: {reason}"
    return reason


def expected_of(variant: Variant, case: Case) -> Traces:
    """The learning rates of a case by the curve (groups × steps)."""
    steps, metrics = np.arange(case.steps), case.metrics(variant)
    before = None if metrics is None else metrics[:-1]
    depths = case.depths or (0,) * len(case.base_lrs)
    by_base = {
        base_lr: curves.rates(variant, steps, case.horizon, base_lr, case.prm, metrics=before, depths=depths)
        for base_lr in case.base_lrs
    }
    return np.stack([by_base[base_lr][group] for group, base_lr in enumerate(case.base_lrs)])


def _place(step: int, horizon: int, resumed: int | None, prm: Mapping[str, Any]) -> tuple[str, list[str]]:
    """``at step 7 of horizon 10``, and what else distinguishes the trace at this step."""
    past_end = step >= horizon
    details = [f"past the end of horizon {horizon}"] if past_end else []
    if resumed is not None:
        details.append(f"resumed from state_dict at step {resumed}")
    return f"at step {step}" if past_end else f"at step {step} of horizon {horizon}", [*details, *_values(prm)]


def _values(prm: Mapping[str, Any]) -> list[str]:
    """``warmup_fraction=0.5``: the hyperparameters of a trace other than those that every caller passes."""
    passed = prm_of()
    return [f"{name}={value:g}" for name, value in prm.items() if name not in passed]

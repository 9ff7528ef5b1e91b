"""``make_scheduler`` on a dummy parameter: its rates at many horizons, past their end, stopped and resumed, with other
base rates and other hyperparameters.
"""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from lrgen import curves
from lrgen.records import Unit, Variant
from lrgen.verify.checks.reference import as_array, first_difference, metrics_of, named, worst
from lrgen.verify.checks.subject import CheckFailure, Prm, Subject

HORIZONS = (1, 2, 3, 5, 7, 10, 90, 1000, 3000)
BASE_LR = 0.1
DEPTHS = (0, 1, 2, 3)  # of the parameter groups that a layer-wise schedule is given
# An update of the dummy costs seven times as much as a step of the schedule: long traces go without.
_UPDATED_STEPS = 120


@dataclass(frozen=True)
class Case:
    """One trace. ``depths`` are those of the parameter groups; none: one group that declares no depth. The run is
    stopped and resumed at each step of ``resume``.
    """

    horizon: int
    base_lr: float = BASE_LR
    depths: tuple[int, ...] = ()
    resume: tuple[int, ...] = ()
    prm: dict[str, float] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """The steps that are traced: all of the horizon, and some past its end."""
        return self.horizon + max(5, self.horizon // 4)


def cases(variant: Variant) -> list[Case]:
    """The traces that a file of the variant must answer for."""
    depths = DEPTHS if variant.layerwise else ()
    # Four groups cost four times as much: the longest horizon is for one.
    found = [Case(horizon, depths=depths) for horizon in (HORIZONS[:-1] if variant.layerwise else HORIZONS)]
    if variant.layerwise:
        found += [Case(horizon, depths=depths) for horizon in (1, 10, 90) for depths in ((), (0, 1))]
    found += [Case(10, base_lr=1e-4, depths=depths), Case(10, base_lr=1.0, depths=depths)]
    found += [Case(horizon, depths=depths, resume=quarters(horizon)) for horizon in (10, 90)]
    parameters = variant.hyperparameters
    for parameter in parameters:
        # Both ends, the middle, and a single step of the horizon, where phases vanish.
        values = (parameter.low, 1 / 20, (parameter.low + parameter.high) / 2, parameter.high)
        found += [Case(20, depths=depths, prm={parameter.name: v}) for v in values if parameter.low <= v]
    if parameters:
        ends = ({p.name: p.low for p in parameters}, {p.name: p.high for p in parameters})
        found += [Case(horizon, depths=depths, prm=end) for horizon in (1, 3, 20) for end in ends]
    return found


def quarters(horizon: int) -> tuple[int, ...]:
    """The steps at which a quarter, a half, three quarters and all of the horizon are done."""
    return tuple(quarter * horizon // 4 for quarter in (1, 2, 3, 4))


def measure(subject: Subject, variant: Variant, make: Callable[..., Any]) -> list[list[list[float]]]:
    """Every case's trace, groups × steps; stops at the first that is wrong."""
    traces = []
    for case in cases(variant):
        prm = subject.prm(lr=case.base_lr, **case.prm)
        metrics = metrics_of(variant, case.steps) if variant.unit is Unit.METRIC else None
        rates = trace(subject, make, case.horizon, case.steps, prm, metrics, case.resume, case.depths)
        traces.append(rates)
        reason = judge(variant, case, rates)
        if reason:
            raise CheckFailure(reason)
    return traces


def trace(
    subject: Subject,
    make: Callable[..., Any],
    horizon: int,
    steps: int,
    prm: Prm,
    metrics: Sequence[float] | None = None,
    resume: Sequence[int] = (),
    depths: Sequence[int] = (),
) -> list[list[float]]:
    """The rate that each parameter group uses at each update: groups × steps."""

    def build() -> tuple[torch.optim.Optimizer, Any]:
        declared: list[dict[str, Any]] = [{"depth": depth} for depth in depths] or [{}]
        groups = [{"params": [nn.Parameter(torch.zeros(1))], **group} for group in declared]
        optimizer = torch.optim.SGD(groups, lr=prm["lr"], momentum=0.9)
        return optimizer, make(optimizer, horizon, prm)

    step, resumed = 0, None
    try:
        optimizer, scheduler = build()
        rows = []
        for step in range(steps):
            if step in resume:
                resumed = step
                state = reloaded([optimizer.state_dict(), scheduler.state_dict()])
                optimizer, scheduler = build()
                optimizer.load_state_dict(state[0])
                scheduler.load_state_dict(state[1])
            rows.append([float(group["lr"]) for group in optimizer.param_groups])
            if step < _UPDATED_STEPS:
                optimizer.step()
            if metrics is None:
                scheduler.step()
            else:
                scheduler.step(metrics[step])
    except Exception as error:
        place = f"at horizon {horizon}"
        if step:
            place = f"past the end of horizon {horizon}, at step {step}" if step >= horizon else f"{place}, step {step}"
        if resumed is not None:
            place += f", resumed at step {resumed}"
        raise CheckFailure(f"make_scheduler raises {place}{_with(prm)}: {subject.explain(error)}") from error
    return [list(row) for row in zip(*rows, strict=True)]


def reloaded(state: Any) -> Any:
    """A state_dict as it comes back from a file."""
    saved = io.BytesIO()
    torch.save(state, saved)
    saved.seek(0)
    return torch.load(saved, weights_only=True)


def judge(variant: Variant, case: Case, rates: list[list[float]]) -> str:
    """Where a trace leaves the curve; empty when it does not."""
    horizon, steps = case.horizon, case.steps
    metrics = metrics_of(variant, steps)[:-1] if variant.unit is Unit.METRIC else None
    at_steps, depths = np.arange(steps), case.depths or (0,)
    wanted = curves.rates(variant, at_steps, horizon, case.base_lr, case.prm, metrics=metrics, depths=depths)
    found = as_array(rates, steps)
    if found is None or len(found) != len(wanted):
        return f"the trace at horizon {horizon} does not have {steps} rates"
    at = first_difference(found, wanted, variant.tolerance * case.base_lr)
    if at is None:
        return ""
    rate, right, group = worst(found, wanted, at)
    place = f"step {at} of horizon {horizon}{group}"
    done = [step for step in case.resume if step <= at]
    if done:
        place += f", resumed from state_dicts at step {done[-1]}"
    elif at >= horizon:
        place = f"step {at}, past the end of horizon {horizon}{group}"
    kind = (
        "the rate is negative" if rate < 0 else "the rate is not a number" if math.isnan(rate) else "the rate is wrong"
    )
    if np.ptp(found) == 0 and np.ptp(wanted) > 0:
        kind = "the rate never changes"
    return f"{kind} at {place}{_with(case.prm)}: {rate:.6g} where {named(variant)} has {right:.6g}"


def _with(prm: dict[str, float]) -> str:
    """`` with warmup_fraction=0.5``: the hyperparameters of the trace, beyond those that every caller passes."""
    given = [f"{name}={value:g}" for name, value in prm.items() if name not in ("lr", "momentum", "dropout")]
    return " with " + ", ".join(given) if given else ""

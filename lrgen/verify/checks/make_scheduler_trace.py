"""Traces of ``make_scheduler`` on a dummy parameter.

They cover many horizons and the steps past their end, interrupted and resumed runs, other base learning rates and other
hyperparameters, and parameter groups with their own learning rates, as floats and as tensors.
"""

import io
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from lrgen import curves
from lrgen.records import Candidate, Unit, Variant
from lrgen.verify.checks.reference import as_array, describe, first_difference, metrics_of
from lrgen.verify.checks.subject import CheckFailure, Prm, Subject

HORIZONS = (1, 2, 3, 5, 7, 10, 90, 1000, 3000)
BASE_LR = 0.1
DEPTHS = (0, 1, 2, 3)  # of the parameter groups for a layer-wise schedule
# The optimizer is stepped this often: an update costs seven times as much as a step of the schedule.
_UPDATED_STEPS = 120
# The rounding errors of learning rates in tensors, which have single precision, over a few dozen steps.
_SINGLE_PRECISION = 1e-5


@dataclass(frozen=True)
class Case:
    """One trace.

    ``depths`` are those of the parameter groups; without any, there is one group that declares no depth. ``lrs`` are
    the initial learning rates of the groups, as tensors if ``tensor`` is set; without any, all groups have the
    optimizer's default, ``base_lr``. The run is interrupted and resumed at each step of ``resume``.
    """

    horizon: int
    base_lr: float = BASE_LR
    depths: tuple[int, ...] = ()
    lrs: tuple[float, ...] = ()
    tensor: bool = False
    resume: tuple[int, ...] = ()
    prm: dict[str, float] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """The number of traced steps: the horizon and a quarter of it, at least 5."""
        return self.horizon + max(5, self.horizon // 4)

    @property
    def base_lrs(self) -> tuple[float, ...]:
        """The initial learning rate of each group."""
        return self.lrs or (self.base_lr,) * max(1, len(self.depths))

    def tolerance(self, variant: Variant) -> float:
        """The tolerance as a fraction of a group's initial learning rate."""
        return variant.tolerance + (_SINGLE_PRECISION if self.tensor else 0.0)


def cases(candidate: Candidate) -> list[Case]:
    """The traces of a file that claims a variant; the initial learning rates of the groups are drawn for each file."""
    variant = candidate.variant
    assert variant is not None
    depths = DEPTHS if variant.layerwise else ()
    # Four groups cost four times as much, so layer-wise schedules skip the longest horizon.
    selected = [Case(horizon, depths=depths) for horizon in (HORIZONS[:-1] if variant.layerwise else HORIZONS)]
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
    return [*selected, *_with_drawn_groups(candidate, depths)]


def _with_drawn_groups(candidate: Candidate, depths: tuple[int, ...]) -> list[Case]:
    """Traces with groups whose initial learning rates differ from each other and from the optimizer's default."""
    draw = random.Random(candidate.sha256)

    def lr() -> float:
        return float(f"{10 ** draw.uniform(-3, 0):.3g}")

    def case(horizon: int, groups: int, *, tensor: bool = False, resume: tuple[int, ...] = ()) -> Case:
        lrs = tuple(lr() for _ in range(groups))
        return Case(horizon, lr(), depths[:groups], lrs, tensor, resume)

    horizon = draw.randint(11, 30)
    return [
        case(horizon, 1),
        case(horizon, 3, resume=(draw.randrange(1, horizon),)),
        case(horizon, 1, tensor=True),
        case(horizon, 3, tensor=True, resume=(draw.randrange(1, horizon),)),
    ]


@dataclass(frozen=True)
class Groups:
    """The parameter groups of a trace: their depths, and their learning rates if they have their own.

    With ``tensor`` the learning rates are tensors; groups without their own share that of the optimizer's default.
    """

    depths: Sequence[int] = ()
    lrs: Sequence[float] = ()
    tensor: bool = False

    def build(self) -> list[dict[str, Any]]:
        """New groups of one parameter each."""
        groups: list[dict[str, Any]] = [{} for _ in self.lrs or self.depths or (0,)]
        for group, depth in zip(groups, self.depths, strict=False):
            group["depth"] = depth
        for group, lr in zip(groups, self.lrs, strict=False):
            group["lr"] = torch.tensor(lr) if self.tensor else lr
        return [{"params": [nn.Parameter(torch.zeros(1))], **group} for group in groups]


_ONE_GROUP = Groups()


def quarters(horizon: int) -> tuple[int, ...]:
    """The steps at a quarter, a half, three quarters and the end of the horizon."""
    return tuple(quarter * horizon // 4 for quarter in (1, 2, 3, 4))


def measure(subject: Subject, variant: Variant, make: Callable[..., Any]) -> list[list[list[float]]]:
    """Record the trace of each case (groups × steps).

    Raises:
        CheckFailure: at the first trace that differs from the curve.
    """
    traces = []
    for case in cases(subject.candidate):
        prm = subject.prm(lr=case.base_lr, **case.prm)
        metrics = metrics_of(variant, case.steps) if variant.unit is Unit.METRIC else None
        groups = Groups(case.depths, case.lrs, case.tensor)
        rates = trace(subject, make, case.horizon, case.steps, prm, metrics, case.resume, groups)
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
    groups: Groups = _ONE_GROUP,
) -> list[list[float]]:
    """The learning rate of each parameter group at each update (groups × steps).

    Raises:
        CheckFailure: if the scheduler raises; the message names the step.
    """

    def build() -> tuple[torch.optim.Optimizer, Any]:
        default = torch.tensor(prm["lr"]) if groups.tensor else prm["lr"]
        optimizer = torch.optim.SGD(groups.build(), lr=default, momentum=0.9)
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
        place, details = _place(step, horizon, resumed, prm) if step else (f"at horizon {horizon}", _values(prm))
        where = f"{place} ({', '.join(details)})" if details else place
        raise CheckFailure(f"make_scheduler raises {where}: {subject.explain(error)}") from error
    return [list(row) for row in zip(*rows, strict=True)]


def reloaded(state: Any) -> Any:
    """A state_dict after ``torch.save`` and ``torch.load``."""
    saved = io.BytesIO()
    torch.save(state, saved)
    saved.seek(0)
    return torch.load(saved, weights_only=True)


def judge(variant: Variant, case: Case, rates: list[list[float]]) -> str:
    """The reason why a trace differs from the curve; empty if it does not."""
    horizon, steps = case.horizon, case.steps
    metrics = metrics_of(variant, steps)[:-1] if variant.unit is Unit.METRIC else None
    depths = case.depths or (0,) * len(case.base_lrs)
    base_lrs = np.array(case.base_lrs)[:, None]
    by_base = {
        base_lr: curves.rates(variant, np.arange(steps), horizon, base_lr, case.prm, metrics=metrics, depths=depths)
        for base_lr in case.base_lrs
    }
    expected = np.stack([by_base[base_lr][group] for group, base_lr in enumerate(case.base_lrs)])
    actual = as_array(rates, steps)
    if actual is None or len(actual) != len(expected):
        return f"the trace of make_scheduler at horizon {horizon} does not have {steps} learning rates for each group"
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


def _place(step: int, horizon: int, resumed: int | None, prm: Mapping[str, float]) -> tuple[str, list[str]]:
    """``at step 7 of horizon 10``, and what else distinguishes the trace at this step."""
    past_end = step >= horizon
    details = [f"past the end of horizon {horizon}"] if past_end else []
    if resumed is not None:
        details.append(f"resumed from state_dict at step {resumed}")
    return f"at step {step}" if past_end else f"at step {step} of horizon {horizon}", [*details, *_values(prm)]


def _values(prm: Mapping[str, float]) -> list[str]:
    """``warmup_fraction=0.5``: the hyperparameters of a trace other than those that every caller passes."""
    return [f"{name}={value:g}" for name, value in prm.items() if name not in ("lr", "momentum", "dropout")]

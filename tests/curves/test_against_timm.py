"""The second opinion of timm, whose schedulers clamp at their end."""

import pytest
import torch
from timm.scheduler import CosineLRScheduler, MultiStepLRScheduler, PolyLRScheduler, StepLRScheduler, WSDLRScheduler

from tests.curves.comparison import BASE_RATES, HORIZONS, assert_promised, key, nearest, seen, whole


def base(optimizer) -> float:
    """The base rate that an optimizer was made with."""
    return optimizer.defaults["lr"]


def drops(optimizer, horizon, *fractions):
    """Timm's milestones fire one step early, by its own account."""
    steps = [whole(fraction, horizon) + 1 for fraction in fractions]
    return MultiStepLRScheduler(optimizer, steps, 0.1)


def climb(optimizer, steps, first=0.0):
    """A climb from a part of the base rate and then steps that change nothing."""
    return StepLRScheduler(optimizer, 1, 1.0, warmup_t=steps, warmup_lr_init=first * base(optimizer))


def climb_then(kind, optimizer, horizon, **more):
    """A climb from zero over a tenth, then the rest of the horizon; without the prefix timm would jump."""
    steps = nearest("0.1", horizon)
    return kind(optimizer, horizon - steps, warmup_t=steps, warmup_prefix=True, **more)


def climb_to_line(optimizer, horizon, fraction):
    """A climb from zero, then a line to zero."""
    steps = nearest(fraction, horizon)
    return WSDLRScheduler(optimizer, horizon - steps, horizon - steps, decay_fn="linear", warmup_t=steps)


def climb_to_square_root(optimizer, horizon):
    """A climb, then 1 / sqrt(1 + t / s); timm ends it with a decay, which is put out of sight here."""
    steps = nearest("0.1", horizon)
    return WSDLRScheduler(
        optimizer, 2 * seen(horizon), 1, stable_fn="rsqrt", stable_timescale=max(1, steps), warmup_t=steps
    )


def hard_restarts(optimizer, horizon, cycles):
    """Cycles of a whole number of steps each."""
    steps = nearest("0.1", horizon)
    length, rest = divmod(horizon - steps, cycles)
    assert rest == 0
    return CosineLRScheduler(optimizer, length, cycle_limit=cycles, warmup_t=steps, warmup_prefix=True)


ORACLES = {
    1: lambda opt, T: StepLRScheduler(opt, whole("1/3", T), 0.1),
    2: lambda opt, T: drops(opt, T, "0.3", "0.6", "0.8"),
    3: lambda opt, T: StepLRScheduler(opt, 1, 0.95),
    4: lambda opt, T: PolyLRScheduler(opt, T, 2.0),
    5: lambda opt, T: PolyLRScheduler(opt, T, 3.0),
    6: CosineLRScheduler,
    7: lambda opt, T: CosineLRScheduler(opt, T, 0.01 * base(opt)),
    8: lambda opt, T: CosineLRScheduler(opt, whole("1/9", T), cycle_mul=2, cycle_limit=seen(T)),
    9: lambda opt, T: CosineLRScheduler(opt, whole("2/9", T), cycle_limit=seen(T)),
    15: lambda opt, T: climb(opt, whole("0.1", T), 0.1),
    18: lambda opt, T: PolyLRScheduler(opt, T, 2.0),
    19: lambda opt, T: StepLRScheduler(opt, 1, 0.95),
    21: lambda opt, T: StepLRScheduler(
        opt, whole("0.3", T), 0.1, warmup_t=whole("0.1", T), warmup_lr_init=0.1 * base(opt)
    ),
    22: lambda opt, T: StepLRScheduler(opt, 1, 0.95),
    23: CosineLRScheduler,
    24: lambda opt, T: StepLRScheduler(opt, whole("0.5", T), 0.1),
    25: lambda opt, T: drops(opt, T, "0.25", "0.5", "0.75", "0.9"),
    26: lambda opt, T: CosineLRScheduler(opt, T, 0.1 * base(opt)),
    29: lambda opt, T: PolyLRScheduler(opt, T, 4.0),
    30: lambda opt, T: MultiStepLRScheduler(opt, [T // 2 + 2], 0.1),  # one early: strictly after T/2
    36: lambda opt, T: climb_to_line(opt, T, "0.1"),
    37: lambda opt, T: climb_then(CosineLRScheduler, opt, T),
    38: lambda opt, T: climb_then(CosineLRScheduler, opt, T),
    39: lambda opt, T: climb_then(PolyLRScheduler, opt, T, power=2.0, lr_min=1e-7),
    40: lambda opt, T: climb(opt, nearest("0.1", T)),
    41: lambda opt, T: climb(opt, 0),
    42: climb_to_square_root,
    43: lambda opt, T: climb_then(CosineLRScheduler, opt, T, lr_min=0.01 * base(opt)),
    44: lambda opt, T: climb_to_line(opt, T, "0.05"),
    45: lambda opt, T: hard_restarts(opt, T, 2),
    46: lambda opt, T: hard_restarts(opt, T, 3),
    47: lambda opt, T: climb_then(PolyLRScheduler, opt, T, power=1.0, lr_min=1e-7),
    48: lambda opt, T: climb_then(PolyLRScheduler, opt, T, power=3.0, lr_min=1e-7),
    49: lambda opt, T: climb(opt, nearest("0.2", T)),
    50: lambda opt, T: climb(opt, nearest("0.05", T)),
}
# Not here: 10-14, 16, 17, 20, 27, 28, 34 and 35 (timm has nothing like them), 31-33 (its plateau is torch's).

WHOLE_CYCLES = {  # elsewhere T - W is no multiple of the cycles, and timm restarts on whole steps only
    45: (2, 1000),
    46: (3, 10, 90, 1000),
}


@pytest.mark.parametrize("number", ORACLES, ids=key)
def test_a_curve_is_what_timm_does_also_past_the_horizon(number):
    """The curve equals timm's scheduler at each step, the ones past the horizon included."""
    for horizon in WHOLE_CYCLES.get(number, HORIZONS):
        for lr in BASE_RATES:
            optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
            scheduler = ORACLES[number](optimizer, horizon)
            rates = []
            for step in range(seen(horizon)):
                scheduler.step(step)
                rates.append(optimizer.param_groups[0]["lr"])
            assert_promised(number, horizon, lr, rates)

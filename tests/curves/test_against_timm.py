"""A0_001 to A0_050 against timm, whose schedulers are constant past their end."""

import pytest
from timm.scheduler import CosineLRScheduler, MultiStepLRScheduler, PolyLRScheduler, StepLRScheduler, WSDLRScheduler

from tests.curves.comparison import BASE_RATES, HORIZONS, assert_curve, key, nearest, seen, timm_trace, whole


def base(optimizer) -> float:
    """The base learning rate of an optimizer."""
    return optimizer.defaults["lr"]


def multistep(optimizer, horizon, *fractions):
    """Decay by a tenth at each milestone; timm applies that of milestone m at step m - 1."""
    steps = [whole(fraction, horizon) + 1 for fraction in fractions]
    return MultiStepLRScheduler(optimizer, steps, 0.1)


def warmup(optimizer, steps, start_factor=0.0):
    """Linear warm-up from ``start_factor``, then a constant learning rate: step decay by a factor of 1."""
    return StepLRScheduler(optimizer, 1, 1.0, warmup_t=steps, warmup_lr_init=start_factor * base(optimizer))


def warmup_then(kind, optimizer, horizon, **arguments):
    """Linear warm-up from zero over a tenth of the horizon, after which the schedule starts (``warmup_prefix``)."""
    steps = nearest("0.1", horizon)
    return kind(optimizer, horizon - steps, warmup_t=steps, warmup_prefix=True, **arguments)


def warmup_linear(optimizer, horizon, fraction):
    """Linear warm-up from zero, then linear decay to zero."""
    steps = nearest(fraction, horizon)
    return WSDLRScheduler(optimizer, horizon - steps, horizon - steps, decay_fn="linear", warmup_t=steps)


def inverse_sqrt(optimizer, horizon):
    """Linear warm-up, then 1 / sqrt(1 + t / s); the final decay of timm's schedule starts after the last step."""
    steps = nearest("0.1", horizon)
    return WSDLRScheduler(
        optimizer, 2 * seen(horizon), 1, stable_fn="rsqrt", stable_timescale=max(1, steps), warmup_t=steps
    )


def hard_restarts(optimizer, horizon, cycles):
    """Linear warm-up, then cycles of cosine decay with a whole number of steps each."""
    steps = nearest("0.1", horizon)
    length, rest = divmod(horizon - steps, cycles)
    assert rest == 0
    return CosineLRScheduler(optimizer, length, cycle_limit=cycles, warmup_t=steps, warmup_prefix=True)


REFERENCES = {
    1: lambda opt, T: StepLRScheduler(opt, whole("1/3", T), 0.1),
    2: lambda opt, T: multistep(opt, T, "0.3", "0.6", "0.8"),
    3: lambda opt, T: StepLRScheduler(opt, 1, 0.95),
    4: lambda opt, T: PolyLRScheduler(opt, T, 2.0),
    5: lambda opt, T: PolyLRScheduler(opt, T, 3.0),
    6: CosineLRScheduler,
    7: lambda opt, T: CosineLRScheduler(opt, T, 0.01 * base(opt)),
    8: lambda opt, T: CosineLRScheduler(opt, whole("1/9", T), cycle_mul=2, cycle_limit=seen(T)),
    9: lambda opt, T: CosineLRScheduler(opt, whole("2/9", T), cycle_limit=seen(T)),
    15: lambda opt, T: warmup(opt, whole("0.1", T), 0.1),
    18: lambda opt, T: PolyLRScheduler(opt, T, 2.0),
    19: lambda opt, T: StepLRScheduler(opt, 1, 0.95),
    21: lambda opt, T: StepLRScheduler(
        opt, whole("0.3", T), 0.1, warmup_t=whole("0.1", T), warmup_lr_init=0.1 * base(opt)
    ),
    22: lambda opt, T: StepLRScheduler(opt, 1, 0.95),
    23: CosineLRScheduler,
    24: lambda opt, T: StepLRScheduler(opt, whole("0.5", T), 0.1),
    25: lambda opt, T: multistep(opt, T, "0.25", "0.5", "0.75", "0.9"),
    26: lambda opt, T: CosineLRScheduler(opt, T, 0.1 * base(opt)),
    29: lambda opt, T: PolyLRScheduler(opt, T, 4.0),
    30: lambda opt, T: MultiStepLRScheduler(opt, [T // 2 + 2], 0.1),  # the first step after T / 2
    36: lambda opt, T: warmup_linear(opt, T, "0.1"),
    37: lambda opt, T: warmup_then(CosineLRScheduler, opt, T),
    38: lambda opt, T: warmup_then(CosineLRScheduler, opt, T),
    39: lambda opt, T: warmup_then(PolyLRScheduler, opt, T, power=2.0, lr_min=1e-7),
    40: lambda opt, T: warmup(opt, nearest("0.1", T)),
    41: lambda opt, T: warmup(opt, 0),
    42: inverse_sqrt,
    43: lambda opt, T: warmup_then(CosineLRScheduler, opt, T, lr_min=0.01 * base(opt)),
    44: lambda opt, T: warmup_linear(opt, T, "0.05"),
    45: lambda opt, T: hard_restarts(opt, T, 2),
    46: lambda opt, T: hard_restarts(opt, T, 3),
    47: lambda opt, T: warmup_then(PolyLRScheduler, opt, T, power=1.0, lr_min=1e-7),
    48: lambda opt, T: warmup_then(PolyLRScheduler, opt, T, power=3.0, lr_min=1e-7),
    49: lambda opt, T: warmup(opt, nearest("0.2", T)),
    50: lambda opt, T: warmup(opt, nearest("0.05", T)),
}
# Not in timm: 10-14, 16, 17, 20, 27, 28, 34, 35. Its plateaus (31-33) are torch's.

WHOLE_CYCLES = {  # horizons at which T - W is a multiple of the number of cycles
    45: (2, 1000),
    46: (3, 10, 90, 1000),
}


@pytest.mark.parametrize("number", REFERENCES, ids=key)
def test_a_curve_equals_timm_also_past_the_horizon(number):
    """The curve equals timm's scheduler at each step, also past the horizon."""
    for horizon in WHOLE_CYCLES.get(number, HORIZONS):
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, timm_trace(REFERENCES[number], horizon, lr, seen(horizon)))

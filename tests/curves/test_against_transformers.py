"""A0_036 to A0_050 against transformers."""

import pytest
from transformers import optimization as hf

from tests.curves.comparison import BASE_RATES, HORIZONS, assert_curve, held, key, nearest, seen, trace


def polynomial(optimizer, horizon: int, warmup_steps: int, power: float):
    """Linear warm-up, then polynomial decay to a learning rate of 1e-7."""
    return hf.get_polynomial_decay_schedule_with_warmup(optimizer, warmup_steps, horizon, 1e-7, power)


def inverse_sqrt(optimizer, horizon: int, warmup_steps: int):
    """Linear warm-up, then inverse square root decay with an explicit timescale.

    Without warm-up, the default timescale of transformers is 10,000.
    """
    return hf.get_inverse_sqrt_schedule(optimizer, warmup_steps, timescale=max(1, warmup_steps))


def hard_restarts(optimizer, horizon: int, warmup_steps: int, cycles: int):
    """Linear warm-up, then cycles of cosine decay, then zero."""
    return hf.get_cosine_with_hard_restarts_schedule_with_warmup(optimizer, warmup_steps, horizon, cycles)


UNBOUNDED = {
    36: ("0.1", lambda opt, T, W: hf.get_linear_schedule_with_warmup(opt, W, T)),
    38: ("0.1", lambda opt, T, W: hard_restarts(opt, T, W, 1)),
    39: ("0.1", lambda opt, T, W: polynomial(opt, T, W, 2.0)),
    40: ("0.1", lambda opt, T, W: hf.get_constant_schedule_with_warmup(opt, W)),
    41: ("0", lambda opt, T, W: hf.get_constant_schedule(opt)),
    42: ("0.1", inverse_sqrt),
    44: ("0.05", lambda opt, T, W: hf.get_linear_schedule_with_warmup(opt, W, T)),
    45: ("0.1", lambda opt, T, W: hard_restarts(opt, T, W, 2)),
    46: ("0.1", lambda opt, T, W: hard_restarts(opt, T, W, 3)),
    47: ("0.1", lambda opt, T, W: polynomial(opt, T, W, 1.0)),
    48: ("0.1", lambda opt, T, W: polynomial(opt, T, W, 3.0)),
    49: ("0.2", lambda opt, T, W: hf.get_constant_schedule_with_warmup(opt, W)),
    50: ("0.05", lambda opt, T, W: hf.get_constant_schedule_with_warmup(opt, W)),
}

UP_TO_THE_HORIZON = {  # transformers' cosines increase again after it
    37: ("0.1", lambda opt, T, W: hf.get_cosine_schedule_with_warmup(opt, W, T)),
    43: (  # not the function with a warmup_lr_rate, which is one step ahead
        "0.1",
        lambda opt, T, W: hf.get_cosine_with_min_lr_schedule_with_warmup(opt, W, T, min_lr_rate=0.01),
    ),
}

POLYNOMIALS = (39, 47, 48)


def rates_of(make, horizon: int, warmup_steps: int, lr: float, count: int) -> list[float]:
    """The learning rates of a transformers schedule with so many warm-up steps."""
    return trace(lambda opt, T: make(opt, T, warmup_steps), horizon, lr, count)


@pytest.mark.parametrize("number", UNBOUNDED, ids=key)
def test_a_curve_equals_transformers_also_past_the_horizon(number):
    """The curve equals transformers' schedule at each step, also past the horizon."""
    warmup_fraction, make = UNBOUNDED[number]
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = rates_of(make, horizon, nearest(warmup_fraction, horizon), lr, seen(horizon))
            assert_curve(number, horizon, lr, rates)


@pytest.mark.parametrize("number", UP_TO_THE_HORIZON, ids=key)
def test_a_cosine_curve_equals_transformers_up_to_the_horizon(number):
    """The curve equals transformers' up to step T and is constant after it, where transformers' increases again."""
    warmup_fraction, make = UP_TO_THE_HORIZON[number]
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = rates_of(make, horizon, nearest(warmup_fraction, horizon), lr, horizon + 1)
            assert_curve(number, horizon, lr, held(rates, seen(horizon)))


@pytest.mark.parametrize("warmup_fraction", ["0", "0.37", "0.5", "1"])
@pytest.mark.parametrize("number", sorted((UNBOUNDED | UP_TO_THE_HORIZON).keys() - {41}), ids=key)
def test_a_warm_up_of_any_length_equals_transformers(number, warmup_fraction):
    """The curve equals transformers' schedule for warm-ups of none to all of the horizon.

    All curves but the inverse square root are constant from T on; after a warm-up of T steps, transformers' hard
    restarts still decay.
    """
    _, make = (UNBOUNDED | UP_TO_THE_HORIZON)[number]
    for horizon in HORIZONS:
        warmup_steps = nearest(warmup_fraction, horizon)
        if number in POLYNOMIALS and warmup_steps == horizon:
            continue  # transformers divides by the number of decay steps, which is zero
        rates = rates_of(make, horizon, warmup_steps, 0.1, seen(horizon) if number == 42 else horizon + 1)
        assert_curve(number, horizon, 0.1, held(rates, seen(horizon)), {"warmup_fraction": float(warmup_fraction)})

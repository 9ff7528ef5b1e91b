"""A0_036 to A0_050 against the functions of transformers that they are named after."""

import pytest
from transformers import optimization as hf

from tests.curves.comparison import BASE_RATES, HORIZONS, assert_promised, held, key, nearest, seen, trace


def polynomial(optimizer, horizon: int, climb: int, power: float):
    """Decay to the absolute rate 1e-7, which transformers wants to be below the base rate."""
    return hf.get_polynomial_decay_schedule_with_warmup(optimizer, climb, horizon, 1e-7, power)


def inverse_sqrt(optimizer, horizon: int, climb: int):
    """The timescale is given: without one and without warm-up transformers takes 10,000."""
    return hf.get_inverse_sqrt_schedule(optimizer, climb, timescale=max(1, climb))


def hard_restarts(optimizer, horizon: int, climb: int, cycles: int):
    """Whole cycles after the climb, zero from the horizon on."""
    return hf.get_cosine_with_hard_restarts_schedule_with_warmup(optimizer, climb, horizon, cycles)


FOR_EVER = {
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

UP_TO_THE_HORIZON = {  # transformers' cosines climb again after it
    37: ("0.1", lambda opt, T, W: hf.get_cosine_schedule_with_warmup(opt, W, T)),
    43: (  # not its sister with a warm-up rate, which is one step ahead
        "0.1",
        lambda opt, T, W: hf.get_cosine_with_min_lr_schedule_with_warmup(opt, W, T, min_lr_rate=0.01),
    ),
}

POLYNOMIALS = (39, 47, 48)


def rates_of(make, horizon: int, climb: int, lr: float, count: int) -> list[float]:
    """What transformers does in so many steps."""
    return trace(lambda opt, T: make(opt, T, climb), horizon, lr, count)


@pytest.mark.parametrize("number", FOR_EVER, ids=key)
def test_a_curve_is_what_transformers_does_also_past_the_horizon(number):
    """Where transformers is right for ever, the curve equals it at each step, the ones past the horizon included."""
    warmup, make = FOR_EVER[number]
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = rates_of(make, horizon, nearest(warmup, horizon), lr, seen(horizon))
            assert_promised(number, horizon, lr, rates)


@pytest.mark.parametrize("number", UP_TO_THE_HORIZON, ids=key)
def test_a_cosine_is_what_transformers_does_up_to_the_horizon_and_stays(number):
    """Transformers' cosines climb again after step T: the curve equals them up to T and stays at that rate."""
    warmup, make = UP_TO_THE_HORIZON[number]
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = rates_of(make, horizon, nearest(warmup, horizon), lr, horizon + 1)
            assert_promised(number, horizon, lr, held(rates, seen(horizon)))


@pytest.mark.parametrize("warmup", ["0", "0.37", "0.5", "1"])
@pytest.mark.parametrize("number", sorted((FOR_EVER | UP_TO_THE_HORIZON).keys() - {41}), ids=key)
def test_a_climb_of_any_length_is_transformers_climb(number, warmup):
    """The hyperparameter ``warmup_fraction`` is transformers' warm-up over the horizon, from none of it to all of it.

    All but the square root are held from T on: after a climb of T steps transformers' restarts would still fall.
    """
    _, make = (FOR_EVER | UP_TO_THE_HORIZON)[number]
    for horizon in HORIZONS:
        climb = nearest(warmup, horizon)
        if number in POLYNOMIALS and climb == horizon:
            continue  # transformers' polynomial divides by the steps that remain, here none
        rates = rates_of(make, horizon, climb, 0.1, seen(horizon) if number == 42 else horizon + 1)
        assert_promised(number, horizon, 0.1, held(rates, seen(horizon)), {"warmup_fraction": float(warmup)})

"""A0_071 to A0_082, exponential and rational decay, against other libraries and a second derivation."""

import os
from fractions import Fraction
from math import exp, log, prod, sqrt, tanh

import jax
import numpy as np
import optax
import pytest
import torch
from fvcore.common.param_scheduler import ExponentialParamScheduler
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.scheduler import TanhLRScheduler, WSDLRScheduler

from lrgen import curves
from tests.curves.comparison import (
    BASE_RATES,
    HORIZONS,
    assert_curve,
    held,
    key,
    nearest,
    seen,
    timm_trace,
    variants,
    whole,
)

NUMBERS = [number for number, variant in variants().items() if variant.family == "exponential" and number > 50]


# Other libraries, with the catalogue's defaults


@pytest.fixture(autouse=True)
def float64():
    """JAX computes in float64 instead of its default, float32."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def warmup_exponential(lr, horizon):
    """optax's linear warm-up and exponential decay, held past the horizon.

    They are joined here because optax's own warm-up schedule stays at zero when it has no warm-up steps.
    """
    steps = nearest("0.05", horizon)
    decay = optax.exponential_decay(lr, horizon - steps, 0.003, end_value=0.1 * lr)
    joined = optax.join_schedules([optax.linear_schedule(0.0, lr, steps), decay], [steps])
    return lambda step: joined(np.minimum(step, horizon))


def accelerating(lr, horizon):
    """Exponential decay in the square of the step."""
    decay = optax.exponential_decay(lr, horizon**2, 0.02)
    return lambda step: decay(step**2)


def inverse_time_staircase(lr, horizon):
    """One constant piece for each divisor: 1, 1.5, 2 and so on."""
    interval = whole("0.1", horizon)
    scales = {n * interval: (1 + n) / (2 + n) for n in range(1, seen(horizon) // interval + 1)}
    return optax.piecewise_constant_schedule(lr, scales)


OPTAX = {
    71: lambda lr, T: optax.exponential_decay(lr, T, 0.01),
    72: warmup_exponential,
    73: accelerating,
    74: lambda lr, T: optax.exponential_decay(0.05 * lr, T, 20.0, end_value=lr),
    76: inverse_time_staircase,
    81: lambda lr, T: optax.exponential_decay(lr, T, 0.3, end_value=0.3 * lr),
}


@pytest.mark.parametrize("number", OPTAX, ids=key)
def test_a_curve_equals_that_of_optax_also_past_the_horizon(number):
    """The curve equals optax's schedule at each step, also past the horizon."""
    steps = np.arange(seen(max(HORIZONS)), dtype=np.float64)  # one length, since JAX compiles for each
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = np.broadcast_to(np.asarray(OPTAX[number](lr, horizon)(steps)), steps.shape)
            assert rates.dtype == np.float64
            assert_curve(number, horizon, lr, rates[: seen(horizon)])


def test_warm_up_and_exponential_decay_equal_optaxs_own_schedule():
    """With warm-up steps, A0_072 equals warmup_exponential_decay_schedule of optax."""
    for horizon in (20, 90, 1000):
        steps = nearest("0.05", horizon)
        schedule = optax.warmup_exponential_decay_schedule(0.0, 0.1, steps, horizon - steps, 0.003, end_value=0.01)
        assert_curve(72, horizon, 0.1, np.asarray(schedule(np.arange(horizon + 1, dtype=np.float64))))


@pytest.mark.parametrize(("number", "ratio"), [(71, 0.01), (81, 0.3)], ids=["A0_071", "A0_081"])
def test_exponential_decay_equals_that_of_fvcore(number, ratio):
    """Up to the horizon the curve equals fvcore's; A0_081 holds the last value."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            schedule = ExponentialParamScheduler(lr, ratio)
            rates = [schedule(step / horizon) for step in range(horizon + 1)]
            assert_curve(number, horizon, lr, held(rates, seen(horizon)) if number == 81 else rates)


@pytest.fixture
def keras():
    """Keras on torch, in float64."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield keras
    keras.config.set_floatx(before)


def test_inverse_time_decay_equals_that_of_keras(keras):
    """A0_075 equals Keras's InverseTimeDecay with a decay rate of 9 in T steps."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            schedule = keras.optimizers.schedules.InverseTimeDecay(lr, horizon, 9.0)
            rates = schedule(torch.arange(seen(horizon), dtype=torch.float64))
            assert rates.dtype == torch.float64
            assert_curve(75, horizon, lr, rates.numpy(force=True))


def test_the_inverse_time_staircase_equals_that_of_keras(keras):
    """A0_076 equals Keras's InverseTimeDecay with staircase=True, up to float32."""
    for horizon in HORIZONS:
        schedule = keras.optimizers.schedules.InverseTimeDecay(1.0, whole("0.1", horizon), 0.5, staircase=True)
        rates = schedule(torch.arange(seen(horizon), dtype=torch.float64)).numpy(force=True)
        assert curves.rates(variants()[76], range(seen(horizon)), horizon) == pytest.approx(rates, rel=2e-7)


@pytest.mark.parametrize(("number", "growth", "power"), [(75, 9, 1.0), (77, 30, 0.75)], ids=["A0_075", "A0_077"])
def test_a_rational_decay_equals_the_power_phase_of_timm(number, growth, power):
    """The curve equals ``(1 + t / s) ** -p`` of timm's WSDLRScheduler.

    The horizon of timm's schedule is so long that its final decay starts after the last step compared.
    """
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            stable = {"stable_fn": "power", "stable_timescale": horizon / growth, "stable_power": power}
            rates = timm_trace(
                lambda opt, T, stable=stable: WSDLRScheduler(opt, 2 * seen(T), 1, **stable), horizon, lr, seen(horizon)
            )
            assert_curve(number, horizon, lr, rates)


@pytest.mark.parametrize(
    ("number", "lower", "upper", "min_ratio"),
    [(78, -6.0, 3.0, 0.01), (82, -2.5, 2.5, 0.0)],  # a logistic function of 10 x is a tanh of 5 x
    ids=["A0_078", "A0_082"],
)
def test_a_tanh_decay_equals_that_of_timm_and_holds_its_last_value(number, lower, upper, min_ratio):
    """Up to the horizon the curve equals timm's; it then holds the last value of the tanh.

    timm's scheduler is at its lr_min from the horizon on.
    """
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            lr_min = min_ratio * lr
            rates = timm_trace(
                lambda opt, T, lr_min=lr_min: TanhLRScheduler(opt, T, lower, upper, lr_min), horizon, lr, horizon
            )
            last = lr * (min_ratio + (1 - min_ratio) * (1 - tanh(upper)) / 2)
            assert_curve(number, horizon, lr, held([*rates, last], seen(horizon)))


# A second derivation, one step at a time


def warmup_then(t, T, warmup_fraction, decay):
    """A linear warm-up over W steps, then a decay of the progress since then."""
    steps = round(warmup_fraction * T)
    return t / steps if t < steps else decay((t - steps) / max(1, T - steps))


def gaussian(t, T, ratio):
    """The product of the factors of t epochs, ratio ** ((2 i - 1) / T^2) for epoch i."""
    return prod(ratio ** ((i * i - (i - 1) * (i - 1)) / (T * T)) for i in range(1, t + 1))


def staircase(t, T, step_fraction, decay_rate):
    """One over a divisor that grows with each completed interval."""
    interval, divisor = max(1, round(step_fraction * T)), 1.0
    for step in range(1, t + 1):
        divisor += decay_rate if step % interval == 0 else 0.0
    return 1 / divisor


def hyperbola(x, N, fraction):
    """The square root in HyperbolicLR at step x of N with an upper bound of N / fraction."""
    return sqrt(Fraction(fraction) * (N - x) / N * (2 - Fraction(fraction) * (N + x) / N))


def hyperbolic(t, T, fraction, ratio):
    """HyperbolicLR: lr + (lr - infimum) times the difference of two square roots."""
    return 1 + (1 - ratio) * (hyperbola(t, T, fraction) - hyperbola(0, T, fraction))


def exp_hyperbolic(t, T, fraction, ratio):
    """ExpHyperbolicLR: lr times (lr / infimum) to the power of the same difference."""
    return (1 / ratio) ** (hyperbola(t, T, fraction) - hyperbola(0, T, fraction))


BY_HAND = {
    71: lambda t, T, final_lr_ratio=0.01: final_lr_ratio ** (t / T),
    72: lambda t, T, warmup_fraction=0.05, min_lr_ratio=0.1: warmup_then(
        t, T, warmup_fraction, lambda p: max(min_lr_ratio, exp(p * log(0.003)))
    ),
    73: lambda t, T, final_lr_ratio=0.02: gaussian(t, T, final_lr_ratio),
    74: lambda t, T, initial_lr_ratio=0.05: initial_lr_ratio ** ((T - t) / T),
    75: lambda t, T, final_lr_ratio=0.1: 1 / ((T - t) / T + t / T / final_lr_ratio),
    76: lambda t, T, step_fraction=0.1, decay_rate=0.5: staircase(t, T, step_fraction, decay_rate),
    77: lambda t, T, power=0.75: (T / (T + 30 * t)) ** power,
    78: lambda t, T, min_lr_ratio=0.01: min_lr_ratio + (1 - min_lr_ratio) / (exp(2 * (9 * t / T - 6)) + 1),
    79: lambda t, T, horizon_fraction=0.8, min_lr_ratio=0.01: hyperbolic(t, T, horizon_fraction, min_lr_ratio),
    80: lambda t, T, horizon_fraction=0.8, min_lr_ratio=0.001: exp_hyperbolic(t, T, horizon_fraction, min_lr_ratio),
    81: lambda t, T, final_lr_ratio=0.3: final_lr_ratio ** (t / T),
    82: lambda t, T, midpoint_fraction=0.5: (
        exp(10 * midpoint_fraction) / (exp(10 * midpoint_fraction) + exp(10 * t / T))
    ),
}
HELD = {72, 74, 78, 79, 80, 81, 82}


def by_hand(number, horizon, lr, prm):
    """The learning rates of all steps that are compared."""
    at = [min(t, horizon) if number in HELD else t for t in range(seen(horizon))]
    return [lr * BY_HAND[number](t, horizon, **prm) for t in at]


def test_every_variant_of_the_family_from_51_on_is_compared():
    """Every variant of the family from 51 on has a second derivation."""
    assert sorted(BY_HAND) == sorted(NUMBERS)


@pytest.mark.parametrize("number", BY_HAND, ids=key)
def test_a_curve_equals_a_second_derivation_of_its_formula(number):
    """The curve equals a second derivation, also past the horizon."""
    for horizon in (1, 2, 3, 5, 7, 10, 90, 200):
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, by_hand(number, horizon, lr, {}))


@pytest.mark.parametrize("number", BY_HAND, ids=key)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_curve_equals_a_second_derivation_for_any_hyperparameters(number, data):
    """The curve equals a second derivation for any hyperparameters in their ranges."""
    horizon = data.draw(st.integers(1, 60), label="horizon")
    prm = {p.name: data.draw(st.floats(p.low, p.high), label=p.name) for p in variants()[number].hyperparameters}
    assert_curve(number, horizon, 0.1, by_hand(number, horizon, 0.1, prm), prm)


# Consequences of the formulas


def rates(number, horizon, prm=None, steps=None):
    """The multipliers at the given steps, by default all up to the horizon."""
    return curves.rates(variants()[number], range(horizon + 1) if steps is None else steps, horizon, 1.0, prm)


@pytest.mark.parametrize("number", [n for n in NUMBERS if n not in (72, 74)], ids=key)
def test_a_decay_never_increases(number):
    """A curve without warm-up or growth never increases, also past the horizon."""
    assert (np.diff(rates(number, 100, steps=range(300))) <= 0).all()


@pytest.mark.parametrize(
    ("number", "first", "last"),
    [(71, 1, 0.01), (72, 0, 0.1), (73, 1, 0.02), (74, 0.05, 1), (75, 1, 0.1), (76, 1, 1 / 6), (81, 1, 0.3)],
    ids=lambda value: key(value) if value in NUMBERS else str(value),
)
def test_an_exponential_or_rational_schedule_starts_and_ends_at_its_documented_ratios(number, first, last):
    """The multipliers at step 0 and at the horizon are the documented ratios."""
    assert rates(number, 1000)[[0, -1]] == pytest.approx([first, last], rel=1e-12)


def test_the_inverse_power_of_sixteen_is_one_eighth():
    """A0_077 is ``16 ** -0.75`` = 1/8 at half of training."""
    assert rates(77, 1000, steps=[0, 500]) == pytest.approx([1.0, 0.125], rel=1e-14)


def test_exponential_decay_has_a_constant_factor_and_accelerating_decay_an_exponential_one():
    """The factor per step is constant in A0_071 and A0_081 and exponential in A0_073."""
    for number in (71, 81):
        curve = rates(number, 100)
        assert curve[1:] / curve[:-1] == pytest.approx(np.full(100, curve[1] / curve[0]), rel=1e-12)
    factors = rates(73, 100)[1:] / rates(73, 100)[:-1]
    assert factors[1:] / factors[:-1] == pytest.approx(np.full(99, 0.02 ** (2 / 100**2)), rel=1e-12)


def test_exponential_growth_is_reversed_exponential_decay():
    """A0_074 is A0_071 with the same ratio, reversed."""
    assert rates(74, 90)[::-1] == pytest.approx(rates(71, 90, {"final_lr_ratio": 0.05}), rel=1e-12)


def test_a_sigmoid_is_one_half_at_its_midpoint_and_symmetric_about_it():
    """A0_082 is 1/2 at its midpoint; multipliers equally far from it add up to 1."""
    curve = rates(82, 100)
    assert curve[50] == pytest.approx(0.5, rel=1e-15)
    assert curve + curve[::-1] == pytest.approx(np.ones(101), rel=1e-12)
    assert rates(82, 100, {"midpoint_fraction": 0.3})[30] == pytest.approx(0.5, rel=1e-12)


def test_a_tanh_decay_is_halfway_after_two_thirds_of_training():
    """A0_078 is halfway to its minimum where the argument of the tanh is zero."""
    assert rates(78, 90)[60] == pytest.approx(0.01 + 0.99 / 2, rel=1e-12)


def test_hyperbolic_decay_is_linear_when_training_has_the_maximum_length():
    """With U = N, A0_079 is linear decay and A0_080 exponential decay to the infimum."""
    progress = np.arange(91) / 90
    assert rates(79, 90, {"horizon_fraction": 1.0}) == pytest.approx(1 - 0.99 * progress, rel=1e-12)
    assert rates(80, 90, {"horizon_fraction": 1.0}) == pytest.approx(0.001**progress, rel=1e-12)


def test_hyperbolic_decay_hardly_depends_on_the_number_of_epochs_for_a_fixed_upper_bound():
    """For a fixed U, A0_079 starts nearly alike for N = 500 and 900, as its paper claims.

    Linear decay does not.
    """
    first = range(51)
    short = rates(79, 500, {"horizon_fraction": 0.5}, first)
    long = rates(79, 900, {"horizon_fraction": 0.9}, first)
    linear = np.abs(np.arange(51) / 500 - np.arange(51) / 900).max()
    assert np.abs(short - long).max() < 0.25 * linear


def test_hyperbolic_decay_ends_at_the_value_computed_by_hand():
    """A0_079 and A0_080 end as ``h(0) = sqrt(0.8 * 1.2)`` and ``h(N) = 0`` imply."""
    assert rates(79, 90)[-1] == pytest.approx(1 - 0.99 * sqrt(0.96), rel=1e-12)
    assert rates(80, 90)[-1] == pytest.approx(0.001 ** sqrt(0.96), rel=1e-12)

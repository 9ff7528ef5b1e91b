"""A0_071 to A0_082, the exponential and rational decays, against other people's code and a second derivation."""

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
from tests.curves.comparison import BASE_RATES, HORIZONS, assert_promised, held, key, nearest, seen, variants, whole

NEW = [number for number, variant in variants().items() if variant.family == "exponential" and number > 50]


# Outside code, with the schedules' own numbers


@pytest.fixture(autouse=True)
def float64():
    """Jax computes in float32 unless it is told not to."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def climb_then_exponential(lr, horizon):
    """Optax's warm-up exponential, which knows no end: its last step is repeated.

    Joined by hand, because optax's own warm-ups stay at zero for ever when they have no steps.
    """
    climb = nearest("0.05", horizon)
    decay = optax.exponential_decay(lr, horizon - climb, 0.003, end_value=0.1 * lr)
    joined = optax.join_schedules([optax.linear_schedule(0.0, lr, climb), decay], [climb])
    return lambda step: joined(np.minimum(step, horizon))


def accelerating(lr, horizon):
    """Exponential decay in the square of time."""
    decay = optax.exponential_decay(lr, horizon**2, 0.02)
    return lambda step: decay(step**2)


def inverse_stairs(lr, horizon):
    """A piece for each divisor 1, 1.5, 2 ..."""
    stretch = whole("0.1", horizon)
    scales = {n * stretch: (1 + n) / (2 + n) for n in range(1, seen(horizon) // stretch + 1)}
    return optax.piecewise_constant_schedule(lr, scales)


OPTAX = {
    71: lambda lr, T: optax.exponential_decay(lr, T, 0.01),
    72: climb_then_exponential,
    73: accelerating,
    74: lambda lr, T: optax.exponential_decay(0.05 * lr, T, 20.0, end_value=lr),
    76: inverse_stairs,
    81: lambda lr, T: optax.exponential_decay(lr, T, 0.3, end_value=0.3 * lr),
}


@pytest.mark.parametrize("number", OPTAX, ids=key)
def test_a_curve_is_what_optax_computes_also_past_the_horizon(number):
    """The curve equals the schedule of optax at each step, the ones past the horizon included."""
    steps = np.arange(seen(max(HORIZONS)), dtype=np.float64)  # one length, because jax compiles for each
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = np.broadcast_to(np.asarray(OPTAX[number](lr, horizon)(steps)), steps.shape)
            assert rates.dtype == np.float64
            assert_promised(number, horizon, lr, rates[: seen(horizon)])


def test_the_warm_up_of_optax_itself_has_the_same_exponential():
    """Where there is a climb, A0_072 equals optax's schedule of that name as it comes."""
    for horizon in (20, 90, 1000):
        climb = nearest("0.05", horizon)
        schedule = optax.warmup_exponential_decay_schedule(0.0, 0.1, climb, horizon - climb, 0.003, end_value=0.01)
        assert_promised(72, horizon, 0.1, np.asarray(schedule(np.arange(horizon + 1, dtype=np.float64))))


@pytest.mark.parametrize(("number", "ratio"), [(71, 0.01), (81, 0.3)], ids=["A0_071", "A0_081"])
def test_an_exponential_is_what_fvcore_computes_by_progress(number, ratio):
    """Up to the horizon the curve equals fvcore's exponential of the progress; A0_081 holds its end."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            schedule = ExponentialParamScheduler(lr, ratio)
            rates = [schedule(step / horizon) for step in range(horizon + 1)]
            assert_promised(number, horizon, lr, held(rates, seen(horizon)) if number == 81 else rates)


@pytest.fixture
def keras():
    """Keras on torch, in float64."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield keras
    keras.config.set_floatx(before)


def test_an_inverse_time_decay_is_that_of_keras(keras):
    """A0_075 equals keras's schedule of the rate 9 in T steps, past the horizon too."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            schedule = keras.optimizers.schedules.InverseTimeDecay(lr, horizon, 9.0)
            rates = schedule(torch.arange(seen(horizon), dtype=torch.float64))
            assert rates.dtype == torch.float64
            assert_promised(75, horizon, lr, rates.numpy(force=True))


def test_an_inverse_time_staircase_is_that_of_keras(keras):
    """A0_076 equals keras's staircase of the rate 1/2 in T/10 steps, to the float32 of keras's floor."""
    for horizon in HORIZONS:
        schedule = keras.optimizers.schedules.InverseTimeDecay(1.0, whole("0.1", horizon), 0.5, staircase=True)
        rates = schedule(torch.arange(seen(horizon), dtype=torch.float64)).numpy(force=True)
        assert curves.rates(variants()[76], range(seen(horizon)), horizon) == pytest.approx(rates, rel=2e-7)


def by_timm(kind, horizon, lr, count, *arguments, **more):
    """The rates that a scheduler of timm gives."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = kind(optimizer, horizon, *arguments, **more)
    rates = []
    for step in range(count):
        scheduler.step(step)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@pytest.mark.parametrize(("number", "growth", "power"), [(75, 9, 1.0), (77, 30, 0.75)], ids=["A0_075", "A0_077"])
def test_a_rational_decay_is_the_power_phase_of_timm(number, growth, power):
    """The curve equals ``(1 + t / s) ** -p`` of timm, past the horizon too; its final decay is put out of sight."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            phase = {"stable_fn": "power", "stable_timescale": horizon / growth, "stable_power": power}
            rates = by_timm(WSDLRScheduler, 2 * seen(horizon), lr, seen(horizon), 1, **phase)
            assert_promised(number, horizon, lr, rates)


@pytest.mark.parametrize(
    ("number", "lower", "upper", "floor"),
    [(78, -6.0, 3.0, 0.01), (82, -2.5, 2.5, 0.0)],  # a logistic function of 10 x is a tanh of 5 x
    ids=["A0_078", "A0_082"],
)
def test_a_tanh_is_that_of_timm_and_ends_where_it_would(number, lower, upper, floor):
    """Up to the horizon the curve equals timm's, which then is at its floor; ours holds the last value of the tanh."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = by_timm(TanhLRScheduler, horizon, lr, horizon, lower, upper, lr_min=floor * lr)
            last = lr * (floor + (1 - floor) * (1 - tanh(upper)) / 2)
            assert_promised(number, horizon, lr, held([*rates, last], seen(horizon)))


# A second derivation, one step at a time, for hyperparameters too


def climb_then(t, T, warmup, after):
    """From zero over W steps, perhaps none, then a function of the progress since."""
    climb = round(warmup * T)
    return t / climb if t < climb else after((t - climb) / max(1, T - climb))


def bell(t, T, ratio):
    """The product of the factors of t epochs, each the one before times the ratio to the power of 2 / T^2."""
    return prod(ratio ** ((i * i - (i - 1) * (i - 1)) / (T * T)) for i in range(1, t + 1))


def stairs(t, T, step_fraction, decay_rate):
    """One over a divisor that has grown at each completed stretch."""
    stretch, divisor = max(1, round(step_fraction * T)), 1.0
    for step in range(1, t + 1):
        divisor += decay_rate if step % stretch == 0 else 0.0
    return 1 / divisor


def branch(x, N, share):
    """The square root in HyperbolicLR, of step x out of N; its upper bound is N / share, infinite for no share."""
    return sqrt(Fraction(share) * (N - x) / N * (2 - Fraction(share) * (N + x) / N))


def hyperbola(t, T, share, ratio):
    """HyperbolicLR: the rate plus (rate - infimum) times the difference of two square roots."""
    return 1 + (1 - ratio) * (branch(t, T, share) - branch(0, T, share))


def exp_hyperbola(t, T, share, ratio):
    """ExpHyperbolicLR: the rate times (rate / infimum) to the power of the same difference."""
    return (1 / ratio) ** (branch(t, T, share) - branch(0, T, share))


BY_HAND = {
    71: lambda t, T, final_lr_ratio=0.01: final_lr_ratio ** (t / T),
    72: lambda t, T, warmup=0.05, min_lr_ratio=0.1: climb_then(
        t, T, warmup, lambda p: max(min_lr_ratio, exp(p * log(0.003)))
    ),
    73: lambda t, T, final_lr_ratio=0.02: bell(t, T, final_lr_ratio),
    74: lambda t, T, initial_lr_ratio=0.05: initial_lr_ratio ** ((T - t) / T),
    75: lambda t, T, final_lr_ratio=0.1: 1 / ((T - t) / T + t / T / final_lr_ratio),
    76: lambda t, T, step_fraction=0.1, decay_rate=0.5: stairs(t, T, step_fraction, decay_rate),
    77: lambda t, T, power=0.75: (T / (T + 30 * t)) ** power,
    78: lambda t, T, min_lr_ratio=0.01: min_lr_ratio + (1 - min_lr_ratio) / (exp(2 * (9 * t / T - 6)) + 1),
    79: lambda t, T, horizon_ratio=0.8, min_lr_ratio=0.01: hyperbola(t, T, horizon_ratio, min_lr_ratio),
    80: lambda t, T, horizon_ratio=0.8, min_lr_ratio=0.001: exp_hyperbola(t, T, horizon_ratio, min_lr_ratio),
    81: lambda t, T, final_lr_ratio=0.3: final_lr_ratio ** (t / T),
    82: lambda t, T, midpoint=0.5: exp(10 * midpoint) / (exp(10 * midpoint) + exp(10 * t / T)),
}
HELD = {72, 74, 78, 79, 80, 81, 82}


def by_hand(number, horizon, lr, prm):
    """The rates of all steps that are compared."""
    at = [min(t, horizon) if number in HELD else t for t in range(seen(horizon))]
    return [lr * BY_HAND[number](t, horizon, **prm) for t in at]


def test_every_new_schedule_of_the_family_is_compared():
    """Each variant of the family from 51 on is written out here."""
    assert sorted(BY_HAND) == sorted(NEW)


@pytest.mark.parametrize("number", BY_HAND, ids=key)
def test_a_curve_is_its_formula_written_a_second_time(number):
    """The curve equals the second derivation at every horizon and base rate, past the end held or going on."""
    for horizon in (1, 2, 3, 5, 7, 10, 90, 200):
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, by_hand(number, horizon, lr, {}))


@pytest.mark.parametrize("number", BY_HAND, ids=key)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_hyperparameter_does_in_the_curve_what_the_formula_says(number, data):
    """The curve equals the second derivation for hyperparameters anywhere in their ranges."""
    horizon = data.draw(st.integers(1, 60), label="horizon")
    prm = {p.name: data.draw(st.floats(p.low, p.high), label=p.name) for p in variants()[number].hyperparameters}
    assert_promised(number, horizon, 0.1, by_hand(number, horizon, 0.1, prm), prm)


# What the formulas imply


def rates(number, horizon, prm=None, steps=None):
    """The multipliers of some steps, of all up to the horizon unless said otherwise."""
    return curves.rates(variants()[number], range(horizon + 1) if steps is None else steps, horizon, 1.0, prm)


@pytest.mark.parametrize("number", [n for n in NEW if n not in (72, 74)], ids=key)
def test_a_decay_never_rises(number):
    """But for the climbs of A0_072 and A0_074 no rate is above the one before, past the horizon neither."""
    assert (np.diff(rates(number, 100, steps=range(300))) <= 0).all()


@pytest.mark.parametrize(
    ("number", "first", "last"),
    [(71, 1, 0.01), (72, 0, 0.1), (73, 1, 0.02), (74, 0.05, 1), (75, 1, 0.1), (76, 1, 1 / 6), (81, 1, 0.3)],
    ids=lambda value: key(value) if value in NEW else str(value),
)
def test_an_exponential_or_rational_schedule_ends_where_it_says(number, first, last):
    """The first rate and the one at the horizon are those that the hyperparameters name."""
    assert rates(number, 1000)[[0, -1]] == pytest.approx([first, last], rel=1e-12)


def test_the_inverse_power_is_an_eighth_when_its_base_is_sixteen():
    """``16 ** -0.75`` is 1/8: the rate half-way through A0_077."""
    assert rates(77, 1000, steps=[0, 500]) == pytest.approx([1.0, 0.125], rel=1e-14)


def test_an_exponential_falls_by_one_factor_and_an_accelerating_one_by_ever_smaller_ones():
    """The ratio of neighbouring rates is constant in A0_071 and A0_081, and itself exponential in A0_073."""
    for number in (71, 81):
        curve = rates(number, 100)
        assert curve[1:] / curve[:-1] == pytest.approx(np.full(100, curve[1] / curve[0]), rel=1e-12)
    factors = rates(73, 100)[1:] / rates(73, 100)[:-1]
    assert factors[1:] / factors[:-1] == pytest.approx(np.full(99, 0.02 ** (2 / 100**2)), rel=1e-12)


def test_a_rising_exponential_is_a_falling_one_backwards():
    """A0_074 read from its end is A0_071 with the same ratio."""
    assert rates(74, 90)[::-1] == pytest.approx(rates(71, 90, {"final_lr_ratio": 0.05}), rel=1e-12)


def test_a_sigmoid_is_a_half_at_its_midpoint_and_symmetric_about_it():
    """A0_082 passes a half at the midpoint, and two rates at the same distance from it add up to one."""
    curve = rates(82, 100)
    assert curve[50] == pytest.approx(0.5, rel=1e-15)
    assert curve + curve[::-1] == pytest.approx(np.ones(101), rel=1e-12)
    assert rates(82, 100, {"midpoint": 0.3})[30] == pytest.approx(0.5, rel=1e-12)


def test_a_tanh_passes_its_middle_after_two_thirds():
    """A0_078 is half-way between one and its floor where the argument of the tangent is zero."""
    assert rates(78, 90)[60] == pytest.approx(0.01 + 0.99 / 2, rel=1e-12)


def test_a_hyperbola_is_a_line_when_the_training_is_the_longest_one():
    """With U = N the square root is the time that remains: A0_079 is a line, A0_080 exponential, to the infimum."""
    progress = np.arange(91) / 90
    assert rates(79, 90, {"horizon_ratio": 1.0}) == pytest.approx(1 - 0.99 * progress, rel=1e-12)
    assert rates(80, 90, {"horizon_ratio": 1.0}) == pytest.approx(0.001**progress, rel=1e-12)


def test_a_hyperbola_hardly_depends_on_the_epochs_under_one_upper_bound():
    """As its paper claims, under one U the first rates of A0_079 at N = 500 and 900 nearly agree; a line's do not."""
    first = range(51)
    short = rates(79, 500, {"horizon_ratio": 0.5}, first)
    long = rates(79, 900, {"horizon_ratio": 0.9}, first)
    line = np.abs(np.arange(51) / 500 - np.arange(51) / 900).max()
    assert np.abs(short - long).max() < 0.25 * line


def test_a_hyperbola_ends_by_its_first_height():
    """``h(0) = sqrt(0.8 * 1.2)`` and ``h(N) = 0``: the ends of A0_079 and A0_080 by hand."""
    assert rates(79, 90)[-1] == pytest.approx(1 - 0.99 * sqrt(0.96), rel=1e-12)
    assert rates(80, 90)[-1] == pytest.approx(0.001 ** sqrt(0.96), rel=1e-12)

"""A0_083 to A0_093, polynomial, linear and REX decay, against other libraries and a second derivation."""

import os
from fractions import Fraction
from math import sqrt

import jax
import numpy as np
import optax
import pytest
import torch
from fvcore.common.param_scheduler import LinearParamScheduler, PolynomialDecayParamScheduler
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_optimizer.lr_scheduler import REXScheduler
from timm.scheduler import PolyLRScheduler
from transformers import optimization as hf

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
    trace,
    variants,
    whole,
)

NUMBERS = [number for number, variant in variants().items() if variant.family == "polynomial" and number > 50]


# Other libraries, with the catalogue's defaults


@pytest.fixture(autouse=True)
def float64():
    """JAX computes in float64 instead of its default, float32."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def polynomial_warmup(lr, steps, power):
    """A warm-up from zero with a power of the step: optax's polynomial decay, reversed."""
    decay = optax.polynomial_schedule(lr, 0.0, power, steps)
    return lambda step: decay(steps - step)


def burn_in(lr, horizon):
    """Darknet's burn-in and its decay, which is counted from step 0."""
    steps = nearest("0.05", horizon)
    warmup, decay = polynomial_warmup(lr, steps, 4), optax.polynomial_schedule(lr, 0.0, 4, horizon)
    return lambda step: np.where(step < steps, warmup(step), decay(step))


def warmup_quadratic(lr, horizon):
    """A quadratic warm-up, then quadratic decay over the remaining steps."""
    steps = nearest("0.15", horizon)
    decay = optax.polynomial_schedule(lr, 0.0, 2, horizon - steps)
    return optax.join_schedules([polynomial_warmup(lr, steps, 2), decay], [steps])


OPTAX = {
    83: lambda lr, T: optax.polynomial_schedule(lr, 0.0, 0.5, T),
    84: burn_in,
    85: warmup_quadratic,
    91: lambda lr, T: optax.linear_schedule(lr, 0.1 * lr, T),
    92: lambda lr, T: optax.linear_schedule(lr, 0.01 * lr, T),
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


TIMM = {
    83: lambda opt, T, lr: PolyLRScheduler(opt, T),  # its default power is 0.5
    86: lambda opt, T, lr: PolyLRScheduler(opt, T, 1.0, 0.01 * lr, k_decay=3.0),
    91: lambda opt, T, lr: PolyLRScheduler(opt, T, 1.0, 0.1 * lr),
    92: lambda opt, T, lr: PolyLRScheduler(opt, T, 1.0, 0.01 * lr),
}


@pytest.mark.parametrize("number", TIMM, ids=key)
def test_a_curve_equals_that_of_timm_also_past_the_horizon(number):
    """The curve equals timm's PolyLRScheduler at each step, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = timm_trace(lambda opt, T, lr=lr: TIMM[number](opt, T, lr), horizon, lr, seen(horizon))
            assert_curve(number, horizon, lr, rates)


FVCORE = {
    83: lambda lr: PolynomialDecayParamScheduler(lr, 0.5),
    91: lambda lr: LinearParamScheduler(lr, 0.1 * lr),
    92: lambda lr: LinearParamScheduler(lr, 0.01 * lr),
}


@pytest.mark.parametrize("number", FVCORE, ids=key)
def test_a_curve_equals_that_of_fvcore(number):
    """The curve equals fvcore's schedule and holds its last value."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = [FVCORE[number](lr)(step / horizon) for step in range(horizon + 1)]
            assert_curve(number, horizon, lr, held(rates, seen(horizon)))


@pytest.mark.parametrize(("number", "ratio"), [(91, 0.1), (92, 0.01)], ids=["A0_091", "A0_092"])
def test_linear_decay_equals_that_of_transformers_without_warm_up(number, ratio):
    """The curve equals transformers' polynomial decay with power 1 and an lr_end."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = trace(
                lambda opt, T, end=ratio * lr: hf.get_polynomial_decay_schedule_with_warmup(opt, 0, T, end, 1.0),
                horizon,
                lr,
                seen(horizon),
            )
            assert_curve(number, horizon, lr, rates)


def test_cyclic_linear_decay_equals_that_of_keras():
    """A0_087 equals Keras's PolynomialDecay with cycle=True, also past the horizon."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        for horizon in HORIZONS:
            for lr in BASE_RATES:
                cycle = whole("0.2", horizon)
                schedule = keras.optimizers.schedules.PolynomialDecay(lr, cycle, 0.05 * lr, cycle=True)
                rates = [float(schedule(step)) for step in range(min(300, seen(horizon)))]
                assert_curve(87, horizon, lr, rates)
    finally:
        keras.config.set_floatx(before)


def rex(lr, horizon, count):
    """The learning rates of pytorch_optimizer's REX, with the first one corrected.

    Its first learning rate is zero by mistake.
    """
    first, *others = trace(lambda opt, T: REXScheduler(opt, T, max_lr=lr), horizon, lr, count)
    assert first == 0.0
    return [lr, *others]


def test_rex_equals_that_of_pytorch_optimizer():
    """A0_088 equals pytorch_optimizer's REX from step 1 on, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(88, horizon, lr, rex(lr, horizon, seen(horizon)))


def test_rex_after_a_warm_up_equals_that_of_pytorch_optimizer():
    """A0_089 with a beta of 0.5 is a linear warm-up, then pytorch_optimizer's REX."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            steps = nearest("0.05", horizon)
            rates = [lr * step / steps for step in range(steps)] + rex(lr, horizon - steps, seen(horizon) - steps)
            assert_curve(89, horizon, lr, rates, {"beta": 0.5})


def test_rex_with_beta_2_is_the_inverse_of_rex_with_beta_one_half():
    """pytorch_optimizer's REX of the multiplier of A0_090 is linear decay."""
    for horizon in HORIZONS:
        multipliers = curves.rates(variants()[90], range(horizon + 1), horizon, 1.0, {"min_lr_ratio": 0.0})
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        scheduler = REXScheduler(optimizer, 1)
        linear = []
        for multiplier in multipliers:
            scheduler.step_t = 1 - multiplier  # the completed fraction of its single step
            linear.append(scheduler.get_linear_lr())
        assert linear == pytest.approx(1 - np.arange(horizon + 1) / horizon, abs=1e-14)


# A second derivation, one step at a time, in exact fractions where possible


def remaining(t, T):
    """The remaining fraction of training."""
    return Fraction(T - t, T)


def to_ratio(value, ratio):
    """A value in [0, 1], rescaled to [ratio, 1]."""
    return float(Fraction(ratio) * (1 - Fraction(value)) + Fraction(value))


def warmup_then(t, T, warmup_fraction, decay, warmup=lambda x: x):
    """A warm-up over W steps, then a decay of the remaining fraction of the other steps."""
    steps = round(warmup_fraction * T)
    return float(warmup(Fraction(t, steps)) if t < steps else decay(Fraction(T - t, max(1, T - steps))))


def darknet(t, T, warmup_fraction):
    """Darknet's burn-in and decay, both functions of the step itself."""
    steps = round(warmup_fraction * T)
    return float(Fraction(t, steps) ** 4 if t < steps else remaining(t, T) ** 4)


def reflected(z, beta):
    """The REX profile, with beta instead of the paper's two constants of 1/2."""
    return z / (Fraction(beta) + (1 - Fraction(beta)) * z)


def cyclic(t, T, first_cycle_fraction, ratio):
    """Linear decay to an end that moves on by one cycle when a step lies beyond it."""
    cycle = max(1, round(first_cycle_fraction * T))
    end = cycle
    while end < t:
        end += cycle
    return to_ratio(remaining(t, end), ratio)


BY_HAND = {
    83: lambda t, T, power=0.5: float(remaining(t, T)) ** power,
    84: lambda t, T, warmup_fraction=0.05: darknet(t, T, warmup_fraction),
    85: lambda t, T, warmup_fraction=0.15: warmup_then(t, T, warmup_fraction, lambda z: z * z, lambda x: x * x),
    86: lambda t, T, min_lr_ratio=0.01: to_ratio(1 - Fraction(t, T) ** 3, min_lr_ratio),
    87: lambda t, T, first_cycle_fraction=0.2, min_lr_ratio=0.05: cyclic(t, T, first_cycle_fraction, min_lr_ratio),
    88: lambda t, T, beta=0.5: float(reflected(remaining(t, T), beta)),
    89: lambda t, T, warmup_fraction=0.05, beta=0.1: warmup_then(t, T, warmup_fraction, lambda z: reflected(z, beta)),
    90: lambda t, T, min_lr_ratio=0.01: to_ratio(Fraction(T - t, T + t), min_lr_ratio),  # z / (2 - z)
    91: lambda t, T, final_lr_ratio=0.1: to_ratio(remaining(t, T), final_lr_ratio),
    92: lambda t, T, final_lr_ratio=0.01: to_ratio(remaining(t, T), final_lr_ratio),
    93: lambda t, T, power=0.5: (sqrt(T * T - t * t) / T) ** (2 * power),
}
HELD = {*range(83, 94)} - {87}


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


@pytest.mark.parametrize("number", [n for n in NUMBERS if n not in (84, 85, 87, 89)], ids=key)
def test_a_decay_decreases_strictly_from_one_and_is_then_constant(number):
    """A curve without warm-up or cycles decreases strictly from 1 and is constant past the horizon."""
    curve = rates(number, 100, steps=range(300))
    assert curve[0] == 1.0
    assert (np.diff(curve[:101]) < 0).all()
    assert (curve[100:] == curve[100]).all()


@pytest.mark.parametrize(
    ("number", "last"),
    [(83, 0), (84, 0), (85, 0), (86, 0.01), (87, 0.05), (88, 0), (89, 0), (90, 0.01), (91, 0.1), (92, 0.01), (93, 0)],
    ids=lambda value: key(value) if value in NUMBERS else str(value),
)
def test_a_schedule_ends_at_its_documented_ratio(number, last):
    """The multiplier at the horizon is zero or the documented ratio."""
    assert rates(number, 1000)[-1] == pytest.approx(last, abs=1e-14)


@pytest.mark.parametrize(("number", "warmup_steps"), [(85, 150), (89, 50)], ids=["A0_085", "A0_089"])
def test_a_warm_up_ends_at_the_base_learning_rate(number, warmup_steps):
    """The multiplier increases from 0 to 1 over the warm-up and decreases after it."""
    curve = rates(number, 1000)
    assert curve[0] == 0.0
    assert np.flatnonzero(curve == 1.0).tolist() == [warmup_steps]
    assert (np.diff(curve[: warmup_steps + 1]) > 0).all()
    assert (np.diff(curve[warmup_steps:]) < 0).all()


def test_the_burn_in_of_darknet_ends_in_a_drop():
    """A0_084 drops from (49/50)^4 to (1 - 1/20)^4, since Darknet counts from step 0."""
    assert rates(84, 1000, steps=[49, 50]) == pytest.approx([0.98**4, 0.95**4], rel=1e-12)


def test_cyclic_linear_decay_reaches_its_minimum_once_per_cycle_and_jumps_less_each_time():
    """A0_087 is minimal at the end of each cycle, then jumps to just below 1/2, 1/3, …."""
    curve = rates(87, 1000, steps=range(2001))
    assert np.flatnonzero(curve == curve.min()).tolist() == [*range(200, 2001, 200)]
    jumps = curve[[201, 401, 601, 801]]
    assert jumps == pytest.approx(
        [0.05 + 0.95 * (1 - (200 * n + 1) / (200 * n + 200)) for n in (1, 2, 3, 4)], rel=1e-12
    )
    assert (np.diff(jumps) < 0).all()


def test_a_smaller_beta_of_rex_decays_later():
    """REX decreases with beta: 0.1 > 0.5 > 1, which is linear decay, > 2."""
    inner = range(1, 100)
    linear = 1 - np.arange(1, 100) / 100
    assert rates(88, 100, {"beta": 1.0}, inner) == pytest.approx(linear, rel=1e-12)
    assert (rates(88, 100, {"beta": 0.1}, inner) > rates(88, 100, None, inner)).all()
    assert (rates(88, 100, None, inner) > linear).all()
    assert (rates(90, 100, {"min_lr_ratio": 0.0}, inner) < linear).all()


def test_the_profile_of_rex_at_half_of_training():
    """For z = 1/2, z / (beta + (1 - beta) z) is 1 / (1 + beta): 2/3, 10/11 and 1/3."""
    assert rates(88, 100)[50] == pytest.approx(2 / 3, rel=1e-12)
    assert rates(89, 100, {"warmup_fraction": 0.0})[50] == pytest.approx(10 / 11, rel=1e-12)
    assert rates(90, 100, {"min_lr_ratio": 0.0})[50] == pytest.approx(1 / 3, rel=1e-12)


def test_elliptic_decay_contains_pythagorean_triples():
    """A0_093 is 4/5 at 3/5 and 12/13 at 5/13 of training; its points lie on an ellipse."""
    assert rates(93, 65, steps=[39, 25]) == pytest.approx([4 / 5, 12 / 13], rel=1e-12)
    assert rates(93, 65) ** 2 + (np.arange(66) / 65) ** 2 == pytest.approx(np.ones(66), rel=1e-12)
    assert rates(93, 65, {"power": 0.25}) ** 2 == pytest.approx(rates(93, 65), rel=1e-12)


@pytest.mark.parametrize(
    ("number", "area"),
    [(83, 2 / 3), (86, 0.01 + 0.99 * 3 / 4), (88, 2 - 2 * np.log(2)), (91, 0.55), (92, 0.505), (93, np.pi / 4)],
    ids=lambda value: key(value) if value in NUMBERS else "",
)
def test_the_mean_multiplier_is_the_integral_of_the_formula(number, area):
    """Over a long horizon the mean multiplier is the analytic integral."""
    curve = rates(number, 100_000)
    assert (curve[0] + curve[-1]) / 2 / 100_000 + curve[1:-1].sum() / 100_000 == pytest.approx(area, abs=1e-6)

"""A0_083 to A0_093, polynomials, lines and REX, against other people's code and a second derivation."""

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
    assert_promised,
    held,
    key,
    nearest,
    seen,
    trace,
    variants,
    whole,
)

NEW = [number for number, variant in variants().items() if variant.family == "polynomial" and number > 50]


# Outside code, with the schedules' own numbers


@pytest.fixture(autouse=True)
def float64():
    """Jax computes in float32 unless it is told not to."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def rise(lr, steps, power):
    """From zero with a power of the step: optax's fall to zero, read backwards."""
    fall = optax.polynomial_schedule(lr, 0.0, power, steps)
    return lambda step: fall(steps - step)


def burn_in(lr, horizon):
    """Darknet's two cases; the second counts from step 0, so that the first is laid over it."""
    steps = nearest("0.05", horizon)
    climb, decay = rise(lr, steps, 4), optax.polynomial_schedule(lr, 0.0, 4, horizon)
    return lambda step: np.where(step < steps, climb(step), decay(step))


def quadratic(lr, horizon):
    """A quadratic rise, then a quadratic fall over the steps that are left."""
    steps = nearest("0.15", horizon)
    return optax.join_schedules([rise(lr, steps, 2), optax.polynomial_schedule(lr, 0.0, 2, horizon - steps)], [steps])


OPTAX = {
    83: lambda lr, T: optax.polynomial_schedule(lr, 0.0, 0.5, T),
    84: burn_in,
    85: quadratic,
    91: lambda lr, T: optax.linear_schedule(lr, 0.1 * lr, T),
    92: lambda lr, T: optax.linear_schedule(lr, 0.01 * lr, T),
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


TIMM = {
    83: lambda opt, T, lr: PolyLRScheduler(opt, T),  # its default power is the square root
    86: lambda opt, T, lr: PolyLRScheduler(opt, T, 1.0, 0.01 * lr, k_decay=3.0),
    91: lambda opt, T, lr: PolyLRScheduler(opt, T, 1.0, 0.1 * lr),
    92: lambda opt, T, lr: PolyLRScheduler(opt, T, 1.0, 0.01 * lr),
}


@pytest.mark.parametrize("number", TIMM, ids=key)
def test_a_curve_is_what_timm_does_also_past_the_horizon(number):
    """The curve equals timm's polynomial at each step, the ones past the horizon included."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
            scheduler = TIMM[number](optimizer, horizon, lr)
            rates = []
            for step in range(seen(horizon)):
                scheduler.step(step)
                rates.append(optimizer.param_groups[0]["lr"])
            assert_promised(number, horizon, lr, rates)


FVCORE = {
    83: lambda lr: PolynomialDecayParamScheduler(lr, 0.5),
    91: lambda lr: LinearParamScheduler(lr, 0.1 * lr),
    92: lambda lr: LinearParamScheduler(lr, 0.01 * lr),
}


@pytest.mark.parametrize("number", FVCORE, ids=key)
def test_a_curve_is_what_fvcore_computes_by_progress(number):
    """The curve equals fvcore's schedule of the progress and holds its last value."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = [FVCORE[number](lr)(step / horizon) for step in range(horizon + 1)]
            assert_promised(number, horizon, lr, held(rates, seen(horizon)))


@pytest.mark.parametrize(("number", "share"), [(91, 0.1), (92, 0.01)], ids=["A0_091", "A0_092"])
def test_a_line_is_that_of_transformers_without_a_climb(number, share):
    """The curve equals transformers' polynomial of the power one that ends at a share of the base rate."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = trace(
                lambda opt, T, end=share * lr: hf.get_polynomial_decay_schedule_with_warmup(opt, 0, T, end, 1.0),
                horizon,
                lr,
                seen(horizon),
            )
            assert_promised(number, horizon, lr, rates)


def test_a_cyclic_line_is_the_cycling_polynomial_of_keras():
    """A0_087 equals keras's ``PolynomialDecay(cycle=True)`` in float64 at each step, past the horizon too."""
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
                assert_promised(87, horizon, lr, rates)
    finally:
        keras.config.set_floatx(before)


def rex(lr, horizon, count):
    """The rates of pytorch_optimizer, whose first one is zero by mistake: it overwrites the base rate."""
    first, *others = trace(lambda opt, T: REXScheduler(opt, T, max_lr=lr), horizon, lr, count)
    assert first == 0.0
    return [lr, *others]


def test_rex_is_that_of_pytorch_optimizer():
    """A0_088 equals its REX from step 1 on, past the horizon too."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(88, horizon, lr, rex(lr, horizon, seen(horizon)))


def test_a_climb_to_rex_is_a_climb_to_that_of_pytorch_optimizer():
    """With its shape and a climb of 0.05 T, A0_089 is a line over W steps, then REX over the others."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            climb = nearest("0.05", horizon)
            rates = [lr * step / climb for step in range(climb)] + rex(lr, horizon - climb, seen(horizon) - climb)
            assert_promised(89, horizon, lr, rates, {"beta": 0.5})


def test_rex_of_two_undoes_rex_of_a_half():
    """REX of beta and of 1 / beta undo each other: A0_090 put into the REX of pytorch_optimizer gives a line."""
    for horizon in HORIZONS:
        multipliers = curves.rates(variants()[90], range(horizon + 1), horizon, 1.0, {"min_lr_ratio": 0.0})
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        scheduler = REXScheduler(optimizer, 1)
        undone = []
        for multiplier in multipliers:
            scheduler.step_t = 1 - multiplier  # the part of its one step that is done
            undone.append(scheduler.get_linear_lr())
        assert undone == pytest.approx(1 - np.arange(horizon + 1) / horizon, abs=1e-14)


# A second derivation, one step at a time, for hyperparameters too; by fractions as far as they go


def left(t, T):
    """The part that remains."""
    return Fraction(T - t, T)


def to_floor(value, ratio):
    """From one to zero, scaled to end at a ratio."""
    return float(Fraction(ratio) * (1 - Fraction(value)) + Fraction(value))


def climb_then(t, T, warmup, after, climb=lambda x: x):
    """From zero over W steps, perhaps none, then a function of the part of the others that remains."""
    steps = round(warmup * T)
    return float(climb(Fraction(t, steps)) if t < steps else after(Fraction(T - t, max(1, T - steps))))


def darknet(t, T, warmup):
    """The two cases of darknet's rate, both of the step itself."""
    steps = round(warmup * T)
    return float(Fraction(t, steps) ** 4 if t < steps else left(t, T) ** 4)


def reflected(z, beta):
    """The profile of the REX paper, its two halves made a beta and the rest."""
    return z / (Fraction(beta) + (1 - Fraction(beta)) * z)


def sawtooth(t, T, first_cycle, ratio):
    """A line to an end that moves on by a cycle as soon as a step lies beyond it."""
    cycle = max(1, round(first_cycle * T))
    end = cycle
    while end < t:
        end += cycle
    return to_floor(left(t, end), ratio)


BY_HAND = {
    83: lambda t, T, power=0.5: float(left(t, T)) ** power,
    84: lambda t, T, warmup=0.05: darknet(t, T, warmup),
    85: lambda t, T, warmup=0.15: climb_then(t, T, warmup, lambda z: z * z, lambda x: x * x),
    86: lambda t, T, min_lr_ratio=0.01: to_floor(1 - Fraction(t, T) ** 3, min_lr_ratio),
    87: lambda t, T, first_cycle=0.2, min_lr_ratio=0.05: sawtooth(t, T, first_cycle, min_lr_ratio),
    88: lambda t, T, beta=0.5: float(reflected(left(t, T), beta)),
    89: lambda t, T, warmup=0.05, beta=0.1: climb_then(t, T, warmup, lambda z: reflected(z, beta)),
    90: lambda t, T, min_lr_ratio=0.01: to_floor(Fraction(T - t, T + t), min_lr_ratio),  # z / (2 - z)
    91: lambda t, T, final_lr_ratio=0.1: to_floor(left(t, T), final_lr_ratio),
    92: lambda t, T, final_lr_ratio=0.01: to_floor(left(t, T), final_lr_ratio),
    93: lambda t, T, power=0.5: (sqrt(T * T - t * t) / T) ** (2 * power),
}
HELD = {*range(83, 94)} - {87}


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


@pytest.mark.parametrize("number", [n for n in NEW if n not in (84, 85, 87, 89)], ids=key)
def test_a_decay_falls_at_every_step_from_one_and_then_stays(number):
    """Those without climb or cycles begin at one, fall strictly up to the horizon and hold what they have there."""
    curve = rates(number, 100, steps=range(300))
    assert curve[0] == 1.0
    assert (np.diff(curve[:101]) < 0).all()
    assert (curve[100:] == curve[100]).all()


@pytest.mark.parametrize(
    ("number", "last"),
    [(83, 0), (84, 0), (85, 0), (86, 0.01), (87, 0.05), (88, 0), (89, 0), (90, 0.01), (91, 0.1), (92, 0.01), (93, 0)],
    ids=lambda value: key(value) if value in NEW else str(value),
)
def test_a_schedule_ends_where_it_says(number, last):
    """The rate at the horizon is zero or the ratio that the hyperparameter names."""
    assert rates(number, 1000)[-1] == pytest.approx(last, abs=1e-14)


@pytest.mark.parametrize(("number", "climb"), [(85, 150), (89, 50)], ids=["A0_085", "A0_089"])
def test_a_climb_ends_at_the_base_rate(number, climb):
    """The rate rises from zero to one over the climb's steps, is one at no other, and falls after it."""
    curve = rates(number, 1000)
    assert curve[0] == 0.0
    assert np.flatnonzero(curve == 1.0).tolist() == [climb]
    assert (np.diff(curve[: climb + 1]) > 0).all()
    assert (np.diff(curve[climb:]) < 0).all()


def test_the_burn_in_of_darknet_ends_in_a_drop():
    """The last burn-in step of A0_084 is (49/50)^4, the first of the decay (1 - 1/20)^4: darknet counts from step 0."""
    assert rates(84, 1000, steps=[49, 50]) == pytest.approx([0.98**4, 0.95**4], rel=1e-12)


def test_a_cyclic_line_is_at_its_floor_once_a_cycle_and_leaps_less_each_time():
    """A0_087 is at its floor at the end of each cycle; one step later it is just below 1/2, 1/3, 1/4 ... of the way."""
    curve = rates(87, 1000, steps=range(2001))
    assert np.flatnonzero(curve == curve.min()).tolist() == [*range(200, 2001, 200)]
    leaps = curve[[201, 401, 601, 801]]
    assert leaps == pytest.approx(
        [0.05 + 0.95 * (1 - (200 * n + 1) / (200 * n + 200)) for n in (1, 2, 3, 4)], rel=1e-12
    )
    assert (np.diff(leaps) < 0).all()


def test_rex_lies_above_the_line_the_more_the_smaller_its_beta():
    """beta = 0.1 is above 0.5, that above the line, which is beta = 1, and beta = 2 below it."""
    inner = range(1, 100)
    line = 1 - np.arange(1, 100) / 100
    assert rates(88, 100, {"beta": 1.0}, inner) == pytest.approx(line, rel=1e-12)
    assert (rates(88, 100, {"beta": 0.1}, inner) > rates(88, 100, None, inner)).all()
    assert (rates(88, 100, None, inner) > line).all()
    assert (rates(90, 100, {"min_lr_ratio": 0.0}, inner) < line).all()


def test_the_profile_of_rex_at_half_time():
    """At half-time z / (beta + (1 - beta) z) is 1 / (1 + beta): 2/3, 10/11 and 1/3."""
    assert rates(88, 100)[50] == pytest.approx(2 / 3, rel=1e-12)
    assert rates(89, 100, {"warmup": 0.0})[50] == pytest.approx(10 / 11, rel=1e-12)
    assert rates(90, 100, {"min_lr_ratio": 0.0})[50] == pytest.approx(1 / 3, rel=1e-12)


def test_an_ellipse_holds_the_pythagorean_triples():
    """3-4-5 and 5-12-13: at three fifths A0_093 is 4/5, at 5/13 it is 12/13; its square with t / T adds up to one."""
    assert rates(93, 65, steps=[39, 25]) == pytest.approx([4 / 5, 12 / 13], rel=1e-12)
    assert rates(93, 65) ** 2 + (np.arange(66) / 65) ** 2 == pytest.approx(np.ones(66), rel=1e-12)
    assert rates(93, 65, {"power": 0.25}) ** 2 == pytest.approx(rates(93, 65), rel=1e-12)


@pytest.mark.parametrize(
    ("number", "area"),
    [(83, 2 / 3), (86, 0.01 + 0.99 * 3 / 4), (88, 2 - 2 * np.log(2)), (91, 0.55), (92, 0.505), (93, np.pi / 4)],
    ids=lambda value: key(value) if value in NEW else "",
)
def test_the_mean_rate_is_the_integral_of_the_formula(number, area):
    """Over a fine horizon the mean multiplier is the integral that calculus gives."""
    curve = rates(number, 100_000)
    assert (curve[0] + curve[-1]) / 2 / 100_000 + curve[1:-1].sum() / 100_000 == pytest.approx(area, abs=1e-6)

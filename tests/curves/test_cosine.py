"""A0_094 to A0_106 against transformers, optax, timm, fvcore and keras, and against a second implementation."""

import os
from math import cos, pi, sqrt

import jax
import numpy as np
import optax
import pytest
from fvcore.common import param_scheduler as fv
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.scheduler import CosineLRScheduler
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
)


@pytest.fixture(scope="module", autouse=True)
def float64():
    """Enable float64 in jax, whose default of float32 hides differences below 1e-7."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def optax_warmup(horizon, warmup_fraction, peak, decay):
    """Optax's linear warm-up from zero, joined with ``decay(decay_steps)``."""
    warmup_steps = nearest(warmup_fraction, horizon)
    warmup = optax.linear_schedule(0.0, peak, warmup_steps)
    return optax.join_schedules([warmup, decay(horizon - warmup_steps)], [warmup_steps])


def optax_cosine(lr, horizon, warmup_fraction, min_lr_ratio=0.0, exponent=1.0):
    """Linear warm-up and a power of cosine decay."""

    def decay(decay_steps):
        return optax.cosine_decay_schedule(lr, decay_steps, min_lr_ratio, exponent)

    return optax_warmup(horizon, warmup_fraction, lr, decay)


def optax_early_cosine(lr, horizon):
    """Linear warm-up and a cosine decay that ends at 0.6 T, after which optax is constant."""
    constant_steps = horizon - nearest("0.6", horizon)

    def decay(decay_steps):
        return optax.cosine_decay_schedule(lr, decay_steps - constant_steps, 0.1)

    return optax_warmup(horizon, "0.05", lr, decay)


def optax_linear_cosine(lr, horizon):
    """Linear warm-up, then the product of cosine and linear decay."""

    def decay(decay_steps):
        cosine, linear = optax.cosine_decay_schedule(lr, decay_steps), optax.linear_schedule(1.0, 0.0, decay_steps)
        return lambda step: cosine(step) * linear(step)

    return optax_warmup(horizon, "0.05", lr, decay)


def optax_cosine_linear(lr, horizon):
    """Linear warm-up, cosine decay towards 0.3, and linear decay to zero over the last 0.15 T."""
    cosine, decay_steps = optax_cosine(lr, horizon, "0.05", 0.3), nearest("0.15", horizon)
    if decay_steps == 0:
        return cosine
    decay_start = horizon - decay_steps
    return optax.join_schedules([cosine, optax.linear_schedule(cosine(decay_start), 0.0, decay_steps)], [decay_start])


def optax_second_half(lr, horizon):
    """Linear warm-up to the midpoint of a cosine decay, then its second half."""

    def decay(decay_steps):
        cosine = optax.cosine_decay_schedule(lr, 2 * decay_steps, 0.1)
        return lambda step: cosine(step + decay_steps)

    return optax_warmup(horizon, "0.05", 0.55 * lr, decay)


OPTAX = {
    94: lambda lr, T: optax_cosine(lr, T, "0.05", 0.1),
    95: lambda lr, T: optax_cosine(lr, T, "0.05", exponent=2.0),
    96: lambda lr, T: optax_cosine(lr, T, "0.05", exponent=0.5),
    100: optax_early_cosine,
    101: optax_linear_cosine,
    102: optax_cosine_linear,
    104: lambda lr, T: optax_cosine(lr, T, "0.3"),
    105: optax_second_half,
}


@pytest.mark.parametrize("number", OPTAX, ids=key)
def test_curve_equals_optax_also_past_the_horizon(number):
    """The curve equals optax's schedule, or the join of optax's schedules, at each step."""
    steps = np.arange(seen(max(HORIZONS)), dtype=np.float64)  # a single length: jax compiles once per shape
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = np.asarray(OPTAX[number](lr, horizon)(steps))
            assert rates.dtype == np.float64
            assert_curve(number, horizon, lr, rates[: seen(horizon)])


def hf_early_cosine(optimizer, horizon):
    """Transformers' cosine schedule over 0.6 T steps."""
    warmup_steps, decay_end = nearest("0.05", horizon), nearest("0.6", horizon)
    return hf.get_cosine_with_min_lr_schedule_with_warmup(optimizer, warmup_steps, decay_end, min_lr_rate=0.1)


def hf_warmup_lr(optimizer, horizon, warmup_fraction="0.1", warmup_lr_ratio=0.1, min_lr_ratio=0.05):
    """Transformers' cosine schedule with ``warmup_lr_rate``; each phase reaches its final value at its last step."""
    return hf.get_cosine_with_min_lr_schedule_with_warmup_lr_rate(
        optimizer,
        nearest(warmup_fraction, horizon),
        horizon,
        min_lr_rate=min_lr_ratio,
        warmup_lr_rate=warmup_lr_ratio,
    )


TRANSFORMERS = {  # number: schedule, last step to compare: transformers' cosines increase again after their end
    94: (
        lambda opt, T: hf.get_cosine_with_min_lr_schedule_with_warmup(opt, nearest("0.05", T), T, min_lr_rate=0.1),
        lambda T: T,
    ),
    100: (hf_early_cosine, lambda T: nearest("0.6", T)),
    103: (lambda opt, T: hf.get_cosine_schedule_with_warmup(opt, nearest("0.05", T), T, 2.5), lambda T: T),
    104: (lambda opt, T: hf.get_cosine_schedule_with_warmup(opt, nearest("0.3", T), T), lambda T: T),
    106: (hf_warmup_lr, lambda T: T - 1),
}


@pytest.mark.parametrize("number", TRANSFORMERS, ids=key)
def test_curve_equals_transformers_up_to_the_end_of_the_decay(number):
    """The curve equals transformers' schedule up to the end of the cosine decay and is constant from there on."""
    make, last = TRANSFORMERS[number]
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, held(trace(make, horizon, lr, last(horizon) + 1), seen(horizon)))


@pytest.mark.parametrize(
    ("warmup_fraction", "warmup_lr_ratio", "min_lr_ratio"), [("0", 0.3, 0.2), ("0.5", 0.0, 0.0), ("0.9", 1.0, 0.6)]
)
def test_the_hyperparameters_of_106_are_transformers_arguments(warmup_fraction, warmup_lr_ratio, min_lr_ratio):
    """A0_106 equals transformers' schedule up to step T - 1, or T if the warm-up takes all steps."""
    prm = {"warmup_fraction": float(warmup_fraction), "warmup_lr_ratio": warmup_lr_ratio, "min_lr_ratio": min_lr_ratio}
    for horizon in HORIZONS:
        count = horizon + (nearest(warmup_fraction, horizon) == horizon)
        rates = trace(
            lambda opt, T: hf_warmup_lr(opt, T, warmup_fraction, warmup_lr_ratio, min_lr_ratio), horizon, 0.1, count
        )
        assert_curve(106, horizon, 0.1, held(rates, seen(horizon)), prm)


def timm_cosine(optimizer, horizon, warmup_fraction, min_lr_ratio=0.0):
    """Timm's warm-up and cosine decay; ``warmup_prefix`` makes the decay start after the warm-up."""
    warmup_steps, lr_min = nearest(warmup_fraction, horizon), min_lr_ratio * optimizer.defaults["lr"]
    return CosineLRScheduler(optimizer, horizon - warmup_steps, lr_min, warmup_t=warmup_steps, warmup_prefix=True)


def timm_k_decay(optimizer, horizon, k, min_lr_ratio=0.01):
    """Timm's cosine decay with k-decay."""
    return CosineLRScheduler(optimizer, horizon, min_lr_ratio * optimizer.defaults["lr"], k_decay=k)


TIMM = {
    94: lambda opt, T: timm_cosine(opt, T, "0.05", 0.1),
    97: lambda opt, T: timm_k_decay(opt, T, 2.0),
    98: lambda opt, T: timm_k_decay(opt, T, 0.5),
    104: lambda opt, T: timm_cosine(opt, T, "0.3"),
}


@pytest.mark.parametrize("number", TIMM, ids=key)
def test_curve_equals_timm_also_past_the_horizon(number):
    """The curve equals timm's scheduler at each step, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, timm_trace(TIMM[number], horizon, lr, seen(horizon)))


@pytest.mark.parametrize("min_lr_ratio", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(("number", "k"), [(97, 2.0), (98, 0.5)])
def test_the_minimum_of_a_k_decay_is_timms_lr_min(number, k, min_lr_ratio):
    """With a ``min_lr_ratio`` other than the default, the curve equals timm's scheduler with that minimum."""
    for horizon in HORIZONS:
        rates = timm_trace(lambda opt, T: timm_k_decay(opt, T, k, min_lr_ratio), horizon, 0.1, seen(horizon))
        assert_curve(number, horizon, 0.1, rates, {"min_lr_ratio": min_lr_ratio})


def test_quadratic_warmup_and_cosine_decay_equal_fvcore():
    """A0_099 equals fvcore's reversed quadratic decay over 0.1 T, then its cosine up to 0.85 T, then a constant."""
    for horizon in HORIZONS:
        warmup_steps, decay_end = nearest("0.1", horizon), nearest("0.85", horizon)
        for lr in BASE_RATES:
            quadratic, cosine = fv.PolynomialDecayParamScheduler(lr, 2.0), fv.CosineParamScheduler(lr, 0.05 * lr)
            rates = [quadratic(1 - step / warmup_steps) for step in range(warmup_steps)]
            decay_steps = decay_end - warmup_steps
            rates += [cosine(step / decay_steps) for step in range(decay_steps + 1)]
            assert_curve(99, horizon, lr, held(rates, seen(horizon)))


@pytest.mark.parametrize(
    ("number", "warmup_fraction", "min_lr_ratio", "horizons"),
    [(94, "0.05", 0.1, (90, 1000)), (104, "0.3", 0.0, (2, 3, 5, 7, 10, 90, 1000))],
)
def test_warmup_and_cosine_decay_equal_keras(number, warmup_fraction, min_lr_ratio, horizons):
    """The curve equals keras' CosineDecay to single precision at horizons where the warm-up has at least one step."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    from keras.optimizers.schedules import CosineDecay

    for horizon in horizons:
        warmup_steps = nearest(warmup_fraction, horizon)
        cosine = CosineDecay(0.0, horizon - warmup_steps, min_lr_ratio, warmup_target=0.1, warmup_steps=warmup_steps)
        rates = [float(cosine(step)) for step in range(seen(horizon))]
        expected = curves.rates(variants()[number], np.arange(seen(horizon)), horizon, 0.1)
        assert np.abs(expected - rates).max() <= 1e-6 * 0.1


def cosine_decay(x: float) -> float:
    """Cosine decay from 1 at x = 0 to 0 at x = 1."""
    return (1 + cos(pi * x)) / 2


def warmup_then(t, T, warmup_fraction, decay):
    """Linear warm-up from zero over W steps (none if W is 0), then ``decay`` of the progress after it."""
    W = round(warmup_fraction * T)
    return t / W if t < W else decay((t - W) / max(1, T - W))


def rescaled(min_lr_ratio: float, x: float) -> float:
    """A multiplier between 0 and 1, rescaled to lie between ``min_lr_ratio`` and 1."""
    return min_lr_ratio * (1 - x) + x


def early_cosine(t, T, warmup_fraction, decay_end_fraction, min_lr_ratio, power):
    """Warm-up, cosine decay up to step E, then a constant; without a decay if E lies within the warm-up."""
    W, E = round(warmup_fraction * T), round(decay_end_fraction * T)
    if t < W:
        return (t / W) ** power
    return rescaled(min_lr_ratio, cosine_decay((t - W) / (E - W)) if t < E else 0.0)


def cosine_linear(t, T, warmup_fraction=0.05, min_lr_ratio=0.3, decay_fraction=0.15):
    """Warm-up and cosine decay; from ``decay_start`` on the learning rate decreases in equal steps to zero."""
    decay_start = max(round(warmup_fraction * T), T - round(decay_fraction * T))

    def decay(x):
        return rescaled(min_lr_ratio, cosine_decay(x))

    rate = warmup_then(min(t, decay_start), T, warmup_fraction, decay)
    for _ in range(decay_start, t):
        rate -= warmup_then(decay_start, T, warmup_fraction, decay) / (T - decay_start)
    return max(rate, 0.0)


def second_half(t, T, warmup_fraction=0.05, min_lr_ratio=0.1):
    """Warm-up to the midpoint of a cosine decay, then its second half, which is a sine."""
    W = round(warmup_fraction * T)
    if t < W:
        return rescaled(min_lr_ratio, 0.5) * t / W
    return rescaled(min_lr_ratio, 0.5 - 0.5 * cos(pi / 2 - pi / 2 * (t - W) / max(1, T - W)))


def warmup_lr(t, T, warmup_fraction=0.1, warmup_lr_ratio=0.1, min_lr_ratio=0.05):
    """Two phases that reach their final values at their last steps; a warm-up of one step stays at its start."""
    W = round(warmup_fraction * T)
    if t < W:
        return warmup_lr_ratio if W == 1 else rescaled(warmup_lr_ratio, t / (W - 1))
    return rescaled(min_lr_ratio, cosine_decay(min(1.0, (t + 1 - W) / max(1, T - W))))


BY_HAND = {
    94: lambda t, T, warmup_fraction=0.05, min_lr_ratio=0.1: warmup_then(
        t, T, warmup_fraction, lambda x: rescaled(min_lr_ratio, cosine_decay(x))
    ),
    95: lambda t, T, warmup_fraction=0.05: warmup_then(
        t, T, warmup_fraction, lambda x: cosine_decay(x) * cosine_decay(x)
    ),
    96: lambda t, T, warmup_fraction=0.05: warmup_then(
        t,
        T,
        warmup_fraction,
        lambda x: cos(pi * x / 2),  # cos(2x) = 2 cos(x)^2 - 1
    ),
    97: lambda t, T, min_lr_ratio=0.01: rescaled(min_lr_ratio, cosine_decay(t * t / (T * T))),
    98: lambda t, T, min_lr_ratio=0.01: rescaled(min_lr_ratio, cosine_decay(sqrt(t) / sqrt(T))),
    99: lambda t, T, warmup_fraction=0.1, decay_end_fraction=0.85, min_lr_ratio=0.05: early_cosine(
        t, T, warmup_fraction, decay_end_fraction, min_lr_ratio, 2
    ),
    100: lambda t, T, warmup_fraction=0.05, decay_end_fraction=0.6, min_lr_ratio=0.1: early_cosine(
        t, T, warmup_fraction, decay_end_fraction, min_lr_ratio, 1
    ),
    101: lambda t, T, warmup_fraction=0.05: warmup_then(
        t, T, warmup_fraction, lambda x: cosine_decay(x) - x * cosine_decay(x)
    ),
    102: cosine_linear,
    103: lambda t, T, warmup_fraction=0.05: warmup_then(t, T, warmup_fraction, lambda x: cosine_decay(5 * x)),
    104: lambda t, T, warmup_fraction=0.3: warmup_then(t, T, warmup_fraction, cosine_decay),
    105: second_half,
    106: warmup_lr,
}


def by_hand(number, horizon, lr, prm):
    """The learning rates at all compared steps; all these schedules are constant from step T on."""
    return [lr * BY_HAND[number](min(t, horizon), horizon, **prm) for t in range(seen(horizon))]


def test_every_cosine_variant_from_94_on_has_a_reference():
    """Each variant of the family that no other test file compares has a second implementation and a library."""
    family = {number for number, variant in variants().items() if variant.family == "cosine" and number > 50}
    assert family == set(BY_HAND) == {*OPTAX, *TRANSFORMERS, *TIMM, 99}


@pytest.mark.parametrize("number", BY_HAND, ids=key)
def test_curve_equals_the_second_implementation(number):
    """The curve equals the second implementation at each horizon and base rate, and is constant from step T on."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, by_hand(number, horizon, lr, {}))


@pytest.mark.parametrize("number", BY_HAND, ids=key)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_curve_equals_the_second_implementation_for_any_hyperparameters(number, data):
    """The curve equals the second implementation for hyperparameters anywhere in their ranges, ends included."""
    horizon = data.draw(st.integers(1, 120), label="horizon")
    prm = {
        p.name: data.draw(st.one_of(st.sampled_from([p.low, p.high]), st.floats(p.low, p.high)), label=p.name)
        for p in variants()[number].hyperparameters
    }
    assert_curve(number, horizon, 0.1, by_hand(number, horizon, 0.1, prm), prm)


LANDMARKS = {  # number: multipliers at some steps of 1000, as the catalogue's summary gives them
    94: {0: 0.0, 25: 0.5, 50: 1.0, 525: 0.55, 1000: 0.1, 1400: 0.1},
    95: {0: 0.0, 25: 0.5, 50: 1.0, 525: 0.25, 1000: 0.0},
    96: {0: 0.0, 25: 0.5, 50: 1.0, 525: sqrt(0.5), 1000: 0.0},
    97: {0: 1.0, 500: 0.01 + 0.99 * (2 + sqrt(2)) / 4, 1000: 0.01},
    98: {0: 1.0, 250: 0.505, 1000: 0.01},
    99: {0: 0.0, 50: 0.25, 100: 1.0, 475: 0.525, 850: 0.05, 1000: 0.05},
    100: {0: 0.0, 25: 0.5, 50: 1.0, 325: 0.55, 600: 0.1, 1000: 0.1},
    101: {0: 0.0, 25: 0.5, 50: 1.0, 525: 0.25, 1000: 0.0},
    102: {0: 0.0, 25: 0.5, 50: 1.0, 525: 0.65, 1000: 0.0},
    103: {0: 0.0, 50: 1.0, 145: 0.5, 240: 0.0, 430: 1.0, 620: 0.0, 810: 1.0, 1000: 0.0},
    104: {0: 0.0, 150: 0.5, 300: 1.0, 650: 0.5, 1000: 0.0},
    105: {0: 0.0, 25: 0.275, 50: 0.55, 1000: 0.1},
    106: {0: 0.1, 99: 1.0, 549: 0.525, 999: 0.05, 1000: 0.05},
}


@pytest.mark.parametrize("number", LANDMARKS, ids=key)
def test_curve_passes_through_its_landmarks(number):
    """The curve has the multipliers that its summary gives, and never increases once it decreases (except A0_103)."""
    assert LANDMARKS.keys() == BY_HAND.keys()
    for step, rate in LANDMARKS[number].items():
        assert curves.rates(variants()[number], step, 1000) == pytest.approx(rate, abs=1e-12)
    rates = curves.rates(variants()[number], np.arange(1001), 1000)
    increases = np.diff(rates) > 1e-12
    first_decrease = int(np.argmax(np.diff(rates) < -1e-12))
    if number != 103:
        assert not increases[first_decrease:].any()


def test_linear_decay_continues_the_cosine_decay_without_a_jump():
    """A0_102 decays linearly over the last 0.15 T, starting from the value of the cosine decay at 0.85 T."""
    rates = curves.rates(variants()[102], np.arange(1001), 1000)
    assert rates[850] == pytest.approx(0.3 + 0.7 * cosine_decay(800 / 950), abs=1e-12)
    assert np.diff(rates[850:]) == pytest.approx(-rates[850] / 150, abs=1e-12)


def test_k_decay_is_cosine_decay_in_a_power_of_the_progress():
    """A0_097 at step T sqrt(x) and A0_098 at step T x^2 equal plain cosine decay at step T x."""
    late, early = variants()[97], variants()[98]
    steps = np.array([0, 1, 4, 25, 64, 100])
    plain = curves.rates(variants()[7], steps, 100)  # cosine decay to 0.01
    assert curves.rates(late, 10 * np.sqrt(steps), 100) == pytest.approx(plain, abs=1e-12)
    assert curves.rates(early, steps**2, 10_000) == pytest.approx(plain, abs=1e-12)

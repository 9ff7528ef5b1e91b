"""The cosines from A0_094 on: against transformers, optax, timm, fvcore and keras, and each written a second time."""

import os
from math import cos, pi, sqrt

import jax
import numpy as np
import optax
import pytest
import torch
from fvcore.common import param_scheduler as fv
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.scheduler import CosineLRScheduler
from transformers import optimization as hf

from lrgen import curves
from tests.curves.comparison import BASE_RATES, HORIZONS, assert_promised, held, key, nearest, seen, trace, variants


@pytest.fixture(scope="module", autouse=True)
def float64():
    """Jax computes in float32 unless it is told not to, which would hide differences below 1e-7."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def climb(horizon, fraction, top, then):
    """Optax: from zero to a rate over a fraction of the horizon, then another schedule of the steps that are left."""
    steps = nearest(fraction, horizon)
    return optax.join_schedules([optax.linear_schedule(0.0, top, steps), then(horizon - steps)], [steps])


def to_cosine(lr, horizon, fraction, floor=0.0, exponent=1.0):
    """A climb and a power of half a cosine."""
    return climb(horizon, fraction, lr, lambda left: optax.cosine_decay_schedule(lr, left, floor, exponent))


def to_a_cosine_that_ends_early(lr, horizon):
    """A climb and half a cosine that is over at 0.6 T; optax stays at its last rate."""
    over = horizon - nearest("0.6", horizon)
    return climb(horizon, "0.05", lr, lambda left: optax.cosine_decay_schedule(lr, left - over, 0.1))


def to_a_product(lr, horizon):
    """A climb, then half a cosine times a line."""

    def product(left):
        cosine, line = optax.cosine_decay_schedule(lr, left), optax.linear_schedule(1.0, 0.0, left)
        return lambda step: cosine(step) * line(step)

    return climb(horizon, "0.05", lr, product)


def to_a_linear_tail(lr, horizon):
    """A climb and half a cosine to 0.3, left at the begin of the last 0.15 T for a line from its rate there."""
    whole_way, tail = to_cosine(lr, horizon, "0.05", 0.3), nearest("0.15", horizon)
    if tail == 0:
        return whole_way
    line = optax.linear_schedule(whole_way(horizon - tail), 0.0, tail)
    return optax.join_schedules([whole_way, line], [horizon - tail])


def to_the_second_half(lr, horizon):
    """A climb to the middle of a cosine that is twice as long as what is left, then the rest of that cosine."""

    def half(left):
        whole_way = optax.cosine_decay_schedule(lr, 2 * left, 0.1)
        return lambda step: whole_way(step + left)

    return climb(horizon, "0.05", 0.55 * lr, half)


OPTAX = {
    94: lambda lr, T: to_cosine(lr, T, "0.05", 0.1),
    95: lambda lr, T: to_cosine(lr, T, "0.05", exponent=2.0),
    96: lambda lr, T: to_cosine(lr, T, "0.05", exponent=0.5),
    100: to_a_cosine_that_ends_early,
    101: to_a_product,
    102: to_a_linear_tail,
    104: lambda lr, T: to_cosine(lr, T, "0.3"),
    105: to_the_second_half,
}


@pytest.mark.parametrize("number", OPTAX, ids=key)
def test_a_cosine_is_what_optax_computes_also_past_the_horizon(number):
    """The curve equals the schedule of optax, or the pieces of optax one after the other, at each step."""
    steps = np.arange(seen(max(HORIZONS)), dtype=np.float64)  # one length, because jax compiles for each
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = np.asarray(OPTAX[number](lr, horizon)(steps))
            assert rates.dtype == np.float64
            assert_promised(number, horizon, lr, rates[: seen(horizon)])


def constant_after(optimizer, horizon):
    """Transformers' cosine of 0.6 T steps."""
    climb_steps, end = nearest("0.05", horizon), nearest("0.6", horizon)
    return hf.get_cosine_with_min_lr_schedule_with_warmup(optimizer, climb_steps, end, min_lr_rate=0.1)


def one_step_ahead(optimizer, horizon, warmup="0.1", first=0.1, floor=0.05):
    """Transformers' cosine with a warm-up rate, each phase of which is at its end in its last step."""
    return hf.get_cosine_with_min_lr_schedule_with_warmup_lr_rate(
        optimizer, nearest(warmup, horizon), horizon, min_lr_rate=floor, warmup_lr_rate=first
    )


TRANSFORMERS = {  # number: schedule, its last right step: transformers' cosines climb again after their end
    94: (
        lambda opt, T: hf.get_cosine_with_min_lr_schedule_with_warmup(opt, nearest("0.05", T), T, min_lr_rate=0.1),
        lambda T: T,
    ),
    100: (constant_after, lambda T: nearest("0.6", T)),
    103: (lambda opt, T: hf.get_cosine_schedule_with_warmup(opt, nearest("0.05", T), T, 2.5), lambda T: T),
    104: (lambda opt, T: hf.get_cosine_schedule_with_warmup(opt, nearest("0.3", T), T), lambda T: T),
    106: (one_step_ahead, lambda T: T - 1),
}


@pytest.mark.parametrize("number", TRANSFORMERS, ids=key)
def test_a_cosine_is_what_transformers_does_up_to_its_end_and_stays(number):
    """The curve equals transformers' schedule up to the end of its cosine, and stays at that rate."""
    make, last = TRANSFORMERS[number]
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, held(trace(make, horizon, lr, last(horizon) + 1), seen(horizon)))


@pytest.mark.parametrize(("warmup", "first", "floor"), [("0", 0.3, 0.2), ("0.5", 0.0, 0.0), ("0.9", 1.0, 0.6)])
def test_the_hyperparameters_of_the_warmup_rate_are_transformers_arguments(warmup, first, floor):
    """A0_106 equals transformers' schedule with any climb, first rate and floor, up to its last step, or up to the one
    after it when all steps are a climb.
    """
    prm = {"warmup": float(warmup), "warmup_lr_ratio": first, "min_lr_ratio": floor}
    for horizon in HORIZONS:
        count = horizon + (nearest(warmup, horizon) == horizon)
        rates = trace(lambda opt, T: one_step_ahead(opt, T, warmup, first, floor), horizon, 0.1, count)
        assert_promised(106, horizon, 0.1, held(rates, seen(horizon)), prm)


def timm_climb(optimizer, horizon, fraction, floor=0.0):
    """Timm's cosine of what is left after the climb; without the prefix it would jump."""
    steps, lr = nearest(fraction, horizon), optimizer.defaults["lr"]
    return CosineLRScheduler(optimizer, horizon - steps, floor * lr, warmup_t=steps, warmup_prefix=True)


def timm_k(optimizer, horizon, k, floor=0.01):
    """Timm's cosine with a k-decay."""
    return CosineLRScheduler(optimizer, horizon, floor * optimizer.defaults["lr"], k_decay=k)


TIMM = {
    94: lambda opt, T: timm_climb(opt, T, "0.05", 0.1),
    97: lambda opt, T: timm_k(opt, T, 2.0),
    98: lambda opt, T: timm_k(opt, T, 0.5),
    104: lambda opt, T: timm_climb(opt, T, "0.3"),
}


def timm_rates(make, horizon, lr):
    """What timm does in so many steps; its schedulers want the step's number."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer, horizon)
    rates = []
    for step in range(seen(horizon)):
        scheduler.step(step)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@pytest.mark.parametrize("number", TIMM, ids=key)
def test_a_cosine_is_what_timm_does_also_past_the_horizon(number):
    """The curve equals timm's scheduler at each step, the ones past the horizon included."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, timm_rates(TIMM[number], horizon, lr))


@pytest.mark.parametrize("floor", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(("number", "k"), [(97, 2.0), (98, 0.5)])
def test_the_floor_of_a_k_decay_is_timms(number, k, floor):
    """With another floor than its default, the curve equals timm's scheduler with that floor."""
    for horizon in HORIZONS:
        rates = timm_rates(lambda opt, T: timm_k(opt, T, k, floor), horizon, 0.1)
        assert_promised(number, horizon, 0.1, rates, {"min_lr_ratio": floor})


def test_a_quadratic_climb_with_a_floor_is_fvcores_pieces():
    """A0_099 equals fvcore's parabola run backwards over 0.1 T, its cosine to 0.85 T, and its constant."""
    for horizon in HORIZONS:
        top, end = nearest("0.1", horizon), nearest("0.85", horizon)
        for lr in BASE_RATES:
            parabola, cosine = fv.PolynomialDecayParamScheduler(lr, 2.0), fv.CosineParamScheduler(lr, 0.05 * lr)
            rates = [parabola(1 - step / top) for step in range(top)]
            rates += [cosine((step - top) / (end - top)) for step in range(top, end + 1)]
            assert_promised(99, horizon, lr, held(rates, seen(horizon)))


@pytest.mark.parametrize(
    ("number", "warmup", "floor", "horizons"),
    [(94, "0.05", 0.1, (90, 1000)), (104, "0.3", 0.0, (2, 3, 5, 7, 10, 90, 1000))],
)
def test_a_warmup_cosine_is_what_keras_computes(number, warmup, floor, horizons):
    """The curve equals keras' cosine to its single precision, wherever the climb has steps: keras begins at its rate
    from before the climb.
    """
    os.environ.setdefault("KERAS_BACKEND", "torch")
    from keras.optimizers.schedules import CosineDecay

    for horizon in horizons:
        steps = nearest(warmup, horizon)
        cosine = CosineDecay(0.0, horizon - steps, floor, warmup_target=0.1, warmup_steps=steps)
        rates = [float(cosine(step)) for step in range(seen(horizon))]
        promised = curves.rates(variants()[number], np.arange(seen(horizon)), horizon, 0.1)
        assert np.abs(promised - rates).max() <= 1e-6 * 0.1


def half_cosine(x: float) -> float:
    """From 1 at 0 to 0 at 1."""
    return (1 + cos(pi * x)) / 2


def climb_then(t, T, warmup, after):
    """A climb from zero over W steps, perhaps none, then a function of the part of the rest that is over."""
    W = round(warmup * T)
    return t / W if t < W else after((t - W) / max(1, T - W))


def above(floor: float, x: float) -> float:
    """What becomes of a multiplier when zero is put at a floor."""
    return floor * (1 - x) + x


def floor_at(t, T, warmup, decay_end, min_lr_ratio, power):
    """A climb, half a cosine to a floor, and the floor; a decay that would end before the climb has no steps."""
    W, E = round(warmup * T), round(decay_end * T)
    if t < W:
        return (t / W) ** power
    return above(min_lr_ratio, half_cosine((t - W) / (E - W)) if t < E else 0.0)


def linear_tail(t, T, warmup=0.05, min_lr_ratio=0.3, decay=0.15):
    """A climb and half a cosine; from the begin of the tail on the rate of that moment, in equal portions to zero."""
    begin = max(round(warmup * T), T - round(decay * T))
    rate = climb_then(min(t, begin), T, warmup, lambda x: above(min_lr_ratio, half_cosine(x)))
    for _ in range(begin, t):
        rate -= climb_then(begin, T, warmup, lambda x: above(min_lr_ratio, half_cosine(x))) / (T - begin)
    return max(rate, 0.0)


def second_half(t, T, warmup=0.05, min_lr_ratio=0.1):
    """A climb to the middle of a cosine and its second half, which falls as a sine."""
    W = round(warmup * T)
    if t < W:
        return above(min_lr_ratio, 0.5) * t / W
    return above(min_lr_ratio, 0.5 - 0.5 * cos(pi / 2 - pi / 2 * (t - W) / max(1, T - W)))


def ahead(t, T, warmup=0.1, warmup_lr_ratio=0.1, min_lr_ratio=0.05):
    """Two phases, each at its end in its last step; a climb of one step has the first rate alone."""
    W = round(warmup * T)
    if t < W:
        return warmup_lr_ratio if W == 1 else above(warmup_lr_ratio, t / (W - 1))
    return above(min_lr_ratio, half_cosine(min(1.0, (t + 1 - W) / max(1, T - W))))


BY_HAND = {
    94: lambda t, T, warmup=0.05, min_lr_ratio=0.1: climb_then(
        t, T, warmup, lambda x: above(min_lr_ratio, half_cosine(x))
    ),
    95: lambda t, T, warmup=0.05: climb_then(t, T, warmup, lambda x: half_cosine(x) * half_cosine(x)),
    96: lambda t, T, warmup=0.05: climb_then(t, T, warmup, lambda x: cos(pi * x / 2)),  # cos(2x) = 2 cos(x)^2 - 1
    97: lambda t, T, min_lr_ratio=0.01: above(min_lr_ratio, half_cosine(t * t / (T * T))),
    98: lambda t, T, min_lr_ratio=0.01: above(min_lr_ratio, half_cosine(sqrt(t) / sqrt(T))),
    99: lambda t, T, warmup=0.1, decay_end=0.85, min_lr_ratio=0.05: floor_at(t, T, warmup, decay_end, min_lr_ratio, 2),
    100: lambda t, T, warmup=0.05, decay_end=0.6, min_lr_ratio=0.1: floor_at(t, T, warmup, decay_end, min_lr_ratio, 1),
    101: lambda t, T, warmup=0.05: climb_then(t, T, warmup, lambda x: half_cosine(x) - x * half_cosine(x)),
    102: linear_tail,
    103: lambda t, T, warmup=0.05: climb_then(t, T, warmup, lambda x: half_cosine(5 * x)),
    104: lambda t, T, warmup=0.3: climb_then(t, T, warmup, half_cosine),
    105: second_half,
    106: ahead,
}


def by_hand(number, horizon, lr, prm):
    """The rates of all steps that are compared; every one of these schedules stays at the rate of step T."""
    return [lr * BY_HAND[number](min(t, horizon), horizon, **prm) for t in range(seen(horizon))]


def test_every_cosine_from_94_on_is_compared():
    """All of the family that no other file compares are written out here, and have an outside oracle."""
    family = {number for number, variant in variants().items() if variant.family == "cosine" and number > 50}
    assert family == set(BY_HAND) == {*OPTAX, *TRANSFORMERS, *TIMM, 99}


@pytest.mark.parametrize("number", BY_HAND, ids=key)
def test_a_cosine_says_what_its_sentence_says(number):
    """The curve equals the sentence at every horizon and base rate, and stays at the rate of step T."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, by_hand(number, horizon, lr, {}))


@pytest.mark.parametrize("number", BY_HAND, ids=key)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_hyperparameter_does_in_a_cosine_what_its_sentence_says(number, data):
    """The curve equals the sentence for hyperparameters anywhere in their ranges, their ends above all."""
    horizon = data.draw(st.integers(1, 120), label="horizon")
    prm = {
        p.name: data.draw(st.one_of(st.sampled_from([p.low, p.high]), st.floats(p.low, p.high)), label=p.name)
        for p in variants()[number].hyperparameters
    }
    assert_promised(number, horizon, 0.1, by_hand(number, horizon, 0.1, prm), prm)


LANDMARKS = {  # number: rates at some steps of 1000, as one reads them off the sentence
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
def test_a_cosine_passes_its_landmarks(number):
    """The curve has the rates of its sentence where those are plain numbers, and never rises once it falls."""
    assert LANDMARKS.keys() == BY_HAND.keys()
    for step, rate in LANDMARKS[number].items():
        assert curves.rates(variants()[number], step, 1000) == pytest.approx(rate, abs=1e-12)
    rates = curves.rates(variants()[number], np.arange(1001), 1000)
    rises = np.diff(rates) > 1e-12
    first_fall = int(np.argmax(np.diff(rates) < -1e-12))
    if number != 103:
        assert not rises[first_fall:].any()


def test_a_tail_leaves_the_cosine_without_a_jump():
    """A0_102 falls in equal portions over its last 0.15 T, from the rate of the cosine at 0.85 T on."""
    rates = curves.rates(variants()[102], np.arange(1001), 1000)
    assert rates[850] == pytest.approx(0.3 + 0.7 * half_cosine(800 / 950), abs=1e-12)
    assert np.diff(rates[850:]) == pytest.approx(-rates[850] / 150, abs=1e-12)


def test_k_decays_of_two_and_a_half_are_the_plain_cosine_at_other_moments():
    """A0_097 is at step T sqrt(x) where the plain cosine is at step x T, and A0_098 at step x^2 T."""
    late, early = variants()[97], variants()[98]
    steps = np.array([0, 1, 4, 25, 64, 100])
    plain = curves.rates(variants()[7], steps, 100)  # half a cosine to a hundredth
    assert curves.rates(late, 10 * np.sqrt(steps), 100) == pytest.approx(plain, abs=1e-12)
    assert curves.rates(early, steps**2, 10_000) == pytest.approx(plain, abs=1e-12)

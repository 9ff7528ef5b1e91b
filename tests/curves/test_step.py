"""A0_061 to A0_070, the step decays, against timm, optax, fvcore and torch."""

from fractions import Fraction
from math import ceil

import jax
import numpy as np
import optax
import pytest
from fvcore.common import param_scheduler as fv
from timm.scheduler import MultiStepLRScheduler, StepLRScheduler
from torch.optim import lr_scheduler as ls

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


@pytest.fixture(scope="module", autouse=True)
def float64():
    """JAX computes in float64; its default, float32, would hide small differences."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def timm_rates(kind, T, lr, **arguments) -> list[float]:
    """The learning rates of a timm scheduler."""
    return timm_trace(lambda opt, T: kind(opt, **arguments), T, lr, seen(T))


def multistep(*fractions: str, gamma: str):
    """timm's MultiStepLRScheduler with milestones at fractions of the horizon.

    timm applies the decay of milestone m at step m - 1, hence the ``+ 1``.
    """

    def rates(T, lr, gamma=gamma):
        milestones = [whole(fraction, T) + 1 for fraction in fractions]
        return timm_rates(MultiStepLRScheduler, T, lr, decay_t=milestones, decay_rate=float(gamma))

    return rates


def deepseek(T, lr, warmup_fraction="0.05", decay_fraction="0.2"):
    """optax's linear schedule and three constants, joined at the three boundaries."""
    warmup_steps, first = nearest(warmup_fraction, T), nearest(str(1 - Fraction(decay_fraction)), T)
    second = nearest(str(1 - Fraction(decay_fraction) / 2), T)
    stages = [optax.constant_schedule(ratio * lr) for ratio in (1.0, 0.316, 0.1)]
    schedule = optax.join_schedules(
        [optax.linear_schedule(0.0, lr, warmup_steps), *stages], [warmup_steps, first, second]
    )
    return np.asarray(schedule(np.arange(seen(T))))


def efficientnet(T, lr, warmup_fraction="5/350", gamma="0.97"):
    """timm's StepLRScheduler with a fractional interval and ``warmup_prefix=False``.

    Its warm-up increases linearly from warmup_lr_init and would reach the base learning rate at step W; an initial
    value of 1 / (W + 1) gives the catalogue's ``(t + 1) / (W + 1)``.
    """
    warmup_steps = nearest(warmup_fraction, T)
    interval = Fraction("2.4") / 350 * T
    return timm_rates(
        StepLRScheduler,
        T,
        lr,
        decay_t=interval,
        decay_rate=float(gamma),
        warmup_t=warmup_steps,
        warmup_lr_init=lr / (warmup_steps + 1),
        warmup_prefix=False,
    )


def halvings(T, lr, gamma="0.1"):
    """timm's decays at the first steps with at most 1/2, 1/4, 1/8 and 1/16 remaining."""
    steps = [ceil(T * (1 - Fraction(1, 2**k))) for k in (1, 2, 3, 4)]
    return timm_rates(MultiStepLRScheduler, T, lr, decay_t=[step + 1 for step in steps], decay_rate=float(gamma))


def piecewise(T, lr, rebound_ratio="0.6", min_lr_ratio="0.05"):
    """optax's piecewise constant schedule, which takes factors instead of values.

    It keeps one factor per step, so equal boundaries share the product.
    """
    values = [Fraction(value) for value in ("1", "0.3", rebound_ratio, min_lr_ratio)]
    factors: dict[int, Fraction] = {}
    for fraction, before, after in zip(("0.1", "0.5", "0.6"), values, values[1:], strict=False):
        step = whole(fraction, T)
        factors[step] = factors.get(step, Fraction(1)) * after / before
    schedule = optax.piecewise_constant_schedule(lr, {step: float(factor) for step, factor in factors.items()})
    return np.asarray(schedule(np.arange(seen(T))))


def step_decay(T, lr, step_fraction="0.1", gamma="0.5"):
    """timm's StepLRScheduler with a whole number of steps per interval."""
    return timm_rates(StepLRScheduler, T, lr, decay_t=whole(step_fraction, T), decay_rate=float(gamma))


def mobilenetv3(T, lr, gamma="0.973"):
    """timm's StepLRScheduler with a fractional interval: two of 600 epochs."""
    return timm_rates(StepLRScheduler, T, lr, decay_t=Fraction(2, 600) * T, decay_rate=float(gamma))


def stages(T, values) -> list[float]:
    """Each value over its fraction of the horizon, then the last one past the horizon."""
    count = len(values)
    starts = [ceil(Fraction(k * T, count)) for k in range(count + 1)]
    rates = [value for k, value in enumerate(values) for _ in range(starts[k], starts[k + 1])]
    return [*rates, *[values[-1]] * (seen(T) - T)]


def cosine_stages(T, lr, min_lr_ratio="0"):
    """torch's CosineAnnealingLR over eight epochs, one per stage."""
    floor = float(min_lr_ratio) * lr
    return stages(T, trace(lambda opt, T: ls.CosineAnnealingLR(opt, 8, floor), T, lr, 8))


def linear_stages(T, lr, min_lr_ratio="0"):
    """fvcore's linear schedule, sampled at tenths."""
    linear = fv.LinearParamScheduler(lr, float(min_lr_ratio) * lr)
    return stages(T, [linear(k / 10) for k in range(10)])


REFERENCES = {
    61: multistep("0.3", "0.6", "0.8", gamma="0.2"),
    62: deepseek,
    63: efficientnet,
    64: halvings,
    65: piecewise,
    66: step_decay,
    67: multistep("0.5", "0.75", gamma="0.1"),
    68: mobilenetv3,
    69: cosine_stages,
    70: linear_stages,
}


def test_every_step_decay_is_compared():
    """Every variant of the family from 51 on has a reference."""
    assert sorted(REFERENCES) == sorted(v.number for v in variants().values() if v.family == "step" and v.number > 50)


@pytest.mark.parametrize("number", REFERENCES, ids=key)
def test_a_step_decay_equals_its_oracle_also_past_the_horizon(number):
    """The curve equals its reference at each step, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, REFERENCES[number](horizon, lr))


GAMMAS = [{"gamma": gamma} for gamma in ("0", "0.5", "1")]
MINIMA = [{"min_lr_ratio": ratio} for ratio in ("0.25", "0.9", "1")]
OTHER_NUMBERS = [
    *((number, prm) for number in (61, 63, 64, 66, 67, 68) for prm in GAMMAS),
    *(
        (62, prm)
        for prm in (
            {"warmup_fraction": "0"},
            {"warmup_fraction": "0.6"},
            {"decay_fraction": "0.5"},
            {"decay_fraction": "0"},
        )
    ),
    *(
        (62, prm)
        for prm in (
            {"warmup_fraction": "0", "decay_fraction": "1"},
            {"warmup_fraction": "0.25", "decay_fraction": "0.75"},
        )
    ),
    *(
        (63, prm)
        for prm in ({"warmup_fraction": "0"}, {"warmup_fraction": "0.3", "gamma": "0.9"}, {"warmup_fraction": "1"})
    ),
    *(
        (65, prm)
        for prm in ({"rebound_ratio": "0.9"}, {"min_lr_ratio": "0"}, {"rebound_ratio": "0.2", "min_lr_ratio": "1"})
    ),
    *((66, prm) for prm in ({"step_fraction": "0"}, {"step_fraction": "0.3", "gamma": "0.7"}, {"step_fraction": "1"})),
    *((number, prm) for number in (69, 70) for prm in MINIMA),
]


@pytest.mark.parametrize(("number", "prm"), OTHER_NUMBERS, ids=[f"{key(n)}-{prm}" for n, prm in OTHER_NUMBERS])
def test_a_hyperparameter_is_the_argument_of_the_oracle(number, prm):
    """With non-default hyperparameters the curve equals the reference with those arguments."""
    values = {name: float(Fraction(value)) for name, value in prm.items()}
    for horizon in HORIZONS:
        assert_curve(number, horizon, 0.1, REFERENCES[number](horizon, 0.1, **prm), values)


RECIPES = {  # epochs of the publication, and torch's class with the numbers that it names
    61: (200, lambda opt, T: ls.MultiStepLR(opt, [60, 120, 160], 0.2)),
    64: (400, lambda opt, T: ls.MultiStepLR(opt, [200, 300, 350, 375], 0.1)),
    67: (300, lambda opt, T: ls.MultiStepLR(opt, [150, 225], 0.1)),
    68: (600, lambda opt, T: ls.StepLR(opt, 2, 0.973)),
}


@pytest.mark.parametrize("number", RECIPES, ids=key)
def test_a_step_decay_is_the_published_recipe_at_its_original_length(number):
    """Over the original number of epochs the curve has the published milestones."""
    epochs, make = RECIPES[number]
    assert_curve(number, epochs, 0.1, trace(make, epochs, 0.1, seen(epochs)))


def test_the_staircase_of_efficientnet_is_the_published_one():
    """A0_063 has 5 warm-up epochs of 350, then decays by 0.97 every 2.4 epochs."""
    warmup = [0.1 * (epoch + 1) / 6 for epoch in range(5)]
    decay = [0.1 * 0.97 ** (10 * epoch // 24) for epoch in range(5, 350)]
    assert_curve(63, 350, 0.1, warmup + decay)


@pytest.mark.parametrize(("number", "drops"), [(63, 875 / 6), (68, 300)])
@pytest.mark.parametrize("horizon", [10, 90, 1000])
def test_a_fine_staircase_decays_equally_far_in_a_short_training(number, drops, horizon):
    """At T the total decay is the same, also where an interval is shorter than a step."""
    gamma = {63: 0.97, 68: 0.973}[number]
    end = curves.rates(variants()[number], horizon, horizon, 1.0)
    assert end == pytest.approx(gamma ** int(drops), rel=1e-12)


def test_a_warm_up_that_overlaps_the_decay_is_completed_first():
    """A0_062 completes its warm-up and then has the learning rate of the current stage."""
    warmup = [step / 95 for step in range(95)]
    assert_curve(62, 100, 1.0, [*warmup, *[0.1] * 20], {"warmup_fraction": 0.95})
    warmup = [step / 85 for step in range(85)]
    assert_curve(62, 100, 1.0, [*warmup, *[0.316] * 5, *[0.1] * 20], {"warmup_fraction": 0.85})


def test_a_piecewise_constant_learning_rate_can_increase_again():
    """A0_065 is 1, 0.3, 0.6 and 0.05 times lr for one, four, one and four tenths of training, then constant."""
    for tenth in (1, 9, 100):
        rates = [rate for rate, tenths in ((1.0, 1), (0.3, 4), (0.6, 1), (0.05, 9)) for _ in range(tenths * tenth)]
        assert_curve(65, 10 * tenth, 1.0, rates)


@pytest.mark.parametrize("number", [69, 70], ids=key)
def test_a_staircase_to_zero_stays_positive(number):
    """The last stage is one stage above zero and is held past the horizon."""
    last = {69: 0.0380602337443566, 70: 0.1}[number]  # (1 + cos(7 pi / 8)) / 2
    stage_count = {69: 8, 70: 10}[number]
    for horizon in (stage_count, 90, 1000):
        rates = curves.rates(variants()[number], np.arange(seen(horizon)), horizon, 1.0)
        assert len(set(rates)) == stage_count
        assert rates[0] == 1.0
        assert rates[horizon - 1 :] == pytest.approx(held([last], seen(horizon) - horizon + 1), abs=1e-12)


@pytest.mark.parametrize("number", REFERENCES, ids=key)
def test_a_step_decay_is_at_the_base_learning_rate_in_a_training_of_one_step(number):
    """At horizon 1 neither a warm-up nor a decay precedes the only step."""
    assert_curve(number, 1, 0.1, [0.1])


@pytest.mark.parametrize("number", [61, 64, 66, 67, 68, 69, 70], ids=key)
def test_a_step_decay_never_increases(number):
    """Without warm-up and explicit values, the learning rate starts at lr and never increases."""
    rates = curves.rates(variants()[number], np.arange(2500), 1000, 0.1)
    assert rates[0] == 0.1
    assert (np.diff(rates) <= 0).all()

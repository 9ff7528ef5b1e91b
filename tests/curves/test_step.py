"""A0_061 to A0_070: the family's stairs against timm, optax, fvcore and torch."""

from fractions import Fraction
from math import ceil

import jax
import numpy as np
import optax
import pytest
import torch
from fvcore.common import param_scheduler as fv
from timm.scheduler import MultiStepLRScheduler, StepLRScheduler
from torch.optim import lr_scheduler as ls

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


@pytest.fixture(scope="module", autouse=True)
def float64():
    """Jax computes in float32 unless it is told not to, which would hide differences below 1e-7."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def of_timm(kind, T, lr, **arguments) -> list[float]:
    """What one of timm's schedulers says of each step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = kind(optimizer, **arguments)
    return [scheduler._get_lr(t)[0] for t in range(seen(T))]


def drops(*fractions: str, gamma: str):
    """timm's drops at parts of the horizon; its drop m is made at step m - 1, by its own account."""

    def rates(T, lr, gamma=gamma):
        steps = [whole(fraction, T) + 1 for fraction in fractions]
        return of_timm(MultiStepLRScheduler, T, lr, decay_t=steps, decay_rate=float(gamma))

    return rates


def deepseek(T, lr, warmup="0.05", decay="0.2"):
    """optax's line and three constants, joined where the climb ends and the two lower stages begin."""
    climb, first = nearest(warmup, T), nearest(str(1 - Fraction(decay)), T)
    second = nearest(str(1 - Fraction(decay) / 2), T)
    levels = [optax.constant_schedule(level * lr) for level in (1.0, 0.316, 0.1)]
    schedule = optax.join_schedules([optax.linear_schedule(0.0, lr, climb), *levels], [climb, first, second])
    return np.asarray(schedule(np.arange(seen(T))))


def efficientnet(T, lr, warmup="5/350", gamma="0.97"):
    """timm's stairs at exact parts of a step, counted from the start as its warm-up without a prefix does.

    Its line begins at warmup_lr_init and would reach the base rate at step W: one step up of W + 1 at first.
    """
    climb = nearest(warmup, T)
    interval = Fraction("2.4") / 350 * T
    return of_timm(
        StepLRScheduler,
        T,
        lr,
        decay_t=interval,
        decay_rate=float(gamma),
        warmup_t=climb,
        warmup_lr_init=lr / (climb + 1),
        warmup_prefix=False,
    )


def halvings(T, lr, gamma="0.1"):
    """timm's drops at the first whole steps from which on a half, a quarter … remains, and no more."""
    steps = [ceil(T * (1 - Fraction(1, 2**k))) for k in (1, 2, 3, 4)]
    return of_timm(MultiStepLRScheduler, T, lr, decay_t=[step + 1 for step in steps], decay_rate=float(gamma))


def piecewise(T, lr, rebound="0.6", min_lr_ratio="0.05"):
    """optax's factors from one value to the next; it keeps one a step, so equal boundaries share theirs."""
    values = [Fraction(value) for value in ("1", "0.3", rebound, min_lr_ratio)]
    factors: dict[int, Fraction] = {}
    for fraction, before, after in zip(("0.1", "0.5", "0.6"), values, values[1:], strict=False):
        step = whole(fraction, T)
        factors[step] = factors.get(step, Fraction(1)) * after / before
    schedule = optax.piecewise_constant_schedule(lr, {step: float(factor) for step, factor in factors.items()})
    return np.asarray(schedule(np.arange(seen(T))))


def stairs(T, lr, step_fraction="0.1", gamma="0.5"):
    """timm's stairs of whole steps."""
    return of_timm(StepLRScheduler, T, lr, decay_t=whole(step_fraction, T), decay_rate=float(gamma))


def mobilenetv3(T, lr, gamma="0.973"):
    """timm's stairs at exact parts of a step: every other of 600 epochs."""
    return of_timm(StepLRScheduler, T, lr, decay_t=Fraction(2, 600) * T, decay_rate=float(gamma))


def stages(T, values) -> list[float]:
    """Each value from the first whole step on that lies in its share of the horizon; the last one for ever."""
    count = len(values)
    begins = [ceil(Fraction(k * T, count)) for k in range(count + 1)]
    rates = [value for k, value in enumerate(values) for _ in range(begins[k], begins[k + 1])]
    return [*rates, *[values[-1]] * (seen(T) - T)]


def cosine_stages(T, lr, min_lr_ratio="0"):
    """Torch's cosine over eight epochs, one a stage."""
    floor = float(min_lr_ratio) * lr
    return stages(T, trace(lambda opt, T: ls.CosineAnnealingLR(opt, 8, floor), T, lr, 8))


def linear_stages(T, lr, min_lr_ratio="0"):
    """fvcore's line at tenths of its way."""
    line = fv.LinearParamScheduler(lr, float(min_lr_ratio) * lr)
    return stages(T, [line(k / 10) for k in range(10)])


ORACLES = {
    61: drops("0.3", "0.6", "0.8", gamma="0.2"),
    62: deepseek,
    63: efficientnet,
    64: halvings,
    65: piecewise,
    66: stairs,
    67: drops("0.5", "0.75", gamma="0.1"),
    68: mobilenetv3,
    69: cosine_stages,
    70: linear_stages,
}


def test_every_staircase_is_compared():
    """The oracles are those of all variants of the family from 51 on."""
    assert sorted(ORACLES) == sorted(v.number for v in variants().values() if v.family == "step" and v.number > 50)


@pytest.mark.parametrize("number", ORACLES, ids=key)
def test_a_staircase_is_what_its_oracle_does_also_past_the_horizon(number):
    """The curve equals the oracle with the variant's numbers at each step, the ones past the horizon included."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, ORACLES[number](horizon, lr))


GAMMAS = [{"gamma": gamma} for gamma in ("0", "0.5", "1")]
FLOORS = [{"min_lr_ratio": floor} for floor in ("0.25", "0.9", "1")]
OTHER_NUMBERS = [
    *((number, prm) for number in (61, 63, 64, 66, 67, 68) for prm in GAMMAS),
    *((62, prm) for prm in ({"warmup": "0"}, {"warmup": "0.6"}, {"decay": "0.5"}, {"decay": "0"})),
    *((62, prm) for prm in ({"warmup": "0", "decay": "1"}, {"warmup": "0.25", "decay": "0.75"})),
    *((63, prm) for prm in ({"warmup": "0"}, {"warmup": "0.3", "gamma": "0.9"}, {"warmup": "1"})),
    *((65, prm) for prm in ({"rebound": "0.9"}, {"min_lr_ratio": "0"}, {"rebound": "0.2", "min_lr_ratio": "1"})),
    *((66, prm) for prm in ({"step_fraction": "0"}, {"step_fraction": "0.3", "gamma": "0.7"}, {"step_fraction": "1"})),
    *((number, prm) for number in (69, 70) for prm in FLOORS),
]


@pytest.mark.parametrize(("number", "prm"), OTHER_NUMBERS, ids=[f"{key(n)}-{prm}" for n, prm in OTHER_NUMBERS])
def test_a_hyperparameter_is_the_argument_of_the_oracle(number, prm):
    """With other hyperparameters than its defaults, the curve equals the oracle with those arguments."""
    values = {name: float(Fraction(value)) for name, value in prm.items()}
    for horizon in HORIZONS:
        assert_promised(number, horizon, 0.1, ORACLES[number](horizon, 0.1, **prm), values)


RECIPES = {  # epochs of the publication, and torch's class with the numbers that it names
    61: (200, lambda opt, T: ls.MultiStepLR(opt, [60, 120, 160], 0.2)),
    64: (400, lambda opt, T: ls.MultiStepLR(opt, [200, 300, 350, 375], 0.1)),
    67: (300, lambda opt, T: ls.MultiStepLR(opt, [150, 225], 0.1)),
    68: (600, lambda opt, T: ls.StepLR(opt, 2, 0.973)),
}


@pytest.mark.parametrize("number", RECIPES, ids=key)
def test_a_staircase_is_the_published_recipe_at_its_own_length(number):
    """Over as many epochs as the publication trained, the curve has the publication's numbers."""
    epochs, make = RECIPES[number]
    assert_promised(number, epochs, 0.1, trace(make, epochs, 0.1, seen(epochs)))


def test_the_stairs_of_efficientnet_are_the_published_ones():
    """A0_063 climbs for 5 of 350 epochs and has then dropped as often as 2.4 epochs fit into those that are done."""
    climb = [0.1 * (epoch + 1) / 6 for epoch in range(5)]
    decay = [0.1 * 0.97 ** (10 * epoch // 24) for epoch in range(5, 350)]
    assert_promised(63, 350, 0.1, climb + decay)


@pytest.mark.parametrize(("number", "drops"), [(63, 875 / 6), (68, 300)])
@pytest.mark.parametrize("horizon", [10, 90, 1000])
def test_a_fine_staircase_falls_as_far_in_a_short_training(number, drops, horizon):
    """Where an interval is shorter than a step the rate takes several drops at once: at T it has fallen as far."""
    gamma = {63: 0.97, 68: 0.973}[number]
    end = curves.rates(variants()[number], horizon, horizon, 1.0)
    assert end == pytest.approx(gamma ** int(drops), rel=1e-12)


def test_a_climb_longer_than_the_high_stage_ends_in_a_lower_one():
    """A0_062 climbs for as long as it is told to, and takes the level of the moment at which it has done so."""
    climb = [step / 95 for step in range(95)]
    assert_promised(62, 100, 1.0, [*climb, *[0.1] * 20], {"warmup": 0.95})
    climb = [step / 85 for step in range(85)]
    assert_promised(62, 100, 1.0, [*climb, *[0.316] * 5, *[0.1] * 20], {"warmup": 0.85})


def test_piecewise_rates_rise_again():
    """A0_065 goes down, up and down: a tenth at 1, four at 0.3, one at 0.6, and the rest at 0.05."""
    for tenth in (1, 9, 100):
        rates = [rate for rate, tenths in ((1.0, 1), (0.3, 4), (0.6, 1), (0.05, 9)) for _ in range(tenths * tenth)]
        assert_promised(65, 10 * tenth, 1.0, rates)


@pytest.mark.parametrize("number", [69, 70], ids=key)
def test_a_staircase_to_zero_is_above_it_to_the_end(number):
    """The last stage is one step away from the foot, so that the last epochs still learn, and stays past the end."""
    last = {69: 0.0380602337443566, 70: 0.1}[number]  # (1 + cos(7 pi / 8)) / 2
    levels = {69: 8, 70: 10}[number]
    for horizon in (levels, 90, 1000):
        rates = curves.rates(variants()[number], np.arange(seen(horizon)), horizon, 1.0)
        assert len(set(rates)) == levels
        assert rates[0] == 1.0
        assert rates[horizon - 1 :] == pytest.approx(held([last], seen(horizon) - horizon + 1), abs=1e-12)


@pytest.mark.parametrize("number", ORACLES, ids=key)
def test_a_staircase_begins_at_the_base_rate_in_a_run_of_one_step(number):
    """In a training of a single step no drop and no climb comes before it."""
    assert_promised(number, 1, 0.1, [0.1])


@pytest.mark.parametrize("number", [61, 64, 66, 67, 68, 69, 70], ids=key)
def test_a_staircase_only_falls(number):
    """Without a climb and without set values the rate begins at the base rate and never rises."""
    rates = curves.rates(variants()[number], np.arange(2500), 1000, 0.1)
    assert rates[0] == 0.1
    assert (np.diff(rates) <= 0).all()

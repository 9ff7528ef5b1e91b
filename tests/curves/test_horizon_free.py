"""A0_147 to A0_156 against transformers, timm, Megatron-LM, optax and scikit-learn, and written out by hand."""

from math import floor, log, sqrt
from types import SimpleNamespace

import jax
import numpy as np
import optax
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler
from sklearn.linear_model import SGDRegressor
from timm.scheduler import WSDLRScheduler
from transformers import get_constant_schedule_with_warmup, get_inverse_sqrt_schedule

from lrgen import curves
from tests.curves.comparison import BASE_RATES, HORIZONS, assert_curve, key, nearest, seen, trace, variants, whole

LONG = (10, 90, 1000)  # at shorter ones there is no warm-up or no cooldown


@pytest.fixture(scope="module", autouse=True)
def float64():
    """Jax computes in float32 by default, which would hide differences below 1e-7."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize(("prm", "warmup"), [({}, "0.04"), ({"warmup_fraction": 0.3}, "0.3")])
def test_noam_is_the_inverse_square_root_of_transformers_one_step_ahead(prm, warmup):
    """A0_147 at step t is transformers' schedule at t + 1 with its warm-up as the timescale: Noam counts from 1."""
    for horizon in HORIZONS:
        warmup_steps = whole(warmup, horizon)
        for lr in BASE_RATES:
            make = lambda opt, T, W=warmup_steps: get_inverse_sqrt_schedule(opt, W, timescale=W)  # noqa: E731
            assert_curve(147, horizon, lr, trace(make, horizon, lr, seen(horizon) + 1)[1:], prm)


def megatron(horizon, lr, warmup_steps, steps):
    """The learning rates of Megatron-LM's inverse square root schedule at some steps."""
    optimizer = SimpleNamespace(param_groups=[{"params": []}])
    scheduler = OptimizerParamScheduler(
        optimizer,
        init_lr=0.0,
        max_lr=lr,
        min_lr=0.0,
        lr_warmup_steps=warmup_steps,
        lr_decay_steps=10 * seen(horizon),
        lr_decay_style="inverse-square-root",
        start_wd=0.0,
        end_wd=0.0,
        wd_incr_steps=1,
        wd_incr_style="constant",
    )
    rates = []
    for step in steps:
        scheduler.num_steps = step
        rates.append(scheduler.get_lr({"max_lr": lr, "min_lr": 0.0}))
    return rates


@pytest.mark.parametrize("number", [147, 149], ids=key)
def test_an_inverse_square_root_schedule_is_megatrons(number):
    """A0_147 equals Megatron-LM's schedule one step ahead; A0_149 equals its decay after a constant phase."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            if number == 147:
                rates = megatron(horizon, lr, whole("0.04", horizon), range(1, seen(horizon) + 1))
            else:
                flat = whole("0.1", horizon)
                rates = [lr] * flat + megatron(horizon, lr, flat, range(flat, seen(horizon)))
            assert_curve(number, horizon, lr, rates)


@pytest.mark.parametrize(("prm", "flat"), [({}, "0.1"), ({"flat_fraction": 0.3}, "0.3")])
def test_a_constant_phase_precedes_the_inverse_square_root_of_transformers(prm, flat):
    """A0_149 is constant for k steps, then equals transformers' schedule without a warm-up and with timescale k."""
    for horizon in HORIZONS:
        steps = whole(flat, horizon)
        for lr in BASE_RATES:
            make = lambda opt, T, steps=steps: get_inverse_sqrt_schedule(opt, 0, timescale=steps)  # noqa: E731
            tail = trace(make, horizon, lr, seen(horizon) - steps)
            assert_curve(149, horizon, lr, [lr] * steps + tail, prm)


def timm(lr, steps, **arguments):
    """The learning rates of timm's WSD scheduler at some steps."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = WSDLRScheduler(optimizer, **arguments)
    rates = []
    for step in steps:
        scheduler.step(step)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


RSQRT = [
    ({}, "0.05", "0.15", "0.2"),
    ({"warmup_fraction": 0.3, "timescale_fraction": 0.4, "decay_fraction": 0.5}, "0.3", "0.4", "0.5"),
]


@pytest.mark.parametrize(("prm", "warmup", "timescale", "decay"), RSQRT)
def test_inverse_square_root_decay_with_a_cooldown_is_timms(prm, warmup, timescale, decay):
    """A0_148 equals timm's rsqrt with linear decay at each step, including those past the horizon."""
    for horizon in HORIZONS:
        warmup_steps = nearest(warmup, horizon)
        for lr in BASE_RATES:
            rates = timm(
                lr,
                range(seen(horizon)),
                t_initial=horizon - warmup_steps,
                decay_t=whole(decay, horizon),
                stable_fn="rsqrt",
                stable_timescale=whole(timescale, horizon),
                decay_fn="linear",
                warmup_t=warmup_steps,
            )
            assert_curve(148, horizon, lr, rates, prm)


@pytest.mark.parametrize("horizon", LONG)
def test_a_power_law_is_timms_after_transformers_warm_up(horizon):
    """A0_150 is transformers' constant schedule with warm-up, then timm's power law.

    The power law takes over at step 0.3 ** (1 / 0.51) T - 1, where it is 1; timm's time scale is that many steps.
    """
    scale = horizon * 0.3 ** (1 / 0.51)
    for lr in BASE_RATES:
        warmup = lambda opt, T: get_constant_schedule_with_warmup(opt, nearest("0.05", T))  # noqa: E731
        power = timm(
            lr,
            range(seen(horizon)),
            t_initial=100 * horizon,
            decay_t=1,
            stable_fn="power",
            stable_timescale=scale,
            stable_power=0.51,
            warmup_t=scale - 1,  # need not be an integer; earlier steps are not compared
        )
        rates = trace(warmup, horizon, lr, seen(horizon))
        start = floor(scale - 1) + 1
        assert_curve(150, horizon, lr, rates[:start] + power[start:])


@pytest.mark.parametrize("horizon", LONG)
def test_a_power_law_with_a_cooldown_is_timms_and_optaxs(horizon):
    """A0_151 is timm's warm-up and power law up to 0.9 T, then optax's linear schedule to zero."""
    warmup_steps, turn = nearest("0.05", horizon), horizon - nearest("0.1", horizon)
    for lr in BASE_RATES:
        rates = timm(
            lr,
            range(turn + 1),
            t_initial=100 * horizon,
            decay_t=1,
            stable_fn="power",
            stable_timescale=max(1, warmup_steps),
            stable_power=0.51,
            warmup_t=warmup_steps,
        )
        line = optax.linear_schedule(rates.pop(), 0.0, horizon - turn)
        tail = np.asarray(line(np.arange(seen(horizon) - turn, dtype=np.float64)))
        assert tail.dtype == np.float64
        assert_curve(151, horizon, lr, rates + tail.tolist())


@pytest.mark.parametrize("horizon", [20, 90, 1000])
def test_noam_hold_decays_as_transformers_inverse_square_root(horizon):
    """After its hold phase A0_152 is transformers' schedule from the end of the warm-up on."""
    warmup_steps, hold = nearest("0.05", horizon), nearest("0.25", horizon)
    for lr in BASE_RATES:
        make = lambda opt, T: get_inverse_sqrt_schedule(opt, warmup_steps, timescale=warmup_steps)  # noqa: E731
        decay = trace(make, horizon, lr, seen(horizon) - hold)[warmup_steps:]
        start = [lr * (step + 1) / (warmup_steps + 1) for step in range(warmup_steps)]
        assert_curve(152, horizon, lr, [*start, *[lr] * hold, *decay])


@pytest.mark.parametrize(("prm", "low"), [({}, 0.1), ({"min_lr_ratio": 1e-4}, 1e-4)])
def test_an_exponential_range_test_is_optaxs_exponential_schedule(prm, low):
    """A0_154 equals optax's exponential schedule with T - 1 steps to the base learning rate, which bounds it."""
    for horizon in HORIZONS[1:]:  # at horizon 1 optax would divide by no steps
        for lr in BASE_RATES:
            schedule = optax.exponential_decay(low * lr, horizon - 1, 1 / low, end_value=lr)
            rates = np.asarray(schedule(np.arange(seen(horizon), dtype=np.float64)))
            assert rates.dtype == np.float64
            assert_curve(154, horizon, lr, rates, prm)


@pytest.mark.parametrize("horizon", [20, 100, 1000])
def test_a_staircase_range_test_is_joined_optax_constants(horizon):
    """A0_155 equals joined optax constants, equally spaced from a tenth of the base learning rate to all of it."""
    for lr in BASE_RATES:
        levels = [optax.constant_schedule(float(rate)) for rate in np.linspace(0.1 * lr, lr, 20)]
        schedule = optax.join_schedules(levels, [horizon // 20 * level for level in range(1, 20)])
        rates = np.asarray(schedule(np.arange(seen(horizon), dtype=np.float64)))
        assert rates.dtype == np.float64
        assert_curve(155, horizon, lr, rates)


@pytest.mark.parametrize(("prm", "power_t"), [({}, 0.25), ({"power_t": 0.5}, 0.5), ({"power_t": 1.0}, 1.0)])
def test_inverse_scaling_is_scikit_learns(prm, power_t):
    """A0_156 equals the change of SGDRegressor's intercept at each update, measured with an error of 1."""
    for lr in BASE_RATES:
        model = SGDRegressor(penalty=None, learning_rate="invscaling", eta0=lr, power_t=power_t)
        model.partial_fit([[0.0]], [1.0])
        rates = [float(model.intercept_[0])]
        for _ in range(299):
            before = float(model.intercept_[0])
            model.partial_fit([[0.0]], [before + 1])
            rates.append(float(model.intercept_[0]) - before)
        for horizon in (1, 90, 1000):  # it does not depend on the horizon
            assert_curve(156, horizon, lr, rates, prm)


def at_least_one(fraction: float, horizon: int) -> int:
    """A fraction of the horizon in whole steps, at least one."""
    return max(1, round(fraction * horizon))


def reference_147(t, T, warmup_fraction=0.04):
    """The transformer's formula at step_num = t + 1, over its value at step_num = warmup_steps."""
    warmup_steps = at_least_one(warmup_fraction, T)

    def rate(step_num):
        return min(1 / sqrt(step_num), step_num / warmup_steps**1.5)

    return rate(t + 1) / rate(warmup_steps)


def reference_148(t, T, warmup_fraction=0.05, timescale_fraction=0.15, decay_fraction=0.2):
    """Big Vision's factors: warm-up, shifted inverse square root, cooldown."""
    warmup_steps = round(warmup_fraction * T)
    timescale = at_least_one(timescale_fraction, T)
    rate = t / warmup_steps if t < warmup_steps else 1 / sqrt((timescale + t - warmup_steps) / timescale)
    return rate * min(1, (T - t) / at_least_one(decay_fraction, T))


def reference_150(t, T, warmup_fraction=0.05, final_lr_ratio=0.3, exponent=0.51):
    """The paper's ``min(lr_max, a n ** b)`` with negative b; n is the fraction of training after this update."""
    warmup_steps = round(warmup_fraction * T)
    n = (t + 1) / T
    return min(1.0, final_lr_ratio * n**-exponent) * (t / warmup_steps if t < warmup_steps else 1)


def reference_151(t, T, warmup_fraction=0.05, exponent=0.51, decay_fraction=0.1):
    """OLMo-core's three phases; without a warm-up the power law counts from 1."""
    warmup_steps = round(warmup_fraction * T)
    turn = max(warmup_steps, T - round(decay_fraction * T))

    def law(step):
        return (step / warmup_steps) ** -exponent if warmup_steps else (step + 1) ** -exponent

    if t < warmup_steps:
        return t / warmup_steps
    if t < turn:
        return law(t)
    return law(turn) * (T - t) / (T - turn) if turn < T else 0.0


def reference_152(t, T, warmup_fraction=0.05, hold_fraction=0.25, exponent=0.5):
    """NeMo's phases; without a warm-up, which NeMo rejects, the decay counts from 1."""
    warmup_steps, held_steps = round(warmup_fraction * T), round(hold_fraction * T)
    if t < warmup_steps:
        return (t + 1) / (warmup_steps + 1)
    if t < warmup_steps + held_steps:
        return 1.0
    if warmup_steps == 0:
        return 1 / (t - held_steps + 1) ** exponent
    return warmup_steps**exponent / (t - held_steps) ** exponent


def reference_153(t, T, warmup_fraction=0.05, lr_batches_fraction=0.25, lr_epochs_fraction=0.2):
    """The formula of icefall's docstring, for 20 epochs."""
    batch, epoch = t, 0
    while 20 * t >= (epoch + 1) * T:
        epoch += 1
    batch_scale, epoch_scale = lr_batches_fraction * T, 20 * lr_epochs_fraction
    warmup_steps = round(warmup_fraction * T)
    factor = ((batch**2 + batch_scale**2) / batch_scale**2) ** -0.25
    factor *= ((epoch**2 + epoch_scale**2) / epoch_scale**2) ** -0.25
    return factor * (1.0 if batch >= warmup_steps else 0.5 + (1.0 - 0.5) * (batch / warmup_steps))


def reference_154(t, T, min_lr_ratio=0.1):
    """Equal steps in the logarithm."""
    last = max(1, T - 1)
    return 10 ** (log(min_lr_ratio, 10) * (last - min(t, last)) / last)


def reference_155(t, T, min_lr_ratio=0.1):
    """DeepSpeed's ``min_lr (1 + step_rate floor(t / step_size))`` for any horizon, up to the last level."""
    level = 0
    while level < 19 and 20 * t >= (level + 1) * T:
        level += 1
    return min_lr_ratio + level * (1 - min_lr_ratio) / 19


REFERENCES = {
    147: reference_147,
    148: reference_148,
    149: lambda t, T, flat_fraction=0.1: sqrt(at_least_one(flat_fraction, T) / max(t, at_least_one(flat_fraction, T))),
    150: reference_150,
    151: reference_151,
    152: reference_152,
    153: reference_153,
    154: reference_154,
    155: reference_155,
    156: lambda t, T, power_t=0.25: 1 / (t + 1) ** power_t,
}
HELD = {148, 151, 154, 155}


def reference(number, horizon, lr, prm):
    """The learning rates at all compared steps."""
    steps = [min(t, horizon) if number in HELD else t for t in range(seen(horizon))]
    return [lr * REFERENCES[number](t, horizon, **prm) for t in steps]


def test_every_schedule_of_the_family_is_compared():
    """Each horizon-free variant above A0_050 is written out here."""
    numbers = [number for number, variant in variants().items() if variant.family == "horizon_free" and number > 50]
    assert sorted(REFERENCES) == numbers


@pytest.mark.parametrize("number", REFERENCES, ids=key)
def test_a_curve_equals_the_formula_of_its_source(number):
    """The curve equals the formula written out by hand at every horizon and base learning rate, also past the end."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, reference(number, horizon, lr, {}))


@pytest.mark.parametrize("number", REFERENCES, ids=key)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_curve_equals_its_formula_for_any_hyperparameters(number, data):
    """The curve equals the formula for any hyperparameters in their ranges."""
    horizon = data.draw(st.integers(1, 120), label="horizon")
    prm = {p.name: data.draw(st.floats(p.low, p.high), label=p.name) for p in variants()[number].hyperparameters}
    assert_curve(number, horizon, 0.1, reference(number, horizon, 0.1, prm), prm)


POINTS = {  # step at horizon 1000: ratio to the base learning rate
    147: {0: 1 / 40, 39: 1.0, 159: 0.5, 999: 0.2, 3999: 0.1},
    148: {0: 0.0, 25: 0.5, 50: 1.0, 500: 0.5, 800: sqrt(1 / 6), 1000: 0.0, 2000: 0.0},
    149: {0: 1.0, 100: 1.0, 400: 0.5, 10_000: 0.1},
    150: {0: 0.0, 25: 0.5, 50: 1.0, 90: 1.0, 999: 0.3, 99_999: 0.3 * 100**-0.51},
    151: {0: 0.0, 25: 0.5, 50: 1.0, 500: 10**-0.51, 900: 18**-0.51, 950: 18**-0.51 / 2, 1000: 0.0, 2000: 0.0},
    152: {0: 1 / 51, 50: 1.0, 300: 1.0, 450: 0.5, 1500: 0.2},
    153: {0: 0.5, 75: (1.09 * 17 / 16) ** -0.25, 250: (2 * 41 / 16) ** -0.25, 1000: (17 * 26) ** -0.25},
    154: {0: 0.1, 333: 10 ** (-2 / 3), 999: 1.0, 2000: 1.0},
    155: {0: 0.1, 49: 0.1, 50: 0.1 + 0.9 / 19, 949: 0.1 + 0.9 * 18 / 19, 950: 1.0, 2000: 1.0},
    156: {0: 1.0, 15: 0.5, 9999: 0.1},
}


@pytest.mark.parametrize("number", POINTS, ids=key)
def test_a_curve_passes_through_known_points(number):
    """At horizon 1000 a curve passes through points computed by hand."""
    rates = curves.rates(variants()[number], list(POINTS[number]), 1000)
    assert rates.tolist() == pytest.approx(list(POINTS[number].values()), abs=1e-12)

"""A0_166 to A0_171 against torch, timm, pytorch_optimizer, optax and scipy, with any hyperparameters."""

from functools import partial
from math import cos, pi

import jax
import numpy as np
import optax
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_optimizer.lr_scheduler.chebyshev import get_chebyshev_perm_steps
from scipy.interpolate import PchipInterpolator
from timm.scheduler import CosineLRScheduler
from torch.optim import lr_scheduler as ls
from torch.optim.swa_utils import SWALR

from lrgen import curves
from tests.curves.comparison import (
    BASE_RATES,
    HORIZONS,
    assert_curve,
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
    """Jax computes in float32 by default, which would hide differences below 1e-7."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def drawn(data, number):
    """Hyperparameters anywhere in their ranges, often at the bounds."""
    return {
        p.name: data.draw(st.one_of(st.sampled_from([p.low, p.high]), st.floats(p.low, p.high)), label=p.name)
        for p in variants()[number].hyperparameters
    }


anything = settings(max_examples=60, deadline=None, derandomize=True, database=None)
FRACTAL = (1, 16, 8, 9, 4, 13, 5, 12, 2, 15, 7, 10, 3, 14, 6, 11)  # as in the paper, counted from 1


def test_chebyshev_steps_are_pytorch_optimizers():
    """A0_166 takes the 16 steps of pytorch_optimizer in their order, scaled to a maximum of lr.

    Its scheduler lags by two epochs and multiplies the learning rate by up to 17.
    """
    steps = get_chebyshev_perm_steps(16)
    for horizon in HORIZONS:
        indices = [min(16 * step // horizon, 15) for step in range(seen(horizon))]
        for lr in BASE_RATES:
            assert_curve(166, horizon, lr, lr * steps[indices] / steps.max())


@anything
@given(data=st.data())
def test_the_fractal_order_is_the_papers_for_any_curvature_ratio(data):
    """A0_166 takes the reciprocals of the Chebyshev nodes in the order that the paper prints."""
    horizon, prm = data.draw(st.integers(1, 200)), drawn(data, 166)
    low = prm["min_curvature_ratio"]
    node = [(1 + low) / 2 - (1 - low) / 2 * cos(pi * (2 * k - 1) / 32) for k in range(17)]  # from 1
    rates = [node[1] / node[FRACTAL[min(16 * t // horizon, 15)]] for t in range(seen(horizon))]
    assert_curve(166, horizon, 1.0, rates, prm)


def test_large_and_small_chebyshev_steps_compensate():
    """The largest step of A0_166 comes first and the smallest next; each pair has the same sum of reciprocals."""
    rates = curves.rates(variants()[166], range(16), 16)
    assert rates[0] == rates.max() == 1
    assert rates[1] == rates.min()
    pairs = 1 / rates[::2] + 1 / rates[1::2]
    assert pairs == pytest.approx([pairs[0]] * 8, rel=1e-12)


def noisy_timm(horizon, lr, start=0.5, ratio=0.67):
    """Timm's cosine with uniform noise, which only the base class of its schedulers can select."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    window = (start * horizon, 0.9 * horizon)  # as in timm's factory
    scheduler = CosineLRScheduler(optimizer, horizon, noise_range_t=window, noise_pct=ratio, noise_seed=42)
    scheduler.noise_type = "uniform"
    rates = []
    for step in range(seen(horizon)):
        scheduler.step(step)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@pytest.mark.parametrize(
    "prm", [{}, {"noise_start_fraction": 0.7}, {"noise_start_fraction": 0.55, "noise_ratio": 0.2}], ids=str
)
def test_the_noise_is_timms(prm):
    """A0_167 equals timm's cosine with the same noise in the same window, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = noisy_timm(horizon, lr, prm.get("noise_start_fraction", 0.5), prm.get("noise_ratio", 0.67))
            assert_curve(167, horizon, lr, rates, prm)


@anything
@given(data=st.data())
def test_the_noise_is_torchs_first_sample_with_the_seed(data):
    """A0_167 is cosine decay with torch's first sample for the seed 42 plus the epoch, and is within [0, lr]."""
    horizon, prm = data.draw(st.integers(1, 150)), drawn(data, 167)
    rates = []
    for t in range(horizon + 1):
        rate = (1 + cos(pi * t / horizon)) / 2
        if prm["noise_start_fraction"] * horizon <= t < 0.9 * horizon:
            sample = torch.rand(1, generator=torch.Generator().manual_seed(42 + t)).item()
            rate *= 1 - prm["noise_ratio"] + 2 * prm["noise_ratio"] * sample
        rates.append(rate)
    assert 0 <= min(rates) <= max(rates) <= 1
    assert_curve(167, horizon, 1.0, held(rates, seen(horizon)), prm)


def test_the_noise_is_uniform_within_its_window():
    """Outside its window A0_167 is cosine decay; within it, each twentieth of the noise range has enough samples."""
    steps = np.arange(1000)
    cosine = (1 + np.cos(np.pi * steps / 1000)) / 2
    noise = curves.rates(variants()[167], steps, 1000) / cosine - 1
    assert np.abs(noise[[*range(500), *range(900, 1000)]]).max() < 1e-9
    counts, _ = np.histogram(noise[500:900], bins=20, range=(-0.67, 0.67))
    assert counts.sum() == 400
    assert counts.min() > 5


def chain(optimizer, horizon, warmup, final):
    """Torch's chain of a linear and an exponential schedule, whose product it is as both are recursive."""
    linear = ls.LinearLR(optimizer, 0.1, 1.0, whole(warmup, horizon))
    return ls.ChainedScheduler([linear, ls.ExponentialLR(optimizer, final ** (1 / horizon))], optimizer)


@pytest.mark.parametrize(("warmup", "final"), [("0.2", 0.02), ("0.6", 0.5), ("0", 0.001)])
def test_a_product_is_torchs_chain_also_past_the_horizon(warmup, final):
    """A0_168 equals torch's chain of a linear and an exponential schedule, also past the horizon."""
    prm = {"warmup_fraction": float(warmup), "final_lr_ratio": final}
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = trace(partial(chain, warmup=warmup, final=final), horizon, lr, seen(horizon))
            assert_curve(168, horizon, lr, rates, prm)


def test_a_product_is_optaxs():
    """With its defaults A0_168 equals optax's linear schedule times optax's exponential decay."""
    for horizon in (1, 7, 90):
        warmup = optax.linear_schedule(0.1, 1.0, whole("0.2", horizon))
        decay = optax.exponential_decay(1.0, horizon, 0.02)
        steps = jax.numpy.arange(seen(horizon))
        assert_curve(168, horizon, 0.1, np.asarray(0.1 * warmup(steps) * decay(steps)))


@anything
@given(data=st.data())
def test_a_product_equals_its_formula_for_any_hyperparameters(data):
    """A0_168 is the warm-up times the exponential for any hyperparameters in their ranges."""
    horizon, prm = data.draw(st.integers(1, 120)), drawn(data, 168)
    W = max(1, round(prm["warmup_fraction"] * horizon))
    rates = [(1 - 0.9 * max(0, W - t) / W) * prm["final_lr_ratio"] ** (t / horizon) for t in range(seen(horizon))]
    assert_curve(168, horizon, 1.0, rates, prm)


def boundaries(horizon, warmup="0.1", milestone="0.3"):
    """The first steps of the second, third and fourth phase."""
    first = whole(warmup, horizon)
    second = max(first, nearest(milestone, horizon))
    return first, second, max(second, nearest("0.6", horizon))


FOUR = [("0.1", "0.3", 0.3), ("0.25", "0.3", 0.7), ("0.5", "0.2", 0.1), ("0.1", "0.9", 0.5), ("0", "0.55", 1.0)]


@pytest.mark.parametrize(("warmup", "milestone", "gamma"), FOUR)
def test_four_phases_are_torchs_classes_in_sequence(warmup, milestone, gamma):
    """A0_169 is torch's linear warm-up, a constant, a reduced constant and torch's cosine from the reduced value."""
    prm = {"warmup_fraction": float(warmup), "milestone_fraction": float(milestone), "gamma": gamma}
    for horizon in HORIZONS:
        first, second, third = boundaries(horizon, warmup, milestone)
        for lr in BASE_RATES:
            rates = trace(lambda opt, T, W=first: ls.LinearLR(opt, 0.1, 1.0, W), horizon, lr, second)
            rates += [gamma * lr] * (third - second)
            rest = horizon - third
            cosine = partial(ls.CosineAnnealingLR, T_max=max(1, rest))
            rates += trace(lambda opt, T, cosine=cosine: cosine(opt), horizon, gamma * lr, rest + 1)
            assert_curve(169, horizon, lr, held(rates, seen(horizon)), prm)


def test_four_phases_are_joined_optax_schedules():
    """With its defaults A0_169 equals optax's linear, two constant and cosine schedules, joined at the same steps."""
    for horizon in (10, 90, 1000):
        first, second, third = boundaries(horizon)
        joined = optax.join_schedules(
            [
                optax.linear_schedule(0.1, 1.0, first),
                optax.constant_schedule(1.0),
                optax.constant_schedule(0.3),
                optax.cosine_decay_schedule(0.3, horizon - third),
            ],
            [first, second, third],
        )
        rates = joined(jax.numpy.arange(seen(horizon)))
        for lr in BASE_RATES:
            assert_curve(169, horizon, lr, lr * np.asarray(rates))


@anything
@given(data=st.data())
def test_four_phases_equal_their_formula_for_any_hyperparameters(data):
    """A0_169 equals its formula for any hyperparameters in their ranges."""
    horizon, prm = data.draw(st.integers(1, 120)), drawn(data, 169)
    warmup_steps = max(1, round(prm["warmup_fraction"] * horizon))
    milestone = max(warmup_steps, round(prm["milestone_fraction"] * horizon))
    start = max(milestone, round(0.6 * horizon))

    def rate(t):
        if t < milestone:
            return 1 - 0.9 * max(0, warmup_steps - t) / warmup_steps
        if t <= start:
            return prm["gamma"]
        return prm["gamma"] * (1 + cos(pi * (t - start) / (horizon - start))) / 2

    assert_curve(169, horizon, 1.0, [rate(min(t, horizon)) for t in range(seen(horizon))], prm)


def test_torchs_cosine_does_not_start_at_the_reduced_value():
    """Within a sequence torch's cosine starts from the base learning rate, whatever the previous value."""

    def sequence(optimizer, horizon):
        parts = [ls.ConstantLR(optimizer, 0.3, 100), ls.CosineAnnealingLR(optimizer, 5)]
        return ls.SequentialLR(optimizer, parts, [3])

    assert trace(sequence, 8, 1.0, 4) == pytest.approx([0.3, 0.3, 0.3, 1.0])


ANNEALED = [
    ({}, "0.75", 0.5),
    ({"anneal_start_fraction": 0.3, "final_lr_ratio": 0.9}, "0.3", 0.9),
    ({"final_lr_ratio": 0.0}, "0.75", 0.0),
]


@pytest.mark.parametrize(("prm", "start_fraction", "final_lr_ratio"), ANNEALED, ids=[str(prm) for prm, *_ in ANNEALED])
def test_annealing_to_a_constant_is_torchs_cosine_then_its_swalr(prm, start_fraction, final_lr_ratio):
    """A0_170 is torch's cosine up to the start, then torch's SWALR over 0.05 T from the value reached there.

    The annealing ends at the horizon at the latest, which matters at horizon 1.
    """
    for horizon in HORIZONS:
        length = whole("0.05", horizon)
        start = min(whole(start_fraction, horizon), horizon - length)
        for lr in BASE_RATES:
            rates = trace(ls.CosineAnnealingLR, horizon, lr, start + 1)
            swalr = partial(SWALR, swa_lr=final_lr_ratio * lr, anneal_epochs=length, anneal_strategy="cos")
            tail = trace(lambda opt, T, swalr=swalr: swalr(opt), horizon, rates.pop(), seen(horizon) - start)
            assert_curve(170, horizon, lr, rates + tail, prm)


@anything
@given(data=st.data())
def test_annealing_to_a_constant_equals_its_formula_for_any_hyperparameters(data):
    """A0_170 equals its formula for any hyperparameters in their ranges."""
    horizon, prm = data.draw(st.integers(1, 120)), drawn(data, 170)
    length = max(1, round(0.05 * horizon))
    start = min(max(1, round(prm["anneal_start_fraction"] * horizon)), horizon - length)
    rates = []
    for t in range(seen(horizon)):
        cosine = (1 + cos(pi * min(t, start) / horizon)) / 2
        weight = (1 - cos(pi * min(1, max(0, t - start) / length))) / 2
        rates.append((1 - weight) * cosine + weight * prm["final_lr_ratio"])
    assert_curve(170, horizon, 1.0, rates, prm)


def of_scipy(horizon, warmup_fraction=0.05, first_knot_ratio=0.7, second_knot_ratio=0.2):
    """A linear warm-up and scipy's monotone interpolant, constant after its end."""
    warmup_steps = round(warmup_fraction * horizon)
    decay = PchipInterpolator([0, 0.4, 0.75, 1], [1, first_knot_ratio, second_knot_ratio * first_knot_ratio, 0])
    steps = np.minimum(np.arange(seen(horizon)), horizon)
    rates = decay(np.maximum(steps - warmup_steps, 0) / max(1, horizon - warmup_steps))
    return [t / warmup_steps if t < warmup_steps else rate for t, rate in zip(steps, rates, strict=True)]


def test_a_spline_is_scipys():
    """A0_171 is a warm-up and scipy's monotone interpolant through its knots, constant past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(171, horizon, lr, lr * np.array(of_scipy(horizon)))


@anything
@given(data=st.data())
def test_a_spline_is_scipys_for_any_hyperparameters(data):
    """A0_171 is scipy's interpolant, also where values coincide, and never increases after the warm-up."""
    horizon, prm = data.draw(st.integers(1, 120)), drawn(data, 171)
    assert_curve(171, horizon, 1.0, of_scipy(horizon, **prm), prm)
    steps = np.arange(round(prm["warmup_fraction"] * horizon), horizon + 1)
    assert (np.diff(curves.rates(variants()[171], steps, horizon, 1.0, prm)) <= 1e-12).all()


def test_a_spline_passes_through_its_knots():
    """At horizon 2000 A0_171 has its four values at the ends and at 40% and 75% of the decay."""
    rates = curves.rates(variants()[171], [0, 50, 100, 860, 1525, 2000, 3000], 2000)
    assert rates == pytest.approx([0, 0.5, 1, 0.7, 0.14, 0, 0], abs=1e-12)


TESTED = {
    166: test_chebyshev_steps_are_pytorch_optimizers,
    167: test_the_noise_is_timms,
    168: test_a_product_is_torchs_chain_also_past_the_horizon,
    169: test_four_phases_are_torchs_classes_in_sequence,
    170: test_annealing_to_a_constant_is_torchs_cosine_then_its_swalr,
    171: test_a_spline_is_scipys,
}


@pytest.mark.parametrize("number", range(166, 172), ids=key)
def test_every_composition_is_compared(number):
    """Each of these variants is in the catalogue and compared with another library."""
    assert variants()[number].family == "composed"
    assert number in TESTED

"""A0_166 to A0_171 against torch, timm, pytorch_optimizer, optax and scipy, and with other hyperparameters."""

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


def drawn(data, number):
    """Hyperparameters anywhere in their ranges, the ends more often than not."""
    return {
        p.name: data.draw(st.one_of(st.sampled_from([p.low, p.high]), st.floats(p.low, p.high)), label=p.name)
        for p in variants()[number].hyperparameters
    }


anything = settings(max_examples=60, deadline=None, derandomize=True, database=None)
FRACTAL = (1, 16, 8, 9, 4, 13, 5, 12, 2, 15, 7, 10, 3, 14, 6, 11)  # written out as in the paper, from 1


def test_the_chebyshev_steps_are_those_of_pytorch_optimizer():
    """A0_166 takes the sixteen steps of pytorch_optimizer in their order, over the longest, to its end and beyond.

    Its scheduler would take the step of two epochs ago and multiply the rate by up to 17.
    """
    steps = get_chebyshev_perm_steps(16)
    for horizon in HORIZONS:
        parts = [min(16 * step // horizon, 15) for step in range(seen(horizon))]
        for lr in BASE_RATES:
            assert_promised(166, horizon, lr, lr * steps[parts] / steps.max())


@anything
@given(data=st.data())
def test_the_fractal_order_is_the_papers_for_any_curvatures(data):
    """A0_166 walks through the inverse nodes of the interval in the order that the paper prints."""
    horizon, prm = data.draw(st.integers(1, 200)), drawn(data, 166)
    low = prm["smallest_curvature"]
    node = [(1 + low) / 2 - (1 - low) / 2 * cos(pi * (2 * k - 1) / 32) for k in range(17)]  # from 1
    rates = [node[1] / node[FRACTAL[min(16 * t // horizon, 15)]] for t in range(seen(horizon))]
    assert_promised(166, horizon, 1.0, rates, prm)


def test_long_and_short_chebyshev_steps_make_up_for_each_other():
    """The longest step of A0_166 comes first and the shortest next, each pair has the same sum of inverses."""
    rates = curves.rates(variants()[166], range(16), 16)
    assert rates[0] == rates.max() == 1
    assert rates[1] == rates.min()
    pairs = 1 / rates[::2] + 1 / rates[1::2]
    assert pairs == pytest.approx([pairs[0]] * 8, rel=1e-12)


def noisy_timm(horizon, lr, start=0.5, percent=0.67):
    """Timm's cosine with its uniform noise, a type that only the base class of its schedulers can be told."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    window = (start * horizon, 0.9 * horizon)  # as timm's factory makes it of fractions
    scheduler = CosineLRScheduler(optimizer, horizon, noise_range_t=window, noise_pct=percent, noise_seed=42)
    scheduler.noise_type = "uniform"
    rates = []
    for step in range(seen(horizon)):
        scheduler.step(step)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@pytest.mark.parametrize("prm", [{}, {"noise_start": 0.7}, {"noise_start": 0.55, "noise_pct": 0.2}], ids=str)
def test_the_noise_is_timms(prm):
    """A0_167 equals timm's cosine with the same noise in the same window, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = noisy_timm(horizon, lr, prm.get("noise_start", 0.5), prm.get("noise_pct", 0.67))
            assert_promised(167, horizon, lr, rates, prm)


@anything
@given(data=st.data())
def test_the_noise_is_what_torch_draws_after_the_seed(data):
    """A0_167 is a half cosine, off by what torch draws first after 42 and the epoch, and never above the base rate."""
    horizon, prm = data.draw(st.integers(1, 150)), drawn(data, 167)
    rates = []
    for t in range(horizon + 1):
        rate = (1 + cos(pi * t / horizon)) / 2
        if prm["noise_start"] * horizon <= t < 0.9 * horizon:
            torch_draws = torch.rand(1, generator=torch.Generator().manual_seed(42 + t)).item()
            rate *= 1 - prm["noise_pct"] + 2 * prm["noise_pct"] * torch_draws
        rates.append(rate)
    assert 0 <= min(rates) <= max(rates) <= 1
    assert_promised(167, horizon, 1.0, held(rates, seen(horizon)), prm)


def test_the_noise_keeps_to_its_window_and_fills_it():
    """Outside of its window A0_167 is a half cosine; within, every twentieth of the range is about as frequent."""
    steps = np.arange(1000)
    cosine = (1 + np.cos(np.pi * steps / 1000)) / 2
    noise = curves.rates(variants()[167], steps, 1000) / cosine - 1
    assert np.abs(noise[[*range(500), *range(900, 1000)]]).max() < 1e-9
    counts, _ = np.histogram(noise[500:900], bins=20, range=(-0.67, 0.67))
    assert counts.sum() == 400
    assert counts.min() > 5


def chain(optimizer, horizon, warmup, final):
    """Torch's chain is the product because both members are recurrent."""
    climb = ls.LinearLR(optimizer, 0.1, 1.0, whole(warmup, horizon))
    return ls.ChainedScheduler([climb, ls.ExponentialLR(optimizer, final ** (1 / horizon))], optimizer)


@pytest.mark.parametrize(("warmup", "final"), [("0.2", 0.02), ("0.6", 0.5), ("0", 0.001)])
def test_a_product_is_torchs_chain_also_past_the_horizon(warmup, final):
    """A0_168 equals torch's chain of a linear and an exponential schedule, the steps past the horizon included."""
    prm = {"warmup": float(warmup), "final_ratio": final}
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = trace(partial(chain, warmup=warmup, final=final), horizon, lr, seen(horizon))
            assert_promised(168, horizon, lr, rates, prm)


def test_a_product_is_that_of_optax():
    """With its defaults A0_168 equals optax's line times optax's exponential decay."""
    for horizon in (1, 7, 90):
        line = optax.linear_schedule(0.1, 1.0, whole("0.2", horizon))
        decay = optax.exponential_decay(1.0, horizon, 0.02)
        steps = jax.numpy.arange(seen(horizon))
        assert_promised(168, horizon, 0.1, np.asarray(0.1 * line(steps) * decay(steps)))


@anything
@given(data=st.data())
def test_a_product_is_two_factors(data):
    """A0_168 is the climb times the exponential for hyperparameters anywhere in their ranges."""
    horizon, prm = data.draw(st.integers(1, 120)), drawn(data, 168)
    climb = max(1, round(prm["warmup"] * horizon))
    rates = [(1 - 0.9 * max(0, climb - t) / climb) * prm["final_ratio"] ** (t / horizon) for t in range(seen(horizon))]
    assert_promised(168, horizon, 1.0, rates, prm)


def turns(horizon, warmup="0.1", drop="0.3"):
    """Where the second, the third and the fourth part begin."""
    first = whole(warmup, horizon)
    second = max(first, nearest(drop, horizon))
    return first, second, max(second, nearest("0.6", horizon))


FOUR = [("0.1", "0.3", 0.3), ("0.25", "0.3", 0.7), ("0.5", "0.2", 0.1), ("0.1", "0.9", 0.5), ("0", "0.55", 1.0)]


@pytest.mark.parametrize(("warmup", "drop", "gamma"), FOUR)
def test_four_parts_are_torchs_classes_one_after_the_other(warmup, drop, gamma):
    """A0_169 is torch's line, nothing, torch's drop, and torch's cosine that begins at the lowered rate."""
    prm = {"warmup": float(warmup), "drop_at": float(drop), "gamma": gamma}
    for horizon in HORIZONS:
        first, second, third = turns(horizon, warmup, drop)
        for lr in BASE_RATES:
            rates = trace(lambda opt, T, W=first: ls.LinearLR(opt, 0.1, 1.0, W), horizon, lr, second)
            rates += [gamma * lr] * (third - second)
            rest = horizon - third
            cosine = partial(ls.CosineAnnealingLR, T_max=max(1, rest))
            rates += trace(lambda opt, T, cosine=cosine: cosine(opt), horizon, gamma * lr, rest + 1)
            assert_promised(169, horizon, lr, held(rates, seen(horizon)), prm)


def test_four_parts_are_optax_schedules_joined():
    """With its defaults A0_169 equals optax's line, two constants and cosine, joined at the same steps."""
    for horizon in (10, 90, 1000):
        first, second, third = turns(horizon)
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
            assert_promised(169, horizon, lr, lr * np.asarray(rates))


@anything
@given(data=st.data())
def test_four_parts_follow_their_sentence(data):
    """A0_169 is what its formula says for hyperparameters anywhere in their ranges."""
    horizon, prm = data.draw(st.integers(1, 120)), drawn(data, 169)
    climb = max(1, round(prm["warmup"] * horizon))
    hold = max(climb, round(prm["drop_at"] * horizon))
    start = max(hold, round(0.6 * horizon))

    def rate(t):
        if t < hold:
            return 1 - 0.9 * max(0, climb - t) / climb
        if t <= start:
            return prm["gamma"]
        return prm["gamma"] * (1 + cos(pi * (t - start) / (horizon - start))) / 2

    assert_promised(169, horizon, 1.0, [rate(min(t, horizon)) for t in range(seen(horizon))], prm)


def test_torchs_cosine_would_not_begin_at_the_lowered_rate():
    """As a later part of a sequence torch's cosine begins at the base rate, whatever the rate before it was."""

    def sequence(optimizer, horizon):
        parts = [ls.ConstantLR(optimizer, 0.3, 100), ls.CosineAnnealingLR(optimizer, 5)]
        return ls.SequentialLR(optimizer, parts, [3])

    assert trace(sequence, 8, 1.0, 4) == pytest.approx([0.3, 0.3, 0.3, 1.0])


SWA = [({}, "0.75", 0.5), ({"swa_start": 0.3, "swa_ratio": 0.9}, "0.3", 0.9), ({"swa_ratio": 0.0}, "0.75", 0.0)]


@pytest.mark.parametrize(("prm", "begin", "end"), SWA, ids=[str(prm) for prm, *_ in SWA])
def test_an_swa_curve_is_torchs_cosine_and_then_its_swalr(prm, begin, end):
    """A0_170 is torch's cosine up to the begin, then torch's SWALR over 0.05 T from the rate reached there.

    At horizon 1 that step would end past the horizon: the anneal begins so early that it ends with it.
    """
    for horizon in HORIZONS:
        length = whole("0.05", horizon)
        start = min(whole(begin, horizon), horizon - length)
        for lr in BASE_RATES:
            rates = trace(ls.CosineAnnealingLR, horizon, lr, start + 1)
            swalr = partial(SWALR, swa_lr=end * lr, anneal_epochs=length, anneal_strategy="cos")
            tail = trace(lambda opt, T, swalr=swalr: swalr(opt), horizon, rates.pop(), seen(horizon) - start)
            assert_promised(170, horizon, lr, rates + tail, prm)


@anything
@given(data=st.data())
def test_an_swa_curve_goes_back_up_to_its_constant_rate(data):
    """A0_170 is what its formula says for hyperparameters anywhere in their ranges."""
    horizon, prm = data.draw(st.integers(1, 120)), drawn(data, 170)
    length = max(1, round(0.05 * horizon))
    start = min(max(1, round(prm["swa_start"] * horizon)), horizon - length)
    rates = []
    for t in range(seen(horizon)):
        cosine = (1 + cos(pi * min(t, start) / horizon)) / 2
        share = (1 - cos(pi * min(1, max(0, t - start) / length))) / 2
        rates.append((1 - share) * cosine + share * prm["swa_ratio"])
    assert_promised(170, horizon, 1.0, rates, prm)


def of_scipy(horizon, warmup=0.05, first_level=0.7, second_level=0.2):
    """A climb and scipy's monotone interpolant, held past its end."""
    climb = round(warmup * horizon)
    decay = PchipInterpolator([0, 0.4, 0.75, 1], [1, first_level, second_level * first_level, 0])
    steps = np.minimum(np.arange(seen(horizon)), horizon)
    rates = decay(np.maximum(steps - climb, 0) / max(1, horizon - climb))
    return [t / climb if t < climb else rate for t, rate in zip(steps, rates, strict=True)]


def test_a_spline_is_scipys():
    """A0_171 is a climb and scipy's monotone interpolant through its levels, held past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(171, horizon, lr, lr * np.array(of_scipy(horizon)))


@anything
@given(data=st.data())
def test_a_spline_is_scipys_through_any_levels(data):
    """A0_171 is scipy's interpolant also where levels coincide, and it never rises after the climb."""
    horizon, prm = data.draw(st.integers(1, 120)), drawn(data, 171)
    assert_promised(171, horizon, 1.0, of_scipy(horizon, **prm), prm)
    fall = curves.rates(variants()[171], np.arange(round(prm["warmup"] * horizon), horizon + 1), horizon, 1.0, prm)
    assert (np.diff(fall) <= 1e-12).all()


def test_a_spline_goes_through_its_knots():
    """At horizon 2000 A0_171 is at its four levels at the ends and at two and three quarter parts of the descent."""
    rates = curves.rates(variants()[171], [0, 50, 100, 860, 1525, 2000, 3000], 2000)
    assert rates == pytest.approx([0, 0.5, 1, 0.7, 0.14, 0, 0], abs=1e-12)


TESTED = {
    166: test_the_chebyshev_steps_are_those_of_pytorch_optimizer,
    167: test_the_noise_is_timms,
    168: test_a_product_is_torchs_chain_also_past_the_horizon,
    169: test_four_parts_are_torchs_classes_one_after_the_other,
    170: test_an_swa_curve_is_torchs_cosine_and_then_its_swalr,
    171: test_a_spline_is_scipys,
}


@pytest.mark.parametrize("number", range(166, 172), ids=key)
def test_every_composition_is_compared(number):
    """Each of these variants is in the catalogue and compared with somebody else's code."""
    assert variants()[number].family == "composed"
    assert number in TESTED

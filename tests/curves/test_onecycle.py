"""A0_124 to A0_131 against torch, ignite and optax, and against a second implementation."""

from fractions import Fraction
from math import cos, floor, pi

import jax
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.handlers.param_scheduler import PiecewiseLinear
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
    trace,
    variants,
    whole,
)


@pytest.fixture(scope="module", autouse=True)
def float64():
    """JAX computes in float64; its default, float32, would hide differences below 1e-7."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def three_phases(optimizer, horizon, pct_start):
    """Torch's three-phase one-cycle policy with linear annealing."""
    return ls.OneCycleLR(
        optimizer,
        optimizer.defaults["lr"],
        total_steps=horizon,
        pct_start=pct_start,
        anneal_strategy="linear",
        three_phase=True,
        div_factor=10,
        final_div_factor=1e4,
        cycle_momentum=False,
    )


@pytest.mark.parametrize("warmup_fraction", [None, 0.0, 0.3, 0.5])
def test_three_phase_policy_equals_torch_up_to_its_last_step(warmup_fraction):
    """A0_124 equals torch up to step T - 1 and is constant after it; torch increases at T, then raises."""
    prm = {} if warmup_fraction is None else {"warmup_fraction": warmup_fraction}
    pct_start = 0.45 if warmup_fraction is None else warmup_fraction
    for horizon in HORIZONS:
        if pct_start * horizon == 1:  # torch divides by zero
            continue
        for lr in BASE_RATES:
            rates = trace(lambda opt, T: three_phases(opt, T, pct_start), horizon, lr, horizon)
            assert_curve(124, horizon, lr, held(rates, seen(horizon)), prm)


@pytest.mark.parametrize(("horizon", "warmup_fraction"), [(4, 0.25), (5, 0.2), (10, 0.1)])
def test_a_warm_up_of_zero_steps_takes_one_step(horizon, warmup_fraction):
    """Where torch divides by zero, A0_124 peaks at step 1, returns at step 2 and decays until step T - 1."""
    with pytest.raises(ZeroDivisionError):
        trace(lambda opt, T: three_phases(opt, T, warmup_fraction), horizon, 1.0, 1)
    decay = np.linspace(0.1, 1e-5, horizon - 2)
    prm = {"warmup_fraction": warmup_fraction}
    assert_curve(124, horizon, 1.0, held([0.1, 1.0, *decay], seen(horizon)), prm)


MILESTONES = {  # (step, multiplier) pairs, horizons at which no two of them are at the same step
    124: (lambda T: [(0, 0.1), (0.45 * T - 1, 1.0), (0.9 * T - 2, 0.1), (T - 1, 1e-5)], (20, 100, 1000)),
    125: (lambda T: [(0, 1 / 32), (nearest("0.1", T), 1.0), (T, 1 / 32)], (7, 10, 90, 1000)),
    126: (lambda T: [(0, 0.0), (nearest("0.2", T), 1.0), (T - nearest("0.2", T), 0.1), (T, 0.0)], (5, 7, 10, 90, 1000)),
    127: (lambda T: [(0, 0.1), (nearest("0.7", T), 1.0), (T, 0.0)], (2, 3, 5, 7, 10, 90, 1000)),
    128: (lambda T: [(0, 0.1), (nearest("0.6", T) // 2, 1.0), (nearest("0.6", T), 0.1),
                     ((nearest("0.6", T) + T) // 2, 0.5), (T, 0.0)], (5, 7, 10, 90, 1000)),
    130: (lambda T: [(0, 0.04), (nearest("0.3", T), 1.0), (T - nearest("0.15", T), 0.04), (T, 4e-6)],
          (5, 7, 10, 90, 1000)),
}  # fmt: skip


@pytest.mark.parametrize("number", MILESTONES, ids=key)
def test_piecewise_linear_curve_equals_ignite(number):
    """The curve equals ignite's interpolation between whole steps and is constant after the last milestone."""
    milestones, horizons = MILESTONES[number]
    for horizon in horizons:
        for lr in BASE_RATES:
            pairs = [(round(step), multiplier * lr) for step, multiplier in milestones(horizon)]
            values = PiecewiseLinear.simulate_values(seen(horizon), param_name="lr", milestones_values=pairs)
            assert_curve(number, horizon, lr, [value for _, value in values])


OPTAX = {
    129: lambda lr, T: optax.cosine_onecycle_schedule(T, lr, 0.25, 25, 4000),  # final value: 1 / 25 / 4000
    130: lambda lr, T: optax.linear_onecycle_schedule(T, lr, 0.3, 0.85, 25, 1e4),
}


@pytest.mark.parametrize("number", OPTAX, ids=key)
def test_curve_equals_optax_where_its_phases_are_whole_steps(number):
    """The curve equals optax's one-cycle schedule at horizons where its phases end at whole steps."""
    for horizon in (20, 100, 1000):
        for lr in BASE_RATES:
            steps = np.arange(seen(horizon), dtype=np.float64)
            rates = np.asarray(jax.vmap(OPTAX[number](lr, horizon))(steps))
            assert rates.dtype == np.float64
            assert_curve(number, horizon, lr, rates)


@pytest.mark.parametrize("horizon", HORIZONS)
def test_the_cycle_of_deepspeed_equals_torchs_cyclic_lr(horizon):
    """A0_131 equals torch's CyclicLR for one cycle."""
    half_cycle_steps = whole("0.3", horizon)
    for lr in BASE_RATES:
        cycle = lambda opt, T, lr=lr: ls.CyclicLR(opt, 0.1 * lr, lr, half_cycle_steps, cycle_momentum=False)  # noqa: E731
        assert_curve(131, horizon, lr, trace(cycle, horizon, lr, 2 * half_cycle_steps))


def at_least_one(fraction: float, horizon: int) -> int:
    """A fraction of the horizon in whole steps, at least one."""
    return max(1, round(fraction * horizon))


def interpolated(t, *milestones):
    """Linear interpolation at step t; of several milestones at the same step, the last applies."""
    left = max((step, index) for index, (step, _) in enumerate(milestones) if step <= t)[1]
    if left == len(milestones) - 1:
        return milestones[left][1]
    (start, initial), (end, final) = milestones[left], milestones[left + 1]
    return (initial * (end - t) + final * (t - start)) / (end - start)


def by_hand_124(t, T, warmup_fraction=0.45):
    """Torch's table of phases, each with its end step: the first phase whose end is not passed applies."""
    peak = warmup_fraction * T - 1
    peak = 1 if peak == 0 else peak
    start = 0
    for end, initial, final in ((peak, 0.1, 1.0), (2 * peak, 1.0, 0.1), (T - 1, 0.1, 1e-5)):
        if t <= end or end == T - 1:
            return initial + (final - initial) * ((min(t, T - 1) - start) / (end - start) if end != start else 1)
        start = end
    raise AssertionError


def by_hand_125(t, T, warmup_fraction=0.1, min_lr_ratio=1 / 32):
    """ULMFiT's formula, in which p is the progress of the increase and the remaining fraction of the decay.

    Its decay takes (1 / cut_frac - 1) cut steps. AllenNLP writes T - cut, so that the decay ends with training.
    """
    cut = round(warmup_fraction * T)
    if cut == T == t:  # a decay of zero steps ends with training
        return min_lr_ratio
    p = t / cut if t < cut else 1 - (t - cut) / (T - cut)
    return min_lr_ratio * (1 - p) + p


def by_hand_126(t, T, warmup_fraction=0.2, decay_fraction=0.2, knee_lr_ratio=0.1):
    """The milestones of the catalogue's formula."""
    peak = round(warmup_fraction * T)
    knee = max(peak, T - round(decay_fraction * T))
    return interpolated(t, (0, 0.0), (peak, 1.0), (knee, knee_lr_ratio), (T, 0.0))


def by_hand_127(t, T, peak_fraction=0.7, min_lr_ratio=0.1):
    """The milestones of the catalogue's formula."""
    return interpolated(t, (0, min_lr_ratio), (round(peak_fraction * T), 1.0), (T, 0.0))


def by_hand_128(t, T, valley_fraction=0.6, min_lr_ratio=0.1, second_peak_ratio=0.5):
    """The milestones of the catalogue's formula."""
    valley = round(valley_fraction * T)
    first, second = floor(Fraction(valley, 2)), floor(Fraction(valley + T, 2))
    return interpolated(
        t, (0, min_lr_ratio), (first, 1.0), (valley, min_lr_ratio), (second, second_peak_ratio), (T, 0.0)
    )


def by_hand_129(t, T, warmup_fraction=0.25):
    """Fastai's ``combine_scheds`` of two ``SchedCos``: of the positions 0 and pct, the last one reached applies."""

    def sched_cos(start, end, pos):
        return start + (1 + cos(pi * (1 - pos))) * (end - start) / 2

    pos = t / T
    if pos >= warmup_fraction:
        return sched_cos(1.0, 1 / 1e5, (pos - warmup_fraction) / (1 - warmup_fraction))
    return sched_cos(1 / 25, 1.0, pos / warmup_fraction)


def by_hand_130(t, T, warmup_fraction=0.3, decay_fraction=0.15):
    """The milestones of the catalogue's formula."""
    peak = round(warmup_fraction * T)
    cycle_end = max(peak, T - round(decay_fraction * T))
    return interpolated(t, (0, 1 / 25), (peak, 1.0), (cycle_end, 1 / 25), (T, 1 / 25 / 1e4))


def by_hand_131(t, T, half_cycle_fraction=0.3, min_lr_ratio=0.1, decay_rate=0.5):
    """DeepSpeed's two methods: the cycle by its progress x, the decay by the steps since its end."""
    step_size = at_least_one(half_cycle_fraction, T)
    total, ratio = 2 * step_size, 0.5
    if t < total:
        x = t / total
        scale = x / ratio if x <= ratio else (x - 1) / (ratio - 1)
        return min_lr_ratio + (1 - min_lr_ratio) * scale
    return min_lr_ratio / (1 + decay_rate * ((t - total) / at_least_one(0.05, T)))


BY_HAND = {
    124: by_hand_124,
    125: by_hand_125,
    126: by_hand_126,
    127: by_hand_127,
    128: by_hand_128,
    129: by_hand_129,
    130: by_hand_130,
    131: by_hand_131,
}


def by_hand(number, horizon, lr, prm):
    """The learning rates at all compared steps; all but DeepSpeed's are constant from step T on."""
    at = [t if number == 131 else min(t, horizon) for t in range(seen(horizon))]
    return [lr * BY_HAND[number](t, horizon, **prm) for t in at]


def test_every_variant_of_the_family_has_a_second_implementation():
    """Each one-cycle variant from 51 on has a second implementation in this file."""
    numbers = [number for number, variant in variants().items() if variant.family == "onecycle" and number > 50]
    assert sorted(BY_HAND) == numbers


@pytest.mark.parametrize("number", BY_HAND, ids=key)
def test_curve_equals_the_second_implementation(number):
    """The curve equals the second implementation at each horizon and base rate, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, by_hand(number, horizon, lr, {}))


@pytest.mark.parametrize("number", BY_HAND, ids=key)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_curve_equals_the_second_implementation_for_any_hyperparameters(number, data):
    """The curve equals the second implementation for hyperparameters anywhere in their ranges."""
    horizon = data.draw(st.integers(1, 120), label="horizon")
    prm = {p.name: data.draw(st.floats(p.low, p.high), label=p.name) for p in variants()[number].hyperparameters}
    assert_curve(number, horizon, 0.1, by_hand(number, horizon, 0.1, prm), prm)


LANDMARKS = {  # number: multipliers at some steps of horizon 1000
    124: {0: 0.1, 449: 1.0, 898: 0.1, 999: 1e-5, 2000: 1e-5},
    125: {0: 1 / 32, 50: 33 / 64, 100: 1.0, 550: 33 / 64, 1000: 1 / 32, 2000: 1 / 32},
    126: {0: 0.0, 100: 0.5, 200: 1.0, 500: 0.55, 800: 0.1, 900: 0.05, 1000: 0.0, 2000: 0.0},
    127: {0: 0.1, 350: 0.55, 700: 1.0, 850: 0.5, 1000: 0.0, 2000: 0.0},
    128: {0: 0.1, 150: 0.55, 300: 1.0, 600: 0.1, 800: 0.5, 900: 0.25, 1000: 0.0, 2000: 0.0},
    129: {0: 0.04, 125: 0.52, 250: 1.0, 625: 0.500005, 1000: 1e-5, 2000: 1e-5},
    130: {0: 0.04, 150: 0.52, 300: 1.0, 575: 0.52, 850: 0.04, 1000: 4e-6, 2000: 4e-6},
    131: {0: 0.1, 150: 0.55, 300: 1.0, 450: 0.55, 599: 0.103, 650: 0.1 / 1.5, 1000: 0.1 / 5, 2000: 0.1 / 15},
}


@pytest.mark.parametrize("number", LANDMARKS, ids=key)
def test_curve_passes_through_its_landmarks(number):
    """The multipliers at the milestones, halfway between them and past the horizon are those of the catalogue."""
    rates = curves.rates(variants()[number], list(LANDMARKS[number]), 1000)
    assert rates.tolist() == pytest.approx(list(LANDMARKS[number].values()), abs=1e-12)

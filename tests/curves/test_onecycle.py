"""A0_124 to A0_131 against torch, ignite and optax, and by hand from the formulas of their sources."""

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


def three_phases(optimizer, horizon, pct_start):
    """Torch's one cycle that falls back to a tenth and then to a ten-thousandth of that."""
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


@pytest.mark.parametrize("warmup", [None, 0.0, 0.3, 0.5])
def test_a_three_phase_cycle_is_torchs_up_to_its_last_step_and_stays(warmup):
    """A0_124 equals torch's up to step T - 1 (torch rebounds at T, then raises) and stays at that rate."""
    prm = {} if warmup is None else {"warmup": warmup}
    pct_start = 0.45 if warmup is None else warmup
    for horizon in HORIZONS:
        if pct_start * horizon == 1:  # torch divides by the zero steps of the climb
            continue
        for lr in BASE_RATES:
            rates = trace(lambda opt, T: three_phases(opt, T, pct_start), horizon, lr, horizon)
            assert_promised(124, horizon, lr, held(rates, seen(horizon)), prm)


@pytest.mark.parametrize(("horizon", "warmup"), [(4, 0.25), (5, 0.2), (10, 0.1)])
def test_a_climb_that_torch_divides_by_takes_one_step(horizon, warmup):
    """Where pct T is 1, A0_124 is at its start, at the peak, at its start again, and then falls until step T - 1."""
    with pytest.raises(ZeroDivisionError):
        trace(lambda opt, T: three_phases(opt, T, warmup), horizon, 1.0, 1)
    fall = np.linspace(0.1, 1e-5, horizon - 2)
    assert_promised(124, horizon, 1.0, held([0.1, 1.0, *fall], seen(horizon)), {"warmup": warmup})


CORNERS = {  # (step, part of the base rate), horizons at which no two of them are at the same step
    124: (lambda T: [(0, 0.1), (0.45 * T - 1, 1.0), (0.9 * T - 2, 0.1), (T - 1, 1e-5)], (20, 100, 1000)),
    125: (lambda T: [(0, 1 / 32), (nearest("0.1", T), 1.0), (T, 1 / 32)], (7, 10, 90, 1000)),
    126: (lambda T: [(0, 0.0), (nearest("0.2", T), 1.0), (T - nearest("0.2", T), 0.1), (T, 0.0)], (5, 7, 10, 90, 1000)),
    127: (lambda T: [(0, 0.1), (nearest("0.7", T), 1.0), (T, 0.0)], (2, 3, 5, 7, 10, 90, 1000)),
    128: (lambda T: [(0, 0.1), (nearest("0.6", T) // 2, 1.0), (nearest("0.6", T), 0.1),
                     ((nearest("0.6", T) + T) // 2, 0.5), (T, 0.0)], (5, 7, 10, 90, 1000)),
    130: (lambda T: [(0, 0.04), (nearest("0.3", T), 1.0), (T - nearest("0.15", T), 0.04), (T, 4e-6)],
          (5, 7, 10, 90, 1000)),
}  # fmt: skip


@pytest.mark.parametrize("number", CORNERS, ids=key)
def test_a_curve_of_lines_is_ignites_corners_and_stays_at_the_last(number):
    """The curve equals ignite's lines between its corners, which have to be whole steps, and stays at the last one."""
    corners, horizons = CORNERS[number]
    for horizon in horizons:
        for lr in BASE_RATES:
            milestones = [(round(step), part * lr) for step, part in corners(horizon)]
            values = PiecewiseLinear.simulate_values(seen(horizon), param_name="lr", milestones_values=milestones)
            assert_promised(number, horizon, lr, [value for _, value in values])


OPTAX = {
    129: lambda lr, T: optax.cosine_onecycle_schedule(T, lr, 0.25, 25, 4000),  # an end of 1 / 25 / 4000
    130: lambda lr, T: optax.linear_onecycle_schedule(T, lr, 0.3, 0.85, 25, 1e4),
}


@pytest.mark.parametrize("number", OPTAX, ids=key)
def test_a_one_cycle_is_what_optax_computes_where_its_phases_are_whole(number):
    """The curve equals optax's one cycle, whose phases end at int(pct T), at horizons that have those parts."""
    for horizon in (20, 100, 1000):
        for lr in BASE_RATES:
            steps = np.arange(seen(horizon), dtype=np.float64)
            rates = np.asarray(jax.vmap(OPTAX[number](lr, horizon))(steps))
            assert rates.dtype == np.float64
            assert_promised(number, horizon, lr, rates)


@pytest.mark.parametrize("horizon", HORIZONS)
def test_the_cycle_of_deepspeed_is_torchs(horizon):
    """A0_131 equals one triangle of torch's CyclicLR until it would be at its start again."""
    half = whole("0.3", horizon)
    for lr in BASE_RATES:
        cycle = lambda opt, T, lr=lr: ls.CyclicLR(opt, 0.1 * lr, lr, half, cycle_momentum=False)  # noqa: E731
        assert_promised(131, horizon, lr, trace(cycle, horizon, lr, 2 * half))


def some(fraction: float, horizon: int) -> int:
    """Whole steps, at least one."""
    return max(1, round(fraction * horizon))


def through(t, *corners):
    """The line that a step is on; of corners at the same step the last one counts."""
    left = max((step, place) for place, (step, _) in enumerate(corners) if step <= t)[1]
    if left == len(corners) - 1:
        return corners[left][1]
    (start, first), (end, last) = corners[left], corners[left + 1]
    return (first * (end - t) + last * (t - start)) / (end - start)


def by_hand_124(t, T, warmup=0.45):
    """Torch's table of phases, each with its end step: the first whose end is not passed."""
    top = warmup * T - 1
    top = 1 if top == 0 else top
    start = 0
    for end, first, last in ((top, 0.1, 1.0), (2 * top, 1.0, 0.1), (T - 1, 0.1, 1e-5)):
        if t <= end or end == T - 1:
            return first + (last - first) * ((min(t, T - 1) - start) / (end - start) if end != start else 1)
        start = end
    raise AssertionError


def by_hand_125(t, T, warmup=0.1, min_lr_ratio=1 / 32):
    """ULMFiT's formula, with the ratio of the highest to the lowest rate: p in parts of the climb and of the fall.

    Its fall is (1 / cut_frac - 1) cut steps long, which AllenNLP writes T - cut, so that it ends when training does.
    """
    cut = round(warmup * T)
    if cut == T == t:  # a fall of no steps is over when training is
        return min_lr_ratio
    p = t / cut if t < cut else 1 - (t - cut) / (T - cut)
    return min_lr_ratio * (1 - p) + p


def by_hand_126(t, T, warmup=0.2, decay=0.2, knee_lr_ratio=0.1):
    """The corners of the sentence."""
    peak = round(warmup * T)
    knee = max(peak, T - round(decay * T))
    return through(t, (0, 0.0), (peak, 1.0), (knee, knee_lr_ratio), (T, 0.0))


def by_hand_127(t, T, peak_at=0.7, min_lr_ratio=0.1):
    """The corners of the sentence."""
    return through(t, (0, min_lr_ratio), (round(peak_at * T), 1.0), (T, 0.0))


def by_hand_128(t, T, valley_at=0.6, min_lr_ratio=0.1, second_peak=0.5):
    """The corners of the sentence."""
    valley = round(valley_at * T)
    first, second = floor(Fraction(valley, 2)), floor(Fraction(valley + T, 2))
    return through(t, (0, min_lr_ratio), (first, 1.0), (valley, min_lr_ratio), (second, second_peak), (T, 0.0))


def by_hand_129(t, T, warmup=0.25):
    """Fastai's ``combine_scheds`` of two ``SchedCos``: the last of the positions 0 and pct that is reached."""

    def sched_cos(start, end, pos):
        return start + (1 + cos(pi * (1 - pos))) * (end - start) / 2

    pos = t / T
    if pos >= warmup:
        return sched_cos(1.0, 1 / 1e5, (pos - warmup) / (1 - warmup))
    return sched_cos(1 / 25, 1.0, pos / warmup)


def by_hand_130(t, T, warmup=0.3, decay=0.15):
    """The corners of the sentence."""
    peak = round(warmup * T)
    back = max(peak, T - round(decay * T))
    return through(t, (0, 1 / 25), (peak, 1.0), (back, 1 / 25), (T, 1 / 25 / 1e4))


def by_hand_131(t, T, half_cycle=0.3, min_lr_ratio=0.1, decay_rate=0.5):
    """DeepSpeed's two methods: the cycle by its share x, the decay by the steps since."""
    first = some(half_cycle, T)
    total, ratio = 2 * first, 0.5
    if t < total:
        x = t / total
        scale = x / ratio if x <= ratio else (x - 1) / (ratio - 1)
        return min_lr_ratio + (1 - min_lr_ratio) * scale
    return min_lr_ratio / (1 + decay_rate * ((t - total) / some(0.05, T)))


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
    """The rates of all steps that are compared; all but DeepSpeed's stay at that of step T."""
    at = [t if number == 131 else min(t, horizon) for t in range(seen(horizon))]
    return [lr * BY_HAND[number](t, horizon, **prm) for t in at]


def test_every_schedule_of_the_family_is_compared():
    """All one-cycle variants from 51 on are written out here."""
    numbers = [number for number, variant in variants().items() if variant.family == "onecycle" and number > 50]
    assert sorted(BY_HAND) == numbers


@pytest.mark.parametrize("number", BY_HAND, ids=key)
def test_a_curve_says_what_the_formula_of_its_source_says(number):
    """The curve equals the formula written out for one step, at every horizon and base rate, also past the end."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, by_hand(number, horizon, lr, {}))


@pytest.mark.parametrize("number", BY_HAND, ids=key)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_hyperparameter_does_in_the_curve_what_the_formula_says(number, data):
    """The curve equals the formula for hyperparameters anywhere in their ranges."""
    horizon = data.draw(st.integers(1, 120), label="horizon")
    prm = {p.name: data.draw(st.floats(p.low, p.high), label=p.name) for p in variants()[number].hyperparameters}
    assert_promised(number, horizon, 0.1, by_hand(number, horizon, 0.1, prm), prm)


TURNS = {  # step of horizon 1000: part of the base rate
    124: {0: 0.1, 449: 1.0, 898: 0.1, 999: 1e-5, 2000: 1e-5},
    125: {0: 1 / 32, 50: 33 / 64, 100: 1.0, 550: 33 / 64, 1000: 1 / 32, 2000: 1 / 32},
    126: {0: 0.0, 100: 0.5, 200: 1.0, 500: 0.55, 800: 0.1, 900: 0.05, 1000: 0.0, 2000: 0.0},
    127: {0: 0.1, 350: 0.55, 700: 1.0, 850: 0.5, 1000: 0.0, 2000: 0.0},
    128: {0: 0.1, 150: 0.55, 300: 1.0, 600: 0.1, 800: 0.5, 900: 0.25, 1000: 0.0, 2000: 0.0},
    129: {0: 0.04, 125: 0.52, 250: 1.0, 625: 0.500005, 1000: 1e-5, 2000: 1e-5},
    130: {0: 0.04, 150: 0.52, 300: 1.0, 575: 0.52, 850: 0.04, 1000: 4e-6, 2000: 4e-6},
    131: {0: 0.1, 150: 0.55, 300: 1.0, 450: 0.55, 599: 0.103, 650: 0.1 / 1.5, 1000: 0.1 / 5, 2000: 0.1 / 15},
}


@pytest.mark.parametrize("number", TURNS, ids=key)
def test_a_cycle_turns_where_its_numbers_say(number):
    """The rates at the turns, half-way between them and past the end are those that the schedule's sentence gives."""
    rates = curves.rates(variants()[number], list(TURNS[number]), 1000)
    assert rates.tolist() == pytest.approx(list(TURNS[number].values()), abs=1e-12)

"""The restarts from A0_107 on: against torch, timm, optax, ignite, pytorch_optimizer and transformers, and each
written a second time.
"""

from itertools import pairwise
from math import cos, exp, log, pi

import jax
import numpy as np
import optax
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.handlers.param_scheduler import LinearCyclicalScheduler
from pytorch_optimizer.lr_scheduler import CosineAnnealingWarmupRestarts
from timm.scheduler import CosineLRScheduler
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts
from transformers.optimization import get_cosine_schedule_with_warmup

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


def torch_restarts(optimizer, first, factor, floor=0.0):
    """Torch's warm restarts down to a part of the base rate."""
    return CosineAnnealingWarmRestarts(optimizer, first, factor, floor * optimizer.defaults["lr"])


TORCH = {
    107: ({}, lambda opt, T: torch_restarts(opt, whole("1/4", T), 1)),
    108: ({}, lambda opt, T: torch_restarts(opt, whole("1/15", T), 2, 0.001)),
}
TORCH_WITH_OTHER_NUMBERS = [
    (107, {"first_cycle": 0.4}, lambda opt, T: torch_restarts(opt, whole("0.4", T), 1)),
    (108, {"first_cycle": 0.2, "min_lr_ratio": 0.3}, lambda opt, T: torch_restarts(opt, whole("0.2", T), 2, 0.3)),
    (108, {"first_cycle": 1.0, "min_lr_ratio": 1.0}, lambda opt, T: torch_restarts(opt, T, 2, 1.0)),
]


@pytest.mark.parametrize(
    ("number", "prm", "make"),
    [*((number, *case) for number, case in TORCH.items()), *TORCH_WITH_OTHER_NUMBERS],
)
def test_warm_restarts_are_torchs_also_past_the_horizon(number, prm, make):
    """The curve equals torch's class at each step, the ones past the horizon included."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, trace(make, horizon, lr, seen(horizon)), prm)


def timm_restarts(optimizer, horizon, first, factor, floor=0.0, decay=1.0):
    """Timm's cycles, as many as there are steps to be seen."""
    lr = optimizer.defaults["lr"]
    return CosineLRScheduler(
        optimizer, first, floor * lr, cycle_mul=factor, cycle_decay=decay, cycle_limit=seen(horizon)
    )


def timm_rates(make, horizon, lr, count):
    """What timm does in so many steps; its schedulers want the step's number."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer, horizon)
    rates = []
    for step in range(count):
        scheduler.step(step)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


TIMM = [  # number, hyperparameters, timm's scheduler with them
    (107, {}, lambda opt, T: timm_restarts(opt, T, whole("1/4", T), 1)),
    (108, {}, lambda opt, T: timm_restarts(opt, T, whole("1/15", T), 2, 0.001)),
    (109, {}, lambda opt, T: timm_restarts(opt, T, whole("1/15", T), 2, decay=0.6)),
    (109, {"first_cycle": 0.2, "gamma": 0.9}, lambda opt, T: timm_restarts(opt, T, whole("0.2", T), 2, decay=0.9)),
]


@pytest.mark.parametrize(("number", "prm", "make"), TIMM)
def test_restarts_are_timms_also_past_the_horizon(number, prm, make):
    """The curve equals timm's scheduler at each step, the ones past the horizon included."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, timm_rates(make, horizon, lr, seen(horizon)), prm)


@pytest.mark.parametrize("horizon", [16, 160, 1600])
def test_shrinking_cycles_are_timms_while_they_shrink(horizon):
    """A0_114 equals timm's cycles that halve, up to the end of the first that is shortest; timm's get ever shorter."""
    for lr in BASE_RATES:
        rates = timm_rates(lambda opt, T: timm_restarts(opt, T, T // 2, 0.5), horizon, lr, 15 * horizon // 16)
        assert_promised(114, horizon, lr, rates)


def one_after_another(pieces):
    """Optax: (length, schedule) pieces, joined."""
    ends = np.cumsum([length for length, _ in pieces])
    return optax.join_schedules([schedule for _, schedule in pieces], [int(end) for end in ends[:-1]])


def cycles(horizon, lengths, schedule):
    """As many cycles as there are steps to be seen, each a schedule of its number and length."""
    pieces = []
    while sum(length for length, _ in pieces) < seen(horizon):
        length = lengths(len(pieces))
        pieces.append((length, schedule(len(pieces), length)))
    return one_after_another(pieces)


def halves(horizon):
    """The lengths of cycles that halve from T / 2 down to T / 16."""
    lengths = [whole("1/2", horizon)]
    while lengths[-1] // 2 > whole("1/16", horizon):
        lengths.append(lengths[-1] // 2)
    return lambda number: lengths[number] if number < len(lengths) else min(lengths[-1], whole("1/16", horizon))


def echo(lr, horizon):
    """A cosine of 0.6 T; a climb to 0.3 over a tenth of what is left, and a cosine to its end."""
    first = nearest("0.6", horizon)
    left = horizon - first
    ramp = nearest("0.1", left)
    climb, again = (
        optax.linear_schedule(0.0, 0.3 * lr, ramp),
        optax.cosine_decay_schedule(0.3 * lr, max(1, left - ramp)),
    )
    return one_after_another([(first, optax.cosine_decay_schedule(lr, first)), (ramp, climb), (left, again)])


def cosine(lr, floor=0.0):
    """A cycle of half a cosine."""
    return lambda number, length: optax.cosine_decay_schedule(lr, length, floor)


OPTAX = {
    107: lambda lr, T: cycles(T, lambda number: whole("1/4", T), cosine(lr)),
    108: lambda lr, T: cycles(T, lambda number: whole("1/15", T) * 2**number, cosine(lr, 0.001)),
    109: lambda lr, T: cycles(
        T, lambda n: whole("1/15", T) * 2**n, lambda n, length: optax.cosine_decay_schedule(lr * 0.6**n, length)
    ),
    111: lambda lr, T: cycles(
        T, lambda n: whole("1/5", T), lambda n, length: optax.linear_schedule(lr, 0.05 * lr, length)
    ),
    112: echo,
    114: lambda lr, T: cycles(T, halves(T), cosine(lr)),
    115: lambda lr, T: cycles(
        T, lambda n: whole("1/5", T), lambda n, length: optax.exponential_decay(lr, length, 0.05)
    ),
}


@pytest.mark.parametrize("number", OPTAX, ids=key)
def test_restarts_are_optaxs_schedules_one_after_the_other(number):
    """The curve equals optax's schedules, joined at the restarts, at each step; A0_112 up to T, where it is over."""
    steps = np.arange(seen(max(HORIZONS)), dtype=np.float64)  # one length, because jax compiles for each
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = np.asarray(OPTAX[number](lr, horizon)(steps))
            assert rates.dtype == np.float64
            expected = held(rates[: horizon + 1], seen(horizon)) if number == 112 else rates[: seen(horizon)]
            assert_promised(number, horizon, lr, expected)


@pytest.mark.parametrize(("first", "floor"), [("0.2", 0.05), ("0.3", 0.0), ("1", 0.7)])
def test_a_sawtooth_is_ignites(first, floor):
    """A0_111 equals ignite's one-sided cycles at each step, the ones past the horizon included; ignite wants cycles of
    two steps at least.
    """
    for horizon in (10, 90, 1000):
        for lr in BASE_RATES:
            simulated = LinearCyclicalScheduler.simulate_values(
                seen(horizon),
                param_name="lr",
                start_value=lr,
                end_value=floor * lr,
                cycle_size=whole(first, horizon),
                monotonic=True,
            )
            prm = {"first_cycle": float(first), "min_lr_ratio": floor}
            assert_promised(111, horizon, lr, [rate for _, rate in simulated], prm)


@pytest.mark.parametrize(("first", "gamma", "floor"), [("0.2", 0.75, 0.02), ("0.45", 0.9, 0.3), ("1", 1.0, 0.0)])
def test_warmups_in_every_cycle_are_pytorch_optimizers(first, gamma, floor):
    """A0_110 equals pytorch_optimizer's restarts at each step, the ones past the horizon included.

    That class sets the floor for the very first step, also where there is no ramp. It would let a peak fall below the
    floor, which needs more restarts than are seen here.
    """
    for horizon in HORIZONS:
        cycle = whole(first, horizon)
        ramp = nearest("0.15", cycle)
        for lr in BASE_RATES:
            rates = trace(
                lambda opt, T, cycle=cycle, ramp=ramp, lr=lr: CosineAnnealingWarmupRestarts(
                    opt, cycle, 1.0, lr, floor * lr, ramp, gamma
                ),
                horizon,
                lr,
                seen(horizon),
            )
            if ramp == 0:
                rates[0] = lr
            prm = {"first_cycle": float(first), "gamma": gamma, "min_lr_ratio": floor}
            assert_promised(110, horizon, lr, rates, prm)


def test_a_jagged_cosine_is_transformers_cosine_times_optaxs_ramps():
    """A0_113 equals transformers' cosine with a warm-up times ramps of optax that begin at each restart."""
    for horizon in HORIZONS:
        restart, ramp = whole("1/4", horizon), nearest("0.02", horizon)
        up = optax.linear_schedule(0.001, 1.0, ramp) if ramp else optax.constant_schedule(1.0)
        count = -(-(horizon + 1) // restart)
        ramps = [(restart, optax.constant_schedule(1.0)), *[(restart, up)] * count]
        scale = np.asarray(one_after_another(ramps)(np.arange(horizon + 1, dtype=np.float64)))
        for lr in BASE_RATES:
            inner = trace(
                lambda opt, T: get_cosine_schedule_with_warmup(opt, nearest("0.05", T), T), horizon, lr, horizon + 1
            )
            assert_promised(113, horizon, lr, held(list(inner * scale), seen(horizon)))


def some(fraction: float, horizon: int) -> int:
    """Whole steps, at least one."""
    return max(1, round(fraction * horizon))


def half_cosine(x: float) -> float:
    """From 1 at 0 to 0 at 1."""
    return (1 + cos(pi * x)) / 2


def above(floor: float, x: float) -> float:
    """What becomes of a multiplier when zero is put at a floor."""
    return floor * (1 - x) + x


def place(t, length, following):
    """The number of the cycle that a step lies in, the steps since its begin, and its length."""
    number = 0
    while t >= length:
        t, length, number = t - length, following(length), number + 1
    return number, t, length


def same(length: int) -> int:
    """Equal cycles."""
    return length


def double(length: int) -> int:
    """Cycles that double."""
    return 2 * length


def sgdr(t, length, following, floor=0.0, gamma=1.0):
    """Half a cosine in each cycle."""
    number, since, length = place(t, length, following)
    return gamma**number * above(floor, half_cosine(since / length))


def ramped(t, T, first_cycle=0.2, gamma=0.75, min_lr_ratio=0.02):
    """A ramp over the first 15 % of each cycle and half a cosine over the rest, from the floor to a falling peak."""
    number, since, length = place(t, some(first_cycle, T), same)
    ramp = round(0.15 * length)
    height = since / ramp if since < ramp else half_cosine((since - ramp) / (length - ramp))
    peak = gamma**number if gamma**number > min_lr_ratio else min_lr_ratio
    return peak * height + min_lr_ratio * (1 - height)


def sawtooth(t, T, first_cycle=0.2, min_lr_ratio=0.05):
    """A line in each cycle."""
    _, since, length = place(t, some(first_cycle, T), same)
    return above(min_lr_ratio, 1 - since / length)


def decays(t, T, first_cycle=0.2, min_lr_ratio=0.05):
    """A decay in each cycle; towards zero it is there after the first step."""
    _, since, length = place(t, some(first_cycle, T), same)
    if min_lr_ratio == 0:
        return float(since == 0)
    return exp(log(min_lr_ratio) * since / length)


def echoing(t, T, echo_start=0.6, echo_peak=0.3, echo_warmup=0.1):
    """A cosine, then a climb and a cosine of a lower peak."""
    first = round(echo_start * T)
    ramp = round(echo_warmup * (T - first))
    if t < first:
        return half_cosine(t / first)
    since = t - first
    return echo_peak * (since / ramp if since < ramp else half_cosine((since - ramp) / max(1, T - first - ramp)))


def jagged(t, T, warmup=0.05, first_cycle=0.25, restart_warmup=0.02):
    """A climb and half a cosine; after each restart a ramp from a thousandth of that to all of it."""
    climb, ramp = round(warmup * T), round(restart_warmup * T)
    rate = t / climb if t < climb else half_cosine((t - climb) / max(1, T - climb))
    restarts, since, _ = place(t, some(first_cycle, T), same)
    return rate if restarts == 0 or since >= ramp else rate * above(0.001, since / ramp)


def shrinking(t, T, first_cycle=0.5, shortest_cycle=1 / 16):
    """Cycles that halve while they are longer than the shortest."""
    shortest = some(shortest_cycle, T)
    return sgdr(t, some(first_cycle, T), lambda length: length if length <= shortest else max(shortest, length // 2))


BY_HAND = {
    107: lambda t, T, first_cycle=1 / 4: sgdr(t, some(first_cycle, T), same),
    108: lambda t, T, first_cycle=1 / 15, min_lr_ratio=0.001: sgdr(t, some(first_cycle, T), double, min_lr_ratio),
    109: lambda t, T, first_cycle=1 / 15, gamma=0.6: sgdr(t, some(first_cycle, T), double, gamma=gamma),
    110: ramped,
    111: sawtooth,
    112: echoing,
    113: jagged,
    114: shrinking,
    115: decays,
}
HELD = {112, 113}


def by_hand(number, horizon, lr, prm):
    """The rates of all steps that are compared."""
    at = [min(t, horizon) if number in HELD else t for t in range(seen(horizon))]
    return [lr * BY_HAND[number](t, horizon, **prm) for t in at]


def test_every_restart_from_107_on_is_compared():
    """All of the family that no other file compares are written out here, and have an outside oracle."""
    family = {number for number, variant in variants().items() if variant.family == "restarts" and number > 50}
    assert family == set(BY_HAND) == {*TORCH, *(number for number, *_ in TIMM), *OPTAX, 110, 111, 113}


@pytest.mark.parametrize("number", BY_HAND, ids=key)
def test_a_restart_says_what_its_sentence_says(number):
    """The curve equals the sentence at every horizon and base rate, past the end held or going on."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, by_hand(number, horizon, lr, {}))


@pytest.mark.parametrize("number", BY_HAND, ids=key)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_hyperparameter_does_in_a_restart_what_its_sentence_says(number, data):
    """The curve equals the sentence for hyperparameters anywhere in their ranges, their ends above all."""
    horizon = data.draw(st.integers(1, 120), label="horizon")
    prm = {
        p.name: data.draw(st.one_of(st.sampled_from([p.low, p.high]), st.floats(p.low, p.high)), label=p.name)
        for p in variants()[number].hyperparameters
    }
    assert_promised(number, horizon, 0.1, by_hand(number, horizon, 0.1, prm), prm)


PEAKS = {  # number: horizon, the steps at which a cycle is at its peak, and the peaks
    107: (1000, {0: 1.0, 250: 1.0, 500: 1.0, 750: 1.0, 1000: 1.0}),
    108: (1500, {0: 1.0, 100: 1.0, 300: 1.0, 700: 1.0, 1500: 1.0}),
    109: (1500, {0: 1.0, 100: 0.6, 300: 0.36, 700: 0.216, 1500: 0.1296}),
    110: (1000, {30: 1.0, 230: 0.75, 430: 0.75**2, 630: 0.75**3, 830: 0.75**4, 1030: 0.75**5}),
    111: (1000, {0: 1.0, 200: 1.0, 400: 1.0, 600: 1.0, 800: 1.0, 1000: 1.0}),
    112: (1000, {0: 1.0, 640: 0.3}),
    113: (1000, {50: 1.0, 270: half_cosine(220 / 950), 520: half_cosine(470 / 950), 770: half_cosine(720 / 950)}),
    114: (1600, {0: 1.0, 800: 1.0, 1200: 1.0, 1400: 1.0, 1500: 1.0, 1600: 1.0}),
    115: (1000, {0: 1.0, 200: 1.0, 400: 1.0, 600: 1.0, 800: 1.0, 1000: 1.0}),
}


@pytest.mark.parametrize("number", PEAKS, ids=key)
def test_a_restart_has_its_peaks_where_its_sentence_says(number):
    """Within the horizon and at its end the curve has no other peaks than these, and each is as high as said."""
    assert PEAKS.keys() == BY_HAND.keys()
    horizon, peaks = PEAKS[number]
    rates = curves.rates(variants()[number], np.arange(horizon + 60), horizon)
    padded = [-1.0, *rates]
    found = [
        t
        for t, (before, rate, after) in enumerate(zip(padded, rates, rates[1:], strict=False))
        if before < rate >= after
    ]
    assert found == [*peaks]
    assert [rates[t] for t in found] == pytest.approx([*peaks.values()], abs=1e-12)


LOWS = {  # number: horizon, rates of some last steps of a cycle
    108: (1500, {99: 0.001 + 0.999 * half_cosine(0.99), 1499: 0.001 + 0.999 * half_cosine(799 / 800)}),
    110: (1000, {0: 0.02, 200: 0.02, 1000: 0.02, 15: 0.51}),
    111: (1000, {100: 0.525, 199: 0.05 + 0.95 / 200}),
    112: (1000, {300: 0.5, 600: 0.0, 620: 0.15, 820: 0.15, 1000: 0.0, 1400: 0.0}),
    113: (1000, {250: 0.001 * half_cosine(200 / 950), 760: 0.5005 * half_cosine(710 / 950), 1000: 0.0}),
    115: (1000, {100: 0.05**0.5, 150: 0.05**0.75}),
}


@pytest.mark.parametrize("number", LOWS, ids=key)
def test_a_restart_has_its_lows_where_its_sentence_says(number):
    """The curve has the rates of its sentence where those are plain numbers."""
    horizon, lows = LOWS[number]
    for step, rate in lows.items():
        assert curves.rates(variants()[number], step, horizon) == pytest.approx(rate, abs=1e-12)


def test_shrinking_cycles_end_with_training():
    """A0_114 has cycles of 1/2, 1/4, 1/8, 1/16 and 1/16 of the horizon, so that the fifth ends with it."""
    rates = curves.rates(variants()[114], np.arange(1600), 1600)
    begins = [0, *(int(step) for step in np.flatnonzero(np.diff(rates) > 0) + 1)]
    assert [end - begin for begin, end in pairwise([*begins, 1600])] == [800, 400, 200, 100, 100]

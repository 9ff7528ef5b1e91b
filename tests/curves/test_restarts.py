"""A0_107 to A0_115 against torch, timm, optax, ignite, pytorch_optimizer and transformers, and by hand."""

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


def torch_restarts(optimizer, first_cycle_steps, factor, min_lr_ratio=0.0):
    """Torch's warm restarts with a minimum relative to the base learning rate."""
    return CosineAnnealingWarmRestarts(optimizer, first_cycle_steps, factor, min_lr_ratio * optimizer.defaults["lr"])


TORCH = {
    107: ({}, lambda opt, T: torch_restarts(opt, whole("1/4", T), 1)),
    108: ({}, lambda opt, T: torch_restarts(opt, whole("1/15", T), 2, 0.001)),
}
TORCH_WITH_OTHER_HYPERPARAMETERS = [
    (107, {"first_cycle_fraction": 0.4}, lambda opt, T: torch_restarts(opt, whole("0.4", T), 1)),
    (
        108,
        {"first_cycle_fraction": 0.2, "min_lr_ratio": 0.3},
        lambda opt, T: torch_restarts(opt, whole("0.2", T), 2, 0.3),
    ),
    (108, {"first_cycle_fraction": 1.0, "min_lr_ratio": 1.0}, lambda opt, T: torch_restarts(opt, T, 2, 1.0)),
]


@pytest.mark.parametrize(
    ("number", "prm", "make"),
    [*((number, *case) for number, case in TORCH.items()), *TORCH_WITH_OTHER_HYPERPARAMETERS],
)
def test_curve_equals_torch_also_past_the_horizon(number, prm, make):
    """The curve equals torch's class at each step, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, trace(make, horizon, lr, seen(horizon)), prm)


def timm_restarts(optimizer, horizon, first_cycle_steps, factor, min_lr_ratio=0.0, decay=1.0):
    """Timm's cycles, as many as there are compared steps."""
    return CosineLRScheduler(
        optimizer,
        first_cycle_steps,
        min_lr_ratio * optimizer.defaults["lr"],
        cycle_mul=factor,
        cycle_decay=decay,
        cycle_limit=seen(horizon),
    )


def timm_rates(make, horizon, lr, count):
    """The learning rates of a timm scheduler, which takes the step number as an argument."""
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
    (
        109,
        {"first_cycle_fraction": 0.2, "gamma": 0.9},
        lambda opt, T: timm_restarts(opt, T, whole("0.2", T), 2, decay=0.9),
    ),
]


@pytest.mark.parametrize(("number", "prm", "make"), TIMM)
def test_curve_equals_timm_also_past_the_horizon(number, prm, make):
    """The curve equals timm's scheduler at each step, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, timm_rates(make, horizon, lr, seen(horizon)), prm)


@pytest.mark.parametrize("horizon", [16, 160, 1600])
def test_shrinking_cycles_equal_timm_while_they_shrink(horizon):
    """A0_114 equals timm's halving cycles up to the end of the first cycle of minimum length."""
    for lr in BASE_RATES:
        rates = timm_rates(lambda opt, T: timm_restarts(opt, T, T // 2, 0.5), horizon, lr, 15 * horizon // 16)
        assert_curve(114, horizon, lr, rates)


def joined(pieces):
    """Optax's join of (length, schedule) pieces."""
    ends = np.cumsum([length for length, _ in pieces])
    return optax.join_schedules([schedule for _, schedule in pieces], [int(end) for end in ends[:-1]])


def optax_cycles(horizon, cycle_steps, schedule):
    """Cycles that cover all compared steps; ``cycle_steps(n)`` is the length of cycle n."""
    pieces = []
    while sum(length for length, _ in pieces) < seen(horizon):
        length = cycle_steps(len(pieces))
        pieces.append((length, schedule(len(pieces), length)))
    return joined(pieces)


def halving_cycles(horizon):
    """The length of cycle n, for cycles that halve from T / 2 down to T / 16."""
    lengths = [whole("1/2", horizon)]
    while lengths[-1] // 2 > whole("1/16", horizon):
        lengths.append(lengths[-1] // 2)
    return lambda number: lengths[number] if number < len(lengths) else min(lengths[-1], whole("1/16", horizon))


def optax_echo(lr, horizon):
    """Cosine decay over 0.6 T, warm-up to 0.3 over a tenth of the remaining steps, cosine decay."""
    echo_start = nearest("0.6", horizon)
    echo_steps = horizon - echo_start
    warmup_steps = nearest("0.1", echo_steps)
    first = optax.cosine_decay_schedule(lr, echo_start)
    warmup = optax.linear_schedule(0.0, 0.3 * lr, warmup_steps)
    second = optax.cosine_decay_schedule(0.3 * lr, max(1, echo_steps - warmup_steps))
    return joined([(echo_start, first), (warmup_steps, warmup), (echo_steps, second)])


def optax_cosine(lr, min_lr_ratio=0.0):
    """Cosine decay in each cycle."""
    return lambda number, length: optax.cosine_decay_schedule(lr, length, min_lr_ratio)


OPTAX = {
    107: lambda lr, T: optax_cycles(T, lambda n: whole("1/4", T), optax_cosine(lr)),
    108: lambda lr, T: optax_cycles(T, lambda n: whole("1/15", T) * 2**n, optax_cosine(lr, 0.001)),
    109: lambda lr, T: optax_cycles(
        T, lambda n: whole("1/15", T) * 2**n, lambda n, length: optax.cosine_decay_schedule(lr * 0.6**n, length)
    ),
    111: lambda lr, T: optax_cycles(
        T, lambda n: whole("1/5", T), lambda n, length: optax.linear_schedule(lr, 0.05 * lr, length)
    ),
    112: optax_echo,
    114: lambda lr, T: optax_cycles(T, halving_cycles(T), optax_cosine(lr)),
    115: lambda lr, T: optax_cycles(
        T, lambda n: whole("1/5", T), lambda n, length: optax.exponential_decay(lr, length, 0.05)
    ),
}


@pytest.mark.parametrize("number", OPTAX, ids=key)
def test_curve_equals_joined_optax_schedules(number):
    """The curve equals optax's schedules, joined at the restarts, at each step; A0_112 is constant from T on."""
    steps = np.arange(seen(max(HORIZONS)), dtype=np.float64)  # a single length: jax compiles once per shape
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = np.asarray(OPTAX[number](lr, horizon)(steps))
            assert rates.dtype == np.float64
            expected = held(rates[: horizon + 1], seen(horizon)) if number == 112 else rates[: seen(horizon)]
            assert_curve(number, horizon, lr, expected)


@pytest.mark.parametrize(("first_cycle_fraction", "min_lr_ratio"), [("0.2", 0.05), ("0.3", 0.0), ("1", 0.7)])
def test_linear_restarts_equal_ignite(first_cycle_fraction, min_lr_ratio):
    """A0_111 equals ignite's monotonic cycles, which need at least two steps, at each step, also past the horizon."""
    for horizon in (10, 90, 1000):
        for lr in BASE_RATES:
            simulated = LinearCyclicalScheduler.simulate_values(
                seen(horizon),
                param_name="lr",
                start_value=lr,
                end_value=min_lr_ratio * lr,
                cycle_size=whole(first_cycle_fraction, horizon),
                monotonic=True,
            )
            prm = {"first_cycle_fraction": float(first_cycle_fraction), "min_lr_ratio": min_lr_ratio}
            assert_curve(111, horizon, lr, [rate for _, rate in simulated], prm)


@pytest.mark.parametrize(
    ("first_cycle_fraction", "gamma", "min_lr_ratio"), [("0.2", 0.75, 0.02), ("0.45", 0.9, 0.3), ("1", 1.0, 0.0)]
)
def test_warmup_restarts_equal_pytorch_optimizer(first_cycle_fraction, gamma, min_lr_ratio):
    """A0_110 equals pytorch_optimizer's restarts at each step, also past the horizon.

    That class starts at the minimum even without a warm-up. Its peaks may decay below the minimum, which takes more
    restarts than are compared here.
    """
    for horizon in HORIZONS:
        cycle_steps = whole(first_cycle_fraction, horizon)
        warmup_steps = nearest("0.15", cycle_steps)
        for lr in BASE_RATES:
            rates = trace(
                lambda opt, T, cycle_steps=cycle_steps, warmup_steps=warmup_steps, lr=lr: CosineAnnealingWarmupRestarts(
                    opt, cycle_steps, 1.0, lr, min_lr_ratio * lr, warmup_steps, gamma
                ),
                horizon,
                lr,
                seen(horizon),
            )
            if warmup_steps == 0:
                rates[0] = lr
            prm = {
                "first_cycle_fraction": float(first_cycle_fraction),
                "gamma": gamma,
                "min_lr_ratio": min_lr_ratio,
            }
            assert_curve(110, horizon, lr, rates, prm)


def test_jagged_cosine_equals_transformers_cosine_times_optax_warmups():
    """A0_113 equals transformers' warm-up and cosine decay times optax's linear warm-up after each restart."""
    for horizon in HORIZONS:
        cycle_steps, warmup_steps = whole("1/4", horizon), nearest("0.02", horizon)
        constant = optax.constant_schedule(1.0)
        warmup = optax.linear_schedule(0.001, 1.0, warmup_steps) if warmup_steps else constant
        restarts = -(-(horizon + 1) // cycle_steps)
        pieces = [(cycle_steps, constant), *[(cycle_steps, warmup)] * restarts]
        scale = np.asarray(joined(pieces)(np.arange(horizon + 1, dtype=np.float64)))
        for lr in BASE_RATES:
            cosine = trace(
                lambda opt, T: get_cosine_schedule_with_warmup(opt, nearest("0.05", T), T), horizon, lr, horizon + 1
            )
            assert_curve(113, horizon, lr, held(list(cosine * scale), seen(horizon)))


def at_least_one(fraction: float, horizon: int) -> int:
    """A fraction of the horizon in whole steps, at least one."""
    return max(1, round(fraction * horizon))


def cosine_decay(x: float) -> float:
    """Cosine decay from 1 at x = 0 to 0 at x = 1."""
    return (1 + cos(pi * x)) / 2


def rescaled(min_lr_ratio: float, x: float) -> float:
    """A multiplier between 0 and 1, rescaled to lie between ``min_lr_ratio`` and 1."""
    return min_lr_ratio * (1 - x) + x


def cycle_of(t, cycle_steps, next_length):
    """The number of the cycle of step t, the steps since its start, and its length."""
    number = 0
    while t >= cycle_steps:
        t, cycle_steps, number = t - cycle_steps, next_length(cycle_steps), number + 1
    return number, t, cycle_steps


def equal(cycle_steps: int) -> int:
    """The length of the next cycle when all cycles are equal."""
    return cycle_steps


def double(cycle_steps: int) -> int:
    """The length of the next cycle when cycles double."""
    return 2 * cycle_steps


def sgdr(t, cycle_steps, next_length, min_lr_ratio=0.0, gamma=1.0):
    """Cosine decay in each cycle."""
    number, since_restart, cycle_steps = cycle_of(t, cycle_steps, next_length)
    return gamma**number * rescaled(min_lr_ratio, cosine_decay(since_restart / cycle_steps))


def warmup_restarts(t, T, first_cycle_fraction=0.2, gamma=0.75, min_lr_ratio=0.02):
    """Warm-up over the first 15% of each cycle, then cosine decay; peaks decay, but not below the minimum."""
    number, since_restart, cycle_steps = cycle_of(t, at_least_one(first_cycle_fraction, T), equal)
    warmup_steps = round(0.15 * cycle_steps)
    if since_restart < warmup_steps:
        factor = since_restart / warmup_steps
    else:
        factor = cosine_decay((since_restart - warmup_steps) / (cycle_steps - warmup_steps))
    peak = gamma**number if gamma**number > min_lr_ratio else min_lr_ratio
    return peak * factor + min_lr_ratio * (1 - factor)


def linear_restarts(t, T, first_cycle_fraction=0.2, min_lr_ratio=0.05):
    """Linear decay in each cycle."""
    _, since_restart, cycle_steps = cycle_of(t, at_least_one(first_cycle_fraction, T), equal)
    return rescaled(min_lr_ratio, 1 - since_restart / cycle_steps)


def exponential_restarts(t, T, first_cycle_fraction=0.2, min_lr_ratio=0.05):
    """Exponential decay in each cycle; with a minimum of zero it is zero after the first step."""
    _, since_restart, cycle_steps = cycle_of(t, at_least_one(first_cycle_fraction, T), equal)
    if min_lr_ratio == 0:
        return float(since_restart == 0)
    return exp(log(min_lr_ratio) * since_restart / cycle_steps)


def cosine_echo(t, T, echo_start_fraction=0.6, echo_peak_ratio=0.3, echo_warmup_fraction=0.1):
    """Cosine decay, then warm-up to a lower peak and cosine decay again."""
    echo_start = round(echo_start_fraction * T)
    warmup_steps = round(echo_warmup_fraction * (T - echo_start))
    if t < echo_start:
        return cosine_decay(t / echo_start)
    since_start = t - echo_start
    if since_start < warmup_steps:
        return echo_peak_ratio * (since_start / warmup_steps)
    return echo_peak_ratio * cosine_decay((since_start - warmup_steps) / max(1, T - echo_start - warmup_steps))


def jagged_cosine(t, T, warmup_fraction=0.05, first_cycle_fraction=0.25, restart_warmup_fraction=0.02):
    """Warm-up and cosine decay; after each restart a warm-up from 0.001 times that curve."""
    warmup_steps, restart_warmup_steps = round(warmup_fraction * T), round(restart_warmup_fraction * T)
    rate = t / warmup_steps if t < warmup_steps else cosine_decay((t - warmup_steps) / max(1, T - warmup_steps))
    restarts, since_restart, _ = cycle_of(t, at_least_one(first_cycle_fraction, T), equal)
    if restarts == 0 or since_restart >= restart_warmup_steps:
        return rate
    return rate * rescaled(0.001, since_restart / restart_warmup_steps)


def shrinking_restarts(t, T, first_cycle_fraction=0.5, shortest_cycle_fraction=1 / 16):
    """Cosine decay in cycles that halve until they reach the minimum length."""
    minimum = at_least_one(shortest_cycle_fraction, T)

    def next_length(cycle_steps):
        return cycle_steps if cycle_steps <= minimum else max(minimum, cycle_steps // 2)

    return sgdr(t, at_least_one(first_cycle_fraction, T), next_length)


REFERENCES = {
    107: lambda t, T, first_cycle_fraction=1 / 4: sgdr(t, at_least_one(first_cycle_fraction, T), equal),
    108: lambda t, T, first_cycle_fraction=1 / 15, min_lr_ratio=0.001: sgdr(
        t, at_least_one(first_cycle_fraction, T), double, min_lr_ratio
    ),
    109: lambda t, T, first_cycle_fraction=1 / 15, gamma=0.6: sgdr(
        t, at_least_one(first_cycle_fraction, T), double, gamma=gamma
    ),
    110: warmup_restarts,
    111: linear_restarts,
    112: cosine_echo,
    113: jagged_cosine,
    114: shrinking_restarts,
    115: exponential_restarts,
}
HELD = {112, 113}


def reference(number, horizon, lr, prm):
    """The learning rates at all compared steps."""
    steps = [min(t, horizon) if number in HELD else t for t in range(seen(horizon))]
    return [lr * REFERENCES[number](t, horizon, **prm) for t in steps]


def test_every_restart_variant_from_107_on_has_a_reference():
    """Each variant of the family that no other test file compares has a second implementation and a library."""
    family = {number for number, variant in variants().items() if variant.family == "restarts" and number > 50}
    assert family == set(REFERENCES) == {*TORCH, *(number for number, *_ in TIMM), *OPTAX, 110, 111, 113}


@pytest.mark.parametrize("number", REFERENCES, ids=key)
def test_curve_equals_the_second_implementation(number):
    """The curve equals the second implementation at each horizon and base learning rate, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, reference(number, horizon, lr, {}))


@pytest.mark.parametrize("number", REFERENCES, ids=key)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_curve_equals_the_second_implementation_for_any_hyperparameters(number, data):
    """The curve equals the second implementation for hyperparameters anywhere in their ranges, ends included."""
    horizon = data.draw(st.integers(1, 120), label="horizon")
    prm = {
        p.name: data.draw(st.one_of(st.sampled_from([p.low, p.high]), st.floats(p.low, p.high)), label=p.name)
        for p in variants()[number].hyperparameters
    }
    assert_curve(number, horizon, 0.1, reference(number, horizon, 0.1, prm), prm)


PEAKS = {  # number: horizon, multiplier at the step of each peak
    107: (1000, {0: 1.0, 250: 1.0, 500: 1.0, 750: 1.0, 1000: 1.0}),
    108: (1500, {0: 1.0, 100: 1.0, 300: 1.0, 700: 1.0, 1500: 1.0}),
    109: (1500, {0: 1.0, 100: 0.6, 300: 0.36, 700: 0.216, 1500: 0.1296}),
    110: (1000, {30: 1.0, 230: 0.75, 430: 0.75**2, 630: 0.75**3, 830: 0.75**4, 1030: 0.75**5}),
    111: (1000, {0: 1.0, 200: 1.0, 400: 1.0, 600: 1.0, 800: 1.0, 1000: 1.0}),
    112: (1000, {0: 1.0, 640: 0.3}),
    113: (1000, {50: 1.0, 270: cosine_decay(220 / 950), 520: cosine_decay(470 / 950), 770: cosine_decay(720 / 950)}),
    114: (1600, {0: 1.0, 800: 1.0, 1200: 1.0, 1400: 1.0, 1500: 1.0, 1600: 1.0}),
    115: (1000, {0: 1.0, 200: 1.0, 400: 1.0, 600: 1.0, 800: 1.0, 1000: 1.0}),
}


@pytest.mark.parametrize("number", PEAKS, ids=key)
def test_curve_has_exactly_these_peaks(number):
    """Up to the horizon, the curve has exactly the listed peaks, each with the listed multiplier."""
    assert PEAKS.keys() == REFERENCES.keys()
    horizon, peaks = PEAKS[number]
    rates = curves.rates(variants()[number], np.arange(horizon + 60), horizon)
    padded = [-1.0, *rates]
    steps = [
        t
        for t, (before, rate, after) in enumerate(zip(padded, rates, rates[1:], strict=False))
        if before < rate >= after
    ]
    assert steps == [*peaks]
    assert [rates[t] for t in steps] == pytest.approx([*peaks.values()], abs=1e-12)


LANDMARKS = {  # number: horizon, multipliers at some steps between the peaks
    108: (1500, {99: 0.001 + 0.999 * cosine_decay(0.99), 1499: 0.001 + 0.999 * cosine_decay(799 / 800)}),
    110: (1000, {0: 0.02, 200: 0.02, 1000: 0.02, 15: 0.51}),
    111: (1000, {100: 0.525, 199: 0.05 + 0.95 / 200}),
    112: (1000, {300: 0.5, 600: 0.0, 620: 0.15, 820: 0.15, 1000: 0.0, 1400: 0.0}),
    113: (1000, {250: 0.001 * cosine_decay(200 / 950), 760: 0.5005 * cosine_decay(710 / 950), 1000: 0.0}),
    115: (1000, {100: 0.05**0.5, 150: 0.05**0.75}),
}


@pytest.mark.parametrize("number", LANDMARKS, ids=key)
def test_curve_passes_through_its_landmarks(number):
    """Between its peaks, the curve has the multipliers that the catalogue's summary gives."""
    horizon, landmarks = LANDMARKS[number]
    for step, rate in landmarks.items():
        assert curves.rates(variants()[number], step, horizon) == pytest.approx(rate, abs=1e-12)


def test_the_fifth_shrinking_cycle_ends_with_training():
    """A0_114 has cycles of 1/2, 1/4, 1/8, 1/16 and 1/16 of the horizon."""
    rates = curves.rates(variants()[114], np.arange(1600), 1600)
    starts = [0, *(int(step) for step in np.flatnonzero(np.diff(rates) > 0) + 1)]
    assert [end - start for start, end in pairwise([*starts, 1600])] == [800, 400, 200, 100, 100]

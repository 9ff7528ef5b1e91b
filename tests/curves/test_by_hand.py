"""A0_001 to A0_050 against a second implementation, one step at a time, in plain Python.

It covers cases that the libraries do not: very short horizons, hyperparameters other than the defaults, and steps past
the horizon.
"""

from math import cos, pi, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.curves.comparison import BASE_RATES, HORIZONS, assert_curve, held, key, seen, variants


def at_least_one(fraction: float, horizon: int) -> int:
    """A fraction of the horizon in steps, at least one."""
    return max(1, round(fraction * horizon))


def cosine_decay(x: float) -> float:
    """Cosine decay from 1 at x = 0 to 0 at x = 1."""
    return (1 + cos(pi * x)) / 2


def step_decay(t, T, step_fraction, gamma=0.1):
    """Decay by gamma after each interval of ``step_fraction`` of the horizon."""
    drops = 0
    while t >= (drops + 1) * at_least_one(step_fraction, T):
        drops += 1
    return gamma**drops


def multistep(t, T, fractions, gamma=0.1):
    """Decay by gamma at each milestone."""
    rate = 1.0
    for fraction in fractions:
        if t >= at_least_one(fraction, T):
            rate *= gamma
    return rate


def exponential(t, T, gamma=0.95):
    """Decay by gamma at each step."""
    rate = 1.0
    for _ in range(t):
        rate *= gamma
    return rate


def power(t, T, exponent):
    """A power of the remaining fraction of training."""
    return ((T - t) / T) ** exponent


def cosine(t, T, min_lr_ratio=0.0):
    """Cosine decay to a minimum."""
    return min_lr_ratio * (1 - cosine_decay(t / T)) + cosine_decay(t / T)


def restarts(t, T, first_cycle_fraction, factor):
    """Cosine decay with warm restarts; each cycle is longer than the previous one by a factor."""
    length = at_least_one(first_cycle_fraction, T)
    while t >= length:
        t -= length
        length *= factor
    return cosine_decay(t / length)


def triangular(t, T, amplitude=lambda cycle: 1.0, min_lr_ratio=0.1, half_cycle_fraction=0.1):
    """Triangular cycles between ``min_lr_ratio`` and 1."""
    half = at_least_one(half_cycle_fraction, T)
    cycle, step = divmod(t, 2 * half)
    triangle = step / half if step < half else (2 * half - step) / half
    return min_lr_ratio + (1 - min_lr_ratio) * triangle * amplitude(cycle)


def decaying_triangular(t, T, final_amplitude_ratio=0.01, **prm):
    """Triangular cycles with an exponentially decaying amplitude."""
    return triangular(t, T, lambda cycle: final_amplitude_ratio ** (t / T), **prm)


def one_cycle(t, T, warmup_fraction, decay, div_factor):
    """One-cycle policy with its peak at step warmup_fraction T - 1 (at step 1 if that is 0) and its end at T - 1."""
    t, peak = min(t, T - 1), warmup_fraction * T - 1
    if peak == 0:
        peak = 1
    initial, final = 1 / div_factor, 1 / div_factor / 1e4
    if t <= peak:
        return 1 - (1 - initial) * decay(t / peak)
    return final + (1 - final) * decay((t - peak) / (T - 1 - peak))


def linear_decay(x: float) -> float:
    """Linear decay from 1 at x = 0 to 0 at x = 1."""
    return 1 - x


def warmup(t, T, warmup_fraction, start_factor=0.1):
    """Linear warm-up from ``start_factor``, then a constant learning rate."""
    W = at_least_one(warmup_fraction, T)
    return start_factor + (1 - start_factor) * t / W if t < W else 1.0


def warmup_step_decay(t, T, warmup_fraction=0.1, step_fraction=0.3, gamma=0.1):
    """Linear warm-up, then step decay counted from its end."""
    W = at_least_one(warmup_fraction, T)
    return warmup(t, T, warmup_fraction) if t < W else step_decay(t - W, T, step_fraction, gamma)


def anneal_to_constant(t, T, base, anneal, anneal_start_fraction=0.75, final_lr_ratio=0.05):
    """A base schedule, then annealing to a constant over a tenth of training, which ends by step T."""
    length = at_least_one(0.1, T)
    start = at_least_one(anneal_start_fraction, T)
    start = T - length if start + length > T else start
    if t <= start:
        return base(t)
    weight = anneal(min(1.0, (t - start) / length))
    return base(start) * weight + final_lr_ratio * (1 - weight)


def warmup_then(t, T, warmup_fraction, decay):
    """Linear warm-up from zero over W steps (none if W is 0), then ``decay(t - W, T - W)``."""
    W = round(warmup_fraction * T)
    return t / W if t < W else decay(t - W, max(1, T - W))


def warmup_polynomial(t, T, lr, power, lr_end=1e-7, warmup_fraction=0.1):
    """Linear warm-up, then polynomial decay to ``lr_end`` at step T, also if the warm-up takes all T steps."""
    end = lr_end / lr
    return warmup_then(
        t, T, warmup_fraction, lambda step, decay_steps: end + (1 - end) * ((T - t) / decay_steps) ** power
    )


def hard_restarts(t, T, cycles, warmup_fraction=0.1):
    """Linear warm-up, then cycles of cosine decay; zero from step T on."""

    def decay(step, decay_steps):
        return 0.0 if step >= decay_steps else cosine_decay((cycles * step) % decay_steps / decay_steps)

    return warmup_then(t, T, warmup_fraction, decay)


def warmup_cosine(t, T, warmup_fraction=0.1, min_lr_ratio=0.0):
    """Linear warm-up, then cosine decay to a minimum."""
    return warmup_then(t, T, warmup_fraction, lambda step, decay_steps: cosine(step, decay_steps, min_lr_ratio))


def inverse_sqrt(t, T, warmup_fraction=0.1):
    """Linear warm-up over W steps, then sqrt(W / t); without warm-up sqrt(1 / (t + 1))."""
    W = round(warmup_fraction * T)
    return warmup_then(t, T, warmup_fraction, lambda step, decay_steps: sqrt(W / t) if W else sqrt(1 / (t + 1)))


def warmup_constant(t, T, warmup_fraction):
    """Linear warm-up from zero, then a constant learning rate."""
    return warmup_then(t, T, warmup_fraction, lambda step, decay_steps: 1.0)


BY_HAND = {
    1: lambda t, T, lr, step_fraction=1 / 3, gamma=0.1: step_decay(t, T, step_fraction, gamma),
    2: lambda t, T, lr, gamma=0.1: multistep(t, T, (0.3, 0.6, 0.8), gamma),
    3: lambda t, T, lr, gamma=0.95: exponential(t, T, gamma),
    4: lambda t, T, lr: power(t, T, 2),
    5: lambda t, T, lr: power(t, T, 3),
    6: lambda t, T, lr: cosine(t, T),
    7: lambda t, T, lr, min_lr_ratio=0.01: cosine(t, T, min_lr_ratio),
    8: lambda t, T, lr, first_cycle_fraction=1 / 9: restarts(t, T, first_cycle_fraction, 2),
    9: lambda t, T, lr, first_cycle_fraction=2 / 9: restarts(t, T, first_cycle_fraction, 1),
    10: lambda t, T, lr, **prm: triangular(t, T, **prm),
    11: lambda t, T, lr, **prm: triangular(t, T, lambda cycle: 1 / 2**cycle, **prm),
    12: lambda t, T, lr, **prm: decaying_triangular(t, T, **prm),
    13: lambda t, T, lr, warmup_fraction=0.3: one_cycle(t, T, warmup_fraction, cosine_decay, 25),
    14: lambda t, T, lr, warmup_fraction=0.1: one_cycle(t, T, warmup_fraction, linear_decay, 10),
    15: lambda t, T, lr, warmup_fraction=0.1: warmup(t, T, warmup_fraction),
    16: lambda t, T, lr, warmup_fraction=0.1: 0.5 if t < at_least_one(warmup_fraction, T) else 1.0,
    17: lambda t, T, lr, min_lr_ratio=0.1: max(min_lr_ratio, (T - t) / T),
    18: lambda t, T, lr: power(t, T, 2),
    19: lambda t, T, lr, gamma=0.95: exponential(t, T, gamma),
    20: lambda t, T, lr, step_fraction=1 / 3, gamma=0.1: step_decay(t, T, step_fraction, gamma) * cosine(t, T),
    21: lambda t, T, lr, **prm: warmup_step_decay(t, T, **prm),
    22: lambda t, T, lr, gamma=0.95: exponential(t, T, gamma),
    23: lambda t, T, lr: cosine(t, T),
    24: lambda t, T, lr, step_fraction=0.5, gamma=0.1: step_decay(t, T, step_fraction, gamma),
    25: lambda t, T, lr, gamma=0.1: multistep(t, T, (0.25, 0.5, 0.75, 0.9), gamma),
    26: lambda t, T, lr, min_lr_ratio=0.1: cosine(t, T, min_lr_ratio),
    27: lambda t, T, lr, warmup_fraction=0.3: one_cycle(t, T, warmup_fraction, linear_decay, 25),
    28: lambda t, T, lr, half_cycle_fraction=0.05, **prm: triangular(
        t, T, half_cycle_fraction=half_cycle_fraction, **prm
    ),
    29: lambda t, T, lr: power(t, T, 4),
    30: lambda t, T, lr, milestone_fraction=0.5, gamma=0.1: gamma if t > milestone_fraction * T else 1.0,
    34: lambda t, T, lr, **prm: anneal_to_constant(t, T, lambda step: cosine(step, T), cosine_decay, **prm),
    35: lambda t, T, lr, warmup_fraction=0.2, **prm: anneal_to_constant(
        t, T, lambda step: warmup(step, T, warmup_fraction), linear_decay, **prm
    ),
    36: lambda t, T, lr, warmup_fraction=0.1: warmup_polynomial(t, T, lr, 1, 0.0, warmup_fraction),
    37: lambda t, T, lr, warmup_fraction=0.1: warmup_cosine(t, T, warmup_fraction),
    38: lambda t, T, lr, warmup_fraction=0.1: hard_restarts(t, T, 1, warmup_fraction),
    39: lambda t, T, lr, warmup_fraction=0.1: warmup_polynomial(t, T, lr, 2, 1e-7, warmup_fraction),
    40: lambda t, T, lr, warmup_fraction=0.1: warmup_constant(t, T, warmup_fraction),
    41: lambda t, T, lr: 1.0,
    42: lambda t, T, lr, warmup_fraction=0.1: inverse_sqrt(t, T, warmup_fraction),
    43: lambda t, T, lr, warmup_fraction=0.1, min_lr_ratio=0.01: warmup_cosine(t, T, warmup_fraction, min_lr_ratio),
    44: lambda t, T, lr, warmup_fraction=0.05: warmup_polynomial(t, T, lr, 1, 0.0, warmup_fraction),
    45: lambda t, T, lr, warmup_fraction=0.1: hard_restarts(t, T, 2, warmup_fraction),
    46: lambda t, T, lr, warmup_fraction=0.1: hard_restarts(t, T, 3, warmup_fraction),
    47: lambda t, T, lr, warmup_fraction=0.1: warmup_polynomial(t, T, lr, 1, 1e-7, warmup_fraction),
    48: lambda t, T, lr, warmup_fraction=0.1: warmup_polynomial(t, T, lr, 3, 1e-7, warmup_fraction),
    49: lambda t, T, lr, warmup_fraction=0.2: warmup_constant(t, T, warmup_fraction),
    50: lambda t, T, lr, warmup_fraction=0.05: warmup_constant(t, T, warmup_fraction),
}
# The variants that are constant past the horizon.
HELD = {4, 5, 6, 7, *range(13, 19), 20, 23, 26, 27, 29, *range(34, 42), *range(43, 51)}


def by_hand(number, horizon, lr, prm):
    """The learning rates at all compared steps."""
    at = [min(t, horizon) if number in HELD else t for t in range(seen(horizon))]
    return [lr * BY_HAND[number](t, horizon, lr, **prm) for t in at]


def test_every_step_driven_variant_up_to_50_has_a_second_implementation():
    """All of the first fifty variants except the three metric-driven ones have a second implementation here."""
    assert sorted(BY_HAND) == [number for number in range(1, 51) if number not in (31, 32, 33)]


@pytest.mark.parametrize("number", BY_HAND, ids=key)
def test_a_curve_equals_the_second_implementation(number):
    """The curve equals the second implementation at each horizon and base learning rate, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, by_hand(number, horizon, lr, {}))


WITH_HYPERPARAMETERS = [number for number in BY_HAND if variants()[number].hyperparameters]


@pytest.mark.parametrize("number", WITH_HYPERPARAMETERS, ids=key)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_curve_equals_the_second_implementation_for_any_hyperparameters(number, data):
    """The curve equals the second implementation for hyperparameters anywhere in their ranges."""
    horizon = data.draw(st.integers(1, 120), label="horizon")
    prm = {p.name: data.draw(st.floats(p.low, p.high), label=p.name) for p in variants()[number].hyperparameters}
    assert_curve(number, horizon, 0.1, by_hand(number, horizon, 0.1, prm), prm)


@pytest.mark.parametrize(("horizon", "warmup_fraction"), [(2, 0.5), (4, 0.25), (5, 0.2), (10, 0.1)])
@pytest.mark.parametrize("number", [13, 14, 27], ids=key)
def test_a_warm_up_of_zero_steps_takes_one_step(number, horizon, warmup_fraction):
    """Where warmup_fraction T is 1, a one-cycle policy peaks at step 1, decays until step T - 1 and stays there."""
    initial = 1 / {13: 25, 14: 10, 27: 25}[number]
    final = initial / 1e4
    anneal = cosine_decay if number == 13 else linear_decay
    decay = [final + (1 - final) * anneal(step / (horizon - 2)) for step in range(1, horizon - 1)]
    expected = held([initial, 1.0, *decay], seen(horizon))
    assert_curve(number, horizon, 1.0, expected, {"warmup_fraction": warmup_fraction})

"""Every schedule written a second time, as the sentence of its table says it: one step, plain numbers, no arrays.

It covers what no library does: horizons too short for theirs, hyperparameters other than the defaults, and the steps
past the end where a library's class goes astray.
"""

from math import cos, pi, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.curves.comparison import BASE_RATES, HORIZONS, assert_promised, held, key, seen, variants


def some(fraction: float, horizon: int) -> int:
    """Whole steps, at least one."""
    return max(1, round(fraction * horizon))


def half_cosine(x: float) -> float:
    """From 1 at 0 to 0 at 1."""
    return (1 + cos(pi * x)) / 2


def steps(t, T, step_fraction, gamma=0.1):
    """A drop after every so many steps."""
    drops = 0
    while t >= (drops + 1) * some(step_fraction, T):
        drops += 1
    return gamma**drops


def milestones(t, T, fractions, gamma=0.1):
    """A drop at each of some moments."""
    rate = 1.0
    for fraction in fractions:
        if t >= some(fraction, T):
            rate *= gamma
    return rate


def decay(t, T, gamma=0.95):
    """A factor a step."""
    rate = 1.0
    for _ in range(t):
        rate *= gamma
    return rate


def power(t, T, exponent):
    """A power of what remains."""
    return ((T - t) / T) ** exponent


def cosine(t, T, min_lr_ratio=0.0):
    """Half a cosine to a floor."""
    return min_lr_ratio * (1 - half_cosine(t / T)) + half_cosine(t / T)


def restarts(t, T, first_cycle_fraction, factor):
    """Half a cosine in cycles, each longer by a factor."""
    length = some(first_cycle_fraction, T)
    while t >= length:
        t -= length
        length *= factor
    return half_cosine(t / length)


def triangles(t, T, height=lambda cycle: 1.0, min_lr_ratio=0.1, half_cycle_fraction=0.1):
    """Up and down between two bounds."""
    half = some(half_cycle_fraction, T)
    cycle, place = divmod(t, 2 * half)
    wave = place / half if place < half else (2 * half - place) / half
    return min_lr_ratio + (1 - min_lr_ratio) * wave * height(cycle)


def triangles_decaying(t, T, final_amplitude_ratio=0.01, **prm):
    """Triangles under an exponential."""
    return triangles(t, T, lambda cycle: final_amplitude_ratio ** (t / T), **prm)


def one_cycle(t, T, warmup_fraction, fall, div_factor):
    """Up to the peak at warmup T - 1 and down at T - 1; a climb of no steps takes one."""
    t, top = min(t, T - 1), warmup_fraction * T - 1
    if top == 0:
        top = 1
    first, last = 1 / div_factor, 1 / div_factor / 1e4
    if t <= top:
        return 1 - (1 - first) * fall(t / top)
    return last + (1 - last) * fall((t - top) / (T - 1 - top))


def line(x: float) -> float:
    """From 1 at 0 to 0 at 1."""
    return 1 - x


def ramp(t, T, warmup, first=0.1):
    """A line from a part of the base rate to all of it."""
    climb = some(warmup, T)
    return first + (1 - first) * t / climb if t < climb else 1.0


def warm_steps(t, T, warmup_fraction=0.1, step_fraction=0.3, gamma=0.1):
    """A climb, then steps counted from its end."""
    climb = some(warmup_fraction, T)
    return ramp(t, T, warmup_fraction) if t < climb else steps(t - climb, T, step_fraction, gamma)


def swa(t, T, base, fall, swa_start_fraction=0.75, swa_ratio=0.05):
    """A base schedule until a moment, then over a tenth to the SWA rate; never past the horizon."""
    length = some(0.1, T)
    start = some(swa_start_fraction, T)
    start = T - length if start + length > T else start
    if t <= start:
        return base(t)
    share = fall(min(1.0, (t - start) / length))
    return base(start) * share + swa_ratio * (1 - share)


def climb_then(t, T, warmup, after, at_least=0):
    """A climb from zero over W steps, perhaps none, then what comes after them: a function of (t - W, T - W)."""
    climb = max(at_least, round(warmup * T))
    return t / climb if t < climb else after(t - climb, max(1, T - climb))


def towards(end: float, exponent: float):
    """What remains, to a power, and an end; at the last step nothing remains, also after a climb of all T steps."""
    return lambda lr, t, T: lambda since, rest: end / lr + (1 - end / lr) * ((T - t) / rest) ** exponent


def polynomial(t, T, lr, exponent, end=1e-7, warmup=0.1):
    """A climb, then a power of what remains."""
    return climb_then(t, T, warmup, towards(end, exponent)(lr, t, T))


def hard_restarts(t, T, cycles, warmup_fraction=0.1):
    """A climb, then whole cycles; zero at the end."""

    def after(since, rest):
        return 0.0 if since >= rest else half_cosine((cycles * since) % rest / rest)

    return climb_then(t, T, warmup_fraction, after)


def warm_cosine(t, T, warmup_fraction=0.1, min_lr_ratio=0.0):
    """A climb, then half a cosine to a floor."""
    return climb_then(t, T, warmup_fraction, lambda since, rest: cosine(since, rest, min_lr_ratio))


def square_root(t, T, warmup=0.1):
    """A climb over W steps, then sqrt(W / t); without a climb sqrt(1 / (t + 1)), which is 1 at first."""
    climb = round(warmup * T)
    return climb_then(t, T, warmup, lambda since, rest: sqrt(climb / t) if climb else sqrt(1 / (t + 1)))


def flat(t, T, warmup):
    """A climb, then the base rate."""
    return climb_then(t, T, warmup, lambda since, rest: 1.0)


BY_HAND = {
    1: lambda t, T, lr, step_fraction=1 / 3, gamma=0.1: steps(t, T, step_fraction, gamma),
    2: lambda t, T, lr, gamma=0.1: milestones(t, T, (0.3, 0.6, 0.8), gamma),
    3: lambda t, T, lr, gamma=0.95: decay(t, T, gamma),
    4: lambda t, T, lr: power(t, T, 2),
    5: lambda t, T, lr: power(t, T, 3),
    6: lambda t, T, lr: cosine(t, T),
    7: lambda t, T, lr, min_lr_ratio=0.01: cosine(t, T, min_lr_ratio),
    8: lambda t, T, lr, first_cycle_fraction=1 / 9: restarts(t, T, first_cycle_fraction, 2),
    9: lambda t, T, lr, first_cycle_fraction=2 / 9: restarts(t, T, first_cycle_fraction, 1),
    10: lambda t, T, lr, **prm: triangles(t, T, **prm),
    11: lambda t, T, lr, **prm: triangles(t, T, lambda cycle: 1 / 2**cycle, **prm),
    12: lambda t, T, lr, **prm: triangles_decaying(t, T, **prm),
    13: lambda t, T, lr, warmup_fraction=0.3: one_cycle(t, T, warmup_fraction, half_cosine, 25),
    14: lambda t, T, lr, warmup_fraction=0.1: one_cycle(t, T, warmup_fraction, line, 10),
    15: lambda t, T, lr, warmup_fraction=0.1: ramp(t, T, warmup_fraction),
    16: lambda t, T, lr, warmup_fraction=0.1: 0.5 if t < some(warmup_fraction, T) else 1.0,
    17: lambda t, T, lr, min_lr_ratio=0.1: max(min_lr_ratio, (T - t) / T),
    18: lambda t, T, lr: power(t, T, 2),
    19: lambda t, T, lr, gamma=0.95: decay(t, T, gamma),
    20: lambda t, T, lr, step_fraction=1 / 3, gamma=0.1: steps(t, T, step_fraction, gamma) * cosine(t, T),
    21: lambda t, T, lr, **prm: warm_steps(t, T, **prm),
    22: lambda t, T, lr, gamma=0.95: decay(t, T, gamma),
    23: lambda t, T, lr: cosine(t, T),
    24: lambda t, T, lr, step_fraction=0.5, gamma=0.1: steps(t, T, step_fraction, gamma),
    25: lambda t, T, lr, gamma=0.1: milestones(t, T, (0.25, 0.5, 0.75, 0.9), gamma),
    26: lambda t, T, lr, min_lr_ratio=0.1: cosine(t, T, min_lr_ratio),
    27: lambda t, T, lr, warmup_fraction=0.3: one_cycle(t, T, warmup_fraction, line, 25),
    28: lambda t, T, lr, half_cycle_fraction=0.05, **prm: triangles(
        t, T, half_cycle_fraction=half_cycle_fraction, **prm
    ),
    29: lambda t, T, lr: power(t, T, 4),
    30: lambda t, T, lr, milestone_fraction=0.5, gamma=0.1: gamma if t > milestone_fraction * T else 1.0,
    34: lambda t, T, lr, **prm: swa(t, T, lambda at: cosine(at, T), half_cosine, **prm),
    35: lambda t, T, lr, warmup_fraction=0.2, **prm: swa(t, T, lambda at: ramp(at, T, warmup_fraction), line, **prm),
    36: lambda t, T, lr, warmup_fraction=0.1: polynomial(t, T, lr, 1, 0.0, warmup_fraction),
    37: lambda t, T, lr, warmup_fraction=0.1: warm_cosine(t, T, warmup_fraction),
    38: lambda t, T, lr, warmup_fraction=0.1: hard_restarts(t, T, 1, warmup_fraction),
    39: lambda t, T, lr, warmup_fraction=0.1: polynomial(t, T, lr, 2, 1e-7, warmup_fraction),
    40: lambda t, T, lr, warmup_fraction=0.1: flat(t, T, warmup_fraction),
    41: lambda t, T, lr: 1.0,
    42: lambda t, T, lr, warmup_fraction=0.1: square_root(t, T, warmup_fraction),
    43: lambda t, T, lr, warmup_fraction=0.1, min_lr_ratio=0.01: warm_cosine(t, T, warmup_fraction, min_lr_ratio),
    44: lambda t, T, lr, warmup_fraction=0.05: polynomial(t, T, lr, 1, 0.0, warmup_fraction),
    45: lambda t, T, lr, warmup_fraction=0.1: hard_restarts(t, T, 2, warmup_fraction),
    46: lambda t, T, lr, warmup_fraction=0.1: hard_restarts(t, T, 3, warmup_fraction),
    47: lambda t, T, lr, warmup_fraction=0.1: polynomial(t, T, lr, 1, 1e-7, warmup_fraction),
    48: lambda t, T, lr, warmup_fraction=0.1: polynomial(t, T, lr, 3, 1e-7, warmup_fraction),
    49: lambda t, T, lr, warmup_fraction=0.2: flat(t, T, warmup_fraction),
    50: lambda t, T, lr, warmup_fraction=0.05: flat(t, T, warmup_fraction),
}
HELD = {4, 5, 6, 7, *range(13, 19), 20, 23, 26, 27, 29, *range(34, 42), *range(43, 51)}  # the table's own list


def by_hand(number, horizon, lr, prm):
    """The rates of all steps that are compared."""
    at = [min(t, horizon) if number in HELD else t for t in range(seen(horizon))]
    return [lr * BY_HAND[number](t, horizon, lr, **prm) for t in at]


def test_every_schedule_of_the_table_is_compared():
    """All fifty but the three that follow a metric are written out here."""
    assert sorted(BY_HAND) == [number for number in range(1, 51) if number not in (31, 32, 33)]


@pytest.mark.parametrize("number", BY_HAND, ids=key)
def test_a_curve_says_what_its_sentence_in_the_table_says(number):
    """The curve equals the sentence at every horizon and base rate, past the end held or going on as the table says."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, by_hand(number, horizon, lr, {}))


WITH_HYPERPARAMETERS = [number for number in BY_HAND if variants()[number].hyperparameters]


@pytest.mark.parametrize("number", WITH_HYPERPARAMETERS, ids=key)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_hyperparameter_does_in_the_curve_what_its_sentence_says(number, data):
    """The curve equals the sentence for hyperparameters anywhere in their ranges."""
    horizon = data.draw(st.integers(1, 120), label="horizon")
    prm = {p.name: data.draw(st.floats(p.low, p.high), label=p.name) for p in variants()[number].hyperparameters}
    assert_promised(number, horizon, 0.1, by_hand(number, horizon, 0.1, prm), prm)


@pytest.mark.parametrize(("horizon", "warmup"), [(2, 0.5), (4, 0.25), (5, 0.2), (10, 0.1)])
@pytest.mark.parametrize("number", [13, 14, 27], ids=key)
def test_a_climb_that_torch_divides_by_takes_one_step(number, horizon, warmup):
    """Where pct T is 1, a one-cycle is at its first rate, then at the peak, then falls to its last one and stays."""
    first = 1 / {13: 25, 14: 10, 27: 25}[number]
    shape = half_cosine if number == 13 else line
    fall = [first / 1e4 + (1 - first / 1e4) * shape(step / (horizon - 2)) for step in range(1, horizon - 1)]
    expected = [first, 1.0, *fall]
    assert_promised(number, horizon, 1.0, held(expected, seen(horizon)), {"warmup_fraction": warmup})

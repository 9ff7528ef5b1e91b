"""A0_116 to A0_123 against the cycles of torch, ignite and transformers, and by hand from their sources' formulas."""

from math import cos, floor, pi, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.handlers.param_scheduler import LinearCyclicalScheduler, PiecewiseLinear
from torch.optim import lr_scheduler as ls
from transformers import get_cosine_schedule_with_warmup

from lrgen import curves
from tests.curves.comparison import BASE_RATES, HORIZONS, assert_promised, key, nearest, seen, trace, variants, whole


def simulated(kind, horizon, **arguments) -> np.ndarray:
    """The values that one of ignite's schedulers would set."""
    return np.array([value for _, value in kind.simulate_values(seen(horizon), param_name="lr", **arguments)])


def triangles(horizon, half_cycle, start, end) -> np.ndarray:
    """Ignite's cycles from one value to another and back."""
    size = 2 * whole(half_cycle, horizon)
    return simulated(LinearCyclicalScheduler, horizon, start_value=start, end_value=end, cycle_size=size)


def cosines(horizon, half_cycle) -> np.ndarray:
    """Waves between 1 and 0: a whole cosine, which transformers does not end with its training steps."""
    size = 2 * whole(half_cycle, horizon)
    return np.array(
        trace(lambda opt, T: get_cosine_schedule_with_warmup(opt, 0, size, num_cycles=1), horizon, 1.0, seen(horizon))
    )


CYCLES = {
    117: lambda T: 1 - 0.9 * cosines(T, "0.1"),
    118: lambda T: 1 - 0.9 * triangles(T, "0.1", 1.0, 0.0) ** 2,  # no library has a parabola
    119: lambda T: 0.1 + 0.9 * cosines(T, "1/6"),
    121: lambda T: triangles(T, "0.125", 1.0, 0.2),
}


@pytest.mark.parametrize("number", CYCLES, ids=key)
def test_a_cycle_is_what_other_libraries_do_also_past_the_horizon(number):
    """The curve equals ignite's triangles or transformers' waves at each step, the ones past the horizon included."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, lr * CYCLES[number](horizon))


@pytest.mark.parametrize("horizon", [20, 90, 1000])
def test_a_saw_after_training_is_ignites_lines_and_then_its_cycles(horizon):
    """A0_120 equals ignite's line of 1, 1, 0.01 up to 0.7 T and then ignite's cycles from a half to a twentieth."""
    start, turn = nearest("0.4", horizon), nearest("0.7", horizon)
    corners = [(0, 1.0), (start, 1.0), (turn, 0.01)]
    train = simulated(PiecewiseLinear, horizon, milestones_values=corners)
    size = whole("0.1", horizon)
    saw = simulated(LinearCyclicalScheduler, horizon, start_value=0.5, end_value=0.05, cycle_size=size)
    for lr in BASE_RATES:
        assert_promised(120, horizon, lr, lr * np.concatenate([train[:turn], saw[:-turn]]))


def asymmetric(optimizer, horizon, cycle="0.2", rise="0.15", floor_ratio=0.1):
    """Torch's cycles, the first phase a part of the whole."""
    lr = optimizer.defaults["lr"]
    length = nearest(cycle, horizon)
    up = whole(rise, length)
    return ls.CyclicLR(optimizer, floor_ratio * lr, lr, up, max(1, length - up), cycle_momentum=False)


def bouncing(optimizer, horizon, half_cycle="1/6", floor_ratio=0.1):
    """Torch's cosine, which climbs again after its last step."""
    lr = optimizer.defaults["lr"]
    return ls.CosineAnnealingLR(optimizer, whole(half_cycle, horizon), floor_ratio * lr)


TORCH = [
    (116, {}, asymmetric),
    (116, {"cycle": 0.4, "rise": 0.6, "min_lr_ratio": 0.3}, lambda opt, T: asymmetric(opt, T, "0.4", "0.6", 0.3)),
    (116, {"rise": 1.0}, lambda opt, T: asymmetric(opt, T, rise="1")),
    (119, {}, bouncing),
    (119, {"half_cycle": 0.25, "min_lr_ratio": 0.4}, lambda opt, T: bouncing(opt, T, "0.25", 0.4)),
]


@pytest.mark.parametrize(("number", "prm", "make"), TORCH, ids=[f"{key(number)}-{prm}" for number, prm, _ in TORCH])
def test_a_cycle_is_what_its_torch_class_does_also_past_the_horizon(number, prm, make):
    """The curve equals torch's class with the same arguments at each step, the ones past the horizon included."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, trace(make, horizon, lr, seen(horizon)), prm)


def some(fraction: float, horizon: int, least: int = 1) -> int:
    """Whole steps, not less than some."""
    return max(least, round(fraction * horizon))


def between(low: float, height: float) -> float:
    """The rate at a height between a lower bound and 1."""
    return low + (1 - low) * height


def triangle(t, half):
    """From 0 to 1 and back."""
    place = t % (2 * half)
    return place / half if place < half else (2 * half - place) / half


def by_hand_116(t, T, min_lr_ratio=0.1, cycle=0.2, rise=0.15):
    """The climb and the fall of one cycle, counted from its start."""
    length = round(cycle * T)
    up = some(rise, length)
    down = max(1, length - up)
    place = t % (up + down)
    return between(min_lr_ratio, place / up if place < up else 1 - (place - up) / down)


def by_hand_120(t, T, peak=0.5, min_lr_ratio=0.05, cycle=0.1):
    """Train, anneal, then FGE's formula: a(x) = (1 - 2x) a1 + 2x a2 up to x = 1/2, then (2 - 2x) a2 + (2x - 1) a1."""
    start, turn = round(0.4 * T), round(0.7 * T)
    if t < start:
        return 1.0
    if t < turn:
        return (1.0 * (turn - t) + 0.01 * (t - start)) / (turn - start)
    size = some(cycle, T)
    x = (t - turn) % size / size
    if x <= 0.5:
        return (1 - 2 * x) * peak + 2 * x * min_lr_ratio
    return (2 - 2 * x) * min_lr_ratio + (2 * x - 1) * peak


def julia(t, period, ratio):
    """ParameterSchedulers.jl counts its iterations from 1 and scales |sin| by the distance of its two ends."""
    iteration = t + 1
    return abs(1 - ratio) * abs(sin(pi * (iteration - 1) / period))


def by_hand_122(t, T, min_lr_ratio=0.05, cycle=0.2):
    """``SinDecay2``."""
    period = some(cycle, T, 2)
    return julia(t, period, min_lr_ratio) / 2 ** floor(t / period) + min_lr_ratio


def by_hand_123(t, T, min_lr_ratio=0.05, cycle=0.125, final_amplitude=0.1):
    """``SinExp``, whose decay for each step is the T-th root of that over training."""
    return julia(t, some(cycle, T, 2), min_lr_ratio) * (final_amplitude ** (1 / T)) ** t + min_lr_ratio


BY_HAND = {
    116: by_hand_116,
    117: lambda t, T, min_lr_ratio=0.1, half_cycle=0.1: between(
        min_lr_ratio, 0.5 * (1 - cos(pi * triangle(t, some(half_cycle, T))))
    ),
    118: lambda t, T, min_lr_ratio=0.1, half_cycle=0.1: between(
        min_lr_ratio, 1 - (1 - triangle(t, some(half_cycle, T))) ** 2
    ),
    119: lambda t, T, min_lr_ratio=0.1, half_cycle=1 / 6: between(
        min_lr_ratio, 0.5 * (1 + cos(2 * pi * t / (2 * some(half_cycle, T))))
    ),
    120: by_hand_120,
    121: lambda t, T, min_lr_ratio=0.2, half_cycle=0.125: between(min_lr_ratio, 1 - triangle(t, some(half_cycle, T))),
    122: by_hand_122,
    123: by_hand_123,
}


def test_every_schedule_of_the_family_is_compared():
    """All cyclic variants from 51 on are written out here."""
    numbers = [number for number, variant in variants().items() if variant.family == "cyclic" and number > 50]
    assert sorted(BY_HAND) == numbers


@pytest.mark.parametrize("number", BY_HAND, ids=key)
def test_a_curve_says_what_the_formula_of_its_source_says(number):
    """The curve equals the formula written out for one step, at every horizon and base rate, and goes on with it."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, [lr * BY_HAND[number](t, horizon) for t in range(seen(horizon))])


@pytest.mark.parametrize("number", BY_HAND, ids=key)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_hyperparameter_does_in_the_curve_what_the_formula_says(number, data):
    """The curve equals the formula for hyperparameters anywhere in their ranges."""
    horizon = data.draw(st.integers(1, 120), label="horizon")
    prm = {p.name: data.draw(st.floats(p.low, p.high), label=p.name) for p in variants()[number].hyperparameters}
    expected = [0.1 * BY_HAND[number](t, horizon, **prm) for t in range(seen(horizon))]
    assert_promised(number, horizon, 0.1, expected, prm)


TURNS = {  # step of horizon 1000: part of the base rate
    116: {0: 0.1, 15: 0.55, 30: 1.0, 115: 0.55, 200: 0.1, 230: 1.0, 1030: 1.0},
    117: {0: 0.1, 50: 0.55, 100: 1.0, 200: 0.1, 1100: 1.0},
    118: {0: 0.1, 50: 0.775, 100: 1.0, 150: 0.775, 200: 0.1, 1100: 1.0},
    119: {0: 1.0, 167: 0.1, 334: 1.0, 1169: 0.1},
    120: {0: 1.0, 399: 1.0, 550: 0.505, 700: 0.5, 725: 0.275, 750: 0.05, 775: 0.275, 800: 0.5, 1050: 0.05},
    121: {0: 1.0, 125: 0.2, 250: 1.0, 1125: 0.2},
    122: {0: 0.05, 100: 1.0, 200: 0.05, 300: 0.525, 500: 0.2875, 1100: 0.0796875},
    123: {0: 0.05, 125: 0.05, 250: 0.05, 1000: 0.05, 1125: 0.05},
}


@pytest.mark.parametrize("number", TURNS, ids=key)
def test_a_cycle_turns_where_its_numbers_say(number):
    """The rates at the turns and half-way between them are the ones that the sentence of the schedule gives."""
    rates = curves.rates(variants()[number], list(TURNS[number]), 1000)
    assert rates.tolist() == pytest.approx(list(TURNS[number].values()), abs=1e-12)


def test_the_arches_of_a_decaying_sine_touch_their_envelope():
    """A0_123 is never above 0.05 + 0.95 * 0.1 ** (t / T), and touches that in the middle of each arch."""
    steps = np.arange(0, 16_000)
    rates, envelope = curves.rates(variants()[123], steps, 8000), 0.05 + 0.95 * 0.1 ** (steps / 8000)
    assert (rates <= envelope + 1e-12).all()
    middles = 500 + 1000 * np.arange(16)
    assert rates[middles] == pytest.approx(envelope[middles], abs=1e-12)

"""A0_116 to A0_123 against torch, ignite and transformers, and against a second implementation."""

from math import cos, floor, pi, sin

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.handlers.param_scheduler import LinearCyclicalScheduler, PiecewiseLinear
from torch.optim import lr_scheduler as ls
from transformers import get_cosine_schedule_with_warmup

from lrgen import curves
from tests.curves.comparison import BASE_RATES, HORIZONS, assert_curve, key, nearest, seen, trace, variants, whole


def simulated(kind, horizon, **arguments) -> np.ndarray:
    """The learning rates of an ignite scheduler."""
    return np.array([value for _, value in kind.simulate_values(seen(horizon), param_name="lr", **arguments)])


def ignite_triangles(horizon, half_cycle_fraction, start, end) -> np.ndarray:
    """Ignite's linear cycles from ``start`` to ``end`` and back."""
    size = 2 * whole(half_cycle_fraction, horizon)
    return simulated(LinearCyclicalScheduler, horizon, start_value=start, end_value=end, cycle_size=size)


def hf_cosine_wave(horizon, half_cycle_fraction) -> np.ndarray:
    """Transformers' cosine schedule with one cycle, which continues past its training steps as a wave."""
    size = 2 * whole(half_cycle_fraction, horizon)
    return np.array(
        trace(lambda opt, T: get_cosine_schedule_with_warmup(opt, 0, size, num_cycles=1), horizon, 1.0, seen(horizon))
    )


CYCLES = {
    117: lambda T: 1 - 0.9 * hf_cosine_wave(T, "0.1"),
    118: lambda T: 1 - 0.9 * ignite_triangles(T, "0.1", 1.0, 0.0) ** 2,  # no library has parabolic cycles
    119: lambda T: 0.1 + 0.9 * hf_cosine_wave(T, "1/6"),
    121: lambda T: ignite_triangles(T, "0.125", 1.0, 0.2),
}


@pytest.mark.parametrize("number", CYCLES, ids=key)
def test_curve_equals_other_libraries_also_past_the_horizon(number):
    """The curve equals ignite's triangles or transformers' cosine wave at each step, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, lr * CYCLES[number](horizon))


@pytest.mark.parametrize("horizon", [20, 90, 1000])
def test_ensembling_cycles_equal_ignites_linear_pieces_and_cycles(horizon):
    """A0_120 equals ignite's piecewise-linear schedule up to 0.7 T and ignite's cycles from 0.5 to 0.05 after it."""
    decay_start, cycle_start = nearest("0.4", horizon), nearest("0.7", horizon)
    milestones = [(0, 1.0), (decay_start, 1.0), (cycle_start, 0.01)]
    decay = simulated(PiecewiseLinear, horizon, milestones_values=milestones)
    size = whole("0.1", horizon)
    cycles = simulated(LinearCyclicalScheduler, horizon, start_value=0.5, end_value=0.05, cycle_size=size)
    for lr in BASE_RATES:
        assert_curve(120, horizon, lr, lr * np.concatenate([decay[:cycle_start], cycles[:-cycle_start]]))


def torch_asymmetric(optimizer, horizon, cycle_fraction="0.2", rise_fraction="0.15", min_lr_ratio=0.1):
    """Torch's CyclicLR whose increasing phase is a fraction of the cycle."""
    lr = optimizer.defaults["lr"]
    cycle_steps = nearest(cycle_fraction, horizon)
    up = whole(rise_fraction, cycle_steps)
    return ls.CyclicLR(optimizer, min_lr_ratio * lr, lr, up, max(1, cycle_steps - up), cycle_momentum=False)


def torch_cosine_wave(optimizer, horizon, half_cycle_fraction="1/6", min_lr_ratio=0.1):
    """Torch's CosineAnnealingLR, which increases again past ``T_max``."""
    lr = optimizer.defaults["lr"]
    return ls.CosineAnnealingLR(optimizer, whole(half_cycle_fraction, horizon), min_lr_ratio * lr)


TORCH = [
    (116, {}, torch_asymmetric),
    (
        116,
        {"cycle_fraction": 0.4, "rise_fraction": 0.6, "min_lr_ratio": 0.3},
        lambda opt, T: torch_asymmetric(opt, T, "0.4", "0.6", 0.3),
    ),
    (116, {"rise_fraction": 1.0}, lambda opt, T: torch_asymmetric(opt, T, rise_fraction="1")),
    (119, {}, torch_cosine_wave),
    (119, {"half_cycle_fraction": 0.25, "min_lr_ratio": 0.4}, lambda opt, T: torch_cosine_wave(opt, T, "0.25", 0.4)),
]


@pytest.mark.parametrize(("number", "prm", "make"), TORCH, ids=[f"{key(number)}-{prm}" for number, prm, _ in TORCH])
def test_curve_equals_its_torch_class_also_past_the_horizon(number, prm, make):
    """The curve equals torch's class with the same arguments at each step, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, trace(make, horizon, lr, seen(horizon)), prm)


def at_least(minimum: int, fraction: float, horizon: int) -> int:
    """A fraction of the horizon in whole steps, but no fewer than ``minimum``."""
    return max(minimum, round(fraction * horizon))


def rescaled(min_lr_ratio: float, height: float) -> float:
    """A height between 0 and 1, rescaled to lie between ``min_lr_ratio`` and 1."""
    return min_lr_ratio + (1 - min_lr_ratio) * height


def triangle(t, half_cycle_steps):
    """A triangle wave from 0 to 1 and back."""
    since_start = t % (2 * half_cycle_steps)
    if since_start < half_cycle_steps:
        return since_start / half_cycle_steps
    return (2 * half_cycle_steps - since_start) / half_cycle_steps


def reference_116(t, T, min_lr_ratio=0.1, cycle_fraction=0.2, rise_fraction=0.15):
    """The increasing and the decreasing phase of a cycle, counted from the start of the cycle."""
    cycle_steps = round(cycle_fraction * T)
    up = at_least(1, rise_fraction, cycle_steps)
    down = max(1, cycle_steps - up)
    since_start = t % (up + down)
    return rescaled(min_lr_ratio, since_start / up if since_start < up else 1 - (since_start - up) / down)


def reference_120(t, T, max_lr_ratio=0.5, min_lr_ratio=0.05, cycle_fraction=0.1):
    """Constant, linear decay, then FGE: a(x) = (1 - 2x) a1 + 2x a2 up to x = 1/2, then (2 - 2x) a2 + (2x - 1) a1."""
    decay_start, cycle_start = round(0.4 * T), round(0.7 * T)
    if t < decay_start:
        return 1.0
    if t < cycle_start:
        return (1.0 * (cycle_start - t) + 0.01 * (t - decay_start)) / (cycle_start - decay_start)
    cycle_steps = at_least(1, cycle_fraction, T)
    x = (t - cycle_start) % cycle_steps / cycle_steps
    if x <= 0.5:
        return (1 - 2 * x) * max_lr_ratio + 2 * x * min_lr_ratio
    return (2 - 2 * x) * min_lr_ratio + (2 * x - 1) * max_lr_ratio


def rectified_sine(t, period, min_lr_ratio):
    """ParameterSchedulers.jl counts iterations from 1 and scales |sin| by the difference of its two bounds."""
    iteration = t + 1
    return abs(1 - min_lr_ratio) * abs(sin(pi * (iteration - 1) / period))


def reference_122(t, T, min_lr_ratio=0.05, cycle_fraction=0.2):
    """``SinDecay2``."""
    period = at_least(2, cycle_fraction, T)
    return rectified_sine(t, period, min_lr_ratio) / 2 ** floor(t / period) + min_lr_ratio


def reference_123(t, T, min_lr_ratio=0.05, cycle_fraction=0.125, final_amplitude_ratio=0.1):
    """``SinExp``, whose decay per step is the T-th root of the decay over training."""
    period = at_least(2, cycle_fraction, T)
    return rectified_sine(t, period, min_lr_ratio) * (final_amplitude_ratio ** (1 / T)) ** t + min_lr_ratio


REFERENCES = {
    116: reference_116,
    117: lambda t, T, min_lr_ratio=0.1, half_cycle_fraction=0.1: rescaled(
        min_lr_ratio, 0.5 * (1 - cos(pi * triangle(t, at_least(1, half_cycle_fraction, T))))
    ),
    118: lambda t, T, min_lr_ratio=0.1, half_cycle_fraction=0.1: rescaled(
        min_lr_ratio, 1 - (1 - triangle(t, at_least(1, half_cycle_fraction, T))) ** 2
    ),
    119: lambda t, T, min_lr_ratio=0.1, half_cycle_fraction=1 / 6: rescaled(
        min_lr_ratio, 0.5 * (1 + cos(2 * pi * t / (2 * at_least(1, half_cycle_fraction, T))))
    ),
    120: reference_120,
    121: lambda t, T, min_lr_ratio=0.2, half_cycle_fraction=0.125: rescaled(
        min_lr_ratio, 1 - triangle(t, at_least(1, half_cycle_fraction, T))
    ),
    122: reference_122,
    123: reference_123,
}


def test_every_variant_of_the_family_has_a_second_implementation():
    """Each cyclic variant from 51 on has a second implementation in this file."""
    numbers = [number for number, variant in variants().items() if variant.family == "cyclic" and number > 50]
    assert sorted(REFERENCES) == numbers


@pytest.mark.parametrize("number", REFERENCES, ids=key)
def test_curve_equals_the_second_implementation(number):
    """The curve equals the second implementation at each horizon and base rate, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, [lr * REFERENCES[number](t, horizon) for t in range(seen(horizon))])


@pytest.mark.parametrize("number", REFERENCES, ids=key)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_curve_equals_the_second_implementation_for_any_hyperparameters(number, data):
    """The curve equals the second implementation for hyperparameters anywhere in their ranges."""
    horizon = data.draw(st.integers(1, 120), label="horizon")
    prm = {p.name: data.draw(st.floats(p.low, p.high), label=p.name) for p in variants()[number].hyperparameters}
    expected = [0.1 * REFERENCES[number](t, horizon, **prm) for t in range(seen(horizon))]
    assert_curve(number, horizon, 0.1, expected, prm)


LANDMARKS = {  # number: multipliers at some steps of horizon 1000
    116: {0: 0.1, 15: 0.55, 30: 1.0, 115: 0.55, 200: 0.1, 230: 1.0, 1030: 1.0},
    117: {0: 0.1, 50: 0.55, 100: 1.0, 200: 0.1, 1100: 1.0},
    118: {0: 0.1, 50: 0.775, 100: 1.0, 150: 0.775, 200: 0.1, 1100: 1.0},
    119: {0: 1.0, 167: 0.1, 334: 1.0, 1169: 0.1},
    120: {0: 1.0, 399: 1.0, 550: 0.505, 700: 0.5, 725: 0.275, 750: 0.05, 775: 0.275, 800: 0.5, 1050: 0.05},
    121: {0: 1.0, 125: 0.2, 250: 1.0, 1125: 0.2},
    122: {0: 0.05, 100: 1.0, 200: 0.05, 300: 0.525, 500: 0.2875, 1100: 0.0796875},
    123: {0: 0.05, 125: 0.05, 250: 0.05, 1000: 0.05, 1125: 0.05},
}


@pytest.mark.parametrize("number", LANDMARKS, ids=key)
def test_curve_passes_through_its_landmarks(number):
    """The multipliers at the extrema and halfway between them are those that the catalogue's summary gives."""
    rates = curves.rates(variants()[number], list(LANDMARKS[number]), 1000)
    assert rates.tolist() == pytest.approx(list(LANDMARKS[number].values()), abs=1e-12)


def test_a_decaying_sine_touches_its_envelope():
    """A0_123 never exceeds 0.05 + 0.95 * 0.1 ** (t / T), and reaches it in the middle of each cycle."""
    steps = np.arange(0, 16_000)
    rates, envelope = curves.rates(variants()[123], steps, 8000), 0.05 + 0.95 * 0.1 ** (steps / 8000)
    assert (rates <= envelope + 1e-12).all()
    middles = 500 + 1000 * np.arange(16)
    assert rates[middles] == pytest.approx(envelope[middles], abs=1e-12)

"""A0_132 to A0_146 against transformers, timm, pytorch_optimizer, Megatron-LM and optax, and written out by hand."""

from itertools import pairwise
from math import cos, pi, sqrt

import jax
import numpy as np
import optax
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler
from pytorch_optimizer.lr_scheduler import get_wsd_schedule
from timm.scheduler import WSDLRScheduler
from transformers import optimization as hf

from lrgen import curves
from tests.curves.comparison import BASE_RATES, HORIZONS, assert_curve, key, seen, trace, variants

DEFAULTS = {  # warm-up and decay
    132: ("0.05", "0.2"),
    133: ("0.05", "0.2"),
    134: ("0.05", "0.5"),
    135: ("0.05", "0.3"),
    136: ("0.05", "0.4"),
    137: ("0.05", "0.35"),
    143: ("0.1", "0.4"),
    144: ("0.05", "0.05"),
    145: ("0.05", "0.25"),
}
OTHER_LENGTHS = [("0", "0.5"), ("0.37", "0.2"), ("0.6", "0.8"), ("0.1", "1"), ("0.3", "0"), ("0.45", "0.05")]


@pytest.fixture(scope="module", autouse=True)
def float64():
    """Jax computes in float32 by default, which would hide differences below 1e-7."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def whole(fraction: str, horizon: int) -> int:
    """A fraction of the horizon in whole steps, with the floats of the files: 0.35 * 90 is slightly less than 31.5."""
    return round(float(fraction) * horizon)


def phases(horizon: int, warmup: str, decay: str) -> tuple[int, int, int]:
    """The steps of the warm-up, the constant phase and the decay; where they overlap, the warm-up comes first.

    Some libraries divide by the number of decay steps. Where there are none, the constant phase is extended beyond the
    steps that are compared.
    """
    warmup_steps = whole(warmup, horizon)
    decay_steps = min(whole(decay, horizon), horizon - warmup_steps)
    if not decay_steps:
        return warmup_steps, 2 * seen(horizon), 1
    return warmup_steps, horizon - warmup_steps - decay_steps, decay_steps


def of_timm(optimizer, warmup_steps, stable_steps, decay_steps, floor=0.0, first=0.0, **shape):
    """Timm's schedule; ``floor`` and ``first`` are ratios to the base learning rate."""
    lr = optimizer.defaults["lr"]
    rates = {"lr_min": floor * lr, "warmup_lr_init": first * lr}
    return WSDLRScheduler(optimizer, stable_steps + decay_steps, decay_steps, warmup_t=warmup_steps, **rates, **shape)


def of_megatron(optimizer, warmup_steps, stable_steps, decay_steps, style):
    """Megatron-LM's schedule, without its weight decay."""
    return OptimizerParamScheduler(
        optimizer, 0.0, optimizer.defaults["lr"], 0.0, warmup_steps, warmup_steps + stable_steps + decay_steps, "WSD",
        0.0, 0.0, 0, "constant", wsd_decay_steps=decay_steps, lr_wsd_decay_style=style,
    )  # fmt: skip


def rates_from(scheduler, optimizer, count, advance) -> list[float]:
    """The learning rates of a scheduler without torch's interface; ``advance`` steps it."""
    rates = []
    for step in range(count):
        advance(scheduler, step)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def by_timm(make, horizon: int, lr: float) -> list[float]:
    """The learning rates of a timm scheduler, whose ``step`` takes the number of the step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    return rates_from(make(optimizer), optimizer, seen(horizon), lambda scheduler, step: scheduler.step(step))


def by_megatron(make, horizon: int, lr: float) -> list[float]:
    """The learning rates of Megatron-LM's scheduler, whose ``step`` takes an increment: 0 at first."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    return rates_from(make(optimizer), optimizer, seen(horizon), lambda scheduler, step: scheduler.step(min(step, 1)))


def by_transformers(make, horizon: int, lr: float) -> list[float]:
    """The learning rates of a scheduler with torch's interface."""
    return trace(lambda optimizer, _: make(optimizer), horizon, lr, seen(horizon))


LIBRARIES = {
    "transformers": (by_transformers, hf.get_wsd_schedule, {
        132: {"decay_type": "linear"},
        133: {"decay_type": "1-sqrt"},
        134: {"decay_type": "cosine"},
        143: {"decay_type": "linear", "warmup_type": "cosine", "min_lr_ratio": 0.1},
        144: {"decay_type": "1-sqrt"},
    }),
    "pytorch_optimizer": (by_transformers, get_wsd_schedule, {
        132: {"cooldown_type": "linear"},
        133: {"cooldown_type": "1-sqrt"},
        134: {"cooldown_type": "cosine"},
        136: {"cooldown_type": "1-square"},
        144: {"cooldown_type": "1-sqrt"},
    }),
    "timm": (by_timm, of_timm, {
        132: {"decay_fn": "linear"},
        133: {"decay_fn": "1-sqrt"},
        134: {"decay_fn": "cosine"},
        135: {"decay_fn": "exp", "decay_ratio": 0.1, "floor": 0.1},  # rescaled to end at 0, then raised to the floor
        136: {"decay_fn": "power", "decay_power": 2.0},  # of the progress, not of what remains
        137: {"decay_fn": lambda x: (1 - x) ** 1.5},
        144: {"decay_fn": "1-sqrt"},
        145: {"decay_fn": "exp", "decay_ratio": 0.5},
    }),
    "megatron": (by_megatron, of_megatron, {
        132: {"style": "linear"},
        133: {"style": "minus_sqrt"},
        134: {"style": "cosine"},
        144: {"style": "minus_sqrt"},
        145: {"style": "exponential"},
    }),
}  # fmt: skip
PAIRS = [(library, number) for library, (*_, numbers) in LIBRARIES.items() for number in numbers]
every_pair = pytest.mark.parametrize(("library", "number"), PAIRS, ids=[f"{key(n)}-{name}" for name, n in PAIRS])


def rates_of(library: str, number: int, horizon: int, lr: float, lengths: tuple[str, str]) -> list[float]:
    """The learning rates of a library's warmup-stable-decay schedule."""
    play, make, arguments = LIBRARIES[library]
    warmup_steps, stable_steps, decay_steps = phases(horizon, *lengths)
    steps = (warmup_steps, stable_steps, decay_steps)
    if make is hf.get_wsd_schedule:  # it takes keywords in another order
        steps = {"num_warmup_steps": warmup_steps, "num_stable_steps": stable_steps, "num_decay_steps": decay_steps}
        return play(lambda optimizer: make(optimizer, **steps, **arguments[number]), horizon, lr)
    return play(lambda optimizer: make(optimizer, *steps, **arguments[number]), horizon, lr)


@every_pair
def test_a_wsd_schedule_equals_the_librarys_at_and_past_the_horizon(library, number):
    """The curve equals the library's schedule at each step, including those past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, rates_of(library, number, horizon, lr, DEFAULTS[number]))


@pytest.mark.parametrize("lengths", OTHER_LENGTHS, ids="-".join)
@every_pair
def test_the_fractions_are_the_lengths_of_the_librarys_phases(library, number, lengths):
    """The two fractions give the lengths of the library's phases; the warm-up comes first where they overlap."""
    prm = dict(zip(("warmup_fraction", "decay_fraction"), map(float, lengths), strict=True))
    for horizon in HORIZONS:
        assert_curve(number, horizon, 0.1, rates_of(library, number, horizon, 0.1, lengths), prm)


@pytest.mark.parametrize("floor", [0.01, 0.5])
@pytest.mark.parametrize(("library", "number", "names"), [
    ("timm", 135, ("floor", "decay_ratio")),
    ("transformers", 143, ("min_lr_ratio",)),
])  # fmt: skip
def test_the_minimum_is_the_librarys(library, number, names, floor, monkeypatch):
    """``min_lr_ratio`` is the minimum of timm's and transformers' schedules."""
    monkeypatch.setitem(LIBRARIES[library][2], number, LIBRARIES[library][2][number] | dict.fromkeys(names, floor))
    for horizon in HORIZONS:
        rates = rates_of(library, number, horizon, 0.1, DEFAULTS[number])
        assert_curve(number, horizon, 0.1, rates, {"min_lr_ratio": floor})


@pytest.mark.parametrize(("warmup", "hold", "floor"), [("0.1", "0.4", 0.05), ("0", "0.3", 0.2), ("0.25", "0.3", 0.01)])
def test_a_tri_stage_schedule_is_timms_wsd_with_exponential_decay(warmup, hold, floor):
    """A0_139 equals timm's WSD schedule with a warm-up from 0.01 and a decay over all steps after the hold."""
    prm = {"warmup_fraction": float(warmup), "hold_fraction": float(hold), "min_lr_ratio": floor}
    shape = {"decay_fn": "exp", "decay_ratio": floor, "floor": floor, "first": 0.01}
    for horizon in (2, 3, 5, 7, 10, 90, 1000):  # timm's decay needs a step, and at horizon 1 none may remain
        warmup_steps, stable_steps = whole(warmup, horizon), whole(hold, horizon)
        decay_steps = horizon - warmup_steps - stable_steps
        for lr in BASE_RATES:
            rates = by_timm(
                lambda opt, s=(warmup_steps, stable_steps, decay_steps): of_timm(opt, *s, **shape), horizon, lr
            )
            assert_curve(139, horizon, lr, rates, prm)


@pytest.mark.parametrize("flat", ["0.75", "0.3", "0"])
def test_flat_then_cosine_is_wsd_without_a_warm_up(flat):
    """A0_140 equals transformers' and timm's WSD schedules with cosine decay and without a warm-up."""
    for horizon in HORIZONS:
        stable_steps = whole(flat, horizon)
        decay_steps = horizon - stable_steps
        if not decay_steps:  # their decays need steps
            stable_steps, decay_steps = 2 * seen(horizon), 1
        for lr in BASE_RATES:
            steps = {"num_warmup_steps": 0, "num_stable_steps": stable_steps, "num_decay_steps": decay_steps}
            there = by_transformers(lambda opt, s=steps: hf.get_wsd_schedule(opt, **s), horizon, lr)
            assert_curve(140, horizon, lr, there, {"flat_fraction": float(flat)})
            there = by_timm(
                lambda opt, s=(0, stable_steps, decay_steps): of_timm(opt, *s, decay_fn="cosine"), horizon, lr
            )
            assert_curve(140, horizon, lr, there, {"flat_fraction": float(flat)})


@pytest.mark.parametrize(("warmup", "explore"), [("0.05", "0.5"), ("0", "0.25"), ("0.3", "0.3"), ("0.6", "0.4")])
def test_knee_is_timms_wsd_with_a_warm_up_from_above_zero(warmup, explore):
    """A0_141 equals timm's schedule with linear decay and a warm-up that starts at ``1 / (W + 1)``."""
    prm = {"warmup_fraction": float(warmup), "explore_fraction": float(explore)}
    for horizon in HORIZONS:
        warmup_steps = whole(warmup, horizon)
        stable_steps = max(0, whole(explore, horizon) - warmup_steps)
        steps = (warmup_steps, stable_steps, horizon - warmup_steps - stable_steps)
        if not steps[2]:  # timm's decay needs steps
            steps = (warmup_steps, 2 * seen(horizon), 1)
        shape = {"decay_fn": "linear", "first": 1 / (warmup_steps + 1)}
        for lr in BASE_RATES:
            rates = by_timm(lambda opt, s=steps, f=shape: of_timm(opt, *s, **f), horizon, lr)
            assert_curve(141, horizon, lr, rates, prm)


@pytest.mark.parametrize(("warmup", "decay", "floor"), [("0.05", "0.2", 0.1), ("0", "0.5", 0.0), ("0.2", "1", 0.4)])
def test_each_period_of_wsd_s_is_timms_schedule(warmup, decay, floor):
    """In each period A0_138 equals timm's schedule over that period; only the first one has a warm-up.

    As in OLMo-core's WSDS the step at which a period ends has its minimum, and the next step is at the maximum again.
    """
    prm = {"warmup_fraction": float(warmup), "decay_fraction": float(decay), "min_lr_ratio": floor}
    for horizon in (9, 30, 90, 300, 999):
        warmup_steps, period = whole(warmup, horizon), horizon // 3
        length = round(float(decay) * period)
        for lr in BASE_RATES:
            rates = []
            for begin in (0, period, 2 * period):
                first = warmup_steps if begin == 0 else 0
                decay_steps = min(length, period - first)
                optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
                scheduler = of_timm(
                    optimizer, first, period - first - decay_steps, decay_steps, floor, decay_fn="linear"
                )
                for step in range(min(begin, 1), period + 1):
                    scheduler.step(step)
                    rates.append(optimizer.param_groups[0]["lr"])
            assert len(rates) == horizon + 1
            assert_curve(138, horizon, lr, [*rates, *rates[-1:] * 9], prm)


def joined(*pieces):
    """Optax schedules in sequence, each with its number of steps, which may be 0; the last one is open-ended."""
    ends = np.cumsum([steps for steps, _ in pieces])
    return optax.join_schedules([schedule for _, schedule in pieces], [int(end) for end in ends[:-1]])


def power_of_optax(lr, horizon, warmup_fraction="0.05", decay_fraction="0.35"):
    """A0_137: optax's polynomial schedule, which starts after the warm-up and the constant phase."""
    warmup_steps, stable_steps, decay_steps = phases(horizon, warmup_fraction, decay_fraction)
    decayed = optax.polynomial_schedule(lr, 0.0, 1.5, decay_steps, stable_steps)
    return joined((warmup_steps, optax.linear_schedule(0.0, lr, warmup_steps)), (0, decayed))


def tri_stage_of_optax(lr, horizon, warmup_fraction="0.1", hold_fraction="0.4", min_lr_ratio="0.05"):
    """A0_139: optax's linear, constant and exponential schedules."""
    warmup_steps, stable_steps = whole(warmup_fraction, horizon), whole(hold_fraction, horizon)
    decay_steps = horizon - warmup_steps - stable_steps
    return joined(
        (warmup_steps, optax.linear_schedule(0.01 * lr, lr, warmup_steps)),
        (stable_steps, optax.constant_schedule(lr)),
        (decay_steps, optax.exponential_decay(lr, max(1, decay_steps), float(min_lr_ratio))),
    )


def infinite_of_optax(lr, horizon, warmup_fraction="0.05", plateau_ratio="0.4", decay_fraction="0.15"):
    """A0_142: optax's linear, cosine, constant and exponential schedules."""
    warmup_steps, cooldown_steps, decay_steps = (
        whole(warmup_fraction, horizon),
        whole("0.25", horizon),
        whole(decay_fraction, horizon),
    )
    constant = float(plateau_ratio) * lr
    return joined(
        (warmup_steps, optax.linear_schedule(0.0, lr, warmup_steps)),
        (cooldown_steps, optax.cosine_decay_schedule(lr, max(1, cooldown_steps), float(plateau_ratio))),
        (horizon - warmup_steps - cooldown_steps - decay_steps, optax.constant_schedule(constant)),
        (decay_steps, optax.exponential_decay(constant, max(1, decay_steps), 0.05)),
    )


def ladder_of_optax(lr, horizon, warmup_fraction="0.05", plateau_ratio="0.3", decay_fraction="0.15"):
    """A0_146: optax's linear and constant schedules."""
    warmup_steps, first, second = (whole(fraction, horizon) for fraction in (warmup_fraction, "0.4", "0.5"))
    decay_steps, low = whole(decay_fraction, horizon), float(plateau_ratio) * lr
    return joined(
        (warmup_steps, optax.linear_schedule(0.0, lr, warmup_steps)),
        (first - warmup_steps, optax.constant_schedule(lr)),
        (second - first, optax.linear_schedule(lr, low, second - first)),
        (horizon - second - decay_steps, optax.constant_schedule(low)),
        (decay_steps, optax.linear_schedule(low, 0.0, decay_steps)),
    )


OPTAX = [
    (137, power_of_optax, {}),
    (137, power_of_optax, {"warmup_fraction": "0.3", "decay_fraction": "0.6"}),
    (139, tri_stage_of_optax, {}),
    (139, tri_stage_of_optax, {"warmup_fraction": "0.3", "hold_fraction": "0.1", "min_lr_ratio": "0.4"}),
    (142, infinite_of_optax, {}),
    (142, infinite_of_optax, {"warmup_fraction": "0.2", "plateau_ratio": "0.7", "decay_fraction": "0.5"}),
    (146, ladder_of_optax, {}),
    (146, ladder_of_optax, {"warmup_fraction": "0.2", "plateau_ratio": "0.8", "decay_fraction": "0.4"}),
]


@pytest.mark.parametrize(("number", "make", "prm"), OPTAX, ids=[f"{key(number)}-{prm}" for number, _, prm in OPTAX])
def test_phases_are_joined_optax_schedules(number, make, prm):
    """The curve equals joined optax schedules up to the horizon and is constant after it, where optax decays further.

    Only horizons at which the last phase has a step: without one, optax keeps the first value of a decay.
    """
    for horizon in (10, 90, 1000):
        for lr in BASE_RATES:
            steps = jax.numpy.minimum(jax.numpy.arange(seen(horizon)), horizon)
            rates = np.asarray(make(lr, horizon, **prm)(steps))
            assert_curve(number, horizon, lr, rates, {name: float(value) for name, value in prm.items()})


def piecewise(t, *pieces):
    """The value after t steps of consecutive pieces, each a number of steps and a function of the progress through it.

    Pieces without steps are skipped.
    """
    end = 1.0
    for steps, piece in pieces:
        if t < steps:
            return piece(t / steps)
        t -= steps
        if steps:
            end = piece(1.0)
    return end


def linear_warmup(x):
    """Linear from 0 to 1."""
    return x


def constant(x):
    """Constant at 1."""
    return 1.0


def stable_decay(t, T, warmup_fraction, decay_fraction, decay, warmup=linear_warmup):
    """A warm-up, a constant phase, and a decay no longer than the steps that the warm-up leaves."""
    first = round(warmup_fraction * T)
    last = min(round(decay_fraction * T), T - first)
    return piecewise(t, (first, warmup), (T - first - last, constant), (last, decay))


def periodic(t, T, warmup_fraction=0.05, decay_fraction=0.2, min_lr_ratio=0.1):
    """Three periods; a step on a boundary belongs to the period that ends there."""
    first, length = round(warmup_fraction * T), round(decay_fraction * T / 3)
    if t < first:
        return t / first
    for end in (round(T / 3), round(2 * T / 3), T):
        if t <= end:
            begin = max(first, end - length)
            progress = (t - begin) / (end - begin) if t > begin else 0.0
            return (1 - progress) + min_lr_ratio * progress
    raise AssertionError(t)


def tri_stage(t, T, warmup_fraction=0.1, hold_fraction=0.4, min_lr_ratio=0.05):
    """Linear from 0.01, constant, then exponential over the remaining steps."""
    first = round(warmup_fraction * T)
    second = min(round(hold_fraction * T), T - first)
    rest = T - first - second
    return piecewise(t, (first, lambda x: 0.01 + 0.99 * x), (second, constant), (rest, lambda x: min_lr_ratio**x))


def knee(t, T, warmup_fraction=0.05, explore_fraction=0.5):
    """Equal increments, of which the first precedes the first epoch; then constant and linear."""
    first = round(warmup_fraction * T)
    second = max(0, round(explore_fraction * T) - first)
    rest = T - first - second
    return piecewise(t, (first, lambda x: (x * first + 1) / (first + 1)), (second, constant), (rest, lambda x: 1 - x))


def infinite(t, T, warmup_fraction=0.05, plateau_ratio=0.4, decay_fraction=0.15):
    """The learning rate is on the plateau from the end of the cooldown, even if no step remains after it."""
    first = round(warmup_fraction * T)
    second = min(round(0.25 * T), T - first)
    last = min(round(decay_fraction * T), T - first - second)
    if t < first:
        return t / first
    if t < first + second:
        cosine = cosine_decay((t - first) / second)
        return cosine + plateau_ratio * (1 - cosine)
    third = T - first - second - last
    return plateau_ratio * piecewise(t - first - second, (third, constant), (last, lambda x: 0.05**x))


def ladder(t, T, warmup_fraction=0.05, plateau_ratio=0.3, decay_fraction=0.15):
    """Five linear segments; zero at the horizon even without a decay."""
    if t == T:
        return 0.0
    steps = [round(warmup_fraction * T)]
    steps.append(max(steps[-1], round(0.4 * T)))
    steps.append(max(steps[-1], round(0.5 * T)))
    steps.append(max(steps[-1], T - round(decay_fraction * T)))
    lengths = np.diff([0, *steps, T]).tolist()
    values = [0, 1, 1, plateau_ratio, plateau_ratio, 0]
    segments = [lambda x, a=a, b=b: a * (1 - x) + b * x for a, b in pairwise(values)]
    return piecewise(t, *zip(lengths, segments, strict=True))


def cosine_decay(x):
    """Cosine decay from 1 at x = 0 to 0 at x = 1."""
    return (1 + cos(pi * x)) / 2


def wsd(default, decay):
    """A WSD schedule with a default ``decay_fraction``; ``decay`` maps the progress of the decay to a factor."""
    return lambda t, T, warmup_fraction=0.05, decay_fraction=default: stable_decay(
        t, T, warmup_fraction, decay_fraction, decay
    )


def wsd_exponential(t, T, warmup_fraction=0.05, decay_fraction=0.3, min_lr_ratio=0.1):
    """A WSD schedule with exponential decay to the minimum."""
    return stable_decay(t, T, warmup_fraction, decay_fraction, lambda x: min_lr_ratio**x)


def wsd_cosine_warmup(t, T, warmup_fraction=0.1, decay_fraction=0.4, min_lr_ratio=0.1):
    """A cosine warm-up and linear decay, rescaled to end at the minimum."""
    factor = stable_decay(t, T, warmup_fraction, decay_fraction, lambda x: 1 - x, warmup=lambda x: cosine_decay(1 - x))
    return min_lr_ratio + (1 - min_lr_ratio) * factor


def flat_then_cosine(t, T, flat_fraction=0.75):
    """A constant phase, then cosine decay over the remaining steps."""
    first = round(flat_fraction * T)
    return piecewise(t, (first, constant), (T - first, cosine_decay))


REFERENCES = {
    132: wsd(0.2, lambda x: 1 - x),
    133: wsd(0.2, lambda x: 1 - sqrt(x)),
    134: wsd(0.5, cosine_decay),
    135: wsd_exponential,
    136: wsd(0.4, lambda x: 1 - x * x),
    137: wsd(0.35, lambda x: sqrt((1 - x) ** 3)),
    138: periodic,
    139: tri_stage,
    140: flat_then_cosine,
    141: knee,
    142: infinite,
    143: wsd_cosine_warmup,
    144: wsd(0.05, lambda x: 1 - sqrt(x)),
    145: wsd(0.25, lambda x: 2 / 2**x - 1),
    146: ladder,
}


def reference(number, horizon, lr, prm):
    """The learning rates at all compared steps; each of these schedules is constant after its end."""
    return [lr * REFERENCES[number](min(t, horizon), horizon, **prm) for t in range(seen(horizon))]


@pytest.mark.parametrize("number", REFERENCES, ids=key)
def test_a_curve_equals_its_definition(number):
    """The curve equals its phases written out by hand at every horizon and base learning rate."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, reference(number, horizon, lr, {}))


@pytest.mark.parametrize("number", REFERENCES, ids=key)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_curve_equals_its_definition_for_any_hyperparameters(number, data):
    """The curve equals its phases written out by hand for any hyperparameters in their ranges, often at the bounds."""
    horizon = data.draw(st.integers(1, 120), label="horizon")
    anywhere = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))
    prm = {p.name: data.draw(anywhere, label=p.name) for p in variants()[number].hyperparameters}
    assert_curve(number, horizon, 0.1, reference(number, horizon, 0.1, prm), prm)


POINTS = {  # (step, learning rate) at horizon 1000 and lr 1: the start or end of a phase, and a step within
    132: [(0, 0), (25, 0.5), (50, 1), (800, 1), (900, 0.5), (1000, 0)],
    133: [(0, 0), (50, 1), (800, 1), (850, 0.5), (928, 0.2), (1000, 0)],
    134: [(0, 0), (50, 1), (500, 1), (750, 0.5), (1000, 0)],
    135: [(0, 0), (50, 1), (700, 1), (850, sqrt(0.1)), (1000, 0.1)],
    136: [(0, 0), (50, 1), (600, 1), (800, 0.75), (1000, 0)],
    137: [(0, 0), (50, 1), (650, 1), (874, 0.216), (1000, 0)],
    139: [(0, 0.01), (50, 0.505), (100, 1), (500, 1), (750, sqrt(0.05)), (1000, 0.05)],
    140: [(0, 1), (750, 1), (875, 0.5), (1000, 0)],
    141: [(0, 1 / 51), (49, 50 / 51), (50, 1), (500, 1), (750, 0.5), (999, 0.002), (1000, 0)],
    142: [(0, 0), (50, 1), (175, 0.7), (300, 0.4), (850, 0.4), (925, 0.4 * sqrt(0.05)), (1000, 0.02)],
    143: [(0, 0.1), (50, 0.55), (100, 1), (600, 1), (800, 0.55), (1000, 0.1)],
    144: [(0, 0), (50, 1), (950, 1), (962, 1 - sqrt(0.24)), (1000, 0)],
    145: [(0, 0), (50, 1), (750, 1), (875, sqrt(2) - 1), (1000, 0)],
    146: [(0, 0), (50, 1), (400, 1), (450, 0.65), (500, 0.3), (850, 0.3), (925, 0.15), (1000, 0)],
}


@pytest.mark.parametrize("number", POINTS, ids=key)
def test_a_curve_passes_through_known_points(number):
    """At horizon 1000 a curve passes through points computed by hand."""
    steps, rates = zip(*POINTS[number], strict=True)
    assert curves.rates(variants()[number], steps, 1000) == pytest.approx(rates, abs=1e-12)


def test_wsd_s_restarts_at_the_maximum_after_each_period():
    """At horizon 300 A0_138 ends its periods at 100, 200 and 300, each after 20 steps of decay to 10%."""
    decay = [1 - 0.9 * step / 20 for step in range(21)]
    warmup = [step / 15 for step in range(15)]
    first, later = warmup + [1.0] * 65 + decay, [1.0] * 79 + decay
    assert_curve(138, 300, 1.0, [*first, *later, *later, 0.1, 0.1])


def test_every_schedule_of_the_family_is_compared():
    """Each variant of the family is compared with a library and written out by hand."""
    family = {number for number, variant in variants().items() if variant.family == "wsd"}
    assert family == set(range(132, 147))
    assert family == set(REFERENCES)
    assert family == {number for _, number in PAIRS} | {number for number, *_ in OPTAX} | {138, 140, 141}

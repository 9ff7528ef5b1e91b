"""A0_132 to A0_146 against transformers, timm, pytorch_optimizer, Megatron and optax, and once more by hand."""

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

from .comparison import BASE_RATES, HORIZONS, assert_promised, key, seen, trace, variants

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
    """Jax computes in float32 unless it is told not to, which would hide differences below 1e-7."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def whole(fraction: str, horizon: int) -> int:
    """A fraction of the horizon in whole steps, in floats as the files have it: 0.35 * 90 is a bit less than 31.5."""
    return round(float(fraction) * horizon)


def phases(horizon: int, warmup: str, decay: str) -> tuple[int, int, int]:
    """The steps of the climb, the plateau and the decay, which gives way to the climb.

    A decay of no steps, which some libraries divide by, is put out of sight: the plateau goes on instead.
    """
    climb = whole(warmup, horizon)
    fall = min(whole(decay, horizon), horizon - climb)
    return (climb, horizon - climb - fall, fall) if fall else (climb, 2 * seen(horizon), 1)


def of_timm(optimizer, climb, plateau, fall, floor=0.0, first=0.0, **shape):
    """Timm's; ``floor`` and ``first`` are fractions of the base rate."""
    lr = optimizer.defaults["lr"]
    rates = {"lr_min": floor * lr, "warmup_lr_init": first * lr}
    return WSDLRScheduler(optimizer, plateau + fall, fall, warmup_t=climb, **rates, **shape)


def of_megatron(optimizer, climb, plateau, fall, style):
    """Megatron's, without its weight decay."""
    return OptimizerParamScheduler(
        optimizer, 0.0, optimizer.defaults["lr"], 0.0, climb, climb + plateau + fall, "WSD", 0.0, 0.0, 0, "constant",
        wsd_decay_steps=fall, lr_wsd_decay_style=style,
    )  # fmt: skip


def followed(scheduler, optimizer, count, advance) -> list[float]:
    """The rates of a scheduler that is not torch's, advanced in its own way."""
    rates = []
    for step in range(count):
        advance(scheduler, step)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def by_timm(make, horizon: int, lr: float) -> list[float]:
    """The rates of a timm scheduler, which is told the number of each step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    return followed(make(optimizer), optimizer, seen(horizon), lambda scheduler, step: scheduler.step(step))


def by_megatron(make, horizon: int, lr: float) -> list[float]:
    """The rates of Megatron's scheduler, which is told by how many steps to go on: at first by none."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    return followed(make(optimizer), optimizer, seen(horizon), lambda scheduler, step: scheduler.step(min(step, 1)))


def by_transformers(make, horizon: int, lr: float) -> list[float]:
    """The rates of a scheduler of torch's interface."""
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
        135: {"decay_fn": "exp", "decay_ratio": 0.1, "floor": 0.1},  # it is brought down to 0, and up to the floor
        136: {"decay_fn": "power", "decay_power": 2.0},  # its power is that of the time in the decay
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
    """What a library's warm-up, stable, decay schedule does."""
    play, make, arguments = LIBRARIES[library]
    climb, plateau, fall = phases(horizon, *lengths)
    steps = (climb, plateau, fall)
    if make is hf.get_wsd_schedule:  # it takes them in another order
        steps = {"num_warmup_steps": climb, "num_stable_steps": plateau, "num_decay_steps": fall}
        return play(lambda optimizer: make(optimizer, **steps, **arguments[number]), horizon, lr)
    return play(lambda optimizer: make(optimizer, *steps, **arguments[number]), horizon, lr)


@every_pair
def test_a_plateau_and_its_decay_are_the_librarys_also_past_the_horizon(library, number):
    """The curve equals the library's schedule at each step, the ones past the horizon included."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, rates_of(library, number, horizon, lr, DEFAULTS[number]))


@pytest.mark.parametrize("lengths", OTHER_LENGTHS, ids="-".join)
@every_pair
def test_the_hyperparameters_are_the_lengths_of_the_librarys_phases(library, number, lengths):
    """``warmup`` and ``decay`` are the library's phases over the horizon; the climb comes first where they overlap."""
    prm = dict(zip(("warmup", "decay"), map(float, lengths), strict=True))
    for horizon in HORIZONS:
        assert_promised(number, horizon, 0.1, rates_of(library, number, horizon, 0.1, lengths), prm)


@pytest.mark.parametrize("floor", [0.01, 0.5])
@pytest.mark.parametrize(("library", "number", "names"), [
    ("timm", 135, ("floor", "decay_ratio")),
    ("transformers", 143, ("min_lr_ratio",)),
])  # fmt: skip
def test_the_floor_is_the_librarys(library, number, names, floor, monkeypatch):
    """``min_lr_ratio`` is the floor of timm's and of transformers' schedule."""
    monkeypatch.setitem(LIBRARIES[library][2], number, LIBRARIES[library][2][number] | dict.fromkeys(names, floor))
    for horizon in HORIZONS:
        rates = rates_of(library, number, horizon, 0.1, DEFAULTS[number])
        assert_promised(number, horizon, 0.1, rates, {"min_lr_ratio": floor})


@pytest.mark.parametrize(("warmup", "hold", "floor"), [("0.1", "0.4", 0.05), ("0", "0.3", 0.2), ("0.25", "0.3", 0.01)])
def test_a_tri_stage_is_timms_plateau_with_an_exponential_decay(warmup, hold, floor):
    """A0_139 equals timm's schedule whose decay takes all that the climb from 0.01 and the hold leave."""
    prm = {"warmup": float(warmup), "hold": float(hold), "min_lr_ratio": floor}
    shape = {"decay_fn": "exp", "decay_ratio": floor, "floor": floor, "first": 0.01}
    for horizon in (2, 3, 5, 7, 10, 90, 1000):  # of one step nothing may be left
        climb, plateau = whole(warmup, horizon), whole(hold, horizon)
        fall = horizon - climb - plateau
        for lr in BASE_RATES:
            rates = by_timm(lambda opt, s=(climb, plateau, fall): of_timm(opt, *s, **shape), horizon, lr)
            assert_promised(139, horizon, lr, rates, prm)


@pytest.mark.parametrize("flat", ["0.75", "0.3", "0"])
def test_a_flat_rate_and_a_cosine_are_a_plateau_without_a_climb(flat):
    """A0_140 equals transformers' and timm's plateau with a cosine decay and no warm-up."""
    for horizon in HORIZONS:
        plateau = whole(flat, horizon)
        fall = horizon - plateau
        if not fall:  # their decays need steps
            plateau, fall = 2 * seen(horizon), 1
        for lr in BASE_RATES:
            steps = {"num_warmup_steps": 0, "num_stable_steps": plateau, "num_decay_steps": fall}
            there = by_transformers(lambda opt, s=steps: hf.get_wsd_schedule(opt, **s), horizon, lr)
            assert_promised(140, horizon, lr, there, {"flat": float(flat)})
            there = by_timm(lambda opt, s=(0, plateau, fall): of_timm(opt, *s, decay_fn="cosine"), horizon, lr)
            assert_promised(140, horizon, lr, there, {"flat": float(flat)})


@pytest.mark.parametrize(("warmup", "explore"), [("0.05", "0.5"), ("0", "0.25"), ("0.3", "0.3"), ("0.6", "0.4")])
def test_a_knee_is_timms_plateau_that_climbs_from_one_step_above_zero(warmup, explore):
    """A0_141 equals timm's schedule with a linear decay whose climb begins at ``1 / (W + 1)``."""
    for horizon in HORIZONS:
        climb = whole(warmup, horizon)
        plateau = max(0, whole(explore, horizon) - climb)
        steps = (climb, plateau, horizon - climb - plateau)
        if not steps[2]:  # timm's decay needs steps
            steps = (climb, 2 * seen(horizon), 1)
        shape = {"decay_fn": "linear", "first": 1 / (climb + 1)}
        for lr in BASE_RATES:
            rates = by_timm(lambda opt, s=steps, f=shape: of_timm(opt, *s, **f), horizon, lr)
            assert_promised(141, horizon, lr, rates, {"warmup": float(warmup), "explore": float(explore)})


@pytest.mark.parametrize(("warmup", "decay", "floor"), [("0.05", "0.2", 0.1), ("0", "0.5", 0.0), ("0.2", "1", 0.4)])
def test_each_period_of_a_periodic_schedule_is_timms(warmup, decay, floor):
    """In each period A0_138 equals a schedule of timm's that begins and ends with it, the first one with the climb.

    As in OLMo-core's WSDS the step at which a period ends has its last rate, and the next one is at the peak again.
    """
    prm = {"warmup": float(warmup), "decay": float(decay), "min_lr_ratio": floor}
    for horizon in (9, 30, 90, 300, 999):
        climb, period = whole(warmup, horizon), horizon // 3
        length = round(float(decay) * period)
        for lr in BASE_RATES:
            rates = []
            for begin in (0, period, 2 * period):
                first = climb if begin == 0 else 0
                fall = min(length, period - first)
                optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
                scheduler = of_timm(optimizer, first, period - first - fall, fall, floor, decay_fn="linear")
                for step in range(min(begin, 1), period + 1):
                    scheduler.step(step)
                    rates.append(optimizer.param_groups[0]["lr"])
            assert len(rates) == horizon + 1
            assert_promised(138, horizon, lr, [*rates, *rates[-1:] * 9], prm)


def joined(*pieces):
    """Optax's schedules one after the other, each of so many steps, which may be none; the last one has no end."""
    ends = np.cumsum([steps for steps, _ in pieces])
    return optax.join_schedules([schedule for _, schedule in pieces], [int(end) for end in ends[:-1]])


def power_of_optax(lr, horizon, warmup="0.05", decay="0.35"):
    """A0_137: optax's polynomial schedule, begun after the climb and the plateau."""
    climb, plateau, fall = phases(horizon, warmup, decay)
    decayed = optax.polynomial_schedule(lr, 0.0, 1.5, fall, plateau)
    return joined((climb, optax.linear_schedule(0.0, lr, climb)), (0, decayed))


def tri_stage_of_optax(lr, horizon, warmup="0.1", hold="0.4", min_lr_ratio="0.05"):
    """A0_139: a line, a constant and optax's exponential decay."""
    climb, plateau = whole(warmup, horizon), whole(hold, horizon)
    fall = horizon - climb - plateau
    return joined(
        (climb, optax.linear_schedule(0.01 * lr, lr, climb)),
        (plateau, optax.constant_schedule(lr)),
        (fall, optax.exponential_decay(lr, max(1, fall), float(min_lr_ratio))),
    )


def infinite_of_optax(lr, horizon, warmup="0.05", plateau="0.4", decay="0.15"):
    """A0_142: a line, optax's cosine to a floor, a constant and optax's exponential decay."""
    climb, cool, fall = whole(warmup, horizon), whole("0.25", horizon), whole(decay, horizon)
    constant = float(plateau) * lr
    return joined(
        (climb, optax.linear_schedule(0.0, lr, climb)),
        (cool, optax.cosine_decay_schedule(lr, max(1, cool), float(plateau))),
        (horizon - climb - cool - fall, optax.constant_schedule(constant)),
        (fall, optax.exponential_decay(constant, max(1, fall), 0.05)),
    )


def ladder_of_optax(lr, horizon, warmup="0.05", plateau="0.3", decay="0.15"):
    """A0_146: optax's lines between levels."""
    climb, first, second = (whole(fraction, horizon) for fraction in (warmup, "0.4", "0.5"))
    fall, low = whole(decay, horizon), float(plateau) * lr
    return joined(
        (climb, optax.linear_schedule(0.0, lr, climb)),
        (first - climb, optax.constant_schedule(lr)),
        (second - first, optax.linear_schedule(lr, low, second - first)),
        (horizon - second - fall, optax.constant_schedule(low)),
        (fall, optax.linear_schedule(low, 0.0, fall)),
    )


OPTAX = [
    (137, power_of_optax, {}),
    (137, power_of_optax, {"warmup": "0.3", "decay": "0.6"}),
    (139, tri_stage_of_optax, {}),
    (139, tri_stage_of_optax, {"warmup": "0.3", "hold": "0.1", "min_lr_ratio": "0.4"}),
    (142, infinite_of_optax, {}),
    (142, infinite_of_optax, {"warmup": "0.2", "plateau": "0.7", "decay": "0.5"}),
    (146, ladder_of_optax, {}),
    (146, ladder_of_optax, {"warmup": "0.2", "plateau": "0.8", "decay": "0.4"}),
]


@pytest.mark.parametrize(("number", "make", "prm"), OPTAX, ids=[f"{key(number)}-{prm}" for number, _, prm in OPTAX])
def test_phases_are_optax_schedules_one_after_the_other(number, make, prm):
    """The curve equals optax's schedules, joined, up to the horizon, and stays there: a decay of optax's goes on.

    Only where each last phase has a step, since optax's lines and decays of none keep their first value.
    """
    for horizon in (10, 90, 1000):
        for lr in BASE_RATES:
            at = jax.numpy.minimum(jax.numpy.arange(seen(horizon)), horizon)
            rates = np.asarray(make(lr, horizon, **prm)(at))
            assert_promised(number, horizon, lr, rates, {name: float(value) for name, value in prm.items()})


def walk(t, *pieces):
    """Where one is after t steps along pieces of so many steps, each a function of its share that is over; those
    without steps do not occur.
    """
    end = 1.0
    for steps, piece in pieces:
        if t < steps:
            return piece(t / steps)
        t -= steps
        if steps:
            end = piece(1.0)
    return end


def up(x):
    """A line from 0 to 1."""
    return x


def flat(x):
    """At the peak."""
    return 1.0


def stable_decay(t, T, warmup, decay, fall, climb=up):
    """A climb, a plateau, and a decay within what the climb leaves."""
    first = round(warmup * T)
    last = min(round(decay * T), T - first)
    return walk(t, (first, climb), (T - first - last, flat), (last, fall))


def periodic(t, T, warmup=0.05, decay=0.2, min_lr_ratio=0.1):
    """Three periods; a step on the border still belongs to the one that ends there."""
    first, length = round(warmup * T), round(decay * T / 3)
    if t < first:
        return t / first
    for end in (round(T / 3), round(2 * T / 3), T):
        if t <= end:
            begin = max(first, end - length)
            share = (t - begin) / (end - begin) if t > begin else 0.0
            return (1 - share) + min_lr_ratio * share
    raise AssertionError(t)


def tri_stage(t, T, warmup=0.1, hold=0.4, min_lr_ratio=0.05):
    """From 0.01, a hold, and what is left."""
    first = round(warmup * T)
    second = min(round(hold * T), T - first)
    rest = T - first - second
    return walk(t, (first, lambda x: 0.01 + 0.99 * x), (second, flat), (rest, lambda x: min_lr_ratio**x))


def knee(t, T, warmup=0.05, explore=0.5):
    """Equal strides up, of which the first is made before the first epoch."""
    first = round(warmup * T)
    second = max(0, round(explore * T) - first)
    rest = T - first - second
    return walk(t, (first, lambda x: (x * first + 1) / (first + 1)), (second, flat), (rest, lambda x: 1 - x))


def infinite(t, T, warmup=0.05, plateau=0.4, decay=0.15):
    """The constant rate is there from the cooldown's end on, also if nothing is left of training."""
    first = round(warmup * T)
    second = min(round(0.25 * T), T - first)
    last = min(round(decay * T), T - first - second)
    if t < first:
        return t / first
    if t < first + second:
        height = half_wave((t - first) / second)
        return height + plateau * (1 - height)
    third = T - first - second - last
    return plateau * walk(t - first - second, (third, flat), (last, lambda x: 0.05**x))


def ladder(t, T, warmup=0.05, plateau=0.3, decay=0.15):
    """Five lines; at the horizon zero, whatever came before."""
    if t == T:
        return 0.0
    steps = [round(warmup * T)]
    steps.append(max(steps[-1], round(0.4 * T)))
    steps.append(max(steps[-1], round(0.5 * T)))
    steps.append(max(steps[-1], T - round(decay * T)))
    lengths = np.diff([0, *steps, T]).tolist()
    levels = [0, 1, 1, plateau, plateau, 0]
    lines = [lambda x, a=a, b=b: a * (1 - x) + b * x for a, b in pairwise(levels)]
    return walk(t, *zip(lengths, lines, strict=True))


def half_wave(x):
    """From 1 at 0 to 0 at 1."""
    return (1 + cos(pi * x)) / 2


BY_HAND = {
    132: lambda t, T, warmup=0.05, decay=0.2: stable_decay(t, T, warmup, decay, lambda x: 1 - x),
    133: lambda t, T, warmup=0.05, decay=0.2: stable_decay(t, T, warmup, decay, lambda x: 1 - sqrt(x)),
    134: lambda t, T, warmup=0.05, decay=0.5: stable_decay(t, T, warmup, decay, half_wave),
    135: lambda t, T, warmup=0.05, decay=0.3, min_lr_ratio=0.1: stable_decay(
        t, T, warmup, decay, lambda x: min_lr_ratio**x
    ),
    136: lambda t, T, warmup=0.05, decay=0.4: stable_decay(t, T, warmup, decay, lambda x: 1 - x * x),
    137: lambda t, T, warmup=0.05, decay=0.35: stable_decay(t, T, warmup, decay, lambda x: sqrt((1 - x) ** 3)),
    138: periodic,
    139: tri_stage,
    140: lambda t, T, flat=0.75: walk(t, (round(flat * T), lambda x: 1.0), (T - round(flat * T), half_wave)),
    141: knee,
    142: infinite,
    143: lambda t, T, warmup=0.1, decay=0.4, min_lr_ratio=0.1: min_lr_ratio + (1 - min_lr_ratio) * stable_decay(
        t, T, warmup, decay, lambda x: 1 - x, climb=lambda x: half_wave(1 - x)
    ),
    144: lambda t, T, warmup=0.05, decay=0.05: stable_decay(t, T, warmup, decay, lambda x: 1 - sqrt(x)),
    145: lambda t, T, warmup=0.05, decay=0.25: stable_decay(t, T, warmup, decay, lambda x: 2 / 2**x - 1),
    146: ladder,
}  # fmt: skip


def by_hand(number, horizon, lr, prm):
    """The rates of all steps that are compared; all of these schedules stay where they end."""
    return [lr * BY_HAND[number](min(t, horizon), horizon, **prm) for t in range(seen(horizon))]


@pytest.mark.parametrize("number", BY_HAND, ids=key)
def test_a_curve_says_what_its_sentence_says(number):
    """The curve equals a walk along its phases at every horizon and base rate."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, by_hand(number, horizon, lr, {}))


@pytest.mark.parametrize("number", BY_HAND, ids=key)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_hyperparameter_does_in_the_curve_what_its_sentence_says(number, data):
    """The curve equals the walk for hyperparameters anywhere in their ranges, the ends more often than not."""
    horizon = data.draw(st.integers(1, 120), label="horizon")
    anywhere = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))
    prm = {p.name: data.draw(anywhere, label=p.name) for p in variants()[number].hyperparameters}
    assert_promised(number, horizon, 0.1, by_hand(number, horizon, 0.1, prm), prm)


POINTS = {  # (step, rate) at horizon 1000 and base rate 1: where a phase begins or ends, and one within
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
def test_phases_begin_and_end_where_the_table_says(number):
    """At horizon 1000 a curve goes through points that were computed on paper."""
    steps, rates = zip(*POINTS[number], strict=True)
    assert curves.rates(variants()[number], steps, 1000) == pytest.approx(rates, abs=1e-12)


def test_a_periodic_schedule_is_back_at_the_peak_after_each_of_its_ends():
    """At horizon 300 A0_138 ends its periods at 100, 200 and 300, each after twenty steps of decay to a tenth."""
    line = [1 - 0.9 * step / 20 for step in range(21)]
    climb = [step / 15 for step in range(15)]
    first, later = climb + [1.0] * 65 + line, [1.0] * 79 + line
    assert_promised(138, 300, 1.0, [*first, *later, *later, 0.1, 0.1])


def test_every_schedule_of_the_family_is_compared():
    """Each variant of the family is compared with a library and written out by hand."""
    family = {number for number, variant in variants().items() if variant.family == "wsd"}
    assert family == set(range(132, 147))
    assert family == set(BY_HAND)
    assert family == {number for _, number in PAIRS} | {number for number, *_ in OPTAX} | {138, 140, 141}

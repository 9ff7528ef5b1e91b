"""A0_001 to A0_030, A0_034 and A0_035 against torch's schedulers."""

from functools import partial

import pytest
from torch.optim import lr_scheduler as ls
from torch.optim.swa_utils import SWALR

from tests.curves.comparison import BASE_RATES, HORIZONS, assert_curve, held, key, nearest, seen, trace, whole


def base(optimizer) -> float:
    """The base learning rate of an optimizer."""
    return optimizer.defaults["lr"]


def milestones(horizon: int, *fractions: str) -> list[int]:
    """Milestones at fractions of the horizon; torch decays twice at a step that occurs twice."""
    return [whole(fraction, horizon) for fraction in fractions]


def cyclic(optimizer, half_cycle: int, mode: str, gamma: float = 1.0, min_lr_ratio: float = 0.1):
    """torch's CyclicLR between ``min_lr_ratio`` times lr and lr."""
    lr = base(optimizer)
    return ls.CyclicLR(optimizer, min_lr_ratio * lr, lr, half_cycle, mode=mode, gamma=gamma, cycle_momentum=False)


def one_cycle(optimizer, horizon: int, pct_start: float, anneal: str, div_factor: float):
    """torch's OneCycleLR, which ends at a ten-thousandth of its initial learning rate."""
    return ls.OneCycleLR(
        optimizer,
        base(optimizer),
        total_steps=horizon,
        pct_start=pct_start,
        anneal_strategy=anneal,
        div_factor=div_factor,
        final_div_factor=1e4,
        cycle_momentum=False,
    )


def warmup_step_decay(optimizer, warmup_steps: int, step_size: int, gamma: float):
    """torch's SequentialLR of a warm-up from a tenth of lr and step decay."""
    schedules = [ls.LinearLR(optimizer, 0.1, 1.0, warmup_steps), ls.StepLR(optimizer, step_size, gamma)]
    return ls.SequentialLR(optimizer, schedules, [warmup_steps])


def step_times_cosine(optimizer, horizon: int, step_size: int, gamma: float):
    """torch's ChainedScheduler, which is the product here: both members are recurrent and eta_min is 0."""
    schedules = [ls.CosineAnnealingLR(optimizer, horizon), ls.StepLR(optimizer, step_size, gamma)]
    return ls.ChainedScheduler(schedules, optimizer)


UNBOUNDED = {
    1: lambda opt, T: ls.StepLR(opt, whole("1/3", T), 0.1),
    2: lambda opt, T: ls.MultiStepLR(opt, milestones(T, "0.3", "0.6", "0.8"), 0.1),
    3: lambda opt, T: ls.ExponentialLR(opt, 0.95),
    4: lambda opt, T: ls.PolynomialLR(opt, T, 2.0),
    5: lambda opt, T: ls.PolynomialLR(opt, T, 3.0),
    8: lambda opt, T: ls.CosineAnnealingWarmRestarts(opt, whole("1/9", T), 2),
    9: lambda opt, T: ls.CosineAnnealingWarmRestarts(opt, whole("2/9", T), 1),
    10: lambda opt, T: cyclic(opt, whole("0.1", T), "triangular"),
    11: lambda opt, T: cyclic(opt, whole("0.1", T), "triangular2"),
    12: lambda opt, T: cyclic(opt, whole("0.1", T), "exp_range", 0.01 ** (1 / T)),  # gamma per step
    15: lambda opt, T: ls.LinearLR(opt, 0.1, 1.0, whole("0.1", T)),
    16: lambda opt, T: ls.ConstantLR(opt, 0.5, whole("0.1", T)),
    18: lambda opt, T: ls.PolynomialLR(opt, T, 2.0),
    19: lambda opt, T: ls.MultiplicativeLR(opt, lambda epoch: 0.95),
    21: lambda opt, T: warmup_step_decay(opt, whole("0.1", T), whole("0.3", T), 0.1),
    22: lambda opt, T: ls.ExponentialLR(opt, 0.95),
    24: lambda opt, T: ls.StepLR(opt, whole("0.5", T), 0.1),
    25: lambda opt, T: ls.MultiStepLR(opt, milestones(T, "0.25", "0.5", "0.75", "0.9"), 0.1),
    28: lambda opt, T: cyclic(opt, whole("0.05", T), "triangular"),
    29: lambda opt, T: ls.PolynomialLR(opt, T, 4.0),
    30: lambda opt, T: ls.MultiStepLR(opt, [T // 2 + 1], 0.1),  # the first step after T / 2
}

UP_TO_THE_HORIZON = {  # torch's cosine increases again after it
    6: ls.CosineAnnealingLR,
    7: lambda opt, T: ls.CosineAnnealingLR(opt, T, 0.01 * base(opt)),
    20: lambda opt, T: step_times_cosine(opt, T, whole("1/3", T), 0.1),
    23: ls.CosineAnnealingLR,
    26: lambda opt, T: ls.CosineAnnealingLR(opt, T, 0.1 * base(opt)),
}

ONE_CYCLE = {
    13: ((0.3, "cos", 25.0), HORIZONS),
    14: ((0.1, "linear", 10.0), (1, 2, 3, 5, 7, 90, 1000)),  # not 10: torch divides by 0.1 * 10 - 1 = 0
    27: ((0.3, "linear", 25.0), HORIZONS),
}


@pytest.mark.parametrize("number", UNBOUNDED, ids=key)
def test_a_curve_equals_its_torch_class_also_past_the_horizon(number):
    """The curve equals torch's class at each step, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, trace(UNBOUNDED[number], horizon, lr, seen(horizon)))


@pytest.mark.parametrize("number", UP_TO_THE_HORIZON, ids=key)
def test_a_cosine_curve_equals_its_torch_class_up_to_the_horizon(number):
    """The curve equals torch's class up to step T and is constant after it, where torch's cosine increases again."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = trace(UP_TO_THE_HORIZON[number], horizon, lr, horizon + 1)
            assert_curve(number, horizon, lr, held(rates, seen(horizon)))


@pytest.mark.parametrize("number", ONE_CYCLE, ids=key)
def test_a_one_cycle_curve_equals_its_torch_class_up_to_the_last_step(number):
    """The curve equals torch's up to step T - 1 and is constant after it; torch increases at T, then raises."""
    arguments, horizons = ONE_CYCLE[number]
    for horizon in horizons:
        for lr in BASE_RATES:
            rates = trace(lambda opt, T: one_cycle(opt, T, *arguments), horizon, lr, horizon)
            assert_curve(number, horizon, lr, held(rates, seen(horizon)))


def test_torchs_one_cycle_raises_for_a_warm_up_of_zero_steps():
    """torch's OneCycleLR cannot be created with pct_start 0.1 and 10 steps, at which A0_014 is not compared."""
    with pytest.raises(ZeroDivisionError):
        trace(lambda opt, T: one_cycle(opt, T, 0.1, "linear", 10.0), 10, 1.0, 1)


OTHER_NUMBERS = [  # number, hyperparameters, torch's class with those arguments, last step to compare
    (1, {"step_fraction": 0.2, "gamma": 0.5}, lambda opt, T: ls.StepLR(opt, whole("0.2", T), 0.5), seen),
    (2, {"gamma": 0.3}, lambda opt, T: ls.MultiStepLR(opt, milestones(T, "0.3", "0.6", "0.8"), 0.3), seen),
    (3, {"gamma": 0.9}, lambda opt, T: ls.ExponentialLR(opt, 0.9), seen),
    (7, {"min_lr_ratio": 0.4}, lambda opt, T: ls.CosineAnnealingLR(opt, T, 0.4 * base(opt)), lambda T: T),
    (8, {"first_cycle_fraction": 0.05}, lambda opt, T: ls.CosineAnnealingWarmRestarts(opt, whole("0.05", T), 2), seen),
    (9, {"first_cycle_fraction": 0.4}, lambda opt, T: ls.CosineAnnealingWarmRestarts(opt, whole("0.4", T), 1), seen),
    (10, {"half_cycle_fraction": 0.25}, lambda opt, T: cyclic(opt, whole("0.25", T), "triangular"), seen),
    (11, {"min_lr_ratio": 0.3}, lambda opt, T: cyclic(opt, whole("0.1", T), "triangular2", min_lr_ratio=0.3), seen),
    (12, {"final_amplitude_ratio": 0.5},
     lambda opt, T: cyclic(opt, whole("0.1", T), "exp_range", 0.5 ** (1 / T)), seen),
    (13, {"warmup_fraction": 0.45}, lambda opt, T: one_cycle(opt, T, 0.45, "cos", 25.0), lambda T: T - 1),
    (14, {"warmup_fraction": 0.45}, lambda opt, T: one_cycle(opt, T, 0.45, "linear", 10.0), lambda T: T - 1),
    (15, {"warmup_fraction": 0.4}, lambda opt, T: ls.LinearLR(opt, 0.1, 1.0, whole("0.4", T)), seen),
    (16, {"warmup_fraction": 0.4}, lambda opt, T: ls.ConstantLR(opt, 0.5, whole("0.4", T)), seen),
    (19, {"gamma": 0.9}, lambda opt, T: ls.MultiplicativeLR(opt, lambda epoch: 0.9), seen),
    (20, {"step_fraction": 0.2, "gamma": 0.5},
     lambda opt, T: step_times_cosine(opt, T, whole("0.2", T), 0.5), lambda T: T),
    (21, {"warmup_fraction": 0.2, "step_fraction": 0.15, "gamma": 0.5},
     lambda opt, T: warmup_step_decay(opt, whole("0.2", T), whole("0.15", T), 0.5), seen),
    (22, {"gamma": 0.9}, lambda opt, T: ls.ExponentialLR(opt, 0.9), seen),
    (24, {"step_fraction": 0.2, "gamma": 0.5}, lambda opt, T: ls.StepLR(opt, whole("0.2", T), 0.5), seen),
    (25, {"gamma": 0.3}, lambda opt, T: ls.MultiStepLR(opt, milestones(T, "0.25", "0.5", "0.75", "0.9"), 0.3), seen),
    (26, {"min_lr_ratio": 0.4}, lambda opt, T: ls.CosineAnnealingLR(opt, T, 0.4 * base(opt)), lambda T: T),
    (27, {"warmup_fraction": 0.45}, lambda opt, T: one_cycle(opt, T, 0.45, "linear", 25.0), lambda T: T - 1),
    (28, {"min_lr_ratio": 0.3}, lambda opt, T: cyclic(opt, whole("0.05", T), "triangular", min_lr_ratio=0.3), seen),
    (30, {"milestone_fraction": 0.25, "gamma": 0.5}, lambda opt, T: ls.MultiStepLR(opt, [T // 4 + 1], 0.5), seen),
]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "prm", "make", "last"), OTHER_NUMBERS, ids=[f"{key(number)}-{prm}" for number, prm, *_ in OTHER_NUMBERS]
)
def test_a_hyperparameter_is_the_argument_of_its_torch_class(number, prm, make, last):
    """With non-default hyperparameters, the curve equals torch's class with those arguments."""
    for horizon in HORIZONS:
        count = min(last(horizon) + 1, seen(horizon))
        assert_curve(number, horizon, 0.1, trace(make, horizon, 0.1, count), prm)


@pytest.mark.parametrize("horizon", [10, 90, 1000])
def test_linear_decay_to_a_minimum_equals_torchs_linear_lr(horizon):
    """A0_017 equals LinearLR from 1 to 0.1 over 0.9 T, where that is a whole number."""
    for lr in BASE_RATES:
        rates = trace(lambda opt, T: ls.LinearLR(opt, 1.0, 0.1, nearest("0.9", T)), horizon, lr, seen(horizon))
        assert_curve(17, horizon, lr, rates)


ANNEALED = [  # number, hyperparameters, base schedule, annealing strategy, start fraction, final ratio
    (34, {}, ls.CosineAnnealingLR, "cos", "0.75", 0.05),
    (34, {"anneal_start_fraction": 0.4, "final_lr_ratio": 0.9}, ls.CosineAnnealingLR, "cos", "0.4", 0.9),
    (35, {}, lambda opt, T: ls.LinearLR(opt, 0.1, 1.0, whole("0.2", T)), "linear", "0.75", 0.05),
    (35, {"warmup_fraction": 0.6, "anneal_start_fraction": 0.4, "final_lr_ratio": 0.3},
     lambda opt, T: ls.LinearLR(opt, 0.1, 1.0, whole("0.6", T)), "linear", "0.4", 0.3),
]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "prm", "base_schedule", "anneal", "start_fraction", "ratio"),
    ANNEALED,
    ids=[f"{key(number)}-{prm}" for number, prm, *_ in ANNEALED],
)
def test_annealing_to_a_constant_equals_torchs_base_schedule_and_swalr(
    number, prm, base_schedule, anneal, start_fraction, ratio
):
    """The curve equals torch's base schedule up to the start fraction, then torch's SWALR over 0.1 T.

    At horizons 1 and 2 the annealing starts earlier, so that it ends at the horizon.
    """
    for horizon in HORIZONS:
        length = whole("0.1", horizon)
        start = min(whole(start_fraction, horizon), horizon - length)
        for lr in BASE_RATES:
            rates = trace(base_schedule, horizon, lr, start + 1)
            swalr = partial(SWALR, swa_lr=ratio * lr, anneal_epochs=length, anneal_strategy=anneal)
            tail = trace(lambda opt, T, swalr=swalr: swalr(opt), horizon, rates.pop(), seen(horizon) - start)
            assert_curve(number, horizon, lr, rates + tail, prm)

"""A0_001 to A0_030, A0_034 and A0_035 against torch's own schedulers, built bare on one parameter."""

from functools import partial

import pytest
from torch.optim import lr_scheduler as ls
from torch.optim.swa_utils import SWALR

from tests.curves.comparison import BASE_RATES, HORIZONS, assert_promised, held, key, nearest, seen, trace, whole


def base(optimizer) -> float:
    """The base rate that an optimizer was made with."""
    return optimizer.defaults["lr"]


def milestones(horizon: int, *fractions: str) -> list[int]:
    """Whole steps; torch counts one that occurs twice twice."""
    return [whole(fraction, horizon) for fraction in fractions]


def cyclic(optimizer, half_cycle: int, mode: str, gamma: float = 1.0, floor: float = 0.1):
    """Torch's cycles between a part of the base rate, a tenth by default, and all of it."""
    lr = base(optimizer)
    return ls.CyclicLR(optimizer, floor * lr, lr, half_cycle, mode=mode, gamma=gamma, cycle_momentum=False)


def one_cycle(optimizer, horizon: int, pct_start: float, anneal: str, div_factor: float):
    """Torch's one cycle down to a ten-thousandth of the first rate."""
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


def climb_then_steps(optimizer, climb: int, step: int, gamma: float):
    """A climb from a tenth, then torch's steps counted from its end."""
    schedules = [ls.LinearLR(optimizer, 0.1, 1.0, climb), ls.StepLR(optimizer, step, gamma)]
    return ls.SequentialLR(optimizer, schedules, [climb])


def step_times_cosine(optimizer, horizon: int, step: int, gamma: float):
    """Torch's chain is the product because both members are recurrent and the cosine's floor is 0."""
    return ls.ChainedScheduler([ls.CosineAnnealingLR(optimizer, horizon), ls.StepLR(optimizer, step, gamma)], optimizer)


FOR_EVER = {
    1: lambda opt, T: ls.StepLR(opt, whole("1/3", T), 0.1),
    2: lambda opt, T: ls.MultiStepLR(opt, milestones(T, "0.3", "0.6", "0.8"), 0.1),
    3: lambda opt, T: ls.ExponentialLR(opt, 0.95),
    4: lambda opt, T: ls.PolynomialLR(opt, T, 2.0),
    5: lambda opt, T: ls.PolynomialLR(opt, T, 3.0),
    8: lambda opt, T: ls.CosineAnnealingWarmRestarts(opt, whole("1/9", T), 2),  # step(), not step(epoch): it rounds
    9: lambda opt, T: ls.CosineAnnealingWarmRestarts(opt, whole("2/9", T), 1),
    10: lambda opt, T: cyclic(opt, whole("0.1", T), "triangular"),
    11: lambda opt, T: cyclic(opt, whole("0.1", T), "triangular2"),
    12: lambda opt, T: cyclic(opt, whole("0.1", T), "exp_range", 0.01 ** (1 / T)),  # torch's gamma is for each step
    15: lambda opt, T: ls.LinearLR(opt, 0.1, 1.0, whole("0.1", T)),
    16: lambda opt, T: ls.ConstantLR(opt, 0.5, whole("0.1", T)),
    18: lambda opt, T: ls.PolynomialLR(opt, T, 2.0),
    19: lambda opt, T: ls.MultiplicativeLR(opt, lambda epoch: 0.95),
    21: lambda opt, T: climb_then_steps(opt, whole("0.1", T), whole("0.3", T), 0.1),
    22: lambda opt, T: ls.ExponentialLR(opt, 0.95),
    24: lambda opt, T: ls.StepLR(opt, whole("0.5", T), 0.1),
    25: lambda opt, T: ls.MultiStepLR(opt, milestones(T, "0.25", "0.5", "0.75", "0.9"), 0.1),
    28: lambda opt, T: cyclic(opt, whole("0.05", T), "triangular"),
    29: lambda opt, T: ls.PolynomialLR(opt, T, 4.0),
    30: lambda opt, T: ls.MultiStepLR(opt, [T // 2 + 1], 0.1),  # the first whole step strictly after T/2
}

UP_TO_THE_HORIZON = {  # torch's cosine climbs again after it
    6: ls.CosineAnnealingLR,
    7: lambda opt, T: ls.CosineAnnealingLR(opt, T, 0.01 * base(opt)),
    20: lambda opt, T: step_times_cosine(opt, T, whole("1/3", T), 0.1),
    23: ls.CosineAnnealingLR,
    26: lambda opt, T: ls.CosineAnnealingLR(opt, T, 0.1 * base(opt)),
}

ONE_CYCLE = {
    13: ((0.3, "cos", 25.0), HORIZONS),
    14: ((0.1, "linear", 10.0), (1, 2, 3, 5, 7, 90, 1000)),  # 10: torch divides by 0.1 * 10 - 1 = 0
    27: ((0.3, "linear", 25.0), HORIZONS),
}


@pytest.mark.parametrize("number", FOR_EVER, ids=key)
def test_a_curve_is_what_its_torch_class_does_also_past_the_horizon(number):
    """Where torch's class is right for ever, the curve equals it at each step, the ones past the horizon included."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, trace(FOR_EVER[number], horizon, lr, seen(horizon)))


@pytest.mark.parametrize("number", UP_TO_THE_HORIZON, ids=key)
def test_a_curve_is_what_its_torch_class_does_up_to_the_horizon_and_stays(number):
    """Where torch's class climbs again after step T, the curve equals it up to T and stays at that rate."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = trace(UP_TO_THE_HORIZON[number], horizon, lr, horizon + 1)
            assert_promised(number, horizon, lr, held(rates, seen(horizon)))


@pytest.mark.parametrize("number", ONE_CYCLE, ids=key)
def test_a_one_cycle_is_torchs_up_to_its_last_step_and_stays(number):
    """A one-cycle curve equals torch's up to step T - 1 (torch rebounds at T, then raises) and stays at that rate."""
    arguments, horizons = ONE_CYCLE[number]
    for horizon in horizons:
        for lr in BASE_RATES:
            rates = trace(lambda opt, T: one_cycle(opt, T, *arguments), horizon, lr, horizon)
            assert_promised(number, horizon, lr, held(rates, seen(horizon)))


def test_the_horizon_that_torch_refuses_still_is_one():
    """Torch's one cycle cannot be made with 10 % up of 10 steps, which is why A0_014 is not compared there."""
    with pytest.raises(ZeroDivisionError):
        trace(lambda opt, T: one_cycle(opt, T, 0.1, "linear", 10.0), 10, 1.0, 1)


OTHER_NUMBERS = [  # number, hyperparameters other than the defaults, torch's class with them, its last right step
    (1, {"step_fraction": 0.2, "gamma": 0.5}, lambda opt, T: ls.StepLR(opt, whole("0.2", T), 0.5), seen),
    (2, {"gamma": 0.3}, lambda opt, T: ls.MultiStepLR(opt, milestones(T, "0.3", "0.6", "0.8"), 0.3), seen),
    (3, {"gamma": 0.9}, lambda opt, T: ls.ExponentialLR(opt, 0.9), seen),
    (7, {"min_lr_ratio": 0.4}, lambda opt, T: ls.CosineAnnealingLR(opt, T, 0.4 * base(opt)), lambda T: T),
    (8, {"first_cycle_fraction": 0.05}, lambda opt, T: ls.CosineAnnealingWarmRestarts(opt, whole("0.05", T), 2), seen),
    (9, {"first_cycle_fraction": 0.4}, lambda opt, T: ls.CosineAnnealingWarmRestarts(opt, whole("0.4", T), 1), seen),
    (10, {"half_cycle_fraction": 0.25}, lambda opt, T: cyclic(opt, whole("0.25", T), "triangular"), seen),
    (11, {"min_lr_ratio": 0.3}, lambda opt, T: cyclic(opt, whole("0.1", T), "triangular2", floor=0.3), seen),
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
     lambda opt, T: climb_then_steps(opt, whole("0.2", T), whole("0.15", T), 0.5), seen),
    (22, {"gamma": 0.9}, lambda opt, T: ls.ExponentialLR(opt, 0.9), seen),
    (24, {"step_fraction": 0.2, "gamma": 0.5}, lambda opt, T: ls.StepLR(opt, whole("0.2", T), 0.5), seen),
    (25, {"gamma": 0.3}, lambda opt, T: ls.MultiStepLR(opt, milestones(T, "0.25", "0.5", "0.75", "0.9"), 0.3), seen),
    (26, {"min_lr_ratio": 0.4}, lambda opt, T: ls.CosineAnnealingLR(opt, T, 0.4 * base(opt)), lambda T: T),
    (27, {"warmup_fraction": 0.45}, lambda opt, T: one_cycle(opt, T, 0.45, "linear", 25.0), lambda T: T - 1),
    (28, {"min_lr_ratio": 0.3}, lambda opt, T: cyclic(opt, whole("0.05", T), "triangular", floor=0.3), seen),
    (30, {"milestone_fraction": 0.25, "gamma": 0.5}, lambda opt, T: ls.MultiStepLR(opt, [T // 4 + 1], 0.5), seen),
]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "prm", "make", "last"), OTHER_NUMBERS, ids=[f"{key(number)}-{prm}" for number, prm, *_ in OTHER_NUMBERS]
)
def test_a_hyperparameter_is_the_argument_of_its_torch_class(number, prm, make, last):
    """With other hyperparameters than its defaults, the curve equals torch's class with those arguments."""
    for horizon in HORIZONS:
        count = min(last(horizon) + 1, seen(horizon))
        assert_promised(number, horizon, 0.1, trace(make, horizon, 0.1, count), prm)


@pytest.mark.parametrize("horizon", [10, 90, 1000])
def test_a_line_to_a_floor_is_torchs_line_that_ends_there(horizon):
    """A0_017 equals LinearLR from 1 to 0.1 over 0.9 T wherever that is a whole number, which torch wants."""
    for lr in BASE_RATES:
        rates = trace(lambda opt, T: ls.LinearLR(opt, 1.0, 0.1, nearest("0.9", T)), horizon, lr, seen(horizon))
        assert_promised(17, horizon, lr, rates)


SWA = [  # number, hyperparameters, base schedule, anneal, begin, part of the base rate at the end
    (34, {}, ls.CosineAnnealingLR, "cos", "0.75", 0.05),
    (34, {"swa_start_fraction": 0.4, "swa_ratio": 0.9}, ls.CosineAnnealingLR, "cos", "0.4", 0.9),
    (35, {}, lambda opt, T: ls.LinearLR(opt, 0.1, 1.0, whole("0.2", T)), "linear", "0.75", 0.05),
    (35, {"warmup_fraction": 0.6, "swa_start_fraction": 0.4, "swa_ratio": 0.3},
     lambda opt, T: ls.LinearLR(opt, 0.1, 1.0, whole("0.6", T)), "linear", "0.4", 0.3),
]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "prm", "first", "anneal", "begin", "end"), SWA, ids=[f"{key(number)}-{prm}" for number, prm, *_ in SWA]
)
def test_an_swa_curve_is_torchs_first_schedule_and_then_its_swalr(number, prm, first, anneal, begin, end):
    """The curve is torch's base schedule up to the begin, then torch's SWALR over 0.1 T from the rate reached there.

    At horizons 1 and 2 those whole steps would end past the horizon: the anneal begins so early that it ends with it.
    """
    for horizon in HORIZONS:
        length = whole("0.1", horizon)
        start = min(whole(begin, horizon), horizon - length)
        for lr in BASE_RATES:
            rates = trace(first, horizon, lr, start + 1)
            swalr = partial(SWALR, swa_lr=end * lr, anneal_epochs=length, anneal_strategy=anneal)
            tail = trace(lambda opt, T, swalr=swalr: swalr(opt), horizon, rates.pop(), seen(horizon) - start)
            assert_promised(number, horizon, lr, rates + tail, prm)

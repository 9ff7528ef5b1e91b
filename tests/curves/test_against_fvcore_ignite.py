"""A0_001 to A0_050 against fvcore and pytorch-ignite, also those that optax and timm do not have."""

import numpy as np
import pytest
from fvcore.common import param_scheduler as fv
from ignite.handlers.param_scheduler import LinearCyclicalScheduler, PiecewiseLinear

from tests.curves.comparison import BASE_RATES, HORIZONS, assert_curve, held, key, nearest, seen, whole

EVEN = (2, 10, 90, 1000)
LONG = (10, 90, 1000)  # at shorter horizons a warm-up has no steps, or a phase ends between two steps


def multistep(lr, horizon, *milestones):
    """Decay by a tenth at each milestone."""
    values = [lr * 0.1**passed for passed in range(len(milestones) + 1)]
    return fv.MultiStepParamScheduler(values, horizon, list(milestones))


def joined(first, second, boundary, end):
    """One schedule up to the boundary and another from there to the end, as functions of the step."""
    return lambda step: first(step / boundary) if step <= boundary else second((step - boundary) / (end - boundary))


def one_cycle_cosine(lr, horizon):
    """Cosine warm-up and cosine decay; fvcore's cosine can also increase."""
    peak = 0.3 * horizon - 1
    warmup, decay = fv.CosineParamScheduler(lr / 25, lr), fv.CosineParamScheduler(lr, lr / 25e4)
    return joined(warmup, decay, peak, horizon - 1)


def anneal_to_constant(base, kind, horizon, lr):
    """A base schedule up to 0.75 T, then annealing to a twentieth of lr over 0.1 T, then that learning rate."""
    start, length = whole("0.75", horizon), whole("0.1", horizon)
    annealing = kind(base(start), 0.05 * lr)
    return lambda step: base(step) if step <= start else annealing(min(1, (step - start) / length))


def cosine(lr, horizon):
    """Cosine decay to zero, as a function of the step."""
    decay = fv.CosineParamScheduler(lr, 0.0)
    return lambda step: decay(step / horizon)


def warmup(lr, horizon):
    """Linear warm-up from a tenth of lr over a fifth of the horizon, as a function of the step."""
    increase = fv.LinearParamScheduler(0.1 * lr, lr)
    return lambda step: increase(min(1, step / whole("0.2", horizon)))


BY_PROGRESS = {  # number: schedule as a function of t / T, horizons
    1: (lambda lr, T: fv.StepWithFixedGammaParamScheduler(lr, 2, 0.1, T), (3, 90)),  # multiples of 3
    2: (
        lambda lr, T: multistep(lr, T, *(whole(f, T) for f in ("0.3", "0.6", "0.8"))),
        (5, 7, 10, 90, 1000),  # the milestones are distinct
    ),
    3: (lambda lr, T: fv.ExponentialParamScheduler(lr, 0.95**T), HORIZONS),
    4: (lambda lr, T: fv.PolynomialDecayParamScheduler(lr, 2.0), HORIZONS),
    5: (lambda lr, T: fv.PolynomialDecayParamScheduler(lr, 3.0), HORIZONS),
    6: (lambda lr, T: fv.CosineParamScheduler(lr, 0.0), HORIZONS),
    7: (lambda lr, T: fv.CosineParamScheduler(lr, 0.01 * lr), HORIZONS),
    17: (lambda lr, T: lambda x: max(0.1 * lr, fv.LinearParamScheduler(lr, 0.0)(x)), HORIZONS),
    18: (lambda lr, T: fv.PolynomialDecayParamScheduler(lr, 2.0), HORIZONS),
    19: (lambda lr, T: fv.ExponentialParamScheduler(lr, 0.95**T), HORIZONS),
    22: (lambda lr, T: fv.ExponentialParamScheduler(lr, 0.95**T), HORIZONS),
    23: (lambda lr, T: fv.CosineParamScheduler(lr, 0.0), HORIZONS),
    24: (lambda lr, T: fv.StepWithFixedGammaParamScheduler(lr, 1, 0.1, T), EVEN),
    25: (lambda lr, T: multistep(lr, T, *(whole(f, T) for f in ("0.25", "0.5", "0.75", "0.9"))), (7, 10, 90, 1000)),
    26: (lambda lr, T: fv.CosineParamScheduler(lr, 0.1 * lr), HORIZONS),
    29: (lambda lr, T: fv.PolynomialDecayParamScheduler(lr, 4.0), HORIZONS),
    30: (lambda lr, T: multistep(lr, T, T // 2 + 1), (3, 5, 7, 10, 90, 1000)),  # a milestone before the end
}


@pytest.mark.parametrize("number", BY_PROGRESS, ids=key)
def test_a_curve_equals_fvcore_up_to_the_horizon(number):
    """The curve equals fvcore's schedule of t / T at steps 0 to T - 1; fvcore requires t / T to be below 1."""
    schedule, horizons = BY_PROGRESS[number]
    for horizon in horizons:
        for lr in BASE_RATES:
            reference = schedule(lr, horizon)
            assert_curve(number, horizon, lr, [reference(step / horizon) for step in range(horizon)])


JOINED = {  # number: schedule as a function of the step, its last step, horizons at which both parts have steps
    13: (one_cycle_cosine, lambda T: T - 1, (5, 7, 10, 90, 1000)),
    34: (
        lambda lr, T: anneal_to_constant(cosine(lr, T), fv.CosineParamScheduler, T, lr),
        seen,
        (3, 5, 7, 10, 90, 1000),
    ),
    35: (
        lambda lr, T: anneal_to_constant(warmup(lr, T), fv.LinearParamScheduler, T, lr),
        seen,
        (3, 5, 7, 10, 90, 1000),
    ),
}


@pytest.mark.parametrize("number", JOINED, ids=key)
def test_a_curve_of_two_parts_equals_two_schedules_of_fvcore(number):
    """The curve equals one schedule of fvcore, then another, and keeps the last learning rate."""
    schedule, last, horizons = JOINED[number]
    for horizon in horizons:
        for lr in BASE_RATES:
            reference = schedule(lr, horizon)
            rates = [reference(step) for step in range(min(last(horizon), seen(horizon) - 1) + 1)]
            assert_curve(number, horizon, lr, held(rates, seen(horizon)))


def simulated(kind, count, **arguments) -> np.ndarray:
    """The simulated values of one of ignite's schedulers."""
    return np.array([value for _, value in kind.simulate_values(count, param_name="lr", **arguments)])


def triangular(fraction, horizon, amplitude_decay=1.0) -> np.ndarray:
    """Triangular cycles between 0 and 1, to be rescaled: ignite multiplies the peak, not the amplitude."""
    cycle = 2 * whole(fraction, horizon)
    return simulated(
        LinearCyclicalScheduler,
        seen(horizon),
        start_value=0.0,
        end_value=1.0,
        cycle_size=cycle,
        end_value_mult=amplitude_decay,
    )


CYCLES = {
    10: lambda T: triangular("0.1", T),
    11: lambda T: triangular("0.1", T, 0.5),
    12: lambda T: triangular("0.1", T) * 0.01 ** (np.arange(seen(T)) / T),  # ignite's peaks decay once per cycle
    28: lambda T: triangular("0.05", T),
}


@pytest.mark.parametrize("number", CYCLES, ids=key)
def test_cyclical_learning_rates_equal_ignite_also_past_the_horizon(number):
    """The curve equals ignite's triangular cycles, rescaled to a minimum of a tenth, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, 0.1 * lr + 0.9 * lr * CYCLES[number](horizon))


MILESTONES = {  # number: (step, multiplier) pairs, horizons
    14: (lambda T: [(0, 0.1), (nearest("0.1", T) - 1, 1.0), (T - 1, 1e-5)], (90, 1000)),
    15: (lambda T: [(0, 0.1), (whole("0.1", T), 1.0)], HORIZONS),
    27: (lambda T: [(0, 0.04), (nearest("0.3", T) - 1, 1.0), (T - 1, 0.04e-4)], LONG),
    36: (lambda T: [(0, 0.0), (nearest("0.1", T), 1.0), (T, 0.0)], LONG),
    40: (lambda T: [(0, 0.0), (nearest("0.1", T), 1.0)], LONG),
    44: (lambda T: [(0, 0.0), (nearest("0.05", T), 1.0), (T, 0.0)], (90, 1000)),
    49: (lambda T: [(0, 0.0), (nearest("0.2", T), 1.0)], LONG),
    50: (lambda T: [(0, 0.0), (nearest("0.05", T), 1.0)], (90, 1000)),
}


@pytest.mark.parametrize("number", MILESTONES, ids=key)
def test_a_piecewise_linear_curve_equals_ignite_also_past_the_horizon(number):
    """The curve equals ignite's linear interpolation between milestones and is constant after the last one."""
    milestones, horizons = MILESTONES[number]
    for horizon in horizons:
        for lr in BASE_RATES:
            values = [(step, multiplier * lr) for step, multiplier in milestones(horizon)]
            assert_curve(number, horizon, lr, simulated(PiecewiseLinear, seen(horizon), milestones_values=values))

"""The second opinion of fvcore and of pytorch-ignite, which have what optax and timm do not: pieces and cycles."""

import numpy as np
import pytest
from fvcore.common import param_scheduler as fv
from ignite.handlers.param_scheduler import LinearCyclicalScheduler, PiecewiseLinear

from tests.curves.comparison import BASE_RATES, HORIZONS, assert_promised, held, key, nearest, seen, whole

EVEN = (2, 10, 90, 1000)
LONG = (10, 90, 1000)  # shorter ones have no warm-up steps, or phases that do not end on whole steps


def drops(lr, horizon, *steps):
    """A drop to a tenth at each step."""
    values = [lr * 0.1**passed for passed in range(len(steps) + 1)]
    return fv.MultiStepParamScheduler(values, horizon, list(steps))


def two_pieces(first, second, turn, end):
    """One fvcore schedule up to a turn and another from there to the end, by step."""
    return lambda step: first(step / turn) if step <= turn else second((step - turn) / (end - turn))


def one_cycle_cosine(lr, horizon):
    """A cosine up and a cosine down; fvcore's cosine climbs as well as it falls."""
    top = 0.3 * horizon - 1
    up, down = fv.CosineParamScheduler(lr / 25, lr), fv.CosineParamScheduler(lr, lr / 25e4)
    return two_pieces(up, down, top, horizon - 1)


def swa(base, kind, horizon, lr):
    """A base schedule up to 0.75 T, a piece over 0.1 T down to a twentieth, and that."""
    turn, length = whole("0.75", horizon), whole("0.1", horizon)
    tail = kind(base(turn), 0.05 * lr)
    return lambda step: base(step) if step <= turn else tail(min(1, (step - turn) / length))


def cosine(lr, horizon):
    """Half a cosine to zero, by step."""
    whole_way = fv.CosineParamScheduler(lr, 0.0)
    return lambda step: whole_way(step / horizon)


def ramp(lr, horizon):
    """From a tenth over a fifth of the horizon, by step."""
    line = fv.LinearParamScheduler(0.1 * lr, lr)
    return lambda step: line(min(1, step / whole("0.2", horizon)))


UP_TO_THE_HORIZON = {  # number: schedule, horizons; by progress t / T (or by step, where a lambda of a step is built)
    1: (lambda lr, T: fv.StepWithFixedGammaParamScheduler(lr, 2, 0.1, T), (3, 90)),  # thirds have to be whole
    2: (lambda lr, T: drops(lr, T, *(whole(f, T) for f in ("0.3", "0.6", "0.8"))), (5, 7, 10, 90, 1000)),  # distinct
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
    25: (lambda lr, T: drops(lr, T, *(whole(f, T) for f in ("0.25", "0.5", "0.75", "0.9"))), (7, 10, 90, 1000)),
    26: (lambda lr, T: fv.CosineParamScheduler(lr, 0.1 * lr), HORIZONS),
    29: (lambda lr, T: fv.PolynomialDecayParamScheduler(lr, 4.0), HORIZONS),
    30: (lambda lr, T: drops(lr, T, T // 2 + 1), (3, 5, 7, 10, 90, 1000)),  # the milestone has to lie before the end
}


@pytest.mark.parametrize("number", UP_TO_THE_HORIZON, ids=key)
def test_a_curve_is_what_fvcore_says_of_its_progress(number):
    """The curve equals fvcore's schedule of t / T at steps 0 to T - 1; fvcore has no progress of 1 and beyond."""
    schedule, horizons = UP_TO_THE_HORIZON[number]
    for horizon in horizons:
        for lr in BASE_RATES:
            at = schedule(lr, horizon)
            assert_promised(number, horizon, lr, [at(step / horizon) for step in range(horizon)])


PIECES = {  # number: schedule by step, the last step of it, horizons at which both pieces have a length
    13: (one_cycle_cosine, lambda T: T - 1, (5, 7, 10, 90, 1000)),
    34: (lambda lr, T: swa(cosine(lr, T), fv.CosineParamScheduler, T, lr), seen, (3, 5, 7, 10, 90, 1000)),
    35: (lambda lr, T: swa(ramp(lr, T), fv.LinearParamScheduler, T, lr), seen, (3, 5, 7, 10, 90, 1000)),
}


@pytest.mark.parametrize("number", PIECES, ids=key)
def test_a_curve_of_two_pieces_is_fvcores_pieces_one_after_the_other(number):
    """The curve equals one schedule of fvcore up to the turn, another from there, and stays at the last rate."""
    schedule, last, horizons = PIECES[number]
    for horizon in horizons:
        for lr in BASE_RATES:
            at = schedule(lr, horizon)
            rates = [at(step) for step in range(min(last(horizon), seen(horizon) - 1) + 1)]
            assert_promised(number, horizon, lr, held(rates, seen(horizon)))


def simulated(kind, count, **arguments) -> np.ndarray:
    """The values that one of ignite's schedulers would set."""
    return np.array([value for _, value in kind.simulate_values(count, param_name="lr", **arguments)])


def waves(fraction, horizon, shrink=1.0) -> np.ndarray:
    """Triangles from 0 to 1; ignite shrinks the peak alone, so that the lower bound is put under them afterwards."""
    cycle = 2 * whole(fraction, horizon)
    return simulated(
        LinearCyclicalScheduler, seen(horizon), start_value=0.0, end_value=1.0, cycle_size=cycle, end_value_mult=shrink
    )


CYCLES = {
    10: lambda T: waves("0.1", T),
    11: lambda T: waves("0.1", T, 0.5),
    12: lambda T: waves("0.1", T) * 0.01 ** (np.arange(seen(T)) / T),  # ignite has no decay within a cycle
    28: lambda T: waves("0.05", T),
}


@pytest.mark.parametrize("number", CYCLES, ids=key)
def test_a_cycle_is_what_ignite_does_also_past_the_horizon(number):
    """The curve equals ignite's triangles on a lower bound of a tenth, the ones past the horizon included."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, 0.1 * lr + 0.9 * lr * CYCLES[number](horizon))


LINES = {  # number: corners (step, part of the base rate), horizons
    14: (lambda T: [(0, 0.1), (nearest("0.1", T) - 1, 1.0), (T - 1, 1e-5)], (90, 1000)),
    15: (lambda T: [(0, 0.1), (whole("0.1", T), 1.0)], HORIZONS),
    27: (lambda T: [(0, 0.04), (nearest("0.3", T) - 1, 1.0), (T - 1, 0.04e-4)], LONG),
    36: (lambda T: [(0, 0.0), (nearest("0.1", T), 1.0), (T, 0.0)], LONG),
    40: (lambda T: [(0, 0.0), (nearest("0.1", T), 1.0)], LONG),
    44: (lambda T: [(0, 0.0), (nearest("0.05", T), 1.0), (T, 0.0)], (90, 1000)),
    49: (lambda T: [(0, 0.0), (nearest("0.2", T), 1.0)], LONG),
    50: (lambda T: [(0, 0.0), (nearest("0.05", T), 1.0)], (90, 1000)),
}


@pytest.mark.parametrize("number", LINES, ids=key)
def test_a_curve_of_lines_is_ignites_corners_also_past_the_horizon(number):
    """The curve equals ignite's lines between its corners and stays at the last one."""
    corners, horizons = LINES[number]
    for horizon in horizons:
        for lr in BASE_RATES:
            milestones = [(step, part * lr) for step, part in corners(horizon)]
            assert_promised(
                number, horizon, lr, simulated(PiecewiseLinear, seen(horizon), milestones_values=milestones)
            )

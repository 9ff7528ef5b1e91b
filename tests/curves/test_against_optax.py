"""The second opinion of optax, in float64, on every variant that its schedules can be put together to."""

import jax
import numpy as np
import optax
import pytest

from tests.curves.comparison import BASE_RATES, HORIZONS, assert_promised, key, nearest, seen, whole


@pytest.fixture(scope="module", autouse=True)
def float64():
    """Jax computes in float32 unless it is told not to, which would hide differences below 1e-7."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def drops(lr, horizon, *fractions):
    """A drop to a tenth at each milestone; optax keeps one scale for each step, so equal milestones share theirs."""
    scales = {}
    for fraction in fractions:
        step = whole(fraction, horizon)
        scales[step] = scales.get(step, 1.0) * 0.1
    return optax.piecewise_constant_schedule(lr, scales)


def stairs(lr, horizon, fraction):
    """A drop to a tenth after every fraction of the horizon."""
    return optax.exponential_decay(lr, whole(fraction, horizon), 0.1, staircase=True)


def cosines(lr, first, factor, count):
    """Restarting cosines, as many as there are steps to be seen."""
    lengths = [first]
    while sum(lengths) < count:
        lengths.append(lengths[-1] * factor)
    cycles = [{"init_value": lr, "peak_value": lr, "warmup_steps": 0, "decay_steps": length} for length in lengths]
    return optax.sgdr_schedule(cycles)


def climb(lr, horizon, fraction, then):
    """From zero over a fraction of the horizon, then another schedule.

    Joined by hand, because optax's own warm-ups stay at zero for ever when they have no steps.
    """
    steps = nearest(fraction, horizon)
    return optax.join_schedules([optax.linear_schedule(0.0, lr, steps), then(steps)], [steps])


def climb_to_power(lr, horizon, fraction, end, power):
    """A climb, then a power of what remains."""
    return climb(lr, horizon, fraction, lambda steps: optax.polynomial_schedule(lr, end, power, horizon - steps))


def climb_to_cosine(lr, horizon, floor):
    """A climb, then half a cosine; the decay steps of optax's own warm-up cosine would include the climb."""
    return climb(lr, horizon, "0.1", lambda steps: optax.cosine_decay_schedule(lr, horizon - steps, floor))


def climb_then_drops(lr, horizon):
    """From a tenth, then steps counted from the end of the climb."""
    steps = whole("0.1", horizon)
    return optax.join_schedules([optax.linear_schedule(0.1 * lr, lr, steps), stairs(lr, horizon, "0.3")], [steps])


def product(horizon, lr):
    """Steps times half a cosine up to T; held from there, while the stairs would go on (under a cosine of zero)."""
    decay, cosine = stairs(1.0, horizon, "1/3"), optax.cosine_decay_schedule(lr, horizon)
    return lambda step: decay(step) * cosine(step)


ORACLES = {
    1: lambda lr, T: stairs(lr, T, "1/3"),
    2: lambda lr, T: drops(lr, T, "0.3", "0.6", "0.8"),
    3: lambda lr, T: optax.exponential_decay(lr, 1, 0.95),
    4: lambda lr, T: optax.polynomial_schedule(lr, 0.0, 2, T),
    5: lambda lr, T: optax.polynomial_schedule(lr, 0.0, 3, T),
    6: optax.cosine_decay_schedule,
    7: lambda lr, T: optax.cosine_decay_schedule(lr, T, 0.01),
    8: lambda lr, T: cosines(lr, whole("1/9", T), 2, seen(T)),
    9: lambda lr, T: cosines(lr, whole("2/9", T), 1, seen(T)),
    15: lambda lr, T: optax.linear_schedule(0.1 * lr, lr, whole("0.1", T)),
    16: lambda lr, T: optax.piecewise_constant_schedule(0.5 * lr, {whole("0.1", T): 2.0}),
    17: lambda lr, T: optax.linear_schedule(lr, 0.1 * lr, 0.9 * T),  # the line would be at 0.1 then, whole or not
    18: lambda lr, T: optax.polynomial_schedule(lr, 0.0, 2, T),
    19: lambda lr, T: optax.exponential_decay(lr, 1, 0.95),
    20: lambda lr, T: product(T, lr),
    21: climb_then_drops,
    22: lambda lr, T: optax.exponential_decay(lr, 1, 0.95),
    23: optax.cosine_decay_schedule,
    24: lambda lr, T: stairs(lr, T, "0.5"),
    25: lambda lr, T: drops(lr, T, "0.25", "0.5", "0.75", "0.9"),
    26: lambda lr, T: optax.cosine_decay_schedule(lr, T, 0.1),
    29: lambda lr, T: optax.polynomial_schedule(lr, 0.0, 4, T),
    30: lambda lr, T: optax.piecewise_constant_schedule(lr, {T // 2 + 1: 0.1}),  # at m and after it: strictly after T/2
    36: lambda lr, T: climb_to_power(lr, T, "0.1", 0.0, 1),
    37: lambda lr, T: climb_to_cosine(lr, T, 0.0),
    38: lambda lr, T: climb_to_cosine(lr, T, 0.0),
    39: lambda lr, T: climb_to_power(lr, T, "0.1", 1e-7, 2),
    40: lambda lr, T: climb(lr, T, "0.1", lambda steps: optax.constant_schedule(lr)),
    41: lambda lr, T: optax.constant_schedule(lr),
    43: lambda lr, T: climb_to_cosine(lr, T, 0.01),
    44: lambda lr, T: climb_to_power(lr, T, "0.05", 0.0, 1),
    47: lambda lr, T: climb_to_power(lr, T, "0.1", 1e-7, 1),
    48: lambda lr, T: climb_to_power(lr, T, "0.1", 1e-7, 3),
    49: lambda lr, T: climb(lr, T, "0.2", lambda steps: optax.constant_schedule(lr)),
    50: lambda lr, T: climb(lr, T, "0.05", lambda steps: optax.constant_schedule(lr)),
}
# Not here: 10-12 and 28 (optax has no cycles), 13, 14 and 27 (its one cycle ends its phases at pct T and T, not one
# step before), 34 and 35 (no SWA rate), 42 (no square root), 45 and 46 (the cycles need not be whole), 31-33 (see
# test_plateau.py).


@pytest.mark.parametrize("number", ORACLES, ids=key)
def test_a_curve_is_what_optax_computes_also_past_the_horizon(number):
    """The curve equals the schedule of optax at each step, the ones past the horizon included."""
    steps = np.arange(seen(max(HORIZONS)), dtype=np.float64)  # one length, because jax compiles for each
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = np.broadcast_to(np.asarray(ORACLES[number](lr, horizon)(steps)), steps.shape)
            assert rates.dtype == np.float64
            assert_promised(number, horizon, lr, rates[: seen(horizon)])

"""A0_001 to A0_050 against optax in float64, where its schedules and joins of them suffice."""

import jax
import numpy as np
import optax
import pytest

from tests.curves.comparison import BASE_RATES, HORIZONS, assert_curve, key, nearest, seen, whole


@pytest.fixture(scope="module", autouse=True)
def float64():
    """JAX computes in float64; its default, float32, would hide differences below 1e-7."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def multistep(lr, horizon, *fractions):
    """Decay by a tenth at each milestone; optax has one scale per step, so equal milestones share the product."""
    scales = {}
    for fraction in fractions:
        step = whole(fraction, horizon)
        scales[step] = scales.get(step, 1.0) * 0.1
    return optax.piecewise_constant_schedule(lr, scales)


def step_decay(lr, horizon, fraction):
    """Decay by a tenth after each interval of a fraction of the horizon."""
    return optax.exponential_decay(lr, whole(fraction, horizon), 0.1, staircase=True)


def warm_restarts(lr, first, factor, count):
    """Cosine decay with warm restarts, with enough cycles for ``count`` steps."""
    lengths = [first]
    while sum(lengths) < count:
        lengths.append(lengths[-1] * factor)
    cycles = [{"init_value": lr, "peak_value": lr, "warmup_steps": 0, "decay_steps": length} for length in lengths]
    return optax.sgdr_schedule(cycles)


def warmup_then(lr, horizon, fraction, decay):
    """Linear warm-up from zero over a fraction of the horizon, then ``decay(decay_steps)``.

    They are joined here because optax's own warm-up schedules stay at zero when they have no warm-up steps.
    """
    warmup_steps = nearest(fraction, horizon)
    warmup = optax.linear_schedule(0.0, lr, warmup_steps)
    return optax.join_schedules([warmup, decay(horizon - warmup_steps)], [warmup_steps])


def warmup_constant(lr, horizon, fraction):
    """Linear warm-up from zero, then a constant learning rate."""
    return warmup_then(lr, horizon, fraction, lambda decay_steps: optax.constant_schedule(lr))


def warmup_polynomial(lr, horizon, fraction, end, power):
    """Linear warm-up, then polynomial decay."""
    return warmup_then(
        lr, horizon, fraction, lambda decay_steps: optax.polynomial_schedule(lr, end, power, decay_steps)
    )


def warmup_cosine(lr, horizon, min_lr_ratio):
    """Linear warm-up, then cosine decay."""
    return warmup_then(
        lr, horizon, "0.1", lambda decay_steps: optax.cosine_decay_schedule(lr, decay_steps, min_lr_ratio)
    )


def warmup_step_decay(lr, horizon):
    """Linear warm-up from a tenth of lr, then step decay counted from its end."""
    steps = whole("0.1", horizon)
    return optax.join_schedules([optax.linear_schedule(0.1 * lr, lr, steps), step_decay(lr, horizon, "0.3")], [steps])


def step_times_cosine(lr, horizon):
    """Step decay multiplied by cosine decay, which is zero from step T on."""
    decay, cosine = step_decay(1.0, horizon, "1/3"), optax.cosine_decay_schedule(lr, horizon)
    return lambda step: decay(step) * cosine(step)


REFERENCES = {
    1: lambda lr, T: step_decay(lr, T, "1/3"),
    2: lambda lr, T: multistep(lr, T, "0.3", "0.6", "0.8"),
    3: lambda lr, T: optax.exponential_decay(lr, 1, 0.95),
    4: lambda lr, T: optax.polynomial_schedule(lr, 0.0, 2, T),
    5: lambda lr, T: optax.polynomial_schedule(lr, 0.0, 3, T),
    6: optax.cosine_decay_schedule,
    7: lambda lr, T: optax.cosine_decay_schedule(lr, T, 0.01),
    8: lambda lr, T: warm_restarts(lr, whole("1/9", T), 2, seen(T)),
    9: lambda lr, T: warm_restarts(lr, whole("2/9", T), 1, seen(T)),
    15: lambda lr, T: optax.linear_schedule(0.1 * lr, lr, whole("0.1", T)),
    16: lambda lr, T: optax.piecewise_constant_schedule(0.5 * lr, {whole("0.1", T): 2.0}),
    17: lambda lr, T: optax.linear_schedule(lr, 0.1 * lr, 0.9 * T),  # reaches 0.1 there, also between two steps
    18: lambda lr, T: optax.polynomial_schedule(lr, 0.0, 2, T),
    19: lambda lr, T: optax.exponential_decay(lr, 1, 0.95),
    20: step_times_cosine,
    21: warmup_step_decay,
    22: lambda lr, T: optax.exponential_decay(lr, 1, 0.95),
    23: optax.cosine_decay_schedule,
    24: lambda lr, T: step_decay(lr, T, "0.5"),
    25: lambda lr, T: multistep(lr, T, "0.25", "0.5", "0.75", "0.9"),
    26: lambda lr, T: optax.cosine_decay_schedule(lr, T, 0.1),
    29: lambda lr, T: optax.polynomial_schedule(lr, 0.0, 4, T),
    30: lambda lr, T: optax.piecewise_constant_schedule(lr, {T // 2 + 1: 0.1}),  # the first step after T / 2
    36: lambda lr, T: warmup_polynomial(lr, T, "0.1", 0.0, 1),
    37: lambda lr, T: warmup_cosine(lr, T, 0.0),
    38: lambda lr, T: warmup_cosine(lr, T, 0.0),
    39: lambda lr, T: warmup_polynomial(lr, T, "0.1", 1e-7, 2),
    40: lambda lr, T: warmup_constant(lr, T, "0.1"),
    41: lambda lr, T: optax.constant_schedule(lr),
    43: lambda lr, T: warmup_cosine(lr, T, 0.01),
    44: lambda lr, T: warmup_polynomial(lr, T, "0.05", 0.0, 1),
    47: lambda lr, T: warmup_polynomial(lr, T, "0.1", 1e-7, 1),
    48: lambda lr, T: warmup_polynomial(lr, T, "0.1", 1e-7, 3),
    49: lambda lr, T: warmup_constant(lr, T, "0.2"),
    50: lambda lr, T: warmup_constant(lr, T, "0.05"),
}
# Not in optax: cyclical learning rates (10-12, 28), annealing to a constant (34, 35), inverse square root decay (42).
# Its one-cycle schedules end their phases a step later (13, 14, 27), its cycles have whole numbers of steps (45, 46),
# and its plateaus (31-33) are compared in test_plateau.py.


@pytest.mark.parametrize("number", REFERENCES, ids=key)
def test_a_curve_equals_optax_also_past_the_horizon(number):
    """The curve equals optax's schedule at each step, also past the horizon."""
    steps = np.arange(seen(max(HORIZONS)), dtype=np.float64)  # a single length: JAX compiles once per shape
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            rates = np.broadcast_to(np.asarray(REFERENCES[number](lr, horizon)(steps)), steps.shape)
            assert rates.dtype == np.float64
            assert_curve(number, horizon, lr, rates[: seen(horizon)])

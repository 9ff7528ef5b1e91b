"""A0_031 to A0_033 against torch's ReduceLROnPlateau and optax's, driven by the same losses."""

import math
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from optax.contrib import reduce_on_plateau
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lrgen import curves
from tests.curves.comparison import BASE_RATES, HORIZONS, key, variants, whole

PLATEAUS = {31: ("5/90", 0.1), 32: ("10/90", 0.1), 33: ("3/90", 0.5)}  # number: patience_fraction, factor

# Mean training losses of a small network with dropout on 300 handwritten digits, SGD 0.1, momentum 0.9, 90 epochs.
RECORDED = (
    2.2741, 1.9715, 1.3006, 0.8259, 0.6863, 0.4721, 0.4338, 0.3714, 0.2927, 0.331, 0.3153, 0.2739, 0.2383, 0.2105,
    0.2641, 0.2199, 0.1801, 0.2082, 0.1528, 0.1803, 0.1275, 0.1851, 0.1562, 0.1783, 0.1431, 0.16, 0.2009, 0.1661,
    0.2283, 0.1221, 0.1516, 0.1328, 0.1335, 0.123, 0.1148, 0.1201, 0.1294, 0.1276, 0.1317, 0.1364, 0.1183, 0.1231,
    0.0908, 0.0703, 0.1462, 0.1004, 0.12, 0.0529, 0.0931, 0.1141, 0.1135, 0.1339, 0.0944, 0.0887, 0.0927, 0.0914,
    0.1032, 0.0886, 0.0915, 0.0747, 0.1033, 0.0779, 0.1094, 0.0685, 0.0882, 0.0754, 0.089, 0.109, 0.0862, 0.1044,
    0.0902, 0.1367, 0.1144, 0.1016, 0.0634, 0.0733, 0.066, 0.067, 0.0933, 0.0667, 0.0551, 0.1009, 0.0762, 0.0719,
    0.0642, 0.0612, 0.1228, 0.0824, 0.0696, 0.0631,
)  # fmt: skip

NAN, INF = math.nan, math.inf
LOSSES = {
    "none at all": (),
    "recorded": RECORDED,
    "recorded, then worse": (*RECORDED, *RECORDED),
    "always better": tuple(1 / (step + 1) for step in range(60)),
    "ties": (0.5,) * 200,
    "ties with one better": (*(0.5,) * 40, 0.4, *(0.4,) * 40),
    "never a number": (NAN,) * 40,
    "not a number now and then": (1.0, NAN, NAN, 0.9, NAN, 0.95, NAN, 0.9, 0.9, NAN, 0.8, *(NAN,) * 30),
    "infinite at first": (INF, INF, INF, 2.0, INF, 1.0, *(INF,) * 20, -INF, *(0.0,) * 20),
    "better by just the threshold": tuple(0.9999**step for step in range(60)),
    "better by less than the threshold": tuple(0.99991**step for step in range(60)),
    "better by more than the threshold": tuple(0.99989**step for step in range(60)),
    "zero, relative to which nothing improves": (1.0, 0.0, *(0.0,) * 30),
    "negative, where torch's relative threshold lets a tie count as better": (1.0, *(-1.0,) * 40),
    "a plateau until the learning rate is below 1e-8": (1.0,) * 700,
}


def torch_rates(number: int, losses, horizon: int, lr: float) -> list[float]:
    """The initial learning rate of torch's scheduler and that after each loss."""
    patience, factor = PLATEAUS[number]
    return torch_plateau(losses, lr, whole(patience, horizon), factor)


def torch_plateau(losses, lr: float, patience: int, factor: float) -> list[float]:
    """Torch's scheduler with its defaults: mode min, relative threshold 1e-4, no changes by at most 1e-8."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = ReduceLROnPlateau(optimizer, factor=factor, patience=patience)
    rates = [optimizer.param_groups[0]["lr"]]
    for loss in losses:
        scheduler.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def assert_curve(number: int, losses, horizon: int, lr: float, expected, prm=None) -> None:
    """The curve equals the expected learning rates to within 1e-9 of the base learning rate."""
    rates = curves.rates(variants()[number], None, horizon, lr, prm, metrics=losses)
    assert rates.shape == (len(losses) + 1,)
    difference = np.abs(rates - np.asarray(expected))
    worst = int(np.argmax(difference))
    assert difference[worst] <= 1e-9 * lr, (
        f"{key(number)} after {worst} losses, horizon {horizon}, base learning rate {lr}: "
        f"the curve is {rates[worst]!r}, expected {expected[worst]!r}"
    )


@pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES.keys())
@pytest.mark.parametrize("number", PLATEAUS, ids=key)
def test_a_plateau_curve_equals_torchs(number, losses):
    """Driven by the same losses, the curve equals torch's scheduler after each of them."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, losses, horizon, lr, torch_rates(number, losses, horizon, lr))


@pytest.mark.parametrize("number", PLATEAUS, ids=key)
def test_the_recorded_losses_reduce_the_learning_rate(number):
    """The comparison is not trivial: over the recorded losses each variant is reduced more than once."""
    rates = curves.rates(variants()[number], None, 90, metrics=RECORDED * 2)
    assert len(set(rates)) > 2


@pytest.mark.parametrize("number", PLATEAUS, ids=key)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    losses=st.lists(st.floats(width=16) | st.sampled_from([0.5, 0.50004, 0.49996]), max_size=80),
    horizon=st.integers(1, 120),
    patience=st.floats(0, 0.2),
)
def test_a_plateau_curve_equals_torchs_for_any_losses(number, losses, horizon, patience):
    """The curve equals torch's scheduler for any losses, infinite ones and NaN included, and any patience."""
    expected = torch_plateau(losses, 0.1, max(1, round(patience * horizon)), PLATEAUS[number][1])
    assert_curve(number, losses, horizon, 0.1, expected, {"patience_fraction": patience})


@pytest.mark.parametrize("number", PLATEAUS, ids=key)
def test_a_plateau_curve_equals_optaxs(number):
    """Over the recorded losses the curve equals optax's rule, whose patience is greater by one."""
    patience, factor = PLATEAUS[number]
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)  # its scale has the type of the parameters
    try:
        for horizon in (10, 90):
            rule = reduce_on_plateau(factor=factor, patience=whole(patience, horizon) + 1, rtol=1e-4)
            update, state = jax.jit(rule.update), rule.init(jnp.ones(1, dtype=jnp.float64))
            rates = [0.1]
            for loss in RECORDED:
                _, state = update(jnp.ones(1, dtype=jnp.float64), state, value=jnp.float64(loss))
                rates.append(0.1 * float(state.scale))
            tiny = [0 < rate - after <= 1e-8 for rate, after in pairwise(rates)]
            steps = tiny.index(True) if True in tiny else len(RECORDED)  # torch does not apply a tiny change
            assert_curve(number, RECORDED[:steps], horizon, 0.1, rates[: steps + 1])
    finally:
        jax.config.update("jax_enable_x64", before)

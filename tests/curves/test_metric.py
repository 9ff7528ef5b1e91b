"""A0_157 to A0_165 against torch, timm, optax, transformers and pandas, driven by the same metrics.

Schedules that none of these libraries has are compared with a second state machine in exact fractions.
"""

import math
import warnings
from fractions import Fraction
from functools import cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from optax.contrib import reduce_on_plateau
from timm.scheduler import PlateauLRScheduler
from torch.optim.lr_scheduler import ReduceLROnPlateau
from transformers import GreedyLR

from lrgen import curves
from lrgen.records import Metric
from lrgen.verify.checks import reference
from tests.curves.comparison import BASE_RATES, HORIZONS, key, nearest, variants, whole
from tests.curves.test_plateau import LOSSES as TO_PLATEAUS
from tests.curves.test_plateau import RECORDED, assert_curve
from tests.mutation import Tiny

NAN, INF = math.nan, math.inf
FAMILY = (157, 158, 159, 160, 161, 162, 163, 164, 165)

# Training accuracies for the run of RECORDED, derived from its losses: 1 - 0.4 loss.
RECORDED_ACCURACIES = tuple(round(1 - 0.4 * loss, 4) for loss in RECORDED)
# A noisy loss that decreases, increases, recovers without a new best and decreases again.
BURSTS = tuple(
    (1.2 + math.cos(step / 30)) * (1 + 0.1 * math.sin(step * step)) * math.exp(-step / 400) for step in range(600)
)


def decreasing_by_fraction(fraction, count=60):
    """Losses that each are lower than the previous one by a fraction of it."""
    return tuple((1 - fraction) ** step for step in range(count))


def decreasing_by(amount, count=60):
    """Losses that each are lower than the previous one by an amount."""
    return tuple(1 - amount * step for step in range(count))


LOSSES = {
    **TO_PLATEAUS,
    "bursts": BURSTS,
    "always worse": tuple(1 + step for step in range(60)),
    "better and worse in turn": (1.0, 0.5) * 60,
    "twice better, twice worse": (1.0, 0.9, 0.8, 0.9) * 30,
    "an improvement after each long plateau": tuple(1 - step // 12 / 20 for step in range(200)),
    "a plateau, a long recovery above the best, a plateau": (0.5,) * 60
    + decreasing_by_fraction(0.01, 60)
    + (0.5,) * 60,
    "not a number at first": (NAN,) * 9 + decreasing_by_fraction(0.1, 30) + (NAN, 0.5, NAN) * 5,
    "zero now and then": (1.0, 0.0, 0.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.0) * 9,
    "better by 9.9e-7 each": decreasing_by(9.9e-7),
    "better by 1.01e-6 each": decreasing_by(1.01e-6),
    "better by 0.249 % each": decreasing_by_fraction(0.00249),
    "better by 0.251 % each": decreasing_by_fraction(0.00251),
    "better by 0.5 % every other time": tuple(loss for loss in decreasing_by_fraction(0.005) for _ in range(2)),
}
ACCURACIES = {
    "none at all": (),
    "recorded": RECORDED_ACCURACIES,
    "recorded, then worse": RECORDED_ACCURACIES * 2,
    "ties": (0.5,) * 200,
    "always better by 0.00101": tuple(0.1 + 0.00101 * step for step in range(60)),
    "always better by 0.00099": tuple(0.1 + 0.00099 * step for step in range(60)),
    "better by 0.00099 and by 0.00002 in turn": tuple(
        0.1 + 0.00101 * (step // 2) + 0.00099 * (step % 2) for step in range(60)
    ),
    "zero, relative to which nothing improves": (*(0.0,) * 40, 0.001, 0.0011, *(0.0,) * 40),
    "always correct": (1.0,) * 60,
    "not a number at first": (NAN,) * 9 + (0.5, NAN, 0.6, NAN) * 9,
    "infinite": (-INF, 0.5, INF, *(0.9,) * 30, -INF),
}

every_loss = pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES.keys())
any_losses = settings(max_examples=80, deadline=None, derandomize=True, database=None)
levels = st.sampled_from([0.5, 0.50004, 0.49996, 0.25, 0.2505, 0.2507, 0.0])
any_loss = st.floats(0, 4, width=16) | levels | st.just(NAN) | st.just(INF)
some_losses = st.lists(any_loss, max_size=5) | st.lists(any_loss, min_size=40, max_size=80)
horizons = st.integers(1, 120)
fractions = st.floats(0, 0.2)


def torch_plateau(metrics, lr, patience, **options):
    """Torch's learning rates, initially and after each metric; mode min and threshold 1e-4 by default."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = ReduceLROnPlateau(optimizer, patience=patience, **options)
    rates = [lr]
    for metric in metrics:
        scheduler.step(metric)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@cache
def optax_rule(factor, min_scale):
    """The scales of optax's rule after each loss, compiled once for all patiences, cooldowns and sizes."""

    def scales(losses, patience, cooldown, size):
        rule = reduce_on_plateau(factor, patience, 1e-4, 0.0, cooldown, size, min_scale)

        def update(state, loss):
            state = rule.update(jnp.ones(1), state, value=loss)[1]
            return state, state.scale

        return jax.lax.scan(update, rule.init(jnp.ones(1)), losses)[1]

    return jax.jit(scales)


def optax_plateau(losses, lr, patience, factor=0.5, cooldown=0, accumulation_size=1, min_scale=0.0):
    """Optax's learning rates, initially and after each loss; its patience is greater by one than torch's."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)  # its scale has the type of the parameters
    try:
        same_length = jnp.asarray([*losses, *[NAN] * (1000 - len(losses))], dtype=jnp.float64)
        scales = optax_rule(factor, min_scale)(same_length, patience + 1, cooldown, accumulation_size)
        return [lr, *(lr * np.asarray(scales)[: len(losses)]).tolist()]
    finally:
        jax.config.update("jax_enable_x64", before)


def until_tiny(rates):
    """The learning rates before the first change by at most 1e-8, which optax applies and torch does not."""
    tiny = [0 < rate - after <= 1e-8 for rate, after in pairwise(rates)]
    return rates[: tiny.index(True) + 1] if True in tiny else rates


# 157


@pytest.mark.parametrize("accuracies", ACCURACIES.values(), ids=ACCURACIES.keys())
def test_reduction_on_accuracy_plateaus_is_torchs(accuracies):
    """A0_157 equals torch's scheduler in mode max with an absolute threshold, driven by the same accuracies."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            expected = torch_plateau(
                accuracies, lr, whole("5/90", horizon), mode="max", factor=0.5, threshold=1e-3, threshold_mode="abs"
            )
            assert_curve(157, accuracies, horizon, lr, expected)


@any_losses
@given(
    accuracies=st.lists(st.floats(width=16) | st.sampled_from([0.5, 0.50099, 0.50101])),
    horizon=horizons,
    fraction=fractions,
)
def test_reduction_on_accuracy_plateaus_is_torchs_for_any_accuracies(accuracies, horizon, fraction):
    """A0_157 equals torch's scheduler for any accuracies and any patience."""
    patience = max(1, round(fraction * horizon))
    expected = torch_plateau(accuracies, 0.1, patience, mode="max", factor=0.5, threshold=1e-3, threshold_mode="abs")
    assert_curve(157, accuracies, horizon, 0.1, expected, {"patience_fraction": fraction})


# 158


@every_loss
def test_cooldown_and_minimum_are_torchs(losses):
    """A0_158 equals torch's scheduler with a cooldown and a minimum, driven by the same losses."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            patience, cooldown = whole("3/90", horizon), nearest("2/90", horizon)
            expected = torch_plateau(losses, lr, patience, factor=0.5, cooldown=cooldown, min_lr=1e-3 * lr)
            assert_curve(158, losses, horizon, lr, expected)


@any_losses
@given(losses=some_losses, horizon=horizons, patience=fractions, cooldown=fractions, floor=st.floats(0, 1))
def test_any_cooldown_and_minimum_are_torchs(losses, horizon, patience, cooldown, floor):
    """A0_158 equals torch's scheduler for any losses and hyperparameters."""
    bad, rest = max(1, round(patience * horizon)), round(cooldown * horizon)
    expected = torch_plateau(losses, 0.1, bad, factor=0.5, cooldown=rest, min_lr=floor * 0.1)
    prm = {"patience_fraction": patience, "cooldown_fraction": cooldown, "min_lr_ratio": floor}
    assert_curve(158, losses, horizon, 0.1, expected, prm)


@pytest.mark.parametrize("horizon", [10, 90, 300])
def test_cooldown_and_minimum_are_optaxs(horizon):
    """Over bursts and a long plateau A0_158 equals optax's rule down to the minimum."""
    losses = BURSTS + (0.1,) * 300
    patience, cooldown = whole("3/90", horizon), nearest("2/90", horizon)
    expected = optax_plateau(losses, 1.0, patience, factor=0.5, cooldown=cooldown, min_scale=1e-3)
    assert min(expected) == 1e-3
    assert_curve(158, losses, horizon, 1.0, expected)


# 159


def timm_plateau(losses, lr, warmup_steps, patience):
    """The learning rates of timm's scheduler: a warm-up over ``warmup_steps`` epochs, then torch's scheduler."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, because it cannot be resumed
        scheduler = PlateauLRScheduler(
            optimizer, 0.1, patience, 1e-4, warmup_t=warmup_steps, warmup_lr_init=lr / (warmup_steps + 1), mode="min"
        )
    rates = [optimizer.param_groups[0]["lr"]]
    for epoch, loss in enumerate(losses, start=1):
        scheduler.step(epoch, loss)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@every_loss
def test_warm_up_and_reduction_on_plateaus_are_timms(losses):
    """A0_159 equals timm's plateau scheduler with a warm-up, driven by the same losses."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            expected = timm_plateau(losses, lr, nearest("0.1", horizon), whole("10/90", horizon))
            assert_curve(159, losses, horizon, lr, expected)


@any_losses
@given(losses=some_losses, horizon=horizons, warmup=st.floats(0, 1), patience=fractions)
def test_any_warm_up_and_reduction_on_plateaus_are_timms(losses, horizon, warmup, patience):
    """A0_159 equals timm's scheduler for any losses and hyperparameters."""
    expected = timm_plateau(losses, 0.1, round(warmup * horizon), max(1, round(patience * horizon)))
    assert_curve(159, losses, horizon, 0.1, expected, {"warmup_fraction": warmup, "patience_fraction": patience})


def test_the_losses_of_the_warm_up_are_discarded():
    """The warm-up of A0_159 is linear up to the base learning rate, and a best loss in it is discarded."""
    losses = [1e-9] * 9 + [1.0 - 0.01 * step for step in range(80)]
    rates = curves.rates(variants()[159], None, 90, 0.5, metrics=losses)
    assert rates[:10] == pytest.approx(0.5 * np.arange(1, 11) / 10, rel=1e-12)
    assert (rates[9:] == 0.5).all()


# 160


def pandas_means(losses, ema_decay):
    """The exponentially weighted means of the finite losses, NaN for a loss that is not finite."""
    finite = pd.Series([loss if math.isfinite(loss) else NAN for loss in losses], dtype=float)
    if ema_decay == 1:
        return finite.expanding().mean().where(finite.notna()).tolist()
    return finite.ewm(alpha=1 - ema_decay, adjust=True, ignore_na=True).mean().where(finite.notna()).tolist()


@every_loss
def test_reduction_on_plateaus_of_pandas_means_is_torchs(losses):
    """A0_160 equals torch's scheduler driven by pandas' weighted means, also over many batches."""
    noisy = [loss * (1 + 0.2 * math.sin(batch * batch)) for loss in losses[:120] for batch in range(12)]
    for series in (losses, noisy):
        means = pandas_means(series, 0.98)
        for horizon in HORIZONS:
            for lr in BASE_RATES:
                expected = torch_plateau(means, lr, whole("0.05", horizon), factor=0.5)
                assert_curve(160, series, horizon, lr, expected)


@any_losses
@given(
    losses=some_losses,
    horizon=horizons,
    patience=fractions,
    ema_decay=st.sampled_from([0.0, 0.3, 0.9, 0.999, 1.0]) | st.floats(0.01, 0.99),
)
def test_reduction_on_plateaus_of_any_pandas_means_is_torchs(losses, horizon, patience, ema_decay):
    """A0_160 equals torch's scheduler over pandas' means for any losses and hyperparameters."""
    means = pandas_means(losses, ema_decay)
    expected = torch_plateau(means, 0.1, max(1, round(patience * horizon)), factor=0.5)
    assert_curve(160, losses, horizon, 0.1, expected, {"patience_fraction": patience, "ema_decay": ema_decay})


# 161


def greedy(losses, lr, horizon, initial, minimum, patience):
    """Transformers' scheduler with ``eps=0``, so that the learning rate can reach its minimum."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=initial * lr)
    scheduler = GreedyLR(
        optimizer,
        factor=0.8,
        patience=patience,
        threshold=1e-6,
        cooldown=nearest("0.02", horizon),
        warmup=nearest("0.01", horizon),
        min_lr=minimum * lr,
        max_lr=lr,
        eps=0.0,
        reset_start=whole("0.05", horizon),
    )
    rates = [optimizer.param_groups[0]["lr"]]
    for loss in losses:
        scheduler.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@every_loss
def test_greedy_is_transformers(losses):
    """A0_161 equals GreedyLR, driven by the same losses."""
    for horizon in (*HORIZONS, 40, 60, 300):
        for lr in BASE_RATES:
            expected = greedy(losses, lr, horizon, 0.5, 0.1, whole("0.01", horizon))
            assert_curve(161, losses, horizon, lr, expected)


@any_losses
@given(losses=some_losses, horizon=horizons, initial=st.floats(0.1, 1), minimum=st.floats(0, 0.1), patience=fractions)
def test_greedy_is_transformers_for_any_losses(losses, horizon, initial, minimum, patience):
    """A0_161 equals GreedyLR for any losses and hyperparameters."""
    expected = greedy(losses, 1.0, horizon, initial, minimum, max(1, round(patience * horizon)))
    prm = {"initial_lr_ratio": initial, "min_lr_ratio": minimum, "patience_fraction": patience}
    assert_curve(161, losses, horizon, 1.0, expected, prm)


def test_greedy_reaches_its_bounds_and_resets():
    """Over bursts A0_161 reaches both bounds; a learning rate that stays at the minimum is reset to the initial one."""
    rates = curves.rates(variants()[161], None, 90, 1.0, metrics=BURSTS)
    assert rates[0] == 0.5
    assert (rates.min(), rates.max()) == (0.1, 1.0)
    stuck = curves.rates(variants()[161], None, 90, 1.0, metrics=(1.0,) * 400)
    jumps = [(before, after) for before, after in pairwise(stuck) if after > before]
    assert jumps == [(0.1, 0.5)] * len(jumps)
    assert len(jumps) > 3


# 162


def plateau_then_linear_decay(losses, lr, horizon, patience, length):
    """Constant until torch's first reduction, or until ``length`` steps remain; then linear decay to zero."""
    rates = torch_plateau(losses, 1.0, patience, factor=0.5)
    start = next((step for step, (rate, after) in enumerate(pairwise(rates)) if after < rate), len(losses))
    start = min(start, horizon - length)
    gone = (Fraction(max(step - start, 0), length) for step in range(len(losses) + 1))
    return [float(Fraction(lr) * max(Fraction(0), 1 - fraction)) for fraction in gone]


@every_loss
def test_torchs_first_reduction_starts_the_cooldown(losses):
    """A0_162 is constant up to torch's first reduction, or to T - D, then decays linearly to zero over D steps."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            expected = plateau_then_linear_decay(losses, lr, horizon, whole("5/90", horizon), whole("0.2", horizon))
            assert_curve(162, losses, horizon, lr, expected)


@any_losses
@given(losses=some_losses, horizon=horizons, patience=fractions, decay=st.floats(0, 1))
def test_torchs_first_reduction_starts_the_cooldown_for_any_losses(losses, horizon, patience, decay):
    """A0_162 is constant and then decays linearly for any losses and hyperparameters."""
    bad, length = max(1, round(patience * horizon)), max(1, round(decay * horizon))
    expected = plateau_then_linear_decay(losses, 0.1, horizon, bad, length)
    assert_curve(162, losses, horizon, 0.1, expected, {"patience_fraction": patience, "decay_fraction": decay})


def test_the_cooldown_ends_at_the_horizon_without_a_plateau():
    """With losses that always improve A0_162 is constant until a fifth of the horizon remains and zero at its end."""
    rates = curves.rates(variants()[162], None, 100, 0.1, metrics=decreasing_by_fraction(0.01, 130))
    assert (rates[:81] == 0.1).all()
    assert rates[81:101] == pytest.approx(0.1 * np.arange(19, -1, -1) / 20, abs=1e-15)
    assert (rates[100:] == 0).all()


# 163


@every_loss
def test_reduction_on_accumulated_plateaus_is_optaxs(losses):
    """A0_163 equals optax's rule with an accumulation size and a patience greater by one."""
    for horizon in (10, 90, 300, 1000):
        window = whole("0.01", horizon)
        patience = max(1, round(Fraction("0.05") * horizon / window))
        expected = until_tiny(optax_plateau(losses, 0.1, patience, factor=0.5, accumulation_size=window))
        assert_curve(163, losses[: len(expected) - 1], horizon, 0.1, expected)


@every_loss
def test_reduction_on_accumulated_plateaus_is_torchs(losses):
    """A0_163 equals torch's scheduler driven by the mean of each complete window."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(163, losses, horizon, lr, torch_windows(losses, lr, horizon, 0.01, 0.05))
        prm = {"window_fraction": 0.03, "patience_fraction": 0.05}  # the patience is no multiple of the window
        assert_curve(163, losses, horizon, 0.1, torch_windows(losses, 0.1, horizon, 0.03, 0.05), prm)


@any_losses
@given(losses=some_losses, horizon=horizons, window=fractions, patience=fractions)
def test_reduction_on_accumulated_plateaus_is_torchs_for_any_losses(losses, horizon, window, patience):
    """A0_163 equals torch's scheduler over the windows' means for any losses and hyperparameters."""
    expected = torch_windows(losses, 0.1, horizon, window, patience)
    assert_curve(163, losses, horizon, 0.1, expected, {"window_fraction": window, "patience_fraction": patience})


def torch_windows(losses, lr, horizon, window, patience):
    """The learning rates of torch's scheduler, stepped with the mean of each window at its end."""
    size = max(1, round(window * horizon))
    whole_windows = np.asarray(losses[: len(losses) // size * size], dtype=float).reshape(-1, size)
    patience = max(1, round(patience * horizon / size))
    with np.errstate(invalid="ignore"):  # infinity and minus infinity
        means = whole_windows.mean(axis=1)
    by_window = torch_plateau(means, lr, patience, factor=0.5)
    return [by_window[step // size] for step in range(len(losses) + 1)]


# 164


def newbob(losses, gamma, threshold, patience):
    """NewBob as SpeechBrain documents it, in exact fractions."""
    seen, left, multiplier, multipliers = [], patience, Fraction(1), [1.0]
    for loss in losses:
        improvement = None  # the losses cannot be compared
        if seen and seen[-1] == 0:
            improvement = Fraction(0)
        elif seen and loss == INF and math.isfinite(seen[-1]):
            improvement = -INF
        elif seen and math.isfinite(seen[-1]) and math.isfinite(loss):
            improvement = (Fraction(seen[-1]) - Fraction(loss)) / Fraction(seen[-1])
        if improvement is not None and improvement < threshold:
            if left == 0:
                multiplier, left = multiplier * gamma, patience
            else:
                left -= 1
        seen.append(loss)
        multipliers.append(float(multiplier))
    return np.asarray(multipliers)


NOT_NEGATIVE = {name: losses for name, losses in LOSSES.items() if min(losses, default=0) >= 0}


@pytest.mark.parametrize("losses", NOT_NEGATIVE.values(), ids=NOT_NEGATIVE.keys())
def test_newbob_follows_its_documentation(losses):
    """A0_164 equals the documented state machine with its default hyperparameters."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            expected = lr * newbob(losses, Fraction("0.8"), 0.0025, nearest("0.01", horizon))
            assert_curve(164, losses, horizon, lr, expected)


@any_losses
@given(
    losses=some_losses,
    horizon=horizons,
    gamma=st.floats(0, 1),
    threshold=st.sampled_from([0.0, 1.0, 0.0025, 0.499]) | st.floats(1e-6, 1),
    patience=fractions,
)
@example(losses=[0.0, NAN, 0.0, 1.0, 0.0, 0.0], horizon=2, gamma=0.5, threshold=0.1, patience=0.0)
def test_newbob_follows_its_documentation_for_any_losses(losses, horizon, gamma, threshold, patience):
    """A0_164 equals the documented state machine for any losses and hyperparameters."""
    expected = 0.1 * newbob(losses, Fraction(gamma), threshold, round(patience * horizon))
    prm = {"gamma": gamma, "threshold": threshold, "patience_fraction": patience}
    assert_curve(164, losses, horizon, 0.1, expected, prm)


def test_newbob_reproduces_speechbrains_example():
    """The losses 10, 2 and 2.5 of SpeechBrain's docstring halve the learning rate after the third one."""
    rates = curves.rates(
        variants()[164], None, 90, 1.0, {"gamma": 0.5, "patience_fraction": 0.0}, metrics=[10.0, 2.0, 2.5]
    )
    assert rates.tolist() == [1.0, 1.0, 1.0, 0.5]


# 165


def bold_driver(losses, start, growth):
    """The bold driver in exact fractions: the sign of each improvement, then the product of their factors."""
    last, signs = INF, []
    for loss in losses:
        signs.append(-1 if math.isnan(loss) else (loss < last) - (loss > last))
        last = last if math.isnan(loss) else loss
    steps = {1: 1 + Fraction(growth), 0: Fraction(1), -1: Fraction(1, 2)}
    multiplier, multipliers = Fraction(start), [start]
    for sign in signs:
        # Rounded to a double so that the fractions stay small.
        multiplier = Fraction(float(min(multiplier * steps[sign], Fraction(1))))
        multipliers.append(float(multiplier))
    return np.asarray(multipliers)


@every_loss
def test_the_bold_driver_follows_the_signs(losses):
    """A0_165 increases by 5% after a lower loss, halves after a higher one and ignores ties."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(165, losses, horizon, lr, lr * bold_driver(losses, 0.5, 0.05))


@any_losses
@given(losses=some_losses, horizon=horizons, start=st.floats(0.01, 1), growth=st.floats(0, 1))
def test_the_bold_driver_follows_the_signs_of_any_losses(losses, horizon, start, growth):
    """A0_165 follows the signs for any losses and hyperparameters."""
    expected = 0.1 * bold_driver(losses, start, growth)
    assert_curve(165, losses, horizon, 0.1, expected, {"initial_lr_ratio": start, "growth": growth})


def test_the_bold_driver_by_hand():
    """A0_165 starts at 0.5, increases twice, halves, ignores a tie, halves after NaN and increases again."""
    rates = curves.rates(variants()[165], None, 7, 1.0, metrics=[2.0, 1.9, 2.5, 2.5, NAN, 2.4])
    assert rates == pytest.approx([0.5, 0.525, 0.55125, 0.275625, 0.275625, 0.1378125, 0.144703125], abs=1e-15)


# All variants of the family


def test_every_metric_driven_variant_is_compared():
    """Each variant of the family above A0_050 is compared here."""
    numbers = {number for number, variant in variants().items() if variant.family == "metric" and number > 50}
    assert numbers == set(FAMILY)


@pytest.mark.parametrize("number", FAMILY, ids=key)
def test_the_recorded_run_changes_the_learning_rate(number):
    """The comparisons are not trivial: over the recorded run each variant has several learning rates."""
    recorded = RECORDED_ACCURACIES if variants()[number].metric is Metric.ACCURACY else RECORDED
    assert len(set(curves.rates(variants()[number], None, 90, metrics=recorded * 2))) > 2


@pytest.mark.parametrize("number", FAMILY, ids=key)
@any_losses
@given(data=st.data())
def test_a_learning_rate_is_finite_and_bounded(number, data):
    """Each learning rate is finite and within [0, lr] for any metrics, horizon and hyperparameters."""
    metrics = data.draw(st.lists(st.floats(), max_size=120), label="metrics")
    horizon = data.draw(st.integers(1, 400), label="horizon")
    lr = data.draw(st.sampled_from(BASE_RATES), label="lr")
    prm = {p.name: data.draw(st.floats(p.low, p.high), label=p.name) for p in variants()[number].hyperparameters}
    rates = curves.rates(variants()[number], None, horizon, lr, prm, metrics=metrics)
    assert len(rates) == len(metrics) + 1
    assert np.isfinite(rates).all()
    assert rates.min() >= 0
    assert rates.max() <= lr * (1 + 1e-12)


@pytest.mark.parametrize("number", FAMILY, ids=key)
def test_a_rendered_schedule_scales_all_parameter_groups(number):
    """Two groups of different base learning rates keep their ratio throughout."""
    tiny, variant = Tiny(), variants()[number]
    make = tiny.module(variant).make_scheduler
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in (0.1, 0.03)]
    optimizer = torch.optim.SGD(groups)
    scheduler = make(optimizer, 90, {})
    rates = []
    for metric in reference.metrics_of(variant, 112):
        rates.append([group["lr"] for group in optimizer.param_groups])
        scheduler.step(metric)
    first, second = np.asarray(rates).T
    assert len(set(first)) > 2
    assert second == pytest.approx(0.3 * first, rel=1e-12)

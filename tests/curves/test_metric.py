"""A0_157 to A0_165 against torch, timm, optax, transformers and pandas, fed with the same metrics; the three that no
library here has against second state machines in exact fractions.
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
from tests.curves.test_plateau import RECORDED, assert_followed
from tests.mutation import Tiny

NAN, INF = math.nan, math.inf
FAMILY = (157, 158, 159, 160, 161, 162, 163, 164, 165)

# Training accuracies of the run whose losses are RECORDED, as its losses say them: 1 - 0.4 loss.
RECORDED_ACCURACIES = tuple(round(1 - 0.4 * loss, 4) for loss in RECORDED)
# A loss that falls, bursts, recovers without a new best and falls again, with noise of its own.
BURSTS = tuple(
    (1.2 + math.cos(step / 30)) * (1 + 0.1 * math.sin(step * step)) * math.exp(-step / 400) for step in range(600)
)


def by(share, count=60):
    """Losses of which each is below the one before by a share of it."""
    return tuple((1 - share) ** step for step in range(count))


def less(amount, count=60):
    """Losses of which each is below the one before by an amount."""
    return tuple(1 - amount * step for step in range(count))


LOSSES = {
    **TO_PLATEAUS,
    "bursts": BURSTS,
    "always worse": tuple(1 + step for step in range(60)),
    "better and worse in turn": (1.0, 0.5) * 60,
    "twice better, twice worse": (1.0, 0.9, 0.8, 0.9) * 30,
    "an improvement after each long plateau": tuple(1 - step // 12 / 20 for step in range(200)),
    "a plateau, a long recovery above the best, a plateau": (0.5,) * 60 + by(0.01, 60) + (0.5,) * 60,
    "not a number at first": (NAN,) * 9 + by(0.1, 30) + (NAN, 0.5, NAN) * 5,
    "zero now and then": (1.0, 0.0, 0.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.0) * 9,
    "better by 9.9e-7 each": less(9.9e-7),
    "better by 1.01e-6 each": less(1.01e-6),
    "better by 0.249 % each": by(0.00249),
    "better by 0.251 % each": by(0.00251),
    "better by 0.5 % every other time": tuple(loss for loss in by(0.005) for _ in range(2)),
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
    "zero, of which nothing is a part": (*(0.0,) * 40, 0.001, 0.0011, *(0.0,) * 40),
    "right, always": (1.0,) * 60,
    "not a number at first": (NAN,) * 9 + (0.5, NAN, 0.6, NAN) * 9,
    "infinite": (-INF, 0.5, INF, *(0.9,) * 30, -INF),
}

every_loss = pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES.keys())
any_losses = settings(max_examples=80, deadline=None, derandomize=True, database=None)
levels = st.sampled_from([0.5, 0.50004, 0.49996, 0.25, 0.2505, 0.2507, 0.0])
a_loss = st.floats(0, 4, width=16) | levels | st.just(NAN) | st.just(INF)
some_losses = st.lists(a_loss, max_size=5) | st.lists(a_loss, min_size=40, max_size=80)
horizons = st.integers(1, 120)
shares = st.floats(0, 0.2)


def torch_plateau(readings, lr, patience, **more):
    """The rate at first and after each reading of torch's scheduler; mode min and threshold 1e-4 unless it is told."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = ReduceLROnPlateau(optimizer, patience=patience, **more)
    rates = [lr]
    for reading in readings:
        scheduler.step(reading)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@cache
def optax_rule(factor, min_scale):
    """The scales that optax's rule has after each loss, compiled once for all patiences, cooldowns and sizes."""

    def scales(losses, patience, cooldown, size):
        rule = reduce_on_plateau(factor, patience, 1e-4, 0.0, cooldown, size, min_scale)

        def update(state, loss):
            state = rule.update(jnp.ones(1), state, value=loss)[1]
            return state, state.scale

        return jax.lax.scan(update, rule.init(jnp.ones(1)), losses)[1]

    return jax.jit(scales)


def optax_plateau(losses, lr, patience, factor=0.5, cooldown=0, accumulation_size=1, min_scale=0.0):
    """The rate at first and after each loss of optax's rule, whose patience counts the reading that makes it fall."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)  # its scale has the type of the parameters
    try:
        same_length = jnp.asarray([*losses, *[NAN] * (1000 - len(losses))], dtype=jnp.float64)
        scales = optax_rule(factor, min_scale)(same_length, patience + 1, cooldown, accumulation_size)
        return [lr, *(lr * np.asarray(scales)[: len(losses)]).tolist()]
    finally:
        jax.config.update("jax_enable_x64", before)


def until_tiny(rates):
    """The rates before the first change by 1e-8 and less, which torch does not make and optax does."""
    tiny = [0 < rate - after <= 1e-8 for rate, after in pairwise(rates)]
    return rates[: tiny.index(True) + 1] if True in tiny else rates


# 157


@pytest.mark.parametrize("accuracies", ACCURACIES.values(), ids=ACCURACIES.keys())
def test_the_accuracy_s_plateaus_are_torch_s(accuracies):
    """Fed with the same accuracies A0_157 has the rate of torch's scheduler in mode max with an absolute threshold."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            expected = torch_plateau(
                accuracies, lr, whole("5/90", horizon), mode="max", factor=0.5, threshold=1e-3, threshold_mode="abs"
            )
            assert_followed(157, accuracies, horizon, lr, expected)


@any_losses
@given(
    accuracies=st.lists(st.floats(width=16) | st.sampled_from([0.5, 0.50099, 0.50101])), horizon=horizons, share=shares
)
def test_any_accuracy_s_plateaus_are_torch_s(accuracies, horizon, share):
    """Whatever the accuracies and the patience are, A0_157 has torch's rates."""
    patience = max(1, round(share * horizon))
    expected = torch_plateau(accuracies, 0.1, patience, mode="max", factor=0.5, threshold=1e-3, threshold_mode="abs")
    assert_followed(157, accuracies, horizon, 0.1, expected, {"patience": share})


# 158


@every_loss
def test_cooldown_and_floor_are_torch_s(losses):
    """Fed with the same losses A0_158 has the rate of torch's scheduler with a cooldown and a lowest rate."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            patience, cooldown = whole("3/90", horizon), nearest("2/90", horizon)
            expected = torch_plateau(losses, lr, patience, factor=0.5, cooldown=cooldown, min_lr=1e-3 * lr)
            assert_followed(158, losses, horizon, lr, expected)


@any_losses
@given(losses=some_losses, horizon=horizons, patience=shares, cooldown=shares, floor=st.floats(0, 1))
def test_any_cooldown_and_floor_are_torch_s(losses, horizon, patience, cooldown, floor):
    """Whatever the losses and the hyperparameters are, A0_158 has torch's rates."""
    bad, rest = max(1, round(patience * horizon)), round(cooldown * horizon)
    expected = torch_plateau(losses, 0.1, bad, factor=0.5, cooldown=rest, min_lr=floor * 0.1)
    prm = {"patience": patience, "cooldown": cooldown, "min_lr_ratio": floor}
    assert_followed(158, losses, horizon, 0.1, expected, prm)


@pytest.mark.parametrize("horizon", [10, 90, 300])
def test_cooldown_and_floor_are_optax_s(horizon):
    """Over the bursts and a long plateau A0_158 has optax's rates down to its floor."""
    losses = BURSTS + (0.1,) * 300
    patience, cooldown = whole("3/90", horizon), nearest("2/90", horizon)
    expected = optax_plateau(losses, 1.0, patience, factor=0.5, cooldown=cooldown, min_scale=1e-3)
    assert min(expected) == 1e-3
    assert_followed(158, losses, horizon, 1.0, expected)


# 159


def timm_plateau(losses, lr, climb, patience):
    """Timm's scheduler, whose rates climb over ``climb`` epochs and then are torch's."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, because it cannot be resumed
        scheduler = PlateauLRScheduler(
            optimizer, 0.1, patience, 1e-4, warmup_t=climb, warmup_lr_init=lr / (climb + 1), mode="min"
        )
    rates = [optimizer.param_groups[0]["lr"]]
    for epoch, loss in enumerate(losses, start=1):
        scheduler.step(epoch, loss)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@every_loss
def test_climb_and_plateaus_are_timm_s(losses):
    """Fed with the same losses A0_159 has the rates of timm's plateau scheduler with a climb."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            expected = timm_plateau(losses, lr, nearest("0.1", horizon), whole("10/90", horizon))
            assert_followed(159, losses, horizon, lr, expected)


@any_losses
@given(losses=some_losses, horizon=horizons, warmup=st.floats(0, 1), patience=shares)
def test_any_climb_and_plateaus_are_timm_s(losses, horizon, warmup, patience):
    """Whatever the losses and the hyperparameters are, A0_159 has timm's rates."""
    expected = timm_plateau(losses, 0.1, round(warmup * horizon), max(1, round(patience * horizon)))
    assert_followed(159, losses, horizon, 0.1, expected, {"warmup": warmup, "patience": patience})


def test_the_losses_of_the_climb_do_not_count():
    """Over the climb of A0_159 the rate is a line that ends at the base rate, and a best loss in it is forgotten."""
    losses = [1e-9] * 9 + [1.0 - 0.01 * step for step in range(80)]
    rates = curves.follow(variants()[159], losses, 90, 0.5)
    assert rates[:10] == pytest.approx(0.5 * np.arange(1, 11) / 10, rel=1e-12)
    assert (rates[9:] == 0.5).all()


# 160


def pandas_means(losses, smoothing):
    """The exponentially weighted means of the finite losses, NaN where a loss is not finite."""
    finite = pd.Series([loss if math.isfinite(loss) else NAN for loss in losses], dtype=float)
    if smoothing == 1:
        return finite.expanding().mean().where(finite.notna()).tolist()
    return finite.ewm(alpha=1 - smoothing, adjust=True, ignore_na=True).mean().where(finite.notna()).tolist()


@every_loss
def test_the_smoothed_loss_is_pandas_and_its_plateaus_are_torch_s(losses):
    """A0_160 has the rates of torch's scheduler that is shown pandas' weighted means, also over many batches."""
    noisy = [loss * (1 + 0.2 * math.sin(place * place)) for loss in losses[:120] for place in range(12)]
    for series in (losses, noisy):
        means = pandas_means(series, 0.98)
        for horizon in HORIZONS:
            for lr in BASE_RATES:
                expected = torch_plateau(means, lr, whole("0.05", horizon), factor=0.5)
                assert_followed(160, series, horizon, lr, expected)


@any_losses
@given(
    losses=some_losses,
    horizon=horizons,
    patience=shares,
    smoothing=st.sampled_from([0.0, 0.3, 0.9, 0.999, 1.0]) | st.floats(0.01, 0.99),
)
def test_any_smoothed_loss_has_torch_s_plateaus(losses, horizon, patience, smoothing):
    """Whatever the losses and the hyperparameters are, A0_160 has torch's rates over pandas' means."""
    means = pandas_means(losses, smoothing)
    expected = torch_plateau(means, 0.1, max(1, round(patience * horizon)), factor=0.5)
    assert_followed(160, losses, horizon, 0.1, expected, {"patience": patience, "smoothing": smoothing})


# 161


def greedy(losses, lr, horizon, start, ratio, patience):
    """Transformers' scheduler between bounds; its ``eps`` would leave a rate just above its lower bound for ever."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=start * lr)
    scheduler = GreedyLR(
        optimizer,
        factor=0.8,
        patience=patience,
        threshold=1e-6,
        cooldown=nearest("0.02", horizon),
        warmup=nearest("0.01", horizon),
        min_lr=ratio * lr,
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
def test_the_greedy_rate_is_transformers_(losses):
    """Fed with the same losses A0_161 has the rates of GreedyLR."""
    for horizon in (*HORIZONS, 40, 60, 300):
        for lr in BASE_RATES:
            expected = greedy(losses, lr, horizon, 0.5, 0.1, whole("0.01", horizon))
            assert_followed(161, losses, horizon, lr, expected)


@any_losses
@given(losses=some_losses, horizon=horizons, start=st.floats(0.1, 1), ratio=st.floats(0, 0.1), patience=shares)
def test_any_greedy_rate_is_transformers_(losses, horizon, start, ratio, patience):
    """Whatever the losses and the hyperparameters are, A0_161 has the rates of GreedyLR."""
    expected = greedy(losses, 1.0, horizon, start, ratio, max(1, round(patience * horizon)))
    prm = {"start": start, "min_lr_ratio": ratio, "patience": patience}
    assert_followed(161, losses, horizon, 1.0, expected, prm)


def test_the_greedy_rate_rises_falls_and_begins_anew():
    """Over the bursts A0_161 reaches both of its bounds; a rate that is stuck at the lower one jumps to the first."""
    rates = curves.follow(variants()[161], BURSTS, 90, 1.0)
    assert rates[0] == 0.5
    assert (rates.min(), rates.max()) == (0.1, 1.0)
    stuck = curves.follow(variants()[161], (1.0,) * 400, 90, 1.0)
    jumps = [(before, after) for before, after in pairwise(stuck) if after > before]
    assert jumps == [(0.1, 0.5)] * len(jumps)
    assert len(jumps) > 3


# 162


def plateau_then_line(losses, lr, horizon, patience, length):
    """Torch finds the first plateau; from there, or from where only the line still fits, a line to zero."""
    rates = torch_plateau(losses, 1.0, patience, factor=0.5)
    start = next((step for step, (rate, after) in enumerate(pairwise(rates)) if after < rate), len(losses))
    start = min(start, horizon - length)
    gone = (Fraction(max(step - start, 0), length) for step in range(len(losses) + 1))
    return [float(Fraction(lr) * max(Fraction(0), 1 - share)) for share in gone]


@every_loss
def test_the_first_plateau_of_torch_begins_the_cooldown(losses):
    """A0_162 is constant up to torch's first fall, or to T - D, and then a line to zero over D steps."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            expected = plateau_then_line(losses, lr, horizon, whole("5/90", horizon), whole("0.2", horizon))
            assert_followed(162, losses, horizon, lr, expected)


@any_losses
@given(losses=some_losses, horizon=horizons, patience=shares, decay=st.floats(0, 1))
def test_any_first_plateau_begins_the_cooldown(losses, horizon, patience, decay):
    """Whatever the losses and the hyperparameters are, A0_162 is that line."""
    bad, length = max(1, round(patience * horizon)), max(1, round(decay * horizon))
    expected = plateau_then_line(losses, 0.1, horizon, bad, length)
    assert_followed(162, losses, horizon, 0.1, expected, {"patience": patience, "decay": decay})


def test_the_cooldown_ends_at_the_horizon_when_no_plateau_comes():
    """With losses that always improve A0_162 is constant until a fifth of the horizon is left and zero at its end."""
    rates = curves.follow(variants()[162], by(0.01, 130), 100, 0.1)
    assert (rates[:81] == 0.1).all()
    assert rates[81:101] == pytest.approx(0.1 * np.arange(19, -1, -1) / 20, abs=1e-15)
    assert (rates[100:] == 0).all()


# 163


@every_loss
def test_the_accumulated_plateaus_are_optax_s(losses):
    """Fed with the same losses A0_163 has optax's rates with an accumulation size, and its patience of one more."""
    for horizon in (10, 90, 300, 1000):
        window = whole("0.01", horizon)
        patience = max(1, round(Fraction("0.05") * horizon / window))
        expected = until_tiny(optax_plateau(losses, 0.1, patience, factor=0.5, accumulation_size=window))
        assert_followed(163, losses[: len(expected) - 1], horizon, 0.1, expected)


@every_loss
def test_the_accumulated_plateaus_are_torch_s(losses):
    """A0_163 has the rates of torch's scheduler that is shown the mean of each window when it ends."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_followed(163, losses, horizon, lr, torch_windows(losses, lr, horizon, 0.01, 0.05))
        prm = {"window": 0.03, "patience": 0.05}  # of which no whole number of windows is a patience
        assert_followed(163, losses, horizon, 0.1, torch_windows(losses, 0.1, horizon, **prm), prm)


@any_losses
@given(losses=some_losses, horizon=horizons, window=shares, patience=shares)
def test_any_accumulated_plateaus_are_torch_s(losses, horizon, window, patience):
    """Whatever the losses and the hyperparameters are, A0_163 has torch's rates over the windows' means."""
    expected = torch_windows(losses, 0.1, horizon, window, patience)
    assert_followed(163, losses, horizon, 0.1, expected, {"window": window, "patience": patience})


def torch_windows(losses, lr, horizon, window, patience):
    """Torch's scheduler that is shown the mean of each window when it ends."""
    size = max(1, round(window * horizon))
    whole_windows = np.asarray(losses[: len(losses) // size * size], dtype=float).reshape(-1, size)
    patience = max(1, round(patience * horizon / size))
    with np.errstate(invalid="ignore"):  # infinity and minus infinity
        means = whole_windows.mean(axis=1)
    by_window = torch_plateau(means, lr, patience, factor=0.5)
    return [by_window[step // size] for step in range(len(losses) + 1)]


# 164


def newbob(losses, gamma, threshold, patience):
    """NewBob as SpeechBrain's documentation tells it, a list of all losses and exact fractions."""
    seen, left, multiplier, multipliers = [], patience, Fraction(1), [1.0]
    for loss in losses:
        gain = None  # of two losses that cannot be compared
        if seen and seen[-1] == 0:
            gain = Fraction(0)
        elif seen and loss == INF and math.isfinite(seen[-1]):
            gain = -INF
        elif seen and math.isfinite(seen[-1]) and math.isfinite(loss):
            gain = (Fraction(seen[-1]) - Fraction(loss)) / Fraction(seen[-1])
        if gain is not None and gain < threshold:
            if left == 0:
                multiplier, left = multiplier * gamma, patience
            else:
                left -= 1
        seen.append(loss)
        multipliers.append(float(multiplier))
    return np.asarray(multipliers)


NOT_NEGATIVE = {name: losses for name, losses in LOSSES.items() if min(losses, default=0) >= 0}


@pytest.mark.parametrize("losses", NOT_NEGATIVE.values(), ids=NOT_NEGATIVE.keys())
def test_newbob_is_what_its_documentation_says(losses):
    """A0_164 multiplies the rate by 0.8 whenever so many improvements were below a four-hundredth."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            expected = lr * newbob(losses, Fraction("0.8"), 0.0025, nearest("0.01", horizon))
            assert_followed(164, losses, horizon, lr, expected)


@any_losses
@given(
    losses=some_losses,
    horizon=horizons,
    gamma=st.floats(0, 1),
    threshold=st.sampled_from([0.0, 1.0, 0.0025, 0.499]) | st.floats(1e-6, 1),
    patience=shares,
)
@example(losses=[0.0, NAN, 0.0, 1.0, 0.0, 0.0], horizon=2, gamma=0.5, threshold=0.1, patience=0.0)
def test_any_newbob_is_what_its_documentation_says(losses, horizon, gamma, threshold, patience):
    """Whatever the losses and the hyperparameters are, A0_164 is that machine."""
    expected = 0.1 * newbob(losses, Fraction(gamma), threshold, round(patience * horizon))
    prm = {"gamma": gamma, "threshold": threshold, "patience": patience}
    assert_followed(164, losses, horizon, 0.1, expected, prm)


def test_newbob_gives_the_numbers_that_speechbrain_prints():
    """The example in SpeechBrain's docstring, 10, 2 and 2.5 with its defaults, halves the rate after the third loss."""
    rates = curves.follow(variants()[164], [10.0, 2.0, 2.5], 90, 1.0, {"gamma": 0.5, "patience": 0.0})
    assert rates.tolist() == [1.0, 1.0, 1.0, 0.5]


# 165


def bold_driver(losses, start, growth):
    """The bold driver in exact fractions: +1, 0 or -1 for each loss, then the product that the signs stand for."""
    last, signs = INF, []
    for loss in losses:
        signs.append(-1 if math.isnan(loss) else (loss < last) - (loss > last))
        last = last if math.isnan(loss) else loss
    steps = {1: 1 + Fraction(growth), 0: Fraction(1), -1: Fraction(1, 2)}
    multiplier, multipliers = Fraction(start), [start]
    for sign in signs:
        # Rounded to a double's precision relative to itself, lest the fractions grow without end.
        multiplier = Fraction(float(min(multiplier * steps[sign], Fraction(1))))
        multipliers.append(float(multiplier))
    return np.asarray(multipliers)


@every_loss
def test_the_bold_driver_drives_by_signs(losses):
    """A0_165 grows by a twentieth after a lower loss, halves after a higher one, and heeds no tie."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_followed(165, losses, horizon, lr, lr * bold_driver(losses, 0.5, 0.05))


@any_losses
@given(losses=some_losses, horizon=horizons, start=st.floats(0.01, 1), growth=st.floats(0, 1))
def test_any_bold_driver_drives_by_signs(losses, horizon, start, growth):
    """Whatever the losses and the hyperparameters are, A0_165 is that machine."""
    expected = 0.1 * bold_driver(losses, start, growth)
    assert_followed(165, losses, horizon, 0.1, expected, {"start": start, "growth": growth})


def test_the_bold_driver_by_hand():
    """0.5, grown twice, halved, unmoved by a tie, halved by NaN, which is forgotten, and grown again."""
    rates = curves.follow(variants()[165], [2.0, 1.9, 2.5, 2.5, NAN, 2.4], 7, 1.0)
    assert rates == pytest.approx([0.5, 0.525, 0.55125, 0.275625, 0.275625, 0.1378125, 0.144703125], abs=1e-15)


# All of them


def test_every_metric_driven_variant_is_compared():
    """Each variant of the family from A0_051 on has its oracle here."""
    ours = {number for number, variant in variants().items() if variant.family == "metric" and number > 50}
    assert ours == set(FAMILY)


@pytest.mark.parametrize("number", FAMILY, ids=key)
def test_the_recorded_run_moves_the_rate(number):
    """The comparisons are about something: over the recorded run each variant has several rates."""
    recorded = RECORDED_ACCURACIES if variants()[number].metric is Metric.ACCURACY else RECORDED
    assert len(set(curves.follow(variants()[number], recorded * 2, 90))) > 2


@pytest.mark.parametrize("number", FAMILY, ids=key)
@any_losses
@given(data=st.data())
def test_a_rate_is_a_number_from_zero_to_the_base_rate(number, data):
    """Whatever the metrics, the horizon and the hyperparameters are, a rate is finite, from zero to the base rate."""
    metrics = data.draw(st.lists(st.floats(), max_size=120), label="metrics")
    horizon = data.draw(st.integers(1, 400), label="horizon")
    lr = data.draw(st.sampled_from(BASE_RATES), label="lr")
    prm = {p.name: data.draw(st.floats(p.low, p.high), label=p.name) for p in variants()[number].hyperparameters}
    rates = curves.follow(variants()[number], metrics, horizon, lr, prm)
    assert len(rates) == len(metrics) + 1
    assert np.isfinite(rates).all()
    assert rates.min() >= 0
    assert rates.max() <= lr * (1 + 1e-12)


@pytest.mark.parametrize("number", FAMILY, ids=key)
def test_a_rendered_schedule_scales_all_parameter_groups(number):
    """Two groups of different base rates keep their ratio, whatever the scheduler does to them."""
    tiny, variant = Tiny(), variants()[number]
    make = tiny.subject(variant).load().make_scheduler
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

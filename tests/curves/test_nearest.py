"""The schedules that are nearest to an observed curve, and the numbers that are fitted."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from lrgen import catalogue as catalogues
from lrgen import curves
from lrgen.curves.nearest import Nearest, Observed
from lrgen.records import Metric, Unit

EPOCHS, UPDATES = 90, 360
# Improve until epoch 12, and again at epoch 50.
LOSSES = tuple(2.3 - 0.1 * min(epoch, 12) - 0.3 * (epoch >= 50) + 0.05 * (epoch % 3 == 1) for epoch in range(EPOCHS))


@pytest.fixture(scope="module")
def nearest() -> Nearest:
    """The search among the shipped schedules."""
    return Nearest(catalogues.load().schedules)


def reductions(patience: int, factor: float) -> list[float]:
    """The learning rates of a reduction on plateaus of LOSSES."""
    best, bad, rates = math.inf, 0, [1.0]
    for loss in LOSSES[:-1]:
        best, bad = (loss, 0) if loss < best else (best, bad + 1)
        rates.append(rates[-1] * (factor if bad > patience else 1))
        bad = 0 if bad > patience else bad
    return rates


def warmed_up(step: int, warmup: int, rest: Callable[[float], float], horizon: int) -> float:
    """A linear warm-up, then a function of the progress."""
    return step / warmup if step < warmup else rest((step - warmup) / (horizon - warmup))


def cosine(progress: float) -> float:
    """Cosine decay from 1 to 0."""
    return (1 + math.cos(math.pi * progress)) / 2


EPOCH_CURVES: dict[str, tuple[Callable[[int], float], str]] = {
    "StepLR: ×0.1 every 10 epochs": (lambda t: 0.1 ** (t // 10), "step_decay"),
    "StepLR: ×0.5 every 7 epochs": (lambda t: 0.5 ** (t // 7), "step_decay"),
    "MultiStepLR: ×0.1 at epochs 20, 50, 80": (lambda t: 0.1 ** sum(t >= m for m in (20, 50, 80)), "multistep"),
    "ExponentialLR: ×0.97 every epoch": (lambda t: 0.97**t, "exponential"),
    "cosine decay to 0 over 90 epochs": (lambda t: cosine(t / 90), "cosine_decay"),
    "cosine decay to 0 over 200 epochs": (lambda t: cosine(t / 200), "cosine_decay"),
    "cosine decay to 0.05 of the highest learning rate over 90 epochs": (
        lambda t: 0.05 + 0.95 * cosine(t / 90),
        "cosine_decay",
    ),
    "linear warm-up over 5 epochs, then cosine decay to 0, over 90 epochs": (
        lambda t: warmed_up(t, 5, cosine, 90),
        "warmup_cosine",
    ),
    "polynomial decay with power 0.9 over 90 epochs": (lambda t: (1 - t / 90) ** 0.9, "polynomial"),
    "polynomial decay with power 2 over 100 epochs": (lambda t: (1 - t / 100) ** 2, "polynomial"),
    "linear decay to 0.1 of the highest learning rate over 90 epochs": (lambda t: 1 - t / 100, "linear_to"),
    "CosineAnnealingWarmRestarts: cosine cycles, the first of 15 epochs": (
        lambda t: cosine(t % 15 / 15),
        "warm_restarts",
    ),
}
UPDATE_CURVES: dict[str, tuple[Callable[[int], float], str]] = {
    "linear warm-up over 30 updates, then linear decay to 0, over 360 updates": (
        lambda t: warmed_up(t, 30, lambda progress: 1 - progress, 360),
        "warmup_linear",
    ),
    "linear warm-up over 36 updates, then inverse square root decay": (
        lambda t: t / 36 if t < 36 else math.sqrt(36 / t),
        "inverse_sqrt",
    ),
    "the Noam schedule with a warm-up of 40 updates": (lambda t: min((t + 1) ** -0.5, (t + 1) * 40**-1.5), "noam"),
    "linear warm-up from 0.025 over 39 updates, then constant": (lambda t: min(1, (t + 1) / 40), "warmup"),
}


@pytest.mark.parametrize(
    ("words", "unit"), [*((name, Unit.EPOCH) for name in EPOCH_CURVES), *((name, Unit.BATCH) for name in UPDATE_CURVES)]
)
def test_a_curve_is_named_with_its_numbers(nearest, words, unit):
    """The schedule of a curve is named first, at no distance, with the numbers of the curve."""
    curve, name = (EPOCH_CURVES if unit is Unit.EPOCH else UPDATE_CURVES)[words]
    horizon = EPOCHS if unit is Unit.EPOCH else UPDATES
    rates = 0.3 * np.array([curve(step) for step in range(horizon)])
    losses = LOSSES[:-1] if unit is Unit.EPOCH else ()
    first, *_ = nearest.of(Observed(rates, unit, horizon, losses, losses))
    assert (first.words, first.distance < 5e-4) == (words, True)
    assert catalogues.load().variant(first.variant).curve == name


@pytest.mark.parametrize(("patience", "factor"), [(10, 0.1), (3, 0.5), (7, 0.2)])
@pytest.mark.parametrize("driven", [True, False])
def test_a_reduction_on_plateaus_is_named(nearest, patience, factor, driven):
    """A reduction on plateaus is found from the losses, with and without a scheduler that takes them."""
    rates = np.array(reductions(patience, factor))
    first, *_ = nearest.of(Observed(rates, Unit.EPOCH, EPOCHS, LOSSES[:-1], LOSSES[:-1], driven))
    assert first.words == f"ReduceLROnPlateau: ×{factor:g} after more than {patience} epochs without improvement"


def test_the_simplest_of_equal_schedules_comes_first(nearest):
    """A curve that is one of the catalogue with its defaults is named so, with its equivalents."""
    first, *_ = nearest.of(Observed(0.95 ** np.arange(EPOCHS), Unit.EPOCH, EPOCHS))
    assert (first.variant, first.hyperparameters, first.horizon) == ("A0_003", {"gamma": 0.95}, EPOCHS)
    assert first.equivalents == ("A0_019", "A0_022")


def test_a_constant_learning_rate_is_nothing_else(nearest):
    """Of a learning rate that never changes only the constant schedule is named."""
    [only] = nearest.of(Observed(np.full(EPOCHS, 0.01), Unit.EPOCH, EPOCHS))
    assert (only.name, only.distance) == ("HF_constant", 0.0)


def test_noise_is_near_nothing(nearest):
    """Learning rates without a rule are at a distance from every schedule."""
    rates = np.random.default_rng(1).uniform(0.01, 1, EPOCHS)
    assert nearest.of(Observed(rates, Unit.EPOCH, EPOCHS))[0].distance > 0.2


@pytest.mark.parametrize("start", [1e-300, 1e-9, 1e-3])
def test_a_steep_rise_has_a_nearest_schedule(nearest, start):
    """Learning rates that grow by large factors are compared like others."""
    assert nearest.of(Observed(np.minimum(1.0, start * 30.0 ** np.arange(EPOCHS)), Unit.EPOCH, EPOCHS))
    assert nearest.of(Observed(np.minimum(1.0, start * 2.0 ** np.arange(UPDATES)), Unit.BATCH, UPDATES))


@pytest.mark.parametrize("rates", [[], [0.0, 0.0], [0.1, -0.1], [0.1, math.nan], [0.1, math.inf]])
def test_what_is_no_curve_has_no_nearest_schedule(nearest, rates):
    """Nothing is named for learning rates that are none."""
    assert nearest.of(Observed(np.array(rates), Unit.EPOCH, EPOCHS)) == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant",
    [v for v in catalogues.load().schedules if not (v.layerwise or v.optimizer or v.equivalent_to)],
    ids=lambda variant: variant.name,
)
def test_every_schedule_is_nearest_to_itself(nearest, variant):
    """The default curve of each schedule is named with that schedule or with one that has the same curve there."""
    unit = variant.cadence if variant.unit is Unit.METRIC else variant.unit
    repeated = 1 if unit is Unit.EPOCH else UPDATES // EPOCHS
    horizon = EPOCHS * repeated
    metrics = np.repeat(LOSSES, repeated)[:-1]
    if variant.metric is Metric.ACCURACY:
        metrics = 1 - metrics / 4
    given = metrics.tolist() if variant.unit is Unit.METRIC else None
    rates = curves.rates(variant, np.arange(horizon), horizon, metrics=given)
    values = tuple(map(float, metrics)) if given else ()
    first, *_ = nearest.of(Observed(rates, unit, horizon, values, values, bool(given)))
    assert first.distance < 1e-3
    rising = ("A0_074", "A0_154")  # a range test is an exponential rise
    assert first.variant in (variant.key, *rising) or (np.ptp(rates) == 0 and first.variant == "A0_041")

"""Layer-wise schedules and the warm-ups of the Schedule-Free optimizers.

The depth of a layer counts from the input: of D + 1 layers, the classifier has depth D.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from math import cos, pi

import numpy as np
import pytest
import schedulefree
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from timm.optim import param_groups_layer_decay
from timm.scheduler import CosineLRScheduler
from torch import nn

from lrgen import curves
from tests.curves.comparison import BASE_RATES, HORIZONS, assert_curve, held, key, nearest, seen, variants, whole

LAYERS = (1, 2, 4, 11)
anything = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def assert_layer_curves(
    number: int, horizon: int, lr: float, expected: Sequence[Sequence[float]], prm: Mapping[str, float] | None = None
) -> None:
    """The curve equals the expected learning rates of each layer, first layer first, to within 1e-9 of ``lr``."""
    count = len(expected[0])
    rates = curves.rates(variants()[number], range(count), horizon, lr, prm, depths=range(len(expected)))
    difference = np.abs(rates - np.asarray(expected, dtype=np.float64))
    layer, step = np.unravel_index(np.argmax(difference), difference.shape)  # a NaN counts as the largest
    assert difference[layer, step] <= 1e-9 * lr, (
        f"{key(number)}, layer {layer} of {len(expected)}, at step {step} of horizon {horizon}, lr {lr}, "
        f"{dict(prm or {})}: the curve is {rates[layer, step]!r}, expected {expected[layer][step]!r}"
    )


def cosine_decay(x: float) -> float:
    """Cosine decay from 1 at x = 0 to 0 from x = 1 on."""
    return (1 + cos(pi * min(1.0, x))) / 2


# Other implementations.


class Stack(nn.Module):
    """Layers that timm identifies by their names."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(1, 1) for _ in range(count))

    def group_matcher(self, coarse: bool) -> dict[str, str]:
        """The pattern of the layer in a parameter's name."""
        return {"blocks": r"^blocks\.(\d+)"}


def traces(optimizer: torch.optim.Optimizer, step, count: int) -> list[list[float]]:
    """The learning rates of each group; ``step(t)`` sets those of step t."""
    rows = []
    for t in range(count):
        step(t)
        rows.append([group["lr"] for group in optimizer.param_groups])
    return [list(column) for column in zip(*rows, strict=True)]


@pytest.mark.parametrize(("layer_decay", "warmup"), [(0.75, "0.05"), (0.65, "0.1"), (0.5, "0"), (1.0, "0.3")])
@pytest.mark.parametrize("layers", LAYERS)
def test_layer_decay_is_timms(layers, layer_decay, warmup):
    """The curve of each layer equals timm's scheduler with the ``lr_scale`` of timm's parameter groups.

    Timm has two groups per layer, for weights and biases, and gives the last layer a scale of 1.
    """
    default = (layer_decay, warmup) == (0.75, "0.05")
    prm = {} if default else {"layer_decay": layer_decay, "warmup_fraction": float(warmup)}
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            groups = param_groups_layer_decay(Stack(layers), weight_decay=0.0, layer_decay=layer_decay)
            optimizer = torch.optim.SGD(groups, lr=lr)
            W = nearest(warmup, horizon)
            scheduler = CosineLRScheduler(optimizer, horizon - W, warmup_t=W, warmup_prefix=True)
            rates = traces(optimizer, scheduler.step, seen(horizon))
            assert rates[::2] == rates[1::2]  # weights and biases
            assert_layer_curves(172, horizon, lr, rates[::2], prm)


@pytest.mark.parametrize("layers", LAYERS)
def test_the_discriminative_triangle_is_torchs_first_cycle(layers):
    """The curve of each layer is the first cycle of torch's CyclicLR, from 1/32 of its maximum to the maximum.

    Torch requires a step in each direction and starts a second cycle after T.
    """
    for horizon in (5, 7, 10, 90, 1000):
        for lr in BASE_RATES:
            maxima = [lr / 2.6 ** (layers - 1 - layer) for layer in range(layers)]
            groups = [{"params": [nn.Parameter(torch.zeros(1))]} for _ in maxima]
            optimizer = torch.optim.SGD(groups, lr=lr)
            warmup_steps = nearest("0.1", horizon)
            if warmup_steps == 0:
                continue
            minima = [maximum / 32 for maximum in maxima]
            scheduler = torch.optim.lr_scheduler.CyclicLR(
                optimizer, minima, maxima, warmup_steps, horizon - warmup_steps, cycle_momentum=False
            )
            optimizer.step()
            rates = traces(optimizer, lambda t, step=scheduler.step: step() if t else None, horizon + 1)
            assert_layer_curves(173, horizon, lr, [held(column, seen(horizon)) for column in rates])


def test_unfrozen_layers_follow_torchs_cosine():
    """A layer's learning rate is zero until it is unfrozen, then that of torch's CosineAnnealingLR."""
    unfreeze_steps = {
        (90, 1): [0],
        (90, 2): [45, 0],
        (90, 4): [45, 30, 15, 0],
        (90, 11): [45, 40, 36, 32, 27, 22, 18, 14, 9, 4, 0],  # 40.5, 31.5, 22.5, 13.5 and 4.5 round to even
        (10, 3): [5, 2, 0],
        (5, 6): [2, 2, 2, 1, 0, 0],  # 2.5, 2, 1.5, 1, 0.5, 0
        (2, 3): [1, 0, 0],
        (1, 3): [0, 0, 0],
    }
    for (horizon, layers), at in unfreeze_steps.items():
        for lr in BASE_RATES:
            optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
            scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, horizon)
            optimizer.step()
            [cosine] = traces(optimizer, lambda t, step=scheduler.step: step() if t else None, horizon + 1)
            cosine = held(cosine, seen(horizon))
            rates = [[0.0] * step + cosine[step:] for step in at]
            assert len(rates) == layers
            assert_layer_curves(174, horizon, lr, rates)


def test_a_freezing_layer_follows_its_own_timm_cosine():
    """The curve of each layer is timm's cosine over the steps until it is frozen, where these are whole."""
    for horizon, t_0, ends in (
        (1000, 0.8, [512, 729, 1000]),  # 0.8, 0.9 and 1, cubed
        (1000, 0.5, [125, 216, 343, 512, 729, 1000]),
        (64, 0.5, [8, 27, 64]),
        (27, 1 / 3, [1, 8, 27]),
        (10, 0.0, [0, 10]),  # the first of two layers is never trained
        (7, 1.0, [7, 7, 7]),
        (7, 0.8, [7]),
    ):
        for lr in BASE_RATES:
            rates = []
            for end in ends:
                optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
                scheduler = CosineLRScheduler(optimizer, max(1, end))
                [rate] = traces(optimizer, scheduler.step, seen(horizon))
                rates.append(rate if end else [0.0] * len(rate))
            assert_layer_curves(175, horizon, lr, rates, {} if t_0 == 0.8 else {"t_0": t_0})


WARMUPS = {176: (schedulefree.SGDScheduleFree, "0.03"), 177: (schedulefree.AdamWScheduleFree, "0.02")}


@pytest.mark.parametrize("number", WARMUPS, ids=key)
@pytest.mark.parametrize("other", [None, "0", "0.3", "1"])
def test_a_schedule_free_warm_up_is_the_schedulefree_packages(number, other):
    """The curve is the learning rate of the authors' optimizer with the same number of warm-up steps, at least one."""
    make, warmup = WARMUPS[number]
    prm = {} if other is None else {"warmup_fraction": float(other)}
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            parameter = nn.Parameter(torch.zeros(1))
            optimizer = make([parameter], lr=lr, warmup_steps=whole(other or warmup, horizon))
            optimizer.train()
            parameter.grad = torch.zeros(1)
            rates = []
            for _ in range(seen(horizon)):
                optimizer.step()
                rates.append(optimizer.param_groups[0]["scheduled_lr"])
            assert_curve(number, horizon, lr, rates, prm)


# Each schedule written out by hand for one step of one layer, as in its paper.


def warm_up_steps(warmup_fraction: float, T: int) -> int:
    """The warm-up in whole steps, possibly zero."""
    return round(warmup_fraction * T)


def layer_decay_cosine(t, T, d, D, warmup_fraction=0.05, layer_decay=0.75):
    """BEiT: each layer has a factor of the next; a warm-up from zero and cosine decay."""
    rate, warmup_steps = 1.0, warm_up_steps(warmup_fraction, T)
    for _ in range(d, D):
        rate *= layer_decay
    if t < warmup_steps:
        return rate * t / warmup_steps
    return rate * cosine_decay((t - warmup_steps) / max(1, T - warmup_steps))


def discriminative_triangle(t, T, d, D, warmup_fraction=0.1, min_lr_ratio=1 / 32, layer_decay=1 / 2.6):
    """ULMFiT: eta (1 + p (ratio - 1)) / ratio with p = t / cut, then p = 1 - (t - cut) / (T - cut)."""
    rate, cut = 1.0, warm_up_steps(warmup_fraction, T)
    for _ in range(d, D):
        rate *= layer_decay
    p = t / cut if t < cut else 1 - (t - cut) / (T - cut) if cut < T else 0.0
    if min_lr_ratio < 1e-300:  # its reciprocal overflows
        return rate * p
    ratio = 1 / min_lr_ratio
    return rate * (1 + p * (ratio - 1)) / ratio


def gradual_unfreezing(t, T, d, D, unfreeze_fraction=0.5):
    """ULMFiT: layers are unfrozen from the last to the first; computed exactly, halves to even."""
    unfreeze_step = round(Fraction(unfreeze_fraction) * T * (D - d) / D) if D else 0
    return cosine_decay(t / T) if t >= unfreeze_step else 0.0


def freezeout(t, T, d, D, t_0=0.8):
    """FreezeOut: the cube of a ratio per layer; annealed until iteration max_j, then frozen."""
    max_j = T * (t_0 + (1 - t_0) * d / D) ** 3 if D else T
    return 0.0 if t >= max_j else 0.5 * (1 + cos(pi * t / max_j))


def shifted(t, T, d, D, warmup_fraction):
    """The warm-up reaches 1 at its W-th step, or at the first step without one."""
    return min(1.0, (t + 1) / max(1, warm_up_steps(warmup_fraction, T)))


REFERENCES = {
    172: layer_decay_cosine,
    173: discriminative_triangle,
    174: gradual_unfreezing,
    175: freezeout,
    176: lambda t, T, d, D, warmup_fraction=0.03: shifted(t, T, d, D, warmup_fraction),
    177: lambda t, T, d, D, warmup_fraction=0.02: shifted(t, T, d, D, warmup_fraction),
}


def reference(number, horizon, layers, prm):
    """The multipliers of each compared layer and step; each of these schedules is constant after its end."""
    steps = [min(t, horizon) for t in range(seen(horizon))]
    return [[REFERENCES[number](t, horizon, d, layers - 1, **prm) for t in steps] for d in range(layers)]


@pytest.mark.parametrize("number", REFERENCES, ids=key)
@pytest.mark.parametrize("layers", LAYERS)
def test_a_layer_wise_curve_equals_its_papers_definition(number, layers):
    """The curve of each layer equals the paper's definition at every horizon and base learning rate."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            expected = lr * np.array(reference(number, horizon, layers, {}))
            assert_layer_curves(number, horizon, lr, expected.tolist())


@pytest.mark.parametrize("number", REFERENCES, ids=key)
@anything
@given(data=st.data())
def test_a_layer_wise_curve_equals_its_definition_for_any_hyperparameters(number, data):
    """The curve equals the paper's definition for any hyperparameters in their ranges and any number of layers."""
    horizon = data.draw(st.integers(1, 120), label="horizon")
    layers = data.draw(st.integers(1, 8), label="layers")
    prm = {p.name: data.draw(st.floats(p.low, p.high), label=p.name) for p in variants()[number].hyperparameters}
    if number == 174:  # products next to a half may round differently in floats
        steps = [prm["unfreeze_fraction"] * horizon * above / max(1, layers - 1) for above in range(layers)]
        assume(all(abs(step % 1 - 0.5) > 1e-9 for step in steps))
    expected = np.array(reference(number, horizon, layers, prm))
    assert_layer_curves(number, horizon, 1.0, expected.tolist(), prm)


@pytest.mark.parametrize("number", REFERENCES, ids=key)
def test_a_single_layer_is_the_last_one(number):
    """A single parameter group has the learning rates of the last of many layers."""
    for horizon in HORIZONS:
        expected = reference(number, horizon, 5, {})[-1]
        assert_curve(number, horizon, 1.0, expected)


# Properties of any such schedule.


def layers_of(number: int, horizon: int, layers: int, **prm: float) -> np.ndarray:
    """The multipliers of each layer up to the horizon, inclusive."""
    return curves.rates(variants()[number], range(horizon + 1), horizon, 1.0, prm, depths=range(layers))


@pytest.mark.parametrize(("number", "factor"), [(172, 0.75), (173, 1 / 2.6)])
def test_neighbouring_layers_keep_their_ratio(number, factor):
    """At each step a layer has a fixed factor of the learning rate of the next; the last one reaches ``lr``."""
    rates = layers_of(number, 1000, 12)
    for earlier, later in pairwise(rates):
        assert np.allclose(earlier, factor * later, rtol=1e-12, atol=0)
    assert rates[-1].max() == 1.0


def test_layers_are_unfrozen_from_the_last_to_the_first_at_equal_intervals():
    """With ten layers and half of 180 epochs, a layer is unfrozen every tenth epoch and trained to the end."""
    training = layers_of(174, 180, 10)[:, :-1] > 0
    assert [int(np.argmax(layer)) for layer in training] == [90, 80, 70, 60, 50, 40, 30, 20, 10, 0]
    assert [int(layer.sum()) for layer in training] == [180 - step for step in range(90, -1, -10)]
    assert (layers_of(174, 180, 10)[:, 90:] == layers_of(174, 180, 10)[-1, 90:]).all()


def test_layers_freeze_from_the_first_to_the_last():
    """With five layers the first is frozen at 0.512 of training; each later one is annealed more slowly."""
    rates = layers_of(175, 1000, 5)
    ends = [int(np.argmax(layer < 1e-12)) for layer in rates]
    assert ends == [512, 615, 729, 858, 1000]  # 614.125 and 857.375 are reached at the next whole step
    for earlier, later in pairwise(rates):
        assert (earlier <= later).all()
        assert (np.diff(earlier) <= 0).all()
    assert (rates[:, 0] == 1).all()
    area = rates.sum(axis=1) - 0.5  # trapezoidal rule; half the duration of the cosine
    assert area == pytest.approx([256, 307.0625, 364.5, 428.6875, 500], abs=1e-3)


def test_learning_rates_are_bounded_at_both_ends_of_every_hyperparameter():
    """With all hyperparameters at a bound at once, the learning rates lie within [0, lr] at any horizon."""
    for number in REFERENCES:
        parameters = variants()[number].hyperparameters
        for prm in ({p.name: p.low for p in parameters}, {p.name: p.high for p in parameters}):
            for horizon in HORIZONS:
                for layers in LAYERS:
                    rates = layers_of(number, horizon, layers, **prm)
                    assert np.isfinite(rates).all()
                    assert rates.min() >= 0
                    assert rates.max() <= 1


def test_every_layer_wise_and_schedule_free_variant_is_compared():
    """Each layer-wise variant and each variant with its own optimizer is written out here."""
    special = {number for number, variant in variants().items() if variant.layerwise or variant.optimizer}
    assert special == set(REFERENCES)

"""A0_051 to A0_060, the warm-ups, against torch, transformers, timm, fvcore and pytorch_warmup."""

from collections.abc import Callable
from fractions import Fraction
from math import exp, lgamma, log, log2

import numpy as np
import pytest
import pytorch_warmup
import torch
from fvcore.common import param_scheduler as fv
from timm.scheduler import MultiStepLRScheduler
from torch.optim import lr_scheduler as ls
from transformers import optimization as hf

from lrgen import curves
from lrgen.curves.constant import radam_warmup
from tests.curves.comparison import (
    BASE_RATES,
    HORIZONS,
    assert_curve,
    key,
    nearest,
    seen,
    timm_trace,
    trace,
    variants,
    whole,
)


def constant_factor(T, lr, warmup_fraction="0.05", factor="1/3"):
    """torch's ConstantLR."""
    return trace(lambda opt, T: ls.ConstantLR(opt, float(Fraction(factor)), whole(warmup_fraction, T)), T, lr, seen(T))


def dampened(lr, count, beta2, make: Callable) -> list[float]:
    """The learning rates of a pytorch_warmup class on top of a constant learning rate."""
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=lr, betas=(0.9, beta2))
    warmup = make(optimizer)
    rates = [optimizer.param_groups[0]["lr"]]
    while len(rates) < count:
        with warmup.dampening():
            pass
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def exponential(T, lr, warmup_fraction="0.1"):
    """pytorch_warmup's ExponentialWarmup with a period of at least one step."""
    return dampened(lr, seen(T), 0.999, lambda opt: pytorch_warmup.ExponentialWarmup(opt, whole(warmup_fraction, T)))


def logarithmic(T, lr, warmup_fraction="0.2"):
    """Logarithmic warm-up, computed with logarithms to base 2.

    DeepSpeed, which is not installed, keeps the learning rate at zero for one step where W is below 2.
    """
    warmup_steps = nearest(warmup_fraction, T)
    return [lr * (log2(t + 1) / log2(warmup_steps) if t + 1 < warmup_steps else 1.0) for t in range(seen(T))]


def rectified(T, lr, beta2="0.999"):
    """pytorch_warmup's RAdamWarmup, which determines the first update itself."""
    return dampened(lr, seen(T), float(beta2), pytorch_warmup.RAdamWarmup)


def untuned(T, lr, beta2="0.999"):
    """pytorch_warmup's LinearWarmup over exactly 2 / (1 - beta2) steps."""
    period = 2 / (1 - Fraction(beta2))
    assert period.denominator == 1
    return dampened(lr, seen(T), 0.999, lambda opt: pytorch_warmup.LinearWarmup(opt, int(period)))


def warmup_of_wsd(kind: str):
    """The warm-up of transformers' WSD schedule, followed by its stable phase."""

    def rates(T, lr, warmup_fraction="0.1"):
        def make(opt, T):
            return hf.get_wsd_schedule(
                opt, nearest(warmup_fraction, T), 0, num_stable_steps=10 * seen(T), warmup_type=kind
            )

        return trace(make, T, lr, seen(T))

    return rates


def quadratic(T, lr, warmup_fraction="0.1"):
    """fvcore's polynomial decay, reversed."""
    warmup_steps, decay = nearest(warmup_fraction, T), fv.PolynomialDecayParamScheduler(lr, 2)
    return [decay(1 - t / warmup_steps) if t < warmup_steps else lr for t in range(seen(T))]


def gradual(T, lr, warmup_fraction="5/90", gamma="0.1"):
    """torch's LinearLR times timm's MultiStepLRScheduler.

    timm applies the decay of milestone m at step m - 1, hence the ``+ 1``.
    """
    warmup = trace(lambda opt, T: ls.LinearLR(opt, 0.1, 1.0, whole(warmup_fraction, T)), T, lr, seen(T))
    milestones = [whole(f"{epoch}/90", T) + 1 for epoch in (30, 60, 80)]
    decay = timm_trace(lambda opt, T: MultiStepLRScheduler(opt, milestones, float(gamma)), T, 1.0, seen(T))
    return [warmup_rate * factor for warmup_rate, factor in zip(warmup, decay, strict=True)]


def geometric(T, lr, warmup_fraction="0.1", start_factor="0.01"):
    """fvcore's exponential schedule with a factor above 1."""
    warmup_steps, start = nearest(warmup_fraction, T), float(start_factor)
    increase = fv.ExponentialParamScheduler(start * lr, 1 / start)
    return [increase(t / warmup_steps) if t < warmup_steps else lr for t in range(seen(T))]


REFERENCES = {
    51: constant_factor,
    52: exponential,
    53: logarithmic,
    54: rectified,
    55: warmup_of_wsd("cosine"),
    56: quadratic,
    57: warmup_of_wsd("1-sqrt"),
    58: gradual,
    59: geometric,
    60: untuned,
}


def test_every_warm_up_is_compared():
    """Every variant of the family from 51 on has a reference."""
    assert sorted(REFERENCES) == sorted(
        v.number for v in variants().values() if v.family == "constant" and v.number > 50
    )


@pytest.mark.parametrize("number", REFERENCES, ids=key)
def test_a_warm_up_equals_its_oracle_also_past_the_horizon(number):
    """The curve equals its reference at each step, also past the horizon."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_curve(number, horizon, lr, REFERENCES[number](horizon, lr))


WARMUPS = [{"warmup_fraction": warmup} for warmup in ("0", "0.37", "0.5", "1")]
OTHER_NUMBERS = [
    *(
        (51, prm)
        for prm in (*WARMUPS, {"factor": "0.01"}, {"warmup_fraction": "0.3", "factor": "0.75"}, {"factor": "1"})
    ),
    *((number, prm) for number in (52, 53, 55, 56, 57, 58, 59) for prm in WARMUPS),
    *(
        (58, prm)
        for prm in ({"gamma": "0"}, {"gamma": "0.5"}, {"gamma": "1"}, {"warmup_fraction": "1", "gamma": "0.3"})
    ),
    *(
        (59, prm)
        for prm in ({"start_factor": "0.25"}, {"start_factor": "1"}, {"warmup_fraction": "0.4", "start_factor": "0.5"})
    ),
    *((60, {"beta2": beta2}) for beta2 in ("0", "0.5", "0.9", "0.95", "0.99", "0.9999")),
]


@pytest.mark.parametrize(("number", "prm"), OTHER_NUMBERS, ids=[f"{key(n)}-{prm}" for n, prm in OTHER_NUMBERS])
def test_a_hyperparameter_is_the_argument_of_the_oracle(number, prm):
    """With non-default hyperparameters the curve equals the reference with those arguments."""
    values = {name: float(Fraction(value)) for name, value in prm.items()}
    for horizon in HORIZONS:
        assert_curve(number, horizon, 0.1, REFERENCES[number](horizon, 0.1, **prm), values)


@pytest.mark.parametrize(("horizon", "warmup_steps", "drops"), [(90, 5, (30, 60, 80)), (1080, 60, (360, 720, 960))])
def test_the_gradual_warm_up_equals_torchs_sequential_scheduler(horizon, warmup_steps, drops):
    """A0_058 equals torch's SequentialLR of LinearLR and MultiStepLR.

    The warm-up takes 5 of 90 epochs and the milestones are 30, 60 and 80; MultiStepLR counts from the end of the
    warm-up.
    """

    def make(opt, T):
        parts = [
            ls.LinearLR(opt, 0.1, 1.0, warmup_steps),
            ls.MultiStepLR(opt, [drop - warmup_steps for drop in drops], 0.1),
        ]
        return ls.SequentialLR(opt, parts, [warmup_steps])

    for lr in BASE_RATES:
        assert_curve(58, horizon, lr, trace(make, horizon, lr, seen(horizon)))


@pytest.mark.parametrize("halvings", [1, 2, 5, 9])
def test_the_untuned_warm_up_equals_that_of_pytorch_warmup(halvings):
    """A0_060 equals UntunedLinearWarmup where 2 / (1 - beta2) is exact in binary.

    Elsewhere the class truncates: for 0.999 it takes int(1999.99...) steps where its documentation says 2000.
    """
    beta2 = 1 - 0.5**halvings
    for horizon in HORIZONS:
        rates = dampened(0.1, seen(horizon), beta2, pytorch_warmup.UntunedLinearWarmup)
        assert_curve(60, horizon, 0.1, rates, {"beta2": beta2})


@pytest.mark.parametrize("beta2", [0.9, 0.95, 0.99, 0.999])
def test_the_rectification_equals_that_of_torchs_radam(beta2):
    """A0_054 equals the update of torch's RAdam for a constant gradient of 1.

    Without epsilon the adaptive update is the learning rate times the rectification. torch requires rho to
    exceed 5 instead of 4 and starts one update later: step t of the curve is update t + 5 of torch.
    """
    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.RAdam([weight], lr=1.0, betas=(0.9, beta2), eps=0.0)
    updates = []
    for _ in range(405):
        weight.grad = torch.ones_like(weight)
        before = weight.item()
        optimizer.step()
        updates.append(before - weight.item())
    rates = radam_warmup(np.arange(1.0, 400.0), 100, beta2=beta2)
    assert rates == pytest.approx(updates[5:404], abs=1e-9)


@pytest.mark.parametrize("beta2", [0.8, 0.9, 0.95, 0.99, 0.999, 0.9999])
def test_the_rectification_equals_that_of_pytorch_warmup(beta2):
    """The curve of A0_054 equals RAdamWarmup for other values of beta2 as well."""
    steps = np.arange(float(seen(300)))
    assert radam_warmup(steps, 300, beta2=beta2) == pytest.approx(rectified(300, 1.0, str(beta2)), abs=1e-9)


def test_the_rectification_starts_at_the_fifth_update_for_every_beta2():
    """For every beta2, update 5 is the first at which rho exceeds 4."""

    def rho(update, beta2):
        return 2 / (1 - beta2) - 1 - 2 * update * beta2**update / (1 - beta2**update)

    for beta2 in np.linspace(0.8, 0.9999, 500):
        assert rho(4, beta2) < 4 < rho(5, beta2)


@pytest.mark.parametrize(("horizon", "doublings"), [(40, 3), (320, 6), (5120, 10)])
def test_each_doubling_of_the_step_adds_a_constant_to_a_logarithmic_warm_up(horizon, doublings):
    """A0_053 is k / n at the 2^k-th of 2^n warm-up steps; the warm-up sums to ln(W!) / ln(W)."""
    warmup_steps = 2**doublings
    at = curves.rates(variants()[53], [2**k - 1 for k in range(doublings + 1)], horizon, 1.0)
    assert at == pytest.approx([k / doublings for k in range(doublings + 1)], abs=1e-12)
    warmup = curves.rates(variants()[53], np.arange(warmup_steps), horizon, 1.0)
    assert warmup.sum() == pytest.approx(lgamma(warmup_steps + 1) / log(warmup_steps), rel=1e-9)


def test_a_geometric_warm_up_with_a_start_factor_of_zero_jumps_to_the_base_learning_rate():
    """A0_059 with a start factor of 0 is zero during the warm-up, then the base rate."""
    assert_curve(59, 100, 0.1, [0.0] * 10 + [0.1] * 90, {"start_factor": 0.0})


SINGLE_STEP = {51: 1 / 3, 52: 1 - exp(-1), 53: 1.0, 55: 1.0, 56: 1.0, 57: 1.0, 58: 0.1, 59: 1.0, 60: 0.0005}


@pytest.mark.parametrize("number", SINGLE_STEP, ids=key)
def test_a_training_of_one_step_has_a_positive_learning_rate(number):
    """At horizon 1 no learning rate is zero; a warm-up from zero has no steps there."""
    assert_curve(number, 1, 0.1, [0.1 * SINGLE_STEP[number]])


INCREASING = [52, 53, 54, 55, 56, 57, 59, 60]


@pytest.mark.parametrize("number", INCREASING, ids=key)
def test_a_warm_up_never_decreases_and_ends_at_the_base_learning_rate(number):
    """The learning rates of a warm-up never decrease and reach the base learning rate.

    A0_060 is tested with a beta2 of 0.99, which shortens its warm-up.
    """
    prm = {"beta2": 0.99} if number == 60 else {}
    rates = curves.rates(variants()[number], np.arange(30_000), 1000, 0.1, prm)
    assert (np.diff(rates) >= -1e-15).all()  # the rectification has rounding errors
    assert rates[-1] == pytest.approx(0.1, rel=1e-6)

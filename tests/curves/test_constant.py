"""A0_051 to A0_060: the family's warm-ups against torch, transformers, timm, fvcore and pytorch_warmup."""

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
from lrgen.curves.constant import rectification
from tests.curves.comparison import BASE_RATES, HORIZONS, assert_promised, key, nearest, seen, trace, variants, whole


def constant_factor(T, lr, warmup="0.05", factor="1/3"):
    """Torch's own class, whose factor and length are the hyperparameters."""
    return trace(lambda opt, T: ls.ConstantLR(opt, float(Fraction(factor)), whole(warmup, T)), T, lr, seen(T))


def dampened(lr, count, beta2, make: Callable) -> list[float]:
    """The rates that one of pytorch_warmup's classes gives to a constant rate; it counts updates from 1."""
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=lr, betas=(0.9, beta2))
    warmup = make(optimizer)
    rates = [optimizer.param_groups[0]["lr"]]
    while len(rates) < count:
        with warmup.dampening():
            pass
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def exponential(T, lr, warmup="0.1"):
    """The period is the time constant in steps, and at least 1, which pytorch_warmup demands too."""
    return dampened(lr, seen(T), 0.999, lambda opt: pytorch_warmup.ExponentialWarmup(opt, whole(warmup, T)))


def logarithmic(T, lr, warmup="0.2"):
    """In another base. DeepSpeed, which is not installed, would spend a step at zero where W is below 2."""
    climb = nearest(warmup, T)
    return [lr * (log2(t + 1) / log2(climb) if t + 1 < climb else 1.0) for t in range(seen(T))]


def rectified(T, lr, beta2="0.999"):
    """The class searches for the first update with a positive variance itself."""
    return dampened(lr, seen(T), float(beta2), pytorch_warmup.RAdamWarmup)


def untuned(T, lr, beta2="0.999"):
    """pytorch_warmup's line over the documented 2 / (1 - beta2) steps, exactly; see also the test below."""
    period = 2 / (1 - Fraction(beta2))
    assert period.denominator == 1
    return dampened(lr, seen(T), 0.999, lambda opt: pytorch_warmup.LinearWarmup(opt, int(period)))


def warmup_of_wsd(kind: str):
    """The warm-up of transformers' WSD, which is then stable for ever."""

    def rates(T, lr, warmup="0.1"):
        def make(opt, T):
            return hf.get_wsd_schedule(opt, nearest(warmup, T), 0, num_stable_steps=10 * seen(T), warmup_type=kind)

        return trace(make, T, lr, seen(T))

    return rates


def quadratic(T, lr, warmup="0.1"):
    """fvcore's polynomial decay, run backwards."""
    climb, decay = nearest(warmup, T), fv.PolynomialDecayParamScheduler(lr, 2)
    return [decay(1 - t / climb) if t < climb else lr for t in range(seen(T))]


def gradual(T, lr, warmup="5/90", gamma="0.1"):
    """Torch's line times timm's drops; drop m of timm's is made at step m - 1, by its own account."""
    ramp = trace(lambda opt, T: ls.LinearLR(opt, 0.1, 1.0, whole(warmup, T)), T, lr, seen(T))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    drops = MultiStepLRScheduler(optimizer, [whole(f"{epoch}/90", T) + 1 for epoch in (30, 60, 80)], float(gamma))
    return [rate * drops._get_lr(t)[0] for t, rate in enumerate(ramp)]


def geometric(T, lr, warmup="0.1", start_factor="0.01"):
    """fvcore's exponential, which climbs where its factor is above 1."""
    climb, start = nearest(warmup, T), float(start_factor)
    ramp = fv.ExponentialParamScheduler(start * lr, 1 / start)
    return [ramp(t / climb) if t < climb else lr for t in range(seen(T))]


ORACLES = {
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
    """The oracles are those of all variants of the family from 51 on."""
    assert sorted(ORACLES) == sorted(v.number for v in variants().values() if v.family == "constant" and v.number > 50)


@pytest.mark.parametrize("number", ORACLES, ids=key)
def test_a_warm_up_is_what_its_oracle_does_also_past_the_horizon(number):
    """The curve equals the oracle with the variant's numbers at each step, the ones past the horizon included."""
    for horizon in HORIZONS:
        for lr in BASE_RATES:
            assert_promised(number, horizon, lr, ORACLES[number](horizon, lr))


CLIMBS = [{"warmup": warmup} for warmup in ("0", "0.37", "0.5", "1")]
OTHER_NUMBERS = [
    *((51, prm) for prm in (*CLIMBS, {"factor": "0.01"}, {"warmup": "0.3", "factor": "0.75"}, {"factor": "1"})),
    *((number, prm) for number in (52, 53, 55, 56, 57, 58, 59) for prm in CLIMBS),
    *((58, prm) for prm in ({"gamma": "0"}, {"gamma": "0.5"}, {"gamma": "1"}, {"warmup": "1", "gamma": "0.3"})),
    *((59, prm) for prm in ({"start_factor": "0.25"}, {"start_factor": "1"}, {"warmup": "0.4", "start_factor": "0.5"})),
    *((60, {"beta2": beta2}) for beta2 in ("0", "0.5", "0.9", "0.95", "0.99", "0.9999")),
]


@pytest.mark.parametrize(("number", "prm"), OTHER_NUMBERS, ids=[f"{key(n)}-{prm}" for n, prm in OTHER_NUMBERS])
def test_a_hyperparameter_is_the_argument_of_the_oracle(number, prm):
    """With other hyperparameters than its defaults, the curve equals the oracle with those arguments."""
    values = {name: float(Fraction(value)) for name, value in prm.items()}
    for horizon in HORIZONS:
        assert_promised(number, horizon, 0.1, ORACLES[number](horizon, 0.1, **prm), values)


@pytest.mark.parametrize(("horizon", "climb", "drops"), [(90, 5, (30, 60, 80)), (1080, 60, (360, 720, 960))])
def test_the_gradual_warm_up_is_torchs_line_and_then_its_drops(horizon, climb, drops):
    """A0_058 equals SequentialLR of a line over 5 of 90 epochs and drops at 30, 60 and 80, counted from its end."""

    def make(opt, T):
        parts = [ls.LinearLR(opt, 0.1, 1.0, climb), ls.MultiStepLR(opt, [drop - climb for drop in drops], 0.1)]
        return ls.SequentialLR(opt, parts, [climb])

    for lr in BASE_RATES:
        assert_promised(58, horizon, lr, trace(make, horizon, lr, seen(horizon)))


@pytest.mark.parametrize("halvings", [1, 2, 5, 9])
def test_the_untuned_line_is_that_of_pytorch_warmup(halvings):
    """A0_060 equals UntunedLinearWarmup wherever 2 / (1 - beta2) is a whole number also in binary.

    Elsewhere the class cuts: for 0.999 it takes int(1999.99...) steps where its documentation says 2000.
    """
    beta2 = 1 - 0.5**halvings
    for horizon in HORIZONS:
        rates = dampened(0.1, seen(horizon), beta2, pytorch_warmup.UntunedLinearWarmup)
        assert_promised(60, horizon, 0.1, rates, {"beta2": beta2})


@pytest.mark.parametrize("beta2", [0.9, 0.95, 0.99, 0.999])
def test_the_rectification_is_that_of_torchs_radam(beta2):
    """A0_054 is the step that torch's RAdam takes along a gradient of 1, where that has begun to adapt.

    Without epsilon the adaptive step is then the base rate times the rectification. Torch adapts from 5 degrees of
    freedom on instead of 4, which is one update later: step t here is update t + 5 there.
    """
    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.RAdam([weight], lr=1.0, betas=(0.9, beta2), eps=0.0)
    moved = []
    for _ in range(405):
        weight.grad = torch.ones_like(weight)
        before = weight.item()
        optimizer.step()
        moved.append(before - weight.item())
    rates = rectification(np.arange(1.0, 400.0), 100, beta2=beta2)
    assert rates == pytest.approx(moved[5:404], abs=1e-9)


@pytest.mark.parametrize("beta2", [0.8, 0.9, 0.95, 0.99, 0.999, 0.9999])
def test_the_rectification_is_that_of_pytorch_warmup(beta2):
    """The curve of A0_054 equals RAdamWarmup for other averages than its own as well."""
    steps = np.arange(float(seen(300)))
    assert rectification(steps, 300, beta2=beta2) == pytest.approx(rectified(300, 1.0, str(beta2)), abs=1e-9)


def test_the_rectification_begins_at_the_fifth_update_for_every_beta2():
    """In the whole range of beta2 update 5 is the first that has more than 4 degrees of freedom."""

    def freedom(update, beta2):
        return 2 / (1 - beta2) - 1 - 2 * update * beta2**update / (1 - beta2**update)

    for beta2 in np.linspace(0.8, 0.9999, 500):
        assert freedom(4, beta2) < 4 < freedom(5, beta2)


@pytest.mark.parametrize(("horizon", "doublings"), [(40, 3), (320, 6), (5120, 10)])
def test_each_doubling_of_the_step_adds_the_same_to_a_logarithmic_warm_up(horizon, doublings):
    """A0_053 is k / n of the base rate at its 2^k-th step of 2^n, and its climb sums to ln(W!) / ln(W)."""
    climb = 2**doublings
    at = curves.rates(variants()[53], [2**k - 1 for k in range(doublings + 1)], horizon, 1.0)
    assert at == pytest.approx([k / doublings for k in range(doublings + 1)], abs=1e-12)
    whole_climb = curves.rates(variants()[53], np.arange(climb), horizon, 1.0)
    assert whole_climb.sum() == pytest.approx(lgamma(climb + 1) / log(climb), rel=1e-9)


def test_a_geometric_warm_up_from_nothing_jumps():
    """A0_059 with a first rate of 0 is zero for its ten steps, and then at the base rate."""
    assert_promised(59, 100, 0.1, [0.0] * 10 + [0.1] * 90, {"start_factor": 0.0})


ALONE = {51: 1 / 3, 52: 1 - exp(-1), 53: 1.0, 55: 1.0, 56: 1.0, 57: 1.0, 58: 0.1, 59: 1.0, 60: 0.0005}


@pytest.mark.parametrize("number", ALONE, ids=key)
def test_a_run_of_one_step_learns(number):
    """In a training of a single step no warm-up is at zero; those that begin at zero have no step to climb."""
    assert_promised(number, 1, 0.1, [0.1 * ALONE[number]])


RISING = [52, 53, 54, 55, 56, 57, 59, 60]


@pytest.mark.parametrize("number", RISING, ids=key)
def test_a_warm_up_never_falls_and_ends_at_the_base_rate(number):
    """The rates of a warm-up never fall, and come to the base rate (with a beta2 of 0.99 A0_060 does so soon)."""
    prm = {"beta2": 0.99} if number == 60 else {}
    rates = curves.rates(variants()[number], np.arange(30_000), 1000, 0.1, prm)
    assert (np.diff(rates) >= -1e-15).all()  # the rectification is a quotient of rounded numbers
    assert rates[-1] == pytest.approx(0.1, rel=1e-6)

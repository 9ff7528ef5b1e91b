"""Every rendered schedule compared with its curve, for any horizon, base learning rate and hyperparameters."""

import warnings
from collections.abc import Iterator
from functools import cache
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgen import curves
from lrgen.records import Metric, Unit, Variant
from lrgen.verify.checks import drawn_metrics, make_scheduler_trace
from lrgen.verify.checks.draw import MAX_HORIZON
from lrgen.verify.checks.examination import prm_of
from lrgen.verify.checks.reference import metrics_of
from lrgen.verify.limits import Limits
from lrgen.verify.messages import Loaded
from lrgen.verify.nursery_process import Nursery
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.session import Place, Session
from tests.mutation import Tiny

TINY = Tiny()
VARIANTS = TINY.catalogue.schedules
LAST_OF_FAMILIES = {family.variants[-1].number for family in TINY.catalogue.families}
every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.key, scope="module")


@cache
def module(key: str):
    """The file of the tiny network with a variant, executed in this process."""
    warnings.simplefilter("ignore")
    return TINY.module(TINY.catalogue.variant(key))


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as started:
        yield started


@pytest.fixture(scope="module")
def session(variant: Variant, nursery: Nursery) -> Iterator[Session]:
    """A process in which the file of the tiny network with the variant is loaded."""
    with nursery.session(Place(Mechanism.PROCESS, Limits())) as opened:
        source = TINY.candidate(variant).source
        opened.call("load", Loaded, source=source, path=f"{variant.key}.py", absent=[])
        yield opened


def draw_metrics(data, variant: Variant, steps: int) -> list[float]:
    """Draw metrics with noise, ties, plateaus, NaN and infinity, as training may produce them."""
    top = 4.0 if variant.metric is Metric.LOSS else 1.0
    kinds = [st.floats(0, top), st.sampled_from([0.25, 0.5, 1.0]), st.just(float("nan"))]
    if variant.metric is Metric.LOSS:
        kinds.append(st.just(float("inf")))
    return data.draw(st.lists(st.one_of(kinds), min_size=steps, max_size=steps), label="metrics")


@every_variant
@settings(max_examples=6, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_rendered_schedule_equals_its_curve(variant, session, data):
    """For any horizon, base learning rate, hyperparameters and step of resumption, all learning rates are the curve's.

    They are finite, not negative and at most the base learning rate.
    """
    horizon = data.draw(st.one_of(st.integers(1, 6), st.integers(1, 120)), label="horizon")
    lr = data.draw(st.sampled_from([1e-4, 0.1, 1.0]), label="lr")
    prm = {
        p.name: data.draw(st.one_of(st.sampled_from([p.low, p.high]), st.floats(p.low, p.high)), label=p.name)
        for p in variant.hyperparameters
    }
    deepest = data.draw(st.integers(0, 5), label="deepest") if variant.layerwise else None
    depths = () if deepest is None else tuple(range(deepest + 1))
    steps = 2 * horizon + 4
    resume = [data.draw(st.integers(0, steps - 1), label="resume")]
    metrics = draw_metrics(data, variant, steps) if variant.unit is Unit.METRIC else None
    groups = [{"depth": depth} for depth in depths] or [{}]
    given_prm = prm_of(lr=lr, **prm)
    rates = make_scheduler_trace.recorded(session, horizon, steps, given_prm, groups, lr, metrics, resume)
    assert np.isfinite(rates).all()
    assert rates.min() >= 0
    assert rates.max() <= lr * (1 + 1e-12)
    before = metrics[:-1] if metrics is not None else None
    expected = curves.rates(variant, np.arange(steps), horizon, lr, prm, metrics=before, depths=depths or (0,))
    assert np.abs(rates - expected).max() <= variant.tolerance * lr


@pytest.mark.parametrize("ends", ["low", pytest.param("all", marks=pytest.mark.slow)], scope="module")
@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(variant, marks=[] if variant.number in LAST_OF_FAMILIES else [pytest.mark.slow])
        for variant in VARIANTS
    ],
    ids=lambda variant: variant.key,
    scope="module",
)
def test_a_schedule_follows_its_curve_at_the_ends_of_its_ranges(variant, session, ends):
    """At the ends of all ranges, up to three horizons past the end of the longest, no step raises or differs."""
    steps = 4 * MAX_HORIZON
    metrics = drawn_metrics.metrics(variant.metric, 1, steps) if variant.unit is Unit.METRIC else None
    depths = (0, 1) if variant.layerwise else (0,)
    ranges = [(p.low, p.high) if ends == "all" else (p.low,) for p in variant.hyperparameters]
    for values in product(*ranges):
        prm = {p.name: value for p, value in zip(variant.hyperparameters, values, strict=True)}
        groups = [{"depth": depth} for depth in depths] if variant.layerwise else [{}]
        given_prm = prm_of(lr=1.0, **prm)
        rates = make_scheduler_trace.recorded(session, MAX_HORIZON, steps, given_prm, groups, 1.0, metrics)
        before = metrics[:-1] if metrics is not None else None
        expected = curves.rates(variant, np.arange(steps), MAX_HORIZON, 1.0, prm, metrics=before, depths=depths)
        assert np.abs(rates - expected).max() <= variant.tolerance, prm


@pytest.mark.parametrize(
    "variant", [variant for variant in VARIANTS if variant.layerwise], ids=lambda variant: variant.key
)
def test_a_layerwise_schedule_gives_each_depth_its_own_learning_rate(variant):
    """Groups of different depths have different learning rates, and the deepest group peaks at the base rate."""
    rates = curves.rates(variant, range(1001), 1000, 0.1, depths=[0, 1, 2, 3])
    assert rates.shape == (4, 1001)
    for shallower, deeper in pairwise(rates):
        assert np.abs(shallower - deeper).max() > 1e-3 * 0.1
    assert rates[-1].max() == pytest.approx(0.1, rel=1e-2)
    alone = curves.rates(variant, range(1001), 1000, 0.1)
    assert (alone == curves.rates(variant, range(1001), 1000, 0.1, depths=[0])[0]).all()


# Every schedule with every optimizer.

HORIZON = 10
SCHEDULE_FREE = {"ScheduleFreeSGD": 176, "ScheduleFreeAdamW": 177}
OPTIMIZERS = (
    "SGD",
    "SGD with Nesterov momentum",
    "AdamW",
    "AdamW, fused",
    "AdamW, foreach",
    "AdamW, capturable",
    *SCHEDULE_FREE,
)
LR = 0.1


def make_optimizer(name: str, variant: Variant, device: str) -> torch.optim.Optimizer:
    """An optimizer with a group that decays and one that does not, at each depth if the schedule is layer-wise."""
    groups: list[dict[str, Any]] = []
    for depth in range(3 if variant.layerwise else 1):
        for weight_decay in (0.05, 0.0):
            parameter = torch.nn.Parameter(torch.zeros(2, device=device))
            parameter.grad = torch.ones_like(parameter)
            groups.append({"params": [parameter], "weight_decay": weight_decay})
            if variant.layerwise:
                groups[-1]["depth"] = depth
    if name.startswith("SGD"):
        return torch.optim.SGD(groups, lr=LR, momentum=0.9, nesterov="Nesterov" in name)
    if name in SCHEDULE_FREE:
        return vars(module(f"A0_{SCHEDULE_FREE[name]}"))[name](groups, lr=LR, momentum=0.9)
    capturable = "capturable" in name
    return torch.optim.AdamW(
        groups,
        lr=torch.tensor(LR, device=device) if capturable else LR,
        fused="fused" in name or None,
        foreach="foreach" in name or None,
        capturable=capturable,
    )


def difference(name: str, variant: Variant, device: str) -> float:
    """The largest difference from the curve over the horizon and two steps past it, as a fraction of the base rate."""
    optimizer = make_optimizer(name, variant, device)
    scheduler = module(variant.key).make_scheduler(optimizer, HORIZON, {"lr": LR})
    metrics = metrics_of(variant, HORIZON + 2)
    rows = []
    for metric in metrics:
        rows.append([float(group["lr"]) for group in optimizer.param_groups])
        if "capturable" not in name or device != "cpu":  # the capturable step needs an accelerator
            optimizer.step()
        scheduler.step(*([metric] if variant.unit is Unit.METRIC else []))
    depths = [group.get("depth", 0) for group in optimizer.param_groups]
    before = metrics[:-1] if variant.unit is Unit.METRIC else None
    expected = curves.rates(variant, np.arange(len(rows)), HORIZON, LR, metrics=before, depths=depths)
    return float(np.abs(np.array(rows).T - expected).max() / LR)


def check_every_schedule(name: str, device: str) -> None:
    """Assert that every schedule follows its curve with an optimizer."""
    rounding = 1e-5 if "capturable" in name else 0.0  # a learning rate in a tensor has single precision
    wrong = {variant.key: difference(name, variant, device) for variant in VARIANTS}
    assert {
        key: value for key, value in wrong.items() if value > TINY.catalogue.variant(key).tolerance + rounding
    } == {}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.filterwarnings("ignore:Detected call of")
def test_every_schedule_follows_its_curve_with_every_optimizer(name):
    """With each optimizer, groups with and without weight decay follow the curve, while the optimizer steps."""
    check_every_schedule(name, "cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_schedule_follows_its_curve_with_every_optimizer_on_a_gpu(name):
    """On a GPU, where the capturable optimizer steps as well, every schedule follows its curve."""
    check_every_schedule(name, "cuda")

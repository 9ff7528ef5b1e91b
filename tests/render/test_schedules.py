"""Every schedule as it is rendered, for any horizon, base rate and hyperparameters: against its curve."""

import warnings
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgen import curves
from lrgen.records import Metric, Unit, Variant
from lrgen.verify.checks import make_scheduler_trace
from tests.mutation import Tiny

TINY = Tiny()
VARIANTS = TINY.catalogue.variants
every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.key)


@cache
def subject(key: str):
    """The tiny file of a variant, loaded."""
    warnings.simplefilter("ignore")
    made = TINY.subject(TINY.catalogue.variant(key))
    made.load()
    return made


def fed(data, variant: Variant, steps: int) -> list[float]:
    """Metrics of any kind that training may produce: noise, ties, plateaus, NaN and infinity."""
    top = 4.0 if variant.metric is Metric.LOSS else 1.0
    kinds = [st.floats(0, top), st.sampled_from([0.25, 0.5, 1.0]), st.just(float("nan"))]
    if variant.metric is Metric.LOSS:
        kinds.append(st.just(float("inf")))
    return data.draw(st.lists(st.one_of(kinds), min_size=steps, max_size=steps), label="metrics")


@every_variant
@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_a_rendered_schedule_is_its_curve_wherever_it_is_asked(variant, data):
    """Any horizon, base rate and hyperparameters, the ends of their ranges more often than not, resumed anywhere:
    nothing raises, no rate is negative, NaN or above the base rate, and each is the curve's.
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
    metrics = fed(data, variant, steps) if variant.unit is Unit.METRIC else None
    one = subject(variant.key)
    found = np.asarray(
        make_scheduler_trace.trace(
            one, one.module.make_scheduler, horizon, steps, one.prm(lr=lr, **prm), metrics, resume, depths
        )
    )
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= lr * (1 + 1e-12)
    before = metrics[:-1] if metrics is not None else None
    wanted = curves.rates(variant, np.arange(steps), horizon, lr, prm, metrics=before, depths=depths or (0,))
    assert np.abs(found - wanted).max() <= variant.tolerance * lr


@pytest.mark.parametrize("variant", [one for one in VARIANTS if one.layerwise], ids=lambda variant: variant.key)
def test_a_layerwise_schedule_gives_each_depth_a_rate_of_its_own(variant):
    """Groups of different depth have different rates somewhere, the deepest alone has the base rate as its peak."""
    rates = curves.rates(variant, range(1001), 1000, 0.1, depths=[0, 1, 2, 3])
    assert rates.shape == (4, 1001)
    for shallower, deeper in pairwise(rates):
        assert np.abs(shallower - deeper).max() > 1e-3 * 0.1
    assert rates[-1].max() == pytest.approx(0.1, rel=1e-2)
    alone = curves.rates(variant, range(1001), 1000, 0.1)
    assert (alone == curves.rates(variant, range(1001), 1000, 0.1, depths=[0])[0]).all()

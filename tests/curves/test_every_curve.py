"""Properties of every curve; the other test files compare each with a reference implementation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgen import catalogue, curves
from lrgen.curves import pairs
from lrgen.errors import CatalogueError
from lrgen.records import Metric, PastEnd, Unit

VARIANTS = {variant.number: variant for variant in catalogue.load().schedules}
STEP_DRIVEN = [variant for variant in VARIANTS.values() if variant.unit is not Unit.METRIC]
METRIC_DRIVEN = [variant for variant in VARIANTS.values() if variant.unit is Unit.METRIC]
HOLDING = [variant for variant in STEP_DRIVEN if variant.past_end is PastEnd.HOLD]
FIRST_FIFTY = [variant for number, variant in VARIANTS.items() if number <= 50]

every_step_variant = pytest.mark.parametrize("variant", STEP_DRIVEN, ids=lambda variant: variant.key)
every_metric_variant = pytest.mark.parametrize("variant", METRIC_DRIVEN, ids=lambda variant: variant.key)
forty_examples = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def draw_hyperparameters(data, variant) -> dict[str, float]:
    """Hyperparameters anywhere in their ranges, ends included."""
    return {p.name: data.draw(st.floats(p.low, p.high), label=p.name) for p in variant.hyperparameters}


@every_step_variant
@forty_examples
@given(data=st.data())
def test_a_learning_rate_lies_between_zero_and_the_base_learning_rate(variant, data):
    """For any hyperparameters and horizon, the learning rate is finite, at least zero and at most the base rate."""
    horizon = data.draw(st.integers(1, 400), label="horizon")
    lr = data.draw(st.sampled_from([1e-4, 0.1, 1.0]), label="lr")
    steps = [*range(2 * horizon + 5), 10 * horizon]
    rates = curves.rates(variant, steps, horizon, lr, draw_hyperparameters(data, variant))
    assert np.isfinite(rates).all()
    assert rates.min() >= 0
    assert rates.max() <= lr * (1 + 1e-12)


@pytest.mark.parametrize("variant", HOLDING, ids=lambda variant: variant.key)
@forty_examples
@given(data=st.data())
def test_a_schedule_that_holds_is_constant_past_the_horizon(variant, data):
    """Past the horizon, a variant that holds keeps the learning rate of step T (T - 1 for torch's one-cycle policy)."""
    horizon = data.draw(st.integers(1, 400), label="horizon")
    last = horizon - 1 if variant.template == "one_cycle" else horizon
    steps = [last, *range(horizon, 2 * horizon + 5), 10 * horizon, 1000 * horizon]
    rates = curves.rates(variant, steps, horizon, 0.1, draw_hyperparameters(data, variant))
    assert (rates == rates[0]).all()


@pytest.mark.parametrize("number", [1, 2, 3, 8, 9, 10, 11, 12, 19, 21, 22, 24, 25, 28, 30, 42], ids="A0_{:03d}".format)
def test_a_schedule_that_continues_changes_past_the_horizon(number):
    """The variants whose formula contains T only in fractions of training continue past the horizon."""
    assert VARIANTS[number].past_end is PastEnd.CONTINUE
    past_end = curves.rates(VARIANTS[number], range(90, 1000), 90)
    if number not in (2, 25, 30):  # these have no decay left
        assert len(set(past_end)) > 1


@every_metric_variant
@forty_examples
@given(data=st.data())
def test_a_metric_driven_learning_rate_lies_between_zero_and_the_base_learning_rate(variant, data):
    """For any metrics, each learning rate is finite, at least zero and at most the base rate."""
    metrics = data.draw(st.lists(st.floats(), max_size=120), label="metrics")
    horizon = data.draw(st.integers(1, 400), label="horizon")
    rates = curves.rates(variant, None, horizon, 0.1, draw_hyperparameters(data, variant), metrics=metrics)
    assert len(rates) == len(metrics) + 1
    assert np.isfinite(rates).all()
    assert rates.min() >= 0
    assert rates.max() <= 0.1 * (1 + 1e-12)


@pytest.mark.parametrize("number", [31, 32, 33, 157, 158, 160, 163], ids="A0_{:03d}".format)
@forty_examples
@given(data=st.data())
def test_reduction_on_plateaus_never_increases_the_learning_rate(number, data):
    """For any metrics, the learning rate starts at the base rate, never increases and stays positive."""
    metrics = data.draw(st.lists(st.floats(), max_size=120), label="metrics")
    rates = curves.rates(VARIANTS[number], None, 90, 0.1, draw_hyperparameters(data, VARIANTS[number]), metrics=metrics)
    assert rates[0] == 0.1
    assert rates.min() > 0
    assert (np.diff(rates) <= 0).all()


LOSSES = np.repeat(1 / np.arange(1, 6), 1000)  # five plateaus of 1,000 steps


EQUIVALENTS = {18: 4, 19: 3, 22: 3, 23: 6, 38: 37, 47: 36}


def test_six_of_the_first_fifty_variants_are_equivalents():
    """Of the first fifty variants, exactly these are declared equivalent to another one."""
    assert {v.number: v.equivalent_to for v in FIRST_FIFTY if v.equivalent_to is not None} == EQUIVALENTS


@pytest.mark.parametrize("number", EQUIVALENTS, ids="A0_{:03d}".format)
def test_a_declared_equivalent_has_the_same_curve(number):
    """A declared equivalent has the same curve at every horizon, within its declared tolerance.

    A0_047 ends at an absolute learning rate of 1e-7, which is within 1e-6 of zero at base rates of at least 0.1.
    """
    variant, other = VARIANTS[number], VARIANTS[EQUIVALENTS[number]]
    assert variant.equivalent_within == (1e-6 if number == 47 else 1e-9)
    for horizon in (1, 2, 3, 5, 7, 10, 90, 1000):
        steps = range(2 * horizon + 5)
        difference = curves.rates(variant, steps, horizon) - curves.rates(other, steps, horizon)
        assert np.abs(difference).max() <= variant.equivalent_within


def test_only_equivalents_have_the_same_curve():
    """At a fine horizon, any two variants that are not equivalents differ by at least a thousandth of the base rate."""
    alike = {pair for pair, distance in pairs.distances(list(VARIANTS.values()), pairs.FINE).items() if distance < 1e-3}
    assert alike == set()


@pytest.mark.parametrize("horizon", [90, 200, 1000])
def test_only_equivalents_trace_alike_from_90_steps_on(horizon):
    """In trainings of usual length, no two variants trace alike unless they are equivalents."""
    assert pairs.collapses(VARIANTS.values(), horizon) == []


@pytest.mark.parametrize("horizon", [1, 2, 3, 5, 10, 20])
def test_variants_that_trace_alike_at_a_short_horizon_differ_at_a_long_one(horizon):
    """Each pair that traces alike at a short horizon differs at horizon 90 and has one of three reasons.

    The horizon has no step where they differ, their phases round to the same steps, or the metrics are too few.
    """
    collapses = pairs.collapses(VARIANTS.values(), horizon)
    assert {collapse.reason for collapse in collapses} <= {pairs.SAMPLING, pairs.ROUNDING, pairs.METRIC}
    distances = pairs.distances(list(VARIANTS.values()), 90)
    assert all(distances[collapse.first.number, collapse.second.number] > 1e-9 for collapse in collapses)
    at_steps = np.arange(horizon) * pairs.FINE // horizon
    sampled = {number: pairs.trace(variant, pairs.FINE)[:, at_steps] for number, variant in VARIANTS.items()}
    for collapse in collapses:
        if collapse.reason == pairs.SAMPLING:
            assert np.abs(sampled[collapse.first.number] - sampled[collapse.second.number]).max() <= 1e-3
    if horizon == 1:
        assert len(collapses) > 100  # a training of one step has a single learning rate


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=lambda variant: variant.key)
def test_each_hyperparameter_changes_the_curve(variant):
    """Another value of a hyperparameter changes the learning rate of at least one group within the horizon."""

    def rates(prm: dict[str, float]) -> np.ndarray:
        if variant.unit is not Unit.METRIC:
            return curves.rates(variant, range(90), 90, prm=prm, depths=[0, 1, 2])
        accuracy = variant.metric is Metric.ACCURACY
        return curves.rates(variant, None, 5000, prm=prm, metrics=1 - LOSSES / 2 if accuracy else LOSSES)

    for parameter in variant.hyperparameters:
        other = {parameter.name: 0.45 * (parameter.low + parameter.high)}
        assert (rates({}) != rates(other)).any()


@every_step_variant
def test_the_learning_rate_of_a_step_does_not_depend_on_the_other_steps(variant):
    """Steps may have any order and any shape, may be scalars, and are not modified."""
    steps = np.array([[150, 0, 3], [89, 90, 45]])
    rates = curves.rates(variant, steps, 90, 0.1)
    assert rates.shape == steps.shape
    assert rates.dtype == np.float64
    assert curves.rates(variant, 45, 90, 0.1).shape == ()
    alone = [[float(curves.rates(variant, int(step), 90, 0.1)) for step in row] for row in steps]
    np.testing.assert_allclose(alone, rates, rtol=1e-14)  # numpy's pow differs in the last bit
    assert steps.tolist() == [[150, 0, 3], [89, 90, 45]]


@pytest.mark.parametrize(("number", "horizon"), [(1, 0), (6, 0), (14, -3), (41, 0)])
def test_a_horizon_below_one_is_an_error(number, horizon):
    """A horizon below 1 raises an error that names the value and the variant."""
    with pytest.raises(ValueError, match=rf"^horizon must be at least 1, got {horizon} \(variant {number}\)$"):
        curves.rates(VARIANTS[number], [0], horizon)


def test_a_horizon_below_one_is_an_error_for_a_metric_driven_variant():
    """A horizon below 1 raises the same error for a metric-driven variant."""
    with pytest.raises(ValueError, match=r"^horizon must be at least 1, got 0 \(variant 31\)$"):
        curves.rates(VARIANTS[31], None, 0, metrics=[1.0])


def test_an_unknown_hyperparameter_is_an_error():
    """A hyperparameter that the variant does not have raises an error that names both, also for a constant."""
    with pytest.raises(ValueError, match=r"^variant 6 has no hyperparameter warmup_fraction$"):
        curves.rates(VARIANTS[6], [0], 10, prm={"warmup_fraction": 0.1})
    with pytest.raises(ValueError, match=r"^variant 4 has no hyperparameter power$"):
        curves.rates(VARIANTS[4], [0], 10, prm={"power": 0.5})
    with pytest.raises(ValueError, match=r"^variant 33 has no hyperparameter factor$"):
        curves.rates(VARIANTS[33], None, 10, prm={"factor": 0.5}, metrics=[1.0])


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_hyperparameter_out_of_range_is_an_error(value):
    """A value outside [low, high] raises an error that names hyperparameter, range, value and variant."""
    with pytest.raises(ValueError, match=rf"^gamma must lie in \[0\.0, 1\.0\], got {value} \(variant 1\)$"):
        curves.rates(VARIANTS[1], [0], 10, prm={"gamma": value})
    message = rf"^patience_fraction must lie in \[0\.0, 1\.0\], got {value} \(variant 32\)$"
    with pytest.raises(ValueError, match=message):
        curves.rates(VARIANTS[32], None, 10, prm={"patience_fraction": value}, metrics=[1.0])


def test_the_warm_up_of_a_one_cycle_policy_is_at_most_nine_tenths():
    """A one-cycle variant raises an error for a warm-up longer than 0.9 T, after which torch cannot end the decay."""
    assert curves.rates(VARIANTS[13], [0], 10, prm={"warmup_fraction": 0.9}).shape == (1,)
    with pytest.raises(ValueError, match=r"^warmup_fraction must lie in \[0\.0, 0\.9\], got 0\.91 \(variant 13\)$"):
        curves.rates(VARIANTS[13], [0], 10, prm={"warmup_fraction": 0.91})


@every_metric_variant
def test_a_metric_driven_variant_without_metrics_is_an_error(variant):
    """A metric-driven variant raises an error when the metrics are missing."""
    with pytest.raises(ValueError, match=rf"^variant {variant.number} is driven by a metric: metrics are missing$"):
        curves.rates(variant, [0], 10)


@every_step_variant
def test_metrics_for_a_step_driven_variant_are_an_error(variant):
    """A variant that is not metric-driven raises an error when it is given metrics."""
    with pytest.raises(ValueError, match=rf"^variant {variant.number} is not driven by a metric$"):
        curves.rates(variant, None, 10, metrics=[1.0])


@every_metric_variant
def test_steps_select_among_the_learning_rates_of_a_metric_driven_variant(variant):
    """Steps select from the initial learning rate and those after each metric, alike for every group."""
    metrics = [0.5, 0.5, 0.5, 0.25, 0.75] * 4
    rates = curves.rates(variant, None, 10, 0.1, metrics=metrics)
    assert rates.shape == (21,)
    assert rates[0] == curves.rates(variant, 0, 10, 0.1, metrics=[])
    steps = [[20, 0], [3, 3]]
    assert (curves.rates(variant, steps, 10, 0.1, metrics=metrics) == rates[steps]).all()
    assert (curves.rates(variant, steps, 10, 0.1, metrics=metrics, depths=[0, 2]) == rates[[steps] * 2]).all()
    with pytest.raises(ValueError, match=rf"^step 21 needs 21 metrics, got 20 \(variant {variant.number}\)$"):
        curves.rates(variant, [0, 21], 10, metrics=metrics)


@every_step_variant
def test_the_default_steps_are_zero_to_the_horizon(variant):
    """Without steps, the learning rates are those of steps 0 to T, both included."""
    assert (curves.rates(variant, None, 9, 0.1) == curves.rates(variant, range(10), 9, 0.1)).all()


def test_a_missing_curve_is_a_catalogue_error():
    """A missing curve or family raises an error that names the variant, the key, the curve and the family."""
    assert curves.exists(VARIANTS[6])
    for change in ({"curve": "half_sine"}, {"family": "trigonometric"}):
        broken = replace(VARIANTS[6], **change)
        assert not curves.exists(broken)
        message = f"^variant 6: curve: there is no {broken.curve} for family {broken.family}$"
        with pytest.raises(CatalogueError, match=message):
            curves.rates(broken, [0], 10)


def test_a_constant_that_the_curve_does_not_take_is_a_catalogue_error():
    """A constant that the curve does not take raises an error that names the variant and the curve."""
    broken = replace(VARIANTS[6], constants={"period": 2.0})
    with pytest.raises(CatalogueError, match=r"^variant 6: curve cosine_decay: .*period"):
        curves.rates(broken, [0], 10)


def test_a_user_family_has_its_curves_in_its_own_folder(tmp_path):
    """The curve of a user family is a function in the curves.py of the family's folder."""
    (tmp_path / "curves.py").write_text(
        "def linear_decay(step, horizon, *, depth):\n    return 1 - depth * step / horizon\n"
    )
    variant = replace(
        VARIANTS[41], family="user_family", curve="linear_decay", constants={"depth": 0.5}, curves_folder=tmp_path
    )
    assert curves.exists(variant)
    assert curves.rates(variant, [0, 5, 10, 15], 10, 2.0).tolist() == [2.0, 1.5, 1.0, 1.0]
    with pytest.raises(CatalogueError, match=r"there is no linear_decay for family user_family"):
        curves.rates(replace(variant, curves_folder=None), [0], 10)
    with pytest.raises(CatalogueError, match=r"there is no cosine_decay for family user_family"):
        curves.rates(replace(variant, curve="cosine_decay"), [0], 10)

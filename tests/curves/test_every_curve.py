"""What holds for every curve; tests/curves compares each with other people's code."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgen import catalogue, curves
from lrgen.curves import pairs
from lrgen.errors import CatalogueError
from lrgen.records import Metric, PastEnd, Unit

VARIANTS = {variant.number: variant for variant in catalogue.load().variants}
BY_STEP = [variant for variant in VARIANTS.values() if variant.unit is not Unit.METRIC]
BY_METRIC = [variant for variant in VARIANTS.values() if variant.unit is Unit.METRIC]
HOLDING = [variant for variant in BY_STEP if variant.past_end is PastEnd.HOLD]
THE_FIFTY = [variant for number, variant in VARIANTS.items() if number <= 50]

every_step_variant = pytest.mark.parametrize("variant", BY_STEP, ids=lambda variant: variant.key)
every_metric_variant = pytest.mark.parametrize("variant", BY_METRIC, ids=lambda variant: variant.key)
anything = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def drawn(data, variant) -> dict[str, float]:
    """Hyperparameters anywhere in their ranges, the ends included."""
    return {p.name: data.draw(st.floats(p.low, p.high), label=p.name) for p in variant.hyperparameters}


@every_step_variant
@anything
@given(data=st.data())
def test_a_rate_is_a_number_from_zero_to_the_base_rate(variant, data):
    """Whatever the hyperparameters and the horizon, a rate is finite, never negative, never above the base rate."""
    horizon = data.draw(st.integers(1, 400), label="horizon")
    lr = data.draw(st.sampled_from([1e-4, 0.1, 1.0]), label="lr")
    steps = [*range(2 * horizon + 5), 10 * horizon]
    rates = curves.rates(variant, steps, horizon, lr, drawn(data, variant))
    assert np.isfinite(rates).all()
    assert rates.min() >= 0
    assert rates.max() <= lr * (1 + 1e-12)


@pytest.mark.parametrize("variant", HOLDING, ids=lambda variant: variant.key)
@anything
@given(data=st.data())
def test_a_schedule_that_holds_stays_at_the_rate_of_its_end(variant, data):
    """Past the horizon a variant that holds has the rate of step T for ever, which torch's one-cycle has at T - 1."""
    horizon = data.draw(st.integers(1, 400), label="horizon")
    last = horizon - 1 if variant.template == "one_cycle" else horizon
    steps = [last, *range(horizon, 2 * horizon + 5), 10 * horizon, 1000 * horizon]
    rates = curves.rates(variant, steps, horizon, 0.1, drawn(data, variant))
    assert (rates == rates[0]).all()


@pytest.mark.parametrize("number", [1, 2, 3, 8, 9, 10, 11, 12, 19, 21, 22, 24, 25, 28, 30, 42], ids="A0_{:03d}".format)
def test_a_schedule_that_continues_is_not_cut_at_its_horizon(number):
    """The variants that the table lists as going on do so: their formula has no T in it but for its fractions of T."""
    assert VARIANTS[number].past_end is PastEnd.CONTINUE
    beyond = curves.rates(VARIANTS[number], range(90, 1000), 90)
    if number not in (2, 25, 30):  # these have had all their drops
        assert len(set(beyond)) > 1


@every_metric_variant
@anything
@given(data=st.data())
def test_a_metric_driven_rate_is_a_number_from_zero_to_the_base_rate(variant, data):
    """Whatever the metrics, there is a rate before and after each, finite, never negative, never above the base."""
    metrics = data.draw(st.lists(st.floats(), max_size=120), label="metrics")
    horizon = data.draw(st.integers(1, 400), label="horizon")
    rates = curves.rates(variant, None, horizon, 0.1, drawn(data, variant), metrics=metrics)
    assert len(rates) == len(metrics) + 1
    assert np.isfinite(rates).all()
    assert rates.min() >= 0
    assert rates.max() <= 0.1 * (1 + 1e-12)


@pytest.mark.parametrize("number", [31, 32, 33, 157, 158, 160, 163], ids="A0_{:03d}".format)
@anything
@given(data=st.data())
def test_a_plateau_rate_never_rises_and_never_vanishes(number, data):
    """Whatever the metrics, the rate of a plain plateau rule begins at the base rate, only falls, stays above zero."""
    metrics = data.draw(st.lists(st.floats(), max_size=120), label="metrics")
    rates = curves.rates(VARIANTS[number], None, 90, 0.1, drawn(data, VARIANTS[number]), metrics=metrics)
    assert rates[0] == 0.1
    assert rates.min() > 0
    assert (np.diff(rates) <= 0).all()


LOSSES = np.repeat(1 / np.arange(1, 6), 1000)  # five plateaus of a thousand steps


EQUIVALENTS = {18: 4, 19: 3, 22: 3, 23: 6, 38: 37, 47: 36}


def test_the_equivalents_are_those_of_the_table():
    """Of the fifty exactly these declare that they are another one through another class."""
    assert {v.number: v.equivalent_to for v in THE_FIFTY if v.equivalent_to is not None} == EQUIVALENTS


@pytest.mark.parametrize("number", EQUIVALENTS, ids="A0_{:03d}".format)
def test_a_declared_equivalent_has_the_same_curve(number):
    """At base rate 1 a declared equivalent has the same rates at every horizon, to what it declares.

    A0_047 ends at the absolute rate 1e-7, so that it comes within 1e-6 of the base rate only where that is 0.1 or more.
    """
    variant, other = VARIANTS[number], VARIANTS[EQUIVALENTS[number]]
    assert variant.equivalent_within == (1e-6 if number == 47 else 1e-9)
    for horizon in (1, 2, 3, 5, 7, 10, 90, 1000):
        steps = range(2 * horizon + 5)
        difference = curves.rates(variant, steps, horizon) - curves.rates(other, steps, horizon)
        assert np.abs(difference).max() <= variant.equivalent_within


def test_no_two_other_variants_have_the_same_curve():
    """At a fine horizon any two variants part by a thousandth of the base rate, unless they are equivalents."""
    alike = {pair for pair, distance in pairs.distances(list(VARIANTS.values()), pairs.FINE).items() if distance < 1e-3}
    assert alike == set()


@pytest.mark.parametrize("horizon", [90, 200, 1000])
def test_no_two_variants_trace_alike_over_a_usual_training(horizon):
    """From 90 steps on no two variants give the same rates, unless they are equivalents."""
    assert pairs.collapses(VARIANTS.values(), horizon) == []


@pytest.mark.parametrize("horizon", [1, 2, 3, 5, 10, 20])
def test_what_traces_alike_over_a_few_steps_does_so_because_they_are_few(horizon):
    """Variants that coincide at a short horizon part at a long one, and each such pair has its reason: the horizon has
    no step where they differ, their phases round to the same steps, or a metric-driven one has nothing to react to.
    """
    found = pairs.collapses(VARIANTS.values(), horizon)
    assert {one.reason for one in found} <= {pairs.SAMPLING, pairs.ROUNDING, pairs.METRIC}
    parted = pairs.distances(list(VARIANTS.values()), 90)
    assert all(parted[one.one.number, one.other.number] > 1e-9 for one in found)
    at = np.arange(horizon) * pairs.FINE // horizon
    sampled = {number: pairs.trace(variant, pairs.FINE)[:, at] for number, variant in VARIANTS.items()}
    for collapse in found:
        if collapse.reason == pairs.SAMPLING:
            assert np.abs(sampled[collapse.one.number] - sampled[collapse.other.number]).max() <= 1e-3
    if horizon == 1:
        assert len(found) > 100  # a training of one step has one rate


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=lambda variant: variant.key)
def test_each_hyperparameter_changes_the_curve(variant):
    """A hyperparameter that is moved away from its default changes the rate of some group within the horizon."""

    def shape(prm: dict[str, float]) -> np.ndarray:
        if variant.unit is not Unit.METRIC:
            return curves.rates(variant, range(90), 90, prm=prm, depths=[0, 1, 2])
        accuracy = variant.metric is Metric.ACCURACY
        return curves.rates(variant, None, 5000, prm=prm, metrics=1 - LOSSES / 2 if accuracy else LOSSES)

    for parameter in variant.hyperparameters:
        other = {parameter.name: 0.45 * (parameter.low + parameter.high)}
        assert (shape({}) != shape(other)).any()


@every_step_variant
def test_a_rate_does_not_depend_on_the_other_steps_that_are_asked_for(variant):
    """Steps may come alone, in any order and in any shape, and are not written to."""
    steps = np.array([[150, 0, 3], [89, 90, 45]])
    rates = curves.rates(variant, steps, 90, 0.1)
    assert rates.shape == steps.shape
    assert rates.dtype == np.float64
    assert curves.rates(variant, 45, 90, 0.1).shape == ()
    alone = [[float(curves.rates(variant, int(step), 90, 0.1)) for step in row] for row in steps]
    np.testing.assert_allclose(alone, rates, rtol=1e-14)  # numpy's pow differs in the last bit
    assert steps.tolist() == [[150, 0, 3], [89, 90, 45]]


@pytest.mark.parametrize(("number", "horizon"), [(1, 0), (6, 0), (14, -3), (41, 0)])
def test_a_horizon_of_no_steps_is_refused(number, horizon):
    """A horizon below 1 is an error that names the value and the variant."""
    with pytest.raises(ValueError, match=rf"^horizon must be at least 1, got {horizon} \(variant {number}\)$"):
        curves.rates(VARIANTS[number], [0], horizon)


def test_a_metric_horizon_of_no_steps_is_refused():
    """The same error comes for a variant that follows a metric."""
    with pytest.raises(ValueError, match=r"^horizon must be at least 1, got 0 \(variant 31\)$"):
        curves.rates(VARIANTS[31], None, 0, metrics=[1.0])


def test_an_unknown_hyperparameter_is_refused():
    """A hyperparameter that the variant has not is an error that names both, also if it is one of the constants."""
    with pytest.raises(ValueError, match=r"^variant 6 has no hyperparameter warmup_fraction$"):
        curves.rates(VARIANTS[6], [0], 10, prm={"warmup_fraction": 0.1})
    with pytest.raises(ValueError, match=r"^variant 4 has no hyperparameter power$"):
        curves.rates(VARIANTS[4], [0], 10, prm={"power": 0.5})
    with pytest.raises(ValueError, match=r"^variant 33 has no hyperparameter factor$"):
        curves.rates(VARIANTS[33], None, 10, prm={"factor": 0.5}, metrics=[1.0])


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_hyperparameter_out_of_its_range_is_refused(value):
    """A value outside of [low, high] is an error that names the hyperparameter, its range, the value, the variant."""
    with pytest.raises(ValueError, match=rf"^gamma must lie in \[0\.0, 1\.0\], got {value} \(variant 1\)$"):
        curves.rates(VARIANTS[1], [0], 10, prm={"gamma": value})
    message = rf"^patience_fraction must lie in \[0\.0, 1\.0\], got {value} \(variant 32\)$"
    with pytest.raises(ValueError, match=message):
        curves.rates(VARIANTS[32], None, 10, prm={"patience_fraction": value}, metrics=[1.0])


def test_a_narrower_range_is_kept():
    """The one-cycle variants refuse a warm-up longer than 0.9 T, whose decay torch could not end."""
    assert curves.rates(VARIANTS[13], [0], 10, prm={"warmup_fraction": 0.9}).shape == (1,)
    with pytest.raises(ValueError, match=r"^warmup_fraction must lie in \[0\.0, 0\.9\], got 0\.91 \(variant 13\)$"):
        curves.rates(VARIANTS[13], [0], 10, prm={"warmup_fraction": 0.91})


@every_metric_variant
def test_a_metric_variant_has_no_rate_by_step(variant):
    """The rates of a variant that is driven by a metric follow from metrics: without them there are none."""
    with pytest.raises(ValueError, match=rf"^variant {variant.number} is driven by a metric: metrics are missing$"):
        curves.rates(variant, [0], 10)


@every_step_variant
def test_a_variant_by_step_follows_no_metric(variant):
    """Metrics are refused by a variant that counts steps."""
    with pytest.raises(ValueError, match=rf"^variant {variant.number} is not driven by a metric$"):
        curves.rates(variant, None, 10, metrics=[1.0])


@every_metric_variant
def test_the_rates_of_a_metric_variant_are_looked_up_by_step(variant):
    """Steps choose among the initial rate and those after each metric; every group has the same rates."""
    metrics = [0.5, 0.5, 0.5, 0.25, 0.75] * 4
    everything = curves.rates(variant, None, 10, 0.1, metrics=metrics)
    assert everything.shape == (21,)
    assert everything[0] == curves.rates(variant, 0, 10, 0.1, metrics=[])
    steps = [[20, 0], [3, 3]]
    assert (curves.rates(variant, steps, 10, 0.1, metrics=metrics) == everything[steps]).all()
    assert (curves.rates(variant, steps, 10, 0.1, metrics=metrics, depths=[0, 2]) == everything[[steps] * 2]).all()
    with pytest.raises(ValueError, match=rf"^step 21 takes as many metrics, got 20 \(variant {variant.number}\)$"):
        curves.rates(variant, [0, 21], 10, metrics=metrics)


@every_step_variant
def test_without_steps_the_rates_are_those_of_the_whole_horizon(variant):
    """From step 0 to the horizon, both included."""
    assert (curves.rates(variant, None, 9, 0.1) == curves.rates(variant, range(10), 9, 0.1)).all()


def test_a_curve_that_does_not_exist_is_an_error_of_the_catalogue():
    """A curve or family that is nowhere is an error that names the variant, the key, the curve and the family."""
    assert curves.exists(VARIANTS[6])
    for change in ({"curve": "half_sine"}, {"family": "trigonometric"}):
        broken = replace(VARIANTS[6], **change)
        assert not curves.exists(broken)
        message = f"^variant 6: curve: there is no {broken.curve} for family {broken.family}$"
        with pytest.raises(CatalogueError, match=message):
            curves.rates(broken, [0], 10)


def test_a_curve_with_other_parameters_is_an_error_of_the_catalogue():
    """Constants that the curve does not take are an error that names the variant and the curve."""
    broken = replace(VARIANTS[6], constants={"period": 2.0})
    with pytest.raises(CatalogueError, match=r"^variant 6: curve half_cosine: .*period"):
        curves.rates(broken, [0], 10)


def test_a_family_of_the_user_brings_its_own_curves(tmp_path):
    """The curve of a family that is not here is looked up in the curves.py of the family's own folder."""
    (tmp_path / "curves.py").write_text(
        "def falling(step, horizon, *, depth):\n    return 1 - depth * step / horizon\n"
    )
    own = replace(VARIANTS[41], family="of_my_own", curve="falling", constants={"depth": 0.5}, curves_folder=tmp_path)
    assert curves.exists(own)
    assert curves.rates(own, [0, 5, 10, 15], 10, 2.0).tolist() == [2.0, 1.5, 1.0, 1.0]
    with pytest.raises(CatalogueError, match=r"there is no falling for family of_my_own"):
        curves.rates(replace(own, curves_folder=None), [0], 10)
    with pytest.raises(CatalogueError, match=r"there is no rising for family of_my_own"):
        curves.rates(replace(own, curve="rising"), [0], 10)

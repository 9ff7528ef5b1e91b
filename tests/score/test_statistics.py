"""The statistics of scored completions equal their definitions."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lrgen.score import statistics

anything = settings(max_examples=60, deadline=None, derandomize=True, database=None)

# pass@k.


@pytest.mark.parametrize("samples", range(1, 7))
def test_pass_at_k_is_the_fraction_of_subsets_with_a_passed_sample(samples):
    """For each number of passed samples and each k, the estimator equals the count over all subsets of k samples."""
    for passed, k in itertools.product(range(samples + 1), range(1, samples + 1)):
        subsets = list(itertools.combinations(range(samples), k))
        expected = Fraction(sum(min(subset) < passed for subset in subsets), len(subsets))
        assert statistics.pass_at_k(samples, passed, k) == pytest.approx(float(expected), abs=1e-12)


@anything
@given(st.integers(1, 300), st.data())
def test_pass_at_k_equals_the_binomial_formula(samples, data):
    """For large numbers it equals 1 − C(n − c, k) / C(n, k), is 0 without a passed sample and c / n for k = 1."""
    passed, k = data.draw(st.integers(0, samples)), data.draw(st.integers(1, samples))
    expected = 1 - Fraction(math.comb(samples - passed, k), math.comb(samples, k))
    assert statistics.pass_at_k(samples, passed, k) == pytest.approx(float(expected), abs=1e-12)
    assert statistics.pass_at_k(samples, 0, k) == 0
    assert statistics.pass_at_k(samples, passed, 1) == pytest.approx(passed / samples)


@pytest.mark.parametrize(("samples", "passed", "k"), [(5, 6, 1), (5, -1, 1), (5, 2, 6), (5, 2, 0), (0, 0, 1)])
def test_pass_at_k_of_impossible_numbers_is_an_error(samples, passed, k):
    """More passed samples than samples, k above the number of samples and k below 1 are not defined."""
    with pytest.raises(ValueError, match=f"pass@{k} of {samples} samples"):
        statistics.pass_at_k(samples, passed, k)


# Wilson's interval.


@anything
@given(st.integers(1, 5000), st.data(), st.sampled_from([0.8, 0.95, 0.995]))
def test_the_interval_of_a_rate_equals_that_of_scipy(samples, data, confidence):
    """Wilson's interval equals scipy's for any counts, and contains the rate."""
    passed = data.draw(st.integers(0, samples))
    low, high = statistics.wilson(passed, samples, confidence)
    expected = stats.binomtest(passed, samples).proportion_ci(confidence, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= passed / samples <= high <= 1


def test_the_interval_of_a_rate_is_exact_at_its_ends():
    """Without a passed sample it begins at 0, without a failed one it ends at 1, and without samples it is whole."""
    assert statistics.wilson(0, 7)[0] == 0
    assert statistics.wilson(7, 7)[1] == 1
    assert statistics.wilson(0, 0) == (0, 1)
    with pytest.raises(ValueError, match="3 of 2 samples"):
        statistics.wilson(3, 2)


# McNemar's test.


@anything
@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_equals_the_exact_binomial_test(gained, lost):
    """The p-value is that of scipy's two-sided binomial test with probability 1/2."""
    expected = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert statistics.mcnemar(gained, lost) == pytest.approx(expected, rel=1e-9)


@anything
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_equals_the_sum_of_both_tails(gained, lost):
    """The p-value is twice the tail of the binomial distribution, at most 1, and the same for exchanged runs."""
    rows, fewer = gained + lost, min(gained, lost)
    tail = Fraction(sum(math.comb(rows, number) for number in range(fewer + 1)), 2**rows)
    assert statistics.mcnemar(gained, lost) == pytest.approx(float(min(1, 2 * tail)), rel=1e-12)
    assert statistics.mcnemar(gained, lost) == statistics.mcnemar(lost, gained)


def test_mcnemar_of_many_rows_is_finite():
    """The p-value of a hundred thousand rows does not overflow; an enormous difference gives 0 and no warning."""
    assert statistics.mcnemar(50_500, 49_500) == pytest.approx(stats.binomtest(49_500, 100_000).pvalue, rel=1e-6)
    assert statistics.mcnemar(100_000, 0) == 0
    with pytest.raises(ValueError, match="negative"):
        statistics.mcnemar(-1, 2)


# The bootstrap.


@pytest.mark.parametrize("differences", [(0.0, 1.0), (-1.0, 0.0, 1.0), (0.3, -0.2, 0.9, 0.1)])
def test_the_interval_of_a_mean_equals_the_enumeration_of_all_resamples(differences):
    """With few values the interval has the quantiles of the means over every possible resample."""
    resamples = itertools.product(differences, repeat=len(differences))
    means = np.sort([np.mean(resample) for resample in resamples])
    low, high = statistics.bootstrap(differences, 0.8)
    expected = np.quantile(means, (0.1, 0.9), method="inverted_cdf")
    assert (low, high) == pytest.approx(expected, abs=0.03)


@anything
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40))
def test_the_interval_of_a_mean_lies_within_the_values(differences):
    """The interval lies between the smallest and the largest value, and is the same in every call."""
    low, high = statistics.bootstrap(differences, resamples=200)
    assert min(differences) - 1e-12 <= low <= high <= max(differences) + 1e-12
    assert (low, high) == statistics.bootstrap(differences, resamples=200)


def test_the_interval_of_a_mean_has_the_width_of_the_normal_approximation():
    """For many values the interval is the mean ± 1.96 standard errors, and its mirror image for exchanged runs."""
    values = np.random.default_rng(1).normal(0.2, 0.5, size=500)
    low, high = statistics.bootstrap(values)
    half_width = 1.96 * values.std() / math.sqrt(values.size)
    assert low == pytest.approx(values.mean() - half_width, abs=0.003)
    assert high == pytest.approx(values.mean() + half_width, abs=0.003)
    assert statistics.bootstrap(-values) == pytest.approx((-high, -low), abs=1e-12)


def test_resamples_are_drawn_in_portions_of_bounded_size(monkeypatch):
    """Portions that hold a few resamples give an interval like one portion, with the same number of resamples."""
    values = np.linspace(-1, 1, 50)
    whole = statistics.bootstrap(values, resamples=1001)
    monkeypatch.setattr(statistics, "_DRAWN", 500)
    assert statistics._resampled_means(values, 1001).shape == (1001,)
    assert statistics.bootstrap(values, resamples=1001) == pytest.approx(whole, abs=0.03)


@pytest.mark.parametrize("differences", [(), (math.nan,), (0.0, math.inf), ((1.0, 2.0),)])
def test_the_interval_of_no_finite_values_is_an_error(differences):
    """No values, values that are not finite and a matrix have no interval."""
    with pytest.raises(ValueError, match="finite numbers"):
        statistics.bootstrap(differences)


def test_a_mean_does_not_depend_on_the_order():
    """The mean of the same values in another order is the same number, and no values have none."""
    values = [0.1] * 10 + [1e16, -1e16]
    assert statistics.mean(values) == statistics.mean(values[::-1]) == pytest.approx(1 / 12)
    assert statistics.mean([]) is None

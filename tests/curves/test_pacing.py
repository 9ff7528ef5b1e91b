"""Pacing functions against the code of "When Do Curricula Work?", by hand, and by their properties."""

from fractions import Fraction
from math import ceil, exp, inf, log, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgen.curves import pacing
from lrgen.errors import ParameterError

SHARES = sorted(pacing.SHARES.items())
FRACTIONS = st.floats(0.01, 1)
HORIZONS = st.integers(1, 300)

every_share = pytest.mark.parametrize(("name", "share"), SHARES, ids=[name for name, _ in SHARES])
many = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def of_paper(name: str, t: int, horizon: int, a: float, b: float) -> float:
    """The share in the paper's own words: a rate of examples per step, capped at all of them."""
    end = a * horizon
    if name == "exponential":
        value = b + (1 - b) / (exp(10) - 1) * (exp(10 * t / end) - 1) if t < end else 1
    elif name == "logarithmic":
        value = b + (1 - b) * (1 + 0.1 * log(t / end + exp(-10)))
    elif name == "step":
        value = b + t // end
    else:
        value = (
            b
            + (1 - b)
            / end ** {"linear": 1, "quadratic": 2, "root": 0.5}[name]
            * t
            ** {
                "linear": 1,
                "quadratic": 2,
                "root": 0.5,
            }[name]
        )
    return min(1, value)


@every_share
@many
@given(horizon=HORIZONS, start=FRACTIONS, full=FRACTIONS)
def test_a_share_is_that_of_the_paper(name, share, horizon, start, full):
    """At each step, each share is that of the paper's formula, capped at all examples."""
    actual = share(range(horizon + 3), horizon, start_fraction=start, full_fraction=full)
    expected = [of_paper(name, t, horizon, full, start) for t in range(horizon + 3)]
    away = [abs(t - full * horizon) > 1e-9 for t in range(horizon + 3)]  # a step exactly at the end may round below it
    np.testing.assert_allclose(actual[away], np.array(expected)[away], rtol=0, atol=1e-9)


@every_share
@many
@given(horizon=HORIZONS, start=FRACTIONS, full=FRACTIONS)
def test_a_share_grows_from_its_start_to_one(name, share, horizon, start, full):
    """A share never falls, begins at the start fraction, lies in [start, 1], and is exactly 1 from the end on."""
    steps = np.arange(2 * horizon + 2)
    shares = share(steps, horizon, start_fraction=start, full_fraction=full)
    assert abs(shares[0] - start) < 1e-12
    assert (np.diff(shares) >= 0).all()
    assert shares.min() >= start - 1e-12
    assert (shares[steps >= full * horizon + 1e-6] == 1).all()
    assert shares.max() <= 1


@many
@given(horizon=HORIZONS, start=st.floats(0.01, 0.99), full=FRACTIONS)
def test_pacing_functions_have_their_order(horizon, start, full):
    """At any step more examples are in use by root than by linear than by quadratic pacing."""
    arguments = {"start_fraction": start, "full_fraction": full}
    steps = np.arange(horizon + 1)
    root, linear, quadratic = (
        function(steps, horizon, **arguments) for function in (pacing.root, pacing.linear, pacing.quadratic)
    )
    assert (root >= linear).all()
    assert (linear >= quadratic).all()
    assert (pacing.exponential(steps, horizon, **arguments) <= pacing.logarithmic(steps, horizon, **arguments)).all()


def test_shares_by_hand():
    """Half of the way, the shares from a fifth on are those that one computes by hand."""
    arguments = {"start_fraction": 0.2, "full_fraction": 0.5}
    assert pacing.linear(25, 100, **arguments) == pytest.approx(0.6)
    assert pacing.quadratic(25, 100, **arguments) == pytest.approx(0.4)
    assert pacing.root(25, 100, **arguments) == pytest.approx(0.2 + 0.8 * sqrt(0.5))
    assert pacing.step([0, 49, 50, 99], 100, **arguments).tolist() == [0.2, 0.2, 1, 1]
    assert pacing.competence(25, 100, **arguments) == pytest.approx(sqrt(0.04 + 0.96 / 2))
    assert pacing.exponential(25, 100, **arguments) == pytest.approx(0.2 + 0.8 * (exp(5) - 1) / (exp(10) - 1))
    assert pacing.logarithmic(25, 100, **arguments) == pytest.approx(0.2 + 0.8 * (1 + log(0.5 + exp(-10)) / 10))
    stairs = pacing.staircase([0, 9, 10, 20, 30, 90], 100, start_fraction=0.2, step_length=0.1, growth=2)
    assert stairs.tolist() == [0.2, 0.2, 0.4, 0.8, 1, 1]
    assert pacing.staircase(10**6, 10, start_fraction=0.5, step_length=0.001, growth=1.9) == 1


@many
@given(horizon=HORIZONS, start=FRACTIONS, full=FRACTIONS)
def test_competence_of_power_one_is_linear(horizon, start, full):
    """Competence with the power 1 is linear pacing, and a higher power brings examples in earlier."""
    steps = np.arange(horizon + 1)
    arguments = {"start_fraction": start, "full_fraction": full}
    linear = pacing.linear(steps, horizon, **arguments)
    np.testing.assert_allclose(pacing.competence(steps, horizon, power=1, **arguments), linear, atol=1e-12)
    assert (pacing.competence(steps, horizon, power=3, **arguments) >= linear - 1e-12).all()


@many
@given(horizon=HORIZONS, full=FRACTIONS, size=st.integers(1, 500), rest=st.integers(0, 500))
def test_a_window_slides_from_the_start_to_the_end_of_the_order(horizon, full, size, rest):
    """A window begins at the start of the order, moves forward only, and ends at the end of the order."""
    steps = np.arange(2 * horizon + 1)
    starts = pacing.window_start(steps, horizon, size, size + rest, full_fraction=full)
    assert starts[0] == 0
    assert (np.diff(starts) >= 0).all()
    assert starts[-1] == rest
    assert pacing.window_start(1, 4, 40, 100, full_fraction=0.5) == 30


@many
@given(count=st.integers(1, 5000), batch=st.integers(1, 64), numerator=st.integers(0, 720))
def test_a_number_of_examples_is_the_exact_one(count, batch, numerator):
    """The number of examples is that of exact arithmetic: rounded up, at least a batch, at most all."""
    share = Fraction(numerator, 720)
    assert pacing.examples(float(share), count, batch) == min(count, max(batch, ceil(share * count)))


@every_share
@many
@given(horizon=HORIZONS, start=FRACTIONS, full=FRACTIONS, count=st.integers(1, 2000), batch=st.integers(1, 64))
def test_numbers_of_examples_never_fall(name, share, horizon, start, full, count, batch):
    """Numbers of examples never fall, have a batch at least, and are all examples in the end."""
    shares = share(range(horizon + 1), horizon, start_fraction=start, full_fraction=full)
    numbers = pacing.examples(shares, count, batch)
    assert (np.diff(numbers) >= 0).all()
    assert numbers.min() >= min(batch, count)
    assert numbers[-1] == count


@many
@given(sizes=st.lists(st.integers(0, 300), max_size=20), batch=st.integers(1, 40))
def test_updates_are_the_batches_of_all_epochs(sizes, batch):
    """The updates are the batches into which the examples of each epoch can be split, the last one smaller."""
    assert pacing.updates(sizes, batch) == sum(len(range(0, size, batch)) for size in sizes)


def test_a_threshold_rises_by_a_factor():
    """The threshold begins at step 1 and is multiplied by one plus the growth at each step, up to infinity."""
    assert pacing.threshold([0, 1, 2, 3], start=2.0, growth=0.5).tolist() == [inf, 2.0, 3.0, 4.5]
    assert pacing.threshold(10**6, start=1.0, growth=0.1) == inf
    assert pacing.threshold(3, start=inf, growth=0.1) == inf


LOSSES = st.lists(st.floats(0, 20), min_size=1, max_size=30)


@many
@given(losses=LOSSES, threshold=st.floats(0.01, 20))
def test_weights_of_self_paced_learning(losses, threshold):
    """Weights are 1 or 0 if hard, linear in the loss if soft; some example counts; none at the threshold does else."""
    hard, soft = pacing.hard_weights(losses, threshold), pacing.soft_weights(losses, threshold)
    assert set(hard) <= {0.0, 1.0}
    assert hard.any()
    assert soft.any()
    for loss, of_hard, of_soft in zip(losses, hard, soft, strict=True):
        if min(losses) < threshold:
            assert of_hard == (loss < threshold)
            assert of_soft == pytest.approx(max(0.0, 1 - loss / threshold))
        else:
            assert of_hard == (loss == min(losses))
            assert of_soft == (loss == min(losses))


def test_an_infinite_threshold_is_plain_training():
    """With an infinite threshold every example counts as 1, by hard and by soft weights."""
    losses = [0.0, 1.0, 300.0]
    assert pacing.hard_weights(losses, inf).tolist() == [1, 1, 1]
    assert pacing.soft_weights(losses, inf).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pacing.linear(0, 9, start_fraction=0, full_fraction=1), "start_fraction .* got 0$"),
        (lambda: pacing.root(0, 9, start_fraction=1.5, full_fraction=1), "start_fraction .* got 1.5"),
        (lambda: pacing.step(0, 9, start_fraction=nan, full_fraction=1), "start_fraction .* got nan"),
        (lambda: pacing.exponential(0, 9, start_fraction=0.5, full_fraction=0), "full_fraction .* got 0$"),
        (lambda: pacing.logarithmic(0, 9, start_fraction=0.5, full_fraction=2), "full_fraction .* got 2"),
        (lambda: pacing.window_start(0, 9, 5, 4, full_fraction=1), "size .* got 5"),
        (lambda: pacing.window_start(0, 9, 0, 4, full_fraction=1), "size .* got 0"),
        (lambda: pacing.competence(0, 9, start_fraction=2, full_fraction=1), "start_fraction .* got 2"),
        (lambda: pacing.competence(0, 9, start_fraction=1, full_fraction=1, power=0), "power .* got 0"),
        (lambda: pacing.polynomial(0, 9, start_fraction=1, full_fraction=1, power=-1), "power .* got -1"),
        (lambda: pacing.staircase(0, 9, start_fraction=1, step_length=0, growth=2), "step_length .* got 0"),
        (lambda: pacing.staircase(0, 9, start_fraction=1, step_length=1, growth=1), "growth .* got 1"),
        (lambda: pacing.linear(0, 0, start_fraction=1, full_fraction=1), "horizon .* got 0"),
        (lambda: pacing.linear([0, -1], 9, start_fraction=1, full_fraction=1), "steps .* got -1"),
        (lambda: pacing.examples(1.01, 9), "share .* got 1.01"),
        (lambda: pacing.examples([0.5, nan], 9), "share .* got nan"),
        (lambda: pacing.examples(1, 0), "count .* got 0"),
        (lambda: pacing.examples(1, 9, 0), "batch .* got 0"),
        (lambda: pacing.updates([1], 0), "batch .* got 0"),
        (lambda: pacing.threshold(0, start=0, growth=0.1), "start .* got 0"),
        (lambda: pacing.threshold(0, start=1, growth=-0.1), "growth .* got -0.1"),
    ],
)
def test_a_value_out_of_its_range_is_an_error(call, message):
    """An argument out of its range raises a ParameterError with its name and its value."""
    with pytest.raises(ParameterError, match=message):
        call()

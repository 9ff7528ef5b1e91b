"""The gradient pattern at some positions, as a whole, and its norm."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lrgen.verify.nursery.pattern import Pattern

COUNTS = st.lists(st.integers(1, 3000), min_size=1, max_size=5)
SEEDS = st.integers(0, 2**60 - 1)


@given(SEEDS, COUNTS)
def test_the_values_at_positions_are_those_of_the_whole(seed, counts):
    """What the examiner computes at sampled positions is what the stand-in sends there."""
    pattern = Pattern(seed, counts)
    whole = pattern.whole()
    assert len(whole) == sum(counts)
    at = np.arange(0, sum(counts), 3)
    np.testing.assert_array_equal(pattern.at(at), whole[at])


@given(SEEDS, COUNTS, st.data())
def test_the_norm_is_that_of_the_whole(seed, counts, data):
    """The norm over some parameters is numpy's norm of their values."""
    chosen = sorted(data.draw(st.sets(st.integers(0, len(counts) - 1))))
    pattern = Pattern(seed, counts)
    parts = np.split(pattern.whole().astype(np.float64), np.cumsum(counts)[:-1])
    expected = np.sqrt(sum(float(np.dot(parts[index], parts[index])) for index in chosen))
    np.testing.assert_allclose(pattern.norm(chosen), expected, rtol=1e-9)


@given(SEEDS, SEEDS)
def test_no_value_is_small_and_other_seeds_give_others(seed, other):
    """Each weight moves visibly with every pattern, and two patterns differ nearly everywhere."""
    values = Pattern(seed, [2000]).whole()
    assert np.abs(values).min() >= 0.2
    assert np.abs(values).max() <= 0.7
    if seed != other:
        assert np.mean(values == Pattern(other, [2000]).whole()) < 0.01

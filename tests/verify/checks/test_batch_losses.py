"""The loss of each batch of a training is that of the criterion, with a scale, factors or a term of the weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgen.verify.checks.batch_losses import SAME, BatchLosses, first_wrong

UPDATES = 12


def batches_of(losses, entropies) -> list[BatchLosses]:
    """One epoch of whole batches."""
    count = len(losses)
    sizes = np.full(count, 20)
    return [BatchLosses(np.array(losses), np.array(entropies).reshape(count, -1), np.zeros(count), sizes)]


def entropies_of(seed) -> np.ndarray:
    """Cross-entropies that fall from that of chance."""
    rng = np.random.default_rng(seed)
    return np.geomspace(2.3, 0.1, UPDATES) * rng.uniform(0.8, 1.2, UPDATES)


@given(st.integers(0, 10**6), st.floats(0.01, 1e5))
def test_a_term_of_the_weights_is_no_scale(seed, term):
    """A term that is measured is accepted, whatever power of two of the cross-entropy it is near to."""
    entropies = entropies_of(seed)
    terms = dict.fromkeys(range(0, UPDATES, 3), term)
    assert first_wrong(batches_of(entropies + term, entropies), terms, 20, SAME) is None


@given(st.integers(0, 10**6), st.integers(0, 16))
def test_a_power_of_two_is_the_scale_of_a_scaler(seed, exponent):
    """All losses may be scaled as torch's GradScaler does it."""
    entropies = entropies_of(seed)
    assert first_wrong(batches_of(entropies * 2.0**exponent, entropies), {}, 20, SAME) is None


@pytest.mark.parametrize("factor", [0.9, 1.1, 3.0])
def test_another_factor_is_wrong(factor):
    """A loss that is scaled by something else is wrong at its first update."""
    entropies = entropies_of(0)
    wrong = first_wrong(batches_of(entropies * factor, entropies), {}, 20, SAME)
    assert wrong is not None
    assert wrong[0] == 0


@given(st.integers(0, 10**6), st.integers(0, UPDATES - 1), st.sampled_from([0.5, 2.0]))
def test_one_update_with_another_term_is_wrong(seed, update, factor):
    """A term that is not the measured one at a single update is named."""
    entropies = entropies_of(seed)
    term = np.full(UPDATES, 100.0)
    term[update] *= factor
    terms = dict.fromkeys(range(0, UPDATES, 3), 100.0)
    wrong = first_wrong(batches_of(entropies + term, entropies), terms, 20, SAME)
    assert wrong is not None
    assert wrong[0] == update

"""The examples that a curriculum has in use, by hand."""

import numpy as np
import pytest

from lrgen import catalogue
from lrgen.verify.checks.practices.in_use import InUse, ranks_in_class, updates_of

CATALOGUE = catalogue.load()
LOSSES = np.array([0.5, 0.1, 0.9, 0.3, 0.7, 0.2, 0.8, 0.4, 0.6, 1.0])
LABELS = np.array([0, 0, 1, 0, 1, 0, 1, 0, 1, 1])


def chosen(name: str, epoch: int, epochs: int = 5, batch: int = 2, **prm: float) -> list[int]:
    """The examples of a practice in an epoch, in the order of their losses."""
    in_use = InUse.of(CATALOGUE.practice(name), prm, epochs, len(LOSSES), batch)
    return in_use.chosen(epoch, LOSSES, LABELS).tolist()


def test_the_easy_examples_come_first():
    """Linear pacing begins with a fraction of the lowest losses, grows linearly and has all from its end on."""
    prm = {"start_fraction": 0.2, "full_fraction": 0.4}
    assert chosen("easy_first_linear", 0, **prm) == [1, 5]
    assert chosen("easy_first_linear", 1, **prm) == [1, 5, 3, 7, 0, 8]
    assert sorted(chosen("easy_first_linear", 2, **prm)) == list(range(10))


def test_the_hard_examples_come_first():
    """The order of hard-first pacing is that of falling losses."""
    assert chosen("hard_first_linear", 0, start_fraction=0.3, full_fraction=1.0) == [9, 2, 6]


def test_a_window_slides_over_the_order():
    """A sliding window keeps its width and moves from the lowest to the highest losses."""
    prm = {"start_fraction": 0.4, "full_fraction": 0.8}
    assert chosen("sliding_window", 0, **prm) == [1, 5, 3, 7]
    assert chosen("sliding_window", 2, **prm) == [7, 0, 8, 4]
    assert len(chosen("sliding_window", 4, **prm)) == 10


def test_classes_grow_together():
    """A balanced curriculum has as many examples of one class as of another, the lowest losses of each."""
    assert chosen("class_balanced_linear", 0, start_fraction=0.4, full_fraction=1.0) == [1, 8, 5, 4]
    order = np.argsort(LOSSES)
    assert ranks_in_class(order, LABELS).tolist() == [4, 0, 3, 2, 1, 1, 2, 3, 0, 4]


def test_an_epoch_has_a_batch_at_least():
    """Where the fraction is less than a batch, a batch is in use."""
    assert len(chosen("easy_first_quadratic", 0, batch=4, start_fraction=0.1, full_fraction=1.0)) == 4


@pytest.mark.parametrize(
    ("name", "updates"), [("easy_first_linear_multistep", [2, 3, 4, 5, 5]), ("StepLR_default", [5] * 5)]
)
def test_updates_are_the_batches_of_the_examples_in_use(name, updates):
    """The updates of an epoch are the batches of its examples; a plain file has one for each batch of the loader."""
    assert updates_of(CATALOGUE.variant(name), 5, 10, 2) == updates

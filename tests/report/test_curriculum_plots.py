"""The figure of curricula shows the examples that the check expects."""

import numpy as np
import pytest

from lrgen import catalogue
from lrgen.report import curriculum_plots
from lrgen.report.plots import pyplot
from lrgen.verify.checks.practices.in_use import InUse

PRACTICES = [practice for practice in catalogue.load().practices if practice.kind == "curriculum"]
PACED = [practice for practice in PRACTICES if practice.is_paced]


@pytest.mark.parametrize("practice", PACED, ids=lambda practice: practice.name)
def test_the_drawn_share_is_that_of_the_check(practice):
    """The share of each epoch, rounded up to examples, is the number that the check requires."""
    in_use = InUse.of(practice, {}, 90, 1000, 1)
    drawn = np.ceil(curriculum_plots.share_in_use(practice) * 1000 - 1e-9)
    assert drawn.tolist() == in_use.sizes


def test_a_window_is_drawn_where_the_check_expects_it():
    """The drawn window begins at the first and ends after the last of the examples that the check requires."""
    [practice] = [practice for practice in PACED if practice.constants["window"]]
    first, last = curriculum_plots.window(practice, 30)
    in_use = InUse.of(practice, {}, 30, 1000, 1)
    losses = np.arange(1000.0)
    for epoch in range(30):
        chosen = in_use.chosen(epoch, losses, np.zeros(1000, dtype=np.int64))
        assert (first[epoch] * 1000, last[epoch] * 1000) == pytest.approx((chosen.min(), chosen.max() + 1))


def test_each_practice_is_in_the_figure():
    """The figure has a line, an area or a weight with the name of each curriculum."""
    plt = pyplot(".svg")
    figure = curriculum_plots.draw(plt, PRACTICES)
    labels = {label for axis in figure.axes for label in axis.get_legend_handles_labels()[1]}
    plt.close(figure)
    assert {practice.name for practice in PRACTICES} == {label.split(",")[0] for label in labels}

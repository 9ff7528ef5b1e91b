"""The check of accumulation: runs of ``learn`` whose last update has fewer batches, or batches of several sizes.

What an update must be is what every run of ``learn`` is compared with (checks.accumulation).
"""

from lrgen.verify.checks import learn_trace
from lrgen.verify.checks.cases import BASE_LR, Run
from lrgen.verify.checks.examination import Examination


def check(examination: Examination) -> None:
    """Check updates of fewer batches, and of batches of several sizes.

    Raises:
        CheckFailure: if the gradient of one is not that of its batches together.
    """
    variant = examination.candidate.variant
    assert variant is not None
    learn_trace.run(examination, runs(variant.batches_per_update))
    examination.evidence.append("the last update of an epoch has the gradient of the batches that are left")


def runs(every: int) -> list[Run]:
    """A run whose last update has one batch less than the others, and one in which its last batch is smaller."""
    return [Run(2, 3, 2 * every - 1, 4, 4, BASE_LR), Run(2, 2, 2 * every, 5, 2, BASE_LR)]

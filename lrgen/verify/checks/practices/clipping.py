"""The check of clipping: a run of ``learn`` with gradients far below the limit, near it and far above it.

What an update must be is what every run of ``learn`` is compared with (checks.clipping).
"""

from lrgen.verify.checks import learn_trace
from lrgen.verify.checks.cases import BASE_LR, Run
from lrgen.verify.checks.examination import Examination

BATCHES = 24


def check(examination: Examination) -> None:
    """Check updates with gradients below the limit and above it.

    Raises:
        CheckFailure: if the gradients of one are not those of its batch after clipping.
    """
    learn_trace.run(examination, [Run(1, 1, BATCHES, 3, 3, BASE_LR)])
    examination.evidence.append(f"gradients below the limit of clipping and above it were sent in {BATCHES} batches")

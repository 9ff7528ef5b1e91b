"""The checks of practices: what makes a training loop the one that it claims to be, a module for each kind.

A check is a function of an examination whose variant has a practice of the kind; it raises CheckFailure with the
reason. It runs after the learning rates and the updates of ``learn`` have been compared with the schedule.
"""

from collections.abc import Callable, Mapping

from lrgen.records import PracticeKind
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.practices import precision

OF_KIND: Mapping[PracticeKind, Callable[[Examination], None]] = {PracticeKind.PRECISION: precision.check}


def check(examination: Examination) -> None:
    """Check the practice of a file, if its variant has one.

    Raises:
        CheckFailure: if the training loop does not do what the practice says.
    """
    variant = examination.candidate.variant
    assert variant is not None
    if variant.practice is not None:
        OF_KIND[variant.practice.kind](examination)


__all__ = ["OF_KIND", "check"]

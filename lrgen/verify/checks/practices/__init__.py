"""The checks of practices: what makes a training loop the one that it claims to be, a module for each kind.

A check is a function of an examination whose variant has a practice of the kind; it raises CheckFailure with the
reason. It runs after the learning rates and the updates of ``learn`` have been compared with the schedule.
"""

from collections.abc import Callable, Mapping

from lrgen.records import PracticeKind, Variant
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.practices import (
    accumulation,
    averaging,
    clipping,
    curriculum,
    ema,
    label_smoothing,
    mixup,
    precision,
)
from lrgen.verify.checks.practices.in_use import updates_of

OF_KIND: Mapping[PracticeKind, Callable[[Examination], None]] = {
    PracticeKind.PRECISION: precision.check,
    PracticeKind.CURRICULUM: curriculum.check,
    PracticeKind.EMA: ema.check,
    PracticeKind.AVERAGING: averaging.check,
    PracticeKind.LABEL_SMOOTHING: label_smoothing.check,
    PracticeKind.MIXUP: mixup.check,
    PracticeKind.ACCUMULATION: accumulation.check,
    PracticeKind.CLIPPING: clipping.check,
}
# Kinds whose updates have other examples than the batches of the loader, or weights of them: their check compares the
# learning rates, the updates and the gradients of ``learn`` itself, and draws the hyperparameters of the practice.
_OTHER_EXAMPLES = frozenset({PracticeKind.CURRICULUM})


def has_other_examples(variant: Variant | None) -> bool:
    """Whether an update of a variant differs from that of the criterion for a batch of the loader."""
    return variant is not None and variant.practice is not None and variant.practice.kind in _OTHER_EXAMPLES


def check(examination: Examination) -> None:
    """Check the practice of a file, if its variant has one.

    Raises:
        CheckFailure: if the training loop does not do what the practice says.
    """
    variant = examination.candidate.variant
    assert variant is not None
    if variant.practice is not None:
        OF_KIND[variant.practice.kind](examination)


__all__ = ["OF_KIND", "check", "has_other_examples", "updates_of"]

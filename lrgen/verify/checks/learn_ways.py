"""Ways to know the gradients of the updates of ``learn``."""

from enum import Enum

from lrgen.verify.checks.failure import CheckFailure


class Way(Enum):
    """A way to know the gradients of the updates; they are tried in this order.

    ``PATTERN``: the stand-in's, as they are. ``CLIPPED``: the stand-in's after the file's clipping, compared with what
    the file's process notes. ``SCALED``: the same, of a loss that is scaled before its gradients are computed, and
    whose gradients are scaled back before the update. ``TERMS``: also with terms of the loss that depend on the weights
    alone, which another process measures. ``OBSERVED``: as the file's process notes them, with the real forward pass;
    another process computes one of each epoch again.
    """

    PATTERN = 0
    CLIPPED = 1
    SCALED = 2
    TERMS = 3
    OBSERVED = 4


class OtherGradientsError(Exception):
    """The weights move otherwise than by the stand-in's gradients, as they are or after clipping."""

    def __init__(self, failure: CheckFailure) -> None:
        super().__init__(str(failure))
        self.failure = failure

"""The slope of the loss along its gradient shows whether the backward pass gives the derivatives of the forward pass.

A network may have a backward pass of its own, as a straight-through estimator has, or keep a term out of it. Then its
gradients are no derivatives, and their multiple of the slope varies. A backward pass that gives the derivatives in one
epoch and others in another changes the learning rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.standin_gradients import StandInGradients
from lrgen.verify.session import Array

STEPS = (0.03, 0.01, 0.001, 0.0003)  # the changes of the loss, in proportion to itself, that the gradient promises
_AGREE = 0.05  # of the slopes over two steps, where the loss is smooth enough to tell, and not yet rounded
_DERIVATIVE, _OTHER = 0.02, 0.25  # the distance from 1 of a derivative, and of another gradient


@dataclass
class Slopes:
    """The gradients of some updates as multiples of the slope of the loss."""

    ratios: list[float] = field(default_factory=list)

    def add(
        self, norm: float, lengths: Sequence[float], logits: Sequence[Array], labels: Array, standing: StandInGradients
    ) -> None:
        """Add that of an update, if the slopes over two of its steps agree.

        Args:
            norm: of all gradients.
            lengths: of the steps along the gradient; every second one goes against it.
            logits: after each step, a tensor for each leaf of the output.
        """
        leaves = len(standing.leaves)
        if len(lengths) != 2 * len(STEPS) or len(logits) != leaves * len(lengths) or not norm:
            return
        with np.errstate(all="ignore"):
            losses = [
                standing.loss_of(logits[leaves * step : leaves * (step + 1)], labels) for step in range(len(lengths))
            ]
            slopes = np.subtract(losses[::2], losses[1::2]) / np.subtract(lengths[::2], lengths[1::2])
            ratios = norm / slopes
            agree = np.abs(ratios[1:] / ratios[:-1] - 1) <= _AGREE
        if agree.any():
            self.ratios.append(float(ratios[1:][agree][-1]))

    def judge(self) -> str:
        """A sentence on a backward pass of the network's own; empty if there is none.

        Raises:
            CheckFailure: if they are the derivatives in one epoch, and not in another.
        """
        if not self.ratios:
            return ""
        nearest = min(self.ratios, key=lambda ratio: abs(ratio - 1))
        furthest = max(self.ratios, key=lambda ratio: abs(ratio - 1))
        if abs(furthest - 1) <= _OTHER:
            return ""
        if abs(nearest - 1) <= _DERIVATIVE:
            raise CheckFailure(
                "the gradients of the network are the derivatives of its loss in one epoch, and are "
                f"{furthest:.3g} times as large in another"
            )
        return f"the gradients of the network are {furthest:.3g} times the slope of its loss"

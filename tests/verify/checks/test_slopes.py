"""The slope of a loss along its gradient."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lrgen.verify import messages
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.notes import Sampling
from lrgen.verify.checks.slopes import STEPS, Slopes
from lrgen.verify.checks.standin_gradients import StandInGradients

CRITERION = messages.CriterionReport(name="CrossEntropyLoss", callable=True, cross_entropy=True, label_smoothing=0.1)
STANDING = StandInGradients(CRITERION, [[10]], [640], [True], Sampling([np.arange(3)]))


def add(slopes: Slopes, factor: float, scale: float = 1.0, seed: int = 0) -> None:
    """Add an update of a linear layer, whose backward pass multiplies the gradient by a factor."""
    draw = torch.Generator().manual_seed(seed)
    images, labels = torch.randn(6, 64, generator=draw), torch.randint(10, (6,), generator=draw)
    weights = (scale * torch.randn(64, 10, generator=draw)).requires_grad_()
    loss = F.cross_entropy(images @ weights, labels, label_smoothing=0.1)
    loss.backward()
    gradient = factor * weights.grad
    norm = float(gradient.norm())
    lengths = [sign * step * loss.item() / norm for step in STEPS for sign in (1, -1)]
    logits = [(images @ (weights.detach() + length / norm * gradient)).numpy() for length in lengths]
    slopes.add(norm, lengths, logits, labels.numpy(), STANDING)


@pytest.mark.parametrize("scale", [0.01, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("factor", [0.1, 0.5, 1.0, 3.0])
def test_the_gradient_is_a_multiple_of_the_slope(factor, scale):
    """The multiple is the factor of the backward pass, for small and for large weights."""
    slopes = Slopes()
    for seed in range(5):
        add(slopes, factor, scale, seed)
    assert len(slopes.ratios) >= 4
    assert slopes.ratios == pytest.approx([factor] * len(slopes.ratios), rel=0.05)


def test_gradients_that_are_derivatives_are_not_mentioned():
    """A backward pass that is the derivative in each epoch needs no sentence."""
    slopes = Slopes()
    add(slopes, 1.0, seed=1)
    add(slopes, 1.0, seed=2)
    assert slopes.judge() == ""


def test_a_backward_pass_of_its_own_is_mentioned():
    """Gradients that are never derivatives are those of the network; the evidence says so."""
    slopes = Slopes()
    add(slopes, 3.0, seed=1)
    add(slopes, 2.0, seed=2)
    assert slopes.judge() == "the gradients of the network are 3 times the slope of its loss"


def test_gradients_that_stop_to_be_derivatives_are_refused():
    """A factor in one epoch and none in another is another learning rate."""
    slopes = Slopes()
    add(slopes, 1.0, seed=1)
    add(slopes, 0.1, seed=2)
    with pytest.raises(CheckFailure, match=r"derivatives of its loss in one epoch, and are 0\.1 times as large in"):
        slopes.judge()

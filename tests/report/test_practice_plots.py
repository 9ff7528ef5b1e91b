"""The figures of practices show what torch does."""

import pytest
import torch

from lrgen.report.practice_plots import loss_scales


@pytest.mark.parametrize("overflows", [(), (0, 1, 2), (3,), (2, 5, 6), (4, 9)])
def test_the_scale_of_the_loss_is_that_of_torch(overflows):
    """The scale at each step is that of a GradScaler whose gradients overflow at the same steps."""
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=3)
    scales = []
    for step in range(12):
        scales.append(scaler.get_scale())
        optimizer.zero_grad()
        scaler.scale(weight.sum() * (float("inf") if step in overflows else 1.0)).backward()
        scaler.step(optimizer)
        scaler.update()
    assert loss_scales(overflows, 12, first=256.0, growth_interval=3).tolist() == scales

"""EfficientNet: torchvision's EfficientNet-B0."""

import pytest
import torch
from torch import nn
from torchvision.models import efficientnet_b0
from torchvision.ops import StochasticDepth

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_efficientnet_is_torchvisions():
    """5,288,548 parameters, and torchvision's scores with torchvision's weights."""
    assert_is("EfficientNet", efficientnet_b0(weights=None))


def test_efficientnet_keeps_the_resolution_of_small_images():
    """At 32 pixels it is torchvision's with stride 1 in the stem."""
    reference = efficientnet_b0(weights=None, num_classes=10)
    reference.features[0][0].stride = (1, 1)
    settle(reference, 32)
    net = build("EfficientNet")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_efficientnet_drops_deeper_blocks_more_often():
    """The rates of stochastic depth are torchvision's: they rise in even steps from 0 towards 0.2."""
    theirs = [one.p for one in efficientnet_b0().modules() if isinstance(one, StochasticDepth)]
    assert [block.stochastic_depth.rate for block in build("EfficientNet").blocks] == pytest.approx(theirs)


def test_efficientnet_drops_residuals_image_by_image():
    """In training an image keeps the whole residual, scaled so that its mean stays, or none of it."""
    block = build("EfficientNet").blocks[14]
    rate = block.stochastic_depth.rate
    assert block.has_shortcut
    x = torch.randn(400, 192, 1, 1)
    with torch.no_grad():
        block.stochastic_depth = nn.Identity()
        residual = block.train()(x) - x
        block.stochastic_depth = type(build("EfficientNet").blocks[14].stochastic_depth)(rate)
        found = block(x) - x
    kept = found.abs().amax(dim=(1, 2, 3)) > 0
    assert 0.5 * rate < 1 - kept.float().mean() < 2 * rate
    torch.testing.assert_close(found[kept], residual[kept] / (1 - rate), rtol=1e-4, atol=1e-4)

"""EfficientNet: compared with torchvision's efficientnet_b0."""

import pytest
import torch
from torch import nn
from torchvision.models import efficientnet_b0
from torchvision.ops import StochasticDepth

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_efficientnet_matches_torchvision():
    """At 224 pixels it has the parameters of torchvision's efficientnet_b0 and, with its weights, the same logits."""
    assert_is("EfficientNet", efficientnet_b0(weights=None))


def test_efficientnet_keeps_the_resolution_of_small_images():
    """At 32 pixels it equals torchvision's with stride 1 in the stem."""
    reference = efficientnet_b0(weights=None, num_classes=10)
    reference.features[0][0].stride = (1, 1)
    settle(reference, 32)
    net = build("EfficientNet")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_the_drop_rates_of_efficientnet_match_torchvision():
    """The rates of stochastic depth equal torchvision's and increase in equal steps from 0 towards 0.2."""
    expected = [layer.p for layer in efficientnet_b0().modules() if isinstance(layer, StochasticDepth)]
    assert [block.stochastic_depth.rate for block in build("EfficientNet").blocks] == pytest.approx(expected)


def test_stochastic_depth_drops_the_residual_branch_of_an_image():
    """In training, the residual branch of an image is either dropped or rescaled, which keeps its mean."""
    block = build("EfficientNet").blocks[14]
    rate = block.stochastic_depth.rate
    assert block.has_shortcut
    x = torch.randn(400, 192, 1, 1)
    with torch.no_grad():
        block.stochastic_depth = nn.Identity()
        residual = block.train()(x) - x
        block.stochastic_depth = type(build("EfficientNet").blocks[14].stochastic_depth)(rate)
        outputs = block(x) - x
    kept = outputs.abs().amax(dim=(1, 2, 3)) > 0
    assert 0.5 * rate < 1 - kept.float().mean() < 2 * rate
    torch.testing.assert_close(outputs[kept], residual[kept] / (1 - rate), rtol=1e-4, atol=1e-4)

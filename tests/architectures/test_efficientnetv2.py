"""EfficientNetV2: compared with torchvision's efficientnet_v2_s."""

import pytest
import torch
from torchvision.models import efficientnet_v2_s
from torchvision.ops import StochasticDepth

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_efficientnetv2_matches_torchvision():
    """At 224 pixels it has the parameters of torchvision's efficientnet_v2_s and, with its weights, the same logits."""
    assert_is("EfficientNetV2", efficientnet_v2_s(weights=None))


def test_efficientnetv2_keeps_the_resolution_of_small_images():
    """At 32 pixels it equals torchvision's with stride 1 in the stem."""
    reference = efficientnet_v2_s(weights=None, num_classes=10)
    reference.features[0][0].stride = (1, 1)
    settle(reference, 32)
    net = build("EfficientNetV2")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_the_drop_rates_of_efficientnetv2_match_torchvision():
    """The rates of stochastic depth equal torchvision's and increase in equal steps from 0 towards 0.2."""
    expected = [layer.p for layer in efficientnet_v2_s().modules() if isinstance(layer, StochasticDepth)]
    assert [block.stochastic_depth.rate for block in build("EfficientNetV2").blocks] == pytest.approx(expected)


def test_efficientnetv2_has_stochastic_depth_in_training_only():
    """Without dropout, two passes of the same images differ in training and are equal in evaluation."""
    net = build("EfficientNetV2", dropout=0.0)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        net.train()
        assert not torch.equal(net(images), net(images))
        net.eval()
        assert torch.equal(net(images), net(images))


def test_the_early_blocks_of_efficientnetv2_are_fused():
    """The first ten blocks have no depthwise convolution; the other thirty have one."""
    blocks = build("EfficientNetV2").blocks
    grouped = [any(getattr(layer, "groups", 1) > 1 for layer in block.modules()) for block in blocks]
    assert grouped == [False] * 10 + [True] * 30

"""EfficientNetV2: torchvision's EfficientNetV2-S."""

import pytest
import torch
from torch import nn
from torchvision.models import efficientnet_v2_s
from torchvision.ops import StochasticDepth

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_efficientnetv2_is_torchvisions():
    """21,458,488 parameters, and torchvision's scores with torchvision's weights."""
    assert_is("EfficientNetV2", efficientnet_v2_s(weights=None))


def test_efficientnetv2_keeps_the_resolution_of_small_images():
    """At 32 pixels it is torchvision's with stride 1 in the stem."""
    reference = efficientnet_v2_s(weights=None, num_classes=10)
    reference.features[0][0].stride = (1, 1)
    settle(reference, 32)
    net = build("EfficientNetV2")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_efficientnetv2_drops_deeper_blocks_more_often():
    """The rates of stochastic depth are torchvision's: they rise in even steps from 0 towards 0.2."""
    theirs = [one.p for one in efficientnet_v2_s().modules() if isinstance(one, StochasticDepth)]
    assert [block.stochastic_depth.rate for block in build("EfficientNetV2").blocks] == pytest.approx(theirs)


def test_efficientnetv2_trains_at_random_depth():
    """Two passes of the same images differ in training, dropout aside, and are the same in evaluation."""
    net = build("EfficientNetV2", dropout=0.0)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        net.train()
        assert not torch.equal(net(images), net(images))
        net.eval()
        assert torch.equal(net(images), net(images))


def test_efficientnetv2_fuses_its_early_blocks():
    """Only the last three stages filter each channel on its own: no convolution of the first ten blocks is grouped."""
    blocks = build("EfficientNetV2").blocks
    grouped = [any(isinstance(m, nn.Conv2d) and m.groups > 1 for m in block.modules()) for block in blocks]
    assert grouped == [False] * 10 + [True] * 30

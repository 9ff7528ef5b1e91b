"""SqueezeNet: torchvision's squeezenet1_1."""

import pytest
import torch
from torch import nn
from torchvision import models

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, count, settle


def test_squeezenet_matches_torchvision():
    """At 224 pixels, the parameter count and the logits equal those of torchvision's squeezenet1_1."""
    assert_is("SqueezeNet", models.squeezenet1_1(weights=None))


@pytest.mark.parametrize("pixels", [32, 8])
def test_squeezenet_keeps_the_resolution_of_small_images(pixels):
    """Below 64 pixels, the logits equal torchvision's with a padded first convolution of stride 1."""
    reference = models.squeezenet1_1(weights=None, num_classes=10)
    reference.features[0] = nn.Conv2d(3, 64, 3, padding=1)
    net = build("SqueezeNet", pixels)
    copy_weights(settle(reference, pixels), net)
    assert_equal(net, reference, pixels)


def test_squeezenet_has_fifty_times_fewer_parameters_than_alexnet():
    """It has about 1/50 of AlexNet's parameters; half of the expand filters of each fire module are 1x1."""
    net = build("SqueezeNet", 224, 1000)
    assert 45 < count(build("AlexNet", 224, 1000, device="meta")) / count(net) < 55
    for name, fire in net.named_children():
        if name.startswith("fire"):
            assert fire.expand1x1.out_channels == fire.expand3x3.out_channels == 4 * fire.squeeze.out_channels


def test_squeezenet_logits_are_means_of_relu_feature_maps():
    """Each logit is the mean of a feature map of ``conv10`` after ReLU, and so it is not negative."""
    net = build("SqueezeNet").eval()
    feature_maps = []
    net.conv10.register_forward_hook(lambda module, inputs, output: feature_maps.append(output))
    with torch.no_grad():
        logits = net(torch.randn(4, 3, 32, 32))
    torch.testing.assert_close(logits, feature_maps[0].clamp(min=0).flatten(2).mean(2))
    assert feature_maps[0].shape == (4, 10, 4, 4)
    assert logits.min() >= 0


def test_squeezenet_initial_logits_are_positive():
    """All logits of an untrained network are positive, where the final ReLU has a gradient."""
    net = build("SqueezeNet").eval()
    with torch.no_grad():
        assert net(torch.randn(16, 3, 32, 32)).min() > 0

"""SqueezeNet: torchvision's squeezenet1_1."""

import pytest
import torch
from torch import nn
from torchvision import models

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, count, settle


def test_squeezenet_is_torchvisions():
    """At 224 pixels it has the parameters of torchvision's squeezenet1_1, and with its weights its logits."""
    assert_is("SqueezeNet", models.squeezenet1_1(weights=None))


@pytest.mark.parametrize("pixels", [32, 8])
def test_squeezenet_has_a_stem_for_small_images(pixels):
    """Below 64 pixels it is torchvision's with a padded first convolution of stride 1."""
    reference = models.squeezenet1_1(weights=None, num_classes=10)
    reference.features[0] = nn.Conv2d(3, 64, 3, padding=1)
    net = build("SqueezeNet", pixels)
    copy_weights(settle(reference, pixels), net)
    assert_equal(net, reference, pixels)


def test_squeezenet_has_fifty_times_fewer_parameters_than_alexnet():
    """The claim of the paper's title, for 1000 classes; half of the expand filters of each fire module are 1x1."""
    net = build("SqueezeNet", 224, 1000)
    assert 45 < count(build("AlexNet", 224, 1000)) / count(net) < 55
    for name, fire in net.named_children():
        if name.startswith("fire"):
            assert fire.expand1x1.out_channels == fire.expand3x3.out_channels == 4 * fire.squeeze.out_channels


def test_squeezenets_logits_are_means_of_relu_feature_maps():
    """No logit is negative, and each is the mean of its class's feature map after conv10 and ReLU."""
    net = build("SqueezeNet").eval()
    feature_maps = []
    net.conv10.register_forward_hook(lambda module, inputs, output: feature_maps.append(output))
    with torch.no_grad():
        logits = net(torch.randn(4, 3, 32, 32))
    torch.testing.assert_close(logits, feature_maps[0].clamp(min=0).flatten(2).mean(2))
    assert feature_maps[0].shape == (4, 10, 4, 4)
    assert logits.min() >= 0


def test_squeezenet_starts_with_positive_logits():
    """In a fresh network every logit of every image is positive: at zero the ReLU would have no gradient."""
    net = build("SqueezeNet").eval()
    with torch.no_grad():
        assert net(torch.randn(16, 3, 32, 32)).min() > 0

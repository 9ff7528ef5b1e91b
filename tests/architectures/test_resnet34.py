"""ResNet34: torchvision's resnet34."""

from torch import nn
from torchvision import models

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_resnet34_matches_torchvision():
    """At 224 pixels, the parameter count and the logits equal those of torchvision's resnet34."""
    assert_is("ResNet34", models.resnet34(weights=None))


def test_resnet34_keeps_the_resolution_of_small_images():
    """At 32 pixels, the logits equal torchvision's with the CIFAR stem: a 3x3 convolution of stride 1, no pooling."""
    reference = models.resnet34(weights=None, num_classes=10)
    reference.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    reference.maxpool = nn.Identity()
    settle(reference, 32)
    net = build("ResNet34")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_resnet34_has_34_weighted_layers():
    """The stem, the blocks and the classifier have 34 weighted layers; shortcuts are not counted."""
    net = build("ResNet34")
    weighted = [name for name, module in net.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    assert sum("downsample" not in name for name in weighted) == 34

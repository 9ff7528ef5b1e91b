"""ResNet101: torchvision's resnet101."""

from torch import nn
from torchvision import models

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_resnet101_matches_torchvision():
    """At 224 pixels, the parameter count and the logits equal those of torchvision's resnet101."""
    assert_is("ResNet101", models.resnet101(weights=None))


def test_resnet101_keeps_the_resolution_of_small_images():
    """At 32 pixels, the logits equal torchvision's with the CIFAR stem: a 3x3 convolution of stride 1, no pooling."""
    reference = models.resnet101(weights=None, num_classes=10)
    reference.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    reference.maxpool = nn.Identity()
    settle(reference, 32)
    net = build("ResNet101")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_resnet101_has_101_weighted_layers():
    """The stem, the blocks and the classifier have 101 weighted layers; shortcuts are not counted."""
    net = build("ResNet101")
    weighted = [name for name, module in net.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    assert sum("downsample" not in name for name in weighted) == 101


def test_resnet101_downsamples_in_the_3x3_convolutions():
    """The first block of a stage has its stride in the 3x3 convolution, not in the first 1x1 convolution."""
    net = build("ResNet101")
    for stage, stride in ((net.layer1, 1), (net.layer2, 2), (net.layer3, 2), (net.layer4, 2)):
        assert stage[0].conv1.stride == (1, 1)
        assert stage[0].conv2.stride == (stride, stride)
        assert all(block.conv2.stride == (1, 1) for block in stage[1:])

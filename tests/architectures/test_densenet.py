"""DenseNet: compared with torchvision's densenet121."""

from itertools import pairwise

import torch
from torch import nn
from torchvision import models

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_densenet_matches_torchvision():
    """At 224 pixels it has the parameters of torchvision's densenet121 and, with its weights, the same logits."""
    assert_is("DenseNet", models.densenet121(weights=None))


def test_densenet_keeps_the_resolution_of_small_images():
    """At 32 pixels it equals torchvision's with the CIFAR stem: a 3x3 convolution of stride 1, no pooling."""
    reference = models.densenet121(weights=None, num_classes=10)
    reference.features.conv0 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    reference.features.pool0 = nn.Identity()
    settle(reference, 32)
    net = build("DenseNet")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_a_dense_layer_appends_32_channels_to_its_input():
    """The output of a dense block is its input, bit for bit, followed by the 32 channels of each layer."""
    block = build("DenseNet").eval().denseblock2
    x = torch.randn(1, 128, 4, 4)
    outputs = [x]
    with torch.no_grad():
        for layer in block:
            outputs.append(layer(outputs[-1]))
        assert torch.equal(block(x), outputs[-1])
    assert [output.shape[1] for output in outputs] == list(range(128, 513, 32))
    for before, after in pairwise(outputs):
        assert torch.equal(after[:, : before.shape[1]], before)


def test_densenet_has_121_weighted_layers():
    """It has a stem, 58 layers of two convolutions, three transition layers and a classifier."""
    net = build("DenseNet")
    assert sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in net.modules()) == 121

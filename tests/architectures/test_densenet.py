"""DenseNet: torchvision's densenet121."""

from itertools import pairwise

import torch
from torch import nn
from torchvision import models

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_densenet_is_torchvisions():
    """At 224 pixels it has the parameters of torchvision's, and with its weights the same scores."""
    assert_is("DenseNet", models.densenet121(weights=None))


def test_densenet_keeps_the_resolution_of_small_images():
    """At 32 pixels it is torchvision's with the stem that the literature uses for CIFAR: 3x3, stride 1, no pool."""
    reference = models.densenet121(weights=None, num_classes=10)
    reference.features.conv0 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    reference.features.pool0 = nn.Identity()
    settle(reference, 32)
    net = build("DenseNet")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_densenets_layers_pass_on_all_that_they_get():
    """After a dense block stands its input, bit for bit, and behind it the 32 channels of each layer in their order."""
    block = build("DenseNet").eval().block2
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
    """A stem, twice 58 convolutions in the blocks, three transitions and a classifier."""
    net = build("DenseNet")
    assert sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in net.modules()) == 121

"""AlexNet: torchvision's alexnet."""

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_alexnet_is_torchvisions():
    """At 224 pixels it has the parameters of torchvision's alexnet, and with its weights its scores."""
    assert_is("AlexNet", models.alexnet(weights=None))


@pytest.mark.parametrize("pixels", [32, 16])
def test_alexnet_has_a_stem_and_a_head_for_small_images(pixels):
    """Under 64 pixels it is torchvision's with a 3x3 stem of stride 2, padded pools and 1024 units on 2x2 pixels."""
    reference = models.alexnet(weights=None, num_classes=10)
    reference.features[0] = nn.Conv2d(3, 64, 3, stride=2, padding=1)
    for module in reference.modules():
        if isinstance(module, nn.MaxPool2d):
            module.padding = 1
    reference.avgpool = nn.AdaptiveAvgPool2d(2)
    reference.classifier[1] = nn.Linear(256 * 2 * 2, 1024)
    reference.classifier[4] = nn.Linear(1024, 1024)
    reference.classifier[6] = nn.Linear(1024, 10)
    net = build("AlexNet", pixels)
    copy_weights(settle(reference, pixels), net)
    assert_equal(net, reference, pixels)


def test_alexnet_carries_its_signal_to_the_scores():
    """Without batch norm the weights alone keep the scale: what enters the last layer is as large as the pixels."""
    net = build("AlexNet").eval()
    hidden = []
    net.fc8.register_forward_hook(lambda module, inputs, output: hidden.append(inputs[0]))
    with torch.no_grad():
        net(torch.randn(16, 3, 32, 32))
    assert 1 / 8 < hidden[0].square().mean().sqrt() < 8


def share_of_zeros(values: Tensor) -> float:
    """How many of the values are zero."""
    return values.eq(0).float().mean().item()


def test_alexnet_drops_inputs_of_both_hidden_layers():
    """In training a different choice of units is dropped before fc6 and before fc7; in evaluation none is."""
    net = build("AlexNet", dropout=0.5)
    zeros = {}
    net.fc6.register_forward_hook(lambda module, inputs, output: zeros.update(fc6=share_of_zeros(inputs[0])))
    net.fc7.register_forward_hook(lambda module, inputs, output: zeros.update(fc7=share_of_zeros(inputs[0])))
    images = torch.randn(8, 3, 32, 32)
    with torch.no_grad():
        net.eval()(images)
        kept = dict(zeros)
        net.train()(images)
    for name, share in kept.items():
        assert zeros[name] == pytest.approx(share + 0.5 * (1 - share), abs=0.06)

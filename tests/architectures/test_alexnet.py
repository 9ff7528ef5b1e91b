"""AlexNet: compared with torchvision's alexnet."""

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_alexnet_matches_torchvision():
    """At 224 pixels it has the parameters of torchvision's alexnet and, with its weights, the same logits."""
    assert_is("AlexNet", models.alexnet(weights=None))


@pytest.mark.parametrize("pixels", [32, 16])
def test_alexnet_has_a_cifar_stem_and_a_cifar_head(pixels):
    """Below 64 pixels it equals torchvision's with a 3x3 stem of stride 2, padded pooling and 1024 hidden units."""
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


def test_the_initialization_of_alexnet_preserves_the_scale_of_the_signal():
    """The root mean square of the inputs of the last layer is within a factor of 8 of that of the images."""
    net = build("AlexNet").eval()
    hidden = []
    net.fc8.register_forward_hook(lambda module, inputs, output: hidden.append(inputs[0]))
    with torch.no_grad():
        net(torch.randn(16, 3, 32, 32))
    assert 1 / 8 < hidden[0].square().mean().sqrt() < 8


def fraction_of_zeros(values: Tensor) -> float:
    """The fraction of the values that are zero."""
    return values.eq(0).float().mean().item()


def test_alexnet_applies_dropout_before_both_hidden_layers():
    """In training half of the inputs of fc6 and of fc7 are dropped; in evaluation none is."""
    net = build("AlexNet", dropout=0.5)
    zeros = {}
    net.fc6.register_forward_hook(lambda module, inputs, output: zeros.update(fc6=fraction_of_zeros(inputs[0])))
    net.fc7.register_forward_hook(lambda module, inputs, output: zeros.update(fc7=fraction_of_zeros(inputs[0])))
    images = torch.randn(8, 3, 32, 32)
    with torch.no_grad():
        net.eval()(images)
        evaluation = dict(zeros)
        net.train()(images)
    for name, fraction in evaluation.items():
        assert zeros[name] == pytest.approx(fraction + 0.5 * (1 - fraction), abs=0.06)

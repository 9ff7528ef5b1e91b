"""ResNet18: torchvision's."""

from typing import Any

import pytest
import torch
from torch import nn

from tests.architectures.networks import build, count, stir


@pytest.fixture(scope="module")
def torchvisions() -> Any:
    """Makes torchvision's resnet18 with random weights; nothing is downloaded."""
    from torchvision.models import resnet18

    def make(classes: int = 1000) -> nn.Module:
        torch.manual_seed(1)
        return stir(resnet18(weights=None, num_classes=classes))

    return make


def test_resnet18_has_torchvisions_parameters_by_name_and_shape(torchvisions):
    """At 224 pixels and 1000 classes: 11,689,512 parameters, the same state-dict keys in the same order and shapes."""
    net, reference = build("ResNet18", 224, 1000), torchvisions()
    assert count(net) == count(reference) == 11_689_512
    shapes = [(name, value.shape) for name, value in net.state_dict().items()]
    assert shapes == [(name, value.shape) for name, value in reference.state_dict().items()]


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_resnet18_computes_what_torchvisions_does(torchvisions, training):
    """With torchvision's weights loaded, the logits of 224-pixel images are equal to 1e-4."""
    net, reference = build("ResNet18", 224, 1000).train(training), torchvisions().train(training)
    net.load_state_dict(reference.state_dict())
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        wanted = reference(images)
        assert wanted.std() > 0.01
        torch.testing.assert_close(net(images), wanted, rtol=0, atol=1e-4)


def test_resnet18_keeps_the_resolution_of_small_images(torchvisions):
    """At 32 pixels it is torchvision's with the stem that the literature uses for CIFAR: 3x3, stride 1, no pool."""
    reference = torchvisions(classes=10).eval()
    reference.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
    reference.maxpool = nn.Identity()
    net = build("ResNet18", 32, 10).eval()
    net.load_state_dict(reference.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net(images), reference(images), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("pixels", "small"), [(28, True), (32, True), (63, True), (64, False), (224, False)])
def test_resnet18_changes_its_stem_at_64_pixels(pixels, small):
    """Below 64 pixels the first stage has the resolution of the image, from 64 pixels on a quarter of it."""
    net = build("ResNet18", pixels).eval()
    seen = []
    net.layer1.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape[-1]))
    with torch.no_grad():
        net(torch.randn(1, 3, pixels, pixels))
    assert seen == [pixels if small else -(-pixels // 4)]
    assert net.conv1.kernel_size == ((3, 3) if small else (7, 7))


@pytest.mark.parametrize("pixels", [32, 224])
def test_resnet18_starts_as_torchvisions_does(pixels):
    """Convolutions have Kaiming initialisation in fan-out mode, and batch norms start as the identity."""
    net = build("ResNet18", pixels)
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05), name
        elif isinstance(module, nn.BatchNorm2d):
            assert module.weight.eq(1).all()
            assert module.bias.eq(0).all()

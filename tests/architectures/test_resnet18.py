"""ResNet18: torchvision's resnet18."""

from typing import Any

import pytest
import torch
from torch import nn

from tests.architectures.networks import build, count, stir


@pytest.fixture(scope="module")
def make_resnet18() -> Any:
    """A function that makes torchvision's resnet18 with random weights."""
    from torchvision.models import resnet18

    def make(classes: int = 1000) -> nn.Module:
        torch.manual_seed(1)
        return stir(resnet18(weights=None, num_classes=classes))

    return make


def test_resnet18_has_the_state_dict_of_torchvision(make_resnet18):
    """At 224 pixels, the keys and shapes of the state dict equal torchvision's, in the same order."""
    net, reference = build("ResNet18", 224, 1000), make_resnet18()
    assert count(net) == count(reference) == 11_689_512
    shapes = [(name, value.shape) for name, value in net.state_dict().items()]
    assert shapes == [(name, value.shape) for name, value in reference.state_dict().items()]


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_resnet18_matches_torchvision(make_resnet18, training):
    """With torchvision's weights, the logits equal torchvision's at 224 pixels."""
    net, reference = build("ResNet18", 224, 1000).train(training), make_resnet18().train(training)
    net.load_state_dict(reference.state_dict())
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        expected = reference(images)
        assert expected.std() > 0.01
        torch.testing.assert_close(net(images), expected, rtol=0, atol=1e-4)


def test_resnet18_keeps_the_resolution_of_small_images(make_resnet18):
    """At 32 pixels, the logits equal torchvision's with the CIFAR stem: a 3x3 convolution of stride 1, no pooling."""
    reference = make_resnet18(classes=10).eval()
    reference.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
    reference.maxpool = nn.Identity()
    net = build("ResNet18", 32, 10).eval()
    net.load_state_dict(reference.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net(images), reference(images), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("pixels", "small"), [(28, True), (32, True), (63, True), (64, False), (224, False)])
def test_resnet18_stem_depends_on_the_image_size(pixels, small):
    """The first stage has the full resolution for images below 64 pixels, and a quarter of it for larger ones."""
    net = build("ResNet18", pixels).eval()
    widths = []
    net.layer1.register_forward_hook(lambda module, inputs, output: widths.append(inputs[0].shape[-1]))
    with torch.no_grad():
        net(torch.randn(1, 3, pixels, pixels))
    assert widths == [pixels if small else -(-pixels // 4)]
    assert net.conv1.kernel_size == ((3, 3) if small else (7, 7))


@pytest.mark.parametrize("pixels", [32, 224])
def test_resnet18_has_the_initialisation_of_torchvision(pixels):
    """Convolutions have Kaiming initialisation in fan-out mode, batch norms have weight 1 and bias 0."""
    net = build("ResNet18", pixels)
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05), name
        elif isinstance(module, nn.BatchNorm2d):
            assert module.weight.eq(1).all()
            assert module.bias.eq(0).all()

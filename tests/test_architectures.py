"""The networks: each against the literature that it claims, and all against what LEMUR asks of a network."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrgen import catalogue as catalogues

NAMES = [one.name for one in catalogues.load().architectures]
every_architecture = pytest.mark.parametrize("name", NAMES)

# Where the reference counts its parameters: pixels and classes of the original task.
REFERENCE = {"ResNet": (32, 10), "ResNet18": (224, 1000)}


@pytest.fixture
def build(rendered: Path) -> Any:
    """Makes the network of a rendered file: ``build("ResNet", pixels=32, classes=10)``."""

    def make(name: str, pixels: int = 32, classes: int = 10, channels: int = 3, batch: int = 1) -> Any:
        torch.manual_seed(0)
        path = rendered / name / "A0_001.py"
        spec = importlib.util.spec_from_file_location(f"network_{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        shape = (batch, channels, pixels, pixels)
        return module.Net(shape, (classes,), {"lr": 0.01, "momentum": 0.9, "dropout": 0.2}, torch.device("cpu"))

    return make


def count(net: nn.Module) -> int:
    """The number of trainable numbers."""
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


def stir(net: nn.Module) -> nn.Module:
    """Give every parameter and statistic a value of its own, so that one that is forgotten or swapped shows."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if "running_var" in name or ("bn" in name and "weight" in name):
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
            elif value.is_floating_point() and value.dim() == 1:
                value.copy_(0.1 * torch.randn(value.shape, generator=generator))
    return net


# What holds for every network.


@every_architecture
def test_the_declared_parameters_are_counted(catalogue, build, name):
    """``parameters`` of architecture.toml is the number in the network at the reference's input and classes."""
    pixels, classes = REFERENCE[name]
    assert count(build(name, pixels, classes)) == catalogue.architecture(name).parameters


@every_architecture
@pytest.mark.parametrize("pixels", [32, 224])
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 10), (1, 100)])
def test_any_image_gets_one_score_a_class(build, name, pixels, channels, classes):
    """32 and 224 pixels, grey and coloured, 2 to 100 classes, a single image in evaluation: finite scores."""
    net = build(name, pixels, classes, channels).eval()
    with torch.no_grad():
        scores = net(torch.randn(1, channels, pixels, pixels))
    assert scores.shape == (1, classes)
    assert scores.isfinite().all()


@every_architecture
def test_the_smallest_input_trains(catalogue, build, name):
    """``smallest_input`` of architecture.toml goes forwards and backwards."""
    pixels = catalogue.architecture(name).smallest_input
    net = build(name, pixels).train()
    net(torch.randn(2, 3, pixels, pixels)).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


@every_architecture
def test_images_that_are_not_square_are_taken(build, name):
    """Height and width need not be the same."""
    net = build(name).eval()
    assert net(torch.randn(1, 3, 32, 40)).shape == (1, 10)


@every_architecture
@pytest.mark.parametrize("pixels", [32, 64])
def test_gradients_reach_every_parameter(build, name, pixels):
    """No parameter is dead weight: each gets a gradient that is not zero."""
    net = build(name, pixels).train()
    F.cross_entropy(net(torch.randn(4, 3, pixels, pixels)), torch.tensor([0, 1, 2, 3])).backward()
    without = [key for key, value in net.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert without == []


@every_architecture
def test_the_score_of_an_image_does_not_depend_on_its_batch(build, name):
    """In evaluation the images of a batch do not see each other."""
    net = stir(build(name)).eval()
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        alone = torch.cat([net(image[None]) for image in images])
        torch.testing.assert_close(net(images), alone, rtol=1e-4, atol=1e-4)


@every_architecture
def test_a_fresh_network_is_neither_saturated_nor_silent(build, name):
    """The scores of a fresh network, batch statistics in use, are of the order of one."""
    net = build(name).train()
    with torch.no_grad():
        spread = net(torch.randn(16, 3, 32, 32)).std().item()
    assert 0.05 < spread < 20


# ResNet: He et al. 2015, section 4.2, n = 3.


def resnet_20(x: Tensor, weights: dict[str, Tensor], *, training: bool) -> Tensor:
    """The CIFAR ResNet-20 as the paper's section 4.2 has it, written from the paper alone."""

    def normalised(x: Tensor, bn: str) -> Tensor:
        mean, variance = weights[f"{bn}.running_mean"].clone(), weights[f"{bn}.running_var"].clone()
        return F.batch_norm(x, mean, variance, weights[f"{bn}.weight"], weights[f"{bn}.bias"], training)

    # "The first layer is 3x3 convolutions", 16 filters.
    x = F.relu(normalised(F.conv2d(x, weights["conv1.weight"], padding=1), "bn1"))
    # "a stack of 6n layers ... on the feature maps of sizes {32, 16, 8}", "the numbers of filters are {16, 32, 64}".
    for stage, filters in enumerate((16, 32, 64), start=1):
        for block in range(3):
            name = f"stage{stage}.{block}"
            # "The subsampling is performed by convolutions with a stride of 2."
            stride = 2 if stage > 1 and block == 0 else 1
            y = F.conv2d(x, weights[f"{name}.conv1.weight"], stride=stride, padding=1)
            y = F.relu(normalised(y, f"{name}.bn1"))
            y = normalised(F.conv2d(y, weights[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
            # Option A: "identity mapping, with extra zero entries padded for increasing dimensions"; stride 2.
            if stride == 2:
                x = x[:, :, ::2, ::2]
                x = torch.cat([x, x.new_zeros(len(x), filters - x.shape[1], *x.shape[2:])], dim=1)
            x = F.relu(x + y)
    # "The network ends with a global average pooling, a 10-way fully-connected layer".
    return F.linear(F.adaptive_avg_pool2d(x, 1).flatten(1), weights["fc.weight"], weights["fc.bias"])


def test_resnet_has_the_size_that_he_et_al_report(build):
    """Twenty weighted layers and 0.27 million parameters: 269,722, so no shortcut has any."""
    net = build("ResNet")
    assert count(net) == 269_722
    assert f"{count(net) / 1e6:.2f}" == "0.27"
    assert sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in net.modules()) == 20


@pytest.mark.parametrize("pixels", [32, 33, 224])
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_resnet_computes_what_the_paper_says(build, pixels, training):
    """With the file's weights, an independent functional ResNet-20 gives the same scores, odd sizes included."""
    net = stir(build("ResNet")).train(training)
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    images = torch.randn(2, 3, pixels, pixels)
    with torch.no_grad():
        torch.testing.assert_close(net(images), resnet_20(images, weights, training=training), rtol=1e-4, atol=1e-4)


def test_resnets_feature_maps_have_the_papers_sizes(build):
    """32, 16 and 8 pixels with 16, 32 and 64 channels."""
    net = build("ResNet").eval()
    sizes = []
    for stage in (net.stage1, net.stage2, net.stage3):
        stage.register_forward_hook(lambda module, inputs, output: sizes.append(tuple(output.shape[1:])))
    with torch.no_grad():
        net(torch.randn(1, 3, 32, 32))
    assert sizes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


# ResNet18: torchvision's.


@pytest.fixture(scope="module")
def torchvisions() -> Any:
    """Makes torchvision's resnet18 with random weights; nothing is downloaded."""
    from torchvision.models import resnet18

    def make(classes: int = 1000) -> nn.Module:
        torch.manual_seed(1)
        return stir(resnet18(weights=None, num_classes=classes))

    return make


def test_resnet18_has_torchvisions_parameters_by_name_and_shape(build, torchvisions):
    """At 224 pixels and 1000 classes: 11,689,512 parameters, the same state-dict keys in the same order and shapes."""
    net, reference = build("ResNet18", 224, 1000), torchvisions()
    assert count(net) == count(reference) == 11_689_512
    shapes = [(name, value.shape) for name, value in net.state_dict().items()]
    assert shapes == [(name, value.shape) for name, value in reference.state_dict().items()]


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_resnet18_computes_what_torchvisions_does(build, torchvisions, training):
    """With torchvision's weights loaded, the scores of 224-pixel images are equal to 1e-4."""
    net, reference = build("ResNet18", 224, 1000).train(training), torchvisions().train(training)
    net.load_state_dict(reference.state_dict())
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        wanted = reference(images)
        assert wanted.std() > 0.01
        torch.testing.assert_close(net(images), wanted, rtol=0, atol=1e-4)


def test_resnet18_keeps_the_resolution_of_small_images(build, torchvisions):
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
def test_resnet18_changes_its_stem_at_64_pixels(build, pixels, small):
    """Below 64 pixels the first stage sees the image in full size, from there on a quarter of it."""
    net = build("ResNet18", pixels).eval()
    seen = []
    net.layer1.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape[-1]))
    with torch.no_grad():
        net(torch.randn(1, 3, pixels, pixels))
    assert seen == [pixels if small else -(-pixels // 4)]
    assert net.conv1.kernel_size == ((3, 3) if small else (7, 7))


@pytest.mark.parametrize("pixels", [32, 224])
def test_resnet18_starts_as_torchvisions_does(build, pixels):
    """Convolutions are drawn with the variance of Kaiming's fan-out, normalisations start as the identity."""
    net = build("ResNet18", pixels)
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05), name
        elif isinstance(module, nn.BatchNorm2d):
            assert module.weight.eq(1).all()
            assert module.bias.eq(0).all()

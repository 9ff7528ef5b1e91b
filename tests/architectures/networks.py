"""Networks of rendered files, and their comparison with reference networks."""

import copy
from collections.abc import Callable, Collection, Iterable
from functools import cache, lru_cache
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lrgen import catalogue as catalogues
from lrgen.render.renderer import Renderer

CATALOGUE = catalogues.load()
RENDERER = Renderer(CATALOGUE)
NAMES = [architecture.name for architecture in CATALOGUE.architectures]
# The same template with other numbers as a smaller network: DPN68, AirNet, ResNet18 (basic) and ResNet50 (bottleneck).
ALIKE = ("DPN107", "DPN131", "AirNext", "ResNet34", "ResNet101")


def every_name(names: Iterable[str] = NAMES, *, slow: Collection[str] = ()) -> list[Any]:
    """Parameters of a test for each network, whose tests one process runs; those of some networks are slow tests."""
    return [
        pytest.param(name, marks=[pytest.mark.xdist_group(name), *([pytest.mark.slow] if name in slow else [])])
        for name in names
    ]


def module(name: str, number: int = 1) -> ModuleType:
    """The rendered file of an architecture and a variant, executed once as a module."""
    return _module(name, number)


@cache
def _module(name: str, number: int) -> ModuleType:
    text = RENDERER.render(CATALOGUE.architecture(name), CATALOGUE.variant(number)).text
    rendered = ModuleType(f"rendered_{name}_{number}")
    exec(compile(text, f"{name}/A0_{number:03d}.py", "exec"), rendered.__dict__)
    return rendered


def build(
    name: str,
    pixels: int | tuple[int, int] = 32,
    classes: int = 10,
    *,
    channels: int = 3,
    batch: int = 2,
    number: int = 1,
    device: str = "cpu",
    **prm: float,
) -> Any:
    """The network of an architecture from a fixed seed; ``pixels`` is a size or a height and a width.

    On the device ``meta`` its tensors have shapes and no values, which takes no time.
    """
    size = pixels if isinstance(pixels, tuple) else (pixels, pixels)
    return copy.deepcopy(_network(name, number, (batch, channels, *size), classes, device, tuple(sorted(prm.items()))))


@lru_cache(maxsize=3)  # copying weights is faster than sampling them; few large networks are kept in memory
def _network(
    name: str, number: int, shape: tuple[int, ...], classes: int, device: str, prm: tuple[tuple[str, float], ...]
) -> Any:
    torch.manual_seed(0)
    values = {"lr": 0.01, "momentum": 0.9, "dropout": 0.2, **dict(prm)}
    with torch.device(device):
        return module(name, number).Net(shape, (classes,), values, torch.device(device))


def at_reference(name: str, device: str = "cpu", **prm: float) -> Any:
    """The network at the input size and with the number of classes of its reference."""
    architecture = CATALOGUE.architecture(name)
    return build(name, architecture.reference_pixels, architecture.reference_classes, device=device, **prm)


def count(net: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


def kernels(net: nn.Module) -> set[str]:
    """The names of the kernels of convolutions and linear layers, which are all that weight decay applies to."""
    layers = (nn.Conv2d, nn.Linear)
    own = {f"{name}.weight" for name, layer in net.named_modules() if isinstance(layer, layers)}
    return own | {name for name, _ in net.named_parameters() if name.endswith((".real", ".imag"))}  # ComplexNet


def stir(net: nn.Module) -> nn.Module:
    """Randomize all biases, scales and running statistics, so that a missing or swapped one changes the output."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if "running_var" in name:
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
            elif value.is_floating_point() and value.dim() == 1:
                mean = value.mean()  # scales stay near one, biases and means near zero
                value.copy_(mean + 0.2 * (torch.rand(value.shape, generator=generator) - 0.5))
    return net


def settle(net: nn.Module, pixels: int, channels: int = 3, batch: int = 4) -> nn.Module:
    """Randomize a network and take the running statistics from a batch, so that activations keep their scale."""
    stir(net)
    norms = [layer for layer in net.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    torch.manual_seed(2)
    with torch.no_grad():
        net.train()(torch.randn(batch, channels, pixels, pixels))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return net.eval()


def copy_weights(
    reference: nn.Module,
    net: nn.Module,
    names: Callable[[dict[str, Tensor]], Iterable[tuple[str, Tensor]]] | None = None,
) -> None:
    """Load a reference's weights into a network, in the order of registration, or by the pairs (name, tensor) that
    ``names`` makes of the reference's state. The numbers and shapes of the tensors must be equal.
    """
    source, target = reference.state_dict(), net.state_dict()
    if names is not None:
        net.load_state_dict(dict(names(source)))
        return
    assert len(target) == len(source), f"{len(target)} tensors, the reference has {len(source)}"
    for (name, value), (source_name, source_value) in zip(target.items(), source.items(), strict=True):
        shapes = f"{name} {tuple(value.shape)}, {source_name} {tuple(source_value.shape)}"
        assert value.shape == source_value.shape, shapes
    net.load_state_dict(dict(zip(target, source.values(), strict=True)))


def assert_equal(net: nn.Module, reference: nn.Module, pixels: int, channels: int = 3, batch: int = 2) -> None:
    """Both give the same logits for random images in evaluation, within 1e-4; the logits are not constant."""
    torch.manual_seed(3)
    images = torch.randn(batch, channels, pixels, pixels)
    with torch.no_grad():
        expected, actual = reference.eval()(images), net.eval()(images)
    std = expected.std()
    assert 0.01 < std < 100, f"the reference's logits have a standard deviation of {std:.3g}, expected 0.01 to 100"
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def assert_is(name: str, reference: nn.Module, names: Any = None) -> None:
    """An architecture has the number of parameters of its reference and, with its weights, the same logits."""
    architecture = CATALOGUE.architecture(name)
    net = at_reference(name)
    assert count(net) == count(reference) == architecture.parameters
    settle(reference, architecture.reference_pixels)
    copy_weights(reference, net, names)
    assert_equal(net, reference, architecture.reference_pixels)

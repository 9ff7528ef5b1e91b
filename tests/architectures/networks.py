"""Networks of rendered files, and their comparison with a reference."""

import copy
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from lrgen import catalogue as catalogues
from lrgen.render.renderer import Renderer

CATALOGUE = catalogues.load()
RENDERER = Renderer(CATALOGUE)


@cache
def module(name: str, number: int = 1) -> ModuleType:
    """The file of an architecture and a variant, rendered and run."""
    text = RENDERER.render(CATALOGUE.architecture(name), CATALOGUE.variant(number)).text
    made = ModuleType(f"rendered_{name}_{number}")
    exec(compile(text, f"{name}/A0_{number:03d}.py", "exec"), made.__dict__)
    return made


def build(
    name: str,
    pixels: int | tuple[int, int] = 32,
    classes: int = 10,
    *,
    channels: int = 3,
    batch: int = 2,
    number: int = 1,
    **prm: float,
) -> Any:
    """The network of an architecture's file, from a fixed seed; ``pixels`` a side, or height and width."""
    size = pixels if isinstance(pixels, tuple) else (pixels, pixels)
    return copy.deepcopy(_made(name, number, (batch, channels, *size), classes, tuple(sorted(prm.items()))))


@lru_cache(maxsize=3)  # to draw random weights takes longer than to copy them; large networks are not kept for long
def _made(name: str, number: int, shape: tuple[int, ...], classes: int, prm: tuple[tuple[str, float], ...]) -> Any:
    torch.manual_seed(0)
    values = {"lr": 0.01, "momentum": 0.9, "dropout": 0.2, **dict(prm)}
    return module(name, number).Net(shape, (classes,), values, torch.device("cpu"))


def at_reference(name: str, **prm: float) -> Any:
    """The network at the size and with the classes of its reference."""
    one = CATALOGUE.architecture(name)
    return build(name, one.reference_pixels, one.reference_classes, **prm)


def count(net: nn.Module) -> int:
    """The number of trainable numbers."""
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


def stir(net: nn.Module) -> nn.Module:
    """Give every bias, scale and statistic a value of its own, so that one that is forgotten or swapped shows."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if "running_var" in name:
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
            elif value.is_floating_point() and value.dim() == 1:
                old = value.mean()  # scales stay near one, biases and means near zero
                value.copy_(old + 0.2 * (torch.rand(value.shape, generator=generator) - 0.5))
    return net


def settle(net: nn.Module, pixels: int, channels: int = 3, batch: int = 4) -> nn.Module:
    """Stir a network and let its batch norms see a batch, so that a deep one neither explodes nor falls silent."""
    stir(net)
    norms = [one for one in net.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    torch.manual_seed(2)
    with torch.no_grad():
        net.train()(torch.randn(batch, channels, pixels, pixels))
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
    return net.eval()


def copy_weights(
    reference: nn.Module,
    net: nn.Module,
    names: Callable[[dict[str, Tensor]], Iterable[tuple[str, Tensor]]] | None = None,
) -> None:
    """Load a reference's weights into a network: by the order in which both register them, shape by shape, or by the
    pairs (our name, their tensor) that ``names`` makes of the reference's state. Nothing may be left over.
    """
    theirs, ours = reference.state_dict(), net.state_dict()
    if names is not None:
        net.load_state_dict(dict(names(theirs)))
        return
    assert len(ours) == len(theirs), f"{len(ours)} tensors, the reference has {len(theirs)}"
    for (mine, value), (other, wanted) in zip(ours.items(), theirs.items(), strict=True):
        assert value.shape == wanted.shape, f"{mine} {tuple(value.shape)}, {other} {tuple(wanted.shape)}"
    net.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))


def assert_equal(net: nn.Module, reference: nn.Module, pixels: int, channels: int = 3, batch: int = 2) -> None:
    """Both give the same scores for random images in evaluation, within 1e-4, and scores that differ at all."""
    torch.manual_seed(3)
    images = torch.randn(batch, channels, pixels, pixels)
    with torch.no_grad():
        wanted, found = reference.eval()(images), net.eval()(images)
    assert 0.01 < wanted.std() < 100, f"the reference's scores say nothing: their deviation is {wanted.std():.3g}"
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def assert_is(name: str, reference: nn.Module, names: Any = None) -> None:
    """An architecture is its reference: as many parameters, and the same scores with the reference's weights."""
    one = CATALOGUE.architecture(name)
    net = at_reference(name)
    assert count(net) == count(reference) == one.parameters
    settle(reference, one.reference_pixels)
    copy_weights(reference, net, names)
    assert_equal(net, reference, one.reference_pixels)

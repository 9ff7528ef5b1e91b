"""Variations: networks of a paper that differ from an architecture in numbers alone, compared with their references."""

import re
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.ops import StochasticDepth

from tests.architectures.networks import CATALOGUE, RENDERER, assert_equal, at_reference, build, count, settle

VARIATIONS = [variation for architecture in CATALOGUE.architectures for variation in architecture.variations]
# The others, ResNets for CIFAR, are compared with their paper in test_resnet.py.
OF_LIBRARIES = [variation.name for variation in VARIATIONS if "He et al." not in variation.reference]
# One of each architecture is in the fast tests.
FIRST = {architecture.variations[0].name for architecture in CATALOGUE.architectures if architecture.variations}
ON_CPU = ("RegNet", "Swin", "VisionTransformer")  # their references cannot be made without values
TORCHVISION = re.compile(r"torchvision\.models\.(\w+)(?: with width_mult=([\d.]+))?")


def marks_of(name: str) -> list[pytest.MarkDecorator]:
    """The marks of the tests of a variation: most of them are slow tests."""
    return [] if name in FIRST else [pytest.mark.slow]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(each.name, marks=[pytest.mark.xdist_group(each.name), *marks_of(each.name)]) for each in VARIATIONS
    ],
)
def name(request: pytest.FixtureRequest) -> str:
    """The name of every variation."""
    return str(request.param)


def reference_of(name: str, **arguments: Any) -> nn.Module:
    """The model that ``reference`` of a variation names, with random weights; nothing is downloaded."""
    text = CATALOGUE.architecture(name).reference
    if match := TORCHVISION.fullmatch(text):
        if match[2]:
            arguments["width_mult"] = float(match[2])
        return getattr(models, match[1])(weights=None, **arguments)
    library, reference = text.split()
    if library == "timm":
        import timm

        return timm.create_model(reference, **arguments)
    from pytorchcv.model_provider import get_model

    return get_model(reference, for_training=True)


def shapes(net: nn.Module) -> list[tuple[int, ...]]:
    """The shapes of all parameters; a classifier that is a 1x1 convolution counts as a linear layer."""
    every = (tuple(value.shape) for value in net.parameters())
    return sorted(shape[:2] if shape[0] == 1000 else shape for shape in every)


def paired(reference: nn.Module, net: nn.Module) -> None:
    """Load the weights of a reference into a network, in the order of registration."""
    source = {key: value for key, value in reference.state_dict().items() if "relative_position_index" not in key}
    target = net.state_dict()
    assert len(target) == len(source)
    net.load_state_dict(
        {key: value.reshape(target[key].shape) for key, value in zip(target, source.values(), strict=True)}
    )


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks_of(name)) for name in OF_LIBRARIES])
def test_a_variation_has_the_parameters_of_its_reference(name):
    """The count is the declared one and the reference's, and so are the shapes of all parameters."""
    net = at_reference(name, "meta")
    with torch.device("cpu" if name.startswith(ON_CPU) else "meta"):
        reference = reference_of(name)
    assert count(net) == count(reference) == CATALOGUE.architecture(name).parameters
    assert shapes(net) == shapes(reference)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_LIBRARIES)
def test_a_variation_gives_the_logits_of_its_reference(name):
    """At 64 pixels, with the original stem, it gives the logits of its reference with the same weights."""
    arguments: dict[str, Any] = {"layer_scale": 0.5} if "ConvNeXt" in name else {}  # else the blocks count for nothing
    if name.startswith("VisionTransformer"):
        arguments["img_size"] = 64
    reference = reference_of(name, **arguments)
    settle(reference, 64)
    net = build(name, 64, 1000)
    paired(reference, net)
    assert_equal(net, reference, 64)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=marks_of(name))
        for name in OF_LIBRARIES
        if name.startswith(("Efficient", "ConvNeXt", "Swin"))
    ],
)
def test_the_drop_rates_of_a_variation_are_those_of_its_reference(name):
    """The rates of stochastic depth equal torchvision's, block by block."""
    with torch.device("cpu" if name.startswith(ON_CPU) else "meta"):
        expected = [layer.p for layer in reference_of(name).modules() if isinstance(layer, StochasticDepth)]
    net = build(name, device="meta")
    rates = [layer.rate for layer in net.modules() if type(layer).__name__ == "StochasticDepth"]
    per_block = len(expected) // len(rates)  # torchvision's Swin has two such layers with one rate in a block
    assert rates == pytest.approx(expected[::per_block])


def test_the_code_of_a_variation_is_its_own(name):
    """The code names the variation, differs from that of its architecture, and has lines of at most 88 characters."""
    variation = CATALOGUE.architecture(name)
    code = RENDERER.network(variation)
    entry = CATALOGUE.architecture(variation.entry)
    assert f'"""{variation.title}: ' in code
    assert entry.title not in re.sub(re.escape(variation.title), "", code)
    assert code != RENDERER.network(entry)
    assert max(map(len, code.splitlines())) <= 88


@pytest.mark.parametrize("pixels", [32, 224])
def test_a_variation_gives_one_logit_per_class(name, pixels):
    """Images of 32 and 224 pixels and of the smallest size get logits of the right shape."""
    for size in (pixels, CATALOGUE.architecture(name).smallest_input):
        net = build(name, size, 7, device="meta").eval()
        with torch.no_grad():
            assert net(torch.randn(2, 3, size, size, device="meta")).shape == (2, 7)

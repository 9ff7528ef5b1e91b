"""ConvNeXt: compared with torchvision's convnext_tiny."""

from functools import cache
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.ops import StochasticDepth

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, module, settle


@cache
def small() -> tuple[Any, nn.Module]:
    """The network for small images and torchvision's with 2x2 patches, with the same weights."""
    reference = models.convnext_tiny(weights=None, layer_scale=0.5, num_classes=10)
    reference.features[0][0] = nn.Conv2d(3, 96, 2, stride=2)
    net = build("ConvNeXt")
    copy_weights(settle(reference, 32), net)
    return net, reference


def test_convnext_matches_torchvision():
    """At 224 pixels it has torchvision's parameters and logits; a layer scale of 0.5 makes the blocks count."""
    assert_is("ConvNeXt", models.convnext_tiny(weights=None, layer_scale=0.5))


@pytest.mark.parametrize("pixels", [32, 45])
def test_convnext_has_smaller_patches_for_small_images(pixels):
    """Below 64 pixels it equals torchvision's with 2x2 patches, also when they do not divide the image."""
    assert_equal(*small(), pixels)


def test_the_drop_rates_of_convnext_match_torchvision():
    """The drop rates increase from 0 in the first of the 18 blocks to 0.1 in the last."""
    net, reference = small()
    expected = [layer.p for layer in reference.modules() if isinstance(layer, StochasticDepth)]
    actual = [layer.rate for layer in net.modules() if isinstance(layer, module("ConvNeXt", 1).StochasticDepth)]
    assert actual == pytest.approx(expected)
    assert actual[-1] == 0.1


def test_stochastic_depth_drops_the_branch_of_an_image():
    """In training, the branch of an image is either dropped or rescaled, which keeps the mean; evaluation keeps it."""
    torch.manual_seed(0)
    layer = module("ConvNeXt", 1).StochasticDepth(0.25)
    images = torch.ones(4000, 2, 3, 3)
    outputs = layer.train()(images)
    assert (outputs == outputs[:, :1, :1, :1]).all()
    assert outputs.unique().tolist() == pytest.approx([0, 4 / 3])
    assert outputs.mean().item() == pytest.approx(1, abs=0.03)
    assert torch.equal(layer.eval()(images), images)


def test_convnext_has_the_initialisation_of_torchvision():
    """Weights have a standard deviation of 0.02, biases are 0 and layer scales 1e-6."""
    for name, value in build("ConvNeXt").named_parameters():
        if name.endswith("layer_scale"):
            assert value.eq(1e-6).all(), name
        elif value.dim() > 1:
            assert value.std().item() == pytest.approx(0.02, rel=0.05), name
        else:
            assert value.eq(0 if name.endswith("bias") else 1).all(), name

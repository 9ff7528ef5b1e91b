"""ConvNeXt: torchvision's convnext_tiny."""

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
    """The network of small images and torchvision's with patches of 2, of the same weights."""
    reference = models.convnext_tiny(weights=None, layer_scale=0.5, num_classes=10)
    reference.features[0][0] = nn.Conv2d(3, 96, 2, stride=2)
    net = build("ConvNeXt")
    copy_weights(settle(reference, 32), net)
    return net, reference


def test_convnext_is_torchvisions():
    """28,589,128 parameters, and the same scores; with a layer scale at which the blocks are heard."""
    assert_is("ConvNeXt", models.convnext_tiny(weights=None, layer_scale=0.5))


@pytest.mark.parametrize("pixels", [32, 45])
def test_a_small_image_is_cut_into_smaller_patches(pixels):
    """At 32 pixels it is torchvision's with patches of 2, also where they do not divide the image."""
    assert_equal(*small(), pixels)


def test_convnexts_stochastic_depth_has_torchvisions_rates():
    """From 0 in the first of the 18 blocks to 0.1 in the last."""
    net, reference = small()
    theirs = [one.p for one in reference.modules() if isinstance(one, StochasticDepth)]
    ours = [one.rate for one in net.modules() if isinstance(one, module("ConvNeXt", 1).StochasticDepth)]
    assert ours == pytest.approx(theirs)
    assert ours[-1] == 0.1


def test_convnexts_stochastic_depth_drops_images():
    """In training an image's branch is dropped whole or scaled so that the mean stays; in evaluation it is kept."""
    torch.manual_seed(0)
    layer = module("ConvNeXt", 1).StochasticDepth(0.25)
    images = torch.ones(4000, 2, 3, 3)
    kept = layer.train()(images)
    assert (kept == kept[:, :1, :1, :1]).all()
    assert kept.unique().tolist() == pytest.approx([0, 4 / 3])
    assert kept.mean().item() == pytest.approx(1, abs=0.03)
    assert torch.equal(layer.eval()(images), images)


def test_convnext_starts_as_torchvisions_does():
    """Weights with a deviation of 0.02, biases zero, layer scales 1e-6."""
    for name, value in build("ConvNeXt").named_parameters():
        if name.endswith("layer_scale"):
            assert value.eq(1e-6).all(), name
        elif value.dim() > 1:
            assert value.std().item() == pytest.approx(0.02, rel=0.05), name
        else:
            assert value.eq(0 if name.endswith("bias") else 1).all(), name

"""SwinTransformer: torchvision's swin_t."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.ops import StochasticDepth

from tests.architectures.networks import assert_equal, assert_is, at_reference, build, copy_weights, module, stir


def sharpen_attention(reference: nn.Module) -> nn.Module:
    """Scales up the queries, keys and relative position biases, so that attention is far from uniform."""
    with torch.no_grad():
        for name, value in reference.named_parameters():
            if "bias_table" in name:
                value.mul_(50)
            elif "qkv.weight" in name:
                value.mul_(4)
    return reference


def in_order(net: nn.Module) -> Callable[[dict[str, Tensor]], Iterable[tuple[str, Tensor]]]:
    """Renames torchvision's state by order of registration; its relative position indices are left out."""

    def names(state: dict[str, Tensor]) -> Iterable[tuple[str, Tensor]]:
        values = [value for name, value in state.items() if not name.endswith("relative_position_index")]
        return zip(net.state_dict(), values, strict=True)

    return names


@cache
def small_swins() -> tuple[Any, nn.Module]:
    """The network for small images, and torchvision's with 2x2 patches, 4x4 windows and the same weights."""
    reference = models.SwinTransformer([2, 2], 96, [2, 2, 6, 2], [3, 6, 12, 24], [4, 4], num_classes=10)
    net = build("SwinTransformer")
    copy_weights(stir(sharpen_attention(reference)), net, in_order(net))
    return net.eval(), reference.eval()


def test_swin_matches_torchvision():
    """At 224 pixels, the parameter count and the logits equal those of torchvision's swin_t."""
    assert_is(
        "SwinTransformer", sharpen_attention(models.swin_t(weights=None)), in_order(at_reference("SwinTransformer"))
    )


@pytest.mark.parametrize("size", [(100, 100), (64, 150)])
def test_swin_pads_feature_maps_to_windows(size):
    """The logits equal torchvision's for feature maps that windows do not divide and for non-square images."""
    reference = stir(sharpen_attention(models.swin_t(weights=None, num_classes=10))).eval()
    net = build("SwinTransformer", size).eval()
    copy_weights(reference, net, in_order(net))
    images = torch.randn(1, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(net(images), reference(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pixels", [32, 22])
def test_swin_has_small_patches_and_windows_for_small_images(pixels):
    """Below 64 pixels, the logits equal torchvision's with 2x2 patches and 4x4 windows."""
    assert_equal(*small_swins(), pixels)


def test_swin_shifts_the_windows_of_every_second_block():
    """A position attends to its 4x4 window in the first block, and to a window shifted by 2 in the second."""
    net, _ = small_swins()
    for block, start in ((0, 4), (1, 6)):
        x = torch.randn(1, 16, 16, 96, requires_grad=True)
        net.stage1[block].attn(x)[0, 7, 7].sum().backward()
        attended = x.grad[0].abs().sum(dim=2) > 0
        expected = torch.zeros(16, 16, dtype=torch.bool)
        expected[start : start + 4, start : start + 4] = True
        assert torch.equal(attended, expected)


def test_swin_masks_attention_across_opposite_borders():
    """In a block with shifted windows, a corner position attends only to the 2x2 positions of its corner."""
    net, _ = small_swins()
    x = torch.randn(1, 16, 16, 96, requires_grad=True)
    net.stage1[1].attn(x)[0, 0, 0].sum().backward()
    attended = x.grad[0].abs().sum(dim=2) > 0
    assert attended[:2, :2].all()
    assert attended.sum() == 4


def test_swin_stochastic_depth_matches_torchvision():
    """The drop rate increases from 0 in the first of the 12 blocks to 0.2 in the last, as in torchvision."""
    expected = [layer.p for layer in models.swin_t(weights=None).modules() if isinstance(layer, StochasticDepth)]
    stochastic_depth = module("SwinTransformer", 1).StochasticDepth
    rates = [layer.rate for layer in small_swins()[0].modules() if isinstance(layer, stochastic_depth)]
    assert rates == pytest.approx(expected)
    assert rates[-1] == 0.2

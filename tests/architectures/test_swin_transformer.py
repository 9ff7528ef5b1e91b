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


def distinct(reference: nn.Module) -> nn.Module:
    """Attention that prefers some positions to others, and biases that matter."""
    with torch.no_grad():
        for name, value in reference.named_parameters():
            if "bias_table" in name:
                value.mul_(50)
            elif "qkv.weight" in name:
                value.mul_(4)
    return reference


def in_order(net: nn.Module) -> Callable[[dict[str, Tensor]], Iterable[tuple[str, Tensor]]]:
    """Pairs by the order of registration; torchvision's state also holds the relative position indices."""

    def names(state: dict[str, Tensor]) -> Iterable[tuple[str, Tensor]]:
        theirs = [value for name, value in state.items() if not name.endswith("relative_position_index")]
        return zip(net.state_dict(), theirs, strict=True)

    return names


@cache
def small() -> tuple[Any, nn.Module]:
    """The network for small images and torchvision's with 2x2 patches, 4x4 windows and the same weights."""
    reference = models.SwinTransformer([2, 2], 96, [2, 2, 6, 2], [3, 6, 12, 24], [4, 4], num_classes=10)
    net = build("SwinTransformer")
    copy_weights(stir(distinct(reference)), net, in_order(net))
    return net.eval(), reference.eval()


def test_swin_is_torchvisions():
    """28,288,354 parameters, and the same logits."""
    assert_is("SwinTransformer", distinct(models.swin_t(weights=None)), in_order(at_reference("SwinTransformer")))


@pytest.mark.parametrize("size", [(100, 100), (64, 150)])
def test_feature_maps_are_padded_to_windows_as_torchvisions_are(size):
    """Feature maps of 25, 13, 7 and 4 positions a side, and non-square ones, give torchvision's logits."""
    reference = stir(distinct(models.swin_t(weights=None, num_classes=10))).eval()
    net = build("SwinTransformer", size).eval()
    copy_weights(reference, net, in_order(net))
    images = torch.randn(1, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(net(images), reference(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pixels", [32, 22])
def test_a_small_image_gets_small_patches_and_windows(pixels):
    """Below 64 pixels it is torchvision's with 2x2 patches and 4x4 windows, also where the windows do not divide."""
    assert_equal(*small(), pixels)


def test_every_other_block_attends_across_the_windows():
    """In the first block a position attends to its 4x4 window, in the second to the window shifted by two."""
    net, _ = small()
    for block, first, seen_side in ((0, 4, 4), (1, 6, 4)):
        x = torch.randn(1, 16, 16, 96, requires_grad=True)
        net.stage1[block].attention(x)[0, 7, 7].sum().backward()
        seen = x.grad[0].abs().sum(dim=2) > 0
        wanted = torch.zeros(16, 16, dtype=torch.bool)
        wanted[first : first + seen_side, first : first + seen_side] = True
        assert torch.equal(seen, wanted)


def test_a_shifted_window_does_not_join_opposite_borders():
    """In a shifted block the corner attends to the 2x2 positions left there, and to none at the opposite borders."""
    net, _ = small()
    x = torch.randn(1, 16, 16, 96, requires_grad=True)
    net.stage1[1].attention(x)[0, 0, 0].sum().backward()
    seen = x.grad[0].abs().sum(dim=2) > 0
    assert seen[:2, :2].all()
    assert seen.sum() == 4


def test_swins_stochastic_depth_has_torchvisions_rates():
    """From 0 in the first of the 12 blocks to 0.2 in the last."""
    expected = [layer.p for layer in models.swin_t(weights=None).modules() if isinstance(layer, StochasticDepth)]
    file = module("SwinTransformer", 1)
    found = [layer.rate for layer in small()[0].modules() if isinstance(layer, file.StochasticDepth)]
    assert found == pytest.approx(expected)
    assert found[-1] == 0.2

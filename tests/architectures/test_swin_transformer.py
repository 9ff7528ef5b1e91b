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
    """Pairs by the order of registration; torchvision also keeps the indices that we compute."""

    def names(state: dict[str, Tensor]) -> Iterable[tuple[str, Tensor]]:
        theirs = [value for name, value in state.items() if not name.endswith("relative_position_index")]
        return zip(net.state_dict(), theirs, strict=True)

    return names


@cache
def small() -> tuple[Any, nn.Module]:
    """The network of small images and torchvision's with patches of 2 and windows of 4, of the same weights."""
    reference = models.SwinTransformer([2, 2], 96, [2, 2, 6, 2], [3, 6, 12, 24], [4, 4], num_classes=10)
    net = build("SwinTransformer")
    copy_weights(stir(distinct(reference)), net, in_order(net))
    return net.eval(), reference.eval()


def test_swin_is_torchvisions():
    """28,288,354 parameters, and the same scores."""
    assert_is("SwinTransformer", distinct(models.swin_t(weights=None)), in_order(at_reference("SwinTransformer")))


@pytest.mark.parametrize("size", [(100, 100), (64, 150)])
def test_windows_that_do_not_divide_a_map_are_filled_as_torchvisions_are(size):
    """Maps of 25, 13, 7 and 4 positions a side, and of unlike sides, give torchvision's scores."""
    reference = stir(distinct(models.swin_t(weights=None, num_classes=10))).eval()
    net = build("SwinTransformer", size).eval()
    copy_weights(reference, net, in_order(net))
    images = torch.randn(1, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(net(images), reference(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pixels", [32, 22])
def test_a_small_image_gets_small_patches_and_windows(pixels):
    """Below 64 pixels it is torchvision's with patches of 2 and windows of 4, also where they do not divide."""
    assert_equal(*small(), pixels)


def test_every_other_block_looks_across_the_windows():
    """In the first block a position sees the 4x4 of its window, in the second one the 4x4 that lie two further."""
    net, _ = small()
    for block, first, seen_side in ((0, 4, 4), (1, 6, 4)):
        x = torch.randn(1, 16, 16, 96, requires_grad=True)
        net.stage1[block].attention(x)[0, 7, 7].sum().backward()
        seen = x.grad[0].abs().sum(dim=2) > 0
        wanted = torch.zeros(16, 16, dtype=torch.bool)
        wanted[first : first + seen_side, first : first + seen_side] = True
        assert torch.equal(seen, wanted)


def test_a_shifted_window_does_not_join_the_edges_of_the_map():
    """The corner of a shifted block sees the 2x2 that are left there, and nothing of the opposite edges."""
    net, _ = small()
    x = torch.randn(1, 16, 16, 96, requires_grad=True)
    net.stage1[1].attention(x)[0, 0, 0].sum().backward()
    seen = x.grad[0].abs().sum(dim=2) > 0
    assert seen[:2, :2].all()
    assert seen.sum() == 4


def test_swins_stochastic_depth_has_torchvisions_rates():
    """From 0 in the first of the 12 blocks to 0.2 in the last."""
    theirs = [one.p for one in models.swin_t(weights=None).modules() if isinstance(one, StochasticDepth)]
    file = module("SwinTransformer", 1)
    ours = [one.rate for one in small()[0].modules() if isinstance(one, file.StochasticDepth)]
    assert ours == pytest.approx(theirs)
    assert ours[-1] == 0.2

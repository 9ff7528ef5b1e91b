"""MaxVit: torchvision's maxvit_t, and parts that need not divide the map."""

import math
from collections.abc import Callable, Iterable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.maxvit import MaxVitBlock
from torchvision.ops import StochasticDepth

from tests.architectures.networks import assert_equal, assert_is, at_reference, build, copy_weights, module, settle


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


def test_maxvit_is_torchvisions():
    """30,919,624 parameters, and the same scores."""
    assert_is("MaxVit", distinct(models.maxvit_t(weights=None)), in_order(at_reference("MaxVit")))


def test_a_small_image_keeps_its_resolution_in_the_stem():
    """At 32 pixels it is torchvision's with a stem of stride 1 and parts of 4x4, which on the last map are 2x2."""
    whole = distinct(models.maxvit_t(weights=None, num_classes=10))
    whole.stem[0][0].stride = (1, 1)
    norm = partial(nn.BatchNorm2d, eps=1e-3)
    stages = []
    for before, channels, layers, side, part in (
        (64, 64, 2, 32, 4),
        (64, 128, 2, 16, 4),
        (128, 256, 5, 8, 4),
        (256, 512, 2, 4, 2),
    ):
        stages.append(
            MaxVitBlock(
                before, channels, 0.25, 4, norm, nn.GELU, 32, 4, 0.0, 0.0, part, (side, side), layers, [0.0] * layers
            )
        )
    reference = nn.Sequential(whole.stem, *map(distinct, stages), whole.classifier)
    net = build("MaxVit", 32)
    copy_weights(settle(reference, 32), net, in_order(net))
    assert_equal(net, reference, 32)


@pytest.mark.parametrize("grid", [False, True], ids=["window", "grid"])
@pytest.mark.parametrize("size", [(6, 8), (5, 7), (4, 9), (2, 3)])
def test_attention_is_that_between_the_positions_of_a_part(grid, size):
    """Every map, one that the parts do not divide too, gives what attention between all its positions gives with the
    pairs of different parts left out and the bias of their offset added to the others.
    """
    torch.manual_seed(0)
    rows, columns, (height, width) = 3, 4, size
    layer = module("MaxVit", 1).PartitionAttention(64, (rows, columns), grid)
    nn.init.normal_(layer.bias_table)
    x = torch.randn(2, height, width, 64)
    down, right = math.ceil(height / rows), math.ceil(width / columns)  # parts that lie below and beside each other
    places = [(row, column) for row in range(height) for column in range(width)]
    if grid:
        parts = [(row % down, column % right) for row, column in places]
        inside = [(row // down, column // right) for row, column in places]
    else:
        parts = [(row // rows, column // columns) for row, column in places]
        inside = [(row % rows, column % columns) for row, column in places]
    bias = torch.full((2, height * width, height * width), -torch.inf)
    for i, (row, column) in enumerate(inside):
        for j, (other_row, other_column) in enumerate(inside):
            if parts[i] == parts[j]:
                offset = (row - other_row + rows - 1) * (2 * columns - 1) + column - other_column + columns - 1
                bias[:, i, j] = layer.bias_table[offset].detach()
    with torch.no_grad():
        q, k, v = layer.qkv(x.flatten(1, 2)).chunk(3, dim=2)
        heads = []
        for head in (slice(0, 32), slice(32, 64)):
            scores = q[..., head] @ k[..., head].transpose(1, 2) / 8 + bias[head.start // 32]
            heads.append(scores.softmax(dim=2) @ v[..., head])
        wanted = layer.merge(torch.cat(heads, dim=2)).reshape(x.shape)
        torch.testing.assert_close(layer(x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("largest", [4, 7])
def test_the_parts_are_few_and_even(largest):
    """As few parts as can be, none above the largest side, and less than a position of padding for each."""
    for size in range(1, 100):
        side = module("MaxVit", 1).part_side(size, largest)
        parts = math.ceil(size / side)
        assert 1 <= side <= largest
        assert parts == math.ceil(size / largest)
        assert parts * side - size < parts


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        ((224, 224), [(7, 7), (7, 7), (7, 7), (7, 7)]),
        ((32, 64), [(4, 4), (4, 4), (4, 4), (2, 4)]),
        ((96, 96), [(6, 6), (6, 6), (6, 6), (3, 3)]),
        ((299, 299), [(7, 7), (7, 7), (7, 7), (5, 5)]),
    ],
)
def test_the_parts_fit_the_maps(size, parts):
    """The sides of the parts in each of the four stages."""
    net = build("MaxVit", size)
    attention = [stage[0].window.attention for stage in (net.stage1, net.stage2, net.stage3, net.stage4)]
    assert [(one.rows, one.columns) for one in attention] == parts


def test_two_kinds_of_attention_see_the_whole_map():
    """A window alone sees its 4x4 positions, a window and a grid see all."""
    block = build("MaxVit").stage1[0].eval()
    x = torch.randn(1, 16, 16, 64, requires_grad=True)
    (near,) = torch.autograd.grad(block.window(x)[0, 5, 5].square().sum(), x)
    (far,) = torch.autograd.grad(block.grid(block.window(x))[0, 5, 5].square().sum(), x)
    seen = near[0].abs().sum(dim=2) > 0
    assert seen[4:8, 4:8].all()
    assert seen.sum() == 16
    assert (far[0].abs().sum(dim=2) > 0).all()


def test_maxvits_stochastic_depth_has_torchvisions_rates():
    """From 0 in the first of the 11 blocks to 0.2 in the last, twice in each attention."""
    theirs = [one.p for one in models.maxvit_t(weights=None).modules() if isinstance(one, StochasticDepth)]
    file = module("MaxVit", 1)
    ours = [one.rate for one in build("MaxVit").modules() if isinstance(one, file.StochasticDepth)]
    assert sorted(set(ours)) == pytest.approx([0.02 * block for block in range(11)])
    assert ours[3:] == pytest.approx(theirs[2:])  # torchvision leaves out a convolution's rate of zero

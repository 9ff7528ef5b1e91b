"""MaxVit: torchvision's maxvit_t, with partitions that need not divide the feature map."""

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
    """Pairs by the order of registration; torchvision's state also holds the relative position indices."""

    def names(state: dict[str, Tensor]) -> Iterable[tuple[str, Tensor]]:
        theirs = [value for name, value in state.items() if not name.endswith("relative_position_index")]
        return zip(net.state_dict(), theirs, strict=True)

    return names


def test_maxvit_is_torchvisions():
    """30,919,624 parameters, and the same logits."""
    assert_is("MaxVit", distinct(models.maxvit_t(weights=None)), in_order(at_reference("MaxVit")))


def test_a_small_image_keeps_its_resolution_in_the_stem():
    """At 32 pixels it is torchvision's with a stem of stride 1 and partitions of 4x4, in the last stage 2x2."""
    whole = distinct(models.maxvit_t(weights=None, num_classes=10))
    whole.stem[0][0].stride = (1, 1)
    norm = partial(nn.BatchNorm2d, eps=1e-3)
    stages = []
    for in_channels, channels, layers, size, partition in (
        (64, 64, 2, 32, 4),
        (64, 128, 2, 16, 4),
        (128, 256, 5, 8, 4),
        (256, 512, 2, 4, 2),
    ):
        stages.append(
            MaxVitBlock(
                in_channels,
                channels,
                0.25,
                4,
                norm,
                nn.GELU,
                32,
                4,
                0.0,
                0.0,
                partition,
                (size, size),
                layers,
                [0.0] * layers,
            )
        )
    reference = nn.Sequential(whole.stem, *map(distinct, stages), whole.classifier)
    net = build("MaxVit", 32)
    copy_weights(settle(reference, 32), net, in_order(net))
    assert_equal(net, reference, 32)


@pytest.mark.parametrize("grid", [False, True], ids=["window", "grid"])
@pytest.mark.parametrize("size", [(6, 8), (5, 7), (4, 9), (2, 3)])
def test_attention_is_limited_to_the_positions_of_a_partition(grid, size):
    """Partition attention equals attention between all positions in which pairs of different partitions are masked and
    the others get the bias of their offset; the partitions need not divide the feature map.
    """
    torch.manual_seed(0)
    rows, columns, (height, width) = 3, 4, size
    layer = module("MaxVit", 1).PartitionAttention(64, (rows, columns), grid)
    nn.init.normal_(layer.relative_position_bias_table)
    x = torch.randn(2, height, width, 64)
    down, right = math.ceil(height / rows), math.ceil(width / columns)  # the number of windows in each direction
    positions = [(row, column) for row in range(height) for column in range(width)]
    if grid:
        partitions = [(row % down, column % right) for row, column in positions]
        inside = [(row // down, column // right) for row, column in positions]
    else:
        partitions = [(row // rows, column // columns) for row, column in positions]
        inside = [(row % rows, column % columns) for row, column in positions]
    bias = torch.full((2, height * width, height * width), -torch.inf)
    for i, (row, column) in enumerate(inside):
        for j, (other_row, other_column) in enumerate(inside):
            if partitions[i] == partitions[j]:
                offset = (row - other_row + rows - 1) * (2 * columns - 1) + column - other_column + columns - 1
                bias[:, i, j] = layer.relative_position_bias_table[offset].detach()
    with torch.no_grad():
        q, k, v = layer.qkv(x.flatten(1, 2)).chunk(3, dim=2)
        heads = []
        for head in (slice(0, 32), slice(32, 64)):
            attn = q[..., head] @ k[..., head].transpose(1, 2) / 8 + bias[head.start // 32]
            heads.append(attn.softmax(dim=2) @ v[..., head])
        wanted = layer.proj(torch.cat(heads, dim=2)).reshape(x.shape)
        torch.testing.assert_close(layer(x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("max_size", [4, 7])
def test_partitions_are_few_and_equal(max_size):
    """The partitions are as few as ``max_size`` allows, with less than one position of padding each."""
    for size in range(1, 100):
        partition_size = module("MaxVit", 1).equal_partition_size(size, max_size)
        partitions = math.ceil(size / partition_size)
        assert 1 <= partition_size <= max_size
        assert partitions == math.ceil(size / max_size)
        assert partitions * partition_size - size < partitions


@pytest.mark.parametrize(
    ("size", "partition_sizes"),
    [
        ((224, 224), [(7, 7), (7, 7), (7, 7), (7, 7)]),
        ((32, 64), [(4, 4), (4, 4), (4, 4), (2, 4)]),
        ((96, 96), [(6, 6), (6, 6), (6, 6), (3, 3)]),
        ((299, 299), [(7, 7), (7, 7), (7, 7), (5, 5)]),
    ],
)
def test_partitions_fit_the_feature_maps(size, partition_sizes):
    """The partition size in each of the four stages fits its feature map."""
    net = build("MaxVit", size)
    stages = (net.stage1, net.stage2, net.stage3, net.stage4)
    attention = [stage[0].window_attention.attention for stage in stages]
    assert [(layer.rows, layer.columns) for layer in attention] == partition_sizes


def test_window_and_grid_attention_cover_the_feature_map():
    """Window attention covers a 4x4 window; window and grid attention together cover all positions."""
    layer = build("MaxVit").stage1[0].eval()
    x = torch.randn(1, 16, 16, 64, requires_grad=True)
    (near,) = torch.autograd.grad(layer.window_attention(x)[0, 5, 5].square().sum(), x)
    (far,) = torch.autograd.grad(layer.grid_attention(layer.window_attention(x))[0, 5, 5].square().sum(), x)
    seen = near[0].abs().sum(dim=2) > 0
    assert seen[4:8, 4:8].all()
    assert seen.sum() == 16
    assert (far[0].abs().sum(dim=2) > 0).all()


def test_maxvits_stochastic_depth_has_torchvisions_rates():
    """From 0 in the first of the 11 layers to 0.2 in the last, in all residual branches of a layer."""
    expected = [layer.p for layer in models.maxvit_t(weights=None).modules() if isinstance(layer, StochasticDepth)]
    file = module("MaxVit", 1)
    found = [layer.rate for layer in build("MaxVit").modules() if isinstance(layer, file.StochasticDepth)]
    assert sorted(set(found)) == pytest.approx([0.02 * layer for layer in range(11)])
    assert found[3:] == pytest.approx(expected[2:])  # torchvision omits it in an MBConv with rate 0

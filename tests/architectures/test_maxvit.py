"""MaxVit: torchvision's maxvit_t for any image size."""

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


def test_maxvit_matches_torchvision():
    """At 224 pixels, the parameter count and the logits equal those of torchvision's maxvit_t."""
    assert_is("MaxVit", sharpen_attention(models.maxvit_t(weights=None)), in_order(at_reference("MaxVit")))


def test_maxvit_keeps_the_resolution_of_small_images():
    """At 32 pixels, the logits equal torchvision's with a stem of stride 1 and 4x4 partitions, at last 2x2."""
    maxvit = sharpen_attention(models.maxvit_t(weights=None, num_classes=10))
    maxvit.stem[0][0].stride = (1, 1)
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
    reference = nn.Sequential(maxvit.stem, *map(sharpen_attention, stages), maxvit.classifier)
    net = build("MaxVit", 32)
    copy_weights(settle(reference, 32), net, in_order(net))
    assert_equal(net, reference, 32)


@pytest.mark.parametrize("grid", [False, True], ids=["window", "grid"])
@pytest.mark.parametrize("size", [(6, 8), (5, 7), (4, 9), (2, 3)])
def test_partition_attention_equals_masked_global_attention(grid, size):
    """Partition attention equals global attention with a bias by offset and a mask between partitions, for any size."""
    torch.manual_seed(0)
    rows, columns, (height, width) = 3, 4, size
    layer = module("MaxVit", 1).PartitionAttention(64, (rows, columns), grid)
    nn.init.normal_(layer.relative_position_bias_table)
    x = torch.randn(2, height, width, 64)
    vertical, horizontal = math.ceil(height / rows), math.ceil(width / columns)  # numbers of windows
    positions = [(row, column) for row in range(height) for column in range(width)]
    if grid:
        partitions = [(row % vertical, column % horizontal) for row, column in positions]
        coords = [(row // vertical, column // horizontal) for row, column in positions]
    else:
        partitions = [(row // rows, column // columns) for row, column in positions]
        coords = [(row % rows, column % columns) for row, column in positions]
    bias = torch.full((2, height * width, height * width), -torch.inf)
    for i, (row, column) in enumerate(coords):
        for j, (other_row, other_column) in enumerate(coords):
            if partitions[i] == partitions[j]:
                offset = (row - other_row + rows - 1) * (2 * columns - 1) + column - other_column + columns - 1
                bias[:, i, j] = layer.relative_position_bias_table[offset].detach()
    with torch.no_grad():
        q, k, v = layer.qkv(x.flatten(1, 2)).chunk(3, dim=2)
        heads = []
        for head in (slice(0, 32), slice(32, 64)):
            attn = q[..., head] @ k[..., head].transpose(1, 2) / 8 + bias[head.start // 32]
            heads.append(attn.softmax(dim=2) @ v[..., head])
        expected = layer.proj(torch.cat(heads, dim=2)).reshape(x.shape)
        torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("max_size", [4, 7])
def test_equal_partition_size_minimises_partitions_and_padding(max_size):
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
def test_partition_sizes_by_stage(size, partition_sizes):
    """Each of the four stages has the partition size of its feature map."""
    net = build("MaxVit", size)
    stages = (net.stage1, net.stage2, net.stage3, net.stage4)
    assert [stage[0].window_attention.attn.partition_size for stage in stages] == partition_sizes


def test_window_and_grid_attention_cover_the_feature_map():
    """The receptive field of window attention is a 4x4 window; with grid attention it is the whole feature map."""
    layer = build("MaxVit").stage1[0].eval()
    x = torch.randn(1, 16, 16, 64, requires_grad=True)
    (window_grad,) = torch.autograd.grad(layer.window_attention(x)[0, 5, 5].square().sum(), x)
    (grid_grad,) = torch.autograd.grad(layer.grid_attention(layer.window_attention(x))[0, 5, 5].square().sum(), x)
    window = window_grad[0].abs().sum(dim=2) > 0
    assert window[4:8, 4:8].all()
    assert window.sum() == 16
    assert (grid_grad[0].abs().sum(dim=2) > 0).all()


def test_maxvit_stochastic_depth_matches_torchvision():
    """The drop rate increases from 0 in the first of the 11 layers to 0.2 in the last, as in torchvision."""
    expected = [layer.p for layer in models.maxvit_t(weights=None).modules() if isinstance(layer, StochasticDepth)]
    stochastic_depth = module("MaxVit", 1).StochasticDepth
    rates = [layer.rate for layer in build("MaxVit").modules() if isinstance(layer, stochastic_depth)]
    assert sorted(set(rates)) == pytest.approx([0.02 * layer for layer in range(11)])
    assert rates[3:] == pytest.approx(expected[2:])  # torchvision omits it in an MBConv with rate 0

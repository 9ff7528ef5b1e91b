"""AirNext: pytorchcv's."""

from functools import cache
from typing import Any

import pytest
import torch
from pytorchcv.model_provider import get_model
from torch import nn

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, module, settle

GATED = [True] * 3 + [False] + [True] * 3 + [False] + [True] * 5 + [False] * 3


def pytorchcvs(classes: int) -> nn.Module:
    """pytorchcv's AirNeXt-50 with random weights; nothing is downloaded."""
    torch.manual_seed(1)
    return get_model("airnext50_32x4d_r2", num_classes=classes)


@cache
def small() -> Any:
    """The network for images of 32 pixels."""
    return build("AirNext", 32).eval()


def test_airnext_is_pytorchcvs():
    """At 224 pixels it has pytorchcv's parameters and, with pytorchcv's weights, gives pytorchcv's scores."""
    assert_is("AirNext", pytorchcvs(1000))


def test_airnexts_small_stem_only_drops_the_strides():
    """At 32 pixels it is pytorchcv's with a stem of stride 1 and no pool: the first stage sees all 32 pixels."""
    reference = pytorchcvs(10)
    stem = reference.features.init_block
    stem.conv1.conv.stride = (1, 1)
    stem.pool = nn.Identity()
    reference.features.final_pool = nn.AdaptiveAvgPool2d(1)
    settle(reference, 32)
    net = build("AirNext", 32)
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_airnext_gates_what_keeps_its_size_before_the_last_stage():
    """Of the sixteen blocks the eleven with a gate are those of the first three stages that do not halve the image."""
    net = small()
    blocks = [block for stage in (net.stage1, net.stage2, net.stage3, net.stage4) for block in stage]
    assert [block.air is not None for block in blocks] == GATED


@pytest.mark.parametrize("size", [(1, 1), (7, 10), (16, 16)])
def test_airnexts_gate_is_a_weight_of_each_value(size):
    """The attention has the size of the map, odd ones too, and lies strictly between 0 and 1."""
    air = module("AirNext").AirModule(256, 128).train()
    with torch.no_grad():
        gate = air(torch.randn(2, 256, *size))
    assert gate.shape[2:] == size
    assert gate.min() > 0
    assert gate.max() < 1


def test_airnexts_gate_sees_further_than_its_convolution():
    """A weight depends on nine pixels across, where the 3x3 convolution that it gates sees three."""
    air = module("AirNext").AirModule(256, 128).eval()
    x = torch.randn(1, 256, 33, 33, requires_grad=True)
    for norm in (one for one in air.modules() if isinstance(one, nn.BatchNorm2d)):
        norm.bias.data.fill_(1.0)
    seen = torch.zeros(33)
    for pixel in (15, 17):
        (gradient,) = torch.autograd.grad(air(x)[0, :, pixel, pixel].sum(), x)
        seen = torch.maximum(seen, (gradient[0].abs().sum(dim=(0, 2)) > 0).float())
    assert 7 <= seen.sum() <= 11


def test_airnexts_convolutions_are_grouped():
    """The 3x3 convolutions have 32 paths in the bottlenecks and half of them in the gates."""
    blocks = {
        name: one.groups for name, one in small().named_modules() if isinstance(one, nn.Conv2d) and ".conv" in name
    }
    paths = {
        name: groups
        for name, groups in blocks.items()
        if "stage" in name and small().get_submodule(name).kernel_size == (3, 3)
    }
    assert {groups for name, groups in paths.items() if ".air." in name} == {16}
    assert {groups for name, groups in paths.items() if ".air." not in name} == {32}

"""AirNet: compared with pytorchcv, and the AIR module."""

from functools import cache
from typing import Any

import pytest
import torch
from pytorchcv.model_provider import get_model
from torch import nn

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, module, settle

USES_AIR = [True] * 3 + [False] + [True] * 3 + [False] + [True] * 5 + [False] * 3


def reference_model(num_classes: int) -> nn.Module:
    """pytorchcv's AirNet-50 with random weights; nothing is downloaded."""
    torch.manual_seed(1)
    return get_model("airnet50_1x64d_r2", num_classes=num_classes)


@cache
def small() -> Any:
    """The network for inputs of 32 pixels."""
    return build("AirNet", 32).eval()


def test_airnet_matches_pytorchcv():
    """At 224 pixels it has the parameters of pytorchcv's model and, with its weights, the same logits."""
    assert_is("AirNet", reference_model(1000))


def test_the_cifar_stem_of_airnet_has_no_stride_and_no_pooling():
    """At 32 pixels it equals pytorchcv's model with a stem of stride 1 and without pooling."""
    reference = reference_model(10)
    stem = reference.features.init_block
    stem.conv1.conv.stride = (1, 1)
    stem.pool = nn.Identity()
    reference.features.final_pool = nn.AdaptiveAvgPool2d(1)
    settle(reference, 32)
    net = build("AirNet", 32)
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_airnet_has_attention_in_the_blocks_of_stride_1_before_the_last_stage():
    """Eleven of the sixteen blocks have an AIR module: those of the first three stages that do not downsample."""
    net = small()
    blocks = [block for stage in (net.stage1, net.stage2, net.stage3, net.stage4) for block in stage]
    assert [block.air is not None for block in blocks] == USES_AIR


@pytest.mark.parametrize("size", [(1, 1), (7, 10), (16, 16)])
def test_the_attention_weights_of_airnet_have_the_size_of_the_feature_map(size):
    """The attention weights have the size of the feature map, also an odd one, and lie strictly between 0 and 1."""
    air = module("AirNet").AirModule(256, 128).train()
    with torch.no_grad():
        weights = air(torch.randn(2, 256, *size))
    assert weights.shape[2:] == size
    assert weights.min() > 0
    assert weights.max() < 1


def test_the_attention_of_airnet_has_a_larger_receptive_field_than_a_3x3_convolution():
    """An attention weight depends on about nine pixels per dimension, a 3x3 convolution on three."""
    air = module("AirNet").AirModule(256, 128).eval()
    x = torch.randn(1, 256, 33, 33, requires_grad=True)
    for norm in air.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.bias.data.fill_(1.0)
    reached = torch.zeros(33)
    for pixel in (15, 17):
        (gradient,) = torch.autograd.grad(air(x)[0, :, pixel, pixel].sum(), x)
        reached = torch.maximum(reached, (gradient[0].abs().sum(dim=(0, 2)) > 0).float())
    assert 7 <= reached.sum() <= 11

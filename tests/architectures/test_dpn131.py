"""DPN131: compared with pytorchcv's dpn131."""

from collections.abc import Iterator

import pytest
import torch
from pytorchcv.model_provider import get_model
from torch import Tensor, nn

from tests.architectures.networks import CATALOGUE, assert_equal, at_reference, build, copy_weights, count, settle


def reference_model(num_classes: int) -> nn.Module:
    """pytorchcv's DPN-131 with random weights and global average pooling; nothing is downloaded."""
    torch.manual_seed(1)
    return get_model("dpn131", num_classes=num_classes, for_training=True)


def names(state: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Pairs by the order of registration; pytorchcv's classifier is a 1x1 convolution of the pooled feature map."""
    for name, value in zip(build("DPN131", device="meta").state_dict(), state.values(), strict=True):
        yield name, value.flatten(1) if name == "fc.weight" else value


@pytest.mark.parametrize("pixels", [64, pytest.param(224, marks=pytest.mark.slow)])
def test_dpn131_matches_pytorchcv(pixels):
    """It has the parameters of pytorchcv's model and, with its weights, the same logits, with the ImageNet stem."""
    net, reference = at_reference("DPN131"), reference_model(1000)
    assert count(net) == count(reference) == CATALOGUE.architecture("DPN131").parameters
    settle(reference, pixels)
    copy_weights(reference, net, names)
    assert_equal(net, reference, pixels)


def test_the_cifar_stem_of_dpn131_is_a_3x3_convolution():
    """At 16 pixels it equals pytorchcv's model with a 3x3 stem of stride 1 and without pooling."""
    reference = reference_model(10)
    stem = reference.features.init_block
    stem.conv = nn.Conv2d(3, 128, 3, padding=1, bias=False)
    stem.pool = nn.Identity()
    settle(reference, 16)
    net = build("DPN131", 16)
    copy_weights(reference, net, names)
    assert_equal(net, reference, 16)

"""DPN107: pytorchcv's."""

from collections.abc import Iterator

import pytest
import torch
from pytorchcv.model_provider import get_model
from torch import Tensor, nn

from tests.architectures.networks import CATALOGUE, assert_equal, at_reference, build, copy_weights, count, settle


def pytorchcvs(classes: int) -> nn.Module:
    """pytorchcv's DPN-107 with random weights, whose last pool takes any size; nothing is downloaded."""
    torch.manual_seed(1)
    return get_model("dpn107", num_classes=classes, for_training=True)


def names(theirs: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Our names of pytorchcv's weights, in the same order; its classifier is a 1x1 convolution of the pooled map."""
    for name, value in zip(build("DPN107").state_dict(), theirs.values(), strict=True):
        yield name, value.flatten(1) if name == "fc.weight" else value


@pytest.mark.parametrize("pixels", [64, pytest.param(224, marks=pytest.mark.slow)])
def test_dpn107_is_pytorchcvs(pixels):
    """It has pytorchcv's parameters and, with pytorchcv's weights, gives its scores; 64 pixels take the large stem."""
    net, reference = at_reference("DPN107"), pytorchcvs(1000)
    assert count(net) == count(reference) == CATALOGUE.architecture("DPN107").parameters
    settle(reference, pixels)
    copy_weights(reference, net, names)
    assert_equal(net, reference, pixels)


def test_dpn107s_small_stem_is_a_single_3x3_convolution():
    """At 16 pixels it is pytorchcv's with a 3x3 stem of stride 1 and no pool: the first stage sees all 16 pixels."""
    reference = pytorchcvs(10)
    stem = reference.features.init_block
    stem.conv = nn.Conv2d(3, 128, 3, padding=1, bias=False)
    stem.pool = nn.Identity()
    settle(reference, 16)
    net = build("DPN107", 16)
    copy_weights(reference, net, names)
    assert_equal(net, reference, 16)

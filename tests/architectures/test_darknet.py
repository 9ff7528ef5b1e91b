"""DarkNet: compared with pytorchcv's darknet53."""

import pytest
import torch
from pytorchcv.model_provider import get_model
from torch import nn

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_darknet_matches_pytorchcv():
    """At 224 pixels it has the parameters of pytorchcv's darknet53 and, with its weights, the same logits."""
    assert_is("DarkNet", get_model("darknet53"))


@pytest.mark.parametrize("pixels", [32, 16])
def test_the_first_stage_of_darknet_keeps_the_resolution_of_small_images(pixels):
    """Below 64 pixels it equals pytorchcv's with stride 1 in the first stage and global average pooling."""
    reference = get_model("darknet53", num_classes=10)
    reference.features.stage1.unit1.conv.stride = (1, 1)
    reference.features.final_pool = nn.AdaptiveAvgPool2d(1)
    net = build("DarkNet", pixels)
    copy_weights(settle(reference, pixels, batch=16), net)
    assert_equal(net, reference, pixels)


def test_darknet_has_the_stages_of_the_paper():
    """It has 52 convolutions, a linear layer and five stages of 64 to 1024 channels with strides of 2 to 32."""
    net = build("DarkNet", 64).eval()
    assert sum(isinstance(module, nn.Conv2d) for module in net.modules()) == 52
    assert sum(isinstance(module, nn.Linear) for module in net.modules()) == 1
    stages = (net.stage1, net.stage2, net.stage3, net.stage4, net.stage5)
    assert [len(stage) - 1 for stage in stages] == [1, 2, 8, 8, 4]
    sizes = []
    for stage in stages:
        stage.register_forward_hook(lambda module, inputs, output: sizes.append(tuple(output.shape[1:])))
    with torch.no_grad():
        net(torch.randn(1, 3, 64, 64))
    assert sizes == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (1024, 2, 2)]

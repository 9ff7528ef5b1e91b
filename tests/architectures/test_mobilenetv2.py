"""MobileNetV2: torchvision's mobilenet_v2."""

import torch
from torch import nn
from torchvision.models import mobilenet_v2
from torchvision.models.mobilenetv2 import MobileNetV2

from tests.architectures.networks import assert_equal, assert_is, at_reference, build, copy_weights, settle


def test_mobilenetv2_matches_torchvision():
    """At 224 pixels, the parameter count and the logits equal those of torchvision's mobilenet_v2."""
    assert_is("MobileNetV2", mobilenet_v2(weights=None))


def test_mobilenetv2_keeps_the_resolution_of_small_images():
    """At 32 pixels, the logits equal torchvision's with stride 1 in the stem and the stage of 24 channels."""
    reference = mobilenet_v2(weights=None, num_classes=10)
    reference.features[0][0].stride = (1, 1)
    reference.features[2].conv[1][0].stride = (1, 1)
    settle(reference, 32)
    net = build("MobileNetV2")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_mobilenetv2_has_linear_projections_and_shortcuts():
    """With a zero last batch norm, a block is the identity or zero; ten of the 17 blocks have a shortcut."""
    net = build("MobileNetV2").eval()
    x = torch.randn(1, 3, 32, 32)
    shortcuts = []
    with torch.no_grad():
        x = net.stem(x)
        for block in net.blocks:
            nn.init.zeros_(block.project[1].weight)
            out = block(x)
            assert torch.equal(out, x if block.has_shortcut else torch.zeros_like(out))
            shortcuts.append(block.has_shortcut)
            x = torch.randn_like(out)
    assert shortcuts == [block.use_res_connect for block in MobileNetV2().features[1:18]]
    assert sum(shortcuts) == 10


def test_mobilenetv2_reads_dropout():
    """The dropout probability is a hyperparameter; its default is 0.2 as in torchvision."""
    assert at_reference("MobileNetV2", dropout=0.7).dropout.p == 0.7
    assert type(build("MobileNetV2"))((2, 3, 32, 32), (10,), {}, torch.device("cpu")).dropout.p == 0.2

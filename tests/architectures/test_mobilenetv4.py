"""MobileNetV4: timm's mobilenetv4_conv_small."""

import timm
import torch

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_mobilenetv4_matches_timm():
    """At 224 pixels, the parameter count and the logits equal those of timm's mobilenetv4_conv_small."""
    assert_is("MobileNetV4", timm.create_model("mobilenetv4_conv_small"))


def test_mobilenetv4_keeps_the_resolution_of_small_images():
    """At 32 pixels, the logits equal timm's with stride 1 in the stem and the first stage."""
    reference = timm.create_model("mobilenetv4_conv_small", num_classes=10)
    reference.conv_stem.stride = (1, 1)
    reference.blocks[0][0].conv.stride = (1, 1)
    settle(reference, 32)
    net = build("MobileNetV4")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_mobilenetv4_has_the_blocks_of_the_paper():
    """The order of extra depthwise, inverted bottleneck and ConvNeXt-like blocks is that of the paper's table."""
    kinds = {(True, True): "ExtraDW", (False, True): "IB", (True, False): "ConvNext", (False, False): "FFN"}
    blocks = build("MobileNetV4").blocks
    order = [kinds[bool(block.dw_start.state_dict()), bool(block.dw_mid.state_dict())] for block in blocks]
    assert order == ["ExtraDW", *["IB"] * 4, "ConvNext", "ExtraDW", "ExtraDW", *["IB"] * 4]


def test_mobilenetv4_head_convolution_follows_the_pooling():
    """The input of ``conv_head`` is globally pooled."""
    net = build("MobileNetV4").train()
    shapes = []
    net.conv_head.register_forward_hook(lambda module, inputs, output: shapes.append(inputs[0].shape))
    with torch.no_grad():
        net(torch.randn(4, 3, 32, 32))
    assert shapes == [(4, 960, 1, 1)]

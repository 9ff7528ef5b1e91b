"""MobileNetV3: torchvision's large one."""

import torch
from torch import nn
from torchvision.models import mobilenet_v3_large

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_mobilenetv3_is_torchvisions():
    """5,483,032 parameters, and torchvision's logits with torchvision's weights."""
    assert_is("MobileNetV3", mobilenet_v3_large(weights=None))


def test_mobilenetv3_keeps_the_resolution_of_small_images():
    """At 32 pixels it is torchvision's with stride 1 in the stem and in the second block."""
    reference = mobilenet_v3_large(weights=None, num_classes=10)
    reference.features[0][0].stride = (1, 1)
    reference.features[2].block[1][0].stride = (1, 1)
    settle(reference, 32)
    net = build("MobileNetV3")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_mobilenetv3s_squeeze_and_excitation_scales_channels():
    """Squeeze-and-excitation scales each channel by a number in [0, 1]; extreme biases saturate it at 0 and 1."""
    se = build("MobileNetV3").blocks[3].se
    x = torch.randn(2, 72, 8, 8)
    with torch.no_grad():
        scale = se(x) / x
        assert 0 < scale.min() < scale.max() < 1
        torch.testing.assert_close(scale, scale[:, :, :1, :1].expand_as(x))
        nn.init.constant_(se.fc2.bias, -100)
        assert se(x).eq(0).all()
        nn.init.constant_(se.fc2.bias, 100)
        assert torch.equal(se(x), x)


def test_mobilenetv3_drops_the_hidden_features():
    """With dropout 0.5 half of the classifier's hidden features are dropped in training, and none in evaluation."""
    net = build("MobileNetV3", dropout=0.5)
    seen = []
    net.dropout.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0], output)))
    with torch.no_grad():
        net.train()(torch.randn(2, 3, 32, 32))
        net.eval()(torch.randn(2, 3, 32, 32))
    hidden, dropped = seen[0]
    assert 0.4 < (dropped[hidden != 0] == 0).float().mean() < 0.6
    assert torch.equal(*seen[1])

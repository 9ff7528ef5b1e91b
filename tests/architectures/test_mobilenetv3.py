"""MobileNetV3: torchvision's mobilenet_v3_large."""

import torch
from torch import nn
from torchvision.models import mobilenet_v3_large

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_mobilenetv3_matches_torchvision():
    """At 224 pixels, the parameter count and the logits equal those of torchvision's mobilenet_v3_large."""
    assert_is("MobileNetV3", mobilenet_v3_large(weights=None))


def test_mobilenetv3_keeps_the_resolution_of_small_images():
    """At 32 pixels, the logits equal torchvision's with stride 1 in the stem and the second block."""
    reference = mobilenet_v3_large(weights=None, num_classes=10)
    reference.features[0][0].stride = (1, 1)
    reference.features[2].block[1][0].stride = (1, 1)
    settle(reference, 32)
    net = build("MobileNetV3")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_mobilenetv3_squeeze_and_excitation_scales_channels():
    """Squeeze-and-excitation scales each channel by a factor in [0, 1]; extreme biases saturate it at 0 and 1."""
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


def test_mobilenetv3_drops_features_before_the_classifier():
    """With dropout 0.5, about half of the features before the classifier are zeroed in training, none in evaluation."""
    net = build("MobileNetV3", dropout=0.5)
    calls = []
    net.dropout.register_forward_hook(lambda module, inputs, output: calls.append((inputs[0], output)))
    with torch.no_grad():
        net.train()(torch.randn(2, 3, 32, 32))
        net.eval()(torch.randn(2, 3, 32, 32))
    features, dropped = calls[0]
    assert 0.4 < (dropped[features != 0] == 0).float().mean() < 0.6
    assert torch.equal(*calls[1])

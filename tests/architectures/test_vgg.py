"""VGG: torchvision's vgg16_bn."""

import pytest
import torch
from torch import nn
from torchvision import models

from tests.architectures.networks import assert_equal, assert_is, at_reference, build, copy_weights, settle


def test_vgg_matches_torchvision():
    """At 224 pixels, the parameter count and the logits equal those of torchvision's vgg16_bn."""
    assert_is("VGG", models.vgg16_bn(weights=None, init_weights=False))


@pytest.mark.parametrize("pixels", [32, 28])
def test_vgg_has_the_cifar_head_for_small_images(pixels):
    """Below 64 pixels, torchvision's features with pooling in ceil mode precede the CIFAR head."""
    features = models.vgg.make_layers(models.vgg.cfgs["D"], batch_norm=True)
    for module in features:
        if isinstance(module, nn.MaxPool2d):
            module.ceil_mode = True
    reference = nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    net = build("VGG", pixels)
    copy_weights(settle(reference, pixels, batch=16), net)
    assert_equal(net, reference, pixels)


def test_vgg_has_16_layers_and_five_stages():
    """It has 13 convolutions and three linear layers; each stage halves the resolution of the previous stage."""
    net = at_reference("VGG", "meta").eval()
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) + sum(isinstance(module, nn.Linear) for module in net.modules()) == 16
    assert {module.kernel_size for module in convolutions} == {(3, 3)}
    sizes = []
    for stage in (net.stage1, net.stage2, net.stage3, net.stage4, net.stage5):
        stage.register_forward_hook(lambda module, inputs, output: sizes.append(tuple(output.shape[1:])))
    with torch.no_grad():
        net(torch.randn(1, 3, 64, 64, device="meta"))
    assert sizes == [(64, 64, 64), (128, 32, 32), (256, 16, 16), (512, 8, 8), (512, 4, 4)]


def test_vgg_drops_features_in_training_only():
    """Two passes in training mode differ with dropout and agree without it; in evaluation mode they agree."""
    images = torch.randn(8, 3, 32, 32)
    with torch.no_grad():
        net = build("VGG", dropout=0.9).train()
        assert not torch.equal(net(images), net(images))
        assert torch.equal(net.eval()(images), net(images))
        net = build("VGG", dropout=0.0).train()
        assert torch.equal(net(images), net(images))

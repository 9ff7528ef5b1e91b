"""Xception: timm's port of Chollet's."""

from functools import cache

import timm
import torch
from torch import nn

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


@cache
def timms(classes: int = 1000) -> nn.Module:
    """timm's Xception with random weights; nothing is downloaded."""
    torch.manual_seed(1)
    return timm.create_model("legacy_xception", num_classes=classes)


def test_xception_is_timms():
    """At 299 pixels it has timm's parameters and, with timm's weights, gives timm's logits."""
    assert_is("Xception", timms())


def test_xception_keeps_the_resolution_of_small_images():
    """At 32 pixels it is timm's with a padded stem of stride 1, which keeps the resolution."""
    reference = timm.create_model("legacy_xception", num_classes=10)
    reference.conv1.stride = (1, 1)
    reference.conv1.padding = reference.conv2.padding = (1, 1)
    settle(reference, 32)
    net = build("Xception", 32)
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_xceptions_feature_maps_have_the_papers_sizes():
    """Figure 5 of the paper: 19 pixels and 728 channels through the middle flow, 10 pixels and 2048 at the end."""
    net = build("Xception", 299).eval()
    sizes = []
    for stage in (*net.entry_flow, *net.middle_flow, net.exit_flow, net.conv4):
        stage.register_forward_hook(lambda module, inputs, output: sizes.append(tuple(output.shape[1:])))
    with torch.no_grad():
        net(torch.randn(1, 3, 299, 299))
    entry = [(128, 74, 74), (256, 37, 37), (728, 19, 19)]
    assert sizes == [*entry, *[(728, 19, 19)] * 8, (1024, 10, 10), (2048, 10, 10)]


def test_xceptions_convolutions_are_depthwise_or_pointwise():
    """After the stem each convolution is 3x3 depthwise or 1x1 pointwise; the main path has 36 layers."""
    net = build("Xception")
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)][2:]
    kinds = {(module.kernel_size, module.groups == module.in_channels) for module in convolutions}
    assert kinds == {((3, 3), True), ((1, 1), False)}
    # "36 convolutional layers": the two of the stem and 34 separable ones; the four shortcuts are not counted.
    assert sum(module.groups > 1 for module in convolutions) + 2 == 36
    assert sum(module.stride == (2, 2) for module in convolutions) == 4

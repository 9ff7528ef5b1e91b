"""Xception: timm's legacy_xception."""

import timm
import torch
from torch import nn

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_xception_matches_timm():
    """At 299 pixels, the parameter count and the logits equal those of timm's legacy_xception."""
    torch.manual_seed(1)
    assert_is("Xception", timm.create_model("legacy_xception"))


def test_xception_keeps_the_resolution_of_small_images():
    """At 32 pixels, the logits equal timm's with a padded stem of stride 1."""
    reference = timm.create_model("legacy_xception", num_classes=10)
    reference.conv1.stride = (1, 1)
    reference.conv1.padding = reference.conv2.padding = (1, 1)
    settle(reference, 32)
    net = build("Xception", 32)
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_xception_feature_maps_have_the_papers_sizes():
    """The sizes of the feature maps are those of the paper's figure 5."""
    net = build("Xception", 299).eval()
    sizes = []
    for stage in (*net.entry_flow, *net.middle_flow, net.exit_flow, net.conv4):
        stage.register_forward_hook(lambda module, inputs, output: sizes.append(tuple(output.shape[1:])))
    with torch.no_grad():
        net(torch.randn(1, 3, 299, 299))
    entry = [(128, 74, 74), (256, 37, 37), (728, 19, 19)]
    assert sizes == [*entry, *[(728, 19, 19)] * 8, (1024, 10, 10), (2048, 10, 10)]


def test_xception_convolutions_are_depthwise_or_pointwise():
    """After the stem, convolutions are 3x3 depthwise or 1x1 pointwise; the main path has 36 convolutional layers."""
    net = build("Xception")
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)][2:]
    kinds = {(module.kernel_size, module.groups == module.in_channels) for module in convolutions}
    assert kinds == {((3, 3), True), ((1, 1), False)}
    # "36 convolutional layers": the two of the stem and 34 separable ones; the four shortcuts are not counted.
    assert sum(module.groups > 1 for module in convolutions) + 2 == 36
    assert sum(module.stride == (2, 2) for module in convolutions) == 4

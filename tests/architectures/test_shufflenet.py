"""ShuffleNet: torchvision's shufflenet_v2_x1_0."""

import torch
from torch import nn
from torchvision.models import shufflenet_v2_x1_0

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_shufflenet_matches_torchvision():
    """At 224 pixels, the parameter count and the logits equal those of torchvision's shufflenet_v2_x1_0."""
    assert_is("ShuffleNet", shufflenet_v2_x1_0(weights=None))


def test_shufflenet_keeps_the_resolution_of_small_images():
    """At 32 pixels, the logits equal torchvision's with a stem of stride 1 and no pooling."""
    reference = shufflenet_v2_x1_0(weights=None, num_classes=10)
    reference.conv1[0].stride = (1, 1)
    reference.maxpool = nn.Identity()
    settle(reference, 32)
    net = build("ShuffleNet")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_shufflenet_unit_shuffles_both_halves():
    """The even output channels of a unit are the first half of its input, the odd channels come from the branch."""
    unit = build("ShuffleNet").eval().stage2[1]
    x = torch.randn(2, 116, 8, 8)
    with torch.no_grad():
        out = unit(x)
        assert torch.equal(out[:, 0::2], x[:, :58])
        assert torch.equal(out[:, 1::2], unit.branch2(x[:, 58:]))

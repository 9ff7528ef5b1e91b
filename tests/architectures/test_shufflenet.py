"""ShuffleNet: torchvision's ShuffleNet V2 at width 1.0."""

import torch
from torch import nn
from torchvision.models import shufflenet_v2_x1_0

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_shufflenet_is_torchvisions():
    """2,278,604 parameters, and torchvision's logits with torchvision's weights."""
    assert_is("ShuffleNet", shufflenet_v2_x1_0(weights=None))


def test_shufflenet_keeps_the_resolution_of_small_images():
    """At 32 pixels it is torchvision's with stride 1 in the stem and no pooling."""
    reference = shufflenet_v2_x1_0(weights=None, num_classes=10)
    reference.conv1[0].stride = (1, 1)
    reference.maxpool = nn.Identity()
    settle(reference, 32)
    net = build("ShuffleNet")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_shufflenet_keeps_half_of_the_channels():
    """The even channels of a unit's output are the first half of its input, the odd ones come from its branch."""
    unit = build("ShuffleNet").eval().stage2[1]
    x = torch.randn(2, 116, 8, 8)
    with torch.no_grad():
        out = unit(x)
        assert torch.equal(out[:, 0::2], x[:, :58])
        assert torch.equal(out[:, 1::2], unit.branch(x[:, 58:]))

"""RegNet: torchvision's regnet_y_400mf."""

import torch
from torchvision import models

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_regnet_matches_torchvision():
    """At 224 pixels, the parameter count and the logits equal those of torchvision's regnet_y_400mf."""
    assert_is("RegNet", models.regnet_y_400mf(weights=None))


def test_regnet_keeps_the_resolution_of_small_images():
    """At 32 pixels, the logits equal torchvision's with a stem of stride 1."""
    reference = models.regnet_y_400mf(weights=None, num_classes=10)
    reference.stem[0].stride = (1, 1)
    settle(reference, 32)
    net = build("RegNet")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_regnet_group_width_is_8():
    """The group width is 8 in all 16 blocks."""
    net = build("RegNet")
    blocks = [block for stage in (net.stage1, net.stage2, net.stage3, net.stage4) for block in stage]
    assert len(blocks) == 16
    assert all(block.conv2.out_channels // block.conv2.groups == 8 for block in blocks)


def test_regnet_squeeze_and_excitation_scales_channels():
    """Squeeze-and-excitation scales each channel by a factor in (0, 1) that depends on the means of all channels."""
    se = build("RegNet").stage2[0].se
    x = 1 + torch.rand(2, 104, 5, 5)
    scales = se(x) / x
    assert scales.amin() > 0
    assert scales.amax() < 1
    torch.testing.assert_close(scales, scales[:, :, :1, :1].expand_as(scales))
    x[0, 7] += 3  # one channel changes the scales of the others, in its own image only
    changed = (se(x) / x - scales).abs().amax(dim=(2, 3)) > 1e-6
    assert changed[0].sum() > 50
    assert not changed[1].any()

"""MNASNet: torchvision's mnasnet1_0."""

import torch
from torchvision.models import mnasnet1_0

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def test_mnasnet_matches_torchvision():
    """At 224 pixels, the parameter count and the logits equal those of torchvision's mnasnet1_0."""
    assert_is("MNASNet", mnasnet1_0(weights=None))


def test_mnasnet_keeps_the_resolution_of_small_images():
    """At 32 pixels, the logits equal torchvision's with stride 1 in the stem and the stage of 24 channels."""
    reference = mnasnet1_0(weights=None, num_classes=10)
    reference.layers[0].stride = (1, 1)
    reference.layers[8][0].layers[3].stride = (1, 1)
    settle(reference, 32)
    net = build("MNASNet")
    copy_weights(reference, net)
    assert_equal(net, reference, 32)


def test_mnasnet_batch_norm_has_the_default_momentum():
    """The running statistics have momentum 0.1, not torchvision's 0.0003, which is too slow for short training."""
    net = build("MNASNet").train()
    images = 5 + torch.randn(8, 3, 32, 32)
    with torch.no_grad():
        expected = net.stem[0](images).mean(dim=(0, 2, 3)) / 10
        net(images)
    torch.testing.assert_close(net.stem[1].running_mean, expected)


def test_mnasnet_has_the_kernel_sizes_of_the_search():
    """The depthwise kernels are 3x3 or 5x5 by stage; the stages of 40, 80 and 192 channels begin with stride 2."""
    blocks = build("MNASNet").blocks
    kernel_sizes = [block.depthwise[0].kernel_size[0] for block in blocks]
    assert kernel_sizes == [3] * 3 + [5] * 3 + [5] * 3 + [3] * 2 + [5] * 4 + [3]
    strided = [block.project[0].out_channels for block in blocks if block.depthwise[0].stride == (2, 2)]
    assert strided == [40, 80, 192]

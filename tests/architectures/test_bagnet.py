"""BagNet: compared with pytorchcv's bagnet33, and the receptive field of its patches."""

import pytest
import torch
from pytorchcv.model_provider import get_model
from torch import Tensor, nn

from tests.architectures.networks import assert_equal, at_reference, build, copy_weights, count, settle


def patch_logits(net: nn.Module, images: Tensor) -> Tensor:
    """The logits of each patch, (batch, classes, rows, columns)."""
    features: list[Tensor] = []
    hook = net.layer4.register_forward_hook(lambda module, inputs, output: features.append(output))
    net(images)
    hook.remove()
    return net.fc(features[0].movedim(1, -1)).movedim(-1, 1)


def test_bagnet_matches_pytorchcv():
    """At 224 pixels it has the parameters of pytorchcv's bagnet33 and, with its weights, the same logits."""
    reference = get_model("bagnet33", pretrained=False)
    net = at_reference("BagNet")
    assert count(net) == count(reference) == 18_310_184
    reference.features.final_pool = nn.AdaptiveAvgPool2d(
        1
    )  # equals the pooling of 24x24 at 224 pixels and fits other sizes
    settle(reference, 64)
    copy_weights(reference, net)
    assert_equal(net, reference, 224, batch=1)


@pytest.mark.parametrize(("pixels", "size", "stride", "side"), [(32, 19, 4, 4), (64, 33, 8, 4)])
def test_the_logits_of_a_patch_depend_on_that_patch_alone(pixels, size, stride, side):
    """The logits at a position depend on all pixels of its patch and on no pixel outside of it."""
    net = settle(build("BagNet", pixels, batch=1), pixels, batch=2)
    images = torch.randn(1, 3, pixels, pixels, requires_grad=True)
    logits = patch_logits(net, images)
    assert logits.shape == (1, 10, side, side)
    for row, column in ((0, side - 1), (side // 2, 1)):
        (gradient,) = torch.autograd.grad(logits[0, :, row, column].square().sum(), images, retain_graph=True)
        reached = gradient[0].abs().amax(dim=0) > 0
        top, left = stride * row, stride * column
        assert reached[top : top + size, left : left + size].float().mean() > 0.99
        assert reached.sum() == reached[top : top + size, left : left + size].sum()


def test_the_logits_of_bagnet_are_the_mean_over_its_patches():
    """The logits of an image are the mean of the logits of its patches."""
    net = settle(build("BagNet"), 32)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net(images), patch_logits(net, images).mean(dim=(2, 3)), rtol=1e-4, atol=1e-5)


def test_the_logits_of_a_patch_do_not_depend_on_its_position():
    """A patch that is cropped from an image gets the logits that it gets within the image."""
    net = settle(build("BagNet"), 32)
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        cropped = net(images[:, :, 4:23, 8:27])
        torch.testing.assert_close(cropped, patch_logits(net, images)[:, :, 1, 2], rtol=1e-4, atol=1e-4)

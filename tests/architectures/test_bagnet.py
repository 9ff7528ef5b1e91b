"""BagNet: pytorchcv's bagnet33, and what a patch may see."""

import pytest
import torch
from pytorchcv.model_provider import get_model
from torch import Tensor, nn

from tests.architectures.networks import assert_equal, at_reference, build, copy_weights, count, settle


def votes(net: nn.Module, images: Tensor) -> Tensor:
    """The scores of each patch, (batch, classes, rows, columns)."""
    kept: list[Tensor] = []
    hook = net.layer4.register_forward_hook(lambda module, inputs, output: kept.append(output))
    net(images)
    hook.remove()
    return net.fc(kept[0].movedim(1, -1)).movedim(-1, 1)


def test_bagnet_is_pytorchcvs():
    """At 224 pixels it has the parameters of pytorchcv's, and with its weights the same scores."""
    reference = get_model("bagnet33", pretrained=False)
    net = at_reference("BagNet")
    assert count(net) == count(reference) == 18_310_184
    reference.features.final_pool = nn.AdaptiveAvgPool2d(1)  # as the pool of 24x24 at 224 pixels, and for others too
    settle(reference, 64)
    copy_weights(reference, net)
    assert_equal(net, reference, 224, batch=1)


@pytest.mark.parametrize(("pixels", "size", "stride", "side"), [(32, 19, 4, 4), (64, 33, 8, 4)])
def test_a_patch_of_bagnet_votes_by_what_it_shows_alone(pixels, size, stride, side):
    """The scores at a place depend on all of one square of the image, its patch, and on nothing outside of it."""
    net = settle(build("BagNet", pixels, batch=1), pixels, batch=2)
    images = torch.randn(1, 3, pixels, pixels, requires_grad=True)
    scores = votes(net, images)
    assert scores.shape == (1, 10, side, side)
    for row, column in ((0, side - 1), (side // 2, 1)):
        (gradient,) = torch.autograd.grad(scores[0, :, row, column].square().sum(), images, retain_graph=True)
        seen = gradient[0].abs().amax(dim=0) > 0
        top, left = stride * row, stride * column
        assert seen[top : top + size, left : left + size].float().mean() > 0.99
        assert seen.sum() == seen[top : top + size, left : left + size].sum()


def test_bagnets_scores_are_the_mean_of_its_patches():
    """The network is a bag: its scores are the mean of its patches' votes, wherever they lie."""
    net = settle(build("BagNet"), 32)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net(images), votes(net, images).mean(dim=(2, 3)), rtol=1e-4, atol=1e-5)


def test_bagnet_sees_its_patches_through_the_same_eyes():
    """A patch that is cut out gets the votes that it gets within the image."""
    net = settle(build("BagNet"), 32)
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        alone = net(images[:, :, 4:23, 8:27])
        torch.testing.assert_close(alone, votes(net, images)[:, :, 1, 2], rtol=1e-4, atol=1e-4)

"""ICNet: pytorchcv's image cascade network up to the last fusion, with a classifier instead of the pixels' labels."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.architectures.networks import CATALOGUE, build, copy_weights, count, settle

LABELS = "conv_cls"  # the reference's three classifiers of pixels


@cache
def pytorchcvs() -> Any:
    """The reference with random weights; nothing is downloaded."""
    from pytorchcv.models.icnet import icnet_resnetd50b_cityscapes

    torch.manual_seed(1)
    return settle(icnet_resnetd50b_cityscapes(fixed_size=False), 224, batch=2)


def shared(theirs: dict[str, Tensor]) -> list[Tensor]:
    """The reference's tensors in our order: the coarse fusion before the fine one, no labels of pixels."""
    fine = "final_block.cff_12."
    names = [name for name in theirs if LABELS not in name]
    names.sort(key=lambda name: name.startswith(fine))  # it is stable
    return [theirs[name] for name in names]


def pairs(net: nn.Module) -> Any:
    """Makes the pairs (our name, their tensor); our own classifier keeps its weights."""

    def names(theirs: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        own = {name: value for name, value in net.state_dict().items() if name.startswith("fc.")}
        ours = [name for name in net.state_dict() if name not in own]
        yield from zip(ours, shared(theirs), strict=True)
        yield from own.items()

    return names


def fused(net: nn.Module, last: nn.Module, images: Tensor) -> tuple[Any, Tensor]:
    """What a network returns, and what its last fusion does."""
    seen: list[Any] = []
    handle = last.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        scores = net(images)
    handle.remove()
    return scores, seen[0] if isinstance(seen[0], Tensor) else seen[0][0]


def test_the_cascade_is_pytorchcvs():
    """With its weights the last fused map is the reference's to 1e-4, and the scores are our linear layer's of its
    mean; the parameters are the reference's without the labels of pixels, and those of that layer.
    """
    reference, net = pytorchcvs(), build("ICNet", 224, 1000).eval()
    labels = sum(value.numel() for name, value in reference.named_parameters() if LABELS in name)
    layer = count(net.fc)
    assert count(net) == count(reference) - labels + layer == CATALOGUE.architecture("ICNet").parameters
    copy_weights(reference, net, pairs(net))
    torch.manual_seed(3)
    images = torch.randn(1, 3, 224, 224)
    scores, found = fused(net, net.fuse12, images)
    _, wanted = fused(reference, reference.final_block.cff_12, images)
    assert wanted.std() > 0.01
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(scores, net.fc(wanted.mean(dim=(2, 3))), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pixels", [16, 32])
def test_small_images_get_the_cascade_without_its_first_strides(pixels):
    """Below 64 pixels it is the reference with stems of stride 1: three maps at 1/2, 1/4 and 1/8 of the image."""
    reference, net = pytorchcvs(), build("ICNet", pixels).eval()
    copy_weights(reference, net, pairs(net))
    strided = [reference.branch1.conv1.conv, reference.branch1.conv2.conv]
    stem = reference.branch2.backbones1[0]
    pool, strided = stem.pool, [*strided, stem.conv1.conv]
    for conv in strided:
        conv.stride = (1, 1)
    stem.pool = nn.Identity()
    try:
        images = torch.randn(1, 3, pixels, pixels)
        _, wanted = fused(reference, reference.final_block.cff_12, images)
        scores, found = fused(net, net.fuse12, images)
    finally:
        stem.pool = pool
        for conv in strided:
            conv.stride = (2, 2)
    assert scores.shape == (1, 10)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("pixels", "maps"),
    [(32, [16, 8, 4]), (48, [24, 12, 6]), (64, [8, 4, 2]), (224, [28, 14, 7]), (299, [38, 19, 9])],
)
def test_three_resolutions_are_fused(pixels, maps):
    """The branches end with a fine, a middle and a coarse map; fused, they have the size of the fine one."""
    net = build("ICNet", pixels).eval()
    seen = {}
    for name in ("branch1", "middle", "head", "fuse24", "fuse12"):
        net.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: seen.update({name: output.shape[-1]})
        )
    with torch.no_grad():
        net(torch.randn(1, 3, pixels, pixels))
    fine, middle, coarse = maps
    assert seen == {"branch1": fine, "middle": middle, "head": coarse, "fuse24": middle, "fuse12": fine}


@pytest.mark.parametrize("branch", ["branch1", "middle", "head"])
def test_every_branch_has_a_say(branch):
    """Without one of the three branches the scores are others."""
    net = build("ICNet").eval()
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        whole = net(images)
        net.get_submodule(branch).register_forward_hook(lambda module, inputs, output: 0 * output)
        assert (net(images) - whole).abs().max() > 1e-3


def test_dropout_is_pspnets():
    """A tenth of the coarse features is dropped in training, as ``prm`` says."""
    rates = [[one.p for one in build("ICNet", **prm).modules() if isinstance(one, nn.Dropout)] for prm in PRMS]
    assert rates == [[0.1], [0.4]]


PRMS: list[dict[str, float]] = [{"dropout": 0.1}, {"dropout": 0.4}]

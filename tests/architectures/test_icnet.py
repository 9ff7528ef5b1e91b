"""ICNet: compared with pytorchcv's ICNet up to the last cascade feature fusion."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
from pytorchcv.models.icnet import icnet_resnetd50b_cityscapes
from torch import Tensor, nn

from tests.architectures.networks import CATALOGUE, build, copy_weights, count, settle

PIXEL_CLASSIFIER = "conv_cls"  # the name of the reference's three per-pixel classifiers


@cache
def reference_model() -> Any:
    """pytorchcv's ICNet with random weights; nothing is downloaded."""
    torch.manual_seed(1)
    return settle(icnet_resnetd50b_cityscapes(fixed_size=False), 224, batch=2)


def tensors_in_order(state: dict[str, Tensor]) -> list[Tensor]:
    """The reference's tensors without pixel classifiers, with the coarse fusion before the fine one."""
    fine = "final_block.cff_12."
    names = [name for name in state if PIXEL_CLASSIFIER not in name]
    names.sort(key=lambda name: name.startswith(fine))  # the sort is stable
    return [state[name] for name in names]


def pairs(net: nn.Module) -> Any:
    """A function from the reference's state to pairs (name, tensor); the classifier keeps its weights."""

    def names(state: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        classifier = {name: value for name, value in net.state_dict().items() if name.startswith("fc.")}
        other_names = [name for name in net.state_dict() if name not in classifier]
        yield from zip(other_names, tensors_in_order(state), strict=True)
        yield from classifier.items()

    return names


def logits_and_features(net: nn.Module, last_fusion: nn.Module, images: Tensor) -> tuple[Any, Tensor]:
    """The output of a network and the feature map of its last fusion."""
    outputs: list[Any] = []
    handle = last_fusion.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    with torch.no_grad():
        logits = net(images)
    handle.remove()
    return logits, outputs[0] if isinstance(outputs[0], Tensor) else outputs[0][0]


def test_icnet_matches_pytorchcv_up_to_the_last_fusion():
    """With pytorchcv's weights, the fused feature map is the same and the logits are the linear layer of its mean; the
    parameters are those of the reference without its pixel classifiers, and those of the linear layer.
    """
    reference, net = reference_model(), build("ICNet", 224, 1000).eval()
    pixel_classifiers = sum(value.numel() for name, value in reference.named_parameters() if PIXEL_CLASSIFIER in name)
    classifier = count(net.fc)
    assert count(net) == count(reference) - pixel_classifiers + classifier == CATALOGUE.architecture("ICNet").parameters
    copy_weights(reference, net, pairs(net))
    torch.manual_seed(3)
    images = torch.randn(1, 3, 224, 224)
    logits, actual = logits_and_features(net, net.cff12, images)
    _, expected = logits_and_features(reference, reference.final_block.cff_12, images)
    assert expected.std() > 0.01
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits, net.fc(expected.mean(dim=(2, 3))), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pixels", [16, 32])
def test_the_cifar_stems_of_icnet_have_stride_1(pixels):
    """Below 64 pixels the fused feature map equals that of the reference with stems of stride 1."""
    reference, net = reference_model(), build("ICNet", pixels).eval()
    copy_weights(reference, net, pairs(net))
    strided = [reference.branch1.conv1.conv, reference.branch1.conv2.conv]
    stem = reference.branch2.backbones1[0]
    pool, strided = stem.pool, [*strided, stem.conv1.conv]
    for conv in strided:
        conv.stride = (1, 1)
    stem.pool = nn.Identity()
    try:
        images = torch.randn(1, 3, pixels, pixels)
        _, expected = logits_and_features(reference, reference.final_block.cff_12, images)
        logits, actual = logits_and_features(net, net.cff12, images)
    finally:
        stem.pool = pool
        for conv in strided:
            conv.stride = (2, 2)
    assert logits.shape == (1, 10)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("pixels", "sizes"),
    [(32, [16, 8, 4]), (48, [24, 12, 6]), (64, [8, 4, 2]), (224, [28, 14, 7]), (299, [38, 19, 9])],
)
def test_three_resolutions_are_fused(pixels, sizes):
    """The branches end with a fine, a medium and a coarse feature map, which are fused to the size of the fine one."""
    net = build("ICNet", pixels).eval()
    actual = {}
    for name in ("branch1", "branch2_proj", "head", "cff24", "cff12"):
        net.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: actual.update({name: output.shape[-1]})
        )
    with torch.no_grad():
        net(torch.randn(1, 3, pixels, pixels))
    fine, medium, coarse = sizes
    assert actual == {"branch1": fine, "branch2_proj": medium, "head": coarse, "cff24": medium, "cff12": fine}


@pytest.mark.parametrize("branch", ["branch1", "branch2_proj", "head"])
def test_the_logits_depend_on_every_branch(branch):
    """The logits change when one of the three branches is zero."""
    net = build("ICNet").eval()
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        logits = net(images)
        net.get_submodule(branch).register_forward_hook(lambda module, inputs, output: 0 * output)
        assert (net(images) - logits).abs().max() > 1e-3


@pytest.mark.parametrize("dropout", [0.1, 0.4])
def test_the_dropout_rate_comes_from_prm(dropout):
    """The dropout rate of the head is ``prm["dropout"]``."""
    layers = build("ICNet", dropout=dropout).modules()
    assert [layer.p for layer in layers if isinstance(layer, nn.Dropout)] == [dropout]

"""DPN68: compared with pytorchcv's dpn68."""

from collections.abc import Iterator
from functools import cache

import torch
from pytorchcv.model_provider import get_model
from torch import Tensor, nn

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def reference_model(num_classes: int) -> nn.Module:
    """pytorchcv's DPN-68 with random weights and global average pooling; nothing is downloaded."""
    torch.manual_seed(1)
    return get_model("dpn68", num_classes=num_classes, for_training=True)


def names(state: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Pairs by the order of registration; pytorchcv's classifier is a 1x1 convolution of the pooled feature map."""
    for name, value in zip(build("DPN68").state_dict(), state.values(), strict=True):
        yield name, value.flatten(1) if name == "fc.weight" else value


def test_dpn68_matches_pytorchcv():
    """At 224 pixels it has the parameters of pytorchcv's model and, with its weights, the same logits."""
    assert_is("DPN68", reference_model(1000), names)


def test_the_cifar_stem_of_dpn68_has_no_stride_and_no_pooling():
    """At 32 pixels it equals pytorchcv's model with a stem of stride 1 and without pooling."""
    reference = reference_model(10)
    stem = reference.features.init_block
    stem.conv.stride = (1, 1)
    stem.pool = nn.Identity()
    settle(reference, 32)
    net = build("DPN68", 32)
    copy_weights(reference, net, names)
    assert_equal(net, reference, 32)


@cache
def block_calls() -> list[tuple[nn.Module, Tensor, Tensor]]:
    """The dual path blocks of a DPN-68 with their inputs and outputs for one image of 64 pixels."""
    net = build("DPN68", 64).eval()
    calls = []
    for stage in (net.stage1, net.stage2, net.stage3, net.stage4):
        for block in stage:
            block.register_forward_hook(lambda module, inputs, output: calls.append((module, inputs[0], output)))
    with torch.no_grad():
        net(torch.randn(1, 3, 64, 64))
    return calls


def test_the_dense_path_of_dpn68_grows_as_in_the_paper():
    """A stage starts with 3 increments of dense channels and adds one per block; stages halve the resolution."""
    widths = [(output.shape[1], output.shape[2]) for _, _, output in block_calls()]
    stages = [(64, 16, 3, 16), (128, 32, 4, 8), (256, 32, 12, 4), (512, 64, 3, 2)]
    assert widths == [
        (residual + growth * (3 + block), pixels)
        for residual, growth, blocks, pixels in stages
        for block in range(blocks)
    ]


def test_a_block_of_dpn68_adds_to_the_residual_path_and_appends_to_the_dense_path():
    """A block adds its residual channels, keeps the dense channels of its input and appends its new ones."""
    within = [call for call in block_calls() if isinstance(call[0].shortcut, nn.Identity)]
    assert len(within) == 22 - 4
    for block, x, output in within:
        dense = x[:, block.residual_channels :]
        assert torch.equal(output[:, block.residual_channels : x.shape[1]], dense)
        with torch.no_grad():
            branch = block.conv3(block.conv2(block.conv1(x)))
        torch.testing.assert_close(
            output[:, : block.residual_channels] - x[:, : block.residual_channels],
            branch[:, : block.residual_channels],
            rtol=1e-3,
            atol=1e-4,
        )
        assert torch.equal(output[:, x.shape[1] :], branch[:, block.residual_channels :])

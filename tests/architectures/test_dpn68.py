"""DPN68: pytorchcv's."""

from collections.abc import Iterator
from functools import cache

import torch
from pytorchcv.model_provider import get_model
from torch import Tensor, nn

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle


def pytorchcvs(classes: int) -> nn.Module:
    """pytorchcv's DPN-68 with random weights, whose last pool takes any size; nothing is downloaded."""
    torch.manual_seed(1)
    return get_model("dpn68", num_classes=classes, for_training=True)


def names(theirs: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Our names of pytorchcv's weights, in the same order; its classifier is a 1x1 convolution of the pooled map."""
    for name, value in zip(build("DPN68").state_dict(), theirs.values(), strict=True):
        yield name, value.flatten(1) if name == "fc.weight" else value


def test_dpn68_is_pytorchcvs():
    """At 224 pixels it has pytorchcv's parameters and, with pytorchcv's weights, gives pytorchcv's scores."""
    assert_is("DPN68", pytorchcvs(1000), names)


def test_dpn68s_small_stem_only_drops_the_strides():
    """At 32 pixels it is pytorchcv's with a stem of stride 1 and no pool: the first stage sees all 32 pixels."""
    reference = pytorchcvs(10)
    stem = reference.features.init_block
    stem.conv.stride = (1, 1)
    stem.pool = nn.Identity()
    settle(reference, 32)
    net = build("DPN68", 32)
    copy_weights(reference, net, names)
    assert_equal(net, reference, 32)


@cache
def traced() -> list[tuple[nn.Module, Tensor, Tensor]]:
    """Each dual path block of a DPN-68 with what it was given and what it gave, for one image of 64 pixels."""
    net = build("DPN68", 64).eval()
    seen = []
    for stage in (net.stage1, net.stage2, net.stage3, net.stage4):
        for block in stage:
            block.register_forward_hook(lambda module, inputs, output: seen.append((module, inputs[0], output)))
    with torch.no_grad():
        net(torch.randn(1, 3, 64, 64))
    return seen


def test_dpn68s_dense_path_grows_as_in_the_paper():
    """Each stage starts with 3 increments beside its residual channels and adds one a block; a stage halves the map."""
    widths = [(output.shape[1], output.shape[2]) for _, _, output in traced()]
    stages = [(64, 16, 3, 16), (128, 32, 4, 8), (256, 32, 12, 4), (512, 64, 3, 2)]
    assert widths == [
        (residual + growth * (3 + block), pixels)
        for residual, growth, blocks, pixels in stages
        for block in range(blocks)
    ]


def test_dpn68s_blocks_add_to_one_path_and_append_to_the_other():
    """Within a stage the dense channels of a block's input come out untouched, behind the residual ones that change."""
    within = [(block, given, made) for block, given, made in traced() if isinstance(block.shortcut, nn.Identity)]
    assert len(within) == 22 - 4
    for block, given, made in within:
        dense = given[:, block.residual :]
        assert torch.equal(made[:, block.residual : given.shape[1]], dense)
        with torch.no_grad():
            branch = block.conv3(block.conv2(block.conv1(given)))
        torch.testing.assert_close(
            made[:, : block.residual] - given[:, : block.residual], branch[:, : block.residual], rtol=1e-3, atol=1e-4
        )
        assert torch.equal(made[:, given.shape[1] :], branch[:, block.residual :])

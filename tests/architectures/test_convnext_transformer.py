"""ConvNeXtTransformer: CoAtNet-0's layout of two kinds of blocks, each compared with its own reference."""

from copy import deepcopy
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.convnext import CNBlock

from tests.architectures.networks import build, copy_weights, module, stir

NAME = "ConvNeXtTransformer"


@cache
def audible(pixels: int) -> Any:
    """The network in evaluation, its layer scales raised until the convolutional blocks are heard."""
    net = stir(build(NAME, pixels)).eval()
    with torch.no_grad():
        for key, value in net.named_parameters():
            if key.endswith("layer_scale"):
                value.fill_(1)
    return net


@pytest.mark.parametrize("pixels", [32, 224])
def test_the_stages_have_coatnets_sizes(pixels):
    """Maps of 1/4 and 1/8 of 224 pixels, tokens of 1/16 and 1/32; twice as many for small images; 2, 3, 5, 2 blocks."""
    net = audible(pixels)
    stages = [net.stage1, net.stage2, net.stage3, net.stage4]
    sizes = []
    hooks = [
        stage.register_forward_hook(lambda module, inputs, output: sizes.append(tuple(output.shape[1:])))
        for stage in stages
    ]
    with torch.no_grad():
        net(torch.randn(1, 3, pixels, pixels))
    for hook in hooks:
        hook.remove()
    side = pixels // (2 if pixels == 32 else 4)
    assert sizes == [
        (96, side, side),
        (192, side // 2, side // 2),
        ((side // 4) ** 2, 384),
        ((side // 8) ** 2, 768),
    ]
    assert [len(stage) for stage in stages] == [2, 3, 5, 2]


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_the_convolutional_stages_are_convnexts(stage):
    """With the weights of torchvision's blocks, a stage computes what they do one after the other."""
    ours = deepcopy(getattr(audible(32), stage))
    channels = ours[0].norm.weight.numel()
    theirs = stir(nn.Sequential(*(CNBlock(channels, 0.5, 0.0) for _ in ours))).eval()
    copy_weights(theirs, ours)
    images = torch.randn(2, channels, 9, 12)
    with torch.no_grad():
        assert not torch.allclose(ours(images), images, atol=0.01)
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("stage", "channels"), [("stage3", 384), ("stage4", 768)])
def test_the_attention_stages_are_transformers(stage, channels):
    """With the weights of torch's pre-norm encoder layers, heads of 32, a stage computes what they do."""
    ours = deepcopy(getattr(audible(32), stage))
    theirs = nn.Sequential(
        *(
            nn.TransformerEncoderLayer(
                channels, channels // 32, 4 * channels, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in ours
        )
    )
    stir(theirs).eval()
    renamed = {
        "self_attn.in_proj_": "qkv.",
        "self_attn.out_proj": "merge",
        "linear1": "expand",
        "linear2": "contract",
    }

    def names(state: dict[str, Tensor]) -> Any:
        for key, value in state.items():
            name = key
            for old, new in renamed.items():
                name = name.replace(old, new)
            yield name, value

    copy_weights(theirs, ours, names)
    tokens = torch.randn(2, 6, channels)
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens), theirs(tokens), rtol=1e-4, atol=1e-4)


def test_the_first_stages_are_local():
    """The corner of stage 2 sees exactly the 104 pixels that patches of 4, 2 and 3 blocks of 7x7 and a halving reach.

    Nine positions to the side in stage 2, which are those to the 19th before it, six more in stage 1: 26 patches.
    """
    net = audible(224)
    images = torch.randn(1, 3, 224, 224, requires_grad=True)
    net.stage2(net.down1(net.stage1(net.stem(images))))[0, :, 0, 0].square().sum().backward()
    seen = images.grad[0].abs().sum(dim=0) > 0
    assert seen[:104, :104].all()
    assert not seen[104:].any()
    assert not seen[:, 104:].any()


@pytest.mark.parametrize(("stage", "shape"), [("stage3", (16, 384)), ("stage4", (4, 768))])
def test_the_last_stages_are_global(stage, shape):
    """One block is enough for every token to depend on every token."""
    block = getattr(audible(32), stage)[0]
    tokens = torch.randn(1, *shape, requires_grad=True)
    output = block(tokens)
    for token in range(shape[0]):
        (gradient,) = torch.autograd.grad(output[0, token].square().sum(), tokens, retain_graph=True)
        assert (gradient[0].abs().sum(dim=1) > 0).all()


def test_only_the_embedding_of_positions_tells_tokens_apart():
    """Attention stages move with their tokens: tokens in another order come out in that order."""
    net = audible(32)
    x, order = torch.randn(1, 384, 4, 4), torch.randperm(16)
    with torch.no_grad():
        plain = x.flatten(2).transpose(1, 2)
        torch.testing.assert_close(net.stage3(plain[:, order]), net.stage3(plain)[:, order], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(net.tokens(x) - plain, net.tokens.embedding, rtol=1e-4, atol=1e-5)
    assert 0.01 < net.tokens.embedding.std() < 0.03


def test_stochastic_depth_grows_along_the_hybrid():
    """From 0 in the first of the twelve blocks in steps of 0.1 / 11 to 0.1 in the last."""
    rates = [one.rate for one in audible(32).modules() if isinstance(one, module(NAME, 1).StochasticDepth)]
    assert rates == pytest.approx([0.1 * block / 11 for block in range(12)])

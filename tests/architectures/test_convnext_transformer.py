"""ConvNeXtTransformer: the layout of CoAtNet-0, and both kinds of blocks compared with their references."""

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
def network(pixels: int) -> Any:
    """The network in evaluation, with layer scales of 1 so that the ConvNeXt blocks count."""
    net = stir(build(NAME, pixels)).eval()
    with torch.no_grad():
        for key, value in net.named_parameters():
            if key.endswith("layer_scale"):
                value.fill_(1)
    return net


@pytest.mark.parametrize("pixels", [32, 224])
def test_the_stages_have_the_sizes_of_coatnet_0(pixels):
    """The stages have 2, 3, 5 and 2 blocks and strides of 4, 8, 16 and 32, half of that for small images."""
    net = network(pixels)
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
    size = pixels // (2 if pixels == 32 else 4)
    assert sizes == [
        (96, size, size),
        (192, size // 2, size // 2),
        ((size // 4) ** 2, 384),
        ((size // 8) ** 2, 768),
    ]
    assert [len(stage) for stage in stages] == [2, 3, 5, 2]


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_the_convolutional_stages_match_convnext(stage):
    """With the weights of torchvision's ConvNeXt blocks, a stage has the same outputs."""
    layers = deepcopy(getattr(network(32), stage))
    channels = layers[0].norm.weight.numel()
    reference = stir(nn.Sequential(*(CNBlock(channels, 0.5, 0.0) for _ in layers))).eval()
    copy_weights(reference, layers)
    images = torch.randn(2, channels, 9, 12)
    with torch.no_grad():
        assert not torch.allclose(layers(images), images, atol=0.01)
        torch.testing.assert_close(layers(images), reference(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("stage", "channels"), [("stage3", 384), ("stage4", 768)])
def test_the_attention_stages_match_transformer_encoder_layers(stage, channels):
    """With the weights of torch's pre-norm encoder layers, a stage has the same outputs."""
    layers = deepcopy(getattr(network(32), stage))
    reference = nn.Sequential(
        *(
            nn.TransformerEncoderLayer(
                channels, channels // 32, 4 * channels, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in layers
        )
    )
    stir(reference).eval()
    renamed = {
        "self_attn.in_proj_": "attn.qkv.",
        "self_attn.out_proj": "attn.proj",
        "linear1": "mlp.0",
        "linear2": "mlp.2",
    }

    def names(state: dict[str, Tensor]) -> Any:
        for key, value in state.items():
            name = key
            for old, new in renamed.items():
                name = name.replace(old, new)
            yield name, value

    copy_weights(reference, layers, names)
    tokens = torch.randn(2, 6, channels)
    with torch.no_grad():
        torch.testing.assert_close(layers(tokens), reference(tokens), rtol=1e-4, atol=1e-4)


def test_the_convolutional_stages_have_a_local_receptive_field():
    """The receptive field of the corner of stage 2 has 104 pixels per dimension, as its layers imply.

    Three 7x7 blocks reach 9 positions in stage 2 (19 before downsampling), two in stage 1 six more: 26 patches of 4.
    """
    net = network(224)
    images = torch.randn(1, 3, 224, 224, requires_grad=True)
    net.stage2(net.downsample1(net.stage1(net.stem(images))))[0, :, 0, 0].square().sum().backward()
    reached = images.grad[0].abs().sum(dim=0) > 0
    assert reached[:104, :104].all()
    assert not reached[104:].any()
    assert not reached[:, 104:].any()


@pytest.mark.parametrize(("stage", "shape"), [("stage3", (16, 384)), ("stage4", (4, 768))])
def test_the_attention_stages_have_a_global_receptive_field(stage, shape):
    """After one block, every token depends on every token."""
    block = getattr(network(32), stage)[0]
    tokens = torch.randn(1, *shape, requires_grad=True)
    output = block(tokens)
    for token in range(shape[0]):
        (gradient,) = torch.autograd.grad(output[0, token].square().sum(), tokens, retain_graph=True)
        assert (gradient[0].abs().sum(dim=1) > 0).all()


def test_only_the_position_embedding_depends_on_the_position():
    """The attention stages are equivariant to permutations of the tokens."""
    net = network(32)
    x, order = torch.randn(1, 384, 4, 4), torch.randperm(16)
    with torch.no_grad():
        tokens = x.flatten(2).transpose(1, 2)
        torch.testing.assert_close(net.stage3(tokens[:, order]), net.stage3(tokens)[:, order], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(net.pos_embedding(x) - tokens, net.pos_embedding.weight, rtol=1e-4, atol=1e-5)
    assert 0.01 < net.pos_embedding.weight.std() < 0.03


def test_the_drop_rate_increases_linearly():
    """The drop rates increase in equal steps from 0 in the first of the 12 blocks to 0.1 in the last."""
    rates = [layer.rate for layer in network(32).modules() if isinstance(layer, module(NAME, 1).StochasticDepth)]
    assert rates == pytest.approx([0.1 * block / 11 for block in range(12)])

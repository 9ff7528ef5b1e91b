"""Diffuser: the forward diffusion, the timestep embedding and the attention, compared with formulas and torch."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.architectures.networks import build, module

# The channels and the stride after the stem of each feature map.
LEVELS = [(32, 1), (32, 2), (64, 2), (64, 4), (96, 4), (96, 8), (128, 8)]


def blocks() -> Any:
    """The file's module: its building blocks."""
    return module("Diffuser", 1)


def alpha_bar(steps: int) -> float:
    """The fraction of an image's variance that is left after some steps of the cosine schedule."""
    return float(np.prod(1 - betas()[:steps]))


def betas() -> Any:
    """The variances of the noise of the 1000 steps of the cosine schedule, which are at most 0.999."""
    cosines = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.minimum(1 - cosines[1:] / cosines[:-1], 0.999)


@pytest.mark.parametrize("dim", [32, 64])
def test_the_timestep_embedding_is_sinusoidal(dim):
    """Entry i is cos(t * 10000^(-i / h)) and entry h + i the sine, where h is half of the dimension."""
    t = torch.tensor([0, 1, 17, 999])
    angles = t.numpy()[:, None] * 10000.0 ** (-np.arange(dim // 2) / (dim // 2))
    expected = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    np.testing.assert_allclose(blocks().timestep_embedding(t, dim).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("step", [0, 100, 500, 999])
def test_diffuse_samples_from_the_closed_form(step):
    """q(x_t | x_0) has mean sqrt(alpha_bar) x_0 and variance 1 - alpha_bar; unit variance is preserved."""
    net, remaining = build("Diffuser"), alpha_bar(step + 1)
    t = torch.full((20_000,), step)
    constant = net.diffuse(torch.full((20_000, 1, 2, 2), 3.0), t)
    assert constant.mean().item() == pytest.approx(3 * remaining**0.5, abs=0.02)
    assert constant.var().item() == pytest.approx(1 - remaining, rel=0.03)
    assert net.diffuse(torch.randn(20_000, 1, 2, 2), t).var().item() == pytest.approx(1, abs=0.03)


def test_the_closed_form_equals_the_markov_chain():
    """The chain x_t = sqrt(1 - beta_t) x_(t-1) + sqrt(beta_t) e has the mean and variance of the closed form."""
    generator = np.random.default_rng(0)
    x = np.full(50_000, 3.0)
    for beta in betas()[:300]:
        x = np.sqrt(1 - beta) * x + np.sqrt(beta) * generator.standard_normal(x.shape)
    remaining = build("Diffuser").alpha_bar[299].item()
    assert x.mean() == pytest.approx(3 * remaining**0.5, abs=0.02)
    assert x.var() == pytest.approx(1 - remaining, rel=0.03)


def test_images_are_noised_in_training_only():
    """In training, each image is noised to its own one of 1000 timesteps, on which the network is conditioned; in
    evaluation, images are clean and t is 0.
    """
    net, inputs_of_stem, inputs_of_time_embed = build("Diffuser"), [], []
    net.stem.register_forward_pre_hook(lambda _, inputs: inputs_of_stem.append(inputs[0]))
    net.time_embed.register_forward_pre_hook(lambda _, inputs: inputs_of_time_embed.append(inputs[0]))
    images = torch.ones(64, 3, 32, 32)
    with torch.no_grad():
        net.train()(images)
        net.eval()(images)
    embeddings = blocks().timestep_embedding(torch.arange(1000), 32)
    nearest = torch.cdist(inputs_of_time_embed[0], embeddings).min(dim=1)
    assert nearest.values.max() < 0.01  # neighbours are 0.9 apart
    assert len(nearest.indices.unique()) > 50
    assert nearest.indices.min() < 100
    assert nearest.indices.max() >= 900
    remaining = torch.tensor([alpha_bar(t + 1) for t in nearest.indices.tolist()])
    torch.testing.assert_close(inputs_of_stem[0].mean(dim=(1, 2, 3)), remaining.sqrt(), atol=0.06, rtol=0)
    torch.testing.assert_close(inputs_of_stem[0].var(dim=(1, 2, 3)), 1 - remaining, atol=0.12, rtol=0)
    assert torch.equal(inputs_of_stem[1], images)
    assert torch.equal(inputs_of_time_embed[1], embeddings[:1].expand(64, -1))


def test_the_attention_block_matches_multihead_attention():
    """The residual branch of the block equals nn.MultiheadAttention with the same weights."""
    torch.manual_seed(0)
    block, reference = blocks().AttentionBlock(96), nn.MultiheadAttention(96, 3, batch_first=True)
    reference.load_state_dict(
        {
            "in_proj_weight": block.qkv.weight,
            "in_proj_bias": block.qkv.bias,
            "out_proj.weight": block.proj.weight,
            "out_proj.bias": block.proj.bias,
        }
    )
    x = 3 * torch.randn(2, 96, 4, 6)
    with torch.no_grad():
        tokens = block.norm(x).flatten(2).mT
        expected = reference(tokens, tokens, tokens)[0].mT.reshape(x.shape)
        assert expected.std() > 0.001
        torch.testing.assert_close(block(x) - x, expected, rtol=1e-4, atol=1e-5)


def test_the_attention_pool_matches_multihead_attention():
    """The pool equals nn.MultiheadAttention whose query is the mean token and whose keys are all tokens."""
    pool, reference = build("Diffuser", (24, 32)).pool, nn.MultiheadAttention(128, 4, batch_first=True)
    reference.load_state_dict(
        {
            "in_proj_weight": torch.cat([pool.q.weight, pool.kv.weight]),
            "in_proj_bias": torch.cat([pool.q.bias, pool.kv.bias]),
            "out_proj.weight": torch.eye(128),
            "out_proj.bias": torch.zeros(128),
        }
    )
    x = torch.randn(2, 128, 3, 4)
    with torch.no_grad():
        tokens = x.flatten(2).mT
        tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + pool.pos_embedding
        expected = pool.fc(reference(tokens[:, :1], tokens, tokens)[0][:, 0])
        torch.testing.assert_close(pool(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "stem"), [((32, 32), 1), ((24, 40), 1), ((64, 64), 4), ((299, 224), 4)])
def test_the_encoder_downsamples_three_times(size, stem):
    """The stem has stride 1 or 4, the levels stride 1 to 8, and attention is at strides 4 and 8 after the stem."""
    net = build("Diffuser", size).eval()
    outputs: list[tuple[str, Any]] = []

    def record(block: nn.Module, _: Any, output: torch.Tensor) -> None:
        outputs.append((type(block).__name__, tuple(output.shape[1:])))

    for block in net.blocks:
        block.register_forward_hook(record)
    with torch.no_grad():
        net(torch.randn(1, 3, *size))
    shapes = [(channels, size[0] // (stem * step), size[1] // (stem * step)) for channels, step in LEVELS]
    assert list(dict.fromkeys(shape for _, shape in outputs)) == shapes
    assert [shape for name, shape in outputs if name == "AttentionBlock"] == [shapes[4], shapes[6], shapes[6]]


def test_every_residual_block_depends_on_the_timestep():
    """The output of each residual block differs between the embeddings of two timesteps."""
    net = build("Diffuser").eval()
    embeddings = net.time_embed(blocks().timestep_embedding(torch.tensor([0, 99]), 32))
    for block in net.blocks:
        if isinstance(block, blocks().ResBlock):
            x = torch.randn(1, block.norm1.num_channels, 4, 4)
            first, second = (block(x, embedding[None]) for embedding in embeddings)
            assert (first - second).abs().max() > 1e-4

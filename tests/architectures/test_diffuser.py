"""Diffuser: the forward diffusion, the timestep embedding and the attention, against formulas and torch's own."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.architectures.networks import build, module

# The channels of each map and how many pixels of the stem's a side of its pixels has.
LEVELS = [(32, 1), (32, 2), (64, 2), (64, 4), (96, 4), (96, 8), (128, 8)]


def blocks() -> Any:
    """The file's module: its building blocks."""
    return module("Diffuser", 1)


def kept_after(steps: int) -> float:
    """The part of an image's variance that is left after some steps of DDPM's linear schedule."""
    return float(np.prod(1 - np.linspace(1e-4, 0.02, 1000)[:steps]))


@pytest.mark.parametrize("channels", [32, 64])
def test_timesteps_are_embedded_as_sinusoids(channels):
    """Entry i is cos(t * 10000^(-i / h)), entry h + i the sine, h being half of the channels."""
    t = torch.tensor([0, 1, 17, 99])
    angles = t.numpy()[:, None] * 10000.0 ** (-np.arange(channels // 2) / (channels // 2))
    wanted = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    np.testing.assert_allclose(blocks().timestep_embedding(t, channels).numpy(), wanted, atol=1e-4)


@pytest.mark.parametrize("step", [0, 10, 99, 999])
def test_an_image_is_noised_as_the_closed_formula_says(step):
    """q(x_t | x_0) has the mean sqrt(alpha_bar) x_0 and the variance 1 - alpha_bar; a unit variance stays one."""
    net, kept = build("Diffuser"), kept_after(step + 1)
    t = torch.full((20_000,), step)
    constant = net.diffuse(torch.full((20_000, 1, 2, 2), 3.0), t)
    assert constant.mean().item() == pytest.approx(3 * kept**0.5, abs=0.02)
    assert constant.var().item() == pytest.approx(1 - kept, rel=0.03)
    assert net.diffuse(torch.randn(20_000, 1, 2, 2), t).var().item() == pytest.approx(1, abs=0.03)


def test_the_closed_formula_is_the_chain_of_its_steps():
    """Noised step by step, x_t = sqrt(1 - beta_t) x_(t-1) + sqrt(beta_t) e, an image ends with the same moments."""
    generator = np.random.default_rng(0)
    x = np.full(50_000, 3.0)
    for beta in np.linspace(1e-4, 0.02, 1000)[:100]:
        x = np.sqrt(1 - beta) * x + np.sqrt(beta) * generator.standard_normal(x.shape)
    kept = build("Diffuser").alpha_bar[99].item()
    assert x.mean() == pytest.approx(3 * kept**0.5, abs=0.02)
    assert x.var() == pytest.approx(1 - kept, rel=0.03)


def test_training_noises_every_image_by_itself_and_evaluation_none():
    """In training the images of a batch get timesteps below 100 of their own; in evaluation a clean image has t = 0."""
    net, seen, times = build("Diffuser"), [], []
    net.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net.time.register_forward_pre_hook(lambda _, inputs: times.append(inputs[0]))
    images = torch.ones(64, 3, 32, 32)
    with torch.no_grad():
        net.train()(images)
        net.eval()(images)
    embeddings = blocks().timestep_embedding(torch.arange(100), 32)
    found = torch.cdist(times[0], embeddings).min(dim=1)
    assert found.values.max() < 0.01  # neighbours are 0.9 apart
    assert len(found.indices.unique()) > 40
    kept = torch.tensor([kept_after(t + 1) for t in found.indices.tolist()])
    torch.testing.assert_close(seen[0].mean(dim=(1, 2, 3)), kept.sqrt(), atol=0.06, rtol=0)
    torch.testing.assert_close(seen[0].var(dim=(1, 2, 3)), 1 - kept, atol=0.06, rtol=0)
    assert torch.equal(seen[1], images)
    assert torch.equal(times[1], embeddings[:1].expand(64, -1))


def test_the_attention_block_is_torchs():
    """With its weights in nn.MultiheadAttention the block adds the same to its input."""
    torch.manual_seed(0)
    block, theirs = blocks().AttentionBlock(96), nn.MultiheadAttention(96, 3, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": block.to_qkv.weight,
            "in_proj_bias": block.to_qkv.bias,
            "out_proj.weight": block.proj.weight,
            "out_proj.bias": block.proj.bias,
        }
    )
    x = 3 * torch.randn(2, 96, 4, 6)
    with torch.no_grad():
        tokens = block.norm(x).flatten(2).mT
        wanted = theirs(tokens, tokens, tokens)[0].mT.reshape(x.shape)
        assert wanted.std() > 0.001
        torch.testing.assert_close(block(x) - x, wanted, rtol=1e-4, atol=1e-5)


def test_the_attention_pool_is_torchs():
    """The pool is nn.MultiheadAttention from the mean of all positions to it and them, each with its embedding."""
    pool, theirs = build("Diffuser", (24, 32)).pool, nn.MultiheadAttention(128, 4, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": torch.cat([pool.to_q.weight, pool.to_kv.weight]),
            "in_proj_bias": torch.cat([pool.to_q.bias, pool.to_kv.bias]),
            "out_proj.weight": torch.eye(128),
            "out_proj.bias": torch.zeros(128),
        }
    )
    x = torch.randn(2, 128, 3, 4)
    with torch.no_grad():
        tokens = x.flatten(2).mT
        tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + pool.position
        wanted = pool.fc(theirs(tokens[:, :1], tokens, tokens)[0][:, 0])
        torch.testing.assert_close(pool(x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "stem"), [((32, 32), 1), ((24, 40), 1), ((64, 64), 4), ((299, 224), 4)])
def test_the_encoder_halves_the_map_three_times(size, stem):
    """The stem keeps a small image and divides a large one by four; attention works on a quarter and an eighth."""
    net = build("Diffuser", size).eval()
    seen: list[tuple[str, Any]] = []

    def note(block: nn.Module, _: Any, output: torch.Tensor) -> None:
        seen.append((type(block).__name__, tuple(output.shape[1:])))

    for block in net.blocks:
        block.register_forward_hook(note)
    with torch.no_grad():
        net(torch.randn(1, 3, *size))
    maps = [(channels, size[0] // (stem * step), size[1] // (stem * step)) for channels, step in LEVELS]
    assert list(dict.fromkeys(shape for _, shape in seen)) == maps
    assert [shape for name, shape in seen if name == "AttentionBlock"] == [maps[4], maps[6], maps[6]]


def test_the_timestep_reaches_every_residual_block():
    """A block scales and shifts by the timestep: with another embedding its residual is another one."""
    net = build("Diffuser").eval()
    embeddings = net.time(blocks().timestep_embedding(torch.tensor([0, 99]), 32))
    for block in net.blocks:
        if isinstance(block, blocks().ResBlock):
            x = torch.randn(1, block.norm1.num_channels, 4, 4)
            first, second = (block(x, embedding[None]) for embedding in embeddings)
            assert (first - second).abs().max() > 1e-4

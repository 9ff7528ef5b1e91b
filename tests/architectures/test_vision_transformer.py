"""VisionTransformer: torchvision's vit_b_16."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from tests.architectures.networks import CATALOGUE, RENDERER, assert_equal, assert_is, build, copy_weights, stir


def with_random_head(reference: Any) -> Any:
    """Draws random weights for torchvision's head, which is zero at initialisation."""
    torch.manual_seed(1)
    nn.init.normal_(reference.heads.head.weight, std=0.02)
    return reference


def names(state: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Renames torchvision's weights."""
    for key, value in state.items():
        name = key
        for old, new in {
            "class_token": "embedding.class_token",
            "conv_proj": "embedding.proj",
            "encoder.pos_embedding": "embedding.pos_embedding",
            "encoder.layers.encoder_layer_": "blocks.",
            "encoder.ln": "norm",
            "ln_1": "norm1",
            "ln_2": "norm2",
            "self_attention.in_proj_": "attn.qkv.",
            "self_attention.out_proj": "attn.proj",
            "heads.head": "head",
        }.items():
            name = name.replace(old, new)
        yield name, value


def test_vision_transformer_matches_torchvision():
    """At 224 pixels, the parameter count and the logits equal those of torchvision's vit_b_16."""
    assert_is("VisionTransformer", with_random_head(models.vit_b_16(weights=None)), names)


def test_vision_transformer_has_4x4_patches_for_small_images():
    """At 24 pixels, the logits equal torchvision's with 4x4 patches."""
    reference = with_random_head(models.VisionTransformer(24, 4, 12, 12, 768, 3072, num_classes=10))
    net = build("VisionTransformer", 24)
    copy_weights(stir(reference), net, names)
    assert_equal(net, reference, 24, batch=1)


@pytest.mark.parametrize(("size", "patches"), [((32, 64), 8 * 16), ((64, 96), 4 * 6), ((299, 299), 18 * 18)])
def test_vision_transformer_has_a_position_embedding_per_patch(size, patches):
    """Each whole patch and the class token have a position embedding."""
    assert build("VisionTransformer", size).embedding.pos_embedding.shape == (1, 1 + patches, 768)


def test_vision_transformer_distinguishes_patches_by_position_embeddings():
    """Swapping patches changes the logits, but not when the position embeddings are zero."""
    net = build("VisionTransformer", 8).eval()
    image = torch.randn(1, 3, 8, 8)
    swapped = torch.cat([image[:, :, 4:], image[:, :, :4]], dim=2)  # the upper and lower two of four patches
    with torch.no_grad():
        assert (net(swapped) - net(image)).abs().max() > 1e-3
        net.embedding.pos_embedding.zero_()
        torch.testing.assert_close(net(swapped), net(image), rtol=1e-4, atol=1e-5)


def test_vision_transformer_reads_dropout():
    """Two passes in training mode differ with the dropout of ``prm`` and agree with dropout 0."""
    text = RENDERER.render(CATALOGUE.architecture("VisionTransformer"), CATALOGUE.variant(1)).text
    assert '"dropout"' in text.split("def supported_hyperparameters")[1].split("def ")[0]
    images = torch.randn(2, 3, 8, 8)
    for dropout, same in ((0.0, True), (0.2, False)):
        net = build("VisionTransformer", 8, dropout=dropout).train()
        with torch.no_grad():
            assert torch.equal(net(images), net(images)) == same

"""The stand-in for a forward pass: its output, its gradients, and the gradients that arrive at it."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lrgen.verify.nursery.pattern import Pattern
from lrgen.verify.nursery.standin import StandIn, direction, features, projection


def net() -> nn.Module:
    """Three parameters, one of which is frozen."""
    built = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2, bias=False))
    built[1].weight.requires_grad_(False)
    return built


def images(count: int = 5) -> Tensor:
    return torch.from_numpy(np.random.Generator(np.random.Philox(1)).standard_normal((count, 3, 8, 8), np.float32))


@pytest.mark.parametrize(
    "output",
    [torch.zeros(2, 10), (torch.zeros(2, 10), torch.zeros(2, 10)), {"logits": torch.zeros(2, 10), "aux": None}],
    ids=["tensor", "tuple", "dict"],
)
def test_the_output_has_the_structure_of_the_real_one(output):
    """Tensors have the shape of the real output for this number of images; the rest is as it was."""
    result = StandIn(net(), output)(images())
    assert type(result) is type(output)
    logits = result["logits"] if isinstance(result, dict) else result[0] if isinstance(result, tuple) else result
    assert logits.shape == (5, 10)
    assert logits.requires_grad
    if isinstance(result, dict):
        assert result["aux"] is None
    if isinstance(result, tuple):
        assert not torch.equal(result[0], result[1])


def test_logits_depend_on_the_images_and_the_batch():
    """Each image has logits of its own, the same wherever it is in a batch, and others in another batch."""
    stand_in, given = StandIn(net(), torch.zeros(2, 10)), images()
    stand_in.begin(0, 7)
    first, flipped = stand_in(given).detach(), stand_in(given.flip(0)).detach()
    torch.testing.assert_close(flipped, first.flip(0))
    assert len({tuple(row.tolist()) for row in first}) == 5
    stand_in.begin(1, 8)
    assert not torch.equal(stand_in(given).detach(), first)
    inputs = features(given.numpy())
    expected = inputs @ projection(7, 0, inputs.shape[1], 10)
    np.testing.assert_allclose(first.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 0.5, -2.0])
def test_gradients_are_the_pattern_times_the_inner_product_with_a_direction(factor):
    """Each trained parameter gets the pattern, scaled linearly by the gradient that arrives; a frozen one gets none."""
    built = net()
    stand_in = StandIn(built, torch.zeros(2, 10))
    stand_in.begin(3, 11)
    arriving = np.random.Generator(np.random.Philox(2)).standard_normal((5, 10)).astype(np.float32) * factor
    stand_in(images()).backward(torch.from_numpy(arriving))
    counts = [parameter.numel() for parameter in built.parameters()]
    scale = float((arriving * direction(11, 0, 5, 10)).sum())
    expected = np.split(Pattern(11, counts).whole() * np.float32(scale), np.cumsum(counts)[:-1])
    weight, bias, frozen = built.parameters()
    np.testing.assert_allclose(weight.grad.flatten(), expected[0], rtol=1e-5)
    np.testing.assert_allclose(bias.grad, expected[1], rtol=1e-5)
    assert frozen.grad is None
    [(batch, [arrived])] = stand_in.incoming
    assert batch == 3
    np.testing.assert_array_equal(arrived, arriving)


def test_a_silent_stand_in_sends_zeros():
    """A silent stand-in gives logits as ever, and gradients of zero."""
    built = net()
    stand_in = StandIn(built, torch.zeros(2, 10))
    stand_in.silent = True
    nn.functional.cross_entropy(stand_in(images()), torch.arange(5)).backward()
    assert not built[0].weight.grad.any()
    assert len(stand_in.incoming) == 1

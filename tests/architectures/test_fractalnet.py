"""FractalNet: compared with pytorchcv's fractalnet_cifar10; its paths and drop-path, section 3 of the paper."""

from collections import Counter

import pytest
import torch
from pytorchcv.model_provider import get_model
from torch import Tensor, nn

from tests.architectures.networks import assert_is, build, module


def test_fractalnet_matches_pytorchcv():
    """At 32 pixels it has the parameters of pytorchcv's model and, with its weights, the same logits."""
    assert_is("FractalNet", get_model("fractalnet_cifar10", pretrained=False))


class AddOne(nn.Module):
    """Replaces a convolution and counts it."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 1


@pytest.fixture
def counting_block() -> nn.Module:
    """A fractal block that adds one in place of each convolution."""
    block = build("FractalNet").block3
    for name, _ in list(block.named_children()):
        setattr(block, name, AddOne())
    return block


@pytest.mark.parametrize(("reduce", "length"), [(max, 4), (min, 1)], ids=["longest", "shortest"])
def test_the_paths_of_a_fractal_block_have_one_to_four_convolutions(monkeypatch, counting_block, reduce, length):
    """The longest path of a block has four convolutions, the shortest has one."""
    monkeypatch.setattr(module("FractalNet", 1), "join", lambda outputs, drop_rate: reduce(outputs))
    assert counting_block(torch.tensor(0), "all", 0.0) == length


def test_a_fractal_block_has_five_paths(monkeypatch):
    """A block has 2 * 2 + 1 paths: two fractals of two paths in sequence, and a single convolution."""
    block = build("FractalNet").block3
    for name, _ in list(block.named_children()):
        setattr(block, name, nn.Identity())
    monkeypatch.setattr(module("FractalNet", 1), "join", lambda outputs, drop_rate: sum(outputs))
    assert block(torch.tensor(1), "all", 0.0) == 5


def test_global_drop_path_selects_one_column():
    """With a selected column, the output is that of this column's convolutions in sequence."""
    block = build("FractalNet").eval().block2
    x = torch.randn(3, 64, 4, 4)
    with torch.no_grad():
        assert torch.equal(block(x, "deep", 0.0), block.deep4(block.deep3(block.deep2(block.deep1(x)))))
        assert torch.equal(block(x, "middle", 0.0), block.middle2(block.middle1(x)))
        assert torch.equal(block(x, "shallow", 0.0), block.shallow(x))


@pytest.mark.parametrize("count", [2, 3])
def test_local_drop_path_averages_the_remaining_inputs(count):
    """Each input of a join is dropped with the given probability, but never all; the others are averaged."""
    torch.manual_seed(0)
    joins = 10_000
    inputs = [torch.tensor(10.0**power) for power in range(count)]
    join = module("FractalNet", 1).join
    means = Counter(round(join(inputs, 0.3).item(), 3) for _ in range(joins))
    powers = [[power for power in range(count) if subset >> power & 1] for subset in range(1, 2**count)]
    mean_of = [round(sum(10.0**power for power in chosen) / len(chosen), 3) for chosen in powers]
    assert means.keys() == set(mean_of)  # the means of all non-empty subsets
    keep_rate = 0.7 + 0.3**count / count
    for power in range(count):
        hits = sum(means[mean] for mean, chosen in zip(mean_of, powers, strict=True) if power in chosen)
        assert hits / joins == pytest.approx(keep_rate, abs=0.02)
    assert join(inputs, 0.0) == sum(inputs) / count


def test_half_of_the_training_batches_use_global_drop_path():
    """All blocks get the same column in half of the batches and a drop rate of 0.15 in the others."""
    net = build("FractalNet")
    arguments: list[tuple[str, float]] = []
    for block in (net.block1, net.block2, net.block3, net.block4, net.block5):
        block.forward = lambda x, column, drop_rate: arguments.append((column, drop_rate)) or x
    net.fc = nn.Identity()
    batches = 600
    with torch.no_grad():
        for _ in range(batches):
            net.train()(torch.zeros(1, 1, 16, 16))
        net.eval()(torch.zeros(1, 1, 16, 16))
    per_batch = Counter(arguments[::5])
    assert arguments == [first for first in arguments[::5] for _ in range(5)]
    assert arguments[-1] == ("all", 0.0)
    assert per_batch[arguments[-1]] == 1
    assert per_batch["all", 0.15] / batches == pytest.approx(1 / 2, abs=0.06)
    for column in ("deep", "middle", "shallow"):
        assert per_batch[column, 0.0] / batches == pytest.approx(1 / 6, abs=0.05)


def test_drop_path_differs_between_training_passes():
    """Without dropout, training passes still differ because drop-path is sampled for each."""
    net = build("FractalNet", dropout=0.0).train()
    images = torch.randn(4, 3, 16, 16)
    torch.manual_seed(0)
    with torch.no_grad():
        passes = [net(images) for _ in range(8)]
    assert not all(torch.equal(passes[0], output) for output in passes)


def test_the_dropout_rate_of_fractalnet_increases_from_block_to_block():
    """The dropout rates of the five blocks are those of the paper: 0, 0.1, 0.2, 0.3 and 0.4."""
    net = build("FractalNet", dropout=0.4)
    blocks = (net.block1, net.block2, net.block3, net.block4, net.block5)
    for block, rate in zip(blocks, (0, 0.1, 0.2, 0.3, 0.4), strict=True):
        assert {round(layer.p, 6) for layer in block.modules() if isinstance(layer, nn.Dropout)} == {rate}


def test_large_images_use_the_imagenet_stem():
    """From 64 pixels on, the input of the first block has 64 channels and a quarter of the resolution."""
    for pixels, shape in ((63, (3, 63, 63)), (64, (64, 16, 16))):
        net = build("FractalNet", pixels).eval()
        shapes = []
        net.block1.register_forward_pre_hook(lambda block, inputs: shapes.append(tuple(inputs[0].shape[1:])))  # noqa: B023
        with torch.no_grad():
            net(torch.randn(1, 3, pixels, pixels))
        assert shapes == [shape]

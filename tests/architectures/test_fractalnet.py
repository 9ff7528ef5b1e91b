"""FractalNet: pytorchcv's fractalnet_cifar10, its paths, and drop-path as in the paper's section 3."""

from collections import Counter

import pytest
import torch
from pytorchcv.model_provider import get_model
from torch import Tensor, nn

from tests.architectures.networks import assert_is, build, module


def test_fractalnet_is_pytorchcvs():
    """At 32 pixels it has the parameters of pytorchcv's, and with its weights the same scores."""
    assert_is("FractalNet", get_model("fractalnet_cifar10", pretrained=False))


class Step(nn.Module):
    """Stands for a convolution: counts it."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 1


@pytest.fixture
def a_block_of_steps() -> nn.Module:
    """A fractal block that adds one where it had a convolution."""
    block = build("FractalNet").block3
    for name, _ in list(block.named_children()):
        setattr(block, name, Step())
    return block


@pytest.mark.parametrize(("meet", "length"), [(max, 4), (min, 1)], ids=["longest", "shortest"])
def test_a_fractal_block_is_up_to_four_convolutions_deep(monkeypatch, a_block_of_steps, meet, length):
    """Its longest path has four convolutions, so that five blocks have twenty, and its shortest has one."""
    monkeypatch.setattr(module("FractalNet", 1), "join", lambda outputs, drop_path: meet(outputs))
    assert a_block_of_steps(torch.tensor(0), "all", 0.0) == length


def test_a_fractal_block_has_five_paths(monkeypatch):
    """Two fractals of two paths in a row, and a convolution beside them: 2 x 2 + 1."""
    block = build("FractalNet").block3
    for name, _ in list(block.named_children()):
        setattr(block, name, nn.Identity())
    monkeypatch.setattr(module("FractalNet", 1), "join", lambda outputs, drop_path: sum(outputs))
    assert block(torch.tensor(1), "all", 0.0) == 5


def test_global_drop_path_leaves_one_column():
    """A batch that is given a column goes through its convolutions one after the other, through no others."""
    block = build("FractalNet").eval().block2
    x = torch.randn(3, 64, 4, 4)
    with torch.no_grad():
        assert torch.equal(block(x, "deep", 0.0), block.deep4(block.deep3(block.deep2(block.deep1(x)))))
        assert torch.equal(block(x, "middle", 0.0), block.middle2(block.middle1(x)))
        assert torch.equal(block(x, "shallow", 0.0), block.shallow(x))


@pytest.mark.parametrize("count", [2, 3])
def test_local_drop_path_averages_those_that_are_left(count):
    """Each input of a join drops out with the given probability, never all of them; the others are averaged."""
    torch.manual_seed(0)
    joins = 10_000
    inputs = [torch.tensor(10.0**power) for power in range(count)]
    join = module("FractalNet", 1).join
    means = Counter(round(join(inputs, 0.3).item(), 3) for _ in range(joins))
    powers = [[power for power in range(count) if subset >> power & 1] for subset in range(1, 2**count)]
    mean_of = [round(sum(10.0**power for power in chosen) / len(chosen), 3) for chosen in powers]
    assert means.keys() == set(mean_of)  # each mean is that of a subset that is not empty
    alive = 0.7 + 0.3**count / count
    for power in range(count):
        hits = sum(means[mean] for mean, chosen in zip(mean_of, powers, strict=True) if power in chosen)
        assert hits / joins == pytest.approx(alive, abs=0.02)
    assert join(inputs, 0.0) == sum(inputs) / count


def test_half_of_the_batches_drop_paths_globally_and_only_in_training():
    """All blocks are told the same: a column for half of the batches, 15 percent for the others; none in evaluation."""
    net = build("FractalNet")
    told: list[tuple] = []
    for block in (net.block1, net.block2, net.block3, net.block4, net.block5):
        block.forward = lambda x, *how: told.append(how) or x
    net.fc = nn.Identity()
    batches = 600
    with torch.no_grad():
        for _ in range(batches):
            net.train()(torch.zeros(1, 1, 16, 16))
        net.eval()(torch.zeros(1, 1, 16, 16))
    per_batch = Counter(told[::5])
    assert told == [how for how in told[::5] for _ in range(5)]
    assert told[-1] == ("all", 0.0)
    assert per_batch[told[-1]] == 1
    assert per_batch["all", 0.15] / batches == pytest.approx(1 / 2, abs=0.06)
    for column in ("deep", "middle", "shallow"):
        assert per_batch[column, 0.0] / batches == pytest.approx(1 / 6, abs=0.05)


def test_fractalnets_training_passes_differ_without_dropout_too():
    """Drop-path draws anew in each training pass."""
    net = build("FractalNet", dropout=0.0).train()
    images = torch.randn(4, 3, 16, 16)
    torch.manual_seed(0)
    with torch.no_grad():
        passes = [net(images) for _ in range(8)]
    assert not all(torch.equal(passes[0], one) for one in passes)


def test_fractalnets_dropout_grows_from_block_to_block():
    """By default the paper's rates: 0, 10, 20, 30 and 40 percent."""
    net = build("FractalNet", dropout=0.4)
    blocks = (net.block1, net.block2, net.block3, net.block4, net.block5)
    for block, rate in zip(blocks, (0, 0.1, 0.2, 0.3, 0.4), strict=True):
        assert {round(one.p, 6) for one in block.modules() if isinstance(one, nn.Dropout)} == {rate}


def test_large_images_get_the_stem_of_the_papers_network_for_imagenet():
    """From 64 pixels on the first block sees a quarter of the resolution in 64 channels, below that the image."""
    for pixels, shape in ((63, (3, 63, 63)), (64, (64, 16, 16))):
        net = build("FractalNet", pixels).eval()
        seen = []
        net.block1.register_forward_pre_hook(lambda block, inputs: seen.append(tuple(inputs[0].shape[1:])))  # noqa: B023
        with torch.no_grad():
            net(torch.randn(1, 3, pixels, pixels))
        assert seen == [shape]

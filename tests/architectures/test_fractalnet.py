"""FractalNet: pytorchcv's fractalnet_cifar10, its paths, and drop-path as in the paper's section 3."""

import pytest
import torch
from networks import assert_is, build, module
from pytorchcv.model_provider import get_model
from torch import Tensor, nn


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
    monkeypatch.setattr(module("FractalNet", 1), "join", lambda outputs, columns: meet(outputs))
    assert a_block_of_steps(torch.tensor(0), None) == length


def test_a_fractal_block_has_five_paths(monkeypatch):
    """Two fractals of two paths in a row, and a convolution beside them: 2 x 2 + 1."""
    block = build("FractalNet").block3
    for name, _ in list(block.named_children()):
        setattr(block, name, nn.Identity())
    monkeypatch.setattr(module("FractalNet", 1), "join", lambda outputs, columns: sum(outputs))
    assert block(torch.tensor(1), None) == 5


def test_global_drop_path_leaves_one_column():
    """An image that is given a column goes through its convolutions one after the other, through no others."""
    block = build("FractalNet").eval().block2
    x = torch.randn(3, 64, 4, 4)
    with torch.no_grad():
        outputs = block(x, torch.tensor([0, 1, 2]))
        torch.testing.assert_close(outputs[:1], block.deep4(block.deep3(block.deep2(block.deep1(x[:1])))))
        torch.testing.assert_close(outputs[1:2], block.middle2(block.middle1(x[1:2])))
        torch.testing.assert_close(outputs[2:], block.shallow(x[2:]))


@pytest.mark.parametrize("count", [2, 3])
def test_local_drop_path_averages_those_that_are_left(count):
    """Each input of a join drops out with a probability of 0.15, never all of them; the others are averaged."""
    torch.manual_seed(0)
    images = 20_000
    inputs = [torch.full((images, 1, 1, 1), 10.0**power) for power in range(count)]
    means = module("FractalNet", 1).join(inputs, torch.full((images,), -1)).flatten()
    left = torch.zeros(images, dtype=torch.long)
    spared = []
    for subset in range(1, 2**count):
        chosen = [power for power in range(count) if subset >> power & 1]
        hit = (means - sum(10.0**power for power in chosen) / len(chosen)).abs() < 1e-4
        left += hit
        spared += [(power, int(hit.sum())) for power in chosen]
    assert left.eq(1).all()  # each mean is that of one subset that is not empty
    alive = 0.85 + 0.15**count / count
    for power in range(count):
        assert sum(hits for one, hits in spared if one == power) / images == pytest.approx(alive, abs=0.01)


def test_half_of_a_batch_drops_paths_globally_and_only_in_training():
    """All blocks are told the same: a column for each image of one half, none for the other; nothing in evaluation."""
    net = build("FractalNet")
    told: list[Tensor | None] = []
    for block in (net.block1, net.block2, net.block3, net.block4, net.block5):
        block.register_forward_pre_hook(lambda block, inputs: told.append(inputs[1]))
    images = torch.randn(40, 3, 16, 16)
    with torch.no_grad():
        net.train()(images)
        assert len(told) == 5
        assert all(torch.equal(columns, told[0]) for columns in told)
        assert set(told[0][:20].tolist()) == {0, 1, 2}
        assert set(told[0][20:].tolist()) == {-1}
        net.eval()(images[:1])
    assert told[5:] == [None] * 5


def test_fractalnets_training_passes_differ_without_dropout_too():
    """Drop-path draws anew in each training pass."""
    net = build("FractalNet", dropout=0.0).train()
    images = torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        assert not torch.equal(net(images), net(images))


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

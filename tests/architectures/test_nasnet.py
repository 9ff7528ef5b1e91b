"""NASNet: pytorchcv's port of NASNet-A (4 @ 1056)."""

import re
from collections.abc import Iterator

import pytest
import torch
from pytorchcv.model_provider import get_model
from pytorchcv.models.nasnet import FirstUnit, NASNetInitBlock, NormalUnit, Reduction1Unit
from torch import Tensor, nn

from tests.architectures.networks import assert_equal, assert_is, build, copy_weights, settle

RENAMED = (
    (r"path\.path(\d)\.conv", r"preprocess_prev.conv\1"),
    (r"path\.bn", "preprocess_prev.bn"),
    (r"conv1x1_prev\.conv", "preprocess_prev.1"),
    (r"conv1x1_prev\.bn", "preprocess_prev.2"),
    (r"conv1x1\.conv", "preprocess.1"),
    (r"conv1x1\.bn", "preprocess.2"),
    (r"comb(\d)_(left|right)\.conv(\d)\.conv\.dw_conv", r"comb\1_\2.depthwise\3"),
    (r"comb(\d)_(left|right)\.conv(\d)\.conv\.pw_conv", r"comb\1_\2.pointwise\3"),
    (r"comb(\d)_(left|right)\.conv(\d)\.bn", r"comb\1_\2.bn\3"),
    (r"stem1_unit", "stem.0"),
    (r"stem2_unit", "stem.1"),
    (r"init_block\.(conv|bn)", r"\g<1>0"),
    (r"output\.fc", "fc"),
    (r"features\.", ""),
)


def names(state: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Renames pytorchcv's weights; its units are cells, which are numbered consecutively."""
    cells: list[str] = []
    for key, value in state.items():
        name = key
        if (unit := re.search(r"stage\d\.unit\d+|units\.\d+", key)) is not None:
            if unit[0] not in cells:
                cells.append(unit[0])
            name = key.replace(unit[0], f"cells.{cells.index(unit[0])}")
        for pattern, replacement in RENAMED:
            name = re.sub(pattern, replacement, name)
        yield name, value


class CifarNASNet(nn.Module):
    """The paper's network for CIFAR: pytorchcv's cells after a single 3x3 convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.init_block = NASNetInitBlock(3, 132)
        self.init_block.conv.stride, self.init_block.conv.padding = (1, 1), (1, 1)
        widths = [132, 132]
        self.units = nn.ModuleList()
        for unit, width in (
            *[(NormalUnit, 264)] * 4,
            (Reduction1Unit, 352),
            (FirstUnit, 528),
            *[(NormalUnit, 528)] * 3,
            (Reduction1Unit, 704),
            (FirstUnit, 1056),
            *[(NormalUnit, 1056)] * 3,
        ):
            self.units.append(unit(widths[-1], widths[-2], width))
            widths.append(width)
        self.fc = nn.Linear(1056, 10)

    def forward(self, x: Tensor) -> Tensor:
        outputs = [self.init_block(x)] * 2
        for unit in self.units:
            outputs.append(unit(outputs[-1], outputs[-2]))
        return self.fc(outputs[-1].relu().mean(dim=(2, 3)))


def test_nasnet_matches_pytorchcv():
    """At 224 pixels, the parameter count and the logits equal those of pytorchcv's nasnet_4a1056."""
    torch.manual_seed(1)
    assert_is("NASNet", get_model("nasnet_4a1056"), names)


def test_nasnet_stem_for_small_images_is_a_single_convolution():
    """At 32 pixels, the logits equal those of pytorchcv's cells after a 3x3 convolution."""
    torch.manual_seed(1)
    reference = settle(CifarNASNet(), 32)
    net = build("NASNet", 32)
    copy_weights(reference, net, names)
    assert_equal(net, reference, 32)


def test_nasnet_cells_take_the_two_previous_outputs():
    """Each cell takes the last two outputs; normal cells output 6 * ``channels``, reduction cells 4 * ``channels``."""
    net = build("NASNet", 64).eval()
    inputs, outputs = [], []
    for cell in (*net.stem, *net.cells):
        cell.register_forward_pre_hook(lambda module, args: inputs.append(args))
    for module in (net.bn0, *net.stem, *net.cells):
        module.register_forward_hook(lambda module, args, output: outputs.append(output))
    with torch.no_grad():
        net(torch.randn(1, 3, 64, 64))
    assert inputs[0][0] is inputs[0][1] is outputs[0]
    for index, (x, x_prev) in enumerate(inputs[1:], start=1):
        assert x is outputs[index]
        assert x_prev is outputs[index - 1]
    shapes = [tuple(output.shape[1:3]) for output in outputs]
    expected = [(32, 31), (44, 16), (88, 8), *[(264, 8)] * 4, (352, 4), *[(528, 4)] * 4, (704, 2), *[(1056, 2)] * 4]
    assert shapes == expected


@pytest.mark.parametrize("size", [7, 8])
def test_nasnet_reduction_cells_halve_odd_and_even_sizes(size):
    """A reduction cell and the factorized reduction in the next cell halve the resolution, rounded up."""
    net = build("NASNet", 32).eval()
    x = torch.randn(1, 264, size, size)
    with torch.no_grad():
        reduced = net.cells[4](x, x)
        assert reduced.shape == (1, 352, 4, 4)
        assert net.cells[5](reduced, x).shape == (1, 528, 4, 4)


def test_nasnet_drops_features_in_training_only():
    """Two passes in training mode differ with dropout and agree without it; in evaluation mode they agree."""
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        net = build("NASNet", 16, dropout=0.0).train()
        assert torch.equal(net(images), net(images))
        net = build("NASNet", 16, dropout=0.5).train()
        assert not torch.equal(net(images), net(images))
        assert torch.equal(net.eval()(images), net(images))

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
    (r"init_block\.", ""),
    (r"output\.fc", "fc"),
    (r"features\.", ""),
)


def names(theirs: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """pytorchcv's weights under our names: its units are our cells, numbered consecutively."""
    cells: list[str] = []
    for key, value in theirs.items():
        name = key
        if (unit := re.search(r"stage\d\.unit\d+|units\.\d+", key)) is not None:
            if unit[0] not in cells:
                cells.append(unit[0])
            name = key.replace(unit[0], f"cells.{cells.index(unit[0])}")
        for pattern, ours in RENAMED:
            name = re.sub(pattern, ours, name)
        yield name, value


class Cifar(nn.Module):
    """pytorchcv's cells after a single 3x3 convolution: the paper's CIFAR network."""

    def __init__(self) -> None:
        super().__init__()
        self.init_block = NASNetInitBlock(3, 132)
        self.init_block.conv.stride, self.init_block.conv.padding = (1, 1), (1, 1)
        widths = [132, 132]
        self.units = nn.ModuleList()
        for make, width in (
            *[(NormalUnit, 264)] * 4,
            (Reduction1Unit, 352),
            (FirstUnit, 528),
            *[(NormalUnit, 528)] * 3,
            (Reduction1Unit, 704),
            (FirstUnit, 1056),
            *[(NormalUnit, 1056)] * 3,
        ):
            self.units.append(make(widths[-1], widths[-2], width))
            widths.append(width)
        self.fc = nn.Linear(1056, 10)

    def forward(self, x: Tensor) -> Tensor:
        outputs = [self.init_block(x)] * 2
        for unit in self.units:
            outputs.append(unit(outputs[-1], outputs[-2]))
        return self.fc(outputs[-1].relu().mean(dim=(2, 3)))


def test_nasnet_is_pytorchcvs():
    """At 224 pixels it has pytorchcv's parameters and, with pytorchcv's weights, gives pytorchcv's logits."""
    torch.manual_seed(1)
    assert_is("NASNet", get_model("nasnet_4a1056"), names)


def test_nasnets_small_stem_is_a_single_convolution():
    """At 32 pixels it is pytorchcv's cells after a 3x3 convolution, both inputs of the first cell."""
    torch.manual_seed(1)
    reference = settle(Cifar(), 32)
    net = build("NASNet", 32)
    copy_weights(reference, net, names)
    assert_equal(net, reference, 32)


def test_nasnets_cells_take_the_two_previous_outputs():
    """Each cell takes the last two outputs; a normal cell has six times ``channels``, a reduction cell four times."""
    net = build("NASNet", 64).eval()
    inputs, outputs = [], []
    for cell in (*net.stem, *net.cells):
        cell.register_forward_pre_hook(lambda module, given: inputs.append(given))
    for module in (net.bn, *net.stem, *net.cells):
        module.register_forward_hook(lambda module, given, made: outputs.append(made))
    with torch.no_grad():
        net(torch.randn(1, 3, 64, 64))
    assert inputs[0][0] is inputs[0][1] is outputs[0]
    for index, (x, x_prev) in enumerate(inputs[1:], start=1):
        assert x is outputs[index]
        assert x_prev is outputs[index - 1]
    found = [tuple(output.shape[1:3]) for output in outputs]
    wanted = [(32, 31), (44, 16), (88, 8), *[(264, 8)] * 4, (352, 4), *[(528, 4)] * 4, (704, 2), *[(1056, 2)] * 4]
    assert found == wanted


@pytest.mark.parametrize("size", [7, 8])
def test_nasnets_reduction_cells_halve_odd_and_even_sizes(size):
    """A reduction cell and the factorized reduction of the output before it halve the resolution, rounded up."""
    net = build("NASNet", 32).eval()
    x = torch.randn(1, 264, size, size)
    with torch.no_grad():
        made = net.cells[4](x, x)
        assert made.shape == (1, 352, 4, 4)
        assert net.cells[5](made, x).shape == (1, 528, 4, 4)


def test_nasnet_drops_features_in_training_only():
    """Without dropout two training passes agree, with it they differ, and it is off in evaluation."""
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        kept = build("NASNet", 16, dropout=0.0).train()
        assert torch.equal(kept(images), kept(images))
        dropped = build("NASNet", 16, dropout=0.5).train()
        assert not torch.equal(dropped(images), dropped(images))
        assert torch.equal(dropped.eval()(images), dropped(images))

"""What holds for every network, whichever it is: LEMUR's demands, and those of whoever trains it.

What a network is compared with, and what gives it its name, stands in the files beside this one.
"""

import copy
import io
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree

from lrgen.verify.checks.recorder import Recorder
from tests.architectures.networks import CATALOGUE, at_reference, build, count, module, stir

SLOW = pytest.mark.slow


@pytest.fixture(
    scope="module",  # the tests of one network follow each other, and one process runs them
    params=[pytest.param(one.name, marks=pytest.mark.xdist_group(one.name)) for one in CATALOGUE.architectures],
)
def name(request: pytest.FixtureRequest) -> str:
    """Every architecture."""
    return str(request.param)


def total(output: Any) -> Tensor:
    """One number that depends on all that a network returns; in training that may be several tensors."""
    return torch.stack([leaf.float().square().mean() for leaf in pytree.tree_leaves(output)]).sum()


def loss_of(output: Any, labels: Tensor) -> Tensor:
    """The cross-entropy of each of a network's outputs."""
    return torch.stack([F.cross_entropy(leaf, labels) for leaf in pytree.tree_leaves(output)]).sum()


def test_the_declared_parameters_are_counted(name):
    """``parameters`` of architecture.toml is the number in the network at the reference's size and classes."""
    assert count(at_reference(name)) == CATALOGUE.architecture(name).parameters


@pytest.mark.parametrize(
    ("pixels", "channels", "classes"),
    [(32, 1, 2), pytest.param(32, 3, 100, marks=SLOW), pytest.param(64, 3, 10, marks=SLOW), (224, 1, 7)],
)
def test_any_image_gets_one_score_a_class(name, pixels, channels, classes):
    """32 to 224 pixels, grey and coloured, 2 to 100 classes, a single image in evaluation: finite scores, float32."""
    net = build(name, pixels, classes, channels=channels, batch=1).eval()
    with torch.no_grad():
        scores = net(torch.randn(1, channels, pixels, pixels))
    assert scores.shape == (1, classes)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()


def test_the_smallest_input_trains(name):
    """``smallest_input`` of architecture.toml goes forwards and backwards."""
    pixels = CATALOGUE.architecture(name).smallest_input
    net = build(name, pixels).train()
    total(net(torch.randn(2, 3, pixels, pixels))).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in net.parameters())


def test_images_that_are_not_square_are_taken(name):
    """Height and width need not be the same."""
    net = build(name, (32, 64)).eval()
    with torch.no_grad():
        assert net(torch.randn(1, 3, 32, 64)).shape == (1, 10)


@pytest.mark.parametrize("pixels", [32, pytest.param(64, marks=SLOW)])
def test_gradients_reach_every_parameter(name, pixels):
    """No parameter is dead weight: each gets a gradient that is not zero, within a few passes that drop some paths."""
    net = build(name, pixels).train()
    for _ in range(20):
        loss_of(net(torch.randn(4, 3, pixels, pixels)), torch.tensor([0, 1, 2, 3])).backward()
        if all(value.grad is not None and value.grad.abs().sum() > 0 for value in net.parameters()):
            break
    without = [key for key, value in net.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert without == []


def test_the_score_of_an_image_does_not_depend_on_its_batch(name):
    """In evaluation the images of a batch do not see each other, and the same image always gets the same scores."""
    net = stir(build(name)).eval().double()  # rounding depends on the size of the batch
    images = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        together = net(images)
        assert torch.equal(net(images), together)
        alone = torch.cat([net(image[None]) for image in images])
        torch.testing.assert_close(together, alone, rtol=1e-8, atol=1e-8)


def test_a_fresh_network_is_neither_saturated_nor_silent(name):
    """The scores of a fresh network, batch statistics in use, are of the order of one."""
    net = build(name).train()
    with torch.no_grad():
        leaves = pytree.tree_leaves(net(torch.randn(16, 3, 32, 32)))
    assert all(0.02 < leaf.std().item() < 20 for leaf in leaves)


def test_a_network_computes_in_bfloat16(name):
    """In bfloat16 it gives bfloat16 scores near those of float32: no tensor of it has a fixed type."""
    pixels = CATALOGUE.architecture(name).smallest_input
    net = build(name, pixels).eval()
    images = torch.randn(2, 3, pixels, pixels)
    with torch.no_grad():
        wanted = net(images)
        found = net.to(torch.bfloat16)(images.to(torch.bfloat16))
    assert found.dtype == torch.bfloat16
    assert (found.float() - wanted).abs().max() < 0.1 * max(1.0, wanted.abs().max().item())


def test_a_state_dict_is_the_whole_network(name):
    """Saved and loaded into a network with other weights, it gives the same scores, exactly."""
    net, other = stir(build(name)).eval(), build(name).eval()
    saved = io.BytesIO()
    torch.save(net.state_dict(), saved)
    saved.seek(0)
    other.load_state_dict(torch.load(saved, weights_only=True))
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(other(images), net(images))


def test_two_networks_of_one_file_share_nothing(name):
    """A network trained beside another leaves the other, and what a third one starts with, as they were."""
    first, second = build(name), build(name)
    before = copy.deepcopy(second.state_dict())
    with torch.no_grad():
        for value in first.state_dict().values():
            value.add_(1)
        first.train()(torch.randn(4, 3, 32, 32))
    third = build(name).state_dict()
    for key, value in second.state_dict().items():
        assert torch.equal(value, before[key])
        assert torch.equal(value, third[key])
    names = [key for key, value in vars(module(name)).items() if isinstance(value, (Tensor, nn.Module, list, dict))]
    assert [key for key in names if not key.startswith("__")] == []


def test_two_batches_are_learned(name):
    """``learn`` returns the means over images of the accuracy and of the loss that it differentiates; all parameters
    move (within a few epochs where paths drop out), and the network is in training mode.
    """
    net = build(name, batch=4)
    net.train_setup({"lr": 1e-3, "momentum": 0.9, "dropout": 0.2, "epoch_max": 2})
    before = {key: value.clone() for key, value in net.named_parameters()}
    recorder = Recorder(net.criterion)
    net.eval()
    for _ in range(10):
        recorder.clear()
        with recorder:
            accuracy, loss = net.learn([(torch.randn(size, 3, 32, 32), torch.arange(size)) for size in (4, 2)])
        assert net.training
        assert accuracy == pytest.approx(recorder.mean(recorder.accuracies))
        assert loss == pytest.approx(recorder.mean(recorder.losses), rel=1e-5)
        assert 0 < loss < math.inf
        still = [key for key, value in net.named_parameters() if torch.equal(value, before[key])]
        if not still:
            break
    assert still == []


def test_the_optimizer_is_that_of_the_recipe(name):
    """The rate and the momentum come from ``prm``, the rest from the architecture's recipe, and all of it is used."""
    recipe = CATALOGUE.architecture(name).recipe

    def optimizer(**prm: float) -> torch.optim.Optimizer:
        net = build(name)
        net.train_setup({"lr": 0.0123, "momentum": 0.77, "dropout": 0.2, **prm})
        assert net.criterion.label_smoothing == recipe.label_smoothing
        held = {id(value) for group in net.optimizer.param_groups for value in group["params"]}
        assert held == {id(value) for value in net.parameters()}
        return net.optimizer

    used = optimizer()
    assert type(used).__name__.lower() == recipe.optimizer
    assert used.defaults["lr"] == 0.0123
    assert used.defaults["weight_decay"] == recipe.weight_decay or not recipe.weight_decay
    if recipe.optimizer == "sgd":
        assert (used.defaults["momentum"], used.defaults["nesterov"]) == (0.77, recipe.nesterov)
    if recipe.weight_decay:
        assert optimizer(weight_decay=0.5).defaults["weight_decay"] == 0.5


@pytest.mark.slow
def test_a_network_compiles(name):
    """``torch.compile`` makes one graph of it that gives the same scores."""
    net = build(name).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        found = torch.compile(net, fullgraph=True, backend="aot_eager")(images)
        torch.testing.assert_close(found, net(images), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("pixels", [48, 96, 128, 256, 299])
def test_other_sizes_are_taken(name, pixels):
    """The sizes that people scale images to go through, forwards and backwards."""
    net = build(name, pixels)
    loss_of(net.train()(torch.randn(2, 3, pixels, pixels)), torch.tensor([0, 1])).backward()
    with torch.no_grad():
        assert net.eval()(torch.randn(1, 3, pixels, pixels)).shape == (1, 10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_network_runs_on_a_gpu(name):
    """On a CUDA device it gives the scores that it gives on the processor."""
    net = build(name).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        wanted = net(images)
        found = net.to("cuda")(images.to("cuda")).cpu()
    torch.testing.assert_close(found, wanted, rtol=1e-2, atol=1e-2)

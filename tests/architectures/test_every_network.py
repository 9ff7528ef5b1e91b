"""Contract of every network: LEMUR's interface, and what training and deployment require.

The other files of this folder compare each network with its reference.
"""

import copy
import inspect
import io
import math
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree

from tests.architectures.networks import (
    ALIKE,
    CATALOGUE,
    RENDERER,
    at_reference,
    build,
    count,
    every_name,
    kernels,
    module,
    stir,
)
from tests.architectures.recorder import Recorder

SLOW = pytest.mark.slow
# The layers in the names of helpers such as ``conv_bn_relu``.
LAYERS = {
    "conv": nn.Conv2d,
    "bn": nn.BatchNorm2d,
    "leaky_relu": nn.LeakyReLU,
    "relu6": nn.ReLU6,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
}


@pytest.fixture(scope="module", params=every_name())  # the tests of one network follow each other
def name(request: pytest.FixtureRequest) -> str:
    """The name of every architecture."""
    return str(request.param)


one_of_each_kind = pytest.mark.parametrize("name", every_name(slow=ALIKE), indirect=True)


def total(output: Any) -> Tensor:
    """A scalar that depends on all outputs of a network, which in training may be several tensors."""
    return torch.stack([leaf.float().square().mean() for leaf in pytree.tree_leaves(output)]).sum()


def loss_of(output: Any, labels: Tensor) -> Tensor:
    """The sum of the cross-entropies of a network's outputs."""
    return torch.stack([F.cross_entropy(leaf, labels) for leaf in pytree.tree_leaves(output)]).sum()


def test_the_parameter_count_is_the_declared_one(name):
    """``parameters`` of architecture.toml is the parameter count for the reference's input size and classes."""
    assert count(at_reference(name, "meta")) == CATALOGUE.architecture(name).parameters


def test_a_helper_makes_the_layers_of_its_name(name):
    """``conv_bn`` is a convolution and batch norm, ``conv_bn_relu`` has a ReLU as well, and so on, in every network."""
    for helper, make in vars(module(name)).items():
        if "conv_bn" in helper:
            required = [value for value in inspect.signature(make).parameters.values() if value.default is value.empty]
            layers = [type(layer) for layer in make(*[8 for _ in required])]
            assert layers == [LAYERS[part] for part in re.findall("|".join(LAYERS), helper)], helper


def matrices(name: str, pixels: int) -> dict[str, bool]:
    """The parameters of two or more dimensions; whether each is the weight of a convolution or a linear layer."""
    rendered = module(name)
    net = build(name, pixels, device="meta")
    weights = {nn.Conv2d: {"weight"}, nn.Linear: {"weight"}, getattr(rendered, "ComplexConv2d", None): {"real", "imag"}}
    return {
        f"{path}.{key}".lstrip("."): key in weights.get(type(layer), ())
        for path, layer in net.named_modules()
        for key, value in layer.named_parameters(recurse=False)
        if value.dim() > 1
    }


@pytest.mark.parametrize("pixels", [32, 224])
def test_matrices_without_weight_decay_are_listed(name, pixels):
    """``no_decay`` has the ends of the names of all parameters with two or more dimensions, except the weights of
    convolutions and linear layers, and no other end.
    """
    ends = CATALOGUE.architecture(name).no_decay
    parameters = matrices(name, pixels)
    assert {key for key in parameters if key.endswith(ends)} == {key for key in parameters if not parameters[key]}
    assert [end for end in ends if not any(key.endswith(end) for key in parameters)] == []


@one_of_each_kind
@pytest.mark.parametrize(
    ("pixels", "channels", "classes"),
    [(32, 1, 2), pytest.param(32, 3, 100, marks=SLOW), pytest.param(64, 3, 10, marks=SLOW), (224, 1, 7)],
)
def test_any_image_gets_one_logit_per_class(name, pixels, channels, classes):
    """For an image of 32 to 224 pixels, 1 or 3 channels and 2 to 100 classes, the logits are finite float32."""
    net = build(name, pixels, classes, channels=channels, batch=1).eval()
    with torch.no_grad():
        logits = net(torch.randn(1, channels, pixels, pixels))
    assert logits.shape == (1, classes)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@one_of_each_kind
def test_the_smallest_input_trains(name):
    """An input of ``smallest_input`` pixels passes forward and backward with finite gradients."""
    pixels = CATALOGUE.architecture(name).smallest_input
    net = build(name, pixels).train()
    total(net(torch.randn(2, 3, pixels, pixels))).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in net.parameters())


@one_of_each_kind
def test_height_and_width_may_differ(name):
    """Images of 32x64 pixels get logits."""
    net = build(name, (32, 64)).eval()
    with torch.no_grad():
        assert net(torch.randn(1, 3, 32, 64)).shape == (1, 10)


@pytest.mark.slow
@pytest.mark.parametrize("pixels", [32, 64])
def test_gradients_reach_every_parameter(name, pixels):
    """Each parameter gets a non-zero gradient, within a few passes for networks that drop paths at random."""
    net = build(name, pixels).train()
    for _ in range(20):
        loss_of(net(torch.randn(4, 3, pixels, pixels)), torch.tensor([0, 1, 2, 3])).backward()
        if all(value.grad is not None and value.grad.abs().sum() > 0 for value in net.parameters()):
            break
    without_gradient = [
        key for key, value in net.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0
    ]
    assert without_gradient == []


@one_of_each_kind
def test_the_logits_of_an_image_do_not_depend_on_its_batch(name):
    """In evaluation, the logits of an image are deterministic and the same in a batch and alone."""
    net = stir(build(name)).eval().double()  # rounding errors depend on the batch size
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        batched, single = net(images), torch.cat([net(image[None]) for image in images])
    torch.testing.assert_close(batched, single, rtol=1e-8, atol=1e-8)


@one_of_each_kind
def test_the_initial_logits_are_of_the_order_of_one(name):
    """The standard deviation of the logits of a network with initial weights is between 0.02 and 20."""
    net = build(name).train()
    with torch.no_grad():
        leaves = pytree.tree_leaves(net(torch.randn(4, 3, 32, 32)))
    assert all(0.02 < leaf.std().item() < 20 for leaf in leaves)


@one_of_each_kind
def test_a_network_computes_in_bfloat16(name):
    """In bfloat16, the logits are bfloat16 and close to those of float32: no tensor has a fixed dtype."""
    pixels = CATALOGUE.architecture(name).smallest_input
    net = build(name, pixels).eval()
    images = torch.randn(2, 3, pixels, pixels)
    with torch.no_grad():
        expected = net(images)
        actual = net.to(torch.bfloat16)(images.to(torch.bfloat16))
    assert actual.dtype == torch.bfloat16
    assert (actual.float() - expected).abs().max() < 0.1 * max(1.0, expected.abs().max().item())


@one_of_each_kind
def test_a_state_dict_holds_the_whole_network(name):
    """A network that loads the saved state of another has the same logits, bit for bit."""
    net, loaded = stir(build(name)).eval(), build(name).eval()
    saved = io.BytesIO()
    torch.save(net.state_dict(), saved)
    saved.seek(0)
    loaded.load_state_dict(torch.load(saved, weights_only=True))
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded(images), net(images))


@one_of_each_kind
def test_two_networks_of_one_file_share_no_state(name):
    """Changes of a network's state leave other networks of the same file, built before or after, unchanged."""
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
    mutable = [key for key, value in vars(module(name)).items() if isinstance(value, (Tensor, nn.Module, list, dict))]
    assert [key for key in mutable if not key.startswith("__")] == []


@one_of_each_kind
def test_learn_trains_every_parameter(name):
    """``learn`` returns the mean accuracy and loss over images, ends in training mode and trains all parameters: a
    gradient that is not zero reaches each of them, and each changes.

    It takes a few epochs for paths that are dropped at random, and for a batch norm that feeds another one: the loss
    does not depend on its weight as long as its bias is zero.
    """
    net = build(name, batch=4)
    net.train_setup({"lr": 0.02, "momentum": 0.9, "dropout": 0.2, "epoch_max": 90})
    before = {key: value.clone() for key, value in net.named_parameters()}
    without_gradient = set(before)
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
        without_gradient -= {
            key for key, value in net.named_parameters() if value.grad is not None and value.grad.any()
        }
        unchanged = [key for key, value in net.named_parameters() if torch.equal(value, before[key])]
        if not without_gradient and not unchanged:
            break
    assert (without_gradient, unchanged) == (set(), [])


def test_the_optimizer_is_that_of_the_recipe(name):
    """The learning rate and the momentum come from ``prm``, all other settings from the architecture's recipe."""
    recipe = CATALOGUE.architecture(name).recipe
    net = build(name)

    def optimizer(**prm: float) -> torch.optim.Optimizer:
        net.train_setup({"lr": 0.0123, "momentum": 0.77, "dropout": 0.2, **prm})
        assert net.criterion.label_smoothing == recipe.label_smoothing
        optimized = {id(value) for group in net.optimizer.param_groups for value in group["params"]}
        assert optimized == {id(value) for value in net.parameters()}
        return net.optimizer

    default = optimizer()
    assert type(default).__name__.lower() == recipe.optimizer
    assert default.defaults["lr"] == 0.0123
    assert default.defaults["weight_decay"] == recipe.weight_decay or not recipe.weight_decay
    if recipe.optimizer == "sgd":
        assert (default.defaults["momentum"], default.defaults["nesterov"]) == (0.77, recipe.nesterov)
        assert not optimizer(momentum=0.0).defaults["nesterov"]
    if recipe.weight_decay:
        assert optimizer(weight_decay=0.5).defaults["weight_decay"] == 0.5


def test_weight_decay_applies_to_kernels_only(name):
    """The kernels of convolutions and linear layers decay; norms, biases, embeddings and layer scales do not."""
    net = build(name)
    net.train_setup({"lr": 0.01, "momentum": 0.9, "dropout": 0.2})
    names = {id(value): key for key, value in net.named_parameters()}
    decay = {names[id(p)]: group["weight_decay"] for group in net.optimizer.param_groups for p in group["params"]}
    recipe = CATALOGUE.architecture(name).recipe
    assert decay == {key: recipe.weight_decay if key in kernels(net) else 0.0 for key in decay}
    assert len(net.optimizer.param_groups) == (2 if recipe.weight_decay else 1)


def test_only_batch_norm_is_estimated_anew_for_averaged_weights(name):
    """A schedule-free file makes a second pass over some batches only if the network has running statistics."""
    variant = CATALOGUE.variant(176)
    text = RENDERER.render(CATALOGUE.architecture(name), variant).text
    net = build(name)
    norms = any("running_mean" in key for key in net.state_dict())
    known = any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in net.modules())
    assert ("islice(train_data" in text) == norms
    assert ("update_bn(" in text) == known  # it returns at once from a network without torch's classes


@pytest.mark.slow
def test_a_network_compiles(name):
    """``torch.compile`` captures a network in one graph with the same logits."""
    net = build(name).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        compiled = torch.compile(net, fullgraph=True, backend="aot_eager")(images)
        torch.testing.assert_close(compiled, net(images), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("pixels", [48, 96, 128, 256, 299])
def test_other_input_sizes_are_supported(name, pixels):
    """Images of other common sizes pass forward and backward."""
    net = build(name, pixels)
    loss_of(net.train()(torch.randn(2, 3, pixels, pixels)), torch.tensor([0, 1])).backward()
    with torch.no_grad():
        assert net.eval()(torch.randn(1, 3, pixels, pixels)).shape == (1, 10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_network_runs_on_a_gpu(name):
    """The logits on a CUDA device equal those on the CPU."""
    net = build(name).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = net(images)
        actual = net.to("cuda")(images.to("cuda")).cpu()
    torch.testing.assert_close(actual, expected, rtol=1e-2, atol=1e-2)

"""The declared layers of every architecture, as parameter groups of a layer-wise schedule."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from lrgen import catalogue as catalogues
from lrgen.records import Architecture
from lrgen.render.renderer import Renderer
from tests.architectures.networks import every_name, kernels
from tests.paths import TINY

CATALOGUE = catalogues.load([TINY])
NAMES = [architecture.name for architecture in CATALOGUE.architectures]
UNFREEZING, FREEZING = 174, 175
LAYERWISE = [variant.number for variant in CATALOGUE.variants if variant.layerwise]
# Those that are trained layer by layer in the fast tests: each optimizer of a recipe, auxiliary classifiers, paths that
# are dropped, and parameters that are no kernels and have layers of their own.
TRAINED = (
    "Tiny",
    "BayesianNet",
    "ComplexNet",
    "Diffuser",
    "FractalNet",
    "GoogLeNet",
    "MobileNetV4",
    "ResNet",
    "SwinTransformer",
)
every_architecture = pytest.mark.parametrize("name", every_name(NAMES))
both_sizes = pytest.mark.parametrize("pixels", [32, 224])


def module_of(architecture: Architecture, number: int) -> ModuleType:
    """The rendered file of an architecture and a variant, executed as a module."""
    text = Renderer(CATALOGUE).render(architecture, CATALOGUE.variant(number)).text
    rendered = ModuleType("rendered")
    exec(compile(text, "rendered", "exec"), rendered.__dict__)
    return rendered


@cache
def module(name: str, number: int) -> ModuleType:
    """The rendered file of an architecture of the catalogue."""
    return module_of(CATALOGUE.architecture(name), number)


def set_up(rendered: ModuleType, pixels: int = 32, device: str = "cpu", **prm: float) -> Any:
    """The network of a rendered file for ten classes, set up for four epochs of training.

    On the device ``meta`` tensors have shapes and no values: the forward pass takes no time.
    """
    torch.manual_seed(0)
    values = {"lr": 0.05, "momentum": 0.9, "dropout": 0.1, "epoch_max": 4, **prm}
    with torch.device(device):
        net = rendered.Net((2, 3, pixels, pixels), (10,), values, torch.device(device))
    net.train_setup(values)
    return net


@cache
def without_values(name: str, pixels: int) -> Any:
    """The network of an architecture on the device ``meta``, for the tests that read its layers."""
    return set_up(module(name, UNFREEZING), pixels, "meta")


@every_architecture
@both_sizes
def test_every_parameter_is_in_exactly_one_layer(name, pixels):
    """The parameter groups partition the network's parameters into layers with depths 0, 1, 2 and so on in order."""
    net = without_values(name, pixels)
    groups = net.optimizer.param_groups
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    assert [names[key] for key in names if key not in grouped] == []
    assert [names[key] for key in names if grouped.count(key) > 1] == []
    assert set(grouped) <= names.keys()
    assert all(group["params"] for group in groups)
    depths = [group["depth"] for group in groups]
    assert depths == sorted(depths)
    assert set(depths) == set(range(max(depths) + 1))
    assert max(depths) >= 2
    weight_decay = CATALOGUE.architecture(name).recipe.weight_decay
    decay = {names[id(parameter)]: group["weight_decay"] for group in groups for parameter in group["params"]}
    assert decay == {key: weight_decay if key in kernels(net) else 0.0 for key in decay}


class FirstUses(TorchFunctionMode):
    """Records the order in which the layers are first used in a computation."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__()
        self._depths = {id(parameter): group["depth"] for group in groups for parameter in group["params"]}
        self.order: list[int] = []

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if getattr(function, "__name__", "") != "__get__":  # reading an attribute such as the shape is not a use
            for leaf in pytree.tree_leaves((args, kwargs)):
                depth = self._depths.get(id(leaf))
                if depth is not None and depth not in self.order:
                    self.order.append(depth)
        return function(*args, **(kwargs or {}))


@every_architecture
@both_sizes
def test_the_layers_are_in_the_order_in_which_the_forward_pass_uses_them(name, pixels):
    """In training and in evaluation, layers are first used in the order of their depth, and every layer is used."""
    net = without_values(name, pixels)
    groups = net.optimizer.param_groups
    used: set[int] = set()
    for mode in (True, False):
        net.train(mode)
        with torch.no_grad(), FirstUses(groups) as uses:
            net(torch.randn(2, 3, pixels, pixels, device="meta"))
        assert uses.order == sorted(uses.order)
        used |= set(uses.order)
    assert used == {group["depth"] for group in groups}


def test_layers_in_the_wrong_order_are_detected():
    """The recorded order shows two layers with swapped depths."""
    net = set_up(module("Tiny", UNFREEZING))
    groups = net.optimizer.param_groups
    for group in groups:
        group["depth"] = {1: 3, 3: 1}.get(group["depth"], group["depth"])
    with torch.no_grad(), FirstUses(groups) as uses:
        net(torch.randn(2, 3, 32, 32))
    assert uses.order == [0, 3, 2, 1, 4]


def test_the_layers_of_resnet18_match_timm():
    """Each parameter of ResNet-18 has the depth that timm's layer decay gives to the parameter of the same name."""
    reference = timm.create_model("resnet18")
    names = {id(parameter): name for name, parameter in reference.named_parameters()}
    scales = {
        names[id(parameter)]: group["lr_scale"]
        for group in param_groups_layer_decay(reference, layer_decay=0.5)
        for parameter in group["params"]
    }
    net = set_up(module("ResNet18", UNFREEZING), pixels=224)
    groups = net.optimizer.param_groups
    depths = {id(parameter): group["depth"] for group in groups for parameter in group["params"]}
    assert set(depths.values()) == set(range(10))
    assert {name: 0.5 ** (9 - depths[id(parameter)]) for name, parameter in net.named_parameters()} == scales


# Training of the layers under layer-wise schedules.


def batches(count: int = 2) -> list[tuple[Tensor, Tensor]]:
    """Batches of random images and labels."""
    torch.manual_seed(1)
    return [(torch.randn(2, 3, 32, 32), torch.randint(10, (2,))) for _ in range(count)]


def weights(net: Any) -> list[list[Tensor]]:
    """Copies of the parameters of each layer."""
    layers: dict[int, list[Tensor]] = {}
    for group in net.optimizer.param_groups:
        layers.setdefault(group["depth"], []).extend(parameter.detach().clone() for parameter in group["params"])
    return list(layers.values())


def changed(before: list[list[Tensor]], after: list[list[Tensor]]) -> list[bool]:
    """Whether each layer has changed by at least one bit."""
    return [not all(map(torch.equal, old, new)) for old, new in zip(before, after, strict=True)]


@pytest.mark.parametrize("name", every_name(NAMES, slow=set(NAMES) - set(TRAINED)))
def test_a_layer_is_trained_once_it_is_unfrozen(name):
    """Under gradual unfreezing, exactly the layers with a non-zero learning rate change, and more in each epoch."""
    net = set_up(module(name, UNFREEZING))
    counts, after = [], weights(net)
    for _ in range(4):
        training = list({group["depth"]: group["lr"] > 0 for group in net.optimizer.param_groups}.values())
        before = after
        net.learn(batches(1))
        after = weights(net)
        assert changed(before, after) == training
        counts.append(sum(training))
    assert 1 <= counts[0] < counts[1] < counts[2] == counts[3] == len(after)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_frozen_layer_does_not_change(optimizer):
    """Under FreezeOut, layers are frozen one after the other from the first, also with momentum and weight decay."""
    tiny = CATALOGUE.architecture("Tiny")
    recipe = replace(tiny.recipe, optimizer=optimizer, weight_decay=0.1)
    net = set_up(module_of(replace(tiny, recipe=recipe), FREEZING), t_0=0.5, lr=0.01)
    history = []
    for _ in range(4):
        before = weights(net)
        net.learn(batches(8))
        history.append(changed(before, weights(net)))
    # The layers freeze after 4, 7.8, 13.5, 21.4 and 32 of 32 steps; an epoch has 8.
    assert history == [
        [True, True, True, True, True],
        [False, False, True, True, True],
        [False, False, False, True, True],
        [False, False, False, False, True],
    ]


@pytest.mark.parametrize("number", LAYERWISE, ids="A0_{:03d}".format)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_training_resumes_from_state_dicts(number, optimizer):
    """After loading the state dicts in the middle of training, groups keep their depths and training is unchanged."""
    tiny = CATALOGUE.architecture("Tiny")
    rendered = module_of(replace(tiny, recipe=replace(tiny.recipe, optimizer=optimizer)), number)
    uninterrupted, stopped, resumed = set_up(rendered), set_up(rendered), set_up(rendered)
    for _ in range(2):
        uninterrupted.learn(batches())
        stopped.learn(batches())
    resumed.load_state_dict(stopped.state_dict())
    if resumed.scheduler is None:
        resumed.scheduler = rendered.make_scheduler(resumed.optimizer, 4 * 2, resumed.prm)
    resumed.optimizer.load_state_dict(stopped.optimizer.state_dict())
    resumed.scheduler.load_state_dict(stopped.scheduler.state_dict())
    assert sorted({group["depth"] for group in resumed.optimizer.param_groups}) == [0, 1, 2, 3, 4]
    uninterrupted.learn(batches())
    resumed.learn(batches())
    assert changed(weights(uninterrupted), weights(resumed)) == [False] * 5

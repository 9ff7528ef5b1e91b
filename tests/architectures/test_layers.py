"""The layers that every architecture declares, as the optimizer of a layer-wise schedule gets them."""

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
from tests.paths import TINY

CATALOGUE = catalogues.load([TINY])
NAMES = [one.name for one in CATALOGUE.architectures]
UNFREEZING, FREEZING = 174, 175
LAYERWISE = [variant.number for variant in CATALOGUE.variants if variant.layerwise]
every_architecture = pytest.mark.parametrize("name", NAMES)
both_sizes = pytest.mark.parametrize("pixels", [32, 224])


def module_of(one: Architecture, number: int) -> ModuleType:
    """A file, rendered and run."""
    made = ModuleType("rendered")
    exec(compile(Renderer(CATALOGUE).render(one, CATALOGUE.variant(number)).text, "rendered", "exec"), made.__dict__)
    return made


@cache
def module(name: str, number: int) -> ModuleType:
    """The file of an architecture of the catalogue."""
    return module_of(CATALOGUE.architecture(name), number)


def set_up(file: ModuleType, pixels: int = 32, **prm: float) -> Any:
    """The network of a file with ten classes, its training set up for four epochs."""
    torch.manual_seed(0)
    values = {"lr": 0.05, "momentum": 0.9, "dropout": 0.1, "epoch_max": 4, **prm}
    net = file.Net((2, 3, pixels, pixels), (10,), values, torch.device("cpu"))
    net.train_setup(values)
    return net


@every_architecture
@both_sizes
def test_the_layers_hold_every_parameter_exactly_once(name, pixels):
    """The groups partition the network's parameters: none is left out, none is in two, no group is empty."""
    net = set_up(module(name, UNFREEZING), pixels)
    found = [id(parameter) for group in net.optimizer.param_groups for parameter in group["params"]]
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    assert [names[one] for one in names if one not in found] == []
    assert [names[one] for one in names if found.count(one) > 1] == []
    assert set(found) <= names.keys()
    assert all(group["params"] for group in net.optimizer.param_groups)


@every_architecture
def test_the_depths_count_the_layers_from_zero(name):
    """The groups have depths 0, 1, 2 and so on in their order, and there are three of them at least."""
    depths = [group["depth"] for group in set_up(module(name, UNFREEZING)).optimizer.param_groups]
    assert depths == list(range(len(depths)))
    assert len(depths) >= 3


class FirstUses(TorchFunctionMode):
    """Notes in which order the layers take part in computations for the first time."""

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__()
        self._depths = {id(parameter): group["depth"] for group in groups for parameter in group["params"]}
        self.order: list[int] = []

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if getattr(function, "__name__", "") != "__get__":  # to look at a shape is no use
            for leaf in pytree.tree_leaves((args, kwargs)):
                depth = self._depths.get(id(leaf))
                if depth is not None and depth not in self.order:
                    self.order.append(depth)
        return function(*args, **(kwargs or {}))


@every_architecture
@both_sizes
def test_the_layers_are_in_the_order_in_which_the_forward_pass_uses_them(name, pixels):
    """In training and in evaluation a layer is used only after all that lie nearer the input; none is never used."""
    net = set_up(module(name, UNFREEZING), pixels)
    groups = net.optimizer.param_groups
    used: set[int] = set()
    for mode in (True, False):
        net.train(mode)
        with torch.no_grad(), FirstUses(groups) as uses:
            net(torch.randn(2, 3, pixels, pixels))
        assert uses.order == sorted(uses.order)
        used |= set(uses.order)
    assert used == {group["depth"] for group in groups}


def test_the_order_is_really_looked_at():
    """Two layers that change places are out of order."""
    net = set_up(module("Tiny", UNFREEZING))
    groups = net.optimizer.param_groups
    groups[1]["depth"], groups[3]["depth"] = 3, 1
    with torch.no_grad(), FirstUses(groups) as uses:
        net(torch.randn(2, 3, 32, 32))
    assert uses.order == [0, 3, 2, 1, 4]


def test_the_layers_of_a_resnet_are_those_of_timm():
    """Each parameter of our ResNet-18 has the depth that timm's layer decay gives to its own of the same name."""
    theirs = timm.create_model("resnet18")
    names = {id(parameter): name for name, parameter in theirs.named_parameters()}
    scales = {
        names[id(parameter)]: group["lr_scale"]
        for group in param_groups_layer_decay(theirs, layer_decay=0.5)
        for parameter in group["params"]
    }
    net = set_up(module("ResNet18", UNFREEZING), pixels=224)
    groups = net.optimizer.param_groups
    depths = {id(parameter): group["depth"] for group in groups for parameter in group["params"]}
    assert len(groups) == 10
    assert {name: 0.5 ** (9 - depths[id(parameter)]) for name, parameter in net.named_parameters()} == scales


# What the rates do to the layers.


def batches(count: int = 2) -> list[tuple[Tensor, Tensor]]:
    """A loader of noise."""
    torch.manual_seed(1)
    return [(torch.randn(2, 3, 32, 32), torch.randint(10, (2,))) for _ in range(count)]


def weights(net: Any) -> list[list[Tensor]]:
    """What the parameters of each layer hold."""
    return [[parameter.detach().clone() for parameter in group["params"]] for group in net.optimizer.param_groups]


def moved(before: list[list[Tensor]], after: list[list[Tensor]]) -> list[bool]:
    """Which layers have changed, by as little as a bit."""
    return [not all(map(torch.equal, old, new)) for old, new in zip(before, after, strict=True)]


@every_architecture
def test_a_layer_moves_from_the_epoch_on_in_which_it_is_unfrozen(name):
    """Under gradual unfreezing exactly the layers move in an epoch that have a rate then, more of them each epoch."""
    net = set_up(module(name, UNFREEZING))
    counts = []
    for _ in range(4):
        training = [group["lr"] > 0 for group in net.optimizer.param_groups]
        before = weights(net)
        net.learn(batches())
        assert moved(before, weights(net)) == training
        counts.append(sum(training))
    layers = len(net.optimizer.param_groups)
    assert 1 <= counts[0] < counts[1] < counts[2] == counts[3] == layers


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_layer_stays_where_it_was_frozen(optimizer):
    """Under FreezeOut the layers stop one after the other, the first one first, with momentum and weight decay too."""
    tiny = CATALOGUE.architecture("Tiny")
    recipe = replace(tiny.recipe, optimizer=optimizer, weight_decay=0.1)
    net = set_up(module_of(replace(tiny, recipe=recipe), FREEZING), t_0=0.5, lr=0.01)
    seen = []
    for _ in range(4):
        before = weights(net)
        net.learn(batches(8))
        seen.append(moved(before, weights(net)))
    # The layers freeze after 4, 7.8, 13.5, 21.4 and 32 of 32 steps; an epoch has 8.
    assert seen == [
        [True, True, True, True, True],
        [False, False, True, True, True],
        [False, False, False, True, True],
        [False, False, False, False, True],
    ]


@pytest.mark.parametrize("number", LAYERWISE, ids="A0_{:03d}".format)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_groups_outlive_a_state_dict(number, optimizer):
    """After a reload in the middle of training the groups have their depths, and train as if nothing had happened."""
    tiny = CATALOGUE.architecture("Tiny")
    file = module_of(replace(tiny, recipe=replace(tiny.recipe, optimizer=optimizer)), number)
    straight, stopped, resumed = set_up(file), set_up(file), set_up(file)
    for _ in range(2):
        straight.learn(batches())
        stopped.learn(batches())
    resumed.load_state_dict(stopped.state_dict())
    if resumed.scheduler is None:
        resumed.scheduler = file.make_scheduler(resumed.optimizer, 4 * 2, resumed.prm)
    resumed.optimizer.load_state_dict(stopped.optimizer.state_dict())
    resumed.scheduler.load_state_dict(stopped.scheduler.state_dict())
    assert [group["depth"] for group in resumed.optimizer.param_groups] == [0, 1, 2, 3, 4]
    straight.learn(batches())
    resumed.learn(batches())
    assert moved(weights(straight), weights(resumed)) == [False] * 5

"""When the parts of a rendered file are executed once, and the hosts on which training methods run."""

from dataclasses import replace

import pytest
import torch

from lrgen.catalogue import load
from lrgen.records import Part, Parts
from lrgen.render.renderer import Renderer
from lrgen.verify.parts.host import host_of
from lrgen.verify.parts.separate import why_whole

CATALOGUE = load()
RENDERER = Renderer(CATALOGUE)
# One auxiliary classifier and more, terms of the loss, exempt parameters, layers, an optimizer of the variant's own.
UNLIKE = (
    *(("ResNet", 6), ("ResNet", 11), ("ResNet", 172), ("ResNet", 177), ("GoogLeNet", 6), ("InceptionV3", 40)),
    *(
        ("BayesianNet", 6),
        ("Diffuser", 60),
        ("ComplexNet", 6),
        ("ConvNeXtTransformer", 6),
        ("SwinTransformer", 173),
        ("ICNet", 174),
    ),
)


def parts_of(model: str = "ResNet", number: int = 6) -> Parts:
    """The parts of a shipped file."""
    return RENDERER.parts(CATALOGUE.architecture(model), CATALOGUE.variant(number))


def added(part: Part, code: str, *imports: str) -> Part:
    """A part with more code at its end."""
    return Part((*part.imports, *imports), f"{part.code}\n\n\n{code}")


def in_net(part: Part, old: str, new: str) -> Part:
    """A part with one text of it replaced."""
    assert old in part.code
    return replace(part, code=part.code.replace(old, new, 1))


METHOD = "    def param_groups("
BROKEN = [
    (
        "the schedule and the network define make_scheduler",
        lambda p: replace(p, network=added(p.network, "def make_scheduler() -> None: ...")),
    ),
    (
        "the schedule and the network define Tensor",
        lambda p: replace(p, schedule=added(p.schedule, "class Tensor: ...")),
    ),
    (
        "the schedule and the network define F",
        lambda p: replace(p, schedule=Part((*p.schedule.imports, "from math import e as F"), p.schedule.code)),
    ),
    ("the schedule redefines print", lambda p: replace(p, schedule=added(p.schedule, "def print() -> None: ..."))),
    (
        "the network uses make_scheduler of the schedule",
        lambda p: replace(p, network=added(p.network, "FACTORY = make_scheduler")),
    ),
    (
        "the network defines BasicBlock, which another part uses",
        lambda p: replace(p, schedule=added(p.schedule, "BLOCK = BasicBlock")),
    ),
    (
        "the network defines BasicBlock, which another part uses",
        lambda p: replace(p, training=in_net(p.training, METHOD, f"    block = BasicBlock\n\n{METHOD}")),
    ),
    (
        "the network and the training methods set optimizer",
        lambda p: replace(
            p, network=in_net(p.network, "self.device = device", "self.device = device\n        self.optimizer = None")
        ),
    ),
    (
        "the network reads criterion, which the training methods set",
        lambda p: replace(
            p, network=in_net(p.network, "return self.fc(x)", "return self.fc(x) * self.criterion.label_smoothing")
        ),
    ),
    (
        "Net overrides train of torch.nn.Module",
        lambda p: replace(p, network=added(p.network, "    def train(self, mode: bool = True) -> None: ...")),
    ),
    (
        "Net overrides eval of torch.nn.Module",
        lambda p: replace(p, training=in_net(p.training, METHOD, f"    def eval(self) -> None: ...\n\n{METHOD}")),
    ),
    (
        "the network uses an attribute or a hyperparameter whose name is computed",
        lambda p: replace(
            p, network=in_net(p.network, "self.device = device", 'self.device = device\n        setattr(self, "x", 1)')
        ),
    ),
    (
        "the network and the training methods read the hyperparameter momentum",
        lambda p: replace(
            p, network=in_net(p.network, "self.device = device", 'self.device = device\n        prm["momentum"]')
        ),
    ),
    (
        "the network uses an attribute or a hyperparameter whose name is computed",
        lambda p: replace(
            p, network=in_net(p.network, "self.device = device", "self.device = device\n        print(prm)")
        ),
    ),
    (
        "the training methods need fc of the network",
        lambda p: replace(
            p, training=in_net(p.training, METHOD, f"    def last(self) -> None:\n        self.fc.bias\n\n{METHOD}")
        ),
    ),
]


def test_parts_of_shipped_files_are_separate_but_for_layers_with_auxiliary_classifiers():
    """Those two networks by four schedules are executed whole."""
    whole = {
        (architecture.name, variant.number)
        for architecture in CATALOGUE.architectures
        for variant in CATALOGUE.variants
        if (architecture.name in ("ResNet", "GoogLeNet", "InceptionV3") or variant.number in (1, 60, 172, 177))
        and why_whole(RENDERER.parts(architecture, variant))
    }
    assert whole == {(model, number) for model in ("GoogLeNet", "InceptionV3") for number in (172, 173, 174, 175)}


@pytest.mark.parametrize(("reason", "broken"), BROKEN)
def test_a_file_that_breaks_a_condition_is_executed_whole(reason, broken):
    """Each condition has a reason, which intact parts do not have."""
    assert not why_whole(parts_of())
    assert why_whole(broken(parts_of())) == reason


@pytest.mark.parametrize(("model", "number"), UNLIKE)
def test_a_host_trains_with_the_methods_of_any_network(model, number):
    """Two epochs on two images change each parameter, and evaluation gives logits."""
    architecture, variant = CATALOGUE.architecture(model), CATALOGUE.variant(number)
    module: dict[str, object] = {"__name__": "host"}
    exec(host_of(parts_of(model, number)), module)
    prm = {**architecture.recipe.prm_for(variant), "lr": 0.1, "epoch_max": 2}
    net = module["Net"]((2, 3, 8, 8), (5,), prm, torch.device("cpu"))
    net.train_setup(prm)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    data = [(torch.randn(2, 3, 8, 8), torch.tensor([1, 4]))]
    for _ in range(2):
        net.learn(data)
    assert all(not torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True))
    assert net.eval()(data[0][0]).shape == (2, 5)


@pytest.mark.parametrize(("model", "normed"), [("ResNet", True), ("SqueezeNet", False), ("BayesianNet", False)])
def test_a_host_has_a_batch_norm_where_an_average_renews_its_statistics(model, normed):
    """Weight averaging of a network without batch norms would leave those of a host as training left them."""
    assert ("nn.BatchNorm2d" in host_of(parts_of(model, 216))) is normed

"""The training loop: a skeleton of blocks, and a template for each choice on each axis."""

import dataclasses
import shutil
from pathlib import Path
from types import ModuleType

import pytest
import torch

from lrgen import catalogue as catalogues
from lrgen.catalogue import SHIPPED, Catalogue
from lrgen.errors import CatalogueError
from lrgen.records import Metric, Unit
from lrgen.render.renderer import Renderer

CHOICES = sorted(path.relative_to(SHIPPED).as_posix() for path in (SHIPPED / "training").glob("*/*.py.jinja"))

ARCHITECTURE = """title = "Linear"
summary = "A linear classifier of the pixels."
paper = "https://example.org/linear"
reference = "a textbook"
parameters = 30730
reference_pixels = 32
reference_classes = 10
smallest_input = 1
layers = ["fc"]

[recipe]
optimizer = "mixed"
lr = 0.01
batch = 32
source = "a textbook"
clip_norm = 1.0
"""
NETWORK = '''import torch
import torch.nn as nn
from torch import Tensor

class Net(nn.Module):
    """A linear classifier of the pixels."""

    def __init__(
        self, in_shape: tuple[int, ...], out_shape: tuple[int, ...], prm: dict[str, float], device: torch.device
    ) -> None:
        super().__init__()
        self.device = device
        self.fc = nn.Linear(in_shape[1] * in_shape[2] * in_shape[3], out_shape[0])

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.flatten(1))
'''
LOSS = """{% extends "training/loop.py.jinja" %}
{%- block loss %}
            logits = self(images)
            loss = self.criterion(logits, labels) + 0.0 * logits.square().mean()
{%- endblock %}
"""
# Adds an import, replaces the update, wraps the forward pass and extends the block after the update.
MIXED = """{% extends base.optimizer %}
{%- block imports %}
from torch.optim import RMSprop
{{- super() }}
{%- endblock %}
{%- block optimizer %}
        self.optimizer = RMSprop({% block parameters %}self.parameters(){% endblock %}, lr=prm["lr"])
        self.scaler = torch.amp.GradScaler("cpu")
        self.updates = 0
{%- endblock %}
{%- block forward %}
            with torch.autocast("cpu", torch.bfloat16):
{{- super() | indent(4) }}
{%- endblock %}
{%- block backward %}
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
{%- endblock %}
{%- block update %}
            self.scaler.step(self.optimizer)
            self.scaler.update()
{%- endblock %}
{%- block after_update %}
{{- super() }}
            self.updates += 1
{%- endblock %}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's folder: an architecture with a loss of its own, whose recipe names an optimizer template of its own."""
    root = tmp_path / "own"
    for path, text in {
        "architectures/Linear/architecture.toml": ARCHITECTURE,
        "architectures/Linear/network.py.jinja": NETWORK,
        "architectures/Linear/training.py.jinja": LOSS,
        "training/optimizer/mixed.py.jinja": MIXED,
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def render_every_choice(catalogue: Catalogue) -> None:
    """Render every architecture with each kind of schedule, and with every combination of metric and cadence."""
    traits = ("unit", "cadence", "metric", "layerwise", "optimizer")
    kinds = {
        (*(getattr(variant, name) for name in traits), repr(variant.practice)): variant
        for variant in catalogue.variants
    }
    variants = list(kinds.values())
    by_metric = next(variant for variant in variants if variant.unit is Unit.METRIC)
    for cadence in (Unit.EPOCH, Unit.BATCH):
        variants += [dataclasses.replace(by_metric, cadence=cadence, metric=metric) for metric in Metric]
    renderer = Renderer(catalogue)
    for architecture in catalogue.architectures:
        for variant in variants:
            renderer.render(architecture, variant)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_missing_template_of_a_choice_is_an_error(catalogue, tmp_path, choice):
    """Each choice needs its own template; without it, rendering is an error that names the template."""
    shutil.copytree(SHIPPED, tmp_path / "templates")
    (tmp_path / "templates" / choice).unlink()
    with pytest.raises(CatalogueError, match=f"^there is no {choice}; {Path(choice).parent} has "):
        render_every_choice(dataclasses.replace(catalogue, folders=(tmp_path / "templates",)))


def test_an_unknown_choice_is_an_error(catalogue):
    """A choice without a template is an error that names the template and the available ones."""
    resnet = catalogue.architecture("ResNet")
    unknown = dataclasses.replace(resnet, recipe=dataclasses.replace(resnet.recipe, optimizer="lion"))
    with pytest.raises(CatalogueError, match=r"^there is no training/optimizer/lion\.py\.jinja; .* adamw\.py\.jinja"):
        Renderer(catalogue).render(unknown, catalogue.variant(1))


def test_an_unknown_block_is_an_error(own):
    """A block that the training loop does not have is an error, where Jinja would ignore it."""
    template = own / "training/optimizer/mixed.py.jinja"
    template.write_text(MIXED.replace("block after_update", "block after_updates"))
    wider = catalogues.load([own])
    with pytest.raises(
        CatalogueError, match=r"^training/optimizer/mixed\.py\.jinja: the training loop has no block 'after_updates'"
    ):
        Renderer(wider).render(wider.architecture("Linear"), wider.variant(31))


def test_a_template_that_extends_another_axis_is_an_error(own):
    """A template must extend the base of its own axis; the base of another axis would skip choices."""
    template = own / "training/optimizer/mixed.py.jinja"
    template.write_text(MIXED.replace("base.optimizer", "base.unit"))
    wider = catalogues.load([own])
    with pytest.raises(
        CatalogueError, match=r"^training/optimizer/mixed\.py\.jinja: must begin with {% extends base\.optimizer %}"
    ):
        Renderer(wider).render(wider.architecture("Linear"), wider.variant(31))


def test_a_loss_template_without_class_net_is_an_error(own):
    """The training template of a network that renders another class is an error that says what it must hold."""
    template = own / "architectures/Linear/training.py.jinja"
    template.write_text("class Loss:\n    pass\n")
    wider = catalogues.load([own])
    reason = "cannot be rendered: it must hold imports and a class Net with the training methods$"
    with pytest.raises(CatalogueError, match=reason):
        Renderer(wider).render(wider.architecture("Linear"), wider.variant(31))


@pytest.mark.parametrize("member", ["    count = 0\n", "    @property\n    def count(self):\n        return 0\n"])
def test_a_training_template_may_hold_other_members(own, member):
    """A class attribute and a decorated method of a training template are in the rendered Net."""
    template = own / "architectures/Linear/training.py.jinja"
    template.write_text(
        LOSS.replace("{%- block loss", "{%- block param_groups %}\n" + member + "{%- endblock %}\n{%- block loss")
    )
    wider = catalogues.load([own])
    module = ModuleType("linear")
    text = Renderer(wider).render(wider.architecture("Linear"), wider.variant(1)).text
    exec(compile(text, "linear.py", "exec"), module.__dict__)
    assert "count" in vars(module.Net)


@pytest.mark.parametrize("number", [1, 31, 37, 170])
def test_a_users_choice_composes_with_every_other_axis(own, number):
    """A user's template replaces, wraps and extends blocks; loss, unit, metric and clipping keep their order."""
    wider = catalogues.load([own])
    file = Renderer(wider).render(wider.architecture("Linear"), wider.variant(number))
    module = ModuleType("linear")
    exec(compile(file.text, "linear.py", "exec"), module.__dict__)
    net = module.Net((1, 3, 4, 4), (10,), {}, torch.device("cpu"))
    net.train_setup({"lr": 0.01, "epoch_max": 2})
    dtypes = []
    net.register_forward_hook(lambda _, __, output: dtypes.append(output.dtype))
    net.learn([(torch.randn(4, 3, 4, 4), torch.tensor([0, 1, 2, 3]))] * 3)
    assert type(net.optimizer) is torch.optim.RMSprop
    assert dtypes == [torch.bfloat16] * 3
    assert net.updates == 3
    order = [
        "torch.autocast",
        "    logits = self(images)",
        "logits.square()",
        "unscale_",
        "clip_grad_norm_",
        "step(self.",
    ]
    places = [file.text.index(text) for text in order]
    assert places == sorted(places)

"""Variations of an architecture as data: lookup, rendering, selection and the errors of invalid ones."""

import json
import shutil
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen.catalogue.pairwise import COVERS, cover
from lrgen.errors import CatalogueError, UnknownNameError
from lrgen.render.renderer import Renderer
from tests.paths import TINY

VARIED = """
[config]
width = 16

[variations.TinyWide]
title = "Wide Tiny"
summary = "Four wide convolutions."
reference = "none"
parameters = 60962
config = { width = 32 }
recipe = { lr = 0.05 }
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's folder of templates with the architecture ``Tiny`` and its variation ``TinyWide``."""
    root = tmp_path / "own"
    shutil.copytree(TINY, root)
    folder = root / "architectures/Tiny"
    toml, template = folder / "architecture.toml", folder / "network.py.jinja"
    toml.write_text(toml.read_text() + VARIED)
    template.write_text(template.read_text().replace("16", "{{ config.width }}"))
    return root


def test_a_variation_is_no_entry_of_the_catalogue(catalogue, lrgen):
    """There are 38 architectures, in the catalogue and in ``lrgen list models``, and no variation among them."""
    names = {architecture.name for architecture in catalogue.architectures}
    assert len(names) == 38
    code, out, _ = lrgen("list", "models", "--json")
    rows = json.loads(out)
    assert code == 0
    assert {row["model"] for row in rows} == names
    listed = {name for row in rows for name in row["variations"]}
    assert listed == {each.name for architecture in catalogue.architectures for each in architecture.variations}
    assert not listed & names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ResNet56", "ResNet56"),
        ("ResNet-56", "ResNet56"),
        ("ResNet-20", "ResNet"),
        ("ResNet-18", "ResNet18"),
        ("VGG-13", "VGG13"),
        ("VGG-13-BN", "VGG13"),
        ("ViT-S/16", "VisionTransformerS"),
        ("MobileNetV2", "MobileNetV2"),
    ],
)
def test_a_network_is_known_by_its_name_and_its_title(catalogue, text, name):
    """A name, a title, and a name with a hyphen before its number stand for the same network."""
    assert catalogue.architecture(text).name == name


@pytest.mark.parametrize("text", ["resnet-56", "ResNet-57", "Res-Net56", "ResNet -56", "-ResNet56"])
def test_other_spellings_of_a_network_are_unknown(catalogue, text):
    """A spelling that only resembles a name or a title is an error with suggestions."""
    with pytest.raises(UnknownNameError, match="^unknown model '.*': did you mean .*ResNet56"):
        catalogue.architecture(text)


def test_a_title_that_two_networks_have_stands_for_none(own, catalogue):
    """A user's network may have the title of another one; then both are known by their names only."""
    toml = own / "architectures/Tiny/architecture.toml"
    toml.write_text(toml.read_text().replace('"Wide Tiny"', '"ResNet-20"'))
    both = catalogues.load([own])
    assert both.architecture("TinyWide").title == both.architecture("ResNet").title == "ResNet-20"
    with pytest.raises(UnknownNameError):
        both.architecture("ResNet-20")


def test_a_variation_inherits_what_it_does_not_state(own):
    """Paper, layers and recipe are those of the architecture; numbers of config and recipe are replaced one by one."""
    loaded = catalogues.load([own])
    tiny, wide = loaded.architecture("Tiny"), loaded.architecture("Wide Tiny")
    assert (wide.name, wide.variation_of, wide.entry, wide.variations) == ("TinyWide", "Tiny", "Tiny", ())
    assert (tiny.variation_of, tiny.entry, tiny.variations) == (None, "Tiny", (wide,))
    assert (wide.paper, wide.layers, wide.folder, wide.template) == (
        tiny.paper,
        tiny.layers,
        tiny.folder,
        tiny.template,
    )
    assert (wide.recipe.lr, wide.recipe.batch, wide.config) == (0.05, 24, {"width": 32})
    assert (tiny.recipe.lr, tiny.config) == (0.1, {"width": 16})


def test_a_users_variation_renders_from_the_template_of_its_architecture(own):
    """The code of a user's variation, made in a process with limits, has its numbers instead of the architecture's."""
    loaded = catalogues.load([own])
    renderer = Renderer(loaded)
    narrow, wide = (renderer.network(loaded.architecture(name)) for name in ("Tiny", "TinyWide"))
    assert "ConvBlock(8, 16), ConvBlock(16, 32)" in " ".join(narrow.split())
    assert "ConvBlock(8, 32), ConvBlock(32, 32)" in " ".join(wide.split())


def test_the_docstring_of_a_file_names_the_variation(catalogue):
    """The file of a variation begins with its title and trains with the recipe that the variation states."""
    text = Renderer(catalogue).render(catalogue.architecture("EfficientNetB2"), catalogue.variant(1)).text
    assert text.startswith('"""EfficientNet-B2 trained with ')
    assert 'prm.get("dropout", 0.3)' in text
    assert "B0" not in text


@pytest.mark.parametrize("kind", COVERS)
def test_a_cover_of_a_variation_has_the_schedules_of_its_architecture(catalogue, kind):
    """A variation that is selected meets the variants that its architecture meets."""
    (resnet, variation) = catalogue.architecture("ResNet"), catalogue.architecture("ResNet56")
    numbers = [variant.number for _, variant in cover(catalogue, kind, [resnet])]
    pairs = cover(catalogue, kind, [variation])
    assert {architecture.name for architecture, _ in pairs} == {"ResNet56"}
    assert [variant.number for _, variant in pairs] == numbers


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("parameters = 60962\n", "", "variations.TinyWide.parameters: Field required"),
        ("width = 32", "wdth = 32", "variations.TinyWide: config.wdth: the architecture's config has no such key"),
        ("width = 32 }", 'width = 32 }\ntemplate = "a"', "variations.TinyWide.template: unknown key"),
        ("lr = 0.05", 'optimizer = "adamw"', "recipe.optimizer: a variation has the optimizer of its architecture"),
        ("lr = 0.05", "lr = -1.0", "variations.TinyWide: recipe.lr: .* got -1.0"),
        ("lr = 0.05", "rate = 0.05", "variations.TinyWide: recipe.rate: unknown key"),
        ("variations.TinyWide", 'variations."Tiny-56"', "variations.Tiny-56"),
        (
            "variations.TinyWide",
            "variations.ResNet",
            "variations.ResNet: there is another network .* at .*/ResNet",
        ),
        (
            "variations.TinyWide",
            "variations.VGG13",
            "variations.VGG13: there is another network .* at .*/VGG",
        ),
    ],
)
def test_an_invalid_variation_is_an_error(own, old, new, problem):
    """The error names the file, the variation, the key and the value."""
    toml = own / "architectures/Tiny/architecture.toml"
    assert old in toml.read_text()
    toml.write_text(toml.read_text().replace(old, new))
    with pytest.raises(CatalogueError, match=f"Tiny/architecture.toml: .*{problem}"):
        catalogues.load([own])


def test_model_show_tells_what_varies(lrgen):
    """``lrgen model show`` lists the variations of an architecture, and the architecture of a variation."""
    _, out, _ = lrgen("model", "show", "DenseNet")
    assert "DenseNet169 (DenseNet-169)" in " ".join(out.split())
    _, out, _ = lrgen("model", "show", "DenseNet-169")
    assert "variation of DenseNet" in " ".join(out.split())
    _, out, _ = lrgen("model", "show", "DenseNet-169", "--json")
    shown = json.loads(out)
    assert (shown["model"], shown["variation_of"], shown["variations"]) == ("DenseNet169", "DenseNet", [])


def test_a_variation_can_be_the_active_model(lrgen, monkeypatch, tmp_path):
    """Commands without a model work on a variation, also where only the active model can be selected."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LRGEN_ENABLE_MULTI_MODEL_SUPPORT", "false")
    monkeypatch.setenv("LRGEN_ACTIVE_MODEL", "ResNet-56")
    code, out, _ = lrgen("render", "--variant", "1", "--out", "out")
    assert (code, out) == (0, "1 file written to out, 0 unchanged\n")
    assert (tmp_path / "out/ResNet56/A0_001.py").is_file()
    assert lrgen("render", "--check", "--model", "ResNet56", "--variant", "1", "--out", "out")[0] == 0
    _, out, _ = lrgen("model", "show")
    assert out.startswith("ResNet56 ResNet-56 (the active model)")

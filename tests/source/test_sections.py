"""Sections of rendered files."""

import ast

import pytest

from lrgen.errors import DatasetError
from lrgen.finetune.corpus import VerifiedFile
from lrgen.render.renderer import Renderer
from lrgen.source import sections
from tests import corpus

# Two models with each unit, equivalents, layer-wise schedules and optimizers of the variant.
NUMBERS = (1, 3, 19, 31, 37, 38, 160, 172, 177)


@pytest.fixture(scope="module")
def files(catalogue) -> list[VerifiedFile]:
    """Every schedule with ResNet, and some with other models."""
    files = list(corpus.task_input(catalogue, [variant.number for variant in catalogue.schedules]).files)
    return files + [
        corpus.verified(catalogue, number, model) for model in ("AlexNet", "SqueezeNet") for number in NUMBERS
    ]


def test_the_sections_of_a_file_make_the_file(files):
    """Head, schedule and network, and also prefix, middle and suffix, are the file byte for byte."""
    for file in files:
        parts = sections.parse(file.source)
        assert parts.head + parts.schedule + parts.network == file.source
        assert parts.prefix + parts.middle + parts.suffix == file.source
        assert ast.parse(parts.schedule).body[-1].name == "make_scheduler"
        assert "make_scheduler" not in parts.head
        assert "class Net" in parts.network


def test_a_standalone_schedule_is_the_rendered_schedule(catalogue, files):
    """The schedule with the imports that it uses equals what lrgen renders for it."""
    renderer = Renderer(catalogue)
    for file in files:
        assert sections.parse(file.source).standalone == renderer.schedule(file.variant)


def test_the_middle_has_only_the_helpers_of_make_scheduler(catalogue):
    """An optimizer that the network uses stays in the incomplete file."""
    parts = sections.parse(corpus.source(176))
    assert "class ScheduleFreeSGD" in parts.incomplete
    assert "class Warmup" in parts.middle


def test_the_middle_completes_the_incomplete_file(files):
    """The incomplete file with its middle is the file."""
    for file in files[::20]:
        parts = sections.parse(file.source)
        assert sections.complete(parts.incomplete, parts.middle) == file.source


def test_other_code_has_no_sections():
    """Code that is not Python, or has no make_scheduler, is an error."""
    with pytest.raises(DatasetError, match=r"^not a rendered file: not Python: "):
        sections.parse("def make_scheduler(\n")
    with pytest.raises(DatasetError, match=r"^not a rendered file: make_scheduler does not stand below supported_"):
        sections.parse("import math\n")


@pytest.mark.parametrize("count", [0, 2])
def test_an_incomplete_file_has_one_placeholder(count):
    """A file without a placeholder, or with two, cannot be completed."""
    with pytest.raises(DatasetError, match=rf"^expected one placeholder '# TODO: .*', got {count}$"):
        sections.complete(sections.PLACEHOLDER * count, "x = 1\n")

"""Rendered files of a small network with a practice, and the check of the practice of a text."""

from collections.abc import Callable

import pytest

from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue
from lrgen.render.renderer import Renderer
from lrgen.verify.checks import practices
from tests.paths import TINY
from tests.verify.examinations import Examine


@pytest.fixture(scope="module")
def tiny() -> Catalogue:
    """The shipped variants, and a network that is small enough for everything."""
    return catalogues.load([TINY])


@pytest.fixture(scope="module")
def text_of(tiny: Catalogue) -> Callable[[str], str]:
    """Render the small network with a variant."""
    renderer, network = Renderer(tiny), tiny.architecture("Tiny")
    return lambda name: renderer.render(network, tiny.variant(name)).text


@pytest.fixture
def check(tiny: Catalogue, examine: Examine) -> Callable[[str, str], list[str]]:
    """Check the practice of a text that claims a variant; returns the evidence."""

    def run(text: str, name: str) -> list[str]:
        examination = examine(text, variant=tiny.variant(name))
        examination.loaded = examination.load(examination.session)
        practices.check(examination)
        return examination.evidence

    return run

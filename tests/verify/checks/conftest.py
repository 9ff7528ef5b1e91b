"""Rendered files of a small network with a practice, and the check of the practice of a text."""

from collections.abc import Callable

import pytest

from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue
from lrgen.records import Stage
from lrgen.render.renderer import Renderer
from lrgen.verify.checks import learn_trace, practices
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


Check = Callable[[str, str], list[str]]


@pytest.fixture
def check(tiny: Catalogue, examine: Examine) -> Check:
    """Check the practice of a text that claims a variant; returns the evidence."""

    def run(text: str, name: str) -> list[str]:
        examination = examine(text, variant=tiny.variant(name))
        examination.loaded = examination.load(examination.session)
        practices.check(examination)
        return examination.evidence

    return run


@pytest.fixture
def check_learn(tiny: Catalogue, examine: Examine) -> Check:
    """Run ``learn`` of a text that claims a variant, and check its practice; returns the evidence."""

    def run(text: str, name: str) -> list[str]:
        examination = examine(text, variant=tiny.variant(name))
        examination.begin(Stage.SCHEDULE, None)
        examination.load(examination.session)
        learn_trace.run(examination)
        practices.check(examination)
        return examination.evidence

    return run

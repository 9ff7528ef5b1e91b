"""Examples in the docstrings of the Python API and on its page run as doctests."""

import doctest
import importlib
import pkgutil

import pytest

import lrgen as package
from lrgen import api
from tests.paths import REPOSITORY

MODULES = [info.name for info in pkgutil.iter_modules(api.__path__, "lrgen.api.")]
EXAMPLES = [
    test
    for name in MODULES
    for test in doctest.DocTestFinder().find(importlib.import_module(name), extraglobs={"lrgen": package})
    if test.examples
]
PAGES = ["docs/api.md"]


def run(test: doctest.DocTest) -> None:
    """Run an example and compare what it prints."""
    written: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=written.append)
    assert results.attempted > 0, f"{test.name} has no example"
    assert results.failed == 0, "".join(written)


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("test", EXAMPLES, ids=lambda test: test.name.removeprefix("lrgen.api."))
def test_the_example_of_a_docstring_prints_its_output(test):
    """In an empty folder, the example prints the output that the docstring has."""
    run(test)


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_print_their_output(page):
    """Run as one session, the examples of the page print the output that it has."""
    text = (REPOSITORY / page).read_text()
    run(doctest.DocTestParser().get_doctest(text.replace("```", ""), {}, page, page, 0))


@pytest.mark.parametrize(
    "name",
    [
        *("get_architecture", "get_results", "get_schedule", "list_architectures", "list_schedules"),
        *("render_file", "verify_file", "ScheduleEntry.rates", "ScheduleEntry.code"),
    ],
)
def test_every_function_of_the_catalogue_has_an_example(name):
    """Each function and method that reads the catalogue has an example."""
    assert any(test.name.endswith(f".{name}") for test in EXAMPLES)

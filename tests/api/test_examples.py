"""The examples in the docstrings of the Python API and on its page print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import lrgen as package
import lrgen.api
from tests.paths import REPOSITORY

MODULES = [info.name for info in pkgutil.iter_modules(lrgen.api.__path__, "lrgen.api.")]
EXAMPLES = [
    test
    for name in MODULES
    for test in doctest.DocTestFinder().find(importlib.import_module(name), extraglobs={"lrgen": package})
    if test.examples
]
PAGES = ["docs/api.md"]


def run(test: doctest.DocTest) -> None:
    written: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=written.append)
    assert results.failed == 0, "".join(written)


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("test", EXAMPLES, ids=lambda test: test.name.removeprefix("lrgen.api."))
def test_the_example_in_a_docstring_prints_what_it_says(test):
    """Each example runs in an empty folder."""
    run(test)


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_print_what_they_say(page):
    """The page is one session, from its first line to its last."""
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
    """A function without an example would not be run here."""
    assert any(test.name.endswith(f".{name}") for test in EXAMPLES)

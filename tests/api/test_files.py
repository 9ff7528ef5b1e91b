"""``render_file`` and ``verify_file``."""

import os
import threading

import pytest

import lrgen as package
from lrgen.errors import ConfigError, OutputError, UnknownNameError
from lrgen.render.renderer import Renderer


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_render_file_returns_the_text_of_the_renderer(catalogue):
    """render_file accepts a schedule by name, by number and by the stem of its files."""
    expected = Renderer(catalogue).render(catalogue.architecture("VGG"), catalogue.variant(132)).text
    assert package.render_file("VGG", "wsd_linear") == expected
    assert package.render_file("VGG", 132) == expected
    assert package.render_file("VGG", "A0_132") == expected


@pytest.mark.parametrize(("model", "schedule"), [("VGGG", 1), ("VGG", "wsd_liner"), ("VGG", 999)])
def test_an_unknown_name_is_an_error(model, schedule):
    """The error has the kind and the name."""
    unknown = f"model '{model}'" if model != "VGG" else f"variant '{schedule}'"
    with pytest.raises(UnknownNameError, match=f"^unknown {unknown}: "):
        package.render_file(model, schedule)


def test_a_file_is_verified_while_threads_run(monkeypatch, tmp_path):
    """verify_file does not fork a process with threads, and writes no file."""
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("the calling process was forked"))
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        outcome = package.verify_file(package.render_file("ResNet", 2), schedule=2, stage="contract")
    finally:
        stop.set()
        thread.join()
    assert outcome.status.ok
    assert [check.stage for check in outcome.checks] == ["syntax", "policy", "contract"]
    assert list(tmp_path.iterdir()) == []


def test_a_path_is_verified(tmp_path):
    """A Path and a string without a line break are paths; a missing file is an error."""
    (tmp_path / "mine.py").write_text("def f(:\n")
    for source in ("mine.py", tmp_path / "mine.py"):
        outcome = package.verify_file(source, stage="syntax")
        assert outcome.status == "failed"
        assert outcome.stage == "syntax"
        assert outcome.candidate.model_name == "mine"
    with pytest.raises(OutputError, match=r"^other\.py: cannot be read: "):
        package.verify_file("other.py")


@pytest.mark.parametrize("case_seed", [None, 0, 2**63 - 1])
def test_a_case_seed_is_that_of_the_outcome(case_seed):
    """verify_file draws its cases with the given seed, or with a new one, which the outcome has."""
    outcome = package.verify_file("import torch\n", stage="syntax", case_seed=case_seed)
    assert outcome.case_seed == case_seed if case_seed is not None else outcome.case_seed in range(2**63)


@pytest.mark.parametrize("case_seed", [-1, 2**63, True, 1.0, "1"])
def test_a_case_seed_out_of_range_is_an_error(case_seed):
    """The error names the range."""
    with pytest.raises(ConfigError, match=r"^case seed: expected an integer from 0 to \d+, got "):
        package.verify_file("import torch\n", stage="syntax", case_seed=case_seed)


def test_an_unknown_argument_is_an_error():
    """An unknown stage, schedule, dataset or policy is an error that names it."""
    for arguments, name in (
        ({"stage": "train"}, "stage"),
        ({"schedule": "nothing"}, "variant"),
        ({"dataset": "mnist"}, "dataset"),
        ({"policy": "lax"}, "policy"),
    ):
        with pytest.raises(UnknownNameError, match=f"^unknown {name} '{next(iter(arguments.values()))}'"):
            package.verify_file("import torch\n", **arguments)

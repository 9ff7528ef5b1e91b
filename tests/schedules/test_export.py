"""``lrgen export schedules``: a package of schedules that stands alone."""

import ast
import importlib
import json
import pickle
import sys
from pathlib import Path

import pytest

from lrgen import cli, schedules
from lrgen.render import library
from tests.schedules.traces import follow, rates, sgd


def export(folder: Path, *arguments: str) -> int:
    """The exit code of the export of two schedules to a folder."""
    chosen = ("--schedule", "wsd_linear", "--schedule", "StepLR_default")
    return cli.run(["export", "schedules", "--out", str(folder), *chosen, *arguments])


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The exported package, imported."""
    assert export(tmp_path / "vendored_schedules") == 0
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("vendored_schedules")
    for name in [name for name in sys.modules if name.split(".")[0] == "vendored_schedules"]:
        del sys.modules[name]


def test_an_exported_schedule_is_that_of_the_library(package):
    """A schedule of an exported package has the learning rates of the one in ``lrgen.schedules``, and is pickled."""
    traces = []
    for module in (package, schedules):
        optimizer = sgd()
        scheduler = module.make("wsd_linear", optimizer, 20, warmup_fraction=0.2)
        traces.append([rates(optimizer), *follow(optimizer, scheduler, [None] * 22)])
        assert type(pickle.loads(pickle.dumps(scheduler))) is type(scheduler)
        assert type(scheduler).__module__ == f"{module.__name__}._resumable"
    assert traces[0] == traces[1]


def test_an_exported_package_has_its_errors(package):
    """The exported package raises exceptions of its own, with the same messages."""
    with pytest.raises(package.errors.ParameterError, match="wsd_linear: total_steps must be at least 1, got 0"):
        package.wsd_linear(sgd(), 0)
    with pytest.raises(package.errors.UnknownNameError, match="did you mean wsd_linear"):
        package.make("wsd_liner", sgd(), 5)
    assert [entry.name for entry in package.SCHEDULES] == ["StepLR_default", "wsd_linear"]


def test_an_exported_package_composes(package):
    """The exported package makes schedulers of compositions."""
    optimizer = sgd()
    package.compose([package.phase("linear", 1, start=0.5, end=1)], optimizer, 10)
    assert rates(optimizer) == [0.05] * 3


def test_an_exported_package_imports_torch_alone(catalogue):
    """The modules of a whole export import torch, the standard library and each other; in functions also trainers."""
    for name, text in library.standalone(catalogue, catalogue.schedules).items():
        tree = ast.parse(text)
        for node in ast.walk(tree):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            allowed = {"torch", *sys.stdlib_module_names} | (set() if node in tree.body else {"accelerate"})
            assert {module.split(".")[0] for module in modules} <= allowed, name


def test_an_existing_file_is_kept_without_force(tmp_path, capsys):
    """A file that is another one stops the export, which writes nothing, unless ``--force`` is given."""
    folder = tmp_path / "mine"
    assert export(folder) == 0
    (folder / "_wsd.py").write_text("mine = 1\n")
    (folder / "_step.py").unlink()
    assert export(folder) == 2
    assert "_wsd.py already exists: nothing was written" in " ".join(capsys.readouterr().err.split())
    assert (folder / "_wsd.py").read_text() == "mine = 1\n"
    assert not (folder / "_step.py").exists()
    assert export(folder, "--force", "--json") == 0
    assert json.loads(capsys.readouterr().out)["schedules"] == ["StepLR_default", "wsd_linear"]
    assert "def wsd_linear" in (folder / "_wsd.py").read_text()


def test_a_folder_of_other_modules_is_kept(tmp_path, capsys):
    """A folder that has an ``__init__.py`` of its own stops the export, and gets no file."""
    folder = tmp_path / "training"
    folder.mkdir()
    (folder / "__init__.py").write_text("mine = 1\n")
    assert export(folder) == 2
    assert "__init__.py already exists: nothing was written" in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in folder.iterdir()] == ["__init__.py"]


def test_a_file_in_the_place_of_the_folder_is_kept(tmp_path, capsys):
    """A file with the name of the folder is an error that names it."""
    (tmp_path / "mine").write_text("mine\n")
    assert export(tmp_path / "mine") == 2
    assert "mine: cannot be written" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "mine").read_text() == "mine\n"


def test_a_variant_with_a_practice_is_not_exported(tmp_path, capsys):
    """The name of a variant with a practice is an error, also beside schedules; no folder is made."""
    assert export(tmp_path / "mine", "--schedule", "178") == 2
    assert "has a practice" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "mine").exists()


def test_an_unknown_schedule_is_not_exported(tmp_path, capsys):
    """The name of a schedule that does not exist is wrong use, with similar names; no folder is made."""
    assert cli.run(["export", "schedules", "--out", str(tmp_path / "mine"), "--schedule", "wsd_linea"]) == 2
    assert "did you mean wsd_linear" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "mine").exists()

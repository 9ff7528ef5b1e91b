"""The wheel: its contents, and commands run from it outside the repository."""

import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import lrgen as package
from tests.paths import REPOSITORY


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution with the installed tools."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(REPOSITORY)]
    # The address of no proxy: a build that uses the network fails.
    environment = os.environ | {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel, as an installation makes it."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(installed: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with the installed package first on its path."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LRGEN_")}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_python_imports_the_installed_package(installed, tmp_path):
    """Code and templates are those of the wheel, not those of the repository."""
    code = "import lrgen, lrgen.catalogue; print(lrgen.__file__); print(lrgen.catalogue.SHIPPED)"
    done = run(installed, tmp_path, "-c", code)
    assert done.stdout.splitlines() == [str(installed / "lrgen/__init__.py"), str(installed / "lrgen/templates")]


def test_the_wheel_renders_in_an_empty_folder(installed, tmp_path):
    """``python -m lrgen render --variant 1`` writes the committed file and a manifest."""
    done = run(installed, tmp_path, "-m", "lrgen", "render", "--variant", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1 file written to generated, 0 unchanged\n"
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["generated/ResNet/A0_001.py", "generated/ResNet/manifest.json"]
    committed = REPOSITORY / "generated" / "ResNet" / "A0_001.py"
    assert (tmp_path / "generated/ResNet/A0_001.py").read_bytes() == committed.read_bytes()


def test_the_wheel_renders_files_as_the_repository_does(installed, rendered, tmp_path):
    """All files of two networks and their manifests are equal; the digest does not depend on the path."""
    models = ("ResNet", "ResNet18")
    chosen = [word for name in models for word in ("--model", name)]
    done = run(installed, tmp_path, "-m", "lrgen", "render", *chosen, "--out", "out")
    assert done.returncode == 0, done.stderr
    for name in models:
        expected = {path.name: path.read_bytes() for path in (rendered / name).iterdir() if path.is_file()}
        assert {path.name: path.read_bytes() for path in (tmp_path / "out" / name).iterdir()} == expected


def test_the_wheel_has_every_template(installed):
    """The templates of the wheel are those of the repository."""
    here, there = REPOSITORY / "templates", installed / "lrgen" / "templates"
    expected = {path.relative_to(here): path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert {path.relative_to(there): path.read_bytes() for path in there.rglob("*") if path.is_file()} == expected


def test_the_wheel_has_every_module_and_no_other_file(installed):
    """The wheel has the modules, py.typed, the templates, the report's page and the tokenizer, and nothing else."""
    expected = {path.relative_to(REPOSITORY) for path in (REPOSITORY / "lrgen").rglob("*.py")}
    shipped = [path.relative_to(installed) for path in installed.rglob("*") if path.is_file()]
    others = {path for path in shipped if path.suffix != ".pyc" and "dist-info" not in path.parts[0]}
    assert {path for path in others if path.suffix == ".py"} == expected
    assert {path.parts[:2] for path in others if path.suffix != ".py"} == {
        ("lrgen", "finetune"),
        ("lrgen", "py.typed"),
        ("lrgen", "report"),
        ("lrgen", "templates"),
    }


def test_the_wheel_has_its_licence_and_py_typed(installed):
    """The metadata name the MIT licence and the types, and the wheel has LICENSE and py.typed."""
    assert (installed / "lrgen" / "py.typed").is_file()
    [metadata] = installed.glob("lrgen-*.dist-info/METADATA")
    licence = metadata.parent / "licenses" / "LICENSE"
    assert licence.read_bytes() == (REPOSITORY / "LICENSE").read_bytes()
    assert "MIT" in licence.read_text()
    declared = Parser().parsestr(metadata.read_text())
    assert declared["License-Expression"] == "MIT"
    assert declared["License-File"] == "LICENSE"
    assert declared["Requires-Python"] == ">=3.11"
    assert "Typing :: Typed" in declared.get_all("Classifier", [])


def test_there_is_one_version(wheel, installed, tmp_path):
    """The wheel's name, its metadata, ``lrgen.__version__`` and ``lrgen --version`` agree."""
    [metadata] = installed.glob("lrgen-*.dist-info/METADATA")
    assert Parser().parsestr(metadata.read_text())["Version"] == package.__version__
    assert wheel.name == f"lrgen-{package.__version__}-py3-none-any.whl"
    assert run(installed, tmp_path, "-m", "lrgen", "--version").stdout == f"lrgen {package.__version__}\n"


def test_the_wheel_declares_the_command(installed):
    """The entry points have the command ``lrgen``."""
    [entry_points] = installed.glob("lrgen-*.dist-info/entry_points.txt")
    assert "lrgen = lrgen.__main__:main" in entry_points.read_text().splitlines()

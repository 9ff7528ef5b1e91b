"""What the tests share: one catalogue, one rendered folder, one dataset."""

import os

# Two cores: the processes of the suite share them, so none may take both.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen import generate
from lrgen.catalogue import Catalogue


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The shipped catalogue."""
    return catalogues.load()


@pytest.fixture(scope="session")
def rendered(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file of the grid; not to be changed."""
    out = tmp_path_factory.mktemp("generated")
    generate.generate(catalogue, generate.pairs(catalogue.architectures, catalogue.variants), out)
    return out


@pytest.fixture
def lrgen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple]:
    """Runs the command line in an empty folder: ``lrgen("render", ...)`` → exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("LRGEN_")]:
        monkeypatch.delenv(name)

    def run(*arguments: object) -> tuple[int, str, str]:
        from lrgen.cli import main

        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return run

"""What the tests share: one catalogue, one rendered folder, one dataset."""

import os

# Two cores: the processes of the suite share them, so none may take both.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen import limited
from lrgen.catalogue import Catalogue
from lrgen.render import output
from lrgen.render.output import Pair
from lrgen.verify import nursery_process
from tests.verify.processes import children_of, has_exited, wait_for


@pytest.fixture(scope="module", autouse=True)
def processes_end_with_their_file(request: pytest.FixtureRequest) -> Iterator[None]:
    """The processes that the tests of a file have started end with it: no other test meets them.

    Runs share a nursery, unless the file counts the processes that a run leaves (``COUNTS_PROCESSES``).
    """
    before = children_of(os.getpid())
    with contextlib.nullcontext() if getattr(request.module, "COUNTS_PROCESSES", False) else nursery_process.kept():
        yield
    limited.close()

    def left() -> set[int]:
        return {pid for pid in children_of(os.getpid()) - before if not has_exited(pid)}

    wait_for(lambda: not left(), f"the end of the processes {sorted(left())}")


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The shipped catalogue."""
    return catalogues.load()


# Of the other networks the fast tests look at these: each unit, the schedules by layer, an optimizer of the variant's.
OF_EVERY_NETWORK = (1, 31, 37, 174, 177)


@pytest.fixture(scope="session")
def grid(catalogue: Catalogue, request: pytest.FixtureRequest) -> list[Pair]:
    """The files that are looked at: all of them in the slow tests, else every schedule of two networks, and a few of
    each other network.
    """
    pairs = output.pairs(catalogue.architectures, catalogue.variants)
    if request.config.getoption("markexpr") != "not slow":
        return pairs
    whole = ("ResNet", "ResNet18")
    return [pair for pair in pairs if pair[0].name in whole or pair[1].number in OF_EVERY_NETWORK]


@pytest.fixture(scope="session")
def rendered(catalogue: Catalogue, grid: list[Pair], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that are looked at; not to be changed."""
    out = tmp_path_factory.mktemp("generated")
    output.generate(catalogue, grid, out)
    return out


POSTGRES = os.environ.get("LRGEN_TEST_POSTGRES")


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URL of an empty schema of a real PostgreSQL."""
    if not POSTGRES:
        pytest.skip("LRGEN_TEST_POSTGRES names no server (.ci/postgres starts one)")
    import psycopg

    schema = f"lrgen_{uuid.uuid4().hex}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        yield f"{POSTGRES}?options=-csearch_path%3D{schema}"
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture(params=["sqlite", "postgresql"])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    return request.getfixturevalue("postgres") if request.param == "postgresql" else f"sqlite:///{tmp_path}/results.db"


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

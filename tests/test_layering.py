"""The house: who may import whom, who may print, and what each command must not load."""

import ast
import functools
import graphlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import REPOSITORY

PACKAGE = REPOSITORY / "lrgen"
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): path for path in PACKAGE.rglob("*.py")
}

# The one table of the house, from the top floor down: ``| floor | room | what it holds |``.
TABLE = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
FLOORS = {
    room: int(floor)
    for floor, rooms in re.findall(r"^\| (\d+) \| ([^|]+) \|", TABLE, re.MULTILINE)
    for room in re.findall(r"`(\w+)(?:\.py|/)?`", rooms)
}
MOST_FLOORS = 10
MOST_MODULES = 9  # that lie directly in lrgen/, besides __init__ and __main__
HEAVY = {"torch", "torchvision", "pandas", "sqlalchemy", "sklearn", "matplotlib", "datasets", "ray", "pyarrow"}

every_module = pytest.mark.parametrize("name", sorted(MODULES))
every_room = pytest.mark.parametrize("name", sorted(MODULES.keys() - {"__init__"}))
every_curve = pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith("curves.")))


@functools.cache
def tree_of(name: str) -> ast.Module:
    """A module's code, parsed once."""
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def imports(name: str, *, lazy: bool = True) -> Iterator[str]:
    """What a module imports, as full names; without ``lazy`` only what the import of the module itself runs."""

    def walk(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            inner = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            typing = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            if lazy or not (inner or typing):
                yield child
                yield from walk(child)

    for node in walk(tree_of(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            # ``from lrgen import catalogue`` is an import of lrgen.catalogue, ``from lrgen.errors import X`` is not.
            for alias in node.names:
                inner_name = f"{node.module}.{alias.name}"
                is_module = inner_name.removeprefix("lrgen.").removesuffix(".__init__") in {
                    *MODULES,
                    *(module.removesuffix(".__init__") for module in MODULES),
                }
                yield inner_name if str(node.module).startswith("lrgen") and is_module else str(node.module)


def ours(name: str, *, lazy: bool = True) -> set[str]:
    """The rooms of this house that a module imports from; the bare package (its version) is none."""
    return {full.split(".")[1] for full in imports(name, lazy=lazy) if full.startswith("lrgen.")}


def theirs(name: str, *, lazy: bool = True) -> set[str]:
    """The other packages that a module imports."""
    return {full.split(".")[0] for full in imports(name, lazy=lazy)} - {"lrgen"}


def room_of(name: str) -> str:
    """The module or package directly under lrgen that a module is part of."""
    return name.split(".")[0]


# Arrows.


@every_room
def test_arrows_point_down(name):
    """A module uses the floors below its own and its own package: nothing beside it, nothing above it."""
    room = room_of(name)
    assert room in FLOORS, f"{room} has no floor in the table of CONTRIBUTING.md"
    wrong = {other for other in ours(name) - {room} if FLOORS[other] >= FLOORS[room]}
    assert wrong == set()


def floors_of(arrows: dict[str, set[str]]) -> dict[str, int]:
    """The floor of each room: one above the highest room that it imports, 1 where it imports none.

    Raises:
        graphlib.CycleError: when an arrow runs back up.
    """
    floors: dict[str, int] = {}
    for room in graphlib.TopologicalSorter(arrows).static_order():
        floors[room] = 1 + max((floors[other] for other in arrows[room]), default=0)
    return floors


def arrows_within(package: str) -> dict[str, set[str]]:
    """The rooms that lie directly in a package ("" is lrgen itself), and which others of them each imports."""
    prefix = f"{package}." if package else ""
    arrows: dict[str, set[str]] = {}
    for name in MODULES:
        if not name.startswith(prefix) or name == f"{prefix}__init__":
            continue
        room = name.removeprefix(prefix).split(".")[0]
        inside = (full.removeprefix("lrgen.") for full in imports(name) if full.startswith("lrgen."))
        others = {full.removeprefix(prefix).split(".")[0] for full in inside if full.startswith(prefix)}
        arrows.setdefault(room, set()).update(others - {room})
    return {room: others & arrows.keys() for room, others in arrows.items()}


def test_the_table_of_the_house_is_the_house():
    """CONTRIBUTING.md names every room with the floor that its imports give it, and no other room."""
    assert floors_of(arrows_within("")) == FLOORS


def test_the_house_is_low():
    """At most ten floors, and at most nine modules directly in the package."""
    assert max(FLOORS.values()) <= MOST_FLOORS
    directly = {name for name in MODULES if "." not in name} - {"__init__", "__main__"}
    assert len(directly) <= MOST_MODULES


@pytest.mark.parametrize("package", sorted({name.rpartition(".")[0] for name in MODULES if "." in name}))
def test_no_arrow_runs_back_up_within_a_package(package):
    """The modules and packages that lie in one package stand on floors as well."""
    assert floors_of(arrows_within(package))


@every_room
def test_nothing_imports_the_face(name):
    """The version is in lrgen.version and the errors in lrgen.errors: no module imports the package itself."""
    assert "lrgen" not in imports(name)


def test_importing_the_package_imports_its_version_alone():
    """``import lrgen`` is a version and a promise: the functions behind it load when they are asked for."""
    assert ours("__init__", lazy=False) == {"version"}
    assert ours("__init__") <= {"version", "api", "extraction"}
    assert theirs("__init__") <= {"importlib", "typing"}


@pytest.mark.parametrize("name", ["records", "errors", "old_names", "version"])
def test_the_ground_floor_imports_nothing_but_the_standard_library(name):
    """Records, errors, the renamed hyperparameters and the version stand on their own."""
    assert not {full for full in imports(name) if full.split(".")[0] == "lrgen"}
    assert theirs(name) <= sys.stdlib_module_names


@every_curve
def test_curves_are_mathematics(name):
    """A curve knows numpy and the standard library: no torch, no template, no catalogue."""
    assert theirs(name) <= {"numpy"} | sys.stdlib_module_names
    assert ours(name) <= {"curves", "records", "errors", "old_names"}


@every_module
@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("sqlalchemy", {"store"}),
        ("jinja2", {"render", "report"}),
        ("black", {"render"}),
        ("typer", {"cli"}),
        ("rich", {"cli"}),
        ("torch", {"verify", "data", "cli"}),
    ],
)
def test_a_library_has_its_rooms(name, package, rooms):
    """SQLAlchemy stays in the store, black and Jinja in what writes text, Typer and Rich in the command line."""
    assert package not in theirs(name) or room_of(name) in rooms


CLI = sorted(name for name in MODULES if name.split(".")[0] == "cli")
DATA = sorted(name for name in MODULES if name.split(".")[0] == "data" and name != "data.batches")
CATALOGUE = sorted(name for name in MODULES if name.split(".")[0] == "catalogue")
LIGHT = [*CLI, *CATALOGUE, "config", "render.output"]


@pytest.mark.parametrize("name", [*LIGHT, *DATA, "render.renderer", "report.plots", "verify.run", "store.metrics"])
def test_a_module_of_every_command_imports_no_heavy_library_with_itself(name):
    """torch, pandas and their kind are imported inside the functions that need them."""
    assert theirs(name, lazy=False) & HEAVY == set()


@pytest.mark.parametrize("name", LIGHT)
def test_a_module_of_every_command_imports_neither_black_nor_jinja_with_itself(name):
    """An unchanged render does not pay for the renderer."""
    assert theirs(name, lazy=False) & {"black", "jinja2"} == set()
    assert "lrgen.render.renderer" not in set(imports(name, lazy=False))


# Printing and leaving.


def calls(name: str) -> set[str]:
    """The functions that a module calls, as they are written."""
    return {ast.unparse(node.func) for node in ast.walk(tree_of(name)) if isinstance(node, ast.Call)}


@every_module
def test_only_the_command_line_prints(name):
    """Everybody else returns, raises or yields; a forked child's last words on stderr go to its parent."""
    printing = {"print", "sys.stdout.write", "sys.stderr.write", "pprint", "input"}
    allowed = {"verify.engines.local": {"sys.stderr.write"}}
    assert room_of(name) == "cli" or calls(name) & printing <= allowed.get(name, set())


@every_module
def test_only_the_command_line_exits(name):
    """``sys.exit`` is the command line's; a forked child leaves through ``os._exit`` in verify."""
    raised = {
        ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.Raise) and node.exc is not None
    }
    assert room_of(name) == "cli" or "SystemExit" not in raised
    assert room_of(name) == "cli" or calls(name) & {"sys.exit", "exit", "quit"} == set()
    assert room_of(name) == "verify" or "os._exit" not in calls(name)


# What a process really loads.


def loaded_by(folder: Path, *arguments: str) -> tuple[int, set[str]]:
    """The exit code of a command in a process of its own, and the top-level modules that it loaded."""
    code = (
        "import sys, json\nfrom lrgen.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LRGEN_")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, {name.split(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["list", "families"], ["list", "schedules", "--json"], ["list", "models"]],
    ids=" ".join,
)
def test_listing_loads_nothing_heavy(tmp_path, arguments):
    """What answers at once has read the catalogue and nothing else."""
    code, modules = loaded_by(tmp_path, *arguments)
    assert code == 0
    assert modules & (HEAVY | {"numpy", "black", "jinja2"}) == set()


def test_rendering_loads_nothing_heavy(tmp_path):
    """The first render loads the renderer and no torch; one that changes nothing loads not even that."""
    arguments = ["render", "--variant", "1-3"]
    code, modules = loaded_by(tmp_path, *arguments)
    assert code == 0
    assert {"black", "jinja2"} <= modules
    assert modules & HEAVY == set()
    code, modules = loaded_by(tmp_path, *arguments)
    assert code == 0
    assert modules & (HEAVY | {"numpy", "black", "jinja2"}) == set()
    code, modules = loaded_by(tmp_path, *arguments, "--check")
    assert code == 0
    assert modules & HEAVY == set()


def test_looking_up_results_loads_no_torch(tmp_path):
    """``lrgen results`` needs the store and nothing that trains."""
    _, modules = loaded_by(tmp_path, "results", "best")
    assert "sqlalchemy" in modules
    assert modules & (HEAVY - {"sqlalchemy"}) == set()

"""The house: who may import whom, who may print, and what each command must not load."""

import ast
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "lrgen"
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): path for path in PACKAGE.rglob("*.py")
}

# From the ground up. A room is a module or a package; it may use what lies below it, and nothing beside or above it.
LAYERS: tuple[set[str], ...] = (
    {"records", "errors"},
    {"files"},
    {"config"},
    {"catalogue", "curves", "data", "isolation", "lemur", "metrics", "statistics"},
    {"render", "checks", "plots", "cover", "prompts"},
    {"account", "generate", "worker", "store", "evaluation"},
    {"harness", "exporters", "report"},
    {"cluster"},
    {"verify", "api", "const", "corpus", "doctor"},
    {"tasks"},
    {"dataset"},
    {"cli"},
    {"__main__"},
)
FLOORS = {room: floor for floor, rooms in enumerate(LAYERS) for room in rooms}
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
    assert room in FLOORS, f"{room} has no floor: say in LAYERS where it belongs"
    wrong = {other for other in ours(name) - {room} if FLOORS[other] >= FLOORS[room]}
    assert wrong == set()


def test_importing_the_package_imports_nothing_of_it():
    """``import lrgen`` is a version and a promise: the functions behind it load when they are asked for."""
    assert ours("__init__", lazy=False) == set()
    assert ours("__init__") <= {"api", "const", "prompts"}
    assert theirs("__init__") <= {"importlib", "typing"}


@pytest.mark.parametrize("name", ["records", "errors"])
def test_the_ground_floor_imports_nothing_but_the_standard_library(name):
    """Records and errors stand on their own."""
    assert not {full for full in imports(name) if full.split(".")[0] == "lrgen"}
    assert theirs(name) <= sys.stdlib_module_names


@every_curve
def test_curves_are_mathematics(name):
    """A curve knows numpy and the standard library: no torch, no template, no catalogue."""
    assert theirs(name) <= {"numpy"} | sys.stdlib_module_names
    assert ours(name) <= {"curves", "records", "errors"}


@every_module
@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("sqlalchemy", {"store"}),
        ("jinja2", {"render", "report"}),
        ("black", {"render"}),
        ("typer", {"cli"}),
        ("rich", {"cli"}),
        ("torch", {"checks", "worker", "harness", "engines", "data", "verify", "doctor", "evaluation"}),
    ],
)
def test_a_library_has_its_rooms(name, package, rooms):
    """SQLAlchemy stays in the store, black and Jinja in what writes text, Typer and Rich in the command line."""
    assert package not in theirs(name) or room_of(name) in rooms


CLI = sorted(name for name in MODULES if name.split(".")[0] == "cli")
DATA = sorted(name for name in MODULES if name.split(".")[0] == "data")
LIGHT = [*CLI, "catalogue", "config", "generate"]


@pytest.mark.parametrize("name", [*LIGHT, *DATA, "render", "plots", "verify", "metrics"])
def test_a_module_of_every_command_imports_no_heavy_library_with_itself(name):
    """torch, pandas and their kind are imported inside the functions that need them."""
    assert theirs(name, lazy=False) & HEAVY == set()


@pytest.mark.parametrize("name", LIGHT)
def test_a_module_of_every_command_imports_neither_black_nor_jinja_with_itself(name):
    """An unchanged render does not pay for the renderer."""
    assert theirs(name, lazy=False) & {"black", "jinja2"} == set()
    assert "render" not in ours(name, lazy=False)


# Printing and leaving.


def calls(name: str) -> set[str]:
    """The functions that a module calls, as they are written."""
    return {ast.unparse(node.func) for node in ast.walk(tree_of(name)) if isinstance(node, ast.Call)}


@every_module
def test_only_the_command_line_prints(name):
    """Everybody else returns, raises or yields; a forked child's last words on stderr go to its parent."""
    printing = {"print", "sys.stdout.write", "sys.stderr.write", "pprint", "input"}
    allowed = {"cli": printing, "harness": {"sys.stderr.write"}}
    assert calls(name) & printing <= allowed.get(room_of(name), set())


@every_module
def test_only_the_command_line_exits(name):
    """``sys.exit`` is the command line's; a forked child leaves through ``os._exit`` in the harness or the worker."""
    raised = {
        ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.Raise) and node.exc is not None
    }
    assert room_of(name) == "cli" or "SystemExit" not in raised
    assert room_of(name) == "cli" or calls(name) & {"sys.exit", "exit", "quit"} == set()
    assert room_of(name) in ("harness", "isolation", "worker", "engines") or "os._exit" not in calls(name)


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

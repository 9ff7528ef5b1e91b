"""The layers: imports between rooms, output and exits, and the modules that commands import."""

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

# The table of the rooms, from the top floor down: ``| floor | room | contents |``.
TABLE = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("\n### Habits")[0]
FLOORS = {
    room: int(floor)
    for floor, rooms in re.findall(r"^\| (\d+) \| ([^|]+) \|", TABLE, re.MULTILINE)
    for room in re.findall(r"`(\w+)(?:\.py|/)?`", rooms)
}
MAX_FLOORS = 10
MAX_MODULES = 9  # directly in lrgen/, besides __init__ and __main__
SENT_AS_TEXT = {"verify.sandbox", "verify.nursery"}
WORKBENCH = "finetune.workbench"  # a module that is sent as text, too
HEAVY = {"torch", "torchvision", "pandas", "sqlalchemy", "sklearn", "matplotlib", "datasets", "ray", "pyarrow"}

ROOMS = sorted(MODULES.keys() - {"__init__"})
CURVES = sorted(name for name in MODULES if name.startswith("curves."))


@functools.cache
def tree_of(name: str) -> ast.Module:
    """The syntax tree of a module, parsed once."""
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


@functools.cache
def imports(name: str, *, lazy: bool = True) -> tuple[str, ...]:
    """The full names of a module's imports; without ``lazy`` only those at module level."""
    return tuple(_imports(name, lazy=lazy))


def _imports(name: str, *, lazy: bool) -> Iterator[str]:
    modules = MODULES.keys() | {module.removesuffix(".__init__") for module in MODULES}

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
            module = _absolute(name, node)
            # ``from lrgen import catalogue`` is an import of lrgen.catalogue, ``from lrgen.errors import X`` is not.
            for alias in node.names:
                inner_name = f"{module}.{alias.name}"
                is_module = inner_name.removeprefix("lrgen.").removesuffix(".__init__") in modules
                yield inner_name if module.startswith("lrgen") and is_module else module


def _absolute(name: str, node: ast.ImportFrom) -> str:
    """The full name of the module from which a module imports; a level leaves one package."""
    if not node.level:
        return str(node.module)
    parts = ["lrgen", *name.split(".")][: -node.level]
    return ".".join([*parts, node.module] if node.module else parts)


def rooms_of(name: str, *, lazy: bool = True) -> set[str]:
    """The rooms of lrgen that a module imports; the package itself is not a room."""
    return {full.split(".")[1] for full in imports(name, lazy=lazy) if full.startswith("lrgen.")}


def libraries_of(name: str, *, lazy: bool = True) -> set[str]:
    """The packages other than lrgen that a module imports."""
    return {full.split(".")[0] for full in imports(name, lazy=lazy)} - {"lrgen"}


def room_of(name: str) -> str:
    """The room of a module: a module or package directly in lrgen."""
    return name.split(".")[0]


# Imports between rooms.


def test_arrows_point_down():
    """A module imports from lower floors and from its own room, not from rooms on its floor or above."""
    homeless = {room_of(name) for name in ROOMS} - FLOORS.keys()
    assert homeless == set(), "rooms without a floor in the table of CONTRIBUTING.md"
    wrong = {
        (name, other)
        for name in ROOMS
        for other in rooms_of(name) - {room_of(name)}
        if FLOORS[other] >= FLOORS[room_of(name)]
    }
    assert wrong == set()


def floors_of(arrows: dict[str, set[str]]) -> dict[str, int]:
    """The floor of each room: one above the highest room that it imports, 1 if it imports none.

    Raises:
        graphlib.CycleError: if imports form a cycle.
    """
    floors: dict[str, int] = {}
    for room in graphlib.TopologicalSorter(arrows).static_order():
        floors[room] = 1 + max((floors[other] for other in arrows[room]), default=0)
    return floors


def arrows_within(package: str) -> dict[str, set[str]]:
    """The rooms directly in a package ("" is lrgen itself), each with the other ones that it imports."""
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


def test_the_table_has_every_room_on_its_floor():
    """The table of CONTRIBUTING.md has exactly the rooms of lrgen, on the floors that follow from their imports."""
    assert floors_of(arrows_within("")) == FLOORS


def test_there_are_few_floors_and_modules():
    """lrgen has at most ten floors, and at most nine modules directly in the package."""
    assert max(FLOORS.values()) <= MAX_FLOORS
    directly = {name for name in MODULES if "." not in name} - {"__init__", "__main__"}
    assert len(directly) <= MAX_MODULES


@pytest.mark.parametrize("package", sorted({name.rpartition(".")[0] for name in MODULES if "." in name}))
def test_no_arrow_runs_back_up_within_a_package(package):
    """The imports between the modules of a package have no cycle."""
    assert floors_of(arrows_within(package))


def test_what_is_sent_as_text_stands_alone():
    """Packages whose text runs in a process without lrgen import only each other, and only they import relatively."""
    relative, foreign = set(), set()
    for name in MODULES:
        package = name.rpartition(".")[0]
        if any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree_of(name))):
            relative.add(package)
        if package in SENT_AS_TEXT:
            packages = {f"lrgen.{sent}" for sent in SENT_AS_TEXT}
            inside = {full for full in imports(name) if full.split(".")[0] == "lrgen"}
            foreign |= {full for full in inside if not {full, full.rpartition(".")[0]} & packages}
    assert not any(full.split(".")[0] == "lrgen" for full in imports(WORKBENCH))
    assert not any(f"lrgen.{WORKBENCH}" in imports(name) for name in MODULES)
    assert relative <= SENT_AS_TEXT
    assert foreign == set()


def test_no_module_imports_the_package_itself():
    """A module imports version, errors and all others from their modules, not from ``lrgen``."""
    assert {name for name in ROOMS if "lrgen" in imports(name)} == set()


def test_importing_the_package_imports_its_version_alone():
    """``import lrgen`` imports only the version; other modules are imported at the first access to a name."""
    assert rooms_of("__init__", lazy=False) == {"version"}
    assert rooms_of("__init__") <= {"version", "api", "extraction"}
    assert libraries_of("__init__") <= {"importlib", "typing"}


@pytest.mark.parametrize("room", ["records", "errors", "old_names", "version", "limited"])
def test_the_ground_floor_imports_nothing_but_the_standard_library(room):
    """The rooms of the lowest floor import only the standard library and themselves."""
    modules = [name for name in MODULES if room_of(name) == room]
    assert modules
    for name in modules:
        assert rooms_of(name) <= {room}, name
        assert libraries_of(name) <= sys.stdlib_module_names, name


def test_curves_import_numpy_alone():
    """A module of curves imports numpy and the standard library, and neither torch nor the catalogue."""
    assert {*CURVES} >= {"curves.__init__"}
    for name in CURVES:
        assert libraries_of(name) <= {"numpy"} | sys.stdlib_module_names, name
        assert rooms_of(name) <= {"curves", "records", "errors", "old_names", "limited"}, name


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("sqlalchemy", {"store"}),
        ("jinja2", {"render", "report"}),
        ("black", {"render"}),
        ("typer", {"cli"}),
        ("rich", {"cli"}),
        ("torch", {"verify", "data", "cli", "rewards", "schedules"}),  # rewards: tensors for OpenRLHF
    ],
)
def test_a_library_is_imported_in_its_rooms_only(package, rooms):
    """Each of these libraries is imported only in the rooms listed for it, and by what is sent to other processes."""
    importing = {name for name in MODULES if package in libraries_of(name)}
    assert {name for name in importing - {WORKBENCH} if room_of(name) not in rooms} == set()


CLI = sorted(name for name in MODULES if name.split(".")[0] == "cli")
DATA = sorted(name for name in MODULES if name.split(".")[0] == "data" and name != "data.batches")
CATALOGUE = sorted(name for name in MODULES if name.split(".")[0] == "catalogue")
LIGHT = [*CLI, *CATALOGUE, "config", "render.output"]


def test_a_light_module_imports_no_heavy_library_at_module_level():
    """Heavy libraries are imported inside the functions that need them."""
    for name in (*LIGHT, *DATA, "render.renderer", "report.plots", "verify.run", "store.metrics"):
        assert libraries_of(name, lazy=False) & HEAVY == set(), name


def test_a_light_module_imports_neither_black_nor_jinja_at_module_level():
    """An unchanged render imports neither black, Jinja nor the renderer."""
    for name in LIGHT:
        assert libraries_of(name, lazy=False) & {"black", "jinja2"} == set(), name
        assert "lrgen.render.renderer" not in imports(name, lazy=False), name


# Output and exits.


@functools.cache
def calls(name: str) -> set[str]:
    """The functions that a module calls, as source text."""
    return {ast.unparse(node.func) for node in ast.walk(tree_of(name)) if isinstance(node, ast.Call)}


def test_only_the_command_line_prints():
    """Only the command line prints; a child process may report a failure on stderr to its parent."""
    printing = {"print", "sys.stdout.write", "sys.stderr.write", "pprint", "input"}
    allowed = {"verify.nursery.host": {"sys.stderr.write"}}
    for name in MODULES:
        assert room_of(name) == "cli" or calls(name) & printing <= allowed.get(name, set()), name


def test_only_the_command_line_exits():
    """Only the command line calls ``sys.exit``, and only its process and the child processes call ``os._exit``."""
    for name in MODULES:
        raised = {
            ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
            for node in ast.walk(tree_of(name))
            if isinstance(node, ast.Raise) and node.exc is not None
        }
        command_line = room_of(name) in ("cli", "__main__")
        assert command_line or "SystemExit" not in raised, name
        assert command_line or calls(name) & {"sys.exit", "exit", "quit"} == set(), name
        assert room_of(name) in ("verify", "__main__") or "os._exit" not in calls(name), name


# Imported modules.


def loaded_by(folder: Path, *arguments: str) -> tuple[int, set[str]]:
    """The exit code of a command in a process of its own, and the top-level modules that it imported."""
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
def test_lists_import_no_heavy_library(tmp_path, arguments):
    """``lrgen list`` and ``--version`` import neither a heavy library nor numpy, black or Jinja."""
    code, modules = loaded_by(tmp_path, *arguments)
    assert code == 0
    assert modules & (HEAVY | {"numpy", "black", "jinja2"}) == set()


def test_rendering_imports_no_heavy_library(tmp_path):
    """A first render imports black and Jinja but no heavy library; an unchanged render imports neither."""
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


def test_queries_of_results_import_no_torch(tmp_path):
    """``lrgen results`` imports SQLAlchemy and no other heavy library."""
    _, modules = loaded_by(tmp_path, "results", "best")
    assert "sqlalchemy" in modules
    assert modules & (HEAVY - {"sqlalchemy"}) == set()

"""A sandboxed process sees the interpreter and its packages, but neither lrgen nor data sets."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from lrgen.verify import isolation, visible
from lrgen.verify.sandbox import Mechanism
from tests.paths import REPOSITORY
from tests.verify.sandbox.kinds import (
    NAMESPACES,
    PACKAGE,
    error_of,
    fresh_caches,
    granted,
    in_a_nursery,
    one_of_each,
    result_of,
    start_in,
)

IMPORTED = [Path(entry) for entry in sys.path if entry]
PACKAGES = [entry for entry in IMPORTED if entry.name in ("site-packages", "dist-packages")]


def names_in(folder: str | Path) -> list[str]:
    """The names in a folder; none if it does not exist or cannot be listed."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def content_of(path: str) -> list[str]:
    """The files below a path whose content can be read and is not empty."""
    files = [path] if os.path.isfile(path) else [f"{at}/{name}" for at, _, names in os.walk(path) for name in names]
    return [file for file in files if error_of(Path.read_bytes, Path(file)) == "nothing" and os.path.getsize(file)]


def test_neither_lrgen_nor_data_can_be_read(inside, kind):
    """No file of lrgen, of its installations, of another copy of it or of scikit-learn's data has a content."""
    hidden = isolation.view()["hidden"]
    places = [*hidden, str(PACKAGE), str(REPOSITORY / "templates"), *map(str, PACKAGE.glob("*/*.py"))]
    places += [str(entry / name) for entry in IMPORTED for name in ("lrgen", "templates", "generated")]
    places += [str(entry / "sklearn/datasets/data/digits.csv.gz") for entry in IMPORTED]
    assert any(content_of(place) for place in places)
    assert inside(lambda: [content for place in places for content in content_of(place)]) == []


@one_of_each
def test_a_data_set_of_a_package_is_missing(inside):
    """scikit-learn can be imported, and its digits cannot be loaded."""

    def load() -> list[str]:
        from sklearn import datasets

        try:
            datasets.load_digits()
        except OSError as error:
            return [type(error).__name__]
        return ["loaded"]

    assert inside(load)[0] in ("FileNotFoundError", "PermissionError")


def test_no_path_in_a_package_folder_names_lrgen(inside, kind):
    """No file in a folder of packages is one of lrgen or names its repository."""
    repository = str(REPOSITORY).encode()
    folders = list(map(str, PACKAGES))

    def look() -> list[str]:
        paths = []
        for folder in folders:
            for name in names_in(folder):
                path = f"{folder}/{name}"
                if "lrgen" in name and content_of(path):
                    paths.append(path)
                if name.endswith((".pth", ".egg-link")) and content_of(path) and repository in Path(path).read_bytes():
                    paths.append(path)
        return paths

    assert inside(look) == []


def test_what_is_not_hidden_stays_readable(inside):
    """Beside hidden paths, every package keeps its content."""
    needed = [str(path) for folder in PACKAGES for path in sorted(folder.glob("[!l]*/__init__.py"))]
    needed += [str(path) for folder in PACKAGES for path in folder.glob("sklearn/datasets/*.py")]
    assert len(needed) > 100
    assert inside(lambda: [path for path in needed if error_of(Path.read_bytes, Path(path)) != "nothing"]) == []


@one_of_each
def test_paths_of_the_caller_are_hidden(kind, tmp_path, monkeypatch):
    """A folder and a file that the caller names are empty or denied; what stands beside them is not."""
    library, scratch = tmp_path / "library", tmp_path / "scratch"
    scratch.mkdir()
    for name in ("mine/templates/deep/file", "mine/other", "answers"):
        (library / name).parent.mkdir(parents=True, exist_ok=True)
        (library / name).write_text("text")
    monkeypatch.setattr(sys, "path", [*sys.path, str(library)])
    monkeypatch.setattr(isolation, "view", lambda: visible.view([library / "mine" / "templates", library / "answers"]))

    def look() -> list[Any]:
        return [content_of(str(library)), error_of(Path.write_text, library / "mine" / "templates" / "x", "x")]

    mechanism = Mechanism.NAMESPACES if kind in NAMESPACES else Mechanism.LANDLOCK
    content, error = result_of(*start_in(mechanism, scratch, look))
    assert content == [str(library / "mine" / "other")]
    assert error != "nothing"


def test_hidden_paths_cannot_be_written(inside):
    """The empty folders and files that stand for hidden paths are read-only."""
    hidden = [Path(path) for path in isolation.view()["hidden"]]

    def write() -> list[str]:
        errors = []
        for path in hidden:
            target = path / "new" if path.is_dir() else path
            errors += [error_of(Path.write_text, target, "x"), error_of(os.chmod, path, 0o777)]
        return errors

    assert "nothing" not in inside(write)


def test_the_view_is_that_of_the_interpreter(monkeypatch, tmp_path):
    """It has the library and the packages, but not a home, the root, the current or temporary folder, or lrgen."""
    home, work, library, temporary = (tmp_path / name for name in ("home/user", "work", "library", "temporary"))
    checkout = tmp_path / "checkout"  # another copy of lrgen
    for folder in (home, work / "inner", library / "inner", temporary, checkout / "lrgen"):
        folder.mkdir(parents=True)
    (checkout / "lrgen" / "version.py").touch()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work / "inner")
    traps = ["", "/", home, home.parent, work, work / "inner", temporary, PACKAGE.parent, checkout]
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(sys, "path", [*map(str, traps), str(library), str(library / "inner"), *sys.path])
    view = visible.view()
    readable = [Path(path) for path in view["readable"]]
    assert library.resolve() in readable
    for needed in (Path(sys.prefix).resolve(), Path(os.__file__).resolve()):
        assert any(needed.is_relative_to(path) for path in readable)
    assert not {Path(trap) for trap in traps[1:]} & set(readable)
    assert not any(place.is_relative_to(path) for place in (home, work, PACKAGE, checkout) for path in readable)
    assert all(path == path.resolve() and path.exists() for path in readable)
    assert not any(inner != outer and inner.is_relative_to(outer) for inner in readable for outer in readable)
    assert str(library) in view["imports"]
    assert not {str(trap) for trap in traps} & set(view["imports"])


@pytest.mark.parametrize("installed", ["copied", "a path file", "an import hook"])
def test_an_installation_of_lrgen_is_hidden(monkeypatch, tmp_path, installed):
    """lrgen is hidden in a folder of packages: copied into it, or named by a file of an editable installation."""
    packages, checkout = tmp_path / "site-packages", tmp_path / "checkout"
    (packages / "other").mkdir(parents=True)
    (checkout / "lrgen").mkdir(parents=True)
    (packages / "harmless.pth").write_text("other\nimport os\n")
    metadata = packages / "lrgen-0.1.0.dist-info"
    metadata.mkdir()
    hidden = {metadata}
    if installed == "copied":
        (packages / "lrgen").mkdir()
        (packages / "lrgen" / "version.py").touch()
        hidden.add(packages / "lrgen")
    elif installed == "a path file":
        (packages / "_virtualenv.pth").write_text(f"{checkout}\n")
        hidden.add(packages / "_virtualenv.pth")
    else:
        for name in ("__editable__.lrgen-0.1.0.pth", "__editable___lrgen_0_1_0_finder.py"):
            (packages / name).touch()
            hidden.add(packages / name)
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages)])
    view = visible.view()
    assert {Path(path) for path in view["hidden"] if path.startswith(str(packages))} == hidden
    granted_there = {Path(path).name for path in view["granted"] if path.startswith(str(packages))}
    assert granted_there == {"other", "harmless.pth"}
    assert str(packages) in view["listed"]


def test_the_view_is_plain_json():
    """A process that knows nothing of lrgen can be given the view as text."""
    view = isolation.view()
    again = json.loads(json.dumps(view))
    assert {**again, "links": [tuple(link) for link in again["links"]]} == view


# The modules as text.

ENTER = """
from pathlib import Path
result, result_in = os.pipe()
pid = os.fork()
if pid == 0:
    try:
        os.setsid()
        bounds = nursery_sandbox.Bounds(**given["bounds"])
        nursery_sandbox.enter(given["mechanism"], given["scratch"], {result_in}, bounds, given["view"])
        Path("trial").write_text("x")
        try:
            os.listdir("/var/log")
            text = "it can list /var/log"
        except OSError as error:
            text = type(error).__name__
    except nursery_sandbox.SandboxError as error:
        text = str(error)
    os.write(result_in, text.encode())
    os._exit(0)
os.close(result_in)
print(os.read(result, 1000).decode(), os.waitpid(pid, 0)[1], [name for name in sys.modules if "lrgen" in name])
"""


@pytest.mark.parametrize("mechanism", ["namespaces", "landlock"])
def test_a_process_without_lrgen_enters_the_sandbox(tmp_path, mechanism):
    """The texts of the sandbox are enough for a process that cannot import lrgen."""
    if isolation.refusal_of(Mechanism(mechanism)):
        pytest.skip("the machine refuses it")
    output = in_a_nursery(ENTER, mechanism=mechanism, scratch=str(tmp_path), bounds={"processes": 8})
    expected = {"namespaces": "FileNotFoundError", "landlock": "PermissionError"}[mechanism]
    assert output == f"{expected} 0 []\n"


def test_a_refused_step_is_an_error_of_the_sandbox(tmp_path):
    """A process without lrgen gets an error that names the mechanism and the step."""
    view = {**isolation.view(), "readable": ["/there-is-no-such-folder"]}
    if isolation.refusal_of(Mechanism.NAMESPACES):
        pytest.skip("the machine refuses it")
    output = in_a_nursery(ENTER, view=view, mechanism="namespaces", scratch=str(tmp_path), bounds={})
    assert output.startswith("namespaces: [Errno 2] ")
    assert "/there-is-no-such-folder" in output


SYSTEM_PYTHON = "/usr/bin/python3"
NOBODY = 65534


def is_usable(python: str) -> bool:
    """Whether an interpreter that other users can read exists and is recent enough."""
    return os.access(python, os.X_OK) and os.path.realpath(python) >= "/usr/bin/python3.11"


@pytest.mark.skipif(os.getuid() != 0 or not is_usable(SYSTEM_PYTHON), reason="needs root and a Python of the system")
@pytest.mark.parametrize("mechanism", ["namespaces", "landlock"])
def test_a_user_without_privileges_enters_the_sandbox(mechanism):
    """A user without any capability enters both sandboxes, also from a process that cannot be traced."""
    if not granted(mechanism) or (mechanism == "namespaces" and not granted("user-namespaces")):
        pytest.skip("the machine refuses it")
    system = [path for path in ("/usr", "/etc/ld.so.cache") if os.path.exists(path)]
    links = [(path, os.path.realpath(path)) for path in ("/bin", "/lib", "/lib64") if os.path.islink(path)]
    view = visible.View(readable=system, hidden=[], listed=[], granted=system, links=links, imports=[])
    untraceable = "nursery_sandbox.syscalls.call('prctl', 4, 0, 0, 0, 0)\n"  # PR_SET_DUMPABLE
    with tempfile.TemporaryDirectory() as scratch:
        os.chown(scratch, NOBODY, NOBODY)
        output = in_a_nursery(
            untraceable + ENTER,
            view=view,
            python=SYSTEM_PYTHON,
            user=NOBODY,
            mechanism=mechanism,
            scratch=scratch,
            bounds={},
        )
    expected = {"namespaces": "FileNotFoundError", "landlock": "PermissionError"}[mechanism]
    assert output == f"{expected} 0 []\n"


def test_each_cache_is_found_again():
    """A test that changes the import path does not leave its view to the next."""
    before = isolation.view()
    with fresh_caches():
        assert isolation.view() == before

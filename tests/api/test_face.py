"""The names that ``import lrgen`` offers."""

import subprocess
import sys

import lrgen as package

IMPORT_ALL = """
import importlib, pkgutil, types
import lrgen
modules = [info.name for info in pkgutil.walk_packages(lrgen.__path__, "lrgen.")]
for module in modules:
    if not module.endswith("__main__"):
        importlib.import_module(module)
names = {module.rpartition(".")[2] for module in modules}
print(len(modules), sorted(names & set(lrgen.__all__)))
print([name for name in lrgen.__all__ if isinstance(getattr(lrgen, name), types.ModuleType)])
"""


def test_no_name_of_the_face_is_a_modules_or_a_packages():
    """After every module has been imported, each name still means the function or the constant."""
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=True)
    counted, modules = done.stdout.splitlines()
    count, _, clashes = counted.partition(" ")
    assert int(count) > 100
    assert clashes == "[]"
    assert modules == "[]"


def test_every_name_of_the_face_has_a_docstring_or_is_a_constant():
    """A function's docstring begins with a sentence."""
    functions = [getattr(package, name) for name in package.__all__ if callable(getattr(package, name))]
    assert len(functions) > 20
    for function in functions:
        assert function.__doc__
        assert function.__doc__.split("\n\n")[0].rstrip().endswith(".")

"""The public names of the package."""

import subprocess
import sys

import lrgen as package

IMPORT_ALL = """
import importlib, pkgutil, types
import lrgen
modules = [info.name for info in pkgutil.walk_packages(lrgen.__path__, "lrgen.")]
for module in modules:
    if module.endswith("__main__"):
        continue
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("beside"):  # the package of what runs beside a file, sent as text
            raise
names = {module.rpartition(".")[2] for module in modules}
print(len(modules), sorted(names & set(lrgen.__all__)))
print([name for name in lrgen.__all__ if isinstance(getattr(lrgen, name), types.ModuleType)])
"""


def test_no_public_name_is_the_name_of_a_module():
    """After the import of every module, no public name is that of a module, and none is a module."""
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=True)
    first, modules = done.stdout.splitlines()
    count, _, clashes = first.partition(" ")
    assert int(count) > 100
    assert clashes == "[]"
    assert modules == "[]"


def test_every_public_function_has_a_docstring():
    """The first paragraph of the docstring ends with a full stop."""
    functions = [getattr(package, name) for name in package.__all__ if callable(getattr(package, name))]
    assert len(functions) > 20
    for function in functions:
        assert function.__doc__
        assert function.__doc__.split("\n\n")[0].rstrip().endswith(".")

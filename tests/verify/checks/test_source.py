"""The contract's checks of the text: literal hyperparameters, imports, no work at import time."""

import ast

import pytest

from lrgen.records import Policy
from lrgen.verify.checks import source
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.static.imports import IMPORTS, imports_in, optional
from tests.verify.examinations import Examine

NAMES = '\n\ndef supported_hyperparameters():\n    return {"lr", "momentum"}\n'
NET = '\n\nclass Net:\n    lr = "lr", "momentum"\n'
OLD = "expected only torch and the standard library"
LEMUR = "expected only torch, torchvision and the standard library"


def failure(code: str, policy: Policy | None = None) -> str:
    """The reason why the text of a file fails; empty if it passes."""
    try:
        source.check(ast.parse(code), policy)
    except CheckFailure as found:
        return str(found)
    return ""


def file(imports: str = "import torch", names: str = NAMES, rest: str = "") -> str:
    """A file with these imports, declared hyperparameters and statements."""
    return f"{imports}{names}{NET}{rest}"


@pytest.mark.parametrize("policy", [None, *Policy])
def test_a_plain_file_passes(policy):
    """A file with its names, its class and an import passes under every policy."""
    assert failure(file(), policy) == ""
    assert failure(f'"""Docstring."""\nfrom __future__ import annotations\n{file()}', policy) == ""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (f"import torch{NAMES}", "the file defines no class Net at the top level"),
        (f"import torch{NET}", "the file defines no function supported_hyperparameters at the top level"),
        (
            file(names='\n\ndef supported_hyperparameters():\n    return {"momentum"}\n'),
            "supported_hyperparameters must contain 'lr', got ['momentum']",
        ),
        (
            file(names='\n\ndef supported_hyperparameters():\n    return {"lr"} | {"momentum"}\n'),
            "the first statement of supported_hyperparameters must return a literal set of strings (line 4)",
        ),
        (f"{NET}{NAMES}import torch", "the file must begin with an import, after its docstring (line 3)"),
    ],
)
def test_what_lemur_reads_in_the_text_must_be_there(code, reason):
    """Names, class and import are found without running the file; the reason names what is missing."""
    assert failure(code) == reason


def test_the_declared_names_are_those_of_the_literal():
    """The names are sorted, and each is given once."""
    assert source.declared(ast.parse(file())) == ["lr", "momentum"]


def test_a_name_that_is_quoted_once_is_found():
    """LEMUR looks for each quoted name twice; either quotation mark counts."""
    code = file(names='\n\ndef supported_hyperparameters():\n    return {"lr", "gamma"}\n')
    assert (
        source.unquoted(ast.parse(code), code)
        == "LEMUR requires the quoted name of hyperparameter gamma at least twice, got 1"
    )
    assert source.unquoted(ast.parse(code), f"{code}\n\nNAME = 'gamma'") == ""


@pytest.mark.parametrize("policy", [None, *Policy])
@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("print('x')", "print('x') (line 9)"),
        ("TYPE_CHECKING = 1\nif TYPE_CHECKING:\n    open('x')", "open('x') (line 11)"),
        ("@print\ndef f(): pass", "@print (line 9)"),
        ("def f():\n    print()\n\n\nf()", "f() (line 13) runs print() (line 10)"),
    ],
)
def test_work_at_import_time_fails_under_every_policy(statement, shown, policy):
    """The reason shows the statement and its line."""
    assert failure(file(rest=statement), policy) == f"the file does work at import time: {shown}"


@pytest.mark.parametrize(
    ("imports", "old", "lemur"),
    [
        ("import torch\nimport math", "", ""),
        ("import torch\nimport torchvision", f"the file imports torchvision (line 2), {OLD}", ""),
        ("import torch\nfrom torchvision.ops import MLP", f"the file imports torchvision.ops (line 2), {OLD}", ""),
        (
            "import torch\nimport numpy as np",
            f"the file imports numpy (line 2), {OLD}",
            f"the file imports numpy (line 2), {LEMUR}",
        ),
        ("import torch\nfrom . import x", f"the file imports a relative module (line 2), {OLD}", None),
        (
            "import torch\ntry:\n    import numpy as np\nexcept ImportError:\n    np = None",
            f"the file imports numpy (line 3), {OLD}",
            "",
        ),
        (
            "import torch\ntry:\n    from timm.layers import X\nexcept (ValueError, ModuleNotFoundError):\n    X = 1",
            f"the file imports timm.layers (line 3), {OLD}",
            "",
        ),
        (
            "import torch\ntry:\n    import numpy\nexcept ValueError:\n    pass",
            f"the file imports numpy (line 3), {OLD}",
            f"the file imports numpy (line 3), {LEMUR}",
        ),
        (
            "import torch\ntry:\n    import math\nexcept ImportError:\n    import numpy",
            f"the file imports numpy (line 5), {OLD}",
            f"the file imports numpy (line 5), {LEMUR}",
        ),
        (
            "import torch\ntry:\n    import numpy\nexcept ImportError:\n    pass\n\n\ndef f():\n    import numpy",
            f"the file imports numpy (line 3), {OLD}",
            f"the file imports numpy (line 3), {LEMUR}",
        ),
    ],
)
def test_imports_depend_on_the_policy(imports, old, lemur):
    """Torch and the standard library are allowed; under lemur also torchvision and what a file can do without."""
    assert failure(file(imports)) == old
    assert failure(file(imports), Policy.STRICT) == old
    assert failure(file(imports), Policy.LEMUR) == (old.replace(OLD, LEMUR) if lemur is None else lemur)


def test_the_optional_packages_are_those_that_the_file_can_do_without():
    """Packages that are imported in a try alone are optional, and packages that every file may import are not."""
    code = """
import torch
try:
    import numpy as np
    import torchvision
    import timm.layers
    import math
    from scipy.special import erf
except ImportError:
    np = None


def f():
    import timm
"""
    assert optional(ast.parse(code)) == {"numpy", "scipy", "torchvision"}


@pytest.mark.parametrize(("policy", "missing"), [(None, False), (Policy.LEMUR, True)])
def test_a_file_runs_without_its_optional_packages(examine: Examine, policy, missing):
    """Under lemur an optional package is not there, although it is installed; what the file needs is."""
    code = file("import math\ntry:\n    import numpy\nexcept ImportError:\n    print('it is missing')")
    examination = examine(code, policy=policy)
    assert examination.load(examination.session).printed == "it is missing\n" * missing


def test_a_file_that_is_nested_too_deeply_fails():
    """A deep expression is a reason and not an error of the check."""
    deep = "x = " + " + ".join("1" * 2000)
    assert failure(file(rest=deep)) == "the file is nested too deeply to be checked"


def test_imports_are_found_in_every_kind_of_block() -> None:
    """An import in any block of the grammar counts, as a walk over the whole tree finds it."""
    tree = ast.parse(
        "try:\n    import a\nexcept OSError:\n    import b\nelse:\n    import c\nfinally:\n    import d\n"
        "try:\n    pass\nexcept* OSError:\n    import e\n"
        "if x:\n    import f\nelif y:\n    import g\nelse:\n    import h\n"
        "for x in y:\n    import i\nelse:\n    import j\nwhile x:\n    import k\nelse:\n    import l\n"
        "with x:\n    from m import n\nmatch x:\n    case 1:\n        import o\n    case _:\n        import p\n"
        "class A:\n    import q\n    async def f(self):\n        async with x:\n            import r\n"
        "        async for y in z:\n            import s\n"
    )
    walked = [node for node in ast.walk(tree) if isinstance(node, IMPORTS)]
    assert len(walked) == 18
    assert set(imports_in(tree.body)) == set(walked)

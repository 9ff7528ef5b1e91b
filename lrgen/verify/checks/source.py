"""The part of the contract that the text of a file shows: literal hyperparameters, imports, no work at import time.

It needs the syntax tree alone; nothing of the file runs.
"""

import ast

from lrgen.records import Policy
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.static.import_time import first_work
from lrgen.verify.static.imports import IMPORTS, imports_in, is_known, modules, optional


def check(tree: ast.Module, policy: Policy | None = None) -> None:
    """Check the text of a file against the contract.

    Args:
        policy: under ``lemur`` a file may import torchvision, and any module that it can do without (``optional``), and
            set what warnings and logs show, and how fast torch computes.

    Raises:
        CheckFailure: at the first violation.
    """
    try:
        _check_names(tree)
        _check_imports(tree, policy)
        work = first_work(tree, permits_settings=policy is Policy.LEMUR)
    except RecursionError as error:
        raise CheckFailure("the file is nested too deeply to be checked") from error
    if work is not None:
        raise CheckFailure(f"the file does work at import time: {work}")


def declared(tree: ast.Module) -> list[str]:
    """The sorted names in the literal set that ``supported_hyperparameters`` returns.

    Raises:
        CheckFailure: if there is no such function, or it returns no literal set.
    """
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if "supported_hyperparameters" not in functions:
        raise CheckFailure("the file defines no function supported_hyperparameters at the top level")
    return sorted(set(_literal_names(functions["supported_hyperparameters"].body[0])))


def unquoted(tree: ast.Module, source: str) -> str:
    """The reason why LEMUR does not find a declared hyperparameter in the text; empty if it finds all."""
    for name in declared(tree):
        count = source.count(f'"{name}"') + source.count(f"'{name}'")
        if count < 2:
            return f"LEMUR requires the quoted name of hyperparameter {name} at least twice, got {count}"
    return ""


def default_of(tree: ast.Module, name: str) -> int | float | None:
    """The number in ``prm.get(name, number)``, the first in the text of a file; None if there is none."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            values = [argument.value if isinstance(argument, ast.Constant) else None for argument in node.args]
            if len(values) == 2 and values[0] == name and isinstance(values[1], (int, float)):
                return values[1]
    return None


def _check_names(tree: ast.Module) -> None:
    if not any(isinstance(node, ast.ClassDef) and node.name == "Net" for node in tree.body):
        raise CheckFailure("the file defines no class Net at the top level")
    names = declared(tree)
    if "lr" not in names:
        raise CheckFailure(f"supported_hyperparameters must contain 'lr', got {names}")


def _literal_names(first: ast.stmt) -> list[str]:
    """The names in ``return {"lr", ...}``, which LEMUR parses without running the file."""
    if isinstance(first, ast.Return) and isinstance(first.value, ast.Set):
        names = [getattr(element, "value", None) for element in first.value.elts]
        if all(isinstance(name, str) for name in names):
            return [str(name) for name in names]
    raise CheckFailure(
        f"the first statement of supported_hyperparameters must return a literal set of strings (line {first.lineno})"
    )


def _check_imports(tree: ast.Module, policy: Policy | None) -> None:
    first = next(node for node in tree.body if not _is_docstring(node))
    if not isinstance(first, IMPORTS):
        raise CheckFailure(f"the file must begin with an import, after its docstring (line {first.lineno})")
    lemur = policy is Policy.LEMUR
    allowed = optional(tree) | {"torchvision"} if lemur else frozenset()
    expected = "torch, torchvision and the standard library" if lemur else "torch and the standard library"
    for node in imports_in(tree.body):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            raise CheckFailure(f"the file imports a relative module (line {node.lineno}), expected only {expected}")
        for module in modules(node):
            root = module.split(".")[0]
            if not is_known(root) and root not in allowed:
                raise CheckFailure(f"the file imports {module} (line {node.lineno}), expected only {expected}")


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)

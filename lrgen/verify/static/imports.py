"""The modules that a file imports, and those that it can do without."""

import ast
import builtins
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

IMPORTS = (ast.Import, ast.ImportFrom)
# The fields of a node that hold statements, or handlers and cases, which hold some.
_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")
_IMPORT_ERRORS = ("BaseException", "Exception", "ImportError", "ModuleNotFoundError")


def optional(tree: ast.Module) -> frozenset[str]:
    """The packages that a file imports only if they are installed: in a ``try`` that handles the ImportError.

    A file that passes the checks must work without them.
    """
    guarded = {id(node) for attempt in _statements(tree.body) if _is_attempt(attempt) for node in _imports_in(attempt)}
    imports = list(imports_in(tree.body))
    needed = {root for node in imports if id(node) not in guarded for root in _roots(node)}
    wanted = {root for node in imports if id(node) in guarded for root in _roots(node)}
    return frozenset(root for root in wanted - needed if not is_known(root))


def imports_in(body: Iterable[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements of a block and of all blocks within."""
    return (node for node in _statements(body) if isinstance(node, IMPORTS))


def builtins_without(absent: frozenset[str]) -> dict[str, Any]:
    """The built-in names for a file to which these packages are not installed."""

    def import_module(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return __import__(name, *arguments, **keywords)

    return {**vars(builtins), "__import__": import_module}


def is_known(root: str) -> bool:
    """Whether a package is one that every file may import."""
    return root == "torch" or root in sys.stdlib_module_names


def modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    """The modules that a statement imports or imports from."""
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]


def _roots(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [module.split(".")[0] for module in modules(node)]


def _is_attempt(node: ast.AST) -> bool:
    """Whether a node is a ``try`` that handles the error of a missing module."""
    return isinstance(node, ast.Try) and any(_handles_import_error(handler.type) for handler in node.handlers)


def _handles_import_error(kind: ast.expr | None) -> bool:
    if isinstance(kind, ast.Tuple):
        return any(map(_handles_import_error, kind.elts))
    return kind is None or (isinstance(kind, ast.Name) and kind.id in _IMPORT_ERRORS)


def _imports_in(attempt: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports in the body of a ``try``, not those of its handlers."""
    return imports_in(attempt.body) if isinstance(attempt, ast.Try) else iter(())


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    """The statements of a block and of all blocks within, with the handlers and cases that contain blocks."""
    todo: deque[ast.AST] = deque(body)
    while todo:
        node = todo.popleft()
        yield node
        for field in _BLOCKS:
            todo.extend(getattr(node, field, ()))

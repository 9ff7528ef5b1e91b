"""Normal forms of code: without formatting, comments and docstrings."""

import ast
import copy
import hashlib
from collections.abc import Iterable

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_INTERFACE = frozenset(
    {"Net", "__init__", "forward", "learn", "self", "supported_hyperparameters", "train_setup"}
    | {"criteria", "criterion", "device", "in_shape", "optimizer", "out_shape", "prm", "scheduler", "train_data"}
)
_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def digest(source: str) -> str:
    """Return a digest of the syntax tree; equal for sources that differ in formatting, comments or docstrings.

    Raises:
        SyntaxError: when the source is not Python.
    """
    return _digest(ast.parse(source).body)


def definitions_digest(text: str) -> str | None:
    """Return the ``digest`` of code that defines a function or a class; None for any other text."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return _digest(tree.body) if any(isinstance(node, _DEFINITIONS) for node in tree.body) else None


def schedule_digest(source: str) -> str:
    """Return a digest of ``make_scheduler`` and the definitions of the file that it uses, directly or indirectly."""
    defined = {node.name: node for node in ast.parse(source).body if isinstance(node, _DEFINITIONS)}
    reached = ["make_scheduler"]
    for name in reached:
        for node in ast.walk(defined[name]):
            if isinstance(node, ast.Name) and node.id in defined and node.id not in reached:
                reached.append(node.id)
    return _digest(defined[name] for name in sorted(reached))


def names_digest(tree: ast.Module) -> str | None:
    """Return a digest of a module that is equal for sources that also differ in the names that they define.

    The names of LEMUR's interface, of attributes of other objects and of keyword arguments count. None if the source is
    nested too deeply.
    """
    try:
        renamed = _Renamed().visit(copy.deepcopy(tree))
        return _digest(renamed.body)
    except RecursionError:
        return None


class _Renamed(ast.NodeTransformer):
    """Numbers the names that a module defines by their first occurrence."""

    def __init__(self) -> None:
        self._numbers: dict[str, str] = {}
        self._defined: set[str] = set()

    def visit_Module(self, node: ast.Module) -> ast.AST:
        """Collect the defined names, then rename them."""
        for inner in ast.walk(node):
            if isinstance(inner, _DEFINITIONS):
                self._defined.add(inner.name)
            elif isinstance(inner, ast.arg):
                self._defined.add(inner.arg)
            elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                self._defined.add(inner.id)
            elif isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store) and _is_self(inner.value):
                self._defined.add(inner.attr)
        self._defined -= _INTERFACE
        return self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Rename what a node names, then its parts, in the order of the source."""
        for field in ("name", "arg", "id", "attr"):
            name = getattr(node, field, None)
            if isinstance(name, str) and name in self._defined and not isinstance(node, (ast.keyword, ast.alias)):
                if field == "attr" and not _is_self(getattr(node, "value", None)):
                    continue
                setattr(node, field, self._numbers.setdefault(name, f"n{len(self._numbers)}"))
        return super().generic_visit(node)


def _is_self(node: object) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _digest(nodes: Iterable[ast.stmt]) -> str:
    module = ast.Module(list(nodes), [])
    for node in ast.walk(module):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return hashlib.sha256(ast.dump(module).encode()).hexdigest()

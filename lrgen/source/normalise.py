"""Normal forms of code: without formatting, comments and docstrings."""

import ast
import hashlib
from collections.abc import Iterable

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
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


def _digest(nodes: Iterable[ast.stmt]) -> str:
    module = ast.Module(list(nodes), [])
    for node in ast.walk(module):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return hashlib.sha256(ast.dump(module).encode()).hexdigest()

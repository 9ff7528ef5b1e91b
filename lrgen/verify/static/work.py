"""Work at import time: the statement that does it, and the exception with which ``evaluation`` reports it."""

import ast
import contextlib
import copy
from dataclasses import dataclass

_MAX_TEXT = 80


@dataclass(frozen=True)
class Work:
    """A statement with an effect outside the module, and the statement of a function through which it has it."""

    text: str
    line: int
    through: str = ""
    through_line: int = 0

    def __str__(self) -> str:
        through = f" runs {self.through} (line {self.through_line})" if self.through else ""
        return f"{self.text} (line {self.line}){through}"


class Found(Exception):
    """Work was found; the statements that contain it are added on the way out."""

    def __init__(self, node: ast.AST) -> None:
        super().__init__()
        self.node = node
        self.inner: ast.AST | None = None
        self.outer: ast.AST | None = None

    def within(self, statement: ast.AST, at_import: bool) -> None:
        self.inner = self.inner or statement
        if at_import:
            self.outer = self.outer or statement

    def shown(self) -> Work:
        inner = self.inner or self.node
        outer = self.outer or inner
        if inner is outer:
            return Work(_text(outer), _line(outer))
        return Work(_text(outer), _line(outer), _text(inner), _line(inner))


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


def _text(node: ast.AST) -> str:
    """The first line of a statement; of a compound statement, that of its header."""
    with contextlib.suppress(ValueError, RecursionError):  # of a long integer, of a deep expression
        header = copy.copy(node)
        for name in ("body", "orelse", "finalbody", "handlers", "cases", "decorator_list"):
            if isinstance(getattr(header, name, None), list):
                setattr(header, name, [ast.Pass()] if name == "body" else [])
        sign = "@" if isinstance(node, ast.expr) else ""
        return (sign + ast.unparse(header).splitlines()[0])[:_MAX_TEXT]
    return type(node).__name__

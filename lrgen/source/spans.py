"""A text of Python with its syntax tree, and edits of it that leave the rest of the text as it is."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, order=True)
class Edit:
    """Other text instead of the bytes from ``begin`` to ``end``."""

    begin: int
    end: int
    new: str


class Parsed:
    """A text with its syntax tree.

    Raises:
        SyntaxError: if it is no Python.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self._encoded = text.encode()  # col_offset counts bytes
        self._is_ascii = len(self._encoded) == len(text)
        self._lines = self._encoded.splitlines(keepends=True)
        self._starts = [0, *accumulate(map(len, self._lines))]
        self.parents: dict[ast.AST, ast.AST] = {}
        self.nodes: list[ast.AST] = []
        waiting: list[ast.AST] = [self.tree]
        for node in waiting:
            self.nodes.append(node)
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
                waiting.append(child)

    def of(self, node: ast.AST) -> str:
        """The source of a node."""
        begin, end = self.span(node)
        return self.text[begin:end] if self._is_ascii else self._encoded[begin:end].decode()

    def span(self, node: ast.AST) -> tuple[int, int]:
        """The bytes of a node."""
        begin = self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        return begin, end

    def replaced(self, node: ast.AST, new: str) -> Edit:
        """The edit that puts other text instead of a node."""
        return Edit(*self.span(node), new)

    def unwrapped(self, node: ast.expr, inner: ast.expr) -> Edit:
        """The edit that puts an inner expression instead of ``node``, in parentheses where it needs them."""
        return self.replaced(node, self.inner(node, inner))

    def inner(self, node: ast.expr, inner: ast.expr) -> str:
        """The source of an expression as it stands instead of ``node``."""
        outer = self.parents.get(node)
        bare = not isinstance(inner, (ast.BinOp, ast.IfExp)) or not isinstance(outer, (ast.BinOp, ast.UnaryOp))
        return self.of(inner) if bare else f"({self.of(inner)})"

    def operator(self, node: ast.BinOp, old: str, new: str) -> Edit:
        """The edit of the operator of an operation."""
        begin, end = self.span(node.left)[1], self.span(node.right)[0]
        at = self._encoded.index(old.encode(), begin, end)
        return Edit(at, at + len(old), new)

    def lines(self, statement: ast.stmt) -> tuple[int, int]:
        """The bytes of the lines of a statement."""
        return self._starts[statement.lineno - 1], self._starts[statement.end_lineno or 0]

    def without(self, statement: ast.stmt) -> Edit:
        """The edit that leaves the lines of a statement out."""
        return Edit(*self.lines(statement), "")

    def after(self, statement: ast.stmt, text: str) -> Edit:
        """The edit that puts lines after a statement."""
        return Edit(self.lines(statement)[1], self.lines(statement)[1], text)

    def before(self, statement: ast.stmt, text: str) -> Edit:
        """The edit that puts lines before a statement."""
        return Edit(self.lines(statement)[0], self.lines(statement)[0], text)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes that contain a node, from the inside."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def edited(self, edits: Iterable[Edit], begin: int = 0, end: int | None = None) -> str:
        """The text, or the bytes from ``begin`` to ``end``, after edits in it that do not overlap."""
        pieces, at = [], begin
        for edit in sorted(edits):
            pieces += [self._encoded[at : edit.begin], edit.new.encode()]
            at = edit.end
        return b"".join([*pieces, self._encoded[at:end]]).decode()

    def slice(self, begin: int, end: int) -> str:
        """The text of some bytes."""
        return self._encoded[begin:end].decode()


def overlap(first: Iterable[Edit], second: Iterable[Edit]) -> bool:
    """Whether an edit of one kind touches the text of one of the other."""
    others = list(second)
    return any(edit.begin <= other.end and other.begin <= edit.end for edit in first for other in others)

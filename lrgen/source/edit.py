"""Edits of a rendered file at the nodes of its schedule; the rest of the text stays as it is."""

import ast
from itertools import accumulate


class Code:
    """A rendered file with the syntax tree of its schedule."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._encoded = text.encode()  # col_offset counts bytes
        self._starts = [0, *accumulate(map(len, self._encoded.splitlines(keepends=True)))]
        body = ast.parse(text).body
        names = [getattr(statement, "name", "") for statement in body]
        first, last = names.index("supported_hyperparameters") + 1, names.index("make_scheduler")
        self.imports = [statement for statement in body if isinstance(statement, (ast.Import, ast.ImportFrom))]
        self.schedule = body[first : last + 1]
        factory = body[last]
        assert isinstance(factory, ast.FunctionDef)
        self.factory = factory
        self.nodes = [node for statement in self.schedule for node in ast.walk(statement)]
        self._parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    def of(self, node: ast.AST) -> str:
        """Return the source of a node."""
        begin, end = self._span(node)
        return self._encoded[begin:end].decode()

    def replace(self, node: ast.AST, new: str) -> str:
        """Return the file with other text instead of a node."""
        begin, end = self._span(node)
        return (self._encoded[:begin] + new.encode() + self._encoded[end:]).decode()

    def without(self, statement: ast.stmt) -> str:
        """Return the file without the lines of a statement, and without the blank lines and comments above it."""
        begin, end = statement.lineno - 1, self._starts[statement.end_lineno or 0]
        lines = self._encoded.splitlines()
        while lines[begin - 1].lstrip().startswith(b"#"):
            begin -= 1
        return (self._encoded[: self._starts[begin]].rstrip(b"\n") + b"\n" + self._encoded[end:]).decode()

    def unwrapped(self, node: ast.expr, inner: ast.expr) -> str:
        """Return the source of an inner expression, in parentheses where it needs them instead of ``node``."""
        bare = not isinstance(inner, ast.BinOp) or not isinstance(self._parents.get(node), (ast.BinOp, ast.UnaryOp))
        return self.of(inner) if bare else f"({self.of(inner)})"

    def operator(self, node: ast.BinOp, old: str, new: str) -> str:
        """Return the source of an operation with another operator."""
        between = self._encoded[self._span(node.left)[1] : self._span(node.right)[0]].decode()
        begin, end = self._span(node)
        before = self._encoded[begin : self._span(node.left)[1]].decode()
        after = self._encoded[self._span(node.right)[0] : end].decode()
        return before + between.replace(old, new) + after

    def function_of(self, node: ast.AST) -> str:
        """Return the name of the function that contains a node."""
        while node in self._parents and not isinstance(node, ast.FunctionDef):
            node = self._parents[node]
        return getattr(node, "name", "")

    def _span(self, node: ast.AST) -> tuple[int, int]:
        begin = self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        return begin, end

"""Holes in code: what is cut out, and how an answer is put in its place."""

import ast
import random
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from lrgen.errors import DatasetError


class Kind(StrEnum):
    """The kinds of holes."""

    BODY = "body"  # of a function
    BRANCH = "branch"  # the statements of an if, else or loop
    STATEMENTS = "statements"  # one to three in a row
    FUNCTION = "function"  # with its signature
    EXPRESSION = "expression"  # the right side of an assignment, a condition, what is returned


_WEIGHTS = {Kind.BODY: 4, Kind.BRANCH: 3, Kind.STATEMENTS: 4, Kind.FUNCTION: 1, Kind.EXPRESSION: 2}
_COMMENTS = ("# TODO", "# TODO: implement", "# missing", "# your code here", "# TODO: this part", "# FIXME: lost")
_BLANKS = ("___", "<fill>", "<MISSING>", "______", "<expression>")
_SMALL = (ast.Constant, ast.Name)  # expressions that are no question
_LEAST = 8  # characters of an answer


@dataclass(frozen=True)
class Hole:
    """Code with a placeholder, and what belongs there; a block is dedented."""

    kind: Kind
    code: str
    placeholder: str
    answer: str


def cut(code: str, chance: random.Random, entry: str = "") -> Hole | None:
    """Return code with a hole, which leaves the signature of ``entry``; None if there is nothing to ask for."""
    places: dict[Kind, list[ast.AST | tuple[ast.stmt, ast.stmt]]] = {}
    for kind, place in _places(ast.parse(code)):
        if getattr(place, "name", None) != entry:
            places.setdefault(kind, []).append(place)
    if not places:
        return None
    kinds = sorted(places)
    kind = chance.choices(kinds, [_WEIGHTS[each] for each in kinds])[0]
    place = chance.choice(places[kind])
    lines = code.splitlines(keepends=True)
    hole = _expression(lines, place, chance) if isinstance(place, ast.expr) else _block(lines, kind, place, chance)
    return hole if len(hole.answer.strip()) >= _LEAST else None


def filled(code: str, placeholder: str, answer: str) -> str:
    """Return code with an answer in place of the placeholder.

    A block may be indented as in the code, not at all, or only from its second line on.

    Raises:
        DatasetError: if the code has no such placeholder.
    """
    before, mark, after = code.partition(placeholder)
    if not mark:
        raise DatasetError("the code of the prompt has no placeholder")
    line = before[before.rfind("\n") + 1 :]
    if line.strip() or not placeholder.startswith("#"):
        return f"{before}{' '.join(answer.split())}{after}"
    text = answer.strip("\n")
    dedented = textwrap.indent(textwrap.dedent(text), line)
    head = before[: len(before) - len(line)]
    if _parses(block := f"{head}{dedented}{after}"):
        return block
    return f"{before}{text.lstrip()}{after}"


def _places(tree: ast.Module) -> Iterator[tuple[Kind, "ast.AST | tuple[ast.stmt, ast.stmt]"]]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(body=body):
                own = body[1:] if _is_docstring(body[0]) else body
                if own and node.name != "__init__":
                    yield Kind.BODY, (own[0], own[-1])
                    yield Kind.FUNCTION, node
                yield from _runs(own)
            case ast.If(test=test, body=body, orelse=orelse):
                yield Kind.EXPRESSION, test
                yield Kind.BRANCH, (body[0], body[-1])
                if orelse and not isinstance(orelse[0], ast.If):
                    yield Kind.BRANCH, (orelse[0], orelse[-1])
            case ast.For(body=body):
                yield Kind.BRANCH, (body[0], body[-1])
                yield from _runs(body)
            case ast.Assign(value=value) | ast.Return(value=ast.expr() as value) if not isinstance(value, _SMALL):
                yield Kind.EXPRESSION, value


def _runs(body: list[ast.stmt]) -> Iterator[tuple[Kind, tuple[ast.stmt, ast.stmt]]]:
    for begin in range(len(body)):
        for end in range(begin, min(begin + 3, len(body))):
            if end - begin < len(body) - 1 and not isinstance(body[begin], ast.Import | ast.ImportFrom):
                yield Kind.STATEMENTS, (body[begin], body[end])


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _expression(lines: list[str], node: ast.expr, chance: random.Random) -> Hole:
    blank = chance.choice(_BLANKS)
    own = list(lines)
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    whole = "".join(own[first : last + 1])
    begin = node.col_offset
    end = len(whole) - (len(own[last]) - (node.end_col_offset or 0))
    answer = re.sub(r"([(\[]) | ,?(?=[)\]])|,(?= [)\]])", r"\1", " ".join(whole[begin:end].split()))
    own[first : last + 1] = [f"{whole[:begin]}{blank}{whole[end:]}"]
    return Hole(Kind.EXPRESSION, "".join(own), blank, f"{answer}\n")


def _block(lines: list[str], kind: Kind, place: "ast.AST | tuple[ast.stmt, ast.stmt]", chance: random.Random) -> Hole:
    first, last = place if isinstance(place, tuple) else (place, place)
    assert isinstance(first, ast.stmt)
    assert isinstance(last, ast.stmt)
    begin, end = first.lineno - 1, last.end_lineno or last.lineno
    while begin > 0 and lines[begin - 1].lstrip().startswith("#"):
        begin -= 1  # comments on what is cut out
    indent = " " * first.col_offset
    comment = chance.choice(_COMMENTS)
    answer = textwrap.dedent("".join(lines[begin:end]))
    code = "".join([*lines[:begin], f"{indent}{comment}\n", *lines[end:]])
    return Hole(kind, code, comment, answer)


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError):
        return False
    return True

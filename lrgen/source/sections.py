"""A rendered file in its pieces, byte by byte: its schedule, what ``make_scheduler`` needs, and the rest."""

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass

from lrgen.errors import DatasetError

GAP = "# TODO: write make_scheduler here, and what it needs.\n"

_FACTORY = "make_scheduler"
_DECLARES = "supported_hyperparameters"
_WIDTH = 88 + 1  # of a line with its break
_SCHEDULERS = ("torch.optim.lr_scheduler", "torch.optim.swa_utils")


@dataclass(frozen=True)
class Pieces:
    """A file that is ``head + schedule + network``.

    Attributes:
        head: docstring, imports and ``supported_hyperparameters``.
        schedule: ``make_scheduler`` and the classes and functions above it.
        network: the rest: blocks and ``Net``.
        factory: where in the schedule the part begins that only ``make_scheduler`` uses.
        imports: the import statements that the schedule needs, with the names that it uses and no other.
        hyperparameters: what the file declares, in its order.
        interfaces: the classes of torch's that the scheduler is made of, by name; none where it is a class of its own.
    """

    head: str
    schedule: str
    network: str
    factory: int
    imports: str
    hyperparameters: tuple[str, ...]
    interfaces: tuple[str, ...]

    @property
    def alone(self) -> str:
        """The schedule with its imports: it can be pasted into any project."""
        return f"{self.imports}\n\n{self.schedule}"

    @property
    def answer(self) -> str:
        """``make_scheduler`` and what only it uses."""
        return self.schedule[self.factory :]

    @property
    def with_gap(self) -> str:
        """The file without ``answer``."""
        return f"{self.head}{self.schedule[: self.factory]}{GAP}{self.network}"


@functools.lru_cache(maxsize=256)
def cut(source: str) -> Pieces:
    """The pieces of a rendered file.

    Raises:
        DatasetError: when the text is not in the order of one.
    """
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        raise DatasetError(f"not a rendered file: not Python: {error}") from error
    names = [getattr(statement, "name", None) for statement in body]
    if _DECLARES not in names or _FACTORY not in names[names.index(_DECLARES) :]:
        raise DatasetError(f"not a rendered file: {_FACTORY} does not stand below {_DECLARES}")
    first, last = names.index(_DECLARES) + 1, names.index(_FACTORY)
    head, schedule, network = body[:first], body[first : last + 1], body[last + 1 :]
    lines = source.splitlines(keepends=True)
    begin, end = _begin(lines, body[first - 1]), schedule[-1].end_lineno
    owned = first + _owned(schedule, _used([*head, *network]))
    used = _used(schedule)
    return Pieces(
        head="".join(lines[:begin]),
        schedule="".join(lines[begin:end]),
        network="".join(lines[end:]),
        factory=len("".join(lines[begin : _begin(lines, body[owned - 1])])),
        imports=_imports(head, used),
        hyperparameters=tuple(_declared(body[first - 1])),
        interfaces=tuple(_interfaces(head, used)),
    )


def fill(with_gap: str, answer: str) -> str:
    """The file whose gap the answer fills.

    Raises:
        DatasetError: when there is not one gap.
    """
    if with_gap.count(GAP) != 1:
        raise DatasetError(f"the file has {with_gap.count(GAP)} gaps, not one")
    return with_gap.replace(GAP, answer)


def torch_schedulers(code: str) -> frozenset[str]:
    """The classes of torch's schedulers that code uses, however it imports them; LRScheduler is none of them.

    Raises:
        SyntaxError: when it is not Python.
    """
    body = ast.parse(code).body
    used, found = _used(body), set()
    for node in (node for statement in body for node in ast.walk(statement)):
        if isinstance(node, ast.ImportFrom) and node.module in _SCHEDULERS:
            found |= {alias.name for alias in node.names if (alias.asname or alias.name) in used}
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith(("lr_scheduler", "swa_utils")):
            found.add(node.attr)
    return frozenset(found - {"LRScheduler"})


def _begin(lines: list[str], above: ast.stmt) -> int:
    """The index of the first line of what stands below a statement; a comment above a statement belongs to it."""
    at = above.end_lineno or 0
    while not lines[at].strip():
        at += 1
    return at


def _owned(schedule: list[ast.stmt], used_elsewhere: set[str]) -> int:
    """The index of the first statement from which on nothing is used but by ``make_scheduler``, the last of them."""
    begin = len(schedule) - 1
    while begin and _defined(schedule[begin - 1]).isdisjoint(used_elsewhere | _used(schedule[: begin - 1])):
        begin -= 1
    return begin


def _defined(statement: ast.stmt) -> set[str]:
    return {statement.name} if isinstance(statement, (ast.FunctionDef, ast.ClassDef)) else _used([statement])


def _used(statements: list[ast.stmt]) -> set[str]:
    """The names that occur in statements."""
    nodes = (node for statement in statements for node in ast.walk(statement))
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def _imported(head: list[ast.stmt]) -> Iterator[tuple[str, ast.alias]]:
    """Every import with its module; the module is empty for ``import math``."""
    for statement in head:
        if isinstance(statement, ast.Import):
            yield from (("", alias) for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield from ((str(statement.module), alias) for alias in statement.names)


def _interfaces(head: list[ast.stmt], used: set[str]) -> Iterator[str]:
    for module, alias in _imported(head):
        if module in _SCHEDULERS and alias.name in used and alias.name != "LRScheduler":
            yield alias.name


def _imports(head: list[ast.stmt], used: set[str]) -> str:
    """The import statements with the used names alone: the standard library's, then torch's."""
    names: dict[str, list[str]] = {}
    for module, alias in _imported(head):
        if (alias.asname or alias.name) in used:
            statement = f"from {module} import " if module else f"import {ast.unparse(alias)}"
            names.setdefault(statement, []).append(ast.unparse(alias) if module else "")
    blocks: dict[bool, str] = {}
    for statement, what in names.items():
        line = f"{statement}{', '.join(what)}\n"
        if len(line) > _WIDTH:
            line = "".join((f"{statement}(\n", *(f"    {name},\n" for name in what), ")\n"))
        of_torch = statement.split()[1].partition(".")[0] == "torch"
        blocks[of_torch] = blocks.get(of_torch, "") + line
    return "\n".join(blocks.values())


def _declared(function: ast.stmt) -> Iterator[str]:
    """The strings of the literal that ``supported_hyperparameters`` returns."""
    (returned,) = (node for node in ast.walk(function) if isinstance(node, ast.Set))
    yield from (str(ast.literal_eval(element)) for element in returned.elts)

"""The sections of a rendered file: head, schedule and network; nothing is reformatted."""

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass

from lrgen.errors import DatasetError

PLACEHOLDER = "# TODO: implement make_scheduler and its helpers here.\n"

_FACTORY = "make_scheduler"
_DECLARES = "supported_hyperparameters"
_WIDTH = 88 + 1  # of a line, including its newline
_SCHEDULERS = ("torch.optim.lr_scheduler", "torch.optim.swa_utils")


@dataclass(frozen=True)
class Sections:
    """The sections of a file, which is ``head + schedule + network`` and also ``prefix + middle + suffix``.

    Attributes:
        head: docstring, imports and ``supported_hyperparameters``.
        schedule: ``make_scheduler`` and the classes and functions above it.
        network: the blocks and ``Net``.
        middle_start: the offset in the schedule from which on only ``make_scheduler`` uses the code.
        imports: the import statements of the names that the schedule uses.
        hyperparameters: the declared names, in the order of the file.
        torch_classes: torch's classes that build the scheduler; empty when the file defines the class itself.
    """

    head: str
    schedule: str
    network: str
    middle_start: int
    imports: str
    hyperparameters: tuple[str, ...]
    torch_classes: tuple[str, ...]

    @property
    def standalone(self) -> str:
        """The schedule with its imports, ready to paste into any project."""
        return f"{self.imports}\n\n{self.schedule}"

    @property
    def prefix(self) -> str:
        """The text before ``make_scheduler`` and its helpers."""
        return self.head + self.schedule[: self.middle_start]

    @property
    def middle(self) -> str:
        """``make_scheduler`` and the helpers that only it uses."""
        return self.schedule[self.middle_start :]

    @property
    def suffix(self) -> str:
        """The text after ``make_scheduler``."""
        return self.network

    @property
    def incomplete(self) -> str:
        """The text of the file with ``PLACEHOLDER`` instead of the middle."""
        return f"{self.prefix}{PLACEHOLDER}{self.suffix}"


@functools.lru_cache(maxsize=256)
def parse(source: str) -> Sections:
    """Return the sections of a rendered file.

    Raises:
        DatasetError: when the text is not Python, or has no ``make_scheduler`` below the declared hyperparameters.
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
    return Sections(
        head="".join(lines[:begin]),
        schedule="".join(lines[begin:end]),
        network="".join(lines[end:]),
        middle_start=len("".join(lines[begin : _begin(lines, body[owned - 1])])),
        imports=_imports(head, used),
        hyperparameters=tuple(_declared(body[first - 1])),
        torch_classes=tuple(_torch_classes(head, used)),
    )


def complete(incomplete: str, middle: str) -> str:
    """Return the file with a middle instead of ``PLACEHOLDER``.

    Raises:
        DatasetError: when the file does not contain the placeholder exactly once.
    """
    if (count := incomplete.count(PLACEHOLDER)) != 1:
        raise DatasetError(f"expected one placeholder {PLACEHOLDER.strip()!r}, got {count}")
    return incomplete.replace(PLACEHOLDER, middle)


def torch_schedulers(code: str) -> frozenset[str]:
    """Return the names of torch's scheduler classes that code uses, however it imports them, without LRScheduler.

    Raises:
        SyntaxError: when the code is not Python.
    """
    body = ast.parse(code).body
    used, names = _used(body), set()
    for node in (node for statement in body for node in ast.walk(statement)):
        if isinstance(node, ast.ImportFrom) and node.module in _SCHEDULERS:
            names |= {alias.name for alias in node.names if (alias.asname or alias.name) in used}
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith(("lr_scheduler", "swa_utils")):
            names.add(node.attr)
    return frozenset(names - {"LRScheduler"})


def _begin(lines: list[str], above: ast.stmt) -> int:
    """The index of the first line below a statement; a comment belongs to the statement that follows it."""
    at = above.end_lineno or 0
    while not lines[at].strip():
        at += 1
    return at


def _owned(schedule: list[ast.stmt], used_elsewhere: set[str]) -> int:
    """The index of the first statement from which on only ``make_scheduler``, the last one, uses what is defined."""
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
    """Yield each imported name with its module; the module is empty for ``import math``."""
    for statement in head:
        if isinstance(statement, ast.Import):
            yield from (("", alias) for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield from ((str(statement.module), alias) for alias in statement.names)


def _torch_classes(head: list[ast.stmt], used: set[str]) -> Iterator[str]:
    for module, alias in _imported(head):
        if module in _SCHEDULERS and alias.name in used and alias.name != "LRScheduler":
            yield alias.name


def _imports(head: list[ast.stmt], used: set[str]) -> str:
    """The import statements of the used names: the standard library first, then torch."""
    names: dict[str, list[str]] = {}
    for module, alias in _imported(head):
        if (alias.asname or alias.name) in used:
            statement = f"from {module} import " if module else f"import {ast.unparse(alias)}"
            names.setdefault(statement, []).append(ast.unparse(alias) if module else "")
    blocks: dict[bool, str] = {}
    for statement, imported in names.items():
        line = f"{statement}{', '.join(imported)}\n"
        if len(line) > _WIDTH:
            line = "".join((f"{statement}(\n", *(f"    {name},\n" for name in imported), ")\n"))
        of_torch = statement.split()[1].partition(".")[0] == "torch"
        blocks[of_torch] = blocks.get(of_torch, "") + line
    return "\n".join(blocks.values())


def _declared(function: ast.stmt) -> Iterator[str]:
    """Yield the strings of the set literal that ``supported_hyperparameters`` returns."""
    (returned,) = (node for node in ast.walk(function) if isinstance(node, ast.Set))
    yield from (str(ast.literal_eval(element)) for element in returned.elts)

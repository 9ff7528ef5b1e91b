"""Statements laid out as Black lays them out."""

from collections.abc import Sequence

WIDTH = 88


def indented(lines: Sequence[str], depth: int = 1) -> list[str]:
    """The lines, further to the right."""
    return [f"{'    ' * depth}{line}" if line else line for line in lines]


def wrapped(head: str, items: Sequence[str], tail: str, depth: int = 0) -> list[str]:
    """``head(items)tail`` on one line, or on lines of their own: ``head`` and ``tail`` hold the brackets."""
    flat = f"{head}{', '.join(items)}{tail}"
    if len(flat) + 4 * depth <= WIDTH:
        return [flat]
    inner = ", ".join(items)
    if len(inner) + 4 * (depth + 1) <= WIDTH and not head.startswith(("[", "{")) and "=" not in head[:-1]:
        pass
    return [head, *indented([f"{item}," for item in items]), tail]


def signature(name: str, parameters: Sequence[str], returns: str = "", depth: int = 0) -> list[str]:
    """The line or lines of ``def``."""
    tail = f") -> {returns}:" if returns else "):"
    flat = f"def {name}({', '.join(parameters)}{tail}"
    if len(flat) + 4 * depth <= WIDTH:
        return [flat]
    inner = ", ".join(parameters)
    if len(inner) + 4 * (depth + 1) <= WIDTH:
        return [f"def {name}(", *indented([inner]), tail]
    return [f"def {name}(", *indented([f"{p}," for p in parameters]), tail]


def fits(code: str) -> bool:
    """Whether no line is longer than Black's."""
    return all(len(line) <= WIDTH for line in code.split("\n"))


def assembled(imports: Sequence[str], blocks: Sequence[Sequence[str]], docstring: str = "") -> str:
    """A module: its imports in order, then definitions two blank lines apart.

    A block whose first line starts neither with ``def``, ``class`` nor ``@`` holds constants; it is one blank line from
    what is above.
    """
    parts: list[str] = [docstring] if docstring else []
    if imports:
        if docstring:
            parts.append("")
        parts += _sorted(imports)
    previous_is_definition = False
    for block in blocks:
        definition = block[0].startswith(("def ", "class ", "@"))
        if parts:
            parts += ["", ""] if definition or previous_is_definition else [""]
        parts += block
        previous_is_definition = definition
    return "\n".join(parts) + "\n"


_STANDARD = ("math", "bisect", "dataclasses", "functools", "itertools", "collections", "enum", "typing", "__future__")


def _sorted(imports: Sequence[str]) -> list[str]:
    """The imports in two blocks, as isort orders them."""
    unique = sorted(set(imports), key=lambda line: (line.startswith("from "), line.lower()))
    standard = [line for line in unique if line.split()[1].split(".")[0] in _STANDARD]
    others = [line for line in unique if line not in standard]
    return [*standard, *([""] if standard and others else []), *others]

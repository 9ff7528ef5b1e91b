"""Lines that are too long, folded as Black folds them."""

import re

WIDTH = 88
_OPEN, _CLOSE = "([{", ")]}"
_LEVELS = (
    (" if ", " else "),
    (" + ", " - "),
    (" * ", " / ", " // ", " % "),
)
_HEAD = re.compile(r"((?:return|if|elif) |[\w.\[\]\", ]+ (?:[-+*/%]|//|)= |)(.*?)(:?)")


def folded(line: str) -> list[str]:
    """The line; a long one on several lines."""
    if len(line) <= WIDTH:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    match = _HEAD.fullmatch(line.strip())
    if match is None or line.strip().startswith("#"):
        return [line]
    head, value, tail = match.groups()
    if value.startswith("[") and value.endswith("]") and _last_bracket(value, "[") == ("", value[1:-1]):
        return [f"{indent}{head}[", *_inside(value[1:-1], f"{indent}    ", always=True), f"{indent}]{tail}"]
    parts, _ = _split(value)
    if len(parts) <= 2 and value.endswith(")"):
        bracketed = _last_bracket(value)
        if bracketed is not None:
            before, inner = bracketed
            if not before and len(_arguments(inner)) > 1:  # a tuple
                return [f"{indent}{head}(", *_inside(inner, f"{indent}    ", always=True), f"{indent}){tail}"]
            if inner and len(indent) + len(head) + len(before) + 1 <= WIDTH:
                return [f"{indent}{head}{before}(", *_inside(inner, f"{indent}    "), f"{indent}){tail}"]
    if head:
        return [f"{indent}{head}(", *_inside(value, f"{indent}    ", bare=True), f"{indent}){tail}"]
    return [line]


def _inside(value: str, indent: str, *, bare: bool = False, always: bool = False) -> list[str]:
    """The content of brackets, on lines of its own."""
    arguments = _arguments(value)
    if always and len(arguments) > 1 and " for " not in value:
        return [f"{indent}{each}," for each in arguments]
    if len(indent) + len(value) <= WIDTH:
        return [f"{indent}{value}"]
    if always and " for " in value:
        first, second = value.rsplit(" for ", 1)
        return [f"{indent}{first}", f"{indent}for {second}"]
    if len(arguments) > 1 and not bare:
        return [f"{indent}{each}," for each in arguments]
    parts, operators = _split(value)
    if len(parts) == 1:
        return [f"{indent}{value}"]
    lines = [f"{indent}{parts[0]}"]
    lines += [f"{indent}{operator.strip()} {part}" for operator, part in zip(operators, parts[1:], strict=True)]
    return lines


def _split(value: str) -> tuple[list[str], list[str]]:
    """The operands of the operators that bind least, and the operators."""
    for operators in _LEVELS:
        parts, between, depth, begin, at = [], [], 0, 0, 0
        while at < len(value):
            character = value[at]
            if character in _OPEN:
                depth += 1
            elif character in _CLOSE:
                depth -= 1
            elif depth == 0 and character == " ":
                operator = next((own for own in operators if value.startswith(own, at)), None)
                if operator is not None:
                    parts.append(value[begin:at])
                    between.append(operator)
                    at += len(operator)
                    begin = at
                    continue
            at += 1
        if between:
            return [*parts, value[begin:]], between
    return [value], []


def _arguments(value: str) -> list[str]:
    parts, depth, begin = [], 0, 0
    for at, character in enumerate(value):
        if character in _OPEN:
            depth += 1
        elif character in _CLOSE:
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(value[begin:at].strip())
            begin = at + 1
    return [part for part in (*parts, value[begin:].strip()) if part]


def _last_bracket(value: str, bracket: str = "(") -> tuple[str, str] | None:
    """The text before the bracket that the value ends with, and the text inside it."""
    depth = 0
    for at in range(len(value) - 1, -1, -1):
        if value[at] in _CLOSE:
            depth += 1
        elif value[at] in _OPEN:
            depth -= 1
            if depth == 0:
                return (value[:at], value[at + 1 : -1]) if value[at] == bracket else None
    return None

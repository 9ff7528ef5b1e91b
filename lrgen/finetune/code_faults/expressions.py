"""Mistakes in the expressions of a schedule: progress, phase formulas, boundaries, levels, the base learning rate.

A rule yields the edits of a mutant for a node that it matches. Its name says what is wrong.
"""

import ast
import itertools
import re
from collections.abc import Callable, Iterator

from lrgen.source.spans import Edit, Parsed

Edits = tuple[Edit, ...]
Rule = Callable[[Parsed, ast.AST], Iterator[Edits]]

_STEP = re.compile(
    r"[a-z]{1,2}|(?:\w*_)?(?:step|epoch|iter|it|batch|update|iteration|index|since|elapsed|local|within|offset|done|pos)"
)
_BASES = ("base_lr", "lr", "max_lr", "peak_lr", "base", "initial_lr", "learning_rate", "peak", "base_rate")


# Progress.


def early(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Count a step from 1."""
    match node:
        case ast.BinOp(ast.Name(name) as step, ast.Div(), right):
            if _STEP.fullmatch(name) and not isinstance(right, ast.Constant):
                yield (code.replaced(step, f"({name} + 1)"),)
        case ast.BinOp(ast.BinOp(ast.Name(name), ast.Sub(), _) as step, ast.Div(), _) if _STEP.fullmatch(name):
            end = code.span(step)[1]
            yield (Edit(end, end, " + 1"),)


def from_the_start(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Measure the progress of a phase from the start of training."""
    match node:
        case ast.BinOp(ast.BinOp(ast.Name(name) as step, ast.Sub(), offset) as left, ast.Div(), _):
            if _STEP.fullmatch(name) and not (isinstance(offset, ast.Constant) and offset.value == 1):
                yield (_whole(code, left, code.of(step)),)


def over_more(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Divide by the end of a phase instead of its length."""
    match node:
        case ast.BinOp(_, ast.Div(), ast.BinOp(end, ast.Sub(), _) as length):
            yield (_whole(code, length, code.of(end)),)


def over_less(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Divide by one step less than the length of a phase."""
    match node:
        case ast.BinOp(left, ast.Div(), ast.Name() | ast.Attribute() as length) if _counts(left):
            yield (code.replaced(length, f"({code.of(length)} - 1)"),)
        case ast.BinOp(left, ast.Div(), ast.Constant(int(length)) as right) if _counts(left) and length > 2:
            yield (code.replaced(right, str(length - 1)),)


def _counts(node: ast.expr) -> bool:
    """Whether an expression is a step, or one since the start of a phase."""
    match node:
        case ast.Name(name) | ast.BinOp(ast.Name(name), ast.Sub(), _):
            return _STEP.fullmatch(name) is not None
    return False


def floored(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Round a quotient down."""
    match node:
        case ast.BinOp(op=ast.Div(), left=left) if not isinstance(left, ast.Constant):
            yield (code.operator(node, "/", "//"),)


def not_reversed(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Use the progress of a phase where what remains of it is meant."""
    match node:
        case ast.BinOp(ast.Constant(1 | 1.0), ast.Sub(), progress) if not isinstance(progress, ast.Constant):
            if not (isinstance(progress, ast.Name) and "decay" in progress.id):
                name = progress.id if isinstance(progress, ast.Name) else ""
                yield (_whole(code, node, name or code.inner(node, progress)),)


def unclamped(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Do not clamp the step, or the progress."""
    match node:
        case ast.Call(ast.Name("min" | "max"), [ast.Constant(), inner] | [inner, _]):
            match code.parents[node], inner:
                case ast.Assign([ast.Name(target)]) as statement, ast.Name(name) if target == name:
                    yield (code.without(statement),)
                case _:
                    yield (code.unwrapped(node, inner),)


def clamped_wrongly(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Use ``max`` instead of ``min``, or ``min`` instead of ``max``."""
    match node:
        case ast.Call(ast.Name("min" | "max" as name) as function, [_, _]):
            yield (code.replaced(function, "max" if name == "min" else "min"),)


# Formulas of phases.


def full_period(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Use a full period of the cosine."""
    match node:
        case ast.BinOp(ast.Attribute(attr="pi") | ast.Name("pi") as pi, ast.Mult()):
            yield (code.replaced(pi, f"2 * {code.of(pi)}"),)


def without_pi(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Omit pi in the argument of the cosine."""
    match node:
        case ast.BinOp(ast.Attribute(attr="pi") | ast.Name("pi"), ast.Mult(), progress):
            yield (code.unwrapped(node, progress),)


def _is_cosine(node: ast.AST) -> bool:
    match node:
        case ast.Call(ast.Attribute(attr="cos") | ast.Name("cos")):
            return True
    return False


def rising_cosine(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Subtract the cosine."""
    match node:
        case ast.BinOp(ast.Constant(1 | 1.0), ast.Add(), cosine) if _is_cosine(cosine):
            yield (code.operator(node, "+", "-"),)


def without_half(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Omit the factor one half of the cosine."""
    match node:
        case ast.BinOp(ast.Constant(0.5), ast.Mult(), ast.BinOp(right=cosine) as inner) if _is_cosine(cosine):
            yield (code.replaced(node, f"({code.of(inner)})"),)
        case ast.BinOp(ast.BinOp(right=cosine) as inner, ast.Div(), ast.Constant(2)) if _is_cosine(cosine):
            yield (code.replaced(node, f"({code.of(inner)})"),)


def added_minimum(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Add the minimum to the full range: ``a + b * x`` instead of ``a + (b - a) * x``."""
    match node:
        case ast.BinOp(low, ast.Add(), ast.BinOp(ast.BinOp(high, ast.Sub(), again) as span, ast.Mult(), _)):
            if code.of(low) == code.of(again):
                yield (_whole(code, span, code.of(high)),)
        case ast.BinOp(ast.Constant(float(low)), ast.Add(), ast.BinOp(ast.Constant(float(span)), ast.Mult(), rest)):
            if abs(low + span - 1) < 1e-9:
                yield (code.replaced(node, f"{code.of(node.left)} + {code.of(rest)}"),)


def ends_swapped(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Swap the levels of a phase: ``b + (a - b) * x`` instead of ``a + (b - a) * x``."""
    match node:
        case ast.BinOp(low, ast.Add(), ast.BinOp(ast.BinOp(high, ast.Sub(), again), ast.Mult(), _)):
            if code.of(low) == code.of(again):
                a, b = code.of(low), code.of(high)
                yield code.replaced(low, b), code.replaced(high, a), code.replaced(again, b)


def caret(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Use ``^`` as power."""
    match node:
        case ast.BinOp(op=ast.Pow()):
            yield (code.operator(node, "**", "^"),)


def multiplied(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Multiply instead of raising to a power."""
    match node:
        case ast.BinOp(op=ast.Pow()):
            yield (code.operator(node, "**", "*"),)


def without_root(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Omit the square root."""
    match node:
        case ast.Call(ast.Attribute(attr="sqrt") | ast.Name("sqrt"), [inner]):
            yield (code.unwrapped(node, inner),)
        case ast.BinOp(left, ast.Pow(), ast.Constant(0.5)):
            yield (code.unwrapped(node, left),)


def without_abs(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Omit the absolute value of a triangle."""
    match node:
        case ast.Call(ast.Name("abs"), [inner]):
            yield (code.replaced(node, f"({code.of(inner)})"),)


# Stages and cycles.


def stage_early(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Begin each stage one step early."""
    match node:
        case ast.BinOp(ast.Name(name) as step, ast.FloorDiv()) if _STEP.fullmatch(name):
            yield (code.replaced(step, f"({name} + 1)"),)
        case ast.BinOp(ast.BinOp(ast.Name(name), ast.Sub(), _) as step, ast.FloorDiv()) if _STEP.fullmatch(name):
            yield (Edit(code.span(step)[1], code.span(step)[1], " + 1"),)


def not_floored(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Do not round down to the number of the stage."""
    match node:
        case ast.BinOp(op=ast.FloorDiv()):
            yield (code.operator(node, "//", "/"),)


def not_restarted(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Do not start over in each cycle."""
    match node:
        case ast.BinOp(inner, ast.Mod(), _) if not isinstance(inner, (ast.Constant, ast.JoinedStr)):
            yield (code.unwrapped(node, inner),)


# Boundaries.

_SIGNS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
}


def boundary(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Count the step at a boundary to the other phase."""
    match node:
        case ast.Compare(left, [sign], [_]) if type(sign) in _SIGNS:
            old, new = _SIGNS[type(sign)]
            text, begin = code.of(node), code.span(node)[0]
            at = begin + len(code.of(left).encode())
            at = begin + text.encode().index(old.encode(), at - begin)
            yield (Edit(at, at + len(old), new),)


def other_bound(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Use the boundary of another phase in a comparison."""
    match node:
        case ast.Compare(ast.Name() as left, [sign], [ast.Constant(int(value)) as bound]) if type(sign) in _SIGNS:
            for other in sorted(set(_bounds(code, left.id)) - {value}):
                yield (code.replaced(bound, _like(code.of(bound), other)),)
        case ast.Compare(ast.Name() as left, [sign], [ast.Name() as bound]) if type(sign) in _SIGNS:
            for name in sorted(_bounding_names(code, left.id) - {bound.id}):
                yield (code.replaced(bound, name),)


def _bounds(code: Parsed, step: str) -> Iterator[int]:
    for node in code.nodes:
        match node:
            case ast.Compare(ast.Name(name), [_], [ast.Constant(int(value))]) if name == step:
                yield value


def _bounding_names(code: Parsed, step: str) -> set[str]:
    return {
        node.comparators[0].id
        for node in code.nodes
        if isinstance(node, ast.Compare)
        and isinstance(node.left, ast.Name)
        and node.left.id == step
        and isinstance(node.comparators[0], ast.Name)
    }


def swapped_neighbours(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Swap two neighbours in a list of numbers: milestones, levels, multipliers of groups."""
    match node:
        case ast.List(values) | ast.Tuple(values) if len(values) > 1 and isinstance(node.ctx, ast.Load):
            if all(map(_is_number, values)):
                for before, after in itertools.pairwise(values):
                    if code.of(before) != code.of(after):
                        yield code.replaced(before, code.of(after)), code.replaced(after, code.of(before))
            elif all(isinstance(value, ast.Tuple) and len(value.elts) == 2 for value in values):
                for before, after in itertools.pairwise(values):
                    a, b = before.elts[1], after.elts[1]  # type: ignore[attr-defined]  # tuples, as was asked above
                    if _is_number(a) and _is_number(b) and code.of(a) != code.of(b):
                        yield code.replaced(a, code.of(b)), code.replaced(b, code.of(a))


def _is_number(node: ast.AST) -> bool:
    match node:
        case ast.Constant(int() | float()):
            return True
        case ast.BinOp(left, ast.Mult() | ast.Div(), right):
            return _is_number(left) and _is_number(right)
    return False


# Numbers.


def wrong_level(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Shift the decimal point of a level."""
    match node:
        case ast.Constant(float(value)) if 0 < value < 1 and value != 0.5:
            text = code.of(node)
            if value < 0.1 and "e" not in text:
                yield (code.replaced(node, _shifted(value * 10)),)
            yield (code.replaced(node, _shifted(value / 10)),)


def wrong_length(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Lose or add a digit of a number of steps."""
    match node:
        case ast.Constant(int(value)) if value >= 20 and not isinstance(value, bool):
            yield (code.replaced(node, _like(code.of(node), value * 10)),)
            if value % 10 == 0:
                yield (code.replaced(node, _like(code.of(node), value // 10)),)


def fraction_as_steps(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Use a fraction of training as a number of steps."""
    match node:
        case ast.BinOp(ast.Constant(float()) as fraction, ast.Mult(), ast.Name() | ast.Attribute() as total):
            if "total" in code.of(total) or "max" in code.of(total) or "num" in code.of(total):
                yield (code.replaced(node, code.of(fraction)),)


def wrong_ratio(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Use a multiple of the base learning rate as a learning rate."""
    match node:
        case ast.keyword("eta_min" | "min_lr", ast.BinOp(ratio, ast.Mult(), _) as value):
            yield (code.replaced(value, code.of(ratio)),)


# The base learning rate.


def _base(code: Parsed, node: ast.AST) -> bool:
    text = code.of(node)
    return (
        text in _BASES
        or text.endswith(('["initial_lr"]', ".base_lr", ".lr", '["lr"]'))
        or (text.isupper() and ("LR" in text or "RATE" in text) and "MIN" not in text)
    )


def unscaled(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Do not multiply by the base learning rate."""
    match node:
        case ast.BinOp(left, ast.Mult(), right):
            if _base(code, left) and not isinstance(right, ast.Constant):
                yield (code.unwrapped(node, right),)
            elif _base(code, right) and not isinstance(left, ast.Constant):
                yield (code.unwrapped(node, left),)


def scaled_twice(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Multiply by the base learning rate twice."""
    match node:
        case ast.BinOp(left, ast.Mult(), right):
            if _base(code, left) and not isinstance(right, ast.Constant):
                yield (code.replaced(left, f"{code.of(left)} * {code.of(left)}"),)
            elif _base(code, right) and not isinstance(left, ast.Constant):
                yield (code.replaced(right, f"{code.of(right)} * {code.of(right)}"),)


def scaled_factor(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Return learning rates from the function of ``LambdaLR``, which takes factors."""
    match node:
        case ast.Return(ast.expr() as value) if not isinstance(value, (ast.Name, ast.Call, ast.Tuple, ast.List)):
            outer = [each for each in code.ancestors(node) if isinstance(each, ast.FunctionDef)][1:]
            names = {argument.arg for function in outer for argument in function.args.args}
            if "optimizer" in names:
                text = code.of(value)
                bare = isinstance(value, (ast.Constant, ast.Attribute, ast.Subscript))
                inner = text if bare or (isinstance(value, ast.BinOp) and not _additive(value)) else f"({text})"
                yield (code.replaced(value, f'optimizer.defaults["lr"] * {inner}'),)


def _additive(node: ast.BinOp) -> bool:
    return isinstance(node.op, (ast.Add, ast.Sub))


def compounded(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Multiply the current learning rate, which compounds, instead of the base learning rate."""
    match node:
        case ast.Subscript(slice=ast.Constant("initial_lr") as key) if isinstance(node.ctx, ast.Load):
            yield (code.replaced(key, '"lr"'),)
        case ast.Assign([ast.Subscript(slice=ast.Constant("lr")) as target], ast.BinOp(left, ast.Mult(), right)):
            factor = right if _base(code, left) else left if _base(code, right) else None
            if factor is not None:
                yield (code.replaced(node, f"{code.of(target)} *= {code.of(factor)}"),)
        case ast.ListComp(_, [ast.comprehension(ast.Name() as each, ast.Attribute(attr="base_lrs") as bases)]):
            yield code.replaced(bases, "self.optimizer.param_groups"), *_as_group(code, node, each)


def _as_group(code: Parsed, node: ast.ListComp, each: ast.Name) -> Iterator[Edit]:
    """The edits that let a comprehension over base learning rates go over the parameter groups."""
    yield code.replaced(each, "group")
    for child in ast.walk(node.elt):
        if isinstance(child, ast.Name) and child.id == each.id:
            yield code.replaced(child, 'group["lr"]')


def _whole(code: Parsed, node: ast.expr, new: str) -> Edit:
    """The edit that replaces an operand with its parentheses, if it has some."""
    begin, end = code.span(node)
    encoded = code.text.encode()
    if encoded[begin - 1 : begin] == b"(" and encoded[end : end + 1] == b")":
        before = encoded[begin - 2 : begin - 1]
        if not (before.isalnum() or before in (b"_", b")")):
            begin, end = begin - 1, end + 1
    return Edit(begin, end, new)


def _like(text: str, value: int) -> str:
    return f"{value:_}" if "_" in text else str(value)


def _shifted(value: float) -> str:
    return f"{value:.12g}"

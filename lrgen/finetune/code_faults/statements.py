"""Mistakes in the statements around a schedule: when it is stepped, for which horizon, for which groups; and slips."""

import ast
import itertools
import textwrap
from collections.abc import Iterator

from lrgen.finetune.code_faults.expressions import Edits
from lrgen.source.spans import Edit, Parsed

# When the schedule is stepped.


def _is_step(node: ast.AST, name: str = "sched") -> bool:
    """Whether a statement is ``scheduler.step()``."""
    match node:
        case ast.Expr(ast.Call(ast.Attribute(ast.Name(owner) | ast.Attribute(attr=owner), "step"))):
            return name in owner
    return False


def _counter(node: ast.AST) -> str:
    """The name of the counter that a statement increments."""
    match node:
        case ast.AugAssign(ast.Name(name), ast.Add(), ast.Constant(1)):
            return name
    return ""


def _advances(node: ast.AST) -> bool:
    return _is_step(node) or _counter(node) != ""


def never_stepped(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Do not advance the schedule."""
    if isinstance(node, ast.stmt) and _advances(node) and not _is_alone(code, node):
        yield (code.without(node),)


def stepped_elsewhere(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Advance the schedule after the inner loop instead of in it, or the other way round."""
    if not isinstance(node, ast.stmt) or not _advances(node) or _is_alone(code, node):
        return
    loops = [each for each in code.ancestors(node) if isinstance(each, (ast.For, ast.While))]
    if len(loops) > 1:
        inner: ast.stmt = loops[0]
        if isinstance(inner, ast.For) and _counter(node) in _stored(inner.target):
            return
        yield code.without(node), code.after(inner, _indented(code, node, inner.col_offset))
    elif loops and code.parents[node] is loops[0]:
        for inner in loops[0].body:
            if isinstance(inner, ast.For) and inner.lineno < node.lineno:
                last = inner.body[-1]
                yield code.after(last, _indented(code, node, last.col_offset)), code.without(node)


def _stored(target: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def _is_alone(code: Parsed, node: ast.stmt) -> bool:
    """Whether a statement is all that is in its block."""
    outer = code.parents[node]
    return any(getattr(outer, block, None) == [node] for block in ("body", "orelse", "finalbody"))


def _indented(code: Parsed, node: ast.stmt, column: int) -> str:
    return textwrap.indent(textwrap.dedent(" " * node.col_offset + code.of(node)), " " * column) + "\n"


def stepped_first(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Step the scheduler before the optimizer."""
    body = getattr(node, "body", None)
    if not isinstance(node, (ast.For, ast.While)) or not isinstance(body, list):
        return
    updates = [each for each in body if _is_step(each, "opt")]
    steps = [each for each in body if _is_step(each)]
    for update in updates:
        for step in steps:
            if update.lineno < step.lineno:
                yield code.before(update, _indented(code, step, update.col_offset)), code.without(step)


def wrong_interval(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Step Lightning's scheduler in the other unit."""
    match node:
        case ast.Dict(keys, values):
            for key, value in zip(keys, values, strict=True):
                match key, value:
                    case ast.Constant("interval"), ast.Constant("step" | "epoch" as interval):
                        yield (code.replaced(value, '"epoch"' if interval == "step" else '"step"'),)


# For which horizon.


def _is_length(node: ast.AST) -> bool:
    match node:
        case ast.Call(ast.Name("len")):
            return True
    return False


def horizon_in_epochs(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Count the horizon in epochs instead of batches."""
    match node:
        case ast.BinOp(epochs, ast.Mult(), batches) if _is_length(batches) or "per_epoch" in code.of(batches):
            yield (code.unwrapped(node, epochs),)
        case ast.BinOp(batches, ast.Mult(), epochs) if _is_length(batches) or "per_epoch" in code.of(batches):
            yield (code.unwrapped(node, epochs),)


def horizon_of_an_epoch(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Use the batches of one epoch as the horizon."""
    match node:
        case ast.BinOp(ast.Name("epochs" | "num_epochs" | "max_epochs"), ast.Mult(), batches) if _is_length(batches):
            yield (code.unwrapped(node, batches),)


def start_kept(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Do not subtract the start of a phase, from its end or from the step."""
    match node:
        case ast.BinOp(ast.Name() | ast.Attribute() as total, ast.Sub(), ast.Name() | ast.Attribute()) if isinstance(
            code.parents.get(node), (ast.Assign, ast.keyword, ast.Call)
        ):
            yield (code.unwrapped(node, total),)


# torch's schedulers.

_OFFSET_NAMES = ("total_iters", "T_max", "step_size")


def ends_of_ramp(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Swap the factors at both ends of a linear ramp."""
    match node:
        case ast.Call(ast.Name("LinearLR") | ast.Attribute(attr="LinearLR")):
            factors = {each.arg: each.value for each in node.keywords}
            first, last = factors.get("start_factor"), factors.get("end_factor")
            if first is not None and last is not None:
                yield code.replaced(first, code.of(last)), code.replaced(last, code.of(first))


def shorter_part(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Let a scheduler in a sequence be one step shorter than its phase."""
    match node:
        case ast.keyword(str(name), value) if name in _OFFSET_NAMES:
            text = code.of(value)
            if isinstance(value, ast.Constant) and isinstance(value.value, int):
                yield (code.replaced(value, str(value.value - 1)),)
            else:
                yield (code.replaced(value, f"{text} - 1"),)


def lengths_as_milestones(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Use the lengths of the phases as milestones, which count from the start."""
    match node:
        case ast.keyword("milestones", ast.List([_, *rest] as values)) if rest:
            for before, after in zip(values, rest, strict=False):
                match before, after:
                    case ast.Constant(int(a)), ast.Constant(int(b)) if b > a:
                        yield (code.replaced(after, str(b - a)),)
                    case _, ast.BinOp(left, ast.Add(), right) if code.of(left) == code.of(before):
                        yield (code.replaced(after, code.of(right)),)


def chained(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Let all schedulers act at once."""
    match node:
        case ast.Call(ast.Name("SequentialLR") | ast.Attribute(attr="SequentialLR") as function):
            schedulers = next((each.value for each in node.keywords if each.arg == "schedulers"), None)
            schedulers = schedulers or (node.args[1] if len(node.args) > 1 else None)
            if schedulers is not None:
                name = code.of(function).replace("SequentialLR", "ChainedScheduler")
                yield code.replaced(node, f"{name}({code.of(schedulers)})"), *_import(code, "SequentialLR", name)


def multiplicative(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Multiply the previous learning rate by the factor."""
    match node:
        case ast.Call(ast.Name("LambdaLR") | ast.Attribute(attr="LambdaLR") as function):
            name = code.of(function).replace("LambdaLR", "MultiplicativeLR")
            yield code.replaced(function, name), *_import(code, "LambdaLR", name)


def _import(code: Parsed, old: str, new: str) -> Iterator[Edit]:
    """The edits of the import of a class and of its other uses, where it is imported by name."""
    if "." in new:
        return
    for node in code.nodes:
        if isinstance(code.parents.get(node), ast.Call):
            continue
        if (isinstance(node, ast.alias) and node.name == old) or (isinstance(node, ast.Name) and node.id == old):
            yield code.replaced(node, new)


# For which groups, and of which base learning rate.


def one_group(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Set the learning rate of the first parameter group alone."""
    match node:
        case ast.For(iter=ast.Attribute(attr="param_groups") as groups):
            yield (code.replaced(groups, f"{code.of(groups)}[:1]"),)


def first_multiplier(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Give every parameter group the multiplier of the first."""
    match node:
        case ast.Subscript(ast.Name(name), ast.Name() as index) if "mult" in name.lower() or "scale" in name.lower():
            yield (code.replaced(index, "0"),)


# Tables and indices.


def index_off(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Look up the neighbour in a table."""
    match node:
        case ast.Subscript(slice=ast.BinOp(left, ast.Add() | ast.Sub(), ast.Constant(1)) as index):
            yield (code.replaced(index, code.of(left)),)


def other_bisection(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Count a boundary to the part before it."""
    for old, new in (("bisect_right", "bisect_left"), ("bisect_left", "bisect_right")):
        match node:
            case ast.Call(ast.Attribute(attr=name) | ast.Name(name) as function) if name == old:
                yield code.replaced(function, code.of(function).replace(old, new)), *_import(code, old, new)


# Branches.


def branches_swapped(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Swap the formulas of two phases."""
    match node:
        case ast.If(body=[ast.Return(ast.expr() as first)], orelse=[ast.If(body=[ast.Return(ast.expr() as second)])]):
            yield code.replaced(first, code.of(second)), code.replaced(second, code.of(first))
    body = getattr(node, "body", None)
    if isinstance(body, list):
        for before, after in itertools.pairwise(body):
            match before, after:
                case (
                    ast.If(body=[ast.Return(ast.expr() as first)], orelse=[]),
                    ast.If(body=[ast.Return(ast.expr() as second)], orelse=[]),
                ) if code.of(first) != code.of(second):
                    yield code.replaced(first, code.of(second)), code.replaced(second, code.of(first))


# Slips, which raise.


def not_returned(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Do not return the scheduler."""
    match node:
        case ast.Return(ast.Name() | ast.Call() as value) if isinstance(code.parents[node], ast.FunctionDef):
            outer = code.parents[node]
            if len(outer.body) > 1 and "sched" in code.of(value).lower():  # type: ignore[attr-defined]
                if isinstance(value, ast.Name):
                    yield (code.without(node),)
                else:
                    yield (code.replaced(node, f"scheduler = {code.of(value)}"),)


def missing_import(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Use a module that is not imported."""
    match node:
        case ast.Import([ast.alias("math" | "bisect", None)]):
            yield (code.without(node),)


def misspelt(code: Parsed, node: ast.AST) -> Iterator[Edits]:
    """Use a name that does not exist, in the singular or plural of one that does."""
    match node:
        case ast.Name(name, ast.Load()) if name.endswith(("_steps", "_epochs", "_iters")) and name.islower():
            if f"{name[:-1]}" not in code.text.replace(name, ""):
                yield (code.replaced(node, name[:-1]),)
        case ast.Name("progress" | "fraction" as name, ast.Load()):
            short = {"progress": "prog", "fraction": "frac"}[name]
            yield (code.replaced(node, short),)
        case ast.Attribute(ast.Name("self"), attr, ast.Load()) if attr.endswith("_steps"):
            yield (code.replaced(node, f"self.{attr[:-1]}"),)

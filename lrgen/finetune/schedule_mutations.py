"""Mutations of the code of a schedule.

A rule returns the new text of a node, or None for a node that it does not match; the functions at the end change the
schedule as a whole and yield mutants.
"""

import ast
import re
from collections.abc import Iterator

from lrgen.source.edit import Code

# Expressions of the schedule.


def without_guard(code: Code, node: ast.AST) -> str | None:
    """Remove ``max(1, …)``, which guards against zero steps."""
    match node:
        case ast.Call(func=ast.Name("max"), args=[ast.Constant(1), inner]):
            return code.unwrapped(node, inner)
    return None


_ENDS = ("self.total_steps", "self.T_max", "1.0")


def without_clamp(code: Code, node: ast.AST) -> str | None:
    """Remove ``min(step, self.total_steps)`` or ``max(0, …)``, which hold the schedule at its end."""
    match node:
        case ast.Call(func=ast.Name("max"), args=[ast.Constant(0), inner]):
            return code.unwrapped(node, inner)
        case ast.Call(func=ast.Name("min"), args=[inner, end]) if code.of(end) in _ENDS:
            return code.unwrapped(node, inner)
    return None


def floor_added(code: Code, node: ast.AST) -> str | None:
    """Replace ``floor + (1 - floor) * x`` by ``floor + x``, whose maximum exceeds the base learning rate."""
    match node:
        case ast.BinOp(left, ast.Add(), ast.BinOp(ast.BinOp(ast.Constant(1), ast.Sub(), floor), ast.Mult(), factor)):
            return f"{code.of(left)} + {code.unwrapped(factor, factor)}" if code.of(left) == code.of(floor) else None
    return None


def ratio_as_lr(code: Code, node: ast.AST) -> str | None:
    """Use a ratio of learning rates as a learning rate: ``factor`` instead of ``factor * base_lr``."""
    match node:
        case ast.BinOp(ratio, ast.Mult(), rate) if code.of(rate) in _BASE_LRS or _initial_lr(code, rate):
            return code.unwrapped(node, ratio)
    return None


# The base learning rate of each parameter group, as the templates write it.
_BASE_LRS = ("base_lr", "max_lr", 'group["lr"]')


def _initial_lr(code: Code, node: ast.AST) -> bool:
    return code.of(node).startswith('group.setdefault("initial_lr", ')


def default_lr(code: Code, node: ast.AST) -> str | None:
    """Use the default learning rate of the optimizer as that of each parameter group."""
    match node:
        case ast.BinOp(ratio, ast.Mult(), ast.Name("base_lr")):
            return f'{code.of(ratio)} * self.optimizer.defaults["lr"]'
        case ast.keyword("max_lr", ast.ListComp()):
            return 'max_lr=optimizer.defaults["lr"]'
        case ast.Call() if _initial_lr(code, node):
            return 'self.optimizer.defaults["lr"]'
        case ast.Call(ast.Name("float")) if code.of(node) == 'float(group["lr"])':
            return 'optimizer.defaults["lr"]' if code.function_of(node) == "make_scheduler" else None
    return None


def one_minimum(code: Code, node: ast.AST) -> str | None:
    """Use one minimum for all parameter groups instead of a ratio of the learning rate of each."""
    match node:
        case ast.keyword("base_lr" | "min_lr" as name, ast.ListComp(elt=ast.BinOp(ratio, ast.Mult()))):
            return f'{name}={code.of(ratio)} * optimizer.defaults["lr"]'
    return None


def warmup_early(code: Code, node: ast.AST) -> str | None:
    """Start the warm-up one step early."""
    match node:
        case ast.BinOp(ast.Name("step"), ast.Div(), ast.Attribute()):
            return f"(step + 1) / {code.of(node.right)}"
    return None


def floor_division(code: Code, node: ast.AST) -> str | None:
    """Use floor division in ``__call__``."""
    match node:
        case ast.BinOp(op=ast.Div()) if code.function_of(node) == "__call__":
            return code.operator(node, "/", "//")
    return None


def warmup_over_training(code: Code, node: ast.AST) -> str | None:
    """Divide the step of the warm-up by the horizon."""
    match node:
        case ast.BinOp(ast.Name("step"), ast.Div(), ast.Attribute(attr="warmup_steps")):
            return "step / self.total_steps" if "self.total_steps = " in code.text else None
    return None


def decay_from_start(code: Code, node: ast.AST) -> str | None:
    """Measure the progress of the decay from the start of training instead of the end of warm-up."""
    match node:
        case ast.BinOp(left, ast.Sub(), ast.Attribute(attr="warmup_steps")):
            return code.unwrapped(node, left)
    return None


def off_by_one_boundary(code: Code, node: ast.AST) -> str | None:
    """Include the boundary in the other phase."""
    match node:
        case ast.Compare(ast.Name("step"), [ast.Lt() | ast.GtE() as sign], [bound]):
            return f"step {'<=' if isinstance(sign, ast.Lt) else '>'} {code.of(bound)}"
    return None


def caret(code: Code, node: ast.AST) -> str | None:
    """Use ``^`` instead of ``**``."""
    match node:
        case ast.BinOp(op=ast.Pow()):
            return code.operator(node, "**", "^")
    return None


def full_cosine_period(code: Code, node: ast.AST) -> str | None:
    """Use a full period of the cosine instead of a half."""
    match node:
        case ast.BinOp(ast.Attribute(attr="pi"), ast.Mult()):
            return f"2 * {code.of(node)}"
    return None


def without_pi(code: Code, node: ast.AST) -> str | None:
    """Omit pi in the argument of the cosine."""
    match node:
        case ast.BinOp(ast.Attribute(attr="pi"), ast.Mult(), progress):
            return code.unwrapped(node, progress)
    return None


# The horizon and the hyperparameters in make_scheduler.


def fixed_horizon(code: Code, node: ast.AST) -> str | None:
    """Hard-code the horizon as 100."""
    match node:
        case ast.keyword(arg=str(name), value=ast.Name("total_steps")):
            return f"{name}=100"
    return None


def shorter_horizon(code: Code, node: ast.AST) -> str | None:
    """Shorten the horizon by one step."""
    match node:
        case ast.keyword(arg=str(name), value=ast.Name("total_steps")):
            return f"{name}=total_steps - 1"
    return None


def fraction_for_steps(code: Code, node: ast.AST) -> str | None:
    """Use a fraction of training as a number of steps."""
    match node:
        case ast.BinOp(ast.Call() as call, ast.Mult(), ast.Name("total_steps")) if code.of(call).startswith("prm.get("):
            return code.of(call)
    return None


def steps_for_fraction(code: Code, node: ast.AST) -> str | None:
    """Use a number of steps as the fraction: ``prm.get("warmup_fraction", 9)``, a count for 90 epochs."""
    match node:
        case ast.Call(
            func=ast.Name("round"),
            args=[ast.BinOp(ast.Call(args=[name, default]) as call, ast.Mult(), ast.Name("total_steps"))],
        ) if code.of(call).startswith("prm.get("):
            return f"prm.get({code.of(name)}, {max(1, round(_value(default) * 90))})"
    return None


def _default(code: Code, node: ast.AST) -> tuple[str, ast.expr] | None:
    """Return the quoted name and the default of ``prm.get("warmup_fraction", 0.1)``; None for other nodes."""
    match node:
        case ast.Call(func=ast.Attribute(ast.Name("prm"), "get"), args=[ast.Constant() as name, default]):
            return code.of(name), default
    return None


def other_default(code: Code, node: ast.AST) -> str | None:
    """Double or halve the default of a hyperparameter."""
    read = _default(code, node)
    if read is None:
        return None
    value = _value(read[1])
    return f"prm.get({read[0]}, {value * 2 if 0 < value <= 0.5 else value / 2 or 0.1:.4g})"


def without_default(code: Code, node: ast.AST) -> str | None:
    """Read a hyperparameter without its default."""
    read = _default(code, node)
    return f"prm[{read[0]}]" if read else None


def misnamed(code: Code, node: ast.AST) -> str | None:
    """Misspell the name of a hyperparameter."""
    read = _default(code, node)
    return f'prm.get({read[0][:-1]}_value", {code.of(read[1])})' if read else None


def not_read(code: Code, node: ast.AST) -> str | None:
    """Use the default instead of reading the hyperparameter."""
    read = _default(code, node)
    return code.of(read[1]) if read else None


def _value(number: ast.expr) -> float:
    """Evaluate a literal of the templates: ``0.1``, ``1 / 3``."""
    if isinstance(number, ast.BinOp):
        return _value(number.left) / _value(number.right)
    return float(ast.literal_eval(number))


# torch's schedulers.

_OTHER_MODES = {
    ("mode", "min"): "max",
    ("mode", "max"): "min",
    ("mode", "triangular"): "triangular2",
    ("mode", "triangular2"): "triangular",
    ("mode", "exp_range"): "triangular",
    ("anneal_strategy", "cos"): "linear",
    ("anneal_strategy", "linear"): "cos",
}


def other_mode(code: Code, node: ast.AST) -> str | None:
    """Use another mode of the scheduler class."""
    match node:
        case ast.keyword(arg=str(name), value=ast.Constant(str(value))) if (name, value) in _OTHER_MODES:
            return f'{name}="{_OTHER_MODES[name, value]}"'
    return None


def torch_get_lr(code: Code) -> Iterator[str]:
    """Do not override ``get_lr``, which holds the final learning rate of torch's class."""
    for node in code.nodes:
        match node:
            case ast.FunctionDef("get_lr", body=[ast.If(test), _]) if "self.last_epoch" in code.of(test):
                yield code.without(node)


def multiplicative(code: Code) -> Iterator[str]:
    """Use ``MultiplicativeLR``, which multiplies the previous learning rate, instead of ``LambdaLR``."""
    if "MultiplicativeLR" not in code.text:
        yield re.sub(r"\b(Resumable|)LambdaLR\b", r"\1MultiplicativeLR", code.text)


def chained(code: Code) -> Iterator[str]:
    """Use ``ChainedScheduler`` instead of ``SequentialLR``."""
    for node in code.nodes:
        match node:
            case ast.Call(ast.Name("ResumableSequentialLR"), [_, schedulers]):
                text = code.replace(node, f"ResumableSequentialLR({code.of(schedulers)})")
                yield text.replace("SequentialLR", "ChainedScheduler")


def without_state(code: Code) -> Iterator[str]:
    """Do not load the state in ``load_state_dict``, which checks it and sets the learning rates."""
    for node in code.nodes:
        if isinstance(node, ast.FunctionDef) and node.name == "load_state_dict":
            loads = (each for each in node.body if code.of(each).startswith("super().load_state_dict("))
            yield from map(code.without, loads)


def unnamed(code: Code) -> Iterator[str]:
    """Do not set ``scheduler.schedule``, which ``load_state_dict`` compares."""
    for statement in code.factory.body:
        if code.of(statement).startswith("scheduler.schedule = "):
            yield code.without(statement)


def not_returned(code: Code) -> Iterator[str]:
    """Create the scheduler without returning it."""
    if code.of(code.factory.body[-1]) == "return scheduler":
        yield code.without(code.factory.body[-1])

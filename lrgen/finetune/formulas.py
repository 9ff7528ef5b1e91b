"""Formulas in the text of an explanation, compared with a curve by their values.

A formula is an expression with definitions, as ``gamma ** floor(t / s), s = round(step_fraction * T)``. The common
ASCII and LaTeX notations are read. It is correct if it gives the multiplier of the curve, or the learning rate, at
every tested step. Expressions are evaluated by a walk over their syntax tree, never as code.
"""

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen import curves
from lrgen.records import Hyperparameter, Unit, Variant

Values = NDArray[np.float64]

# Multiples of the denominators of usual fractions of training, so that rounding to whole steps makes no difference.
_HORIZONS = (25200, 50400)
_EVERY = 84  # steps
_LR = 0.1
_DEPTHS = (0, 1, 2, 3)
_CLOSE = 1e-6
_OTHER_DEFAULTS = (0.4, 0.6)  # of the maximum of a hyperparameter
_SHORT = 4  # characters of a formula that occurs by chance
_MAX_LENGTH = 20_000  # characters of a text
_MAX_CANDIDATES = 200
_MAX_NODES = 400  # of an expression
_MAX_DEPTH = 12  # definitions that use each other
_MAX_STEPS = 5000  # nodes that the evaluation of an expression visits, in its definitions as well
_MAX_CLAUSE = 400  # characters of a formula with cases

_STEP_NAMES = ("t", "step", "epoch", "batch", "n_steps", "current_step", "last_epoch", "iteration")
_HORIZON_NAMES = ("T", "total_steps", "horizon", "T_max", "total", "num_steps", "max_steps")
_LR_NAMES = ("lr", "base_lr", "lr_0", "lr0", "eta_0", "eta0", "eta_max", "lr_max", "peak_lr", "initial_lr", "max_lr")
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "cos": np.cos,
    "sin": np.sin,
    "tanh": np.tanh,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.round,
    "int": np.trunc,
    "abs": np.abs,
    "ln": np.log,
    "log": np.log,
    "pow": np.power,
}
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
}
_SYMBOLS = (
    (r"\([^()\n]* where [^()\n]*\)", ""),
    (r"\\left|\\right|\\,|\\;|\\!|[`$]|\\[\[\]()]", ""),
    (r"\\lfloor|⌊", "floor("),
    (r"\\rfloor|⌋", ")"),
    (r"\\(?:operatorname|mathrm|text)\{(\w+)\}", r"\1"),
    (r"\\(cos|sin|tanh|exp|ln|log|pi|eta|gamma|max|min|sqrt)", r"\1"),
    (r"\\cdot|\\times|[×·⋅]", "*"),
    (r"\\leq?\b|≤", "<="),
    (r"\\geq?\b|≥", ">="),
    (r"\\bmod|\\mod|\bmod\b", "%"),
    (r"π", "pi"),
    (r"η", "eta"),
    (r"γ", "gamma"),
    (r"[−–]", "-"),
    (r"²", "**2"),
    (r"³", "**3"),
    (r"√", "sqrt"),
    (r"\^\{([^{}]*)\}", r"**(\1)"),
    (r"\^", "**"),
    (r"_\{(\w+)\}", r"_\1"),
    (r"sqrt\{([^{}]*)\}", r"sqrt(\1)"),
    (r"\bprm(?:\.get\(|\[)[\"'](\w+)[\"'][^)\]]*[)\]]", r"\1"),
    (r"\b(?:math|np|numpy|torch|self)\.", ""),
    (r"\|([^|\n]+)\|", r"abs(\1)"),
)
_SPAN = re.compile(r"`([^`\n]+)`")
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}")
_PIECEWISE = re.compile(
    r"^(?P<head>[^=<>]*=(?!=))?(?P<first>.+?)\s+(?:if|for|when|while)\s+(?P<condition>[^,;]+?)[,;]\s*(?:and\s+)?"
    r"(?:(?:else|otherwise|then)[,:]?\s+(?P<rest>.+)|(?P<second>.+?)\s+(?:else|otherwise|afterwards|after that))$"
)
_EQUATION = re.compile(r"^\s*(?:[-*•]\s+)?([A-Za-z]\w*)(?:\((\w+)\))?\s*=(?!=)\s*(.+)$", re.DOTALL)
_CLAUSES = re.compile(r"\b(?:where|with)\b|[:\n]|\.(?=\s|$)")
_BETWEEN = re.compile(r"\b(?:where|with|and|for)\b|[:;\n]|\.(?=\s|$)")


def states(variant: Variant, text: str) -> bool:
    """Return whether a text states the formula of a variant, in the notation of the catalogue or in another one."""
    return is_quoted(variant, text) or is_equalled(variant, text)


def is_quoted(variant: Variant, text: str) -> bool:
    """Return whether a text has the formula of the catalogue, up to spaces."""
    formula = _squeezed(variant.formula)
    if len(formula) < _SHORT:
        return formula in (_squeezed(line) for line in text.splitlines())
    return formula in _squeezed(text)


def is_equalled(variant: Variant, text: str) -> bool:
    """Return whether a text has a formula with the values of the curve; False for a schedule without one."""
    if variant.unit is Unit.METRIC or not curves.exists(variant):
        return False
    definitions, expressions = _read(text[:_MAX_LENGTH], variant)
    tests = _tests(variant) if expressions else []
    return any(_agrees(each, definitions, variant, tests) for each in islice(expressions, _MAX_CANDIDATES))


def is_contradicted(variant: Variant, text: str) -> bool:
    """Return whether a line of a text is a formula in the step that does not have the values of the curve."""
    if variant.unit is Unit.METRIC or not curves.exists(variant):
        return False
    plain = _plain(text[:_MAX_LENGTH])
    definitions, _ = _read(plain, variant)
    test = _test(variant, _HORIZONS[0], {}, 0)
    for line in plain.splitlines():
        equation = _EQUATION.match(line)
        scope = _Scope(test.values, definitions)
        expression = _parsed(equation[3] if equation else line)
        if expression is None or (equation and equation[1] not in (*_LR_NAMES, "eta", "factor", "multiplier")):
            continue
        has_values = _values(expression, scope, test.expected.shape) is not None
        if has_values and scope.used & set(_STEP_NAMES) and not _equal(expression, scope, test):
            return True
    return False


def _squeezed(text: str) -> str:
    return re.sub(r"[\s`]", "", text)


# Reading.


@dataclass(frozen=True)
class _Definition:
    """The right-hand side of ``name = …`` or, with an argument, of ``name(argument) = …``."""

    argument: str | None
    body: ast.expr


def _read(text: str, variant: Variant) -> tuple[dict[str, _Definition], list[ast.expr]]:
    """Return the definitions of a text, and the expressions that may be its formula."""
    reserved = {*_STEP_NAMES, *_HORIZON_NAMES, *_LR_NAMES, "pi", *variant.defaults}
    lines = {line.strip() for line in text.splitlines()}
    definitions: dict[str, _Definition] = {}
    expressions: list[ast.expr] = []
    spans = "\n".join(_SPAN.findall(text))
    for part in _parts(_plain(f"{text}\n{spans}")):
        equation = _EQUATION.match(part)
        parsed = _parsed(equation[3] if equation else part)
        if parsed is None:
            continue
        if equation and equation[1] not in reserved:
            definitions.setdefault(equation[1], _Definition(equation[2], parsed))
        if equation or part in lines or any(isinstance(node, ast.Name) for node in ast.walk(parsed)):
            expressions.append(parsed)
    return definitions, expressions


def _plain(text: str) -> str:
    """Return a text in the notation of Python."""
    for pattern, replacement in _SYMBOLS[:5]:
        text = re.sub(pattern, replacement, text)
    while (reduced := _FRACTION.sub(r"((\1)/(\2))", text)) != text:
        text = reduced
    for pattern, replacement in _SYMBOLS[5:]:
        text = re.sub(pattern, replacement, text)
    return text


def _parts(text: str) -> Iterator[str]:
    """Yield the parts of a text that may be expressions or equations: lines, sentences, and what commas separate."""
    for line in text.split("\n"):
        for clause in _CLAUSES.split(line):
            joined = _PIECEWISE.match(clause.strip(" .,")) if len(clause) <= _MAX_CLAUSE else None
            if joined:
                other = joined["rest"] or joined["second"]
                yield f"{joined['head'] or ''}({joined['first']}) if ({joined['condition']}) else ({other})"
        for sentence in (line, *_BETWEEN.split(line)):
            pieces = list(_at_commas(sentence))
            yield from pieces
            # ``lr * (…)`` behind words: what follows the last equals sign, or the last colon.
            yield from (piece.rpartition("= ")[2] for piece in pieces if piece.count("=") > 1)


def _at_commas(text: str) -> Iterator[str]:
    """Yield the parts of a text between the commas outside of parentheses."""
    start = depth = 0
    for index, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter in ",;" and depth <= 0:
            yield text[start:index].strip()
            start = index + 1
    yield text[start:].strip().rstrip(".")


def _parsed(text: str) -> ast.expr | None:
    """Return the expression that a text is; None for any other text."""
    text = text.strip()
    if not text or len(text) > _MAX_LENGTH // 20:
        return None
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if sum(1 for _ in ast.walk(tree)) <= _MAX_NODES else None


# Evaluation.


class _Unknown(Exception):
    """An expression has a name or a construct without a meaning."""


@dataclass
class _Scope:
    """The values of names, the definitions, and what an evaluation has used."""

    values: Mapping[str, Any]
    definitions: Mapping[str, _Definition]
    used: set[str] = field(default_factory=set)
    numbers: set[float] = field(default_factory=set)
    depth: int = 0
    visited: list[None] = field(default_factory=list)

    def inner(self, values: Mapping[str, Any]) -> "_Scope":
        if self.depth >= _MAX_DEPTH:
            raise _Unknown
        return replace(self, values=values, depth=self.depth + 1)


def _value(node: ast.expr, scope: _Scope) -> Any:
    scope.visited.append(None)
    if len(scope.visited) > _MAX_STEPS:
        raise _Unknown
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            scope.numbers.add(float(number))
            return float(number)
        case ast.Name(id=name):
            return _of_name(name, scope)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, scope)
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _BINARY:
            return _BINARY[type(operation)](_value(left, scope), _value(right, scope))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return np.where(_value(test, scope), _value(body, scope), _value(orelse, scope))
        case ast.Compare(left=left, ops=operations, comparators=others):
            values = [_value(each, scope) for each in (left, *others)]
            holds = [
                _COMPARED.get(type(operation), _refused)(*pair)
                for operation, pair in zip(operations, pairwise(values), strict=True)
            ]
            return np.logical_and.reduce(holds)
        case ast.BoolOp(op=operation, values=parts):
            combined = np.logical_and if isinstance(operation, ast.And) else np.logical_or
            return combined.reduce(np.broadcast_arrays(*(_value(part, scope) for part in parts)))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if arguments:
            return _of_call(name, [_value(argument, scope) for argument in arguments], scope)
    raise _Unknown


def _refused(*values: Any) -> Any:
    raise _Unknown


def _of_name(name: str, scope: _Scope) -> Any:
    if name in scope.values:
        scope.used.add(name)
        return scope.values[name]
    definition = scope.definitions.get(name)
    if definition is None or definition.argument is not None:
        raise _Unknown
    return _value(definition.body, scope.inner(scope.values))


def _of_call(name: str, arguments: list[Any], scope: _Scope) -> Any:
    if name in ("min", "max") and len(arguments) > 1:
        chosen = np.minimum if name == "min" else np.maximum
        value = arguments[0]
        for argument in arguments[1:]:
            value = chosen(value, argument)
        return value
    definition = scope.definitions.get(name)
    if definition is not None and definition.argument is not None and len(arguments) == 1:
        return _value(definition.body, scope.inner({**scope.values, definition.argument: arguments[0]}))
    if name not in _FUNCTIONS or len(arguments) != (2 if name == "pow" else 1):
        raise _Unknown
    return _FUNCTIONS[name](*arguments)


# Comparison.


@dataclass(frozen=True)
class _Test:
    """The values of names in a test of a formula, and the multipliers of the curve."""

    changed: frozenset[str]
    values: Mapping[str, Any]
    expected: Values


def _tests(variant: Variant) -> list[_Test]:
    """Return the tests of a variant: with its defaults, and with another value of each hyperparameter."""
    settings: list[dict[str, float]] = [{}, *({p.name: _other(p)} for p in variant.hyperparameters)]
    return [
        _test(variant, horizon, prm, depth)
        for horizon in _HORIZONS
        for prm in settings
        for depth in (_DEPTHS if variant.layerwise else (0,))
    ]


def _other(parameter: Hyperparameter) -> float:
    """Return a value of a hyperparameter that is not its default."""
    values = (max(parameter.low, fraction * parameter.high) for fraction in _OTHER_DEFAULTS)
    return next((value for value in values if value != parameter.default), parameter.high)


def _test(variant: Variant, horizon: int, prm: dict[str, float], depth: int) -> _Test:
    steps = np.arange(0, horizon, _EVERY, dtype=np.float64)
    rates = curves.rates(variant, steps, horizon, _LR, prm, depths=_DEPTHS if variant.layerwise else None)
    values: dict[str, Any] = {"pi": np.pi, **variant.defaults, **prm}
    values |= dict.fromkeys(_STEP_NAMES, steps) | dict.fromkeys(_HORIZON_NAMES, float(horizon))
    values |= dict.fromkeys(_LR_NAMES, _LR)
    if variant.layerwise:
        values |= {"d": float(depth), "depth": float(depth)} | dict.fromkeys(("D", "max_depth"), float(max(_DEPTHS)))
    return _Test(frozenset(prm), values, (rates[depth] if variant.layerwise else rates) / _LR)


def _agrees(candidate: ast.expr, definitions: Mapping[str, _Definition], variant: Variant, tests: list[_Test]) -> bool:
    """Return whether an expression gives the multipliers, or the learning rates, of all tests.

    A hyperparameter that it does not name must stand in it with its default; it is then not tested with another value.
    """
    first = _Scope(tests[0].values, definitions)
    if not _equal(candidate, first, tests[0]):
        return False
    absent = {p.name for p in variant.hyperparameters if p.name not in first.used}
    numbers = [*first.numbers, *(1 / number for number in first.numbers if number)]
    if any(not np.isclose(numbers, variant.defaults[name]).any() for name in absent):
        return False
    return all(
        _equal(candidate, _Scope(test.values, definitions), test) for test in tests[1:] if not test.changed & absent
    )


def _equal(expression: ast.expr, scope: _Scope, test: _Test) -> bool:
    """Return whether an expression has the values of a test; False if it has none."""
    given = _values(expression, scope, test.expected.shape)
    return given is not None and any(
        np.allclose(given, test.expected * scale, rtol=_CLOSE, atol=_CLOSE * 1e-3 * scale) for scale in (1.0, _LR)
    )


def _values(expression: ast.expr, scope: _Scope, shape: tuple[int, ...]) -> Values | None:
    """Return the values of an expression at each step; None if it has a name or a construct without a meaning."""
    try:
        with np.errstate(all="ignore"):
            return np.broadcast_to(np.asarray(_value(expression, scope), dtype=np.float64), shape)
    except (_Unknown, ArithmeticError, ValueError, TypeError, RecursionError):
        return None

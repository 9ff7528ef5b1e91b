"""The statements that generated code executes on its way to the learning rate of one step, with their values.

The code is executed in the process of the caller, as ``generated`` does it. A trace function notes each line with the
variables before and after it; a statement is then shown as it was written, and with the numbers in place of the names.
"""

import ast
import sys
import types
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lrgen.curves.compositions import Composition
from lrgen.errors import CorpusError
from lrgen.realisations import Call, Interface, Realisation, Style
from lrgen.records import Unit
from lrgen.verify import generated

Number = int | float

DIGITS = 6
"""The significant digits of a value that is no whole number."""

_MAX_EVENTS = 400  # lines of a call
_CREATING = ("__init__", "configure_optimizers")  # functions that are called once
_INNER = ("<lambda>", "<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>")
_OF_ALL_GROUPS = "get_lr"  # a method that returns the learning rates of all groups
_RATE_OF_GROUP = ('["lr"]', "['lr']")
_ZERO = 1e-12  # of a value: rounding errors of zero


class Kind(StrEnum):
    """The kinds of statements."""

    ASSIGNED = "assigned"  # a variable gets a value
    BRANCH = "branch"  # a condition is true or false
    ENTERED = "entered"  # a function is entered with a number
    RETURNED = "returned"  # a function returns a value


@dataclass(frozen=True)
class Executed:
    """A statement that was executed.

    Attributes:
        target: the variable or item that gets the value; of ``entered`` and ``returned`` the function.
        expression: the expression as written, on one line; empty of ``entered``.
        numbers: the expression with numbers in place of names.
        value: its value; a truth value of ``branch``.
    """

    kind: Kind
    target: str
    expression: str
    numbers: str
    value: Number | bool

    @property
    def is_variable(self) -> bool:
        """Whether a variable or an attribute gets the value, rather than an item."""
        return self.kind is Kind.ASSIGNED and all(part.isidentifier() for part in self.target.split("."))


@dataclass(frozen=True)
class Working:
    """The statements that were executed for the learning rate of a step.

    ``before`` is what the code does once, when it is called; ``at_step`` what it does for the step.
    """

    before: tuple[Executed, ...]
    at_step: tuple[Executed, ...]
    rate: float


def is_possible(realisation: Realisation) -> bool:
    """Whether code computes a learning rate by statements of its own, on request."""
    return realisation.interface.call is not Call.LOOP and realisation.style is not Style.SEQUENTIAL


def of(
    code: str,
    interface: Interface,
    composition: Composition,
    *,
    step: int,
    group: int = 0,
    horizon: int | None = None,
    base_lr: float | None = None,
) -> Working | None:
    """Execute code up to a step, and return the working of that step for a parameter group; None if it is too long.

    Raises:
        CorpusError: if the code raises.
    """
    from lrgen.verify.nursery import interfaces  # imports torch

    groups = len(composition.groups)
    try:
        namespace = generated.load(code)
        watch = _Watch(generated.PATH)
        with warnings.catch_warnings(), watch:
            warnings.simplefilter("ignore")
            rows = interfaces.rates(
                namespace,
                call=interface.call.value,
                entry=interface.entry,
                takes_horizon=interface.takes_horizon,
                takes_lr=interface.takes_lr,
                horizon=composition.horizon if horizon is None else horizon,
                steps=[step],
                lr=float(composition.base_lr) if base_lr is None else base_lr,
                groups=groups,
                per_batch=composition.unit is Unit.BATCH,
                jumps=True,
            )
    except Exception as error:
        raise CorpusError(f"composition {composition.id}: its code raises {type(error).__name__}: {error}") from error
    if watch.is_full:
        return None
    source = _Source(code, namespace)
    created = {interface.entry, *_CREATING} if interface.call in (Call.SCHEDULER, Call.LIGHTNING) else set()
    calls = [call for call in watch.calls if call.name not in created]
    before = [executed for call in watch.calls if call.name in created for executed in source.statements(call)]
    at_step = list(source.statements(_of_group(calls, group, groups))) if calls else []
    return Working(tuple(before), tuple(_without_other_groups(at_step, group)), float(rows[0][group]))


def text(value: Number | bool) -> str:
    """Return a value with at most six significant digits, a whole number with all of them."""
    if isinstance(value, int):  # a truth value, too
        return str(value)
    if value.is_integer() and abs(value) < 10**DIGITS:
        return str(int(value))
    return f"{value:.{DIGITS}g}"


@dataclass
class _Event:
    """A line that is about to be executed (``line``), or a return, with the variables at that moment."""

    kind: str
    code: types.CodeType
    line: int
    variables: dict[str, Any]
    value: Any = None
    frame: int = 0


@dataclass
class _Call:
    """A call of the code from outside of it."""

    name: str
    events: list[_Event] = field(default_factory=list)


class _Watch:
    """Notes the lines of a file that are executed while it is entered as a context."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._events = 0
        self._open: dict[int, _Call] = {}  # the call of each frame
        self.calls: list[_Call] = []

    @property
    def is_full(self) -> bool:
        """Whether there were more lines than are noted."""
        return self._events > _MAX_EVENTS

    def __enter__(self) -> None:
        self._previous = sys.gettrace()
        sys.settrace(self._called)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._previous)

    def _called(self, frame: types.FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if code.co_filename != self._path:
            return None
        caller = frame.f_back
        call = self._open.get(id(caller)) if caller is not None else None
        if call is None:
            if code.co_name in _INNER and code.co_name != "<lambda>":
                return None
            call = _Call(code.co_name)
            self.calls.append(call)
        self._open[id(frame)] = call
        if code.co_name in _INNER:  # its calls are noted, its lines are not
            return self._left
        self._note(call, _Event("call", code, code.co_firstlineno, dict(frame.f_locals), frame=id(frame)))
        return self._executed

    def _left(self, frame: types.FrameType, event: str, argument: Any) -> Any:
        if event == "return":
            self._open.pop(id(frame), None)
        return self._left

    def _executed(self, frame: types.FrameType, event: str, argument: Any) -> Any:
        call = self._open[id(frame)]
        self._note(call, _Event(event, frame.f_code, frame.f_lineno, dict(frame.f_locals), argument, id(frame)))
        if event == "return":
            self._open.pop(id(frame), None)
        return self._executed

    def _note(self, call: _Call, event: _Event) -> None:
        self._events += 1
        if self._events <= _MAX_EVENTS:
            call.events.append(event)


def _of_group(calls: Sequence[_Call], group: int, groups: int) -> _Call:
    """The last call; that of the group where LambdaLR calls the code for one parameter group after the other."""
    last = calls[-groups:]
    is_each = len(last) == groups and {call.name for call in last} == {last[0].name} != {_OF_ALL_GROUPS}
    return last[group] if is_each else calls[-1]


def _without_other_groups(at_step: list[Executed], group: int) -> list[Executed]:
    """Return the statements of a loop over parameter groups for one of them."""
    ends = [at for at, executed in enumerate(at_step) if executed.target.endswith(_RATE_OF_GROUP)]
    if len(ends) < 2:
        return at_step
    begin = ends[0] - (ends[1] - ends[0])
    return at_step[: begin + 1] + at_step[(begin if group == 0 else ends[group - 1]) + 1 : ends[group] + 1]


class _Source:
    """Code that was executed, with its statements by line."""

    def __init__(self, code: str, namespace: Mapping[str, Any]) -> None:
        self._lines = code.splitlines()
        self._namespace = dict(namespace)
        self._by_line: dict[int, ast.stmt] = {}
        for node in ast.walk(ast.parse(code)):  # outer statements first
            if isinstance(node, ast.stmt):
                last = node.test if isinstance(node, ast.If | ast.While) else node
                last = node.iter if isinstance(node, ast.For) else last
                self._by_line |= dict.fromkeys(range(node.lineno, (last.end_lineno or node.lineno) + 1), node)

    def statements(self, call: _Call) -> Iterator[Executed]:
        """Yield the statements of a call in the order in which they are complete."""
        begun: dict[int, tuple[ast.stmt, _Event]] = {}  # the statement of each frame
        for number, event in enumerate(call.events):
            open_ = begun.get(event.frame)
            if event.kind == "call":
                if number > 0:
                    yield from _entered(event)
                continue
            node = self._by_line.get(event.line) if event.kind == "line" else None
            if open_ is not None and node is open_[0] and not isinstance(node, ast.For | ast.While):
                continue  # another line of the same statement
            if open_ is not None:
                yield from self._complete(*open_, event)
                del begun[event.frame]
            if node is not None:
                begun[event.frame] = node, event

    def _complete(self, node: ast.stmt, before: _Event, after: _Event) -> Iterator[Executed]:
        variables = before.variables
        match node:
            case ast.If(test=test) | ast.While(test=test):
                yield from self._branch(test, variables)
            case ast.Return(value=ast.expr() as value) if after.kind == "return":
                yield from self._valued(Kind.RETURNED, before.code.co_name, value, variables, after.value)
            case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
                yield from self._assigned(target, value, variables, after.variables)
            case ast.AugAssign(target=ast.Name(id=name) as target, value=value):
                own, symbol = self._texts(value, variables), _SYMBOLS.get(type(node.op), "?")
                number = _number(variables.get(name))
                result = _number(after.variables.get(name))
                if number is not None and result is not None and symbol != "?":
                    given, numbers = (f"({each})" if isinstance(value, ast.BinOp | ast.IfExp) else each for each in own)
                    yield Executed(
                        Kind.ASSIGNED,
                        name,
                        f"{self._texts(target, {})[0]} {symbol} {given}",
                        f"{text(number)} {symbol} {numbers}",
                        result,
                    )
            case ast.For(target=target):
                for name in _names(target):
                    result = _number(after.variables.get(name))
                    if after.kind == "line" and result is not None:
                        yield Executed(Kind.ASSIGNED, name, "", "", result)

    def _branch(self, test: ast.expr, variables: Mapping[str, Any]) -> Iterator[Executed]:
        value = self._value(test, variables)
        if isinstance(value, bool):
            yield Executed(Kind.BRANCH, "", *self._texts(test, variables), value)

    def _assigned(
        self, target: ast.expr, value: ast.expr, variables: Mapping[str, Any], after: Mapping[str, Any]
    ) -> Iterator[Executed]:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for each, own in zip(target.elts, value.elts, strict=True):
                yield from self._assigned(each, own, variables, after)
        elif isinstance(target, ast.Tuple):
            for name in _names(target):
                if (result := _number(after.get(name))) is not None:
                    yield Executed(Kind.ASSIGNED, name, *self._texts(value, variables), result)
        else:
            name = self._texts(target, {})[0]
            yield from self._valued(Kind.ASSIGNED, name, value, variables, self._value(target, after))

    def _valued(
        self, kind: Kind, target: str, value: ast.expr, variables: Mapping[str, Any], result: Any
    ) -> Iterator[Executed]:
        """Yield the statement with a value; of a conditional expression first its condition."""
        number = _number(result)
        if number is None:
            return
        while isinstance(value, ast.IfExp):
            condition = self._value(value.test, variables)
            if not isinstance(condition, bool):
                break
            yield from self._branch(value.test, variables)
            value = value.body if condition else value.orelse
        yield Executed(kind, target, *self._texts(value, variables), number)

    def _value(self, node: ast.expr, variables: Mapping[str, Any]) -> Any:
        """Return the value of an expression, which is evaluated again; None if it cannot be."""
        match node:
            case ast.Name(id=name):
                return variables.get(name, self._namespace.get(name))
            case ast.Attribute(value=inner, attr=name):
                return getattr(self._value(inner, variables), name, None)
        try:
            load = ast.Expression(_loaded(node))
            return eval(compile(load, generated.PATH, "eval"), self._namespace, dict(variables))  # our own code
        except Exception:  # noqa: BLE001  an expression that has no value here, as one of a comprehension
            return None

    def _texts(self, node: ast.expr, variables: Mapping[str, Any]) -> tuple[str, str]:
        """Return an expression on one line, as written and with numbers in place of names."""
        replaced = [
            (name, text(number))
            for name in self._references(node, variables)
            if (number := _number(self._value(name, variables))) is not None and not self._is_constant(name, variables)
        ]
        return self._text(node, ()), self._text(node, replaced)

    def _references(self, node: ast.AST, variables: Mapping[str, Any]) -> Iterator[ast.expr]:
        """Yield what may be a number in an expression: names, attributes, items, and calls of functions of the code.

        The names in a comprehension are not among them.
        """
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            yield node
        elif isinstance(node, ast.Call):
            if self._is_own(self._value(node.func, variables)):
                yield node
                return
            for inner in (*node.args, *(keyword.value for keyword in node.keywords)):
                yield from self._references(inner, variables)
        elif not isinstance(node, _OWN_NAMES):
            for child in ast.iter_child_nodes(node):
                yield from self._references(child, variables)

    def _is_own(self, function: Any) -> bool:
        code = getattr(function, "__code__", None)
        return code is not None and code.co_filename == generated.PATH

    def _is_constant(self, node: ast.expr, variables: Mapping[str, Any]) -> bool:
        """Whether a name is that of a module: ``math.pi``."""
        return isinstance(node, ast.Attribute) and isinstance(self._value(node.value, variables), types.ModuleType)

    def _text(self, node: ast.expr, replaced: Sequence[tuple[ast.expr, str]]) -> str:
        lines = self._lines[node.lineno - 1 : node.end_lineno]
        lines[-1] = lines[-1][: node.end_col_offset]
        for inner, number in sorted(replaced, key=lambda pair: (pair[0].lineno, pair[0].col_offset), reverse=True):
            at = inner.lineno - node.lineno
            begin, end = inner.col_offset, inner.end_col_offset
            lines[at] = f"{lines[at][:begin]}{number}{lines[at][end:]}"
        lines[0] = lines[0][node.col_offset :]
        joined = " ".join(line.split("  # ")[0].strip() for line in lines)
        return joined.replace("( ", "(").replace(", )", ")").replace(" )", ")").replace("[ ", "[").replace(" ]", "]")


_OWN_NAMES = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp, ast.Lambda)
_SYMBOLS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


def _number(value: Any) -> Number | None:
    """Return a number without rounding errors of zero; None for another value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, int) or abs(value) > _ZERO else 0.0


def _names(target: ast.expr) -> Iterator[str]:
    yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _loaded(node: ast.expr) -> ast.expr:
    """Return a target as an expression."""
    if isinstance(node, ast.Subscript):
        return ast.copy_location(ast.Subscript(node.value, node.slice, ast.Load()), node)
    return node


def _entered(event: _Event) -> Iterator[Executed]:
    """Yield the call of a function with numbers."""
    code = event.code
    given = {name: _number(event.variables.get(name)) for name in code.co_varnames[: code.co_argcount]}
    numbers = ", ".join(f"{name} = {text(value)}" for name, value in given.items() if value is not None)
    if numbers:
        yield Executed(Kind.ENTERED, code.co_name, "", numbers, True)

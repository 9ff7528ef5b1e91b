"""Forms of a schedule's code: a callable class for LambdaLR, a local function for LambdaLR, a subclass of LRScheduler.

The catalogue renders the first one. The others are made from its syntax tree and have the same expressions, so that
they give the same floating-point numbers.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from lrgen.render import renderer
from lrgen.source import sections

_RESUMABLE = "ResumableLambdaLR"
_FACTORY = "make_scheduler"
_INDENT = "    "
# Attributes of LRScheduler, which a subclass cannot use for its own values.
_RESERVED = {"base_lrs", "factor", "get_lr", "last_epoch", "optimizer", "schedule", "step"}


class Form(StrEnum):
    """A form of a schedule's code."""

    CALLABLE = "callable"  # an object of a class with __call__, passed to LambdaLR
    CLOSURE = "closure"  # a function within make_scheduler, passed to LambdaLR
    SUBCLASS = "subclass"  # a subclass of LRScheduler that overrides get_lr


def of(source: str) -> dict[Form, str]:
    """Return the forms of the schedule of a rendered file as standalone code; empty without a callable class."""
    parts = sections.parse(source)
    if parts.torch_classes != ("LambdaLR",):
        return {}
    schedule = _Schedule.read(parts.standalone)
    if schedule is None:
        return {}
    return {Form.CALLABLE: parts.standalone} | {
        form: code
        for form, code in ((Form.CLOSURE, schedule.as_closure()), (Form.SUBCLASS, schedule.as_subclass()))
        if code is not None
    }


def form_of(code: str) -> Form | None:
    """Return the form of a schedule's code; None for any other code.

    Raises:
        SyntaxError: when the code is not Python.
    """
    classes = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ClassDef)]
    methods = {node.name for each in classes for node in each.body if isinstance(node, ast.FunctionDef)}
    uses = sections.torch_schedulers(code)
    if uses == {"LambdaLR"}:
        return Form.CALLABLE if "__call__" in methods else Form.CLOSURE
    bases = {ast.unparse(base).rpartition(".")[2] for each in classes for base in each.bases}
    return Form.SUBCLASS if not uses and "LRScheduler" in bases and "get_lr" in methods else None


@dataclass(frozen=True)
class _Schedule:
    """Standalone code with a callable class for LambdaLR.

    Attributes:
        code: the code.
        callable: the class whose objects give the multiplier.
        resumable: the subclass of LambdaLR.
        factory: ``make_scheduler``.
        created: the statement that creates the scheduler.
        argument: the call that creates the callable object.
        assigned: the statement that assigns it to a name, if it has one.
    """

    code: str
    callable: ast.ClassDef
    resumable: ast.ClassDef
    factory: ast.FunctionDef
    created: ast.Assign
    argument: ast.Call
    assigned: ast.Assign | None

    @classmethod
    def read(cls, code: str) -> "_Schedule | None":
        """Return the schedule of standalone code; None when its parts are not those of a callable class."""
        body = ast.parse(code).body
        classes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
        factory = next(node for node in body if isinstance(node, ast.FunctionDef) and node.name == _FACTORY)
        assignments = [node for node in factory.body if isinstance(node, ast.Assign)]
        for created in assignments:
            match created.value:
                case ast.Call(func=ast.Name(id=name), args=[_, argument], keywords=[]) if name == _RESUMABLE:
                    break
        else:
            return None
        assigned = None
        if isinstance(argument, ast.Name):
            assigned = next((each for each in assignments if ast.unparse(each.targets[0]) == argument.id), None)
            argument = assigned.value if assigned else argument
        match argument:
            case ast.Call(func=ast.Name(id=name)) if name in classes and _RESUMABLE in classes:
                return cls(code, classes[name], classes[_RESUMABLE], factory, created, argument, assigned)
        return None

    def as_subclass(self) -> str | None:
        """Return the code with a subclass of LRScheduler; None when its values have names of LRScheduler's."""
        methods = _methods(self.callable)
        if _attributes(self.callable) & _RESERVED or methods.keys() & _RESERVED:
            return None
        name = f"{self.callable.name}Scheduler"
        init = methods.pop("__init__", None)
        parameters = [f"{_INDENT}{ast.unparse(argument)}" for argument in init.args.args[1:]] if init else []
        call = self._text(methods.pop("__call__")).replace("def __call__(", "def factor(", 1)
        documentation = [f'{_INDENT}"""{doc}"""\n'] if (doc := ast.get_docstring(self.callable)) else []
        new = "\n".join(
            [
                f"class {name}(LRScheduler):",
                *documentation,
                f"{_INDENT}schedule: tuple[str, int]\n",
                f"{_INDENT}def __init__(self, optimizer: Optimizer, {', '.join(parameters)}) -> None:",
                *([self._body(init)] if init else []),
                f"{_INDENT * 2}super().__init__(optimizer)\n",
                f"{_INDENT}def get_lr(self) -> list[float | Tensor]:",
                f"{_INDENT * 2}factor = self.factor(self.last_epoch)",
                f"{_INDENT * 2}return [base_lr * factor for base_lr in self.base_lrs]\n",
                *(f"{text}\n" for text in (call, *map(self._text, methods.values()))),
                *(f"{text}\n" for text in map(self._text, _methods(self.resumable).values())),
            ]
        )
        arguments = [ast.unparse(each) for each in (*self.argument.args, *self.argument.keywords)]
        replaced = {
            self.callable: "",
            self.resumable: new,
            self.created: f"{_INDENT}scheduler = {name}(optimizer, {', '.join(arguments)})",
        }
        return self._with(replaced, {"LambdaLR": "", "Tensor": "from torch import Tensor\n"})

    def as_closure(self) -> str | None:
        """Return the code with a function within ``make_scheduler``; None when its values cannot be local names."""
        methods = _methods(self.callable)
        init, call = methods.pop("__init__", None), methods.pop("__call__")
        attributes, local = _attributes(self.callable), _assigned(call)
        if methods or attributes & local or len(call.args.args) != 2:
            return None
        lines = self._bound(init)
        if lines is None:
            return None
        body = re.sub(r"\bself\.", "", self._body(call))
        step = call.args.args[1].arg
        documentation = ast.get_docstring(self.callable)
        comment = [f"{_INDENT * 2}# {documentation}"] if documentation and "\n" not in documentation else []
        function = [f"{_INDENT}def factor({step}: int) -> float:", *comment, body, ""]
        replaced = {
            self.callable: "",
            self.created: "\n".join([*lines, "", *function, f"{_INDENT}scheduler = {_RESUMABLE}(optimizer, factor)"]),
        }
        return self._with(replaced, {})

    def _bound(self, init: ast.FunctionDef | None) -> list[str] | None:
        """Return the statements that bind the values of the callable object to local names of ``make_scheduler``."""
        if init is None:
            return []
        taken = {node.id for node in ast.walk(self.factory) if isinstance(node, ast.Name)} | {"optimizer", "prm"}
        names = [argument.arg for argument in init.args.args[1:]]
        given = {name: ast.unparse(value) for name, value in zip(names, self.argument.args, strict=False)}
        given |= {str(keyword.arg): ast.unparse(keyword.value) for keyword in self.argument.keywords}
        if given.keys() != set(names) or any(name in taken for name in names if given[name] != name):
            return None
        lines = [f"{_INDENT}{name} = {given[name]}" for name in names if given[name] != name]
        for statement in init.body:
            text = re.sub(r"\bself\.", "", ast.unparse(statement))
            match statement:
                case ast.Assign(targets=[ast.Attribute(attr=name)]):
                    if text == f"{name} = {name}":
                        continue
                    if name in taken or name in names:
                        return None
                case ast.Assign(targets=[ast.Name(id=name)]) if name not in taken:
                    pass
                case _:
                    return None
            lines.append(f"{_INDENT}{text}")
        return lines

    def _text(self, node: ast.stmt) -> str:
        """Return the lines of a statement."""
        return "\n".join(self.code.splitlines()[node.lineno - 1 : node.end_lineno])

    def _body(self, function: ast.FunctionDef) -> str:
        """Return the lines of the body of a function, with the comments above its first statement."""
        lines = self.code.splitlines()
        begin = function.body[0].lineno - 1
        while lines[begin - 1].strip().startswith("#"):
            begin -= 1
        return "\n".join(lines[begin : function.end_lineno])

    def _with(self, replaced: dict[ast.stmt, str], imports: dict[str, str]) -> str:
        """Return the code with other statements and imports, formatted."""
        if self.assigned is not None:
            replaced[self.assigned] = ""
        lines = self.code.splitlines()
        for node in sorted(replaced, key=lambda node: node.lineno, reverse=True):
            lines[node.lineno - 1 : node.end_lineno] = replaced[node].splitlines()
        head, _, rest = "\n".join(lines).partition("\n\n\n")
        for name, added in imports.items():
            if not added:
                head = re.sub(rf"\b{name}, |, {name}\b", "", head)
            elif not re.search(rf"\b{name}\b", head):
                head = head.replace("from torch.optim import", f"{added}from torch.optim import", 1)
        return f"{head}\n\n\n{renderer.formatted(rest).strip()}\n"


def _methods(node: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    return {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}


def _attributes(node: ast.ClassDef) -> set[str]:
    """Return the names of the attributes of ``self`` that a class uses."""
    return set(_self_names(node))


def _self_names(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        match each:
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                yield name


def _assigned(function: ast.FunctionDef) -> set[str]:
    """Return the local names of a function."""
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return names | {argument.arg for argument in function.args.args}

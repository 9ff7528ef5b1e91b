"""Work at import time: the first statement that has an effect outside the module while the file is imported.

The statements that Python executes at import are interpreted with abstract values: module and class bodies, decorators,
default values, annotations and base classes, and the functions of the file that these call. Calls of objects from
elsewhere must be ``harmless``; what cannot be followed counts as work. The spelling does not matter: a call may stand
in a comprehension, and ``if TYPE_CHECKING`` guards its body only as long as the name means ``typing.TYPE_CHECKING``.
"""

import ast
from collections.abc import Sequence

from lrgen.verify.static.evaluation import CLASS_HOOKS, Evaluation, constant, is_plain
from lrgen.verify.static.harmless import ACTING_MODULES, INERT_ROOTS, SETTINGS_OF_TORCH, STREAMS
from lrgen.verify.static.values import (
    Class,
    Foreign,
    Function,
    Instance,
    Kind,
    Plain,
    Scope,
    Value,
    is_inert,
    join,
    options,
)
from lrgen.verify.static.work import Found, Work

_GUARDS = ("typing.TYPE_CHECKING", "torch.TYPE_CHECKING")
_METACLASSES = ("abc.ABCMeta", "builtins.type", "enum.EnumMeta", "enum.EnumType")
# The body of a loop is interpreted until no name changes its value, and at most this many times.
_MAX_ROUNDS = 8


def first_work(tree: ast.Module, permits_settings: bool = False) -> Work | None:
    """The first statement of a file that has an effect outside the module at import time; None if there is none.

    Args:
        permits_settings: whether a file may set what warnings and logs show, and how fast torch computes.

    Raises:
        RecursionError: if the file is nested too deeply to be followed.
    """
    future = any(
        isinstance(node, ast.ImportFrom) and node.module == "__future__" and node.names[0].name == "annotations"
        for node in tree.body
    )
    interpreter = _Execution(evaluates_annotations=not future, permits_settings=permits_settings)
    try:
        interpreter.run(tree.body, interpreter.module)
    except Found as work:
        return work.shown()
    return None


def _is_setting_of_torch(owner: Value) -> bool:
    return isinstance(owner, Foreign) and owner.path.startswith(SETTINGS_OF_TORCH)


def _is_plain_value(value: Value) -> bool:
    return all(isinstance(option, Plain) for option in options(value))


class _Execution(Evaluation):
    """Executes statements with abstract values; raises ``Found`` at the first work."""

    def __init__(self, evaluates_annotations: bool, permits_settings: bool) -> None:
        super().__init__(permits_settings)
        self._evaluates_annotations = evaluates_annotations

    def run(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        for statement in body:
            try:
                self._execute(statement, scope)
            except Found as work:
                work.within(statement, scope.is_import_time)
                raise

    def _maybe(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        """Execute statements that may not run."""
        self._conditional += 1
        self.run(body, scope)
        self._conditional -= 1

    def _execute(self, node: ast.stmt, scope: Scope) -> None:
        method = getattr(self, f"_run_{type(node).__name__.lower()}", None)
        if method is None:
            raise Found(node)
        method(node, scope)

    def _run_pass(self, node: ast.Pass, scope: Scope) -> None:
        """Do nothing."""

    _run_break = _run_continue = _run_pass

    def _run_expr(self, node: ast.Expr, scope: Scope) -> None:
        self.value(node.value, scope)

    def _run_import(self, node: ast.Import, scope: Scope) -> None:
        for alias in node.names:
            self._check_module(alias.name, node)
            path = alias.name if alias.asname else alias.name.split(".")[0]
            self.bind(alias.asname or path, Foreign(path), scope)

    def _run_importfrom(self, node: ast.ImportFrom, scope: Scope) -> None:
        module = node.module or ""
        self._check_module(module, node)
        for alias in node.names:
            if alias.name == "*":
                self._import_star(module)
            else:
                self._check_module(f"{module}.{alias.name}", node)
                path = Foreign(f"{module}.{alias.name}")
                self.bind(alias.asname or alias.name, Plain.UNKNOWN if node.level else constant(path), scope)

    def _check_module(self, module: str, node: ast.stmt) -> None:
        names = module.split(".")
        if names[0] in ACTING_MODULES or "__main__" in names or module.startswith(STREAMS):
            raise Found(node)

    def _import_star(self, module: str) -> None:
        """Any name may now be one of the module's."""
        self._stars.append(module)
        self._version += 1
        inert = module.split(".")[0] in INERT_ROOTS
        for name, value in self.module.names.items():
            if not inert:
                self.module.names[name] = Plain.UNKNOWN
            elif not (isinstance(value, Foreign) and value.path.split(".")[-1] == name):
                self.module.names[name] = join((value, Foreign(f"{module}.{name}")))

    def _run_functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        decorators = [self._decorator(decorator, scope) for decorator in node.decorator_list]
        defaults = self.defaults(node.args, scope)
        if self._evaluates_annotations:
            arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            extra = (node.args.vararg, node.args.kwarg)
            annotations = [argument.annotation for argument in (*arguments, *extra) if argument]
            self._values((*annotations, node.returns), scope)
        self._decorate(Function(node, scope, defaults), node, decorators, scope)

    _run_asyncfunctiondef = _run_functiondef

    def _decorator(self, node: ast.expr, scope: Scope) -> Value:
        try:
            return self.value(node, scope)
        except Found as work:
            work.within(node, scope.is_import_time)
            raise

    def _decorate(
        self,
        value: Value,
        node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef,
        decorators: list[Value],
        scope: Scope,
    ) -> None:
        for decorator, expression in zip(reversed(decorators), reversed(node.decorator_list), strict=True):
            try:
                value = self.call(decorator, [value], {}, expression)
            except Found as work:
                work.within(expression, scope.is_import_time)
                raise
        self.bind(node.name, value, scope)

    def _run_classdef(self, node: ast.ClassDef, scope: Scope) -> None:
        decorators = [self._decorator(decorator, scope) for decorator in node.decorator_list]
        bases = tuple(self._values(node.bases, scope))
        keywords = {keyword.arg: self.value(keyword.value, scope) for keyword in node.keywords}
        if Plain.UNKNOWN in bases:
            raise Found(node)
        metaclass = keywords.get("metaclass")
        if metaclass is not None and not isinstance(metaclass, Class):
            self.call(metaclass, [Plain.NEW] * 3, {}, node)
        made = self._classes.setdefault((node, scope, bases), Class(node, Scope(scope.enclosing(), Kind.CLASS), bases))
        self.run(node.body, made.scope)
        if any(not is_inert(value) for value in made.scope.names.values()):
            raise Found(node)
        self._decorate(made, node, decorators, scope)
        outside = [base.path for base in made.foreign() if isinstance(base, Foreign)]
        # The members of an enumeration are created with its class.
        calls_all = any(path in _METACLASSES or path.startswith("enum.") for path in outside)
        self._run_hooks(made, calls_all, node)
        if isinstance(metaclass, Class):
            self._run_hooks(metaclass, True, node)

    def _run_hooks(self, made: Class, calls_all: bool, node: ast.AST) -> None:
        """Run the methods that Python calls when a class is created: a few, or all that begin with an underscore."""
        for name in made.attributes():
            if name in CLASS_HOOKS or (calls_all and name.startswith("_")):
                self._run_special(made.find(name), made, node)

    def _run_return(self, node: ast.Return, scope: Scope) -> None:
        value = self.value(node.value, scope) if node.value else Plain.NEW
        if self._returned:
            self._returned[-1].append(value)

    def _run_delete(self, node: ast.Delete, scope: Scope) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._unbind(target.id, scope)
            else:
                self.assign(target, Plain.NEW, scope)

    def _run_assign(self, node: ast.Assign, scope: Scope) -> None:
        value = self.value(node.value, scope)
        for target in node.targets:
            if isinstance(target, (ast.Tuple, ast.List)) and isinstance(node.value, (ast.Tuple, ast.List)):
                pairs = zip(target.elts, node.value.elts, strict=False)
                if len(target.elts) == len(node.value.elts) and not any(
                    isinstance(part, ast.Starred) for part in (*target.elts, *node.value.elts)
                ):
                    for part, source in [(part, self.value(source, scope)) for part, source in pairs]:
                        self.assign(part, source, scope)
                    continue
            self.assign(target, value, scope)

    def _run_annassign(self, node: ast.AnnAssign, scope: Scope) -> None:
        if self._evaluates_annotations and scope.is_import_time:
            self.value(node.annotation, scope)
        if node.value is not None:
            self.assign(node.target, self.value(node.value, scope), scope)

    def _run_augassign(self, node: ast.AugAssign, scope: Scope) -> None:
        operand = self.value(node.value, scope)
        if isinstance(node.target, ast.Name):
            before = self.lookup(node.target.id, scope)
            if not all(isinstance(option, (Plain, Instance)) for option in options(before)):
                raise Found(node)
            if Plain.UNKNOWN in options(before) or not is_inert(operand):
                raise Found(node)
            self.bind(node.target.id, join((before, Plain.PART)) if before is not Plain.NEW else before, scope)
        else:
            self.assign(node.target, operand, scope)

    def assign(self, target: ast.expr, value: Value, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            self.bind(target.id, value, scope)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for part in target.elts:
                self.assign(part, self._part(value), scope)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, value, scope)
        elif isinstance(target, ast.Attribute):
            owner = self.value(target.value, scope)
            if self.permits_settings and _is_plain_value(value) and all(map(_is_setting_of_torch, options(owner))):
                return
            own = all(
                isinstance(option, (Function, Class, Instance)) or option in (Plain.NEW, Plain.TYPE)
                for option in options(owner)
            )
            if not own or not is_inert(value) or not is_plain(target.attr):
                raise Found(target)
            for option in options(owner):
                if isinstance(option, Class):
                    self.bind(target.attr, value, option.scope)
                if isinstance(option, Instance):
                    self._run_descriptor(option, target.attr, target)
        elif isinstance(target, ast.Subscript):
            owner = self.value(target.value, scope)
            self.value(target.slice, scope)
            own = all(isinstance(option, Instance) or option in (Plain.NEW, Plain.PART) for option in options(owner))
            if not own or not is_inert(value):
                raise Found(target)

    def _run_if(self, node: ast.If, scope: Scope) -> None:
        guard = self._is_guard(node.test, scope)
        self.value(node.test, scope)
        if not guard:
            self._maybe(node.body, scope)
        if guard:
            self.run(node.orelse, scope)
        else:
            self._maybe(node.orelse, scope)

    def _is_guard(self, test: ast.expr, scope: Scope) -> bool:
        """Whether a condition is false at import: ``TYPE_CHECKING`` or ``__name__ == "__main__"``."""
        if isinstance(test, (ast.Name, ast.Attribute)):
            value = self.value(test, scope)
            return isinstance(value, Foreign) and value.path in _GUARDS
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
            sides = (test.left, test.comparators[0])
            names = [side.id for side in sides if isinstance(side, ast.Name)]
            texts = [side.value for side in sides if isinstance(side, ast.Constant)]
            return names == ["__name__"] and texts == ["__main__"] and self._bound("__name__", scope) is None
        return False

    def _loop(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        """Execute the body of a loop until no name changes."""
        for _ in range(_MAX_ROUNDS):
            before = self._version
            self._maybe(body, scope)
            if self._version == before:
                return
        raise Found(body[0])

    def _run_for(self, node: ast.For | ast.AsyncFor, scope: Scope) -> None:
        items = self._items(node.iter, scope)
        self._conditional += 1
        self.assign(node.target, items, scope)
        self._conditional -= 1
        self._loop(node.body, scope)
        self._maybe(node.orelse, scope)

    _run_asyncfor = _run_for

    def _run_while(self, node: ast.While, scope: Scope) -> None:
        self.value(node.test, scope)
        self._loop([*node.body, ast.copy_location(ast.Expr(node.test), node)], scope)
        self._maybe(node.orelse, scope)

    def _run_with(self, node: ast.With | ast.AsyncWith, scope: Scope) -> None:
        for item in node.items:
            value = self.value(item.context_expr, scope)
            for option in options(value):
                if not (isinstance(option, (Instance, Function)) or option in (Plain.NEW, Plain.DECORATOR)):
                    raise Found(node)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, self._part(value), scope)
        self._maybe(node.body, scope)

    _run_asyncwith = _run_with

    def _run_try(self, node: ast.Try, scope: Scope) -> None:
        self._maybe(node.body, scope)
        for handler in node.handlers:
            if handler.type is not None:
                self.value(handler.type, scope)
            self._conditional += 1
            if handler.name:
                self.bind(handler.name, Plain.NEW, scope)
            self.run(handler.body, scope)
            self._conditional -= 1
        self._maybe(node.orelse, scope)
        self._maybe(node.finalbody, scope)

    _run_trystar = _run_try

    def _run_raise(self, node: ast.Raise, scope: Scope) -> None:
        self._values((node.exc, node.cause), scope)

    def _run_assert(self, node: ast.Assert, scope: Scope) -> None:
        self._values((node.test, node.msg), scope)

    def _run_match(self, node: ast.Match, scope: Scope) -> None:
        subject = self._part(self.value(node.subject, scope))
        self._conditional += 1
        for case in node.cases:
            for part in ast.walk(case.pattern):
                if isinstance(part, ast.expr):
                    self.value(part, scope)
                name = getattr(part, "name", None) or getattr(part, "rest", None)
                if isinstance(part, ast.pattern) and name:
                    self.bind(name, subject, scope)
            if case.guard is not None:
                self.value(case.guard, scope)
            self.run(case.body, scope)
        self._conditional -= 1

    def _run_typealias(self, node: ast.stmt, scope: Scope) -> None:  # of Python 3.12
        self.assign(node.name, Plain.NEW, scope)  # type: ignore[attr-defined]  # not in the stubs of Python 3.11

    def _run_global(self, node: ast.Global, scope: Scope) -> None:
        for name in node.names:
            scope.declared[name] = self.module

    def _run_nonlocal(self, node: ast.Nonlocal, scope: Scope) -> None:
        for name in node.names:
            outer = scope.parent
            while (
                outer is not None and (outer.kind is Kind.CLASS or name not in outer.names) and outer.parent is not None
            ):
                outer = outer.parent
            scope.declared[name] = outer or self.module

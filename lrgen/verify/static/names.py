"""The imported and built-in objects that the names of a file can mean, wherever they stand in it.

The order of statements is ignored: a name means whatever is bound to it anywhere in its scope.
"""

import ast
import builtins
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SEQUENCES = (ast.Tuple, ast.List, ast.Set)
# A file that exceeds these is not written for people.
_MAX_PATHS = 200
_MAX_STEPS = 30_000


@dataclass(eq=False)
class _Scope:
    parent: "_Scope | None" = None
    is_function: bool = False
    is_comprehension: bool = False
    node: ast.AST | None = None
    bindings: dict[str, "dict[str | ast.AST | None, None]"] = field(default_factory=dict)
    bound: list[tuple[str, "str | ast.AST | None"]] = field(default_factory=list)
    of_module: set[str] = field(default_factory=set)  # declared as global
    of_outer: set[str] = field(default_factory=set)  # declared as nonlocal

    def bind(self, name: str, meaning: "str | ast.AST | None") -> None:
        self.bound.append((name, meaning))


def _may_bring(module: str, name: str) -> bool:
    """Whether an import with * from a module may bring a name; a module of Python that is loaded shows its names."""
    if name.startswith("__") and name.endswith("__"):
        return False
    known = sys.modules.get(module) if module in sys.stdlib_module_names else None
    return known is None or hasattr(known, name)


class Names:
    """The meanings of the names of a file.

    Raises:
        RecursionError: if the file is nested too deeply.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._module = _Scope()
        self._scopes: dict[ast.AST, _Scope] = {}
        self._paths: dict[ast.AST, frozenset[str]] = {}
        self._known: dict[tuple[_Scope, str], frozenset[str]] = {}
        self._active: set[tuple[_Scope, str]] = set()
        self._incomplete: set[tuple[_Scope, str]] = set()
        self._steps = 0
        self._stars: list[str] = []
        pending: list[tuple[ast.AST, _Scope]] = [(tree, self._module)]
        while pending:  # not recursive: a file may be nested deeply
            node, scope = pending.pop()
            self._scopes[node] = scope
            pending += self._enter(node, scope)
        scopes = dict.fromkeys((self._module, *self._scopes.values()))
        for declared in (False, True):  # what is declared as nonlocal is bound in an outer scope
            for scope in scopes:
                for name, meaning in scope.bound:
                    if (name in scope.of_module | scope.of_outer) is declared:
                        self._home(name, scope).bindings.setdefault(name, {})[meaning] = None

    def _home(self, name: str, scope: _Scope) -> _Scope:
        """The scope in which a binding in a scope binds a name."""
        if name in scope.of_module:
            return self._module
        if name in scope.of_outer and scope.parent is not None:
            return self._scope_of(name, scope.parent) or scope
        return scope

    def paths(self, node: ast.AST) -> frozenset[str]:
        """The dotted paths of the objects from elsewhere that an expression can mean: ``{"torch.nn.Linear"}``.

        Raises:
            RecursionError: if the names of the file stand for too many objects, or for each other too often.
        """
        known = self._paths.get(node)
        if known is None:
            known = self._paths[node] = self._find(node)
        return known

    def _find(self, node: ast.AST) -> frozenset[str]:
        if isinstance(node, ast.Name):
            return self._paths_of_name(node)
        if isinstance(node, ast.Attribute):
            return frozenset(f"{path}.{node.attr}" for path in self._find(node.value))
        if isinstance(node, (ast.NamedExpr, ast.Starred, ast.Await)):
            return self._find(node.value)
        parts: list[ast.expr] = []
        if isinstance(node, ast.IfExp):
            parts = [node.body, node.orelse]
        elif isinstance(node, ast.BoolOp):
            parts = node.values
        elif isinstance(node, ast.Subscript) and isinstance(node.value, (*_SEQUENCES, ast.Dict)):
            parts = node.value.values if isinstance(node.value, ast.Dict) else node.value.elts
        return frozenset(path for part in parts for path in self._find(part))

    def is_own(self, node: ast.AST, kinds: tuple[type[ast.AST], ...]) -> bool:
        """Whether a name is bound only by definitions of these kinds."""
        if not isinstance(node, ast.Name):
            return False
        scope = self._scope_of(node.id, self._scopes[node])
        return scope is not None and all(isinstance(meaning, kinds) for meaning in scope.bindings[node.id])

    def is_unbound(self, node: ast.Name) -> bool:
        """Whether nothing in the file binds a name where it is used."""
        return self._scope_of(node.id, self._scopes[node]) is None

    def function_of(self, node: ast.AST) -> ast.AST | None:
        """The function whose parameter a name is, and nothing else."""
        if not isinstance(node, ast.Name):
            return None
        scope = self._scope_of(node.id, self._scopes[node])
        return scope.node if scope is not None and len(scope.bindings[node.id]) == 1 else None

    def _scope_of(self, name: str, scope: _Scope) -> _Scope | None:
        current: _Scope | None = self._module if name in scope.of_module else scope
        while current is not None:
            visible = current is scope or current.is_function or current.parent is None
            if visible and name in current.bindings:
                return current
            current = current.parent
        return None

    def _paths_of_name(self, node: ast.Name) -> frozenset[str]:
        scope = self._scope_of(node.id, self._scopes[node])
        # Outside functions an unbound name falls back to the built-in one, if its binding has not run or was deleted.
        may_be_built_in = hasattr(builtins, node.id) or node.id.startswith("__")
        fallback = may_be_built_in and (scope is None or not scope.is_function)
        outside = frozenset([f"builtins.{node.id}"] if fallback else [])
        if scope is None:
            return outside | {f"{star}.{node.id}" for star in self._stars if _may_bring(star, node.id)}
        return outside | self._paths_in(scope, node.id)

    def _paths_in(self, scope: _Scope, name: str) -> frozenset[str]:
        """The objects from elsewhere that a name of a scope can mean."""
        key = (scope, name)
        if key in self._known:
            return self._known[key]
        if key in self._active:  # the name stands for a part of itself
            self._incomplete.add(key)
            return frozenset()
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise RecursionError("the names of the file stand for each other too often")
        self._active.add(key)
        meanings = scope.bindings[name]
        named = {meaning for meaning in meanings if isinstance(meaning, str)}
        expressions = [meaning for meaning in meanings if isinstance(meaning, ast.expr)]
        objects = frozenset((*named, *(path for expression in expressions for path in self._find(expression))))
        self._active.discard(key)
        self._incomplete.discard(key)
        if len(objects) > _MAX_PATHS:
            raise RecursionError("a name of the file stands for too many objects")
        if not self._incomplete:  # what depends on a name that is being looked up is looked up again
            self._known[key] = objects
        return objects

    def _enter(self, node: ast.AST, scope: _Scope) -> Iterator[tuple[ast.AST, _Scope]]:
        """Bind what a node binds, and yield its children with their scopes."""
        if isinstance(node, _FUNCTIONS):
            yield from self._enter_function(node, scope)
        elif isinstance(node, ast.ClassDef):
            scope.bind(node.name, node)
            inner = _Scope(scope)
            yield from ((child, scope) for child in (*node.bases, *node.keywords, *node.decorator_list))
            yield from ((child, inner) for child in reversed(node.body))
        elif isinstance(node, _COMPREHENSIONS):
            inner = _Scope(scope, is_function=True, is_comprehension=True)
            first, *others = node.generators
            yield first.iter, scope
            yield from ((child, inner) for child in (first.target, *first.ifs, *others))
            elements = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
            yield from ((child, inner) for child in elements)
            self._bind_target(first.target, first.iter, inner)
        else:
            self._bind(node, scope)
            yield from ((child, scope) for child in reversed(list(ast.iter_child_nodes(node))))

    def _enter_function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: _Scope
    ) -> Iterator[tuple[ast.AST, _Scope]]:
        inner = _Scope(scope, is_function=True, node=node)
        spec = node.args
        positional = [*spec.posonlyargs, *spec.args]
        defaults = [*([None] * (len(positional) - len(spec.defaults))), *spec.defaults]
        for parameter, default in zip([*positional, *spec.kwonlyargs], [*defaults, *spec.kw_defaults], strict=True):
            inner.bind(parameter.arg, parameter)
            if default is not None:
                inner.bind(parameter.arg, default)
        for parameter in filter(None, (spec.vararg, spec.kwarg)):
            inner.bind(parameter.arg, None)
        yield spec, scope
        if isinstance(node, ast.Lambda):
            yield node.body, inner
            return
        scope.bind(node.name, node)
        yield from ((child, scope) for child in node.decorator_list)
        if node.returns is not None:
            yield node.returns, scope
        yield from ((child, inner) for child in reversed(node.body))

    def _bind(self, node: ast.AST, scope: _Scope) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                path = alias.name if alias.asname else alias.name.split(".")[0]
                scope.bind(alias.asname or path, path)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name == "*":
                    self._stars.append(node.module or "")
                else:
                    scope.bind(alias.asname or alias.name, f"{node.module or ''}.{alias.name}")
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind_value(target, node.value, scope)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
            home = scope
            while isinstance(node, ast.NamedExpr) and home.is_comprehension and home.parent is not None:
                home = home.parent
            self._bind_value(node.target, node.value, home)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            self._bind_target(node.target, node.iter, scope)
        elif isinstance(node, ast.Global):
            scope.of_module.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            scope.of_outer.update(node.names)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            scope.bind(node.id, None)
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            scope.bind(node.name, None)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            scope.bind(node.rest, None)

    def _bind_value(self, target: ast.expr, value: ast.expr | None, scope: _Scope) -> None:
        """Bind a target to a value; each part of a tuple to each part of the value, whose order is ignored."""
        if isinstance(target, ast.Name):
            scope.bind(target.id, value)
        elif isinstance(target, _SEQUENCES) and isinstance(value, _SEQUENCES):
            for part in target.elts:
                for source in value.elts:
                    self._bind_value(part, source, scope)
        elif isinstance(target, ast.Starred):
            self._bind_value(target.value, value, scope)

    def _bind_target(self, target: ast.expr, items: ast.expr, scope: _Scope) -> None:
        """Bind the target of a loop to each item that is written out."""
        if isinstance(items, _SEQUENCES):
            for item in items.elts:
                self._bind_value(target, item, scope)

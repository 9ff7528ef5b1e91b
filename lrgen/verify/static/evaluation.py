"""The values of expressions at import time, and the calls that they make."""

import ast
import builtins
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lrgen.verify.static.harmless import (
    CALLED_KEYWORDS,
    CALLING_METHODS,
    CALLS,
    CONSTANTS,
    FIRST_CALLED,
    INERT_PREFIXES,
    INERT_ROOTS,
    METHODS,
    SECOND_CALLED,
    SETTINGS,
    STREAMS,
    TEXTS,
    Result,
)
from lrgen.verify.static.values import (
    Class,
    Foreign,
    Function,
    Instance,
    Kind,
    Plain,
    Scope,
    Value,
    container,
    is_inert,
    join,
    options,
)
from lrgen.verify.static.work import Found

# Methods that Python calls when a class is created or looked at.
CLASS_HOOKS = frozenset(
    (
        *("__class_getitem__", "__init_subclass__", "__instancecheck__", "__mro_entries__", "__prepare__"),
        *("__set_name__", "__subclasscheck__", "__subclasshook__"),
    )
)
# Attributes that begin with two underscores and lead to nothing but texts and the object's own annotations.
PLAIN_ATTRIBUTES = frozenset(
    ("__annotations__", "__defaults__", "__doc__", "__match_args__", "__module__", "__name__", "__qualname__")
)
_CONSTRUCTORS = ("__new__", "__init__")
# Bounds of the interpretation; a file that exceeds them does too much to be followed.
_MAX_CALLS = 5_000
_MAX_STEPS = 200_000
_MAX_DEPTH = 40
_MAX_SPREAD = 16


def is_plain(attribute: str) -> bool:
    """Whether an attribute leads to no object but those that its owner holds."""
    return not attribute.startswith("__") or attribute in PLAIN_ATTRIBUTES


def constant(path: Foreign) -> Value:
    """An object from elsewhere, or a new one if it cannot be changed."""
    return Plain.NEW if path.path in CONSTANTS else path


def _is_data(base: Value) -> bool:
    """Whether instances of a class from elsewhere have no attributes but the file's own and those of data."""
    if isinstance(base, Foreign):
        return base.path.startswith(("builtins.", "collections.", "enum.", "typing.", "abc."))
    return base in (Plain.NEW, Plain.TYPE)


class Evaluation(ABC):
    """Evaluates expressions with abstract values; raises ``Found`` at the first work."""

    def __init__(self, permits_settings: bool = False) -> None:
        self.permits_settings = permits_settings
        self.module = Scope()
        self._version = 0  # counts the changes of names
        self._conditional = 0  # the number of enclosing conditions
        self._calls = self._steps = 0
        self._depth = 0
        self._active: set[object] = set()
        self._results: dict[object, tuple[int, Value]] = {}
        self._stars: list[str] = []
        self._classes: dict[tuple[ast.ClassDef, Scope, tuple[Value, ...]], Class] = {}
        self._returned: list[list[Value]] = []

    @abstractmethod
    def run(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        """Execute statements."""

    @abstractmethod
    def assign(self, target: ast.expr, value: Value, scope: Scope) -> None:
        """Bind a name, or change an object of the file."""

    # Names.

    def lookup(self, name: str, scope: Scope) -> Value:
        value = self._bound(name, scope)
        if value is not None:
            return value
        if any(star.split(".")[0] not in INERT_ROOTS for star in self._stars):
            return Plain.UNKNOWN
        if hasattr(builtins, name) or f"builtins.{name}" in CONSTANTS:
            return constant(Foreign(f"builtins.{name}"))
        if self._stars:
            paths = [f"{star}.{name}" for star in self._stars]
            return join(map(Foreign, [path for path in paths if path in CALLS] or paths))
        return Plain.UNKNOWN

    def _bound(self, name: str, scope: Scope) -> Value | None:
        current: Scope | None = scope.declared.get(name, scope)
        while current is not None:
            if name in current.names:
                return current.names[name]
            current = current.parent.enclosing() if current.parent else None
        return None

    def bind(self, name: str, value: Value, scope: Scope) -> None:
        target = scope.declared.get(name, scope)
        if self._conditional or target is not scope:  # the statement may not have run
            before = target.names.get(name)
            if before is None and target.is_import_time:
                outer = self.lookup(name, target)
                before = None if outer is Plain.UNKNOWN else outer
            value = value if before is None else join((before, value))
        if target.names.get(name) != value:
            target.names[name] = value
            self._version += 1

    def _unbind(self, name: str, scope: Scope) -> None:
        target = scope.declared.get(name, scope)
        if self._conditional:
            self.bind(name, Plain.UNKNOWN, scope)
        elif name in target.names:
            del target.names[name]
            self._version += 1

    # Expressions.

    def value(self, node: ast.expr, scope: Scope) -> Value:
        method = getattr(self, f"_value_{type(node).__name__.lower()}", None)
        if method is None:
            raise Found(node)
        result: Value = method(node, scope)
        return result

    def _values(self, nodes: Iterable[ast.expr | None], scope: Scope) -> list[Value]:
        return [self.value(node, scope) for node in nodes if node is not None]

    def _value_constant(self, node: ast.Constant, scope: Scope) -> Value:
        return Plain.NEW

    def _value_name(self, node: ast.Name, scope: Scope) -> Value:
        return self.lookup(node.id, scope)

    def _value_namedexpr(self, node: ast.NamedExpr, scope: Scope) -> Value:
        value = self.value(node.value, scope)
        while scope.kind is Kind.COMPREHENSION and scope.parent is not None:
            scope = scope.parent
        self._conditional += 1  # what stands before it may decide whether it is evaluated
        self.bind(node.target.id, value, scope)
        self._conditional -= 1
        return value

    def _value_tuple(self, node: ast.Tuple | ast.List | ast.Set, scope: Scope) -> Value:
        return container(self._values(node.elts, scope))

    _value_list = _value_set = _value_tuple

    def _value_dict(self, node: ast.Dict, scope: Scope) -> Value:
        return container([*self._values(node.keys, scope), *self._values(node.values, scope)])

    def _value_joinedstr(self, node: ast.JoinedStr, scope: Scope) -> Value:
        self._values(node.values, scope)
        return Plain.NEW

    def _value_formattedvalue(self, node: ast.FormattedValue, scope: Scope) -> Value:
        self._values((node.value, node.format_spec), scope)
        return Plain.NEW

    def _value_binop(self, node: ast.BinOp, scope: Scope) -> Value:
        return self._operation(self._values((node.left, node.right), scope), node)

    def _value_unaryop(self, node: ast.UnaryOp, scope: Scope) -> Value:
        return self._operation([self.value(node.operand, scope)], node)

    def _value_compare(self, node: ast.Compare, scope: Scope) -> Value:
        self._operation(self._values((node.left, *node.comparators), scope), node)
        return Plain.NEW

    def _operation(self, operands: list[Value], node: ast.expr) -> Value:
        """The value of an operator, which may be a method of an operand."""
        if all(map(is_inert, operands)):
            return Plain.NEW
        for operand in operands:
            if any(isinstance(option, Instance) or option is Plain.PART for option in options(operand)):
                raise Found(node)
        return Plain.UNKNOWN

    def _value_boolop(self, node: ast.BoolOp, scope: Scope) -> Value:
        return join(self._values(node.values, scope))

    def _value_ifexp(self, node: ast.IfExp, scope: Scope) -> Value:
        self.value(node.test, scope)
        return join(self._values((node.body, node.orelse), scope))

    def _value_starred(self, node: ast.Starred, scope: Scope) -> Value:
        return self._items(node.value, scope)

    def _value_slice(self, node: ast.Slice, scope: Scope) -> Value:
        return container(self._values((node.lower, node.upper, node.step), scope))

    def _value_subscript(self, node: ast.Subscript, scope: Scope) -> Value:
        owner, index = self.value(node.value, scope), self.value(node.slice, scope)
        return join(self._item(option, index, node) for option in options(owner))

    def _item(self, owner: Value, index: Value, node: ast.expr) -> Value:
        if isinstance(owner, Foreign):
            if owner.path in TEXTS:
                return Plain.NEW
            return Plain.NEW if is_inert(owner) and is_inert(index) else Plain.UNKNOWN
        if isinstance(owner, Class):  # a generic type: its __class_getitem__ was run with the class
            return owner
        if not is_inert(index) and isinstance(owner, (Instance, Plain)):
            raise Found(node)
        return self._part(owner)

    def _part(self, owner: Value) -> Value:
        """The value of a part of an object."""
        return Plain.PART if is_inert(owner) and not isinstance(owner, Foreign) else Plain.UNKNOWN

    def _items(self, node: ast.expr, scope: Scope) -> Value:
        """The items of an iterable: exactly, if it is written out."""
        if isinstance(node, (ast.Tuple, ast.List)) and not any(isinstance(part, ast.Starred) for part in node.elts):
            values = self._values(node.elts, scope)
            return join(values) if values else Plain.NEW
        value = self.value(node, scope)
        if any(isinstance(option, Foreign) for option in options(value)):
            raise Found(node)  # reading a stream, for one
        return self._part(value)

    def _value_listcomp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, scope: Scope) -> Value:
        return container([self.value(node.elt, self._comprehension(node.generators, scope))])

    _value_setcomp = _value_generatorexp = _value_listcomp

    def _value_dictcomp(self, node: ast.DictComp, scope: Scope) -> Value:
        inner = self._comprehension(node.generators, scope)
        return container(self._values((node.key, node.value), inner))

    def _comprehension(self, generators: list[ast.comprehension], scope: Scope) -> Scope:
        inner = Scope(scope.enclosing(), Kind.COMPREHENSION)
        for index, generator in enumerate(generators):
            self.assign(generator.target, self._items(generator.iter, inner if index else scope), inner)
            self._values(generator.ifs, inner)
        return inner

    def _value_lambda(self, node: ast.Lambda, scope: Scope) -> Value:
        return Function(node, scope, self.defaults(node.args, scope))

    def _value_await(self, node: ast.Await, scope: Scope) -> Value:
        return self._part(self.value(node.value, scope))

    def _value_yield(self, node: ast.Yield, scope: Scope) -> Value:
        value = self.value(node.value, scope) if node.value else Plain.NEW
        if self._returned:
            self._returned[-1].append(container([value]))
        return Plain.UNKNOWN

    def _value_yieldfrom(self, node: ast.YieldFrom, scope: Scope) -> Value:
        items = self._items(node.value, scope)
        if self._returned:
            self._returned[-1].append(container([items]))
        return Plain.UNKNOWN

    # Template strings of Python 3.14.
    _value_templatestr = _value_joinedstr
    _value_interpolation = _value_formattedvalue

    # Attributes.

    def _value_attribute(self, node: ast.Attribute, scope: Scope) -> Value:
        owner = self.value(node.value, scope)
        return join(self._attribute(option, node.attr, node) for option in options(owner))

    def _attribute(self, owner: Value, name: str, node: ast.expr) -> Value:
        if isinstance(owner, Foreign):
            path = Foreign(f"{owner.path}.{name}")
            if path.path.startswith(STREAMS):
                raise Found(node)
            return constant(path)
        if isinstance(owner, Function) and name in ("setter", "getter", "deleter", "register"):
            return Plain.DECORATOR if name != "register" else Plain.UNKNOWN
        if isinstance(owner, Class):
            attribute = owner.find(name)
            if attribute is not None:
                return attribute
            return Plain.NEW if name in PLAIN_ATTRIBUTES or name == "__members__" else Plain.UNKNOWN
        if isinstance(owner, Instance):
            return self._attribute_of_instance(owner, name, node)
        if owner is Plain.TYPE and name == "__new__":
            return Plain.NEW
        if owner is Plain.UNKNOWN or not is_plain(name):
            return Plain.UNKNOWN
        return Plain.NEW if isinstance(owner, Function) else Plain.PART

    def _attribute_of_instance(self, owner: Instance, name: str, node: ast.expr) -> Value:
        attribute = owner.of.find(name)
        if isinstance(attribute, Function):
            return self.call(attribute.of(owner), [], {}, node) if attribute.wrapped else attribute.of(owner)
        if attribute is not None:
            return attribute
        if not is_plain(name):
            return Plain.UNKNOWN
        return Plain.UNKNOWN if any(not _is_data(base) for base in owner.of.foreign()) else Plain.PART

    def _run_descriptor(self, owner: Instance, name: str, node: ast.expr) -> None:
        """Run the function behind an attribute that is assigned, if it may be a property."""
        attribute = owner.of.find(name)
        if isinstance(attribute, Function) and attribute.wrapped:
            self.call(attribute.of(owner), [Plain.PART], {}, node)

    # Calls.

    def _value_call(self, node: ast.Call, scope: Scope) -> Value:
        owner: Value | None = None
        name = ""
        if isinstance(node.func, ast.Attribute):
            owner, name = self.value(node.func.value, scope), node.func.attr
        else:
            callee = self.value(node.func, scope)
        arguments = self._values(node.args, scope)
        keywords = {
            keyword.arg or f"**{index}": self._argument(keyword, scope) for index, keyword in enumerate(node.keywords)
        }
        if any(isinstance(part, ast.Starred) for part in node.args):  # any item may be any argument
            arguments = [join(arguments)] * _MAX_SPREAD
        literal = [part.value if isinstance(part, ast.Constant) else None for part in node.args]
        if owner is None:
            return self._call_named(callee, arguments, keywords, literal, node)
        return join(self._call_method(option, name, arguments, keywords, node) for option in options(owner))

    def _argument(self, keyword: ast.keyword, scope: Scope) -> Value:
        value = self.value(keyword.value, scope)
        return value if keyword.arg else self._part(value)

    def _call_named(
        self,
        callee: Value,
        arguments: list[Value],
        keywords: dict[str, Value],
        literal: Sequence[object],
        node: ast.Call,
    ) -> Value:
        """Call what a name stands for; ``getattr`` and ``type`` depend on their arguments."""
        path = callee.path if isinstance(callee, Foreign) else ""
        if path == "builtins.super":
            return Plain.PARENT
        if path == "builtins.type" and len(arguments) == 1:
            [value] = arguments
            return value.of if isinstance(value, Instance) else Plain.UNKNOWN
        if path == "builtins.type" and len(arguments) == 3:
            return container(arguments)
        if path == "builtins.getattr" and len(arguments) >= 2:
            name = literal[1]
            attribute: Value = Plain.UNKNOWN
            if isinstance(name, str):
                attribute = join(self._attribute(option, name, node) for option in options(arguments[0]))
            return join((attribute, *arguments[2:]))
        return self.call(callee, arguments, keywords, node)

    def _call_method(
        self, owner: Value, name: str, arguments: list[Value], keywords: dict[str, Value], node: ast.Call
    ) -> Value:
        given = [*arguments, *keywords.values()]
        if owner is Plain.PARENT:
            if name.startswith("__") and all(map(is_inert, given)):
                return Plain.NEW  # the special methods of the bases are run with those of the class
            raise Found(node)
        if isinstance(owner, Instance) and owner.of.find(name) is None:
            if not all(map(_is_data, owner.of.foreign())):
                raise Found(node)
            return self._call_built_in(name, arguments, keywords, node)
        if owner in (Plain.NEW, Plain.PART, Plain.TYPE):
            if owner is Plain.PART:
                self._count(len(self._classes), node)
                for made in self._classes.values():
                    self._run_special(made.find(name), made, node)
            return self._call_built_in(name, arguments, keywords, node)
        if owner is Plain.UNKNOWN and name in ("as_posix", "joinpath", "resolve", "with_name", "with_suffix"):
            return Plain.UNKNOWN
        if isinstance(owner, Class) and owner.find(name) is None and all(map(_is_data, owner.foreign())):
            return self._call_built_in(name, arguments, keywords, node)
        return self.call(self._attribute(owner, name, node), arguments, keywords, node)

    def _call_built_in(self, name: str, arguments: list[Value], keywords: dict[str, Value], node: ast.Call) -> Value:
        given = (*arguments, *keywords.values())
        if name not in METHODS or not all(map(is_inert, given)):
            raise Found(node)
        self._call_arguments("builtins.map" if name in CALLING_METHODS else "", arguments, keywords, node)
        return Plain.PART

    def call(self, callee: Value, arguments: list[Value], keywords: dict[str, Value], node: ast.AST) -> Value:
        return join([self._call(option, arguments, keywords, node) for option in options(callee)])

    def _call(self, callee: Value, arguments: list[Value], keywords: dict[str, Value], node: ast.AST) -> Value:
        if isinstance(callee, Foreign):
            return self._call_foreign(callee.path, arguments, keywords, node)
        if isinstance(callee, Function):
            return self._call_function(callee, arguments, keywords, node)
        if isinstance(callee, Class):
            return self._instantiate(callee, arguments, keywords, node)
        if isinstance(callee, Instance):
            return self._call(self._attribute(callee, "__call__", node), arguments, keywords, node)  # type: ignore[arg-type]  # an AST node
        if callee is Plain.DECORATOR:
            return self._wrapped(arguments[0]) if arguments else Plain.NEW
        if callee is Plain.TYPE:
            return container([*arguments, *keywords.values()])
        raise Found(node)

    def _call_foreign(self, path: str, arguments: list[Value], keywords: dict[str, Value], node: ast.AST) -> Value:
        result = CALLS.get(path)
        given = [*arguments, *keywords.values()]
        writes = not keywords.keys().isdisjoint(("filename", "handlers", "stream"))  # of logging.basicConfig
        if self.permits_settings and path in SETTINGS and all(map(is_inert, given)) and not writes:
            return Plain.NEW
        if result is None:
            raise Found(node)
        self._call_arguments(path, arguments, keywords, node)
        if result is Result.DECORATOR:
            alone = len(arguments) == 1 and not keywords and path != "functools.wraps"
            if alone and isinstance(arguments[0], (Function, Class, Instance)):
                return self._wrapped(arguments[0])
            return Plain.DECORATOR
        if result is Result.CALLEE:
            known = isinstance(arguments[0], (Function, Class, Foreign)) if arguments else False
            return arguments[0] if known and all(map(is_inert, given[1:])) else Plain.UNKNOWN
        if result is Result.VALUE:
            return Plain.NEW
        if result is Result.UNKNOWN or not all(map(is_inert, given)):
            return Plain.UNKNOWN
        return {Result.PART: Plain.PART, Result.TYPE: Plain.TYPE}.get(result, Plain.NEW)

    def _wrapped(self, value: Value) -> Value:
        return replace(value, wrapped=True) if isinstance(value, Function) else value

    def _call_arguments(self, path: str, arguments: list[Value], keywords: dict[str, Value], node: ast.AST) -> None:
        """Call the functions among the arguments of a function that calls them."""
        called = [value for name, value in keywords.items() if name in CALLED_KEYWORDS]
        called += [value for name, value in keywords.items() if name == "default" and path.startswith("json.")]
        called += arguments[:1] if path in FIRST_CALLED else arguments[1:2] if path in SECOND_CALLED else []
        for value in called:
            for option in options(value):
                if isinstance(option, (Function, Class)):
                    self._call(option, [Plain.PART] * 2, {}, node)
                elif isinstance(option, Foreign):
                    if option.path not in CALLS:
                        raise Found(node)
                elif option is not Plain.NEW:
                    raise Found(node)

    def _instantiate(self, made: Class, arguments: list[Value], keywords: dict[str, Value], node: ast.AST) -> Value:
        """Create an instance: the constructors run, and any other special method may run later."""
        for base in made.foreign():
            known = isinstance(base, Foreign) and base.path in CALLS
            if not known and base not in (Plain.NEW, Plain.TYPE):
                raise Found(node)
        instance = Instance(made)
        key = ("instance", made, *arguments, *sorted(keywords))
        if key in self._active:
            return instance
        self._active.add(key)
        for name in made.attributes():
            if not (name.startswith("__") and name.endswith("__")) or name in CLASS_HOOKS:
                continue
            attribute = made.find(name)
            if name in _CONSTRUCTORS and isinstance(attribute, Function):
                self._call_function(attribute.of(instance), arguments, keywords, node)
            else:
                self._run_special(attribute, instance, node)
        self._active.discard(key)
        return instance

    def _run_special(self, method: Value | None, owner: Value, node: ast.AST) -> None:
        """Run a method that Python calls by itself, with arguments that are unknown but the file's own."""
        for option in options(method) if method is not None else ():
            if isinstance(option, Function):
                self._conditional += 1
                self._call_function(option.of(owner), [Plain.PART] * 8, {}, node)
                self._conditional -= 1
            elif isinstance(option, Foreign):
                if option.path not in CALLS and not option.path.startswith(INERT_PREFIXES):
                    raise Found(node)
            elif option in (Plain.PART, Plain.UNKNOWN) or isinstance(option, Instance):
                raise Found(node)

    def defaults(self, arguments: ast.arguments, scope: Scope) -> tuple[Value | None, ...]:
        """The values of the defaults: those of the positional parameters, then those of the others."""
        without = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
        nodes = (*([None] * without), *arguments.defaults, *arguments.kw_defaults)
        return tuple(None if node is None else self.value(node, scope) for node in nodes)

    def _count(self, steps: int, node: ast.AST) -> None:
        self._steps += steps
        if self._steps > _MAX_STEPS:
            raise Found(node)

    def _call_function(
        self, function: Function, arguments: list[Value], keywords: dict[str, Value], node: ast.AST
    ) -> Value:
        """Run a function of the file with these arguments; its result is known if it was run with them before."""
        if function.owner is not None:
            arguments = [function.owner, *arguments]
        self._count(1, node)
        key = (function.node, function.scope, *arguments, *sorted(keywords.items(), key=lambda item: item[0]))
        version, known = self._results.get(key, (-1, None))
        if known is not None and version == self._version:
            return known
        if key in self._active:
            return Plain.UNKNOWN
        self._calls += 1
        if self._calls > _MAX_CALLS or self._depth >= _MAX_DEPTH:
            raise Found(node)
        self._active.add(key)
        self._depth += 1
        result = self._run_function(function, arguments, keywords)
        self._depth -= 1
        self._active.discard(key)
        self._results[key] = (self._version, result)
        return result

    def _run_function(self, function: Function, arguments: list[Value], keywords: dict[str, Value]) -> Value:
        scope = Scope(function.scope.enclosing(), Kind.FUNCTION, self._parameters(function, arguments, keywords))
        if isinstance(function.node, ast.Lambda):
            return self.value(function.node.body, scope)
        conditional, self._conditional = self._conditional, 0
        self._returned.append([])
        self.run(function.node.body, scope)
        self._conditional = conditional
        returned = self._returned.pop()
        return join(returned) if returned else Plain.NEW

    def _parameters(self, function: Function, arguments: list[Value], keywords: dict[str, Value]) -> dict[str, Value]:
        """The values of the parameters; those that are not given have their defaults."""
        spec = function.node.args
        positional = [*spec.posonlyargs, *spec.args]
        names = [parameter.arg for parameter in (*positional, *spec.kwonlyargs)]
        defaults = function.defaults or (None,) * len(names)
        values: dict[str, Value] = {
            name: Plain.PART if default is None else default for name, default in zip(names, defaults, strict=True)
        }
        if function.wrapped and arguments:  # a decorator may bind the first argument, or not
            arguments = [join(arguments)] * max(len(positional), len(arguments))
        values |= {parameter.arg: value for parameter, value in zip(positional, arguments, strict=False)}
        values |= {name: value for name, value in keywords.items() if name in names}
        spread = [value for name, value in keywords.items() if name.startswith("**")]
        if spread:
            values |= {name: join((values[name], *spread)) for name in names if name not in keywords}
        if spec.vararg:
            values[spec.vararg.arg] = container(arguments[len(positional) :])
        if spec.kwarg:
            values[spec.kwarg.arg] = container(value for name, value in keywords.items() if name not in names)
        return values

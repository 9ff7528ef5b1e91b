"""The rules of the policies: each yields what it refuses in the syntax tree of a file.

A rule sees the whole file, also what only runs when a class or a function is defined: decorators, annotations, default
values and the branches of a guard.
"""

import ast
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from lrgen.records import Policy
from lrgen.verify.static import allowed
from lrgen.verify.static.names import Names

_WORD = re.compile(r"[A-Za-z_]\w*")
_SHOWN = 60
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Refusal:
    """A part of a file that a policy refuses."""

    rule: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.reason} (line {self.line}, rule {self.rule})"


class Text:
    """The syntax tree of a file, prepared for the rules."""

    def __init__(self, tree: ast.Module, policy: Policy) -> None:
        self.tree = tree
        self.strict = policy is Policy.STRICT
        self.names = Names(tree)
        self.parents: dict[ast.AST, ast.AST] = {}
        self.kinds: dict[type[ast.AST], list[ast.AST]] = {ast.Module: [tree]}
        pending: list[ast.AST] = [tree]
        while pending:
            node = pending.pop()
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
                self.kinds.setdefault(type(child), []).append(child)
                pending.append(child)
        documented = self.select(ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        first = [node.body[0] for node in documented if node.body]
        self._docstrings = {id(statement.value) for statement in first if isinstance(statement, ast.Expr)}

    def select(self, *kinds: type[ast.AST]) -> list[Any]:
        """The nodes of these kinds."""
        return [node for kind in kinds for node in self.kinds.get(kind, ())]

    def chains(self) -> Iterator[tuple[ast.expr, str]]:
        """Each longest chain of attributes that means an object from elsewhere, with the path of the object."""
        for node in self.select(ast.Name, ast.Attribute):
            if not isinstance(self.parents.get(node), ast.Attribute):
                for path in sorted(self.names.paths(node)):
                    yield node, path

    def texts(self) -> Iterator[tuple[str, int]]:
        """The literal texts that are no docstrings, also those that are put together, with their lines."""
        for node in self.select(ast.Constant, ast.BinOp, ast.JoinedStr, ast.Call):
            value = _folded(node)
            if value is not None and id(node) not in self._docstrings:
                yield value, node.lineno

    def is_self(self, node: ast.AST) -> bool:
        """Whether a name is the first parameter of a method."""
        return self.class_of(node) is not None

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """The class of the method whose first parameter a name is; None for any other expression."""
        function = self.names.function_of(node)
        owner = self.parents.get(function) if isinstance(function, _FUNCTIONS) else None
        if not isinstance(function, _FUNCTIONS) or not isinstance(owner, ast.ClassDef):
            return None
        parameters = [*function.args.posonlyargs, *function.args.args]
        is_first = bool(parameters) and isinstance(node, ast.Name) and parameters[0].arg == node.id
        return owner if is_first else None


Rule: TypeAlias = Callable[[Text], Iterator[Refusal]]


def _shown(node: ast.AST) -> str:
    """An expression as a reason shows it."""
    try:
        return ast.unparse(node)[:_SHOWN]
    except ValueError:  # an integer of more digits than Python converts
        return type(node).__name__


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


def _folded(node: ast.AST | None) -> str | None:
    """The text of a literal, of a sum of literals and of an f-string of literals; None if it is not known."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    parts: list[str | None] = []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [_folded(node.left), _folded(node.right)]
    elif isinstance(node, ast.JoinedStr):
        parts = [_folded(part) for part in node.values]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join":
        separator = _folded(node.func.value)
        items = node.args[0].elts if node.args and isinstance(node.args[0], (ast.List, ast.Tuple)) else []
        folded = [_folded(item) for item in items]
        parts = [None if separator is None or None in folded else separator.join(filter(None, folded))] if items else []
    elif isinstance(node, ast.FormattedValue) and node.format_spec is None and node.conversion == -1:
        parts = [_folded(node.value)]
    return None if not parts or None in parts else "".join(filter(None, parts))


def _root(path: str) -> str:
    return path.split(".")[0]


# What strict permits.


def _is_module(path: str) -> bool:
    return path in allowed.STRICT_MODULES or any(name.startswith(f"{path}.") for name in allowed.STRICT_MODULES)


def _is_permitted(path: str) -> bool:
    """Whether strict lets a file use an object: it is one of the listed ones, or an attribute of one."""
    names = path.split(".")
    for length in range(len(names) - 1, 0, -1):
        module = ".".join(names[:length])
        if module in allowed.STRICT_MODULES:
            name = names[length]
            own = f"{module}.{name}" in allowed.STRICT_MODULES
            hidden = name in allowed.PARTS_OF_MODULES or (
                name in sys.stdlib_module_names and name not in allowed.STRICT_MODULES[module]
            )
            listed = any(fnmatchcase(name, pattern) for pattern in allowed.STRICT_MODULES[module])
            return own or (listed and not hidden and not name.startswith("_"))
    return False


def syntax(text: Text) -> Iterator[Refusal]:
    """Strict: only statements and expressions that a training file needs."""
    for kind in text.kinds:
        if text.strict and not issubclass(kind, allowed.STRICT_NODES):
            for node in text.kinds[kind]:
                line = _line(node) or _line(text.parents.get(node, node))
                yield Refusal("syntax", line, f"a training file needs no {kind.__name__}")


def imports(text: Text) -> Iterator[Refusal]:
    """Strict: listed modules, imported at the top. Lemur: no module that reaches the machine or the interpreter."""
    for node in text.select(ast.Import, ast.ImportFrom):
        line = node.lineno
        if text.strict and not isinstance(text.parents[node], ast.Module):
            yield Refusal("import", line, "modules are imported at the top of the file")
        if isinstance(node, ast.Import):
            paths = [alias.name for alias in node.names]
        else:
            paths = [f"{node.module or ''}.{alias.name}" for alias in node.names]
        for path in paths:
            if text.strict:
                if path.endswith(".*"):
                    yield Refusal("import", line, f"{path[:-2]} is imported with *: its names must be written out")
                elif not (_is_module(path) or _is_permitted(path)):
                    yield Refusal("import", line, f"{path} is not among the modules and names that may be imported")
            else:
                yield from _denied_by_lemur(path, line)


def objects(text: Text) -> Iterator[Refusal]:
    """The imported objects that are used, under whatever name."""
    for node, path in text.chains():
        if _root(path) == "builtins":
            continue
        if not text.strict:
            yield from _denied_by_lemur(path, node.lineno)
        elif path in allowed.STRICT_MODULES or (_is_module(path) and not _is_permitted(path)):
            yield Refusal("module", node.lineno, f"the module {path} may only stand before a dot, not be passed on")
        elif not _is_permitted(path):
            yield Refusal("object", node.lineno, f"{path} is not among the objects that may be used")


def _denied_by_lemur(path: str, line: int) -> Iterator[Refusal]:
    root, *names = path.split(".")
    if root in ("torch", "torchvision"):
        if path.startswith(allowed.LEMUR_DENIED_TORCH):
            yield Refusal("object", line, f"no training file needs {path}, which changes how other code runs")
        names = [name for name in names if name not in allowed.TORCH_NAMES]
    elif root in sys.stdlib_module_names:
        patterns = allowed.LEMUR_PARTS.get(root)
        part = patterns is None or path == root or any(fnmatchcase(path, pattern) for pattern in patterns)
        if root not in allowed.LEMUR_MODULES or path in allowed.LEMUR_DENIED_OBJECTS or patterns == () or not part:
            yield Refusal("object", line, f"no training file needs {path}")
            return
    else:
        return
    hidden = [name for name in names if name in allowed.HIDDEN_MODULES]
    if hidden:
        yield Refusal("object", line, f"{path} leads to the module {hidden[0]}, which no training file needs")


def built_ins(text: Text) -> Iterator[Refusal]:
    """Functions of Python that run text as code, open files, or reach the names of other code."""
    only_called = allowed.ONLY_CALLED | (allowed.STRICT_ONLY_CALLED if text.strict else frozenset())
    for node in text.select(ast.Name):
        called = isinstance(text.parents.get(node), ast.Call) and text.parents[node].func is node  # type: ignore[attr-defined]  # a call
        for path in text.names.paths(node):
            root, _, name = path.partition(".")
            if root != "builtins" or "." in name:
                continue
            denied = name in allowed.LEMUR_DENIED_BUILTINS and (called or text.names.is_unbound(node))
            if denied or (text.strict and name not in allowed.STRICT_BUILTINS):
                yield Refusal("builtin", node.lineno, f"no training file needs the built-in {name}")
            elif name in only_called and not called and not _is_type_hint(node, name, text):
                yield Refusal("builtin", node.lineno, f"the built-in {name} may be called, not passed on")
        if text.strict and isinstance(node.ctx, ast.Store) and node.id.startswith("__") and node.id != "__all__":
            yield Refusal("builtin", node.lineno, f"{node.id} has a meaning for Python and may not be assigned")


def _is_type_hint(node: ast.Name, name: str, text: Text) -> bool:
    """Whether ``type`` stands in an annotation, in a comparison or as a base: rule ``subclass`` judges bases."""
    parent = text.parents.get(node)
    return name == "type" and isinstance(
        parent, (ast.arg, ast.AnnAssign, ast.Subscript, ast.BinOp, ast.Compare, ast.ClassDef, *_FUNCTIONS)
    )


def attributes(text: Text) -> Iterator[Refusal]:
    """Attributes that lead past the interface of an object: private ones, frames, classes of classes, memory."""
    for node in text.select(ast.Attribute, ast.MatchClass):
        for name in [node.attr] if isinstance(node, ast.Attribute) else node.kwd_attrs:
            if name in allowed.DENIED_ATTRIBUTES:
                yield Refusal("attribute", _line(node), f"{name} leads to frames or to the names of other code")
            elif text.strict and name in allowed.STRICT_DENIED_ATTRIBUTES:
                yield Refusal("attribute", _line(node), f"{name} reaches memory or files past the interface of tensors")
            elif not text.strict and name in allowed.LEMUR_DENIED_ATTRIBUTES:
                yield Refusal("attribute", _line(node), f"{name} reaches files, which no training file needs")
            elif text.strict and name.startswith("_") and not (_is_usual(node, name) or _is_own(node, name, text)):
                yield Refusal("attribute", _line(node), f"{name} is private: only the usual methods may be used")
    for value, line in text.texts():
        hidden = next((word for word in _WORD.findall(value) if word in allowed.DENIED_ATTRIBUTES), None)
        if hidden:
            yield Refusal("attribute", line, f"the text {hidden} is the name of a way to other code")


def _is_usual(node: ast.AST, name: str) -> bool:
    if name == "__init__" and isinstance(node, ast.Attribute):
        owner = node.value
        return isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "super"
    return name in allowed.STRICT_ATTRIBUTES


def _is_own(node: ast.AST, name: str, text: Text) -> bool:
    """Whether a name is private to a plain class or a scheduler that defines it, and that is no name of its base."""
    if name.startswith("__") or name in allowed.PRIVATE_OF_OWNERS or not isinstance(node, ast.Attribute):
        return False
    owner = text.class_of(node.value)
    if owner is None or not all(
        text.names.paths(base) <= allowed.OWNERS and text.names.paths(base) for base in owner.bases
    ):
        return False
    assigned = {
        part.attr
        for part in ast.walk(owner)
        if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store) and text.class_of(part.value) is owner
    }
    return name in assigned or name in {defined for defined, _ in _defined(owner)}


def special_methods(text: Text) -> Iterator[Refusal]:
    """Special methods with which a class changes what other code sees of it."""
    for node in text.select(ast.ClassDef):
        for name, line in _defined(node):
            special = name.startswith("__") and name.endswith("__")
            denied = name in allowed.DENIED_SPECIAL_METHODS
            if denied or (text.strict and special and name not in (*allowed.STRICT_METHODS, "__slots__")):
                yield Refusal("special-method", line, f"no training file needs a class that defines {name}")
    for function in text.select(*_FUNCTIONS) if text.strict else ():
        if function.name.startswith("__") and not isinstance(text.parents.get(function), ast.ClassDef):
            yield Refusal("special-method", function.lineno, f"{function.name} has a meaning for Python by itself")


def _defined(node: ast.ClassDef) -> Iterator[tuple[str, int]]:
    """The names that the body of a class binds, with their lines."""
    pending: list[ast.AST] = list(node.body)
    while pending:
        part = pending.pop()
        if isinstance(part, (*_FUNCTIONS, ast.ClassDef)):
            yield part.name, part.lineno
            continue
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id, part.lineno
        if isinstance(part, ast.alias):
            yield part.asname or part.name, part.lineno
        if not isinstance(part, ast.Lambda):
            pending += ast.iter_child_nodes(part)


def hooks(text: Text) -> Iterator[Refusal]:
    """Functions that torch or Python calls behind the back of the code that one reads."""
    named = [(node.attr, node.lineno) for node in text.select(ast.Attribute)]
    named += [(node.id, node.lineno) for node in text.select(ast.Name)]
    named += [(alias.name, node.lineno) for node in text.select(ast.ImportFrom) for alias in node.names]
    named += [(node.name, node.lineno) for node in text.select(*_FUNCTIONS) if node.name.startswith("register_")]
    for name, line in named:
        if _is_hook(name, text.strict):
            yield Refusal("hook", line, f"{name} registers or runs code that is called behind other code")
    for value, line in text.texts():
        if value.isidentifier() and _is_hook(value, text.strict):
            yield Refusal("hook", line, f"the text {value} is the name of a hook")


def _is_hook(name: str, strict: bool) -> bool:
    if name in allowed.PRIVATE_HOOKS or (name.startswith("_") and name.endswith(("_hook", "_hooks"))):
        return True
    if not name.startswith("register_") or name in allowed.REGISTRATIONS:
        return "hook" in name and strict
    if strict:
        return True
    return name.endswith("_hook") and name.startswith(
        ("register_step", "register_optimizer", "register_module_", "register_state_dict", "register_load_state_dict")
    )


def subclasses(text: Text) -> Iterator[Refusal]:
    """Classes that look like numbers, containers or tensors and behave otherwise; metaclasses."""
    for node in text.select(ast.ClassDef):
        yield from _refused_bases(node, text)
    for call in text.select(ast.Call):
        if len(call.args) > 1 and "builtins.type" in text.names.paths(call.func):
            yield Refusal("subclass", call.lineno, "a class is written with class, not made with type")


def _refused_bases(node: ast.ClassDef, text: Text) -> Iterator[Refusal]:
    paths = {path for base in node.bases for path in text.names.paths(_without_arguments(base))}
    is_enum = any(path.startswith("enum.") for path in paths)
    for path in sorted(paths & (allowed.TENSORS | (frozenset() if is_enum else allowed.NUMBERS))):
        yield Refusal("subclass", node.lineno, f"class {node.name} is a subclass of {path.removeprefix('builtins.')}")
    if "builtins.type" in paths:
        yield Refusal("subclass", node.lineno, f"class {node.name} is a metaclass")
    containers = sorted(paths & allowed.CONTAINERS)
    looked_up = sorted(allowed.LOOKUPS & {name for name, _ in _defined(node)})
    if containers and (looked_up or text.strict) and not is_enum:
        lookup = f" and defines {looked_up[0]}" if looked_up else ""
        name = containers[0].removeprefix("builtins.")
        yield Refusal("subclass", node.lineno, f"class {node.name} is a subclass of {name}{lookup}")
    for keyword in node.keywords:
        metaclass = text.names.paths(keyword.value)
        if keyword.arg in ("metaclass", None) and not (metaclass and metaclass <= allowed.METACLASSES):
            yield Refusal("subclass", node.lineno, f"class {node.name} has a metaclass")
        elif text.strict and keyword.arg != "total":
            yield Refusal("subclass", node.lineno, f"class {node.name} has the argument {keyword.arg}")
    for base in node.bases:
        named = _without_arguments(base)
        if isinstance(named, ast.Call) and "builtins.type" in text.names.paths(named.func):
            yield Refusal("subclass", node.lineno, f"class {node.name} has a computed base")
        elif text.strict and not text.names.is_own(named, (ast.ClassDef,)):
            meanings = text.names.paths(named)
            if not meanings or not all(map(_is_base, meanings)):
                name = _shown(base)
                yield Refusal("subclass", node.lineno, f"{name} is not among the classes that may be a base")


def _without_arguments(base: ast.expr) -> ast.expr:
    """``Generic`` of ``Generic[T]``."""
    return base.value if isinstance(base, ast.Subscript) else base


def _is_base(path: str) -> bool:
    listed = path in allowed.STRICT_BASES or path.startswith(allowed.STRICT_BASE_MODULES)
    return listed and path not in allowed.TENSORS


def assignments(text: Text) -> Iterator[Refusal]:
    """Assignments to attributes of modules and classes that the file did not define."""
    for target in text.select(ast.Attribute):
        if not isinstance(target.ctx, ast.Load):
            yield from _refused_target(target.value, target.attr, target.lineno, text)
    for node in text.select(ast.Call):
        paths = text.names.paths(node.func)
        if paths & {"builtins.setattr", "builtins.delattr"} and len(node.args) >= 2:
            yield from _refused_setattr(node, text)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in ("__setattr__", "__delattr__"):
            changed = node.args[0] if len(node.args) > 1 else node.func.value
            if "builtins.type.__setattr__" in paths or text.names.paths(changed) - {"builtins.object"}:
                name = _shown(changed)
                yield Refusal("assignment", node.lineno, f"{name}, which the file did not define, is changed")


def _refused_setattr(node: ast.Call, text: Text) -> Iterator[Refusal]:
    name = _folded(node.args[1])
    if text.strict and not isinstance(node.args[1], ast.Constant):
        yield Refusal("dynamic-name", node.lineno, "setattr and delattr need a literal name")
    yield from _refused_target(node.args[0], name or "", node.lineno, text)
    if name in allowed.DENIED_ATTRIBUTES or (text.strict and (name or "").startswith("_")):
        yield Refusal("attribute", node.lineno, f"{name} is private: only the usual methods may be used")


def _refused_target(owner: ast.expr, name: str, line: int, text: Text) -> Iterator[Refusal]:
    changed = _shown(owner)
    foreign = sorted(text.names.paths(owner))
    if any(text.strict or not path.startswith(allowed.LEMUR_TARGETS) for path in foreign):
        yield Refusal("assignment", line, f"{changed}, which the file did not define, is changed: {name} is assigned")
        return
    if name == "__class__":
        yield Refusal("assignment", line, f"the class of {changed} is replaced")
        return
    class_of = _class_of(owner, text)
    if class_of is not None and (text.strict or not text.is_self(class_of)):
        yield Refusal("assignment", line, f"{changed}, the class of an object, is changed: {name} is assigned")
        return
    protected = allowed.PROTECTED if text.strict else allowed.LEMUR_PROTECTED
    own = text.is_self(owner) or text.names.is_own(owner, (ast.ClassDef,))
    if name in protected and (text.strict or not own):
        yield Refusal("assignment", line, f"the method {name} of {changed} is replaced")
    elif text.strict and not own:
        if name not in allowed.STRICT_TARGETS:
            yield Refusal("assignment", line, f"{name} of {changed} may not be assigned: only data of a module may be")
        elif not isinstance(owner, (ast.Name, ast.Attribute, ast.Subscript)):
            yield Refusal("assignment", line, f"{changed} is computed, and its attribute {name} is assigned")


def _class_of(owner: ast.expr, text: Text) -> ast.AST | None:
    """The object whose class an expression yields: ``x`` of ``type(x)`` and of ``x.__class__``."""
    if isinstance(owner, ast.Call) and "builtins.type" in text.names.paths(owner.func) and owner.args:
        return owner.args[0]
    if isinstance(owner, ast.Attribute) and owner.attr == "__class__":
        return owner.value
    return None


def dynamic_names(text: Text) -> Iterator[Refusal]:
    """Attributes that are named while the file runs, and namespaces that are changed as dictionaries."""
    for node in text.select(ast.Call):
        paths = text.names.paths(node.func)
        if paths & {"builtins.getattr", "builtins.hasattr", "builtins.setattr", "builtins.delattr"}:
            if len(node.args) < 2 or any(isinstance(part, ast.Starred) for part in node.args):
                yield Refusal("dynamic-name", node.lineno, f"{_shown(node)} does not show which attribute it names")
            elif paths & {"builtins.getattr", "builtins.hasattr"}:
                yield from _refused_getattr(node, text)
        elif "builtins.vars" in paths and node.args:
            yield from _refused_namespace(node, node.args[0], text)
    for node in text.select(ast.Attribute):
        if node.attr == "__dict__":
            yield from _refused_namespace(node, node.value, text)


def _refused_namespace(namespace: ast.expr, owner: ast.expr, text: Text) -> Iterator[Refusal]:
    foreign = bool(text.names.paths(owner)) or _is_changed(namespace, text)
    if foreign and not text.is_self(owner):
        yield Refusal("dynamic-name", _line(namespace), f"{_shown(namespace)} holds the names of another object")


def _is_changed(namespace: ast.AST, text: Text) -> bool:
    """Whether a dictionary is changed where it stands: by an item or by a method."""
    parent = text.parents.get(namespace)
    if isinstance(parent, ast.Subscript):
        return not isinstance(parent.ctx, ast.Load)
    return isinstance(parent, ast.Attribute) and parent.attr in ("clear", "pop", "popitem", "setdefault", "update")


def _refused_getattr(node: ast.Call, text: Text) -> Iterator[Refusal]:
    name = _folded(node.args[1])
    owners = text.names.paths(node.args[0])
    if name is None:
        reachable = any(path in ("torch", "torchvision") or _root(path) in sys.stdlib_module_names for path in owners)
        if text.strict or reachable:
            yield Refusal("dynamic-name", node.lineno, f"{_shown(node)} needs a literal name")
    elif name in allowed.DENIED_ATTRIBUTES or (text.strict and name.startswith("_")):
        yield Refusal("attribute", node.lineno, f"{name} is private or leads to other code")
    elif not text.strict:
        for path in sorted(owners):
            yield from _denied_by_lemur(f"{path}.{name}", node.lineno)


def decorators(text: Text) -> Iterator[Refusal]:
    """Strict: a decorator is a listed one or a function of the file, because it runs when the file is imported."""
    for node in text.select(*_FUNCTIONS, ast.ClassDef) if text.strict else ():
        for decorator in node.decorator_list:
            callee = decorator.func if isinstance(decorator, ast.Call) else decorator
            paths = text.names.paths(callee)
            setter = isinstance(callee, ast.Attribute) and callee.attr in ("setter", "deleter") and not paths
            own = text.names.is_own(callee, (ast.FunctionDef,))
            if not (own or setter or (paths and paths <= allowed.STRICT_DECORATORS)):
                name = _shown(callee)
                yield Refusal("decorator", decorator.lineno, f"{name} is not among the decorators that may be used")


def annotations(text: Text) -> Iterator[Refusal]:
    """Strict: an annotation names types and computes nothing, because it runs when the file is imported."""
    written = [node.annotation for node in text.select(ast.arg, ast.AnnAssign)]
    written += [node.returns for node in text.select(*_FUNCTIONS)]
    for annotation in filter(None, written) if text.strict else ():
        if not all(isinstance(part, allowed.ANNOTATION_NODES) for part in ast.walk(annotation)):
            yield Refusal("annotation", annotation.lineno, f"the annotation {_shown(annotation)} is no type")


RULES: tuple[Rule, ...] = (
    syntax,
    imports,
    objects,
    built_ins,
    attributes,
    special_methods,
    hooks,
    subclasses,
    assignments,
    dynamic_names,
    decorators,
    annotations,
)


def refusals(tree: ast.Module, policy: Policy) -> list[Refusal]:
    """The refusals of a policy in a file, in the order of the lines.

    Raises:
        RecursionError: if the file is nested too deeply.
    """
    text = Text(tree, policy)
    distinct = dict.fromkeys(refusal for rule in RULES for refusal in rule(text))
    return sorted(distinct, key=lambda refusal: refusal.line)


def reason_for(source: str, policy: Policy) -> str:
    """The first refusal of a policy with its line and its rule; empty if the policy accepts the source."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        refused = refusals(tree, policy)
    except (RecursionError, MemoryError):
        return "the file is nested too deeply to be checked"
    except (SyntaxError, ValueError) as error:  # the syntax check reports it first
        return f"the file is not valid Python: {error}"
    if not refused:
        return ""
    others = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
    return f"the policy {policy} refuses this file: {refused[0]}{others}"

"""The names that the parts of a rendered file define and use."""

import ast
import builtins
import functools
from collections.abc import Iterator
from dataclasses import dataclass

from lrgen.records import Part

# Attributes of ``self`` that networks set and training methods read.
OF_NETWORK = frozenset({"device"})


@dataclass(frozen=True)
class Names:
    """The names of a part.

    ``defined`` and ``used`` are names at module level; ``set`` and ``read`` are attributes of ``self`` in ``Net``,
    where methods count as set; ``prm`` are the hyperparameters that are read.
    """

    imported: dict[str, str]
    defined: frozenset[str]
    used: frozenset[str]
    set: frozenset[str]
    read: frozenset[str]
    prm: frozenset[str]


@functools.lru_cache(1024)
def _tree_of(part: Part, methods: bool) -> ast.Module:
    return ast.parse(f"{part.classes}\n\nclass Net:\n{part.code}" if methods else part.code)


@functools.lru_cache(1024)
def names_of(part: Part, methods: bool = False) -> Names:
    """The names of a part; its code are ``methods`` of Net, or statements of a module."""
    tree = _tree_of(part, methods)
    defined: set[str] = set()
    assigned: set[str] = set()
    read: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
            defined.add(statement.name)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            defined |= {node.id for node in ast.walk(statement) if _is_stored(node) and isinstance(node, ast.Name)}
        if isinstance(statement, ast.ClassDef) and statement.name == "Net":
            assigned, read = _attributes(statement)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not _is_stored(node)}
    used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & {"globals", "modules"}
    return Names(
        imported={name: origin for statement in part.imports for name, origin in _bound(statement)},
        defined=frozenset(defined) - ({"Net"} if methods else frozenset()),
        used=frozenset(used),
        set=frozenset(assigned),
        read=frozenset(read),
        prm=frozenset(_hyperparameters(tree)),
    )


@functools.lru_cache(1024)
def outputs_of(training: Part) -> int:
    """The number of tensors that training methods expect of ``self(images)``."""
    for node in ast.walk(_tree_of(training, methods=True)):
        if isinstance(node, ast.Assign) and _calls_self(node.value) and isinstance(node.targets[0], ast.Tuple):
            return len(node.targets[0].elts)
    return 1


@functools.lru_cache(1024)
def no_decay_of(training: Part) -> tuple[str, ...]:
    """The ends of names of parameters without weight decay, which training methods name."""
    for node in ast.walk(_tree_of(training, methods=True)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "endswith":
            ends = ast.literal_eval(node.args[0])
            return (ends,) if isinstance(ends, str) else tuple(ends)
    return ()


@functools.lru_cache(1024)
def layers_of(training: Part) -> dict[str, bool]:
    """The modules that layer-wise training methods list from the input to the output; whether a layer is each member.

    Empty for methods that are not layer-wise.
    """
    for node in ast.walk(_tree_of(training, methods=True)):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.List)
            and ast.unparse(node.targets[0]) == "layers"
        ):
            members = {id(item.value) for item in ast.walk(node) if isinstance(item, ast.Starred)}
            listed = [item for item in ast.walk(node) if isinstance(item, ast.Attribute) and _is_self(item.value)]
            listed.sort(key=lambda item: (item.lineno, item.col_offset))
            return {item.attr: id(item) in members for item in listed}
    return {}


BUILTINS = frozenset(dir(builtins))


def _attributes(net: ast.ClassDef) -> tuple[set[str], set[str]]:
    """The attributes of ``self`` that a class sets, with its methods, and those that it reads."""
    assigned = {node.name for node in net.body if isinstance(node, ast.FunctionDef)}
    read: set[str] = set()
    for statement in net.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)):
            assigned |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and _is_stored(node)}
    for node in ast.walk(net):
        if isinstance(node, ast.Attribute) and _is_self(node.value):
            (assigned if _is_stored(node) else read).add(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("setattr", "getattr"):
            assigned.add("*")  # any attribute
    return assigned, read


def _is_stored(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))


def _calls_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _is_self(node.func)


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _bound(statement: str) -> Iterator[tuple[str, str]]:
    """The names that an import statement binds, each with what it is bound to."""
    [node] = ast.parse(statement).body
    assert isinstance(node, (ast.Import, ast.ImportFrom))
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"
        else:
            yield (
                alias.asname or alias.name.partition(".")[0],
                alias.name if alias.asname else alias.name.partition(".")[0],
            )


def _hyperparameters(tree: ast.Module) -> set[str]:
    """The keys of ``prm`` that are read; ``*`` if it goes elsewhere than to ``make_scheduler`` and ``self.prm``."""
    keys, known = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and _is_prm(node.value):
            keys.add(str(node.slice.value))
            known.add(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_prm(node.func.value):
            keys.add(str(node.args[0].value) if isinstance(node.args[0], ast.Constant) else "*")
            known.add(node.func.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "make_scheduler":
            known |= {argument for argument in node.args if _is_prm(argument)}
        elif isinstance(node, ast.Assign) and _is_prm(node.value):
            known |= {node.value, *(target for target in node.targets if _is_prm(target))}
    others = (node for node in ast.walk(tree) if isinstance(node, ast.expr) and _is_prm(node) and node not in known)
    return keys | {"*" for _ in others}


def _is_prm(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name == "prm"

"""Whether code has the form of a style, which is read from its syntax alone."""

import ast

from lrgen.realisations.realisation import Call, Style

_OTHER_SCHEDULERS = frozenset({"ChainedScheduler", "CosineAnnealingWarmRestarts", "ReduceLROnPlateau"})
_OF_FUNCTIONS = frozenset({"LambdaLR", "MultiplicativeLR"})
_BASES = frozenset({"LRScheduler", "_LRScheduler"})
_ENTRIES = 2  # of a table, at least


def departure(code: str, style: Style, call: Call) -> str:
    """Return how code that is called as ``call`` departs from a style that was asked for; empty when it has its form.

    Only what every request for the style says is required. Code that cannot be parsed has no form to depart from.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return ""
    nodes = list(ast.walk(tree))
    imports = [alias for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names]
    names = {alias.asname or alias.name: alias.name for alias in imports}
    called = {names.get(name, name) for node in nodes if isinstance(node, ast.Call) for name in [_last(node.func)]}
    bases = {_last(base) for node in nodes if isinstance(node, ast.ClassDef) for base in node.bases}
    own_class = any(_is_scheduler(names.get(name, name)) for name in bases)
    match style:
        case Style.LAMBDA | Style.TRANSFORMERS if own_class or (call is Call.SCHEDULER and "LambdaLR" not in called):
            return "a callable for LambdaLR was asked for"
        case Style.SEQUENTIAL if own_class or not any(map(_is_scheduler, called - _OF_FUNCTIONS)):
            return "PyTorch's own schedulers were asked for"
        case Style.SUBCLASS if not own_class or called & _OF_FUNCTIONS:
            return "a subclass of LRScheduler was asked for"
        case Style.FUNCTION | Style.LOOP if own_class or any(map(_is_scheduler, called)):
            return "code without a scheduler of PyTorch was asked for"
        case Style.TABLE if not any(map(_is_table, nodes)):
            return "a table of steps and levels was asked for"
        case Style.LIGHTNING if not any(_is_configuring(node) for node in nodes):
            return "the configure_optimizers of a LightningModule was asked for"
    return ""


def _last(node: ast.expr) -> str:
    """The last name of a dotted name; empty for other expressions."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_scheduler(name: str) -> bool:
    """Return whether a name is that of a scheduler class of PyTorch."""
    return name in _BASES or name in _OTHER_SCHEDULERS or (name.endswith("LR") and name[:1].isupper())


def _is_table(node: ast.AST) -> bool:
    """Return whether a node is a list, tuple or dict with several entries, some of which are numbers or entries."""
    match node:
        case ast.List(elts=entries, ctx=ast.Load()) | ast.Tuple(elts=entries, ctx=ast.Load()):
            pass
        case ast.Dict(values=entries):
            pass
        case _:
            return False
    return len(entries) >= _ENTRIES and any(isinstance(entry, ast.Constant | ast.Tuple | ast.List) for entry in entries)


def _is_configuring(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "configure_optimizers"

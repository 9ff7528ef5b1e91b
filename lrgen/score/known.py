"""Answers that leave everything but the schedule as the catalogue renders it.

Such a file is executed by its parts (lrgen.verify.parts): ``make_scheduler`` in the file, ``learn`` with this schedule
on a small network, and three updates of the file's own network. The network and the training methods are known, and
their contract is that of the catalogue. This takes a fraction of the time, above all for large networks.
"""

import ast
from collections.abc import Iterator
from dataclasses import replace

from lrgen.records import Architecture, Candidate, Part, Parts, Variant
from lrgen.render.renderer import Renderer
from lrgen.source import sections
from lrgen.verify.parts.names import names_of

_DECLARES = "supported_hyperparameters"
_OF_THE_CALLER = frozenset({"epoch", "epoch_max"})
_OF_METHODS = frozenset({"staticmethod", "classmethod", "property"})


def with_parts(candidate: Candidate, architecture: Architecture, variant: Variant, renderer: Renderer) -> Candidate:
    """Add the parts to a file in which all but the schedule is a text of the catalogue; others stay as they are.

    Whether the parts are separate is for the checks to decide (``verify.parts.separate``). The caller makes sure that
    the policy ``strict`` holds for the file, so that its schedule reaches no other part by itself.
    """
    known = renderer.parts(architecture, variant)
    rendered = sections.parse(renderer.render(architecture, variant).text)
    before = candidate.source.removesuffix(rendered.network)
    if before == candidate.source:
        return candidate
    schedule = _schedule_of(before, rendered)
    if schedule is None or not _fits(schedule, known, frozenset(rendered.hyperparameters)):
        return candidate
    return replace(candidate, parts=replace(known, schedule=schedule), reference=None)


def _schedule_of(before: str, rendered: sections.Sections) -> Part | None:
    """The schedule in the text above a network; None if there is anything else than definitions."""
    try:
        body = ast.parse(before).body
        declared = [ast.dump(node) for node in ast.parse(rendered.head).body if _is_declaration(node)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if [ast.dump(node) for node in body if _is_declaration(node)] != declared:
        return None
    imports, code = [], []
    for place, node in enumerate(body):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imports += [ast.unparse(type(node)(**{**vars(node), "names": [alias]})) for alias in node.names]
        elif _only_defines(node):
            code.append(ast.get_source_segment(before, node) or "")
        elif not _is_declaration(node) and not (place == 0 and _is_text(node)):
            return None
    return Part(tuple(dict.fromkeys(imports)), "\n\n\n".join(code))


def _fits(schedule: Part, known: Parts, declared: frozenset[str]) -> bool:
    """Whether a schedule imports what the other parts need, and the parts together read what is declared."""
    names = names_of(schedule)
    others = names_of(known.network), names_of(known.training, methods=True)
    read = frozenset().union(names.prm, *(other.prm for other in others))
    return (
        "make_scheduler" in names.defined
        and "Net" not in names.used | names.defined
        and all(names.imported.items() >= other.imported.items() for other in others)
        and read - _OF_THE_CALLER == declared
    )


def _is_declaration(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == _DECLARES


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _only_defines(node: ast.stmt) -> bool:
    """Whether a statement of a module does nothing when it is executed but define names."""
    if any(isinstance(inner, (ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom)) for inner in ast.walk(node)):
        return False
    if isinstance(node, ast.ClassDef):
        members = (_is_text(member) or _is_member(member) for member in node.body)
        return not node.decorator_list and not node.keywords and not _calls(*node.bases) and all(members)
    return _is_function(node, frozenset()) or _is_constant(node)


def _is_member(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or _is_function(node, _OF_METHODS) or _is_constant(node)


def _is_function(node: ast.stmt, decorators: frozenset[str]) -> bool:
    if not isinstance(node, ast.FunctionDef):
        return False
    defaults = [*node.args.defaults, *(default for default in node.args.kw_defaults if default is not None)]
    named = {decorator.id if isinstance(decorator, ast.Name) else "" for decorator in node.decorator_list}
    return named <= decorators and not _calls(*defaults)


def _is_constant(node: ast.stmt) -> bool:
    if isinstance(node, ast.AnnAssign):
        return isinstance(node.target, ast.Name) and not (node.value and _calls(node.value))
    return (
        isinstance(node, ast.Assign)
        and all(isinstance(target, ast.Name) for target in node.targets)
        and not _calls(node.value)
    )


def _calls(*nodes: ast.expr) -> bool:
    """Whether expressions call anything, or bind names."""
    inner: Iterator[ast.AST] = (part for node in nodes for part in ast.walk(node))
    return any(isinstance(part, (ast.Call, ast.NamedExpr, ast.Lambda, ast.Await, ast.Yield)) for part in inner)

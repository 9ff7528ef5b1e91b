"""The schedule that a file says it has: by its name, its docstrings and the names of its classes."""

import ast
import re
from collections.abc import Iterable

from lrgen.records import NearestSchedule, Variant
from lrgen.verify.audit.collection import File

_CLOSE = 0.05  # distances of schedules that a curve may be called

# The words for a schedule, and the families or curves that bear the name.
_WORDS: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("MultiStepLR", r"multi_?step|milestones?", frozenset({"step", "warmup_times_multistep", "warmup_then_step"})),
    (
        "StepLR",
        r"(?<!multi)(?<!multi_)step_?(lr|decay)",
        frozenset({"step", "warmup_times_multistep", "warmup_then_step"}),
    ),
    ("cosine", r"cosine|cos_?anneal", frozenset({"cosine", "restarts", "wsd_cosine"})),
    ("warm restarts", r"warm_?restarts?|sgdr", frozenset({"restarts", "cosine_wave"})),
    ("OneCycleLR", r"one_?cycle", frozenset({"onecycle"})),
    ("CyclicLR", r"cyclic|triangular", frozenset({"cyclic", "onecycle"})),
    ("ExponentialLR", r"exponential|exp_?(lr|decay)", frozenset({"exponential", "warmup_times_exponential"})),
    ("polynomial", r"polynomial|poly_?(lr|decay)", frozenset({"polynomial"})),
    ("linear", r"linear_?(lr|decay|warm)", frozenset({"polynomial", "constant", "wsd"})),
    ("ReduceLROnPlateau", r"plateau", frozenset({"metric"})),
    ("constant", r"constant_?(lr|rate|schedule)", frozenset({"constant"})),
    ("Noam", r"noam", frozenset({"horizon_free"})),
    ("inverse square root", r"inv(erse)?_?sqrt|inverse square|rsqrt", frozenset({"horizon_free"})),
    ("WSD", r"wsd|warmup_?stable", frozenset({"wsd"})),
)


def said(file: File) -> tuple[str, ...]:
    """The schedules that a file names, by the words for them; none if it names none."""
    text = _compact([file.label, *_docstrings(file.tree), *_class_names(file.tree)])
    return tuple(word for word, pattern, _ in _WORDS if re.search(pattern, text))


def deviates(words: Iterable[str], nearest: Iterable[NearestSchedule], variants: dict[str, Variant]) -> bool:
    """Whether none of the named schedules is among the nearest ones of a curve."""
    named = {word: families for word, _, families in _WORDS}
    ranked = list(nearest)
    if not ranked:
        return False
    limit = max(_CLOSE, ranked[0].distance + 0.01)
    near = [variants[schedule.variant] for schedule in ranked if schedule.distance <= limit]
    return bool(near) and not any(_bears(word, named[word], variant) for word in words for variant in near)


def _bears(word: str, families: frozenset[str], variant: Variant) -> bool:
    """Whether a schedule may be called by a word."""
    if {variant.family, variant.curve} & families:
        return True
    return word == "cosine" and "cos" in f"{variant.curve} {variant.name} {variant.constants.get('anneal', '')}"


def _compact(texts: Iterable[str]) -> str:
    """Texts with one spelling of separators."""
    return re.sub(r"[\s\-.]+", "_", " | ".join(texts).lower())


def _docstrings(tree: ast.Module | None) -> list[str]:
    nodes = [] if tree is None else [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    return [ast.get_docstring(node) or "" for node in nodes if isinstance(node, (ast.Module, ast.ClassDef))]


def _class_names(tree: ast.Module | None) -> list[str]:
    """The names of the classes that may be schedulers."""
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef)] if tree is not None else []
    return [name for name in names if re.search(r"sched|lr|decay|anneal|warm|plateau|cycle", name.lower())]

"""Functions, closures and classes around the body of a schedule, and the multipliers of parameter groups."""

import re
from dataclasses import dataclass
from fractions import Fraction

from lrgen.realisations.bodies import body
from lrgen.realisations.comments import docstring
from lrgen.realisations.draft import Draft
from lrgen.realisations.layout import indented, signature, wrapped

FACTORS = ("factor", "lr_lambda", "multiplier", "schedule", "lr_factor", "lr_scale", "scale", "lr_mult", "get_factor")
_LONGEST_LAMBDA = 74  # in a comprehension
RATES = ("lr_at", "get_lr", "learning_rate", "lr_schedule", "compute_lr", "schedule", "current_lr", "lr_for")


@dataclass
class Function:
    """Code that defines a callable of the step.

    Attributes:
        above: blocks at module level, in order.
        within: lines in the function that uses it.
        callable: the expression of the callable of the step alone.
        at: the call of it at the step, as text with ``{step}``.
    """

    above: list[list[str]]
    within: list[str]
    callable: str


def constants(d: Draft) -> list[str]:
    """Settings at module level."""
    return d.lines_of_settings() if d.place == "module" else []


def local_settings(d: Draft) -> list[str]:
    """Settings in the function."""
    return d.lines_of_settings() if d.place == "local" else []


def returns(d: Draft, kind: str) -> str:
    """The type of what a function returns, where this writer gives types."""
    return kind if d.hints else ""


def free(d: Draft, own: str, extra: tuple[str, ...] = ()) -> list[str]:
    """A function of the step, and the horizon if the code takes it."""
    lines = body(d)
    inner = [*local_settings(d), *d.setup]
    parameters = [d.parameter(d.step, "int")]
    if d.takes_total:
        parameters.append(d.parameter(d.total, "int"))
    parameters += [*extra, *d.defaults()]
    head = signature(own, parameters, returns(d, "float"))
    gap = [""] if inner and d.choices.odds("setup.gap", 0.3) else []
    return [*head, *indented([*docstring(d, returns_multiplier=True), *inner, *gap, *lines])]


def arguments(d: Draft) -> list[str]:
    """The names of the step, and of the horizon if the code takes it."""
    return [d.step, *([d.total] if d.takes_total else [])]


_LIST = re.compile(r"\w+ = ([\[(]|\[[\w., ]+\]|\([\w., ]+,[\w., ]*\))")


def hoisted(lines: list[str]) -> tuple[list[str], list[str]]:
    """The functions and the lists that the lines define, which are the same at each call, and the other lines."""
    helpers: list[str] = []
    others: list[str] = []
    inside = False
    for line in lines:
        goes_on = inside and (not line or line.startswith((" ", "]", ")")))
        inside = goes_on or line.startswith("def ") or _LIST.fullmatch(line) is not None
        (helpers if inside else others).append(line)
    return helpers, others


def closure(d: Draft, own: str, *, documented: bool) -> list[str]:
    """Lines that compute the ends of phases and define a function of the step, which may have a docstring."""
    d.hoists = True
    lines = body(d)
    text = docstring(d, "docstring.closure", 2, odds=0.2, returns_multiplier=True) if documented else []
    head = signature(own, [d.parameter(d.step, "int")], returns(d, "float"), depth=1)
    helpers, lines = hoisted(lines)
    gap = [""] if helpers and helpers[0].startswith("def ") else []
    return [*local_settings(d), *d.setup, *gap, *helpers, "", *head, *indented([*text, *lines]), ""]


def functor(d: Draft, own: str) -> list[str]:
    """A class whose instances are called with the step; made for a draft with the prefix ``self.``."""
    lines = body(d)
    init: list[str] = []
    parameters = ["self"]
    setup = list(d.setup)
    if d.takes_total:
        parameters.append(d.parameter(d.total, "int"))
        if not setup or any(f"self.{d.total}" in line for line in [*lines, *setup]):
            init.append(f"self.{d.total} = {d.total}")
    parameters += d.defaults()
    if d.place == "default":
        init += [f"self.{setting} = {setting}" for setting in d.settings]
    elif d.place == "self":
        init += d.lines_of_settings()
    init += setup
    code = [f"class {own}:", *indented(docstring(d))]
    if init:
        code += ["", *indented([*signature("__init__", parameters, returns(d, "None"), 1), *indented(init), ""])]
    code += ["", *indented([*signature("__call__", ["self", d.parameter(d.step, "int")], returns(d, "float"), 1)])]
    return [*code, *indented(lines, 2)]


def groups_of(d: Draft) -> list[str] | None:
    """The multipliers of the groups as texts; None for a single group at 1."""
    if d.composition.groups == (Fraction(1),):
        return None
    return [d.numbers.real(group).text for group in d.composition.groups]


def sequence(d: Draft, items: list[str]) -> str:
    """A tuple or a list."""
    if d.choices.odds("groups.list", 0.5):
        return f"[{', '.join(items)}]"
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def lambdas(d: Draft, function: str) -> tuple[list[str], str]:
    """Statements, and the argument of LambdaLR: a function, or one for each group."""
    multipliers = groups_of(d)
    if multipliers is None:
        return [], function
    step = d.step
    form = d.choices.pick("lambdas", ("comprehension", "explicit", "factory", "scaled", "named"))
    if form == "scaled":
        group = d.fresh("name.group", ("group", "param_group", "g", "pg"))
        own = d.fresh("name.m", ("m", "multiplier", "mult", "ratio", "scale"))
        values = sequence(d, multipliers)
        return [
            f"for {group}, {own} in zip(optimizer.param_groups, {values}):",
            f'    {group}["lr"] *= {own}',
        ], function
    at = f"{function}({step})" if function.isidentifier() else f"({function})({step})"
    if form == "explicit":
        each = [
            function if group == 1 else f"lambda {step}: {text} * {at}"
            for group, text in zip(d.composition.groups, multipliers, strict=True)
        ]
        own = d.fresh("name.lambdas", ("lambdas", "lr_lambdas", "schedules"))
        return wrapped(f"{own} = [", each, "]", 1), own
    own = d.fresh("name.m", ("m", "multiplier", "mult", "ratio", "scale"))
    if form == "factory" or len(_each(step, own, at, "").partition(" for ")[0]) > _LONGEST_LAMBDA:
        factory = d.fresh("name.scaled", ("scaled", "for_group", "with_multiplier", "group_lambda"))
        head = signature(factory, [d.parameter(own, "float")], returns(d, "Callable[[int], float]"), 1)
        made = d.fresh("name.lambdas", ("lambdas", "lr_lambdas", "schedules"))
        values = sequence(d, multipliers)
        return [
            *head,
            f"    return lambda {step}: {own} * {at}",
            "",
            f"{made} = [{factory}({own}) for {own} in {values}]",
        ], made
    if form == "named":
        values = d.fresh("name.multipliers", ("multipliers", "group_multipliers", "lr_mults", "scales"))
        return [f"{values} = {sequence(d, multipliers)}"], _each(step, own, at, values)
    return [], _each(step, own, at, sequence(d, multipliers))


def _each(step: str, own: str, at: str, values: str) -> str:
    """A function for each multiplier."""
    return f"[lambda {step}, {own}={own}: {own} * {at} for {own} in {values}]"

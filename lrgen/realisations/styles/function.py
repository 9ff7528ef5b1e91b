"""A closed function, and a loop over param_groups."""

from lrgen.curves.compositions import Composition
from lrgen.realisations.bodies import body
from lrgen.realisations.branches import Assigning
from lrgen.realisations.choices import Choices
from lrgen.realisations.comments import docstring
from lrgen.realisations.containers import (
    FACTORS,
    RATES,
    arguments,
    constants,
    free,
    groups_of,
    local_settings,
    returns,
    sequence,
)
from lrgen.realisations.draft import Draft, draft
from lrgen.realisations.expressions import mul, name
from lrgen.realisations.layout import assembled, indented, signature
from lrgen.realisations.realisation import Call, Interface, Realisation, Style

SETTERS = (
    "set_lr",
    "adjust_learning_rate",
    "update_lr",
    "apply_lr",
    "set_learning_rate",
    "adjust_lr",
    "update_learning_rate",
    "schedule_lr",
)


def check(composition: Composition) -> None:
    """Every composition can be written as a function."""


def write(composition: Composition, choices: Choices) -> Realisation:
    """A function of the step that gives the learning rate, or sets that of each parameter group."""
    absolute = choices.odds("absolute", 0.35)
    d = draft(composition, choices, absolute=absolute)
    form = choices.pick("function.form", ("rate", "setter", "two", "two", "factor"))
    if form == "rate" and groups_of(d) is None:
        return _rate(d)
    if form == "setter":
        return _setter(d)
    return _two(d)


def base_names(d: Draft) -> tuple[str, ...]:
    """Names of the base learning rate: the peak, if the multipliers reach 1 and no more."""
    if max(max(phase.start, phase.end) for phase in d.phases) == 1:
        return ("base_lr", "base_lr", "lr", "max_lr", "peak_lr")
    return ("base_lr", "base_lr", "lr", "initial_lr")


def _base(d: Draft) -> str:
    return d.fresh("name.base", base_names(d))


def _rate(d: Draft) -> Realisation:
    """The learning rate at a step."""
    entry = d.fresh("entry.rate", RATES)
    interface = Interface(Call.RATE, entry, takes_horizon=d.takes_total, takes_lr=not d.absolute)
    if d.absolute:
        function = free(d, entry)
        return Realisation(Style.FUNCTION, assembled([constants(d), function]), interface)
    base = _base(d)
    value = d.fresh("name.value", ("factor", "scale", "mult", "multiplier"))
    lines = body(d, Assigning(value))
    parameters = [d.parameter(own, "int") for own in arguments(d)] + [d.parameter(base, "float"), *d.defaults()]
    last = f"return {base} * {value}" if d.choices.odds("order", 0.7) else f"return {value} * {base}"
    function = [
        *signature(entry, parameters, returns(d, "float")),
        *indented([*docstring(d), *local_settings(d), *d.setup, *lines, last]),
    ]
    return Realisation(Style.FUNCTION, assembled([constants(d), function]), interface)


def loop_over_groups(d: Draft, lr: str, *, per_step: bool = False) -> list[str]:
    """Statements that give each parameter group its learning rate; ``lr`` is an expression.

    ``per_step``: whether they stand in a training loop, where the multipliers are not assigned again at each step.
    """
    group = d.fresh("name.group", ("group", "group", "param_group", "g", "pg"))
    multipliers = groups_of(d)
    if multipliers is None:
        return [f"for {group} in optimizer.param_groups:", f'    {group}["lr"] = {lr}']
    values = sequence(d, multipliers)
    own = d.fresh("name.m", ("m", "multiplier", "mult", "ratio", "scale"))
    scaled = mul(name(lr), name(own)).text if d.choices.odds("groups.order", 0.6) else mul(name(own), name(lr)).text
    form = d.choices.pick("groups", ("zip", "zip", "named", "zip", "index"))
    if form == "zip" or (form == "named" and per_step):
        return [f"for {group}, {own} in zip(optimizer.param_groups, {values}):", f'    {group}["lr"] = {scaled}']
    if form == "named":
        all_of = d.fresh("name.multipliers", ("multipliers", "group_multipliers", "lr_mults", "scales"))
        return [
            f"{all_of} = {values}",
            f"for {group}, {own} in zip(optimizer.param_groups, {all_of}):",
            f'    {group}["lr"] = {scaled}',
        ]
    return [
        f'optimizer.param_groups[{i}]["lr"] = {lr if group == 1 else f"{text} * {lr}"}'
        for i, (group, text) in enumerate(zip(d.composition.groups, multipliers, strict=True))
    ]


def _two(d: Draft) -> Realisation:
    """A function of the step, and one that sets the learning rate of each group."""
    entry = d.fresh("entry.setter", SETTERS)
    inner = d.fresh("inner", RATES if d.absolute else FACTORS)
    function = free(d, inner)
    own = arguments(d)
    parameters = [d.parameter("optimizer", "Optimizer"), *(d.parameter(each, "int") for each in own)]
    call = f"{inner}({', '.join(own)})"
    lines: list[str] = []
    if d.absolute:
        lr, value = d.fresh("name.lr", ("lr", "lr", "new_lr", "rate")), call
    else:
        base = _base(d)
        parameters.append(d.parameter(base, "float"))
        lr = d.fresh("name.lr", ("lr", "lr", "new_lr", "rate", "current_lr"))
        value = f"{base} * {call}" if d.choices.odds("order", 0.7) else f"{call} * {base}"
    if groups_of(d) is None and not d.choices.odds("lr.named", 0.7):
        lines += loop_over_groups(d, value)
    else:
        lines += [f"{lr} = {value}", *loop_over_groups(d, lr)]
        if d.choices.odds("lr.returned", 0.15):
            lines.append(f"return {lr}")
    kind = returns(d, "float" if lines[-1].startswith("return") else "None")
    setter = [*signature(entry, parameters, kind), *indented(lines)]
    interface = Interface(Call.SETTER, entry, takes_horizon=d.takes_total, takes_lr=not d.absolute)
    return Realisation(Style.FUNCTION, assembled([constants(d), function, setter]), interface)


def _setter(d: Draft) -> Realisation:
    """One function that computes the learning rate and sets it."""
    entry = d.fresh("entry.setter", SETTERS)
    parameters = [d.parameter("optimizer", "Optimizer"), *(d.parameter(own, "int") for own in arguments(d))]
    if d.absolute:
        lr = d.fresh("name.lr", ("lr", "lr", "new_lr", "rate"))
        lines = [*body(d, Assigning(lr)), *loop_over_groups(d, lr)]
    else:
        base = _base(d)
        parameters.append(d.parameter(base, "float"))
        value = d.fresh("name.value", ("factor", "scale", "mult", "multiplier"))
        lines = body(d, Assigning(value))
        if groups_of(d) is None:
            lines += loop_over_groups(d, f"{base} * {value}")
        else:
            lr = d.fresh("name.lr", ("lr", "new_lr", "rate", "current_lr"))
            lines += [f"{lr} = {base} * {value}", *loop_over_groups(d, lr)]
    parameters += d.defaults()
    inner = [*docstring(d), *local_settings(d), *d.setup, *lines]
    setter = [*signature(entry, parameters, returns(d, "None")), *indented(inner)]
    interface = Interface(Call.SETTER, entry, takes_horizon=d.takes_total, takes_lr=not d.absolute)
    return Realisation(Style.FUNCTION, assembled([constants(d), setter]), interface)

"""A subclass of LRScheduler with get_lr."""

from lrgen.curves.compositions import Composition
from lrgen.realisations import naming
from lrgen.realisations.bodies import body
from lrgen.realisations.branches import Assigning
from lrgen.realisations.choices import Choices
from lrgen.realisations.comments import docstring
from lrgen.realisations.containers import constants, groups_of, returns, sequence
from lrgen.realisations.draft import Draft, draft
from lrgen.realisations.layout import assembled, indented, signature
from lrgen.realisations.realisation import Call, Interface, Realisation, Style


def check(composition: Composition) -> None:
    """Every composition can be written as a subclass."""


def write(composition: Composition, choices: Choices) -> Realisation:
    """A class whose ``get_lr`` computes the multiplier, or calls a method that does."""
    d = draft(composition, choices, prefix="self.", places=("self", "self", "module"))
    entry = naming.class_name(choices, d.labels, ("LR", "LR", "Scheduler", "Schedule", "LRScheduler"))
    methods: list[str] = []
    if choices.odds("inline", 0.3):
        value = d.fresh("name.value", ("factor", "scale", "mult", "multiplier"))
        lines = body(d, Assigning(value))
        get = [f"{d.step} = self.last_epoch", *lines]
        if lines[0].startswith(f"{d.step} = min({d.step}, "):
            get = [lines[0].replace(f"min({d.step}, ", "min(self.last_epoch, "), *lines[1:]]
    else:
        method = choices.pick("inner", ("_factor", "factor", "_multiplier", "_get_factor", "_scale", "multiplier"))
        value = d.fresh("name.value", ("factor", "scale", "mult", "multiplier"))
        head = signature(method, ["self", d.parameter(d.step, "int")], returns(d, "float"), 1)
        methods = [*head, *indented(body(d)), ""]
        get = [f"{value} = self.{method}(self.last_epoch)"]
    lines = [f"class {entry}(LRScheduler):", *indented(docstring(d)), ""]
    lines += indented(_init(d, methods + get))
    own = indented([f"def get_lr(self) -> {'list[float]'}:" if d.hints else "def get_lr(self):"])
    own += indented([*get, *_rates(d, value)], 2)
    if methods and choices.odds("methods.last", 0.4):
        lines += [*own, "", *indented(methods)]
    else:
        lines += [*indented(methods), *own]
    return Realisation(
        Style.SUBCLASS,
        assembled([constants(d), lines]),
        Interface(Call.SCHEDULER, entry, takes_horizon=d.takes_total),
    )


def _init(d: Draft, using: list[str]) -> list[str]:
    setup = list(d.setup)
    init = d.lines_of_settings() if d.place == "self" else []
    if groups_of(d) is not None and _keeps_multipliers(d):
        init.append(f"self.multipliers = {sequence(d, groups_of(d) or [])}")
    parameters = ["self", d.parameter("optimizer", "Optimizer")]
    if d.takes_total:
        parameters.append(d.parameter(d.total, "int"))
        if any(f"self.{d.total}" in line for line in [*using, *setup]):
            init.insert(0, f"self.{d.total} = {d.total}")
    init += setup
    if not init and not d.takes_total:
        return []
    parameters.append("last_epoch: int = -1" if d.hints else "last_epoch=-1")
    last = "super().__init__(optimizer, last_epoch)"
    if d.choices.odds("super.keyword", 0.3):
        last = "super().__init__(optimizer, last_epoch=last_epoch)"
    return [*signature("__init__", parameters, returns(d, "None"), 1), *indented([*init, last]), ""]


def _keeps_multipliers(d: Draft) -> bool:
    return d.choices.odds("multipliers.kept", 0.5)


def _rates(d: Draft, value: str) -> list[str]:
    multipliers = groups_of(d)
    lr = d.fresh("name.each", ("base_lr", "base_lr", "lr", "base"))
    if multipliers is None:
        product = f"{lr} * {value}" if d.choices.odds("order", 0.6) else f"{value} * {lr}"
        return [f"return [{product} for {lr} in self.base_lrs]"]
    own = d.fresh("name.m", ("m", "multiplier", "mult", "ratio"))
    values = "self.multipliers" if _keeps_multipliers(d) else "multipliers"
    lines = [] if _keeps_multipliers(d) else [f"multipliers = {sequence(d, multipliers)}"]
    flat = f"return [{lr} * {own} * {value} for {lr}, {own} in zip(self.base_lrs, {values})]"
    if len(flat) <= 80:
        return [*lines, flat]
    inner = [f"{lr} * {own} * {value}", f"for {lr}, {own} in zip(self.base_lrs, {values})"]
    if len(" ".join(inner)) <= 76:
        inner = [" ".join(inner)]
    return [*lines, "return [", *indented(inner), "]"]

"""A closed function, and a loop over param_groups."""

from lrgen.curves.compositions import Composition
from lrgen.realisations.choices import Choices
from lrgen.realisations.draft import draft
from lrgen.realisations.factors import body
from lrgen.realisations.layout import assembled, indented, signature
from lrgen.realisations.realisation import Call, Interface, Realisation, Style


def check(composition: Composition) -> None:
    """Every composition can be written as a function."""


def write(composition: Composition, choices: Choices) -> Realisation:
    """A function of the step, and one that sets the learning rate of each parameter group."""
    d = draft(composition, choices)
    entry = choices.pick("entry", ("set_lr", "adjust_learning_rate", "update_lr", "apply_lr"))
    inner = choices.pick("inner", ("factor", "lr_factor", "multiplier", "schedule"))
    total = [d.total] if d.takes_total else []
    lines = [*signature(inner, [d.step, *total]), *indented([*d.setup, *body(d)])]
    setter = signature(entry, ["optimizer", d.step, *total, "base_lr"])
    arguments = ", ".join([d.step, *total])
    setter += indented([f"lr = base_lr * {inner}({arguments})"])
    groups = composition.groups
    if groups == (1,):
        setter += indented(["for group in optimizer.param_groups:", '    group["lr"] = lr'])
    else:
        values = ", ".join(d.numbers.real(group).text for group in groups)
        comma = "," if len(groups) == 1 else ""
        setter += indented(
            [
                f"multipliers = ({values}{comma})",
                "for group, scale in zip(optimizer.param_groups, multipliers):",
                '    group["lr"] = lr * scale',
            ]
        )
    imports = ["import math"] if "math." in "\n".join(lines) else []
    return Realisation(
        Style.FUNCTION,
        assembled(imports, [lines, setter]),
        Interface(Call.SETTER, entry, takes_horizon=d.takes_total),
    )

"""A callable for LambdaLR."""

from lrgen.curves.compositions import Composition
from lrgen.realisations.choices import Choices
from lrgen.realisations.draft import draft
from lrgen.realisations.factors import body
from lrgen.realisations.layout import assembled, indented, signature
from lrgen.realisations.realisation import Call, Interface, Realisation, Style


def check(composition: Composition) -> None:
    """Every composition can be written as a callable."""


def write(composition: Composition, choices: Choices) -> Realisation:
    """A function that builds the scheduler, with the multiplier as a closure."""
    d = draft(composition, choices)
    entry = choices.pick("entry", ("make_scheduler", "build_scheduler", "get_scheduler", "create_scheduler"))
    inner = choices.pick("inner", ("factor", "lr_lambda", "multiplier", "schedule", "lr_factor"))
    hints = choices.odds("hints", 0.7)
    parameters = ["optimizer: Optimizer" if hints else "optimizer"]
    if d.takes_total:
        parameters.append(f"{d.total}: int" if hints else d.total)
    lines = signature(entry, parameters, "LambdaLR" if hints else "")
    lines += indented(d.setup)
    if d.setup:
        lines.append("")
    head = f"def {inner}({d.step}: int) -> float:" if hints else f"def {inner}({d.step}):"
    lines += indented([head, *indented(body(d)), "", *_returned(d, inner)])
    imports = ["from torch.optim.lr_scheduler import LambdaLR"]
    if hints:
        imports.append("from torch.optim import Optimizer")
    text = "\n".join(lines)
    if "math." in text:
        imports.append("import math")
    return Realisation(
        Style.LAMBDA,
        assembled(imports, [lines]),
        Interface(Call.SCHEDULER, entry, takes_horizon=d.takes_total),
    )


def _returned(d, inner):
    groups = d.composition.groups
    if groups == (1,):
        return [f"return LambdaLR(optimizer, {inner})"]
    values = ", ".join(d.numbers.real(group).text for group in groups)
    comma = "," if len(groups) == 1 else ""
    return [
        f"multipliers = ({values}{comma})",
        f"lambdas = [lambda {d.step}, m=m: m * {inner}({d.step}) for m in multipliers]",
        "return LambdaLR(optimizer, lambdas)",
    ]

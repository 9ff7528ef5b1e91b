"""A subclass of LRScheduler with get_lr."""

from lrgen.curves.compositions import Composition
from lrgen.realisations.choices import Choices
from lrgen.realisations.draft import draft
from lrgen.realisations.factors import body
from lrgen.realisations.layout import assembled, indented, signature
from lrgen.realisations.realisation import Call, Interface, Realisation, Style


def check(composition: Composition) -> None:
    """Every composition can be written as a subclass."""


def write(composition: Composition, choices: Choices) -> Realisation:
    """A class whose ``get_lr`` computes the multiplier in a method of its own."""
    d = draft(composition, choices)
    d.prefix = "self."
    entry = choices.pick("entry", ("WarmupScheduler", "PhasedLR", "CustomLR", "PiecewiseLR", "ScheduleLR"))
    method = choices.pick("inner", ("_factor", "factor", "_multiplier", "_get_factor"))
    parameters = ["self", "optimizer", *([d.total] if d.takes_total else []), "last_epoch=-1"]
    lines = [f"class {entry}(LRScheduler):"]
    init = []
    setup = d.setup
    if d.takes_total:
        init.append(f"self.{d.total} = {d.total}")
    init += [*setup, "super().__init__(optimizer, last_epoch)"]
    if len(init) > 1:
        lines += indented([*signature("__init__", parameters), *indented(init), ""])
    lines += indented([f"def {method}(self, {d.step}):", *indented(body(d)), ""])
    groups = composition.groups
    get = [f"factor = self.{method}(self.last_epoch)"]
    if groups == (1,):
        get.append("return [base_lr * factor for base_lr in self.base_lrs]")
    else:
        values = ", ".join(d.numbers.real(group).text for group in groups)
        comma = "," if len(groups) == 1 else ""
        get.append(f"multipliers = ({values}{comma})")
        get.append("return [lr * m * factor for lr, m in zip(self.base_lrs, multipliers)]")
    lines += indented(["def get_lr(self):", *indented(get)])
    imports = ["from torch.optim.lr_scheduler import LRScheduler"]
    if "math." in "\n".join(lines):
        imports.append("import math")
    return Realisation(
        Style.SUBCLASS,
        assembled(imports, [lines]),
        Interface(Call.SCHEDULER, entry, takes_horizon=d.takes_total),
    )

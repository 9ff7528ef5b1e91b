"""``configure_optimizers`` of a LightningModule."""

from fractions import Fraction

from lrgen.curves.compositions import Composition
from lrgen.errors import StyleError
from lrgen.realisations.choices import Choices
from lrgen.realisations.containers import FACTORS, closure, constants, free, groups_of, sequence
from lrgen.realisations.draft import Draft, draft
from lrgen.realisations.expressions import Numbers
from lrgen.realisations.layout import assembled, called, indented, wrapped
from lrgen.realisations.realisation import Call, Interface, Realisation, Style
from lrgen.records import Unit

PARTS = {
    1: (("model",), ("net",), ("classifier",), ("layer",)),
    2: (("backbone", "head"), ("encoder", "head"), ("encoder", "decoder"), ("features", "classifier")),
    3: (("stem", "body", "head"), ("embedding", "encoder", "head"), ("backbone", "neck", "head")),
    4: (("stem", "stage1", "stage2", "head"), ("embedding", "lower", "upper", "head")),
}
"""Names of the parts of a network, each a parameter group."""

OPTIMIZERS = (
    ("torch.optim.SGD", ("momentum=0.9",)),
    ("torch.optim.SGD", ("momentum=0.9", "weight_decay=5e-4")),
    ("torch.optim.SGD", ("momentum=0.9", "nesterov=True")),
    ("torch.optim.AdamW", ()),
    ("torch.optim.AdamW", ("weight_decay=0.05",)),
    ("torch.optim.AdamW", ("betas=(0.9, 0.95)",)),
    ("torch.optim.Adam", ()),
    ("torch.optim.SGD", ()),
)


_LONGEST_LAMBDA = 70  # in a comprehension


def check(composition: Composition) -> None:
    """Each parameter group is a part of the network.

    Raises:
        StyleError: when there are more groups than parts.
    """
    if len(composition.groups) > max(PARTS):
        raise StyleError(
            f"{len(composition.groups)} parameter groups cannot be written as lightning: a network has at most "
            f"{max(PARTS)} parts"
        )


def write(composition: Composition, choices: Choices) -> Realisation:
    """A module with its optimizer and scheduler."""
    form = choices.pick("lightning.form", ("closure", "closure", "free", "method"))
    d = draft(composition, choices, places=("local", "module") if form == "closure" else ("local", "module", "default"))
    takes = d.takes_total
    inner = d.fresh("inner", FACTORS)
    self_total = ""
    if takes:
        per_batch = composition.unit is Unit.BATCH
        self_total = f"self.trainer.{'estimated_stepping_batches' if per_batch else 'max_epochs'}"
        if per_batch and choices.odds("trainer.int", 0.2):
            self_total = f"int({self_total})"
    lr_form = choices.pick("lr.form", ("argument", "literal", "hparams", "argument"))
    above: list[list[str]] = []
    lines: list[str] = []
    multipliers = groups_of(d)
    grouped = multipliers is not None and choices.odds("groups.scaled", 0.5)
    is_listed = grouped and lr_form == "literal"
    numbers = Numbers(choices, are_rates=composition.base_lr < Fraction(1, 100)) if is_listed else d.numbers
    base = numbers.real(composition.base_lr).text
    if takes:
        lines.append(f"{d.total} = {self_total}")
    if form == "closure":
        lines += closure(d, inner, documented=True)
        function = inner
    else:
        above.append(free(d, inner))
        function = inner if not takes else f"lambda {d.step}: {inner}({d.step}, {d.total})"
        if takes and choices.odds("partial", 0.4):
            function = f"partial({inner}, {d.total}={d.total})"
    lr = {"argument": "self.lr", "literal": base, "hparams": "self.hparams.lr"}[lr_form]
    rates: list[str] = []
    if is_listed:
        rates = [numbers.real(group * composition.base_lr).text for group in composition.groups]
    elif multipliers is not None and grouped:
        rates = [_scaled(multiplier, lr) for multiplier in multipliers]
    optimizer_lines = _optimizer(d, lr, rates)
    schedule: list[str] = []
    argument = function
    if multipliers is not None and not grouped:
        if not function.isidentifier():
            bound = d.fresh("bound", ("base", "shared", "curve", "common"))
            if function.startswith("lambda"):
                function = f"partial({inner}, {d.total}={d.total})"
            schedule.append(f"{bound} = {function}")
            function = bound
        own = d.fresh("name.m", ("m", "multiplier", "mult", "ratio"))
        if len(f"lambda {d.step}, {own}={own}: {own} * {function}({d.step})") > _LONGEST_LAMBDA:
            own = "m"
        scaled = f"lambda {d.step}, {own}={own}: {own} * {function}({d.step})"
        argument = f"[{scaled} for {own} in {sequence(d, multipliers)}]"
    schedule += called("scheduler = LambdaLR", ["optimizer", argument], depth=2)
    after = choices.odds("optimizer.last", 0.3)
    configure = [*lines, *optimizer_lines, *schedule] if after else [*optimizer_lines, *lines, *schedule]
    configure += _returned(d)
    entry = choices.pick("entry", ("LitModel", "LitClassifier", "Classifier", "Model", "ImageClassifier", "LitNet"))
    namespace = choices.pick("namespace", ("L", "pl", "L"))
    code = [f"class {entry}({namespace}.LightningModule):"]
    code += indented(_init(d, lr_form, base))
    code += indented(["", "def configure_optimizers(self):", *indented(configure)])
    imports = ["import lightning as L" if namespace == "L" else "import pytorch_lightning as pl"]
    if namespace == "pl" and choices.odds("lightning.new", 0.5):
        imports = ["import lightning.pytorch as pl"]
    return Realisation(
        Style.LIGHTNING,
        assembled([constants(d), *above, code], imports),
        Interface(Call.LIGHTNING, entry, takes_horizon=takes, takes_lr=False),
    )


def parts(d: Draft) -> tuple[str, ...]:
    """The names of the parts, each a group."""
    return d.choices.pick("parts", PARTS[len(d.composition.groups)])


def _optimizer(d: Draft, lr: str, rates: list[str]) -> list[str]:
    """The optimizer; ``rates``: the learning rate of each group, if the groups have their own."""
    own, options = d.choices.pick("optimizer", OPTIMIZERS)
    named = parts(d)
    if len(named) == 1:
        return called(f"optimizer = {own}", ["self.parameters()", f"lr={rates[0] if rates else lr}", *options], depth=2)
    groups: list[str] = []
    for i, part in enumerate(named):
        scaled = f', "lr": {rates[i]}' if rates else ""
        groups.append(f'{{"params": self.{part}.parameters(){scaled}}}')
    lines = wrapped("groups = [", groups, "]", 2)
    return [*lines, *called(f"optimizer = {own}", ["groups", f"lr={lr}", *options], depth=2)]


def _scaled(multiplier: str, lr: str) -> str:
    """The learning rate of a group."""
    return lr if multiplier in ("1", "1.0") else f"{multiplier} * {lr}"


def _init(d: Draft, lr_form: str, base: str) -> list[str]:
    parameters = ["self"]
    if lr_form != "literal":
        parameters.append(f"lr: float = {base}" if d.hints else f"lr={base}")
    lines = ["super().__init__()"]
    if lr_form == "hparams":
        lines.append("self.save_hyperparameters()")
    elif lr_form == "argument":
        lines.append("self.lr = lr")
    named = parts(d)
    width = d.choices.pick("width", (32, 64, 128, 256, 512))
    inputs, classes = d.choices.pick("inputs", (784, 3072, 128, 64)), d.choices.pick("classes", (10, 2, 100))
    if len(named) == 1:
        lines.append(f"self.{named[0]} = nn.Linear({inputs}, {classes})")
    else:
        for i, part in enumerate(named):
            lines.append(
                f"self.{part} = nn.Linear({inputs if i == 0 else width}, {classes if i == len(named) - 1 else width})"
            )
    return [f"def __init__({', '.join(parameters)}):", *indented(lines)]


def _returned(d: Draft) -> list[str]:
    interval = "step" if d.composition.unit is Unit.BATCH else "epoch"
    form = d.choices.pick("returned", ("dict", "lists", "nested", "config"))
    config = f'{{"scheduler": scheduler, "interval": "{interval}"}}'
    if interval == "epoch" and d.choices.odds("interval.default", 0.4):
        if form in ("dict", "nested"):
            return ['return {"optimizer": optimizer, "lr_scheduler": scheduler}']
        return ["return [optimizer], [scheduler]"]
    if form == "lists":
        return [f"return [optimizer], [{config}]"]
    if form == "config":
        own = d.fresh("name.config", ("config", "lr_scheduler", "scheduler_config"))
        return [f"{own} = {config}", f'return {{"optimizer": optimizer, "lr_scheduler": {own}}}']
    if form == "nested":
        return [
            "return {",
            '    "optimizer": optimizer,',
            '    "lr_scheduler": {',
            '        "scheduler": scheduler,',
            f'        "interval": "{interval}",',
            "    },",
            "}",
        ]
    return [
        "return {",
        '    "optimizer": optimizer,',
        f'    "lr_scheduler": {config},',
        "}",
    ]

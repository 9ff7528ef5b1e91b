"""The other functions and classes of training scripts, each in several forms."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from lrgen.finetune.scripts.plan import Plan

Imports = dict[str, set[str]]


@dataclass(frozen=True)
class Part:
    """A function or class of a script, with the imports that it needs."""

    text: str
    imports: tuple[tuple[str, tuple[str, ...]], ...] = ()


def parts(plan: Plan, chance: random.Random) -> dict[str, Part]:
    """Return the parts of a script by name."""
    return {name: _PARTS[name](plan, chance) for name in plan.parts}


def _accuracy(plan: Plan, chance: random.Random) -> Part:
    hint, returned = (
        ("logits: torch.Tensor, targets: torch.Tensor", " -> float") if plan.hints else ("logits, targets", "")
    )
    body = chance.choice(
        (
            "    return (logits.argmax(dim=1) == targets).float().mean().item()\n",
            "    predicted = logits.argmax(1)\n    return (predicted == targets).sum().item() / len(targets)\n",
            "    correct = torch.eq(logits.max(1).indices, targets)\n    return correct.float().mean().item()\n",
        )
    )
    return Part(f"def accuracy({hint}){returned}:\n{body}", (("torch", ()),))


def _evaluate(plan: Plan, chance: random.Random) -> Part:
    name = chance.choice(("evaluate", "validate", "test"))
    device = f", {plan.device}" if plan.device else ""
    moved = f"{plan.x}, {plan.y} = {plan.x}.to({plan.device}), {plan.y}.to({plan.device})" if plan.device else ""
    loop = f"for {plan.x}, {plan.y} in {plan.loader}:"
    result = chance.choice(("correct / total", "100.0 * correct / total", "correct / max(1, total)"))
    decorator = chance.choice(("@torch.no_grad()\n", "@torch.inference_mode()\n", ""))
    pad = "    " if decorator else "        "
    body = [
        f"    {plan.model}.eval()",
        chance.choice(("    correct = total = 0", "    correct, total = 0, 0")),
        *(() if decorator else ("    with torch.no_grad():",)),
        f"{pad}{loop}",
        *((f"{pad}    {moved}",) if moved else ()),
        f"{pad}    predicted = {plan.model}({plan.x}).argmax({chance.choice(('1', 'dim=1', '-1'))})",
        f"{pad}    correct += (predicted == {plan.y}).sum().item()",
        f"{pad}    total += {chance.choice((f'len({plan.y})', f'{plan.y}.size(0)', f'{plan.y}.shape[0]'))}",
        f"    return {result}",
    ]
    head = f"{decorator}def {name}({plan.model}, {plan.loader}{device}):"
    return Part("\n".join([head, *body]) + "\n", (("torch", ()),))


def _freeze(plan: Plan, chance: random.Random) -> Part:
    name = chance.choice(("freeze", "freeze_parameters", "set_trainable"))
    value = "trainable" if name == "set_trainable" else "False"
    arguments = "module, trainable=True" if name == "set_trainable" else "module"
    if plan.hints:
        arguments = arguments.replace("module", "module: nn.Module").replace("trainable=", "trainable: bool = ")
    returned = " -> None" if plan.hints else ""
    parameter = chance.choice(("p", "param", "parameter"))
    lines = [f"    for {parameter} in module.parameters():", f"        {parameter}.requires_grad = {value}"]
    imports = (("torch", ("nn",)),) if plan.hints else ()
    return Part(f"def {name}({arguments}){returned}:\n" + "\n".join(lines) + "\n", imports)


def _meter(plan: Plan, chance: random.Random) -> Part:
    name = chance.choice(("AverageMeter", "Average", "RunningMean"))
    total, count = chance.choice((("sum", "count"), ("total", "n"), ("value", "weight")))
    update = chance.choice(("update", "add"))
    docstring = chance.choice(("", '    """Keeps the average of a value."""\n\n', '    """A running average."""\n\n'))
    average = chance.choice(
        (
            f"        return self.{total} / max(1, self.{count})\n",
            f"        return self.{total} / self.{count} if self.{count} else 0.0\n",
        )
    )
    text = (
        f"class {name}:\n{docstring}"
        f"    def __init__(self):\n        self.{total} = 0.0\n        self.{count} = 0\n\n"
        f"    def {update}(self, value, n=1):\n        self.{total} += value * n\n        self.{count} += n\n\n"
        f"    @property\n    def average(self):\n{average}"
    )
    return Part(text)


def _count(plan: Plan, chance: random.Random) -> Part:
    name = chance.choice(("count_parameters", "num_parameters", "n_params"))
    trainable = chance.choice(("", " if p.requires_grad"))
    generator = f"p.numel() for p in {plan.model}.parameters(){trainable}"
    hint, returned = (f"{plan.model}: nn.Module", " -> int") if plan.hints else (plan.model, "")
    imports = (("torch", ("nn",)),) if plan.hints else ()
    return Part(f"def {name}({hint}){returned}:\n    return sum({generator})\n", imports)


def _main(plan: Plan, chance: random.Random) -> Part:
    classes, size = chance.choice((10, 100)), chance.choice((64, 128, 256, 32))
    epochs = chance.choice((10, 20, 30, 50, 90, 100, 200))
    width = chance.choice((128, 256, 512))
    rate = f", {plan.lr}={chance.choice(('0.1', '0.05', '1e-3', '3e-4', '0.01'))}" if plan.takes_lr else ""
    net = chance.choice(
        (
            f"nn.Sequential(nn.Flatten(), nn.Linear(3072, {width}), nn.ReLU(), nn.Linear({width}, {classes}))",
            f"nn.Sequential(nn.Flatten(), nn.LazyLinear({width}), nn.GELU(), nn.Linear({width}, {classes}))",
            f"nn.Sequential(nn.Flatten(), nn.Linear(3072, {classes}))",
        )
    )
    lines = [
        f"    images = torch.randn({size * 8}, 3, 32, 32)",
        f"    labels = torch.randint({classes}, ({size * 8},))",
        "    dataset = TensorDataset(images, labels)",
        f"    {plan.loader} = DataLoader(dataset, batch_size={size}, shuffle=True)",
        f"    {plan.model} = {net}",
        f"    {plan.function}({plan.model}, {plan.loader}, {chance.choice((f'{plan.epochs}=', ''))}{epochs}{rate})",
    ]
    text = "def main():\n" + "\n".join(lines) + '\n\n\nif __name__ == "__main__":\n    main()\n'
    return Part(text, (("torch", ("nn",)), ("torch.utils.data", ("DataLoader", "TensorDataset")), ("torch", ())))


def _weights(plan: Plan, chance: random.Random) -> Part:
    name = chance.choice(("init_weights", "reset_weights", "initialise"))
    kinds = chance.choice(("(nn.Linear, nn.Conv2d)", "nn.Linear", "(nn.Conv2d, nn.Linear)"))
    init = chance.choice(
        (
            "nn.init.kaiming_normal_(module.weight)",
            'nn.init.kaiming_normal_(module.weight, mode="fan_out")',
            "nn.init.xavier_uniform_(module.weight)",
            "nn.init.trunc_normal_(module.weight, std=0.02)",
        )
    )
    text = (
        f"def {name}(module):\n    if isinstance(module, {kinds}):\n        {init}\n"
        "        if module.bias is not None:\n            nn.init.zeros_(module.bias)\n"
    )
    return Part(text, (("torch", ("nn",)),))


_PARTS: dict[str, Callable[[Plan, random.Random], Part]] = {
    "accuracy": _accuracy,
    "evaluate": _evaluate,
    "freeze": _freeze,
    "meter": _meter,
    "count": _count,
    "main": _main,
    "weights": _weights,
}

"""Training scripts as text: a shape, with the lines of a schedule in their places."""

import random
import sys
import textwrap
from collections.abc import Iterable

from lrgen.finetune.scripts.hooks import Hooks
from lrgen.finetune.scripts.parts import Part, parts
from lrgen.finetune.scripts.plan import Plan

_WIDTH = 88


def script(plan: Plan, hooks: Hooks, seed: str, base_lr: str) -> str:
    """Return the text of a script; ``seed`` selects its other parts, ``base_lr`` is its constant."""
    chance = random.Random(seed)
    others = parts(plan, chance)
    main = others.pop("main", None)
    training = _class(plan, hooks) if plan.in_class else _function(plan, hooks)
    blocks = [part.text for part in others.values()]
    definitions = [hooks.definitions] if hooks.definitions else []
    order = [*definitions, *blocks, training] if plan.before else [*definitions, training, *blocks]
    constants = "" if plan.takes_lr else f"{plan.lr.upper()} = {base_lr}\n"
    order += [main.text] if main else []
    imports = _imports(plan, hooks, [*others.values(), *([main] if main else [])])
    head = f"{imports}\n{constants}" if constants else imports
    return "\n\n".join([head, *(f"{block.strip()}\n" for block in order)])


def _imports(plan: Plan, hooks: Hooks, others: Iterable[Part]) -> str:
    """Return the imports of a script, sorted: the standard library, then the rest."""
    wanted: dict[str, set[str]] = {"torch": set()}
    modules = {"torch"}
    needed = [*hooks.imports]
    for part in others:
        needed += part.imports
    if plan.hints or not plan.functional or plan.clip:
        needed.append(("torch", ("nn",)))
    if plan.functional:
        modules.add("torch.nn.functional as F")
    if plan.hints:
        needed.append(("torch.utils.data", ("DataLoader",)))
    for module, names in needed:
        wanted.setdefault(module, set()).update(names)
        if not names:
            modules.add(module)
    own = sorted(module for module in modules if _is_standard(module))
    own += [_from(module, wanted[module]) for module in sorted(wanted) if wanted[module] and _is_standard(module)]
    rest = sorted(module for module in modules if not _is_standard(module))
    rest += [_from(module, wanted[module]) for module in sorted(wanted) if wanted[module] and not _is_standard(module)]
    blocks = [
        "\n".join(line if line.startswith("from ") else f"import {line}" for line in block) for block in (own, rest)
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _is_standard(module: str) -> bool:
    return module.partition(".")[0].partition(" ")[0] in sys.stdlib_module_names


def _from(module: str, names: Iterable[str]) -> str:
    ordered = sorted(names, key=lambda name: (not name.isupper(), not name[:1].isupper(), name))
    line = f"from {module} import {', '.join(ordered)}"
    if len(line) <= _WIDTH:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in ordered) + ")"


def _signature(plan: Plan) -> str:
    hinted = {plan.model: "nn.Module", plan.loader: "DataLoader", plan.epochs: "int", plan.lr: "float"}
    names = [plan.model, plan.loader, plan.epochs, *((plan.lr,) if plan.takes_lr else ())]
    arguments = [f"{name}: {hinted[name]}" if plan.hints else name for name in names]
    if plan.device:
        arguments.append(f'{plan.device}: str = "cpu"' if plan.hints else f'{plan.device}="cpu"')
    returned = " -> nn.Module" if plan.hints and not plan.keeps_history else ""
    line = f"def {plan.function}({', '.join(arguments)}){returned}:"
    if len(line) <= _WIDTH:
        return line
    inner = f"    {', '.join(arguments)}"
    if len(inner) <= _WIDTH:
        return f"def {plan.function}(\n{inner}\n){returned}:"
    return f"def {plan.function}(\n" + "".join(f"    {each},\n" for each in arguments) + f"){returned}:"


def _function(plan: Plan, hooks: Hooks) -> str:
    lines = [f'"""{plan.docstring}"""'] if plan.docstring else []
    lines += _moved(plan, plan.model)
    lines += [_optimizer(plan, plan.optimizer, plan.model, plan.lr if plan.takes_lr else plan.lr.upper())]
    lines += hooks.setup
    lines += _criterion(plan, plan.criterion)
    lines += _loop(plan, hooks, plan.model, plan.optimizer, plan.criterion)
    return f"{_signature(plan)}\n" + textwrap.indent("\n".join(lines), "    ", bool) + "\n"


def _class(plan: Plan, hooks: Hooks) -> str:
    """A class that trains, and the function that creates it."""
    model, optimizer, criterion = f"self.{plan.model}", f"self.{plan.optimizer}", f"self.{plan.criterion}"
    lr = plan.lr if plan.takes_lr else plan.lr.upper()
    device = (f', {plan.device}="cpu"', f", {plan.device}") if plan.device else ("", "")
    rate = f", {plan.lr}" if plan.takes_lr else ""
    setup = [f"{model} = {plan.model}{f'.to({plan.device})' if plan.device else ''}"]
    setup += [f"self.{plan.device} = {plan.device}"] if plan.device else []
    setup += [f"self.{plan.lr} = {plan.lr}"] if plan.takes_lr else []
    setup += [_optimizer(plan, optimizer, model, lr), *_criterion(plan, criterion)]
    fit = [*hooks.setup, *_loop(plan, hooks, model, optimizer, criterion, f"self.{plan.device}")]
    docstring = f'    """{plan.docstring}"""\n\n' if plan.docstring else ""
    return (
        f"class {plan.trainer}:\n{docstring}    def __init__(self, {plan.model}{rate}{device[0]}):\n"
        f"{textwrap.indent(chr(10).join(setup), ' ' * 8)}\n\n"
        f"    def fit(self, {plan.loader}, {plan.epochs}):\n{textwrap.indent(chr(10).join(fit), ' ' * 8, bool)}\n\n\n"
        f"{_signature(plan)}\n"
        f"    return {plan.trainer}({plan.model}{rate}{device[1]}).fit({plan.loader}, {plan.epochs})\n"
    )


def _moved(plan: Plan, model: str) -> list[str]:
    if not plan.device:
        return []
    return [f"{model}.to({plan.device})" if plan.counts_correct else f"{model} = {model}.to({plan.device})"]


def _optimizer(plan: Plan, optimizer: str, model: str, lr: str) -> str:
    line = f"{optimizer} = torch.optim.{plan.optimizer_class}({model}.parameters(), lr={lr}{plan.optimizer_call})"
    if len(line) + 8 <= _WIDTH:
        return line
    inner = f"{model}.parameters(), lr={lr}{plan.optimizer_call}"
    return f"{optimizer} = torch.optim.{plan.optimizer_class}(\n    {inner}\n)"


def _criterion(plan: Plan, criterion: str) -> list[str]:
    if plan.functional:
        return []
    return [f"{criterion} = nn.CrossEntropyLoss({f'label_smoothing={plan.smoothing}' if plan.smoothing else ''})"]


def _loop(plan: Plan, hooks: Hooks, model: str, optimizer: str, criterion: str, device: str = "") -> list[str]:
    """The loop over epochs, and what comes of it."""
    bounds = plan.epochs if plan.first == 0 else f"1, {plan.epochs} + 1"
    history = ["history = []"] if plan.keeps_history else []
    epoch = [*hooks.epoch_start, f"{model}.train()"]
    epoch += [f"{plan.total} = 0.0"]
    epoch += ["correct = seen = 0"] if plan.counts_correct else []
    if plan.index:
        epoch.append(f"for {plan.index}, ({plan.x}, {plan.y}) in enumerate({plan.loader}):")
    else:
        epoch.append(f"for {plan.x}, {plan.y} in {plan.loader}:")
    epoch += [f"    {line}" for line in _batch(plan, hooks, model, optimizer, criterion, device or plan.device)]
    epoch += [*hooks.epoch_end, *_report(plan)]
    result = "history" if plan.keeps_history else model
    return [*history, f"for epoch in range({bounds}):", *(f"    {line}" for line in epoch), f"return {result}"]


def _batch(plan: Plan, hooks: Hooks, model: str, optimizer: str, criterion: str, device: str) -> list[str]:
    lines = [*hooks.before_update]
    if plan.device:
        lines.append(f"{plan.x}, {plan.y} = {plan.x}.to({device}), {plan.y}.to({device})")
    zero = f"{optimizer}.zero_grad({'set_to_none=True' if plan.to_none else ''})"
    lines += [zero] if plan.zero_first else []
    lines.append(f"{plan.out} = {model}({plan.x})")
    smoothing = f", label_smoothing={plan.smoothing}" if plan.smoothing else ""
    call = (
        f"F.cross_entropy({plan.out}, {plan.y}{smoothing})" if plan.functional else f"{criterion}({plan.out}, {plan.y})"
    )
    lines += [f"loss = {call}", "loss.backward()"]
    lines += [f"nn.utils.clip_grad_norm_({model}.parameters(), {plan.clip})"] if plan.clip else []
    lines += [f"{optimizer}.step()", *hooks.after_update]
    lines += [] if plan.zero_first else [zero]
    weight = f" * len({plan.y})" if plan.counts_correct else ""
    lines.append(f"{plan.total} += loss.item(){weight}")
    if plan.counts_correct:
        lines += [f"correct += ({plan.out}.argmax(1) == {plan.y}).sum().item()", f"seen += len({plan.y})"]
    if plan.index and plan.logs_every:
        lines.append(f"if {plan.index} % {plan.logs_every} == 0:")
        lines.append(f'    print(f"epoch {{epoch}} batch {{{plan.index}}} loss {{loss.item():.4f}}")')
    return lines


def _report(plan: Plan) -> list[str]:
    """The lines that report an epoch."""
    mean = f"{plan.total} / seen" if plan.counts_correct else f"{plan.total} / len({plan.loader})"
    accuracy = " acc {correct / seen:.4f}" if plan.counts_correct else ""
    forms = (
        [f'print(f"epoch {{epoch}}: loss {{{mean}:.4f}}{accuracy}")'],
        [
            f"{plan.total} /= {'seen' if plan.counts_correct else f'len({plan.loader})'}",
            f'print(f"[{{epoch}}] {plan.total}={{{plan.total}:.3f}}{accuracy}")',
        ],
        [f"mean_loss = {mean}", f'print(f"Epoch {{epoch:3d}} | loss {{mean_loss:.4f}}{accuracy}")'],
        [f'print("epoch", epoch, "loss", round({mean}, 4))'],
        [f"avg = {mean}", f'print(f"Epoch {{epoch}}/{{{plan.epochs}}} - loss: {{avg:.4f}}{accuracy}")'],
        [f'print(f"epoch={{epoch}} train_loss={{{mean}:.5f}}{accuracy}", flush=True)'],
    )
    lines = list(forms[plan.report])
    if plan.keeps_history:
        value = {1: plan.total, 2: "mean_loss", 4: "avg"}.get(plan.report, mean)
        lines.append(f"history.append({value})")
    return lines

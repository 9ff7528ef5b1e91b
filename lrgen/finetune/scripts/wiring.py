"""The lines by which the code of a composition drives the learning rate of a script; other schedules to be replaced."""

import ast
import random
from dataclasses import dataclass

from lrgen.finetune.scripts.hooks import Hooks
from lrgen.finetune.scripts.plan import Plan
from lrgen.realisations import Call, Realisation
from lrgen.records import Unit

_LOCALS = frozenset(
    {
        "scheduler",
        "step",
        "loss",
        "epoch",
        "history",
        "group",
        "avg",
        "mean_loss",
        "correct",
        "seen",
        "start",
        "nn",
        "F",
        "torch",
        "time",
        "random",
        "self",
        "it",
        "total_steps",
        "predicted",
        "total",
        "main",
    }
)
CALLS = (Call.SCHEDULER, Call.FACTOR, Call.RATE, Call.SETTER)
"""The calls of code that a script can be driven by."""


@dataclass(frozen=True)
class _Module:
    """The code of a realisation: its imports, the rest, the names that it defines, the arguments of its entry."""

    imports: tuple[tuple[str, tuple[str, ...]], ...]
    body: str
    names: frozenset[str]
    arguments: int


def wired(realisation: Realisation, plan: Plan, unit: Unit, chance: random.Random) -> Hooks | None:
    """Return the lines by which a realisation drives a script; None if their names collide or it cannot be done."""
    module = _module(realisation)
    interface = realisation.interface
    if module is None or interface.call not in CALLS or not interface.takes_lr:
        return None
    if module.names & (_LOCALS | {value for value in vars(plan).values() if isinstance(value, str)} | _NAMES_OF_PARTS):
        return None
    optimizer = f"self.{plan.optimizer}" if plan.in_class else plan.optimizer
    lr = _lr(plan)
    per_batch = unit is Unit.BATCH
    total = f"{plan.epochs} * len({plan.loader})" if per_batch else plan.epochs
    setup: list[str] = []
    if interface.takes_horizon and per_batch and chance.random() < 0.5:
        setup.append(f"total_steps = {total}")
        total = "total_steps"
    horizon = (total,) if interface.takes_horizon else ()
    if interface.call is Call.SCHEDULER:
        name = chance.choice(("scheduler", "scheduler", "scheduler", "lr_scheduler", "sched"))
        setup.append(f"{name} = {interface.entry}({', '.join((optimizer, *horizon))})")
        step = (f"{name}.step()",)
        if name in module.names:
            return None
        return Hooks(
            module.imports,
            module.body,
            tuple(setup),
            after_update=step if per_batch else (),
            epoch_end=() if per_batch else step,
        )
    if len(horizon) and total != "total_steps" and per_batch:
        setup.append(f"total_steps = {total}")
        horizon = ("total_steps",)
    counted, counter, counting = _counter(plan, per_batch, chance)
    setup += counting
    lines = _set(realisation, module, optimizer, counted, horizon, lr)
    if lines is None:
        return None
    if interface.call is Call.SETTER and module.arguments < 3 + len(horizon):
        setup += [f"for group in {optimizer}.param_groups:", '    group["initial_lr"] = group["lr"]']
    return Hooks(
        module.imports,
        module.body,
        tuple(setup),
        epoch_start=() if per_batch else lines,
        before_update=lines if per_batch else (),
        after_update=counter,
    )


def _lr(plan: Plan) -> str:
    if not plan.takes_lr:
        return plan.lr.upper()
    return f"self.{plan.lr}" if plan.in_class else plan.lr


def _counter(plan: Plan, per_batch: bool, chance: random.Random) -> tuple[str, tuple[str, ...], list[str]]:
    """Return the number of the current step, the lines that count it, and those that begin to count."""
    epoch = "epoch" if plan.first == 0 else "epoch - 1"
    if not per_batch:
        return epoch, (), []
    if plan.index and plan.first == 0 and chance.random() < 0.7:
        return f"epoch * len({plan.loader}) + {plan.index}", (), []
    name = chance.choice([name for name in ("step", "global_step", "updates", "iteration") if name != plan.index])
    return name, (f"{name} += 1",), [f"{name} = 0"]


def _set(
    realisation: Realisation, module: _Module, optimizer: str, step: str, horizon: tuple[str, ...], lr: str
) -> tuple[str, ...] | None:
    entry, call = realisation.interface.entry, realisation.interface.call
    if call is Call.SETTER:
        base = (lr,) if module.arguments >= 3 + len(horizon) else ()
        return (f"{entry}({', '.join((optimizer, step, *horizon, *base))})",)
    value = f"{entry}({', '.join((step, *horizon, *((lr,) if call is Call.RATE else ())))})"
    rate = value if call is Call.RATE else f"{lr} * {value}"
    return (f"for group in {optimizer}.param_groups:", f'    group["lr"] = {rate}')


def _module(realisation: Realisation) -> _Module | None:
    tree = ast.parse(realisation.code)
    imports: list[tuple[str, tuple[str, ...]]] = []
    names: set[str] = set()
    begin, arguments = None, 0
    for at, node in enumerate(tree.body):
        if isinstance(node, ast.Import):
            if any(alias.asname for alias in node.names):
                return None
            imports += [(alias.name, ()) for alias in node.names]
            names |= {alias.name.partition(".")[0] for alias in node.names} - {"torch"}
            continue
        if isinstance(node, ast.ImportFrom):
            imports.append((node.module or "", tuple(alias.name for alias in node.names)))
            if any(alias.asname for alias in node.names):
                return None
            names |= {alias.name for alias in node.names} - {"nn"}
            continue
        if at == 0 and isinstance(node, ast.Expr):
            continue
        if begin is None:
            decorators = getattr(node, "decorator_list", None)
            begin = (decorators[0].lineno if decorators else node.lineno) - 1
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        if isinstance(node, ast.FunctionDef) and node.name == realisation.interface.entry:
            arguments = len(node.args.args)
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    if begin is None:
        return None
    lines = realisation.code.splitlines(keepends=True)
    while begin and lines[begin - 1].startswith("#"):
        begin -= 1
    return _Module(tuple(imports), "".join(lines[begin:]), frozenset(names), arguments)


_NAMES_OF_PARTS = frozenset(
    {
        "accuracy",
        "evaluate",
        "validate",
        "test",
        "set_seed",
        "seed_everything",
        "fix_seed",
        "AverageMeter",
        "Average",
        "RunningMean",
        "count_parameters",
        "num_parameters",
        "n_params",
        "init_weights",
        "reset_weights",
        "initialise",
        "DataLoader",
        "TensorDataset",
    }
)


# Schedules to be replaced.


def other(plan: Plan, chance: random.Random) -> Hooks:
    """Return the lines of a schedule as found in scripts, which is to be replaced."""
    optimizer = f"self.{plan.optimizer}" if plan.in_class else plan.optimizer
    lr = _lr(plan)
    name = chance.choice(("scheduler", "scheduler", "lr_scheduler", "sched"))
    by_name = chance.random() < 0.5
    if chance.random() < 0.25:
        return _by_hand(plan, optimizer, lr, chance)
    half = chance.choice((10, 20, 30, 50))
    kind, arguments, per_batch = chance.choice(
        (
            ("StepLR", f"step_size={half}, gamma={chance.choice((0.1, 0.2, 0.5))}", False),
            ("CosineAnnealingLR", f"T_max={plan.epochs}", False),
            ("ExponentialLR", f"gamma={chance.choice((0.9, 0.95, 0.97, 0.99))}", False),
            ("MultiStepLR", f"milestones=[{half}, {2 * half}], gamma=0.1", False),
            ("CosineAnnealingWarmRestarts", f"T_0={half}", False),
            ("OneCycleLR", f"max_lr={lr}, total_steps={plan.epochs} * len({plan.loader})", True),
            ("LinearLR", f"start_factor=0.1, total_iters={10 * half}", True),
            ("PolynomialLR", f"total_iters={plan.epochs}, power=2.0", False),
            ("CosineAnnealingLR", f"T_max={plan.epochs} * len({plan.loader})", True),
            ("ConstantLR", f"factor=0.1, total_iters={half // 10}", False),
        )
    )
    prefix = "" if by_name else "torch.optim.lr_scheduler."
    call = f"{name} = {prefix}{kind}({optimizer}, {arguments})"
    setup = (call,) if len(call) <= 76 else (f"{name} = {prefix}{kind}(", f"    {optimizer}, {arguments}", ")")
    step = (f"{name}.step()",)
    return Hooks(
        (("torch.optim.lr_scheduler", (kind,)),) if by_name else (),
        "",
        setup,
        after_update=step if per_batch else (),
        epoch_end=() if per_batch else step,
    )


def _by_hand(plan: Plan, optimizer: str, lr: str, chance: random.Random) -> Hooks:
    every, factor = chance.choice((10, 20, 30, 40)), chance.choice(("0.1", "0.5", "0.2"))
    if chance.random() < 0.5:
        lines = (f"for group in {optimizer}.param_groups:", f'    group["lr"] = {lr} * {factor} ** (epoch // {every})')
        return Hooks(epoch_start=lines)
    name = chance.choice(("adjust_learning_rate", "adjust_lr", "update_lr"))
    definition = (
        f"def {name}(optimizer, epoch, base):\n"
        f"    lr = base * {factor} ** (epoch // {every})\n"
        '    for group in optimizer.param_groups:\n        group["lr"] = lr\n'
    )
    return Hooks(definitions=definition, epoch_start=(f"{name}({optimizer}, epoch, {lr})",))

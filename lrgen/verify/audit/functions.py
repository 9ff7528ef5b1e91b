"""The function or the class of a plain script that makes a schedule, and the arguments to call it with."""

import ast
import re
from dataclasses import dataclass, field
from typing import Any

from lrgen.verify.checks.cases import BASE_LR
from lrgen.verify.checks.examination import prm_of
from lrgen.verify.checks.observation import EPOCHS

_MAKER = re.compile(r"sched|lr_?policy|warmup|annealing|make_lr")
_OF_STEPS = re.compile(r"^(get_lr|lr_lambda|lr_at|lr_schedule|learning_rate|schedule|adjust_lr|compute_lr|lr_fn)$")
_STEP_NAMES = frozenset({"step", "epoch", "t", "it", "iteration", "current_step", "current_epoch", "i", "e", "n"})
_BASES = frozenset({"LRScheduler", "_LRScheduler"})


@dataclass(frozen=True)
class Maker:
    """A function or class that makes a scheduler for an ``optimizer``, or gives the learning rate of a step.

    ``optimizer`` is the name of that parameter, empty if the function takes a step.
    """

    name: str
    optimizer: str
    keywords: dict[str, Any] = field(default_factory=dict)


def maker_of(tree: ast.Module) -> Maker | str:
    """The first function or class of a script that can be called; the reason if there is none."""
    reason = "it has neither a class Net nor a function that makes a scheduler for an optimizer"
    for node in tree.body:
        parameters = _parameters(node)
        if parameters is None:
            continue
        assert isinstance(node, (ast.FunctionDef, ast.ClassDef))
        optimizer = next((name for name, _ in parameters if name.lower().startswith("opt")), "")
        makes = isinstance(node, ast.ClassDef) or _MAKER.search(node.name.lower())
        of_steps = isinstance(node, ast.FunctionDef) and bool(_OF_STEPS.match(node.name))
        if not (makes and optimizer) and not (of_steps and parameters and parameters[0][0] in _STEP_NAMES):
            continue
        keywords = {}
        rest = parameters if optimizer else parameters[1:]
        for name, needed in rest:
            if name != optimizer and needed:
                value = _value(name.lower())
                if value is None:
                    reason = f"{node.name} takes {name}, for which there is no usual value"
                    break
                keywords[name] = value
        else:
            return Maker(node.name, optimizer, keywords)
    return reason


def _parameters(node: ast.stmt) -> list[tuple[str, bool]] | None:
    """The parameters of a function or of the constructor of a scheduler, and whether they need a value."""
    if isinstance(node, ast.ClassDef):
        bases = {getattr(base, "attr", getattr(base, "id", "")) for base in node.bases}
        inits = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
        if not (bases & _BASES or "sched" in node.name.lower()) or not inits:
            return None
        return _of_arguments(inits[0].args)[1:]
    return _of_arguments(node.args) if isinstance(node, ast.FunctionDef) else None


def _of_arguments(arguments: ast.arguments) -> list[tuple[str, bool]]:
    positional = [*arguments.posonlyargs, *arguments.args]
    needed = len(positional) - len(arguments.defaults)
    parameters = [(argument.arg, at < needed) for at, argument in enumerate(positional)]
    by_name = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return parameters + [(argument.arg, default is None) for argument, default in by_name]


def _value(name: str) -> Any:
    """The usual value of a parameter; None if there is none."""
    if name in ("prm", "config", "cfg", "args", "hparams", "params", "hyperparameters"):
        return prm_of(lr=BASE_LR, epoch_max=EPOCHS)
    if "warm" in name:
        return EPOCHS // 10
    if "min" in name or name.startswith("final"):
        return 0.0
    if "lr" in name.split("_") or "rate" in name:
        return BASE_LR
    if name in ("gamma", "factor", "decay"):
        return 0.1
    if name == "power":
        return 1.0
    if name in ("steps_per_epoch", "batches_per_epoch", "len_loader"):
        return 1
    if name == "step_size":
        return EPOCHS // 3
    if re.search(r"epoch|total|steps|max|horizon|iter|^t$", name):
        return EPOCHS
    return None

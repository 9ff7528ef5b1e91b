"""The interface and the style of the code of a realisation, in words."""

import random
import re
from collections.abc import Iterator

from lrgen.curves.compositions import Composition
from lrgen.finetune.phrasing import phrase
from lrgen.realisations import Call, Interface, Realisation, Style
from lrgen.records import Unit

_CANONICAL = {
    Call.SCHEDULER: ("optimizer",),
    Call.FACTOR: ("step",),
    Call.RATE: ("step",),
    Call.SETTER: ("optimizer", "step"),
    Call.LOOP: ("model", "loader", "epochs"),
}

_BEFORE_TOTAL = {Call.SETTER: 2}

_STYLES = {
    Style.LAMBDA: (
        "Use [`LambdaLR`|PyTorch's `LambdaLR`].",
        "[Write it as a callable for|Build it on] `LambdaLR`.",
        "[Please use|It should use] `torch.optim.lr_scheduler.LambdaLR`.",
        "A `LambdaLR`, please.",
        "Implement it with `LambdaLR`.",
    ),
    Style.SEQUENTIAL: (
        "[Use|Compose] PyTorch's own schedulers, [joined by|chained with] `SequentialLR` if there are several phases.",
        "Use only built-in schedulers of PyTorch, in a `SequentialLR` if there are several.",
        "[Build it from|Combine] torch's scheduler classes, with no class of your own.",
        "Please stay with the scheduler classes that PyTorch has, such as `LinearLR`.",
    ),
    Style.SUBCLASS: (
        "[Write|Make it] a subclass of `LRScheduler` with `get_lr`.",
        "[Subclass|Derive from] `LRScheduler`[ and implement `get_lr`|].",
        "A scheduler class of its own[, derived from `LRScheduler`|], please.",
        "I want a custom `LRScheduler`, not a lambda.",
    ),
    Style.FUNCTION: (
        "No scheduler object, please.",
        "[Write|Use] plain functions, without `torch.optim.lr_scheduler`.",
        "I want a closed-form function, not a scheduler class.",
        "Use [plain |]functions only[, without state|].",
    ),
    Style.TABLE: (
        "[Use|Keep the schedule as] a table of steps and levels[ that is looked up|].",
        "The schedule [is|should be] data: a table of milestones with their levels.",
        "[Store|Put] the points in a table and [interpolate|look up] between them.",
    ),
    Style.TRANSFORMERS: (
        "[Write it|Make it look] like the `get_..._schedule_with_warmup` functions of transformers.",
        "Write it in the style of [Hugging Face transformers'|transformers'] schedule functions.",
        "[Use the pattern of|Follow] transformers' `optimization.py`: a function for the multiplier, then `LambdaLR`.",
    ),
    Style.LIGHTNING: (
        "It is for PyTorch Lightning.",
        "We [use|train with] Lightning.",
        "[Put it in|Write it as] a `LightningModule`.",
    ),
    Style.LOOP: (
        "[Put it directly into|Write it as] a plain training loop, without a scheduler object.",
        "No scheduler object: [set|compute] the learning rate in the training loop.",
        "I want a [simple|plain] PyTorch loop that sets the learning rate itself.",
    ),
}
_SCHEDULERS = (
    "`{signature}` [returns|should return|must return] the scheduler{stepped}.",
    "[Write|I need|Define] `{signature}`, which returns the scheduler{stepped}.",
    "Signature: `{signature}`; it returns the scheduler{stepped}.",
    "The function is `{signature}` and returns [an LR scheduler|the scheduler]{stepped}.",
)
_CLASSES = (
    "[The class is|It is created as] `{signature}`{stepped}.",
    "[Name|Call] the class `{entry}`; it is created as `{signature}`{stepped}.",
    "I want to write `scheduler = {signature}`{stepped}.",
)
_STEPPED = (
    "",
    ", which is stepped once per {unit}",
    "; `step()` is called after each {unit}",
    ", with one `step()` per {unit}",
)
_FACTORS = (
    "`{signature}` returns the {multiplier} at that step.",
    "[Write|I need] `{signature}`, which returns the {multiplier}.",
    "Signature: `{signature}`; the result is the {multiplier}.",
)
_RATES = (
    "`{signature}` returns the {rate} at that step.",
    "[Write|I need] `{signature}`, which returns the {rate}.",
    "Signature: `{signature}`; the result is the {rate}, not a multiplier.",
)
_SETTERS = (
    "`{signature}` sets the learning rate of [each parameter group|all parameter groups].",
    "[Write|I need] `{signature}`, which sets `lr` in each of `optimizer.param_groups`.",
    "Signature: `{signature}`; it [writes|assigns] the learning rate of every parameter group.",
    "The training loop will call `{signature}` before each {unit}.",
)
_LOOPS = (
    "`{signature}` trains the model with this schedule.",
    "[Write|I need] `{signature}`, a [complete|minimal] training loop.",
    "The function is `{signature}`; it trains the model and sets the learning rate itself.",
)
_LIGHTNINGS = (
    "The class is `{entry}`; the schedule is in its `configure_optimizers`.",
    "[Write|I need] `{entry}` with `configure_optimizers`; it is created without arguments.",
    "`configure_optimizers` of `{entry}` returns the optimizer and the scheduler[, with the right interval|].",
)
_BASES = (
    "The optimizer is created with the base learning rate.",
    "The optimizer's own `lr` is the base learning rate.",
    "The base learning rate is that of [the optimizer|each parameter group].",
)


def signature(realisation: Realisation) -> str:
    """Return how the code is called, with the names of its arguments: ``make_scheduler(optimizer, num_steps)``."""
    return f"{realisation.interface.entry}({', '.join(_names(realisation))})"


def _names(realisation: Realisation) -> list[str]:
    """The names of the arguments that the code is called with."""
    called = realisation.interface
    if called.call is Call.LIGHTNING:
        return []
    usual = [
        *_CANONICAL[called.call],
        *(["total_steps"] if called.takes_horizon and called.call is not Call.LOOP else []),
    ]
    usual += ["base_lr"] if called.takes_lr and called.call in (Call.RATE, Call.LOOP) else []
    names = list(_arguments(realisation.code, called.entry))
    return names if len(names) >= len(usual) else usual


def total(realisation: Realisation, composition: Composition) -> str:
    """Return the name of the number of steps that the code takes: an argument, or what the training knows."""
    called = realisation.interface
    if called.call in (Call.LOOP, Call.LIGHTNING):
        return f"the number of {'epochs' if composition.unit is Unit.EPOCH else 'batches'}"
    return f"`{_names(realisation)[_BEFORE_TOTAL.get(called.call, 1)]}`" if called.takes_horizon else ""


def interface(realisation: Realisation, composition: Composition, chance: random.Random) -> str:
    """Return sentences on how the code is called, and what comes of it."""
    called, unit = realisation.interface, composition.unit.value
    grouped = len(composition.groups) > 1
    stepped = chance.choice(_STEPPED).replace("{unit}", unit) if called.call is Call.SCHEDULER else ""
    text = phrase(
        chance.choice(_templates(called, f"class {called.entry}" in realisation.code)),
        chance,
        signature=signature(realisation),
        entry=called.entry,
        stepped=stepped,
        unit=unit,
        multiplier="list of multipliers of the parameter groups" if grouped else "multiplier of the base learning rate",
        rate="list of learning rates of the parameter groups" if grouped else "learning rate",
    )
    return " ".join(filter(None, (text, _base(realisation, chance))))


def style(realisation: Realisation, chance: random.Random) -> str:
    """Return a sentence that asks for the style of a realisation."""
    return phrase(chance.choice(_STYLES[realisation.style]), chance)


def _templates(called: Interface, is_class: bool) -> tuple[str, ...]:
    match called.call:
        case Call.SCHEDULER:
            return _CLASSES if is_class else _SCHEDULERS
        case Call.FACTOR:
            return _FACTORS
        case Call.RATE:
            return _RATES
        case Call.SETTER:
            return _SETTERS
        case Call.LOOP:
            return _LOOPS
        case Call.LIGHTNING:
            return _LIGHTNINGS


def _base(realisation: Realisation, chance: random.Random) -> str:
    """Where the base learning rate comes from, where neither the signature nor the words say it."""
    called = realisation.interface
    if called.call is Call.SCHEDULER and called.takes_lr and chance.random() < 0.3:
        return phrase(chance.choice(_BASES), chance)
    return ""


def _arguments(code: str, entry: str) -> Iterator[str]:
    """Yield the names of the arguments of a function, or of the constructor of a class, that have no default."""
    match = re.search(rf"^def {entry}\((.*?)\)(?: ->.*?)?:$", code, re.DOTALL | re.MULTILINE)
    if match is None and (begin := code.find(f"class {entry}")) >= 0:
        match = re.compile(r"^ {4}def __init__\((.*?)\)(?: ->.*?)?:$", re.DOTALL | re.MULTILINE).search(code, begin)
    if match is None:
        return
    depth, argument = 0, ""
    for character in f"{match[1]},":
        depth += (character in "[(") - (character in "])")
        if character == "," and depth == 0:
            name = argument.split(":")[0].strip()
            if name and name not in ("self", "*", "/") and "=" not in argument:
                yield name
            argument = ""
        else:
            argument += character

"""Sentences on how the code of an answer is called: its name, its arguments, and what it does."""

import random

from lrgen.curves.compositions import Composition
from lrgen.finetune.instructions.realised.calls import parameters
from lrgen.finetune.phrasing import phrase
from lrgen.realisations import Call, Realisation


def sentence(realisation: Realisation, composition: Composition, chance: random.Random) -> str:
    """Return a sentence on the function or class that the code must define."""
    interface = realisation.interface
    is_class = f"class {interface.entry}" in realisation.code
    what = _CLASS_OF_SCHEDULER if is_class and interface.call is Call.SCHEDULER else _WHAT[interface.call]
    does = phrase(chance.choice(what), chance).replace("%u", composition.unit.value)
    text = phrase(
        chance.choice(_SENTENCES),
        chance,
        signature=f"`{signature(realisation)}`",
        what=f"{does[0].lower()}{does[1:]}",
    )
    return text if interface.takes_lr else f"{text} {_own_lr(composition, chance)}"


def signature(realisation: Realisation) -> str:
    """Return how the code is called: ``set_lr(optimizer, step, total_steps, base_lr)``."""
    interface = realisation.interface
    names = {
        Call.SCHEDULER: ["optimizer"],
        Call.FACTOR: ["step"],
        Call.RATE: ["step"],
        Call.SETTER: ["optimizer", "step"],
        Call.LIGHTNING: [],
        Call.LOOP: ["model", "loader", "epochs"],
    }[interface.call]
    own = parameters(realisation.code, interface.entry)
    if own:
        needed = len(names) + (interface.takes_horizon and interface.call not in (Call.LOOP, Call.LIGHTNING))
        needed += interface.takes_lr and interface.call in (Call.RATE, Call.SETTER, Call.LOOP)
        return f"{interface.entry}({', '.join(own[:needed])})"
    total = ["total_steps"] if interface.takes_horizon and interface.call is Call.SCHEDULER else []
    return f"{interface.entry}({', '.join([*names, *total])})"


def _own_lr(composition: Composition, chance: random.Random) -> str:
    lr = f"{float(composition.base_lr):g}"
    return phrase(
        chance.choice(("The base learning rate, {lr}, is part of the code.", "The code contains the base rate {lr}.")),
        chance,
        lr=lr,
    )


_SENTENCES = (
    "[Define|The code defines] {signature}: it {what}.",
    "[The entry point is|Its interface is|Interface:] {signature}; it {what}.",
    "{signature} {what}.",
    "[I call|We call|The caller uses] {signature}, which {what}.",
    "[Name|Call] it {signature}; it {what}.",
)

_WHAT = {
    Call.SCHEDULER: (
        "returns the scheduler",
        "returns a scheduler for the optimizer",
        "creates and returns the scheduler, which is stepped once per %u",
    ),
    Call.FACTOR: (
        "returns the multiplier of the base learning rate",
        "returns the factor of the base learning rate in that %u",
    ),
    Call.RATE: ("returns the learning rate", "returns the learning rate of that %u"),
    Call.SETTER: (
        "sets the learning rate of each parameter group",
        "writes the learning rate of that %u into `optimizer.param_groups`",
    ),
    Call.LIGHTNING: (
        "is a `LightningModule` that is created without arguments; `configure_optimizers` returns the optimizer "
        "and the scheduler, stepped once per %u",
    ),
    Call.LOOP: (
        "trains the model and sets the learning rate for each %u",
        "is the training loop, with a new learning rate in every %u",
    ),
}
_CLASS_OF_SCHEDULER = (
    "is the scheduler (a class)",
    "is a scheduler class, whose objects are stepped once per %u",
)

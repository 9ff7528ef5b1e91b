"""Sentences on how the code of a composition is called: its arguments, and what a step is."""

import random
import re
from dataclasses import dataclass

from lrgen.curves.compositions import Composition
from lrgen.finetune.phrasing import forms, phrase
from lrgen.realisations import Call, Interface, Realisation
from lrgen.records import Unit

_MAX_EPOCHS = 100
_MIN_BATCHES = 4
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


@dataclass(frozen=True)
class Setting:
    """A call of code: the horizon, the base learning rate, and the parameter group in question."""

    realisation: Realisation
    composition: Composition
    horizon: int
    lr: float
    group: int = 0

    @property
    def interface(self) -> Interface:
        """The form of the call."""
        return self.realisation.interface

    @property
    def unit(self) -> str:
        """The unit of a step: epoch or batch."""
        return self.composition.unit.value

    @property
    def has_groups(self) -> bool:
        """Whether the optimizer has several parameter groups."""
        return len(self.composition.groups) > 1

    def of_group(self, chance: random.Random) -> str:
        """Return which group is meant, after "learning rate": `` of the second parameter group``; empty for one."""
        if not self.has_groups:
            return ""
        ordinal = _ORDINALS[self.group]
        return chance.choice(
            (
                f" of the {ordinal} parameter group",
                f" of parameter group {self.group} (counted from 0)",
                f" of `optimizer.param_groups[{self.group}]`",
            )
        )


def sentences(setting: Setting, chance: random.Random) -> str:
    """Return the sentences that fix every learning rate of the code: its arguments, and the meaning of step n."""
    interface = setting.interface
    templates = _TEMPLATES[interface.call]
    epochs, batches = _loop(setting, chance) if interface.call is Call.LOOP else (0, 0)
    text = phrase(
        chance.choice(templates),
        chance,
        call=_call(setting, "n", epochs),
        entry=interface.entry,
        optimizer=_optimizer(setting),
        lr=lr_text(setting.lr, chance),
        unit=setting.unit,
        units=f"{setting.unit}{'es' if setting.composition.unit is Unit.BATCH else 's'}",
        horizon=str(setting.horizon),
        batches=str(batches),
        counting=phrase(chance.choice(_COUNTING), chance),
    )
    return f"{text} {_trainer(setting, chance)}".strip()


def lr_text(lr: float, chance: random.Random) -> str:
    """Return a learning rate in one of its forms."""
    return chance.choice([text for text in forms(lr) if not set(text) & {"/", "%"}])


def parameters(code: str, name: str) -> list[str]:
    """Return the names of the parameters of a function or class of some code, in order."""
    pattern = rf"^def {name}\(|^class {name}\b(?:(?!^\S).*\n)*?    def __init__\(self,? ?"
    signature = re.search(pattern, code, re.MULTILINE)
    names, depth, word = [], 0, ""
    for character in code[signature.end() :] if signature else "":
        if character in ")" and depth == 0:
            break
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            names.append(word)
            word = ""
        else:
            word += character
    own = (each.split(":")[0].split("=")[0].strip() for each in (*names, word))
    return [each for each in own if each and each not in "*/"]


def _call(setting: Setting, step: str, epochs: int) -> str:
    """Return the call of the code, as written in Python."""
    interface, lr = setting.interface, repr(setting.lr)
    total = [str(setting.horizon)] if interface.takes_horizon else []
    base = [lr] if interface.takes_lr else []
    match interface.call:
        case Call.SCHEDULER:
            arguments = ["optimizer", *total]
        case Call.FACTOR:
            arguments = [step, *total]
        case Call.RATE:
            arguments = [step, *total, *base]
        case Call.SETTER:
            given = len(parameters(setting.realisation.code, interface.entry)) > 2 + len(total)
            arguments = ["optimizer", step, *total, *(base if given else [])]
        case Call.LIGHTNING:
            arguments = []
        case Call.LOOP:
            arguments = ["model", "loader", str(epochs), *base]
    return f"{interface.entry}({', '.join(arguments)})"


def _optimizer(setting: Setting) -> str:
    """Return the optimizer of a call: ``an optimizer (lr=0.1, 2 parameter groups)``."""
    lr = f"lr={setting.lr!r}" if setting.interface.takes_lr else ""
    count = f"{len(setting.composition.groups)} parameter groups" if setting.has_groups else ""
    own = ", ".join(filter(None, (lr, count)))
    return f"an optimizer ({own})" if own else "an optimizer"


def _loop(setting: Setting, chance: random.Random) -> tuple[int, int]:
    """Return the epochs and batches per epoch of a training loop."""
    horizon = setting.horizon
    if setting.composition.unit is Unit.EPOCH:
        return horizon, chance.choice((10, 20, 50, 100, 196, 391))
    pairs = [
        (count, horizon // count)
        for count in range(1, min(horizon, _MAX_EPOCHS) + 1)
        if horizon % count == 0 and horizon // count >= _MIN_BATCHES
    ]
    return chance.choice(pairs or [(1, horizon)])


def _trainer(setting: Setting, chance: random.Random) -> str:
    """Return the number of steps that a LightningModule reads from its trainer."""
    interface = setting.interface
    if interface.call is not Call.LIGHTNING or not interface.takes_horizon:
        return ""
    code = setting.realisation.code
    names = [name for name in ("estimated_stepping_batches", "max_steps", "max_epochs") if f"trainer.{name}" in code]
    if not names:
        return f"Training has {setting.horizon} steps in all."
    return f"`trainer.{names[0]}` is {setting.horizon}."


_COUNTING = (
    "Step 0 is before the first call of `scheduler.step`, step n after n calls.",
    "Step n means after n calls of `scheduler.step`; step 0 is [before any call|the initial state].",
    "[Count|I count] steps by calls of `scheduler.step`: 0 before the first one, n after n of them.",
    "The number of a step is the number of calls of `scheduler.step` so far, [starting at|from] 0.",
)

_TEMPLATES = {
    Call.SCHEDULER: (
        "`{call}` is called with {optimizer}, and `scheduler.step()` once per {unit}. {counting}",
        "The scheduler comes from `{call}`, with {optimizer}; it is stepped once per {unit}. {counting}",
        "[I create|We create] the scheduler by `{call}` with {optimizer} and step it after every {unit}. {counting}",
        "The run has {optimizer} and `scheduler = {call}`, stepped once per {unit}. {counting}",
        "[Assume|Suppose|Take] {optimizer}, `scheduler = {call}`, and one `scheduler.step()` per {unit}. {counting}",
    ),
    Call.FACTOR: (
        "The learning rate of step n is `{call}` times the base learning rate, {lr}; a step is one {unit}.",
        "At step n, counted in {units} from 0, the learning rate is {lr} * `{call}`.",
        "The base learning rate is {lr}, and `{call}` is its multiplier [at|in] {unit} n (from 0).",
        "[Assume|Suppose|Take] a base learning rate of {lr}. Its multiplier in {unit} n, from 0, is `{call}`.",
    ),
    Call.RATE: (
        "The learning rate of step n is `{call}`; steps are {units}, counted from 0.",
        "`{call}` is the learning rate in {unit} n, [counted|counting] from 0.",
        "[Before|In] each {unit} n (from 0) the loop sets the learning rate to `{call}`.",
        "[The training loop|The loop] calls `{call}` in {unit} n; the first {unit} has n = 0.",
    ),
    Call.SETTER: (
        "Before {unit} n, counted from 0, the loop calls `{call}` with {optimizer}.",
        "`{call}` is called at the start of {unit} n (the first one is 0), with {optimizer}.",
        "At step n, which is {unit} n counted from 0, `{call}` is called with {optimizer}.",
        "[The training loop|The loop] has {optimizer} and calls `{call}` before every {unit}; n starts at 0.",
    ),
    Call.LIGHTNING: (
        "The scheduler is that of `{call}.configure_optimizers()`, stepped once per {unit}. {counting}",
        "`{entry}()` is trained with Lightning, which steps the scheduler once per {unit}. {counting}",
        "Lightning calls `configure_optimizers` of `{entry}()` and then steps the scheduler after each {unit}. "
        "{counting}",
    ),
    Call.LOOP: (
        "`{call}` is called with a loader of {batches} batches. Step n is {unit} n of the training, counted from 0.",
        "The training is `{call}`, where `len(loader)` is {batches}; step n is [its|the] {unit} number n, from 0.",
        "[I run|We run] `{call}`. The loader has {batches} batches. Steps are {units} of the whole run, from 0.",
    ),
}

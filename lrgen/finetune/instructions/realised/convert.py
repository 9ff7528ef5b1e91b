"""Requests of task convert about the code of compositions: another way to write it, or another unit."""

import random

from lrgen.curves.compositions import Composition
from lrgen.finetune import wording
from lrgen.finetune.instructions.realised import interface
from lrgen.finetune.phrasing import phrase
from lrgen.realisations import Call, Realisation, Style
from lrgen.records import Unit


def to_style(before: Realisation, after: Realisation, composition: Composition, chance: random.Random) -> str:
    """Return a request to write a schedule in another style."""
    target = phrase(chance.choice(_STYLES[after.style]), chance)
    target = target if target.startswith("PyTorch") else f"{target[0].lower()}{target[1:]}"
    opener = phrase(chance.choice(_OPENERS), chance, target=target)
    details = [phrase(chance.choice(_SAME), chance), interface.sentence(after, composition, chance)]
    if not before.interface.takes_lr and after.interface.takes_lr:
        details.append("The base learning rate is now the caller's.")
    if composition.unit.value not in details[1]:
        details.append(phrase(chance.choice(_STEPS), chance, unit=composition.unit.value))
    if before.interface.call is Call.LOOP and after.interface.call is not Call.LOOP:
        details.append(
            phrase(chance.choice(_ENDS), chance, level=_last_level(composition), unit=composition.unit.value)
        )
    return _request(before, opener, " ".join(details), chance)


def to_scaling(before: Realisation, after: Realisation, composition: Composition, chance: random.Random) -> str:
    """Return a request to make the number of steps of code for one horizon an argument."""
    fields = _fields(composition)
    opener = phrase(chance.choice(_SCALING), chance, **fields)
    details = [
        phrase(chance.choice(_KEPT_FRACTIONS), chance, **fields),
        phrase(chance.choice(_ROUNDED), chance, **fields) if len(composition.phases) > 1 else "",
        interface.sentence(after, composition, chance),
    ]
    return _request(before, opener, " ".join(filter(None, details)), chance)


def to_fixed(before: Realisation, after: Realisation, composition: Composition, chance: random.Random) -> str:
    """Return a request to write code that takes the number of steps for one horizon, that of ``composition``."""
    fields = _fields(composition)
    opener = phrase(chance.choice(_FIXED), chance, **fields)
    details = [phrase(chance.choice(_WHOLE), chance, **fields), interface.sentence(after, composition, chance)]
    return _request(before, opener, " ".join(details), chance)


def to_unit(
    before: Realisation, after: Realisation, composition: Composition, batches: int, chance: random.Random
) -> str:
    """Return a request to step code once per batch instead of per epoch, or the other way; each has ``batches``."""
    fields = _fields(composition) | {"count": str(batches), "old": _other(composition.unit)}
    templates, notes = (_TO_BATCHES, _IN_BATCHES) if composition.unit is Unit.BATCH else (_TO_EPOCHS, _IN_EPOCHS)
    opener = phrase(chance.choice(templates), chance, **fields)
    details = [phrase(chance.choice(notes), chance, **fields), interface.sentence(after, composition, chance)]
    return _request(before, opener, " ".join(details), chance)


def _request(before: Realisation, opener: str, details: str, chance: random.Random) -> str:
    return phrase(
        chance.choice(_LAYOUTS),
        chance,
        code=wording.fenced(before.code),
        opener=opener,
        details=details,
        answer=phrase(chance.choice(_CODE_ONLY), chance),
    )


def _fields(composition: Composition) -> dict[str, str]:
    unit = composition.unit
    return {
        "horizon": str(composition.horizon),
        "unit": unit.value,
        "units": _plural(unit),
        "olds": _plural(Unit.EPOCH if unit is Unit.BATCH else Unit.BATCH),
    }


def _last_level(composition: Composition) -> str:
    """Return the learning rate past the end: ``0``, ``0.01 times the base learning rate``."""
    level = composition.phases[-1].end * composition.repeat_decay ** (composition.repeats - 1)
    number = f"{float(level):.12g}" if float(f"{float(level):.12g}") == float(level) else repr(float(level))
    return {"0": "0", "1": "the base learning rate"}.get(number, f"{number} times the base learning rate")


def _plural(unit: Unit) -> str:
    return "batches" if unit is Unit.BATCH else "epochs"


def _other(unit: Unit) -> str:
    return "epoch" if unit is Unit.BATCH else "batch"


_LAYOUTS = (
    "{opener} {details} {answer}\n\n{code}",
    "{opener} {details}\n\n{code}\n\n{answer}",
    "{opener}\n\n{code}\n\n{details} {answer}",
    "{code}\n\n{opener} {details} {answer}",
    "{opener} {answer}\n\n{code}\n\n{details}",
    "{opener}\n\n{details}\n\n{code}\n\n{answer}",
)

_OPENERS = (
    "[Write|Implement] [the same schedule|this schedule] as {target}.",
    "Rewrite this [code|schedule] as {target}.",
    "Convert [this schedule|this code] to {target}.",
    "Port this schedule to {target}.",
    "Refactoring: [we want|I want] {target}.",
    "[Please |]turn this into {target}.",
    "[Can|Could] you [write|rewrite] this schedule as {target}?",
    "What would this schedule look like as {target}?",
    "[We|I] want to have this schedule as {target}.",
    "[Review comment|From the review]: make this {target}.",
    "[Our style guide asks for|Our conventions require|We have agreed on] {target}; [convert|adapt] this code.",
    "[For consistency with|To match] the rest of the [project|code base], [make it|write it as] {target}.",
    "[I need|We need] an equivalent of this code: {target}.",
    "[Express|Formulate] this schedule as {target}.",
    "Same schedule, other code: {target}.",
    "Translate [this|the] code [to|into] {target}.",
    "[Migrate|Move] this schedule to {target}.",
    "[TODO|Ticket]: [rewrite|port] the schedule [below|]. Target: {target}.",
    "[Change|Switch] this code to {target}.",
    "[Give|Show] me [a version|an equivalent] of this code as {target}.",
    "[Task|Exercise]: write this schedule again, as {target}.",
    "[What is|What would be] the equivalent of this code as {target}?",
    "[Redo|Reimplement] this as {target}.",
    "[Hi|Hello], [can|could] you port this schedule to {target}?",
    "This code works, but I [would prefer|prefer] {target}.",
    "Before the merge, this should become {target}.",
    "Our trainer [only accepts|expects] {target}. This is what I have.",
    "The other repository [uses|has] {target}; carry this schedule over.",
    "Replace this [implementation|code] with {target}.",
)

_STYLES = {
    Style.LAMBDA: (
        "[a function|a callable] for `LambdaLR`",
        "a `LambdaLR` with a function of the step",
        "`LambdaLR` with [a callable|a function] that returns the multiplier",
        "a [multiplier|factor] function in a `LambdaLR`",
    ),
    Style.SEQUENTIAL: (
        "a `SequentialLR` of PyTorch's own schedulers",
        "PyTorch's [built-in|own] schedulers in a `SequentialLR`",
        "[built-in|native] `torch.optim.lr_scheduler` classes, chained with `SequentialLR`",
    ),
    Style.SUBCLASS: (
        "a subclass of `LRScheduler` with `get_lr`",
        "an `LRScheduler` subclass [that overrides|with its own] `get_lr`",
        "a scheduler class of our own, derived from `LRScheduler`",
    ),
    Style.FUNCTION: (
        "[a plain function|plain functions] without a scheduler class, setting the `lr` of `optimizer.param_groups`",
        "a function [of the step|] that [sets|assigns] the learning rate in `param_groups`, without `lr_scheduler`",
        "plain code without `torch.optim.lr_scheduler`: a function of the step",
    ),
    Style.TABLE: (
        "a table of [steps and levels|knots], with interpolation between them",
        "[data|a table] instead of branches: knots [that are|to be] interpolated",
        "a list of (step, level) points and linear interpolation",
    ),
    Style.TRANSFORMERS: (
        "a `get_..._schedule` function [in the style of|as in] transformers, with `LambdaLR`",
        "a function [like|in the style of] transformers' `get_cosine_schedule_with_warmup`",
    ),
    Style.LIGHTNING: (
        "the `configure_optimizers` of a `LightningModule`",
        "a `LightningModule` whose `configure_optimizers` returns the scheduler",
    ),
    Style.LOOP: (
        "part of a plain training loop, without a scheduler object",
        "a training loop that sets the learning rate itself",
    ),
}

_SAME = (
    "The learning rate must [be|stay] the same at every step.",
    "Do not change the learning rate at any step.",
    "[Every|Each] learning rate [stays|must stay] [as it is|the same].",
    "[All learning rates|The learning rates at all steps] must stay unchanged, also past the end.",
    "The curve must not change.",
    "It must give exactly the same learning rates.",
    "[Same|Identical] numbers at each step, please.",
)

_STEPS = (
    "A step is [still|] one {unit}.",
    "Steps are counted per {unit}, as before.",
    "The schedule is [still |]stepped once per {unit}.",
)

_ENDS = (
    "[Past the end|After the last {unit}], which the loop does not reach, the learning rate [stays at|is] {level}.",
    "[After the end|Past the last {unit}], it [stays|is held] at {level}.",
    "Steps past the end get {level}.",
)

_SCALING = (
    "This schedule is hard-wired to {horizon} {units}. Make the number of {units} an argument.",
    "[Generalise|Generalize] this schedule from {horizon} {units} to any number of {units}.",
    "[Parametrise|Parametrize] this code by the [total|planned] number of {units}, now {horizon}.",
    "The step counts in this code are for {horizon} {units}. [I need|We need] fractions of the horizon instead.",
    "Convert the absolute step counts of this code to fractions of the total, which is {horizon} here.",
    "Our runs [no longer all have|do not all have] {horizon} {units}. [Adapt|Change] this schedule to the length of "
    "the run.",
    "Let this schedule scale with the length of training; it is written for {horizon} {units}.",
    "[From steps to fractions|Steps → fractions]: this code assumes {horizon} {units}.",
    "[Review comment|From the review]: no hard-coded {horizon}; take the number of {units} from the caller.",
    "What does this code look like if the horizon of {horizon} {units} is an argument?",
    "Remove the fixed horizon ({horizon} {units}) from this code.",
    "[I want|We want] to [reuse|use] this schedule for shorter and longer runs than {horizon} {units}.",
)

_KEPT_FRACTIONS = (
    "Each phase keeps its fraction of training.",
    "All phases keep their fractions of the whole.",
    "Phase lengths scale in proportion.",
    "[The proportions|Proportions] of the phases stay as they are at {horizon}.",
)

_ROUNDED = (
    "Round boundaries to the nearest step.",
    "Boundaries that are no whole number of steps are rounded to the nearest one.",
    "Phase boundaries are round(fraction * number of steps).",
)

_FIXED = (
    "Specialise this schedule to [a run of|] {horizon} {units}.",
    "[Fix|Freeze] the horizon of this code at {horizon} {units}, with plain step numbers.",
    "[We|I] only ever train for {horizon} {units}. Write the schedule with absolute step numbers.",
    "Convert the fractions in this code to numbers of {units}, for {horizon} in all.",
    "[From fractions to steps|Fractions → steps]: the run has {horizon} {units}.",
    "Evaluate the fractions of this schedule for {horizon} {units}, and remove the argument.",
    "Write this for exactly {horizon} {units}: the boundaries become constants.",
    "[The paper lists|Our protocol lists] step numbers, not fractions. Give me this schedule for {horizon} {units}.",
    "Inline the horizon: it is {horizon} {units}, always.",
    "What is this schedule in absolute {units} if training has {horizon}?",
    "I want to read this schedule in {units}, not in fractions; there are {horizon}.",
    "Hard-code {horizon} {units} in this schedule.",
)

_WHOLE = (
    "The code no longer takes the number of steps.",
    "There is no argument for the number of steps anymore.",
    "All boundaries are whole numbers there.",
    "The learning rates are those of the given code at this horizon, also past its end.",
)

_TO_BATCHES = (
    "This schedule is stepped once per epoch. [I need|We need] it per batch, with {count} batches per epoch.",
    "Convert this schedule from epochs to batches; an epoch has {count} batches.",
    "[Epochs → batches|From epochs to batches]: {count} batches per epoch.",
    "The scheduler is now stepped after every batch instead of every epoch. An epoch has {count} batches; adapt the "
    "code.",
    "Make this schedule smooth within an epoch: step it per batch ({count} per epoch).",
    "Our loop steps per batch, this code counts epochs. With {count} batches in an epoch, [rewrite|convert] it.",
    "Count batches instead of epochs in this code. One epoch is {count} batches.",
    "Change the unit of this schedule to batches, {count} of which are an epoch.",
    "What does this look like with one step per batch, for {count} batches per epoch?",
    "[Ticket|TODO]: move this schedule from epoch to batch granularity. The loader has {count} batches.",
    "[I am switching|We are switching] to per-batch stepping with `len(loader)` = {count}. Convert the schedule.",
)

_IN_BATCHES = (
    "All lengths are {count} times as many steps, {horizon} in all; within a phase, progress is counted in batches.",
    "Every boundary moves to {count} times its number; there are {horizon} batches in all. Progress within a phase "
    "is that of the batches.",
    "Training then has {horizon} steps: multiply each length by {count} and compute progress per batch.",
)

_TO_EPOCHS = (
    "This schedule is stepped once per batch. [I need|We need] it per epoch; an epoch has {count} batches.",
    "Convert this schedule from batches to epochs of {count} batches.",
    "[Batches → epochs|From batches to epochs]: {count} batches per epoch.",
    "The scheduler is now stepped after every epoch instead of every batch. An epoch has {count} batches; adapt the "
    "code.",
    "Our loop steps per epoch, this code counts batches. With {count} batches in an epoch, [rewrite|convert] it.",
    "Count epochs instead of batches in this code. One epoch is {count} batches.",
    "Change the unit of this schedule to epochs of {count} batches.",
    "What does this look like with one step per epoch, for {count} batches per epoch?",
    "[Ticket|TODO]: move this schedule from batch to epoch granularity. The loader has {count} batches.",
    "[I am switching|We are switching] to per-epoch stepping with `len(loader)` = {count}. Convert the schedule.",
)

_IN_EPOCHS = (
    "All lengths are divided by {count}, which leaves {horizon} steps in all.",
    "Every boundary moves to its number divided by {count}; there are {horizon} epochs in all.",
    "Training then has {horizon} steps: divide each length by {count}.",
)

_CODE_ONLY = (
    "[Answer|Reply] with the code[ only|, imports included].",
    "[Show|Give] all of the code, imports included.",
    "[Return|Send] the whole [snippet|code].",
    "[Just|Only] the [code|new code], please.",
    "No explanation[, just the code|; the code is enough].",
)

"""Requests of task convert: the code, the form that it must get, and what must not change."""

import random

from lrgen.finetune import wording
from lrgen.finetune.phrasing import phrase


def of_schedule(code: str, target: str, notes: str, chance: random.Random) -> str:
    """Return a request to convert a schedule without a network; ``notes`` is what else must hold."""
    return _request(code, target, notes, chance, _OPENERS, _CODE_ONLY)


def of_file(code: str, target: str, notes: str, chance: random.Random) -> str:
    """Return a request to convert the schedule of a whole file."""
    return _request(code, target, notes, chance, (*_OPENERS, *_OPENERS_OF_FILES), _WHOLE_FILE)


def form(name: str, chance: random.Random) -> str:
    """Return a description of a form of code (lrgen.finetune.forms)."""
    text = phrase(chance.choice(_FORMS[name]), chance)
    return f"{text[0].lower()}{text[1:]}"


def _request(
    code: str, target: str, notes: str, chance: random.Random, openers: tuple[str, ...], closers: tuple[str, ...]
) -> str:
    return phrase(
        chance.choice(_LAYOUTS),
        chance,
        code=wording.fenced(code),
        opener=phrase(chance.choice(openers), chance, target=target),
        details=f"{phrase(chance.choice(_SAME), chance)} {notes}",
        answer=phrase(chance.choice(closers), chance),
    )


def title(name: str, chance: random.Random) -> str:
    """Return a sentence that fixes what the converted code records as its schedule."""
    return phrase(chance.choice(_TITLES), chance, schedule=f'`scheduler.schedule = ("{name}", total_steps)`')


def kept(chance: random.Random) -> str:
    """Return a sentence that the recorded schedule is that of the given code."""
    return phrase(chance.choice(_KEPT), chance)


_LAYOUTS = (
    "{opener} {details} {answer}\n\n{code}",
    "{opener} {details}\n\n{code}\n\n{answer}",
    "{opener}\n\n{code}\n\n{details} {answer}",
    "{code}\n\n{opener} {details} {answer}",
    "{opener} {answer}\n\n{code}\n\n{details}",
)

_OPENERS = (
    "[Write|Implement] [the same schedule|this schedule] with {target}.",
    "Rewrite this [`make_scheduler`|scheduler] [to use|with] {target}.",
    "Convert [this schedule|the scheduler] to {target}.",
    "Port this scheduler to {target}.",
    "[Refactor|Refactoring]: [use|build the schedule with] {target}.",
    "[Please |]replace the implementation of this scheduler with {target}.",
    "[Can|Could] you [write|rewrite] this schedule with {target}?",
    "How would this schedule look with {target}?",
    "[We|I] want to [build|write] this schedule with {target}.",
    "[Review comment|From the review]: [this should use|use] {target}.",
    "[Our style guide asks for|Our conventions require|We have agreed on] {target}; [convert|adapt] this code.",
    "[The scheduler|This scheduler] has to be [rewritten|implemented] with {target}.",
    "[For consistency with|To match] our other schedulers, [this one has to use|use] {target}.",
    "[I need|We need] an equivalent of this scheduler [that is built with|based on] {target}.",
    "Express the schedule of this code with {target}.",
    "Same schedule, other implementation: {target}.",
    "Translate [this|the] scheduler code [to|into] {target}.",
    "[Migrate|Move] this scheduler to {target}.",
    "[TODO|Ticket]: [rewrite|port] the scheduler [below|]. Target: {target}.",
    "[Change|Switch] the implementation of this schedule to {target}.",
    "[Give|Show] me [a version|an equivalent] of this scheduler with {target}.",
    "[I would like to|I'd like to] see this [scheduler|schedule] [implemented|written] with {target}.",
    "[Task|Exercise]: reimplement this schedule. Use {target}.",
    "[What is|What would be] the equivalent of this [code|scheduler] with {target}?",
    "[Reimplement|Redo] this [scheduler|schedule] with {target}.",
    "[A small|Small] refactoring, [please|if you can]: build this schedule with {target}.",
    "[Scheduler|`make_scheduler`] → {target}.",
    "[Hi|Hello], [can|could] you port [this|my] scheduler to {target}?",
    "This code works, but I [would prefer|prefer|want] {target}.",
    "[Before we release this|Before the merge], the scheduler should [switch to|use] {target}.",
)

_OPENERS_OF_FILES = (
    "Make this [module|file] use {target} for its schedule.",
    "Port the schedule of this [file|module] to {target}.",
    "[This|The] training file should [build its schedule with|use] {target}.",
    "In [the|this] file, build the schedule with {target}.",
)

_SAME = (
    "The learning rate must [be|stay] the same at every step.",
    "Do not change the learning rate at any step.",
    "The learning rate at every step [stays|must stay] the same.",
    "[All learning rates|The learning rates at all steps] must stay unchanged.",
    "[The curve|The schedule itself] must not change[, also past `total_steps`|].",
    "[Keep|Preserve] the learning rates, the hyperparameters and their defaults.",
    "Hyperparameters, defaults and learning rates stay [the same|as they are].",
    "The new code must give the same learning rates[ for any hyperparameters|, whatever the hyperparameters].",
    "The behaviour must not change: same learning rates, same errors, same checks of a loaded state.",
)

_CODE_ONLY = (
    "[Answer|Reply] with the code[ only|, imports included].",
    "Show [the imports, helpers and `make_scheduler`|all of the code, imports included].",
    "[Return|Send] the whole snippet.",
    "[Just|Only] the [code|new code], please.",
    "No explanation[, just the code|; the code is enough].",
)

_WHOLE_FILE = (
    "[Answer|Reply] with the whole file.",
    "[Show|Give|Return] the whole file.",
    "[I need|Send] the complete file.",
    "The complete file, please.",
    "[Leave|Keep] the network [alone|as it is] and [answer with|return] the whole file.",
)

_TITLES = (
    "`make_scheduler` sets {schedule}.",
    "Record the schedule as {schedule}.",
    "The new code sets {schedule}.",
    "[Set|The new code must set] {schedule}.",
)

_KEPT = (
    "`scheduler.schedule` does not change.",
    "[Keep|Do not change] what `scheduler.schedule` records.",
    "The new code records the same `scheduler.schedule`.",
)

_FORMS = {
    "callable": (
        "`LambdaLR` and an instance of a callable class",
        "`LambdaLR` and an object of a class [that has|with] `__call__`",
        "`LambdaLR` and a small class whose `__call__` [returns|computes] the factor",
    ),
    "closure": (
        "`LambdaLR` and a local function instead of a class",
        "`LambdaLR` and a function [nested in|inside] `make_scheduler` (no [callable|] class for the factor)",
        "`LambdaLR` and a closure (no callable class)",
    ),
    "subclass": (
        "a subclass of `LRScheduler` that [overrides|implements] `get_lr`",
        "an `LRScheduler` subclass [that has|with] its own `get_lr` (no `LambdaLR`)",
        "a class derived from `LRScheduler` whose `get_lr` computes the learning rates",
    ),
}

"""Questions of task trace: where the code comes from, how it is called, the steps, and the form of the answer."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lrgen.finetune import wording
from lrgen.finetune.phrasing import forms, numeral, phrase

_MAX_EPOCHS = 12
_MIN_BATCHES = 5
_COLUMNS = ("step", "learning rate")


@dataclass(frozen=True)
class Call:
    """A call of ``make_scheduler`` and the steps after it.

    Attributes:
        horizon: its ``total_steps``.
        prm: its ``prm``, with the learning rate of the optimizer as ``lr``.
        unit: the unit of a step: epoch or batch.
        steps: the steps in question.
        metrics: what ``scheduler.step`` is called with, in order; None when it is called without a metric.
        depths: the depths of the optimizer's parameter groups; empty when they have none.
        depth: the depth of the group in question; None without depths.
    """

    horizon: int
    prm: Mapping[str, float]
    unit: str
    steps: Sequence[int]
    metrics: Sequence[float] | None = None
    depths: Sequence[int] = ()
    depth: int | None = None


@dataclass(frozen=True)
class Form:
    """A form of the answer.

    Attributes:
        requests: templates of the sentence that asks for it.
        write: writes the learning rates by step, which have at most six significant digits.
    """

    requests: Sequence[str]
    write: Callable[[Mapping[int, str]], str]


def question(code: str, call: Call, form: Form, chance: random.Random) -> str:
    """Return a question about code."""
    template = chance.choice(_LAYOUTS)
    asked = _steps(call, chance)
    if "{steps}" in template:  # which names them in a list
        asked = "these steps" if len(call.steps) > 1 else "this step"
    return phrase(
        template,
        chance,
        code=wording.fenced(code),
        opening=_sentence(chance.choice(_OPENINGS), chance),
        short=_sentence(chance.choice(_SHORT), chance, steps=_steps(call, chance), group=_group(call)),
        call=_called(call, chance),
        stepping=_stepping(call, chance),
        counting=_sentence(chance.choice(_COUNTING), chance),
        request=_sentence(chance.choice(_REQUESTS), chance, steps=asked, group=_group(call)),
        answer=_sentence(chance.choice(form.requests), chance, header=_header()),
        horizon=str(call.horizon),
        prm=json.dumps(dict(call.prm)),
        lr=_value("lr", call.prm["lr"], chance),
        steps=_numbers(call, chance),
        setting=f"{_groups(call, chance)} {_stepping(call, chance)}".strip(),
    )


def _sentence(template: str, chance: random.Random, **fields: str) -> str:
    return phrase(template, chance, **fields)


def _steps(call: Call, chance: random.Random) -> str:
    """Return the steps as in a sentence: ``steps 3, 6 and 9``."""
    return f"step{'s' if len(call.steps) > 1 else ''} {_numbers(call, chance)}"


def _numbers(call: Call, chance: random.Random) -> str:
    texts = [str(step) for step in call.steps]
    return chance.choice((wording.listed(texts), wording.listed(texts), ", ".join(texts)))


def _group(call: Call) -> str:
    return "" if call.depth is None else f" of the group with depth {call.depth}"


def _called(call: Call, chance: random.Random) -> str:
    """Return the sentences that give the arguments of the call."""
    sentence = _sentence(
        chance.choice(_CALLS),
        chance,
        horizon=_horizon(call, chance),
        number=str(call.horizon),
        prm=json.dumps(dict(call.prm)),
        values=_values(call.prm, chance),
        lr=_value("lr", call.prm["lr"], chance),
    )
    return f"{sentence} {_groups(call, chance)}".strip()


def _horizon(call: Call, chance: random.Random) -> str:
    """Return ``total_steps``, for a schedule that advances per batch sometimes as epochs of some batches."""
    epochs = [
        count
        for count in range(2, _MAX_EPOCHS + 1)
        if call.horizon % count == 0 and call.horizon // count >= _MIN_BATCHES
    ]
    if call.unit != "batch" or not epochs:
        return str(call.horizon)
    count = chance.choice(epochs)
    return chance.choice((str(call.horizon), f"{call.horizon} ({count} epochs of {call.horizon // count} batches)"))


def _values(prm: Mapping[str, float], chance: random.Random) -> str:
    return wording.listed([f"`{name}` = {_value(name, value, chance)}" for name, value in prm.items()])


def _value(name: str, value: float, chance: random.Random) -> str:
    """Return a number in one of its forms; only fractions of training and ratios are percentages."""
    if name.endswith(("_fraction", "_ratio")):
        return numeral(value, chance)
    return chance.choice([text for text in forms(value) if not set(text) & {"/", "%"}])


def _groups(call: Call, chance: random.Random) -> str:
    if not call.depths:
        return ""
    count, depths = str(len(call.depths)), wording.listed([str(depth) for depth in call.depths])
    return _sentence(chance.choice(_GROUPS), chance, count=count, depths=depths)


def _stepping(call: Call, chance: random.Random) -> str:
    templates = _STEPPING if call.metrics is None else _STEPPING_WITH_METRICS
    metrics = ", ".join(map(str, call.metrics or ()))
    return _sentence(chance.choice(templates), chance, unit=call.unit, metrics=metrics)


_LAYOUTS = (
    "{opening}\n\n{code}\n\n{call} {stepping} {request} {counting} {answer}",
    "{opening}\n\n{code}\n\n{call} {stepping} {counting} {request} {answer}",
    "{opening}\n\n{code}\n\n{request} {call} {stepping} {counting}\n\n{answer}",
    "{short}\n\n{code}\n\n{call} {stepping} {counting} {answer}",
    "{short} {answer}\n\n{code}\n\n{call} {stepping} {counting}",
    "{call} {stepping} {request}\n\n{code}\n\n{counting} {answer}",
    "{opening} {answer}\n\n{code}\n\n{call} {stepping} {request} {counting}",
    "{code}\n\n{call} {stepping} {request} {counting} {answer}",
    "{opening}\n\n{code}\n\n- total_steps: {horizon}\n- prm: `{prm}`\n- [lr of the optimizer|initial lr]: {lr}\n"
    "- steps: {steps}\n\n{setting} {request} {counting} {answer}",
    "{short}\n\n{code}\n\ntotal_steps = {horizon}, prm = `{prm}`, [optimizer lr|base lr] = {lr}. {setting} {counting}"
    "\n\n{answer}",
)

# A request before the code that does not name the steps.
_OPENINGS = (
    "What [learning rates does this code produce|does the learning rate do with this code]?",
    "Read the code [below|] and [work out|determine] the learning rate that it sets.",
    "I want to [check|verify] [a|this] schedule [by calculation|on paper] before [training with it|I train with it].",
    "Trace the scheduler [below|].",
    "[Evaluate|Work out the values of] the schedule [below|] at a few steps.",
    "[Can|Could] you [trace|evaluate] this [scheduler|schedule] for me?",
    "[We|I] need [a few|some] values of this schedule for a unit test.",
    "I am writing a [regression|unit] test for the scheduler [below|] and need the expected [learning rates|values].",
    "Predict the learning rate [without running the code|; do not run the code].",
    "The [training log|log] of a run shows learning rates that I [cannot explain|do not understand]. This is the "
    "scheduler [that it used|of that run].",
    "[Quick|A quick] [check|sanity check] of a scheduler [before the run starts|before I launch the job].",
    "[Before|Prior to] merging this scheduler, I would like to see [the numbers|a few of its values].",
    "I am reviewing [this change|this pull request] and [want|would like] to know which learning rates [it gives|the "
    "new scheduler sets].",
    "Simulate [this schedule|the schedule below].",
    "[Suppose|Assume] that the following scheduler is used [for a run|in training].",
    "Here is [the|a] scheduler [from our training code|that a colleague wrote|from an old project].",
    "Given [this|the following] code, compute the learning rate [at some steps|at the steps listed below].",
    "Compute learning rates from the code [below|].",
    "[For the documentation|For a report], [I need|we need] some learning rates of this schedule.",
    "[Which|What] learning rates should I [see|expect] in the log with this scheduler?",
    "[I would like to|I want to] plot this schedule and need some points [of it|on the curve].",
    "Follow the scheduler step by step.",
    "[Task|Exercise]: evaluate a learning-rate schedule.",
    "Apply the schedule below to these settings.",
    "I am not sure that I understand this schedule. [Please give|Give] me some numbers.",
    "[Code reading|A code reading exercise]: what does this scheduler do to the learning rate?",
    "Please [compute|calculate] the learning rates that [this function|`make_scheduler`] [yields|gives].",
    "Determine the learning rate from the source alone.",
    "I am porting this scheduler to another framework and need reference values[ to compare with|].",
    "A resumed run must continue with the right learning rate. [This is its scheduler|Its scheduler is below].",
    "Work through the code and give the learning rate.",
    "[Numbers|Values], please: the learning rates of this scheduler.",
    "Debugging a [run|job]: which learning rates did it use?",
)

# A request that names the steps, before the code.
_SHORT = (
    "LR{group} at {steps}?",
    "Learning rate{group} at {steps}[, please|].",
    "What is the [lr|learning rate]{group} at {steps}?",
    "Give me the [lr|learning rate]{group} at {steps}.",
    "[Need|I need] the learning rate{group} at {steps}.",
    "At {steps}, [what is the learning rate{group}|which value does the learning rate{group} have]?",
    "Compute the learning rate{group} at {steps}.",
    "Evaluate this schedule at {steps} and report the learning rate{group}.",
    "{steps}: what is the learning rate{group}?",
    "Which learning rate{group} does the scheduler below set at {steps}?",
    "[Tabulate|List] the learning rate{group} at {steps}.",
)

_CALLS = (
    "`make_scheduler(optimizer, total_steps={number}, prm={prm})` is called with an optimizer whose learning rate is "
    "{lr}.",
    "The scheduler [comes from|is created by] `make_scheduler(optimizer, total_steps={number}, prm={prm})`, and the "
    "optimizer [was created with|has] lr={lr}.",
    "`total_steps` is {horizon} and `prm` is `{prm}`; the optimizer starts with a learning rate of {lr}.",
    "I call `make_scheduler(optimizer, {number}, {prm})` with an optimizer at a learning rate of {lr}.",
    "[Assume|Suppose|Take] `total_steps` = {horizon}, a `prm` with [only {values}|{values} and nothing else], and an "
    "optimizer with the same learning rate.",
    "[Settings|The settings]: {values} in `prm`, `total_steps` = {horizon}; the optimizer has the learning rate of "
    "`prm`.",
    "The run has `total_steps` = {horizon} and `prm = {prm}`; its optimizer starts at {lr}.",
    "[I use|We use] `total_steps={number}` and `prm={prm}`; the optimizer's own learning rate is {lr}.",
    "`total_steps` is {horizon}, `prm` sets {values} and no other hyperparameter, and the optimizer has the same `lr`.",
)

_GROUPS = (
    "The optimizer has {count} parameter groups with `depth` {depths}.",
    "There are {count} parameter groups, with a `depth` of {depths}[, respectively|].",
    "The {count} parameter groups of the optimizer have the `depth` {depths}[, respectively|].",
)

_STEPPING = (
    "`scheduler.step()` is called once per {unit}.",
    "There is one call of `scheduler.step()` per {unit}.",
    "The training loop calls `scheduler.step()` [once per|at the end of each|after each] {unit}.",
    "`scheduler.step()` runs [once per|after every] {unit}.",
    "A step is one {unit}: `scheduler.step()` is called [after it|at its end].",
)

_STEPPING_WITH_METRICS = (
    "`scheduler.step(metric)` is called with {metrics}, in this order, once per {unit}.",
    "Once per {unit}, `scheduler.step(metric)` is called; the metrics are, in order, {metrics}.",
    "The metrics passed to `scheduler.step`, one per {unit}, are {metrics}.",
    "After each {unit}, `scheduler.step` receives the next of these metrics: {metrics}.",
)

_COUNTING = (
    "Step 0 is before the first call of `scheduler.step`, step n after n calls.",
    "Step n means after n calls of `scheduler.step`; step 0 is [before any call|the initial state].",
    "[Count|I count] steps by calls of `scheduler.step`: 0 before the first one, n after n of them.",
    "(Step n: n calls of `scheduler.step` have been made. Step 0: none yet.)",
    "The number of a step is the number of calls of `scheduler.step` so far, [starting at|from] 0.",
)

_REQUESTS = (
    "What is the learning rate{group} at {steps}?",
    "[Give|State] the learning rate{group} at {steps}.",
    "[[Which|What] learning rate do you get|Which learning rate does that give]{group} at {steps}?",
    "[I need|We need] the learning rate{group} at {steps}.",
    "[Compute|Calculate|Work out] the learning rate{group} at {steps}.",
    "[How large|How high] is the learning rate{group} at {steps}?",
    "[Please report|Report] the learning rate{group} at {steps}.",
)

_DIGITS = (
    "[at most|up to] six significant digits[ (no trailing zeros)| and no trailing zeros]",
    "six significant digits or fewer, and no trailing zeros",
    "six significant digits or fewer (no trailing zeros)",
)
_ROUNDED = f"[{'|'.join(_DIGITS)}]"
_SCIENTIFIC = (
    "[in scientific notation with five decimal places, such as 3.50000e-03|in the form `3.50000e-03`, with five "
    "decimal places]"
)


def _lines(answer: Mapping[int, str]) -> str:
    return "".join(f"{step}: {rate}\n" for step, rate in answer.items())


def _scientific(answer: Mapping[int, str]) -> str:
    return "".join(f"{step}: {float(rate):.5e}\n" for step, rate in answer.items())


def _named(answer: Mapping[int, str]) -> str:
    return "".join(f"- step {step}: {rate}\n" for step, rate in answer.items())


def _assigned(answer: Mapping[int, str]) -> str:
    return "".join(f"lr({step}) = {rate}\n" for step, rate in answer.items())


def _header() -> str:
    return f"| {' | '.join(_COLUMNS)} |"


def _table(answer: Mapping[int, str]) -> str:
    rows = "".join(f"| {step} | {rate} |\n" for step, rate in answer.items())
    return f"{_header()}\n| ---: | ---: |\n{rows}"


def _csv(answer: Mapping[int, str]) -> str:
    return "step,learning_rate\n" + "".join(f"{step},{rate}\n" for step, rate in answer.items())


def _json(answer: Mapping[int, str]) -> str:
    return "{" + ", ".join(f'"{step}": {rate}' for step, rate in answer.items()) + "}\n"


FORMS = (
    Form(
        (
            f"Answer with one line per step, `step: learning rate`, with {_ROUNDED}.",
            f"[Write|Give] one line per step in the form `step: learning rate`, [each value|each] with {_ROUNDED}.",
            f"Format: `step: learning rate`, one per line; {_ROUNDED}.",
            f"[Just|Only] lines of the form `step: value`, please, with {_ROUNDED}.",
            f"Output: one `step: learning rate` per line; {_ROUNDED}.",
        ),
        _lines,
    ),
    Form(
        (
            f"Answer with a table, `{{header}}`, with {_ROUNDED}.",
            f"Give a Markdown table with the columns step and learning rate; {_ROUNDED}.",
            f"Put [the values|the learning rates] into a Markdown table (step, learning rate), with {_ROUNDED}.",
            f"A Markdown table of step and learning rate is [fine|what I need], with {_ROUNDED}.",
        ),
        _table,
    ),
    Form(
        (
            f"Answer in CSV with the header `step,learning_rate`; {_ROUNDED}.",
            f"[Return|Give] the values as CSV (`step,learning_rate`) with {_ROUNDED}.",
            f"Output: CSV with the header line `step,learning_rate`; {_ROUNDED}.",
        ),
        _csv,
    ),
    Form(
        (
            f"Answer with a JSON object from step to learning rate, with {_ROUNDED}.",
            f"[Return|Give] one JSON object whose keys are the steps and whose values are the learning rates, with "
            f"{_ROUNDED}.",
            f"JSON only: an object from step to learning rate; {_ROUNDED}.",
        ),
        _json,
    ),
    Form(
        (
            f"Answer with a list, `- step N: learning rate`, with {_ROUNDED}.",
            f"List the [values|learning rates] as `- step N: learning rate`, with {_ROUNDED}.",
            f"One bullet per step (`- step N: learning rate`), with {_ROUNDED}.",
        ),
        _named,
    ),
    Form(
        (
            f"Write `lr(step) = value`, one per line, with {_ROUNDED}.",
            f"Answer in the form `lr(step) = value`, one line per step, with {_ROUNDED}.",
        ),
        _assigned,
    ),
    Form(
        (
            f"Answer with one line per step, `step: learning rate`, [each value|the learning rate] {_SCIENTIFIC}.",
            f"[Give|Write] one line per step, `step: learning rate`, with the learning rate {_SCIENTIFIC}.",
        ),
        _scientific,
    ),
)

"""How a network, a schedule and its numbers are put in words: all of it from the catalogue, or read in the file."""

import re
from collections.abc import Iterable, Sequence

from lrgen.errors import DatasetError
from lrgen.finetune.corpus import VerifiedFile
from lrgen.records import Hyperparameter, Metric, PastEnd, Unit, Variant
from lrgen.source import sections

_FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_DRIVEN_BY = {
    (Unit.EPOCH, Metric.LOSS): "the mean training loss of the epoch",
    (Unit.EPOCH, Metric.ACCURACY): "the training accuracy of the epoch",
    (Unit.BATCH, Metric.LOSS): "the mean training loss of the batch",
    (Unit.BATCH, Metric.ACCURACY): "the training accuracy of the batch",
}


def fenced(code: str, language: str = "python") -> str:
    """A block of code in Markdown."""
    return f"```{language}\n{code}```"


def quoted(text: str) -> str:
    """The first block of code in a text, as ``fenced`` put it there.

    Raises:
        DatasetError: when there is none.
    """
    found = _FENCE.search(text)
    if found is None:
        raise DatasetError("there is no block of code in the text")
    return found[1]


def listed(items: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def marked(text: str) -> str:
    """A text of the catalogue, its code marked as Markdown does."""
    return text.replace("``", "`")


def summary(variant: Variant) -> str:
    """What the schedule does, in a few sentences."""
    return marked(variant.summary)


def counted_in(variant: Variant) -> str:
    """What its steps are: epochs or batches."""
    return "batches" if variant.per_batch else "epochs"


def advances(variant: Variant) -> str:
    """When the schedule takes a step: ``once per batch``."""
    if variant.metric is None or variant.cadence is None:
        return f"once per {variant.unit}"
    return f"once per {variant.cadence}, driven by {_DRIVEN_BY[variant.cadence, variant.metric]}"


def stepping(variant: Variant) -> str:
    """Where a file makes the scheduler, and where it steps it."""
    step = "`scheduler.step()`"
    if variant.metric and variant.cadence:
        step = f"`scheduler.step(metric)` with {_DRIVEN_BY[variant.cadence, variant.metric]}"
    if variant.per_batch:
        return (
            f"`learn` calls {step} after each `optimizer.step()`. The first `learn` makes the scheduler, which "
            "is None before, since `len(train_data)` is known only there: `total_steps` is the number of epochs times "
            "the number of batches."
        )
    return (
        f"`learn` calls {step} after the last batch. `train_setup` makes the scheduler, with the number of epochs as "
        "`total_steps`."
    )


def formula(variant: Variant) -> str:
    """The schedule in symbols, with what they mean."""
    steps = counted_in(variant)
    if variant.unit is Unit.METRIC:
        return f"With eta for the learning rate and T for the {steps} planned (`total_steps`):\n\n    {variant.formula}"
    return (
        f"With t for the {steps} done so far, from 0, and T for those planned (`total_steps`), the learning rate is "
        "`lr` times\n\n"
        f"    {variant.formula}"
    )


def past_end(variant: Variant) -> str:
    """What happens after the horizon, in a sentence."""
    if variant.past_end is PastEnd.CONTINUE:
        return "The schedule is open-ended: beyond `total_steps` it goes on by the same rule."
    return "Beyond `total_steps` the rate stays at what it is there."


def number(parameter: Hyperparameter) -> str:
    """The default as the file writes it: ``1/3``."""
    return parameter.text.replace(" / ", "/")


def hyperparameters(variant: Variant) -> list[str]:
    """A line for each hyperparameter of the schedule's own: what it means, its default and its range."""
    return [
        f"`{one.name}`: {marked(one.meaning)}; {number(one)} by default, from {one.low:g} to {one.high:g}"
        for one in variant.hyperparameters
    ]


def defaults(variant: Variant) -> str:
    """The defaults in a phrase: ``step_fraction 1/3 and gamma 0.1``; empty without hyperparameters."""
    return listed([f"`{one.name}` {number(one)}" for one in variant.hyperparameters])


def implementation(source: str) -> str:
    """What a file's scheduler is made of: classes of torch's, or one of its own."""
    names = sections.parse(source).torch_classes
    if not names:
        return "a scheduler class of its own"
    return f"torch's {listed([f'`{name}`' for name in names])}"


def training(file: VerifiedFile) -> str:
    """Optimizer, loss, clipping and dropout of a file, in a few sentences."""
    recipe, own = file.architecture.recipe, file.variant.optimizer
    traits = []
    if own or recipe.optimizer == "sgd":
        traits.append("Nesterov momentum" if recipe.nesterov and not own else "momentum")
    if recipe.weight_decay:
        traits.append(f"weight decay (`weight_decay`, {recipe.weight_decay:g} by default)")
    usual = {"sgd": "SGD", "adamw": "AdamW"}.get(recipe.optimizer, recipe.optimizer)
    name = f"`{own.name}`, written out in the file" if own else f"`{usual}`"
    smoothing = f" with a label smoothing of {recipe.label_smoothing:g}" if recipe.label_smoothing else ""
    clipping = f" Gradients are clipped to a norm of {recipe.clip_norm:g}." if recipe.clip_norm else ""
    groups = (
        " Each layer is a parameter group with its `depth`, counted from the input." if file.variant.layerwise else ""
    )
    drops = "dropout" in sections.parse(file.source).hyperparameters
    dropout = f" `dropout` is {recipe.dropout:g} by default." if drops else ""
    optimizer = f"The optimizer is {name}{', with ' if traits else ''}{listed(traits)}."
    return f"{optimizer}{groups} The criterion is the cross-entropy{smoothing}.{clipping}{dropout}"


def contract(file: VerifiedFile) -> list[str]:
    """What a file offers to whoever trains it, a sentence each."""
    names = ", ".join(f'"{name}"' for name in sections.parse(file.source).hyperparameters)
    made = "`criterion` and `optimizer`" if file.variant.per_batch else "`criterion`, `optimizer` and `scheduler`"
    return [
        "The file imports the standard library and torch, nothing else.",
        f"`supported_hyperparameters()` returns the literal set {{{names}}}.",
        "`make_scheduler(optimizer, total_steps, prm)` is a function of the module, for any `total_steps` from 1 on.",
        "`Net(in_shape, out_shape, prm, device)`: the shapes are (batch, channels, height, width) and (classes,).",
        f"`train_setup(prm)` sets {made} of the network.",
        "`learn(train_data)` trains for one epoch and returns its mean accuracy and loss.",
        "The number of epochs is `prm['epoch_max']`, else `prm['epoch']`, else 90.",
        "`prm` is sure to hold `lr`, `momentum` and `dropout`; everything else has its default in the file.",
    ]


def bullets(lines: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {line}" for line in lines)

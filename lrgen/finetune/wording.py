"""Wording of architectures, schedules and hyperparameters, from the catalogue or from the file itself."""

import re
from collections.abc import Iterable, Sequence

from lrgen.errors import DatasetError
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.example import SYSTEM
from lrgen.records import Architecture, Hyperparameter, Metric, PastEnd, Unit, Variant
from lrgen.source import sections

_FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NAME_AT_END = re.compile(r"(?<= )(lr|gamma)$")
_NOUNS = ("CNN", "classifier", "network")  # at the end of a title: it has an article
DRIVEN_BY = {
    (Unit.EPOCH, Metric.LOSS): "the mean training loss of the epoch",
    (Unit.EPOCH, Metric.ACCURACY): "the training accuracy of the epoch",
    (Unit.BATCH, Metric.LOSS): "the mean training loss of the batch",
    (Unit.BATCH, Metric.ACCURACY): "the training accuracy of the batch",
}


def fenced(code: str, language: str = "python") -> str:
    """Return code as a Markdown code block."""
    return f"```{language}\n{code}```"


def quoted(text: str) -> str:
    """Return the code of the first code block of a text, as written by ``fenced``.

    Raises:
        DatasetError: when the text has no code block.
    """
    match = _FENCE.search(text)
    if match is None:
        raise DatasetError("the text has no code block")
    return match[1]


def blocks(text: str) -> list[str]:
    """Return the code blocks of a text, as written by ``fenced``."""
    return _FENCE.findall(text)


def listed(items: Sequence[str]) -> str:
    """Join items as in ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def marked(text: str) -> str:
    """Return a text of the catalogue with its code in Markdown, also at the end of a meaning: ``ratio … to `lr```."""
    return _NAME_AT_END.sub(r"`\1`", text.replace("``", "`"))


def network(architecture: Architecture) -> str:
    """Return the title of a network as in a sentence: ``ResNet-20``, ``the ICNet classifier``."""
    title = architecture.title
    return f"the {title}" if title.split(" ")[-1] in _NOUNS else title


def described(architecture: Architecture) -> str:
    """Return a sentence on a network: ``The network is the ResNet-20 of He et al. for CIFAR: …``."""
    text = architecture.summary
    article = text.split(" ")[0] in ("A", "An", "The")
    return f"The network is {text[:1].lower() if article else text[:1]}{text[1:]}"


def specified(architecture: Architecture) -> str:
    """Return the description of a network, behind its title if the description does not have it."""
    text = architecture.summary
    return text if architecture.title in text else f"{architecture.title}. {text}"


def summary(variant: Variant) -> str:
    """Return the catalogue's description of a schedule."""
    return marked(variant.summary)


def bare(variant: Variant) -> str:
    """Return the title of a schedule, and of its practice, without its article, as in a note."""
    return re.sub("^(?:an?|the) ", "", variant.full_title)


def counted_in(variant: Variant) -> str:
    """Return the unit of a schedule's steps: epochs, batches, or updates of several batches."""
    if not variant.per_batch:
        return "epochs"
    return "batches" if variant.batches_per_update == 1 else "updates"


def advances(variant: Variant) -> str:
    """Return when the schedule advances: ``once per batch``."""
    if variant.per_batch and variant.batches_per_update > 1:
        return "once per update"
    return f"once per {variant.cadence or variant.unit}{driven(variant)}"


def driven(variant: Variant) -> str:
    """Return the metric that drives a schedule: ``, driven by the mean training loss of the epoch``; or nothing."""
    if variant.metric is None or variant.cadence is None:
        return ""
    return f", driven by {DRIVEN_BY[variant.cadence, variant.metric]}"


def stepping(variant: Variant) -> str:
    """Describe where a file creates the scheduler and where it calls its ``step``."""
    step, metric = "`scheduler.step()`", ""
    if variant.metric and variant.cadence:
        step, metric = "`scheduler.step(metric)`", f" with {DRIVEN_BY[variant.cadence, variant.metric]}"
    if variant.per_batch:
        every = variant.batches_per_update
        of_epoch = "`len(train_data)`" if every == 1 else f"`len(train_data)` divided by {every} and rounded up"
        return (
            f"`learn` calls {step}{metric} after each `optimizer.step()`. The first call of `learn` creates the "
            "scheduler, because the number of batches per epoch is not known earlier; until then it is None. "
            f"`total_steps` is the number of epochs times {of_epoch}. If the optimizer was resumed without the "
            "scheduler, `learn` raises a `RuntimeError`."
        )
    return (
        f"After the last batch, `learn` calls {step} once{metric and ','}{metric}. `train_setup` creates the scheduler "
        "with the number of epochs as `total_steps`."
    )


def formula(variant: Variant) -> str:
    """Return the formula of a schedule with the meaning of its symbols."""
    steps = counted_in(variant)
    if variant.unit is Unit.METRIC:
        return f"With eta the learning rate and T the total number of {steps} (`total_steps`):\n\n    {variant.formula}"
    return (
        f"With t the number of completed {steps} and T the total number (`total_steps`), the learning rate is `lr` "
        "times\n\n"
        f"    {variant.formula}"
    )


def symbols(variant: Variant) -> str:
    """Return the meaning of the symbols of a formula, and of its value."""
    steps = counted_in(variant)
    if variant.unit is Unit.METRIC:
        return f"eta is the learning rate, T is total_steps, the number of {steps}"
    return f"the value is a factor on lr, t is the number of completed {steps}, T is total_steps, their total number"


def past_end(variant: Variant) -> str:
    """Return a sentence about the learning rate after ``total_steps``."""
    if variant.past_end is PastEnd.CONTINUE:
        return "After `total_steps` the schedule continues by the same rule."
    return "After `total_steps` the learning rate remains at its final value."


def number(parameter: Hyperparameter) -> str:
    """Return the default of a hyperparameter as in the file: ``1/3``."""
    return parameter.text.replace(" / ", "/")


def hyperparameters(variant: Variant) -> list[str]:
    """Return a line for each hyperparameter of the schedule: meaning, default and range."""
    return [
        f"`{parameter.name}`: {marked(parameter.meaning)}; default {number(parameter)}, "
        f"range {parameter.low:g} to {parameter.high:g}"
        for parameter in variant.hyperparameters
    ]


def defaults(variant: Variant) -> str:
    """Return the defaults as ``step_fraction=1/3 and gamma=0.1``; empty without hyperparameters."""
    return listed([f"`{parameter.name}={number(parameter)}`" for parameter in variant.hyperparameters])


def implementation(source: str) -> str:
    """Return the classes that implement a file's scheduler: torch's, or a subclass that computes the learning rate."""
    parts = sections.parse(source)
    if not parts.torch_classes:
        return "a custom scheduler class"
    names = f"PyTorch's {listed([f'`{name}`' for name in parts.torch_classes])}"
    return names if "\nclass Resumable" in f"\n{parts.schedule}" else f"a subclass of {names}"


def training(file: VerifiedFile) -> str:
    """Describe the optimizer, loss, gradient clipping and dropout of a file."""
    recipe, own = file.architecture.recipe, file.variant.optimizer
    traits = []
    if own or recipe.optimizer == "sgd":
        traits.append("Nesterov momentum" if recipe.nesterov and not own else "momentum")
    weight_decay = own.weight_decay if own and recipe.weight_decay else recipe.weight_decay
    if weight_decay:
        traits.append(f"weight decay (`weight_decay`, {weight_decay:g} by default)")
    builtin = {"sgd": "SGD", "adamw": "AdamW"}.get(recipe.optimizer, recipe.optimizer)
    name = f"`{own.name}`, implemented in the file" if own else f"`{builtin}`"
    smoothing = f" with label smoothing {recipe.label_smoothing:g}" if recipe.label_smoothing else ""
    clipping = f" Gradients are clipped to a maximum norm of {recipe.clip_norm:g}." if recipe.clip_norm else ""
    depths = " The parameter groups of a layer have its `depth`, counted from the input."
    groups = f" {_exempt(file)} have no weight decay." if recipe.weight_decay else ""
    groups += depths if file.variant.layerwise else ""
    drops = "dropout" in sections.parse(file.source).hyperparameters
    dropout = f" The default `dropout` is {recipe.dropout:g}." if drops else ""
    optimizer = f"The optimizer is {name}{', with ' if traits else ''}{listed(traits)}."
    practice = f" {' '.join(practice_of(file.variant))}" if file.variant.practice else ""
    return f"{optimizer}{groups} The loss is cross-entropy{smoothing}.{clipping}{dropout}{practice}"


def practice_of(variant: Variant) -> list[str]:
    """Return sentences on the practice of a variant: what it does, and what a file must do for it."""
    practice = variant.practice
    return [marked(practice.summary), *practice.requirements] if practice else []


def _exempt(file: VerifiedFile) -> str:
    """Return the parameters without weight decay: ``Norms, biases and `cls_token```."""
    kinds = ["Norms", "biases"] if re.search(r"\bnn\.\w*Norm", sections.parse(file.source).network) else ["Biases"]
    return listed([*kinds, *(f"`{name}`" for name in file.architecture.no_decay)])


def contract(file: VerifiedFile) -> list[str]:
    """Return the interface of a file, one sentence for each requirement."""
    names = ", ".join(f'"{name}"' for name in sections.parse(file.source).hyperparameters)
    attributes = "`criterion` and `optimizer`" if file.variant.per_batch else "`criterion`, `optimizer` and `scheduler`"
    return [
        "The file imports only torch and the standard library.",
        f"`supported_hyperparameters()` returns the literal set {{{names}}}.",
        "`make_scheduler(optimizer, total_steps, prm)` is a module-level function; it raises a `ValueError` if "
        "`total_steps` is below 1. Each parameter group follows the schedule from its own initial learning rate.",
        f'`make_scheduler` sets `scheduler.schedule = ("{file.variant.title}", total_steps)`, and '
        "`scheduler.load_state_dict` raises a `ValueError` for a state of another schedule or horizon. "
        "`scheduler.step` raises a `RuntimeError` if another object has set the learning rate.",
        "`Net(in_shape, out_shape, prm, device)` is the constructor; `in_shape` is (batch, channels, height, width), "
        "`out_shape` is (classes,).",
        f"`train_setup(prm)` sets the attributes {attributes}.",
        "`learn(train_data)` trains for one epoch and returns the mean accuracy and loss.",
        "The number of epochs is `prm['epoch_max']`, or `prm['epoch']` if that is missing, or 90.",
        "`prm` always contains `lr`, `momentum` and `dropout`; all other hyperparameters have defaults in the file.",
    ]


def interface(file: VerifiedFile) -> str:
    """Return the system's message of a row whose prompt does not state the interface of the requested file."""
    requirements = bullets([*contract(file), stepping(file.variant)])
    return f"{SYSTEM}\n\nThe file has the interface of every file of the project:\n\n{requirements}"


def bullets(lines: Iterable[str]) -> str:
    """Return a Markdown list."""
    return "\n".join(f"- {line}" for line in lines)

"""Specifications of files in the words of their authors, and their parts."""

import random
from collections.abc import Callable

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.phrasing import numeral, phrase
from lrgen.records import Hyperparameter, PastEnd

_DEFAULTS = ("`{name}` {default}", "`{name}={number}`", "{default} for `{name}`")


def specification(file: VerifiedFile, chance: random.Random) -> str:
    """Return the specification of a file, but for the interface that all files have (``wording.interface``)."""
    return chance.choice(_LAYOUTS)(file, chance)


def network(file: VerifiedFile, chance: random.Random) -> str:
    """Return a sentence that names the network and the schedule."""
    return phrase(
        "[{network}, trained with {title}.|{network} with {title}.|The network is {network}, its schedule {title}."
        "|It trains {network} with {title}.]",
        chance,
        network=wording.network(file.architecture),
        title=file.variant.title,
    )


def end(file: VerifiedFile, chance: random.Random) -> str:
    """Return a sentence about the learning rate after ``total_steps``."""
    if file.variant.past_end is PastEnd.CONTINUE:
        return phrase(
            "[The schedule continues by the same rule after `total_steps`.|Past `total_steps` it goes on by the same "
            "rule.|There is no clamp at the end: after `total_steps` the same rule applies.]",
            chance,
        )
    return phrase(
        "[The learning rate stays at its final value after `total_steps`.|Past `total_steps` it is constant.|After "
        "`total_steps` the last value is held.]",
        chance,
    )


def unit(file: VerifiedFile, chance: random.Random) -> str:
    """Return a sentence about when the schedule advances."""
    return phrase(
        "[It advances {advances}.|The scheduler is stepped {advances}.|One step of the schedule is one {unit}"
        ", so it is stepped {advances}.]",
        chance,
        advances=wording.advances(file.variant),
        unit="batch" if file.variant.per_batch else "epoch",
    )


def defaults(file: VerifiedFile, chance: random.Random) -> str:
    """Return a sentence with the defaults of the schedule; empty without hyperparameters."""
    parameters = file.variant.hyperparameters
    if not parameters:
        return ""
    template = chance.choice(_DEFAULTS)
    listed = wording.listed(
        [
            template.format(name=each.name, default=default_of(each, chance), number=wording.number(each))
            for each in parameters
        ]
    )
    plural = "s" if len(parameters) > 1 else ""
    return phrase(
        f"[Default{plural}: {{listed}}.|The default{plural} {'are' if plural else 'is'} {{listed}}.]",
        chance,
        listed=listed,
    )


def default_of(parameter: Hyperparameter, chance: random.Random) -> str:
    """Return a default in one of its exact forms; only a fraction or a ratio is a percentage."""
    text = wording.number(parameter)
    if "/" in text or not parameter.name.endswith(("_fraction", "_ratio")):
        return text
    return numeral(parameter.default, chance)


def _prose(file: VerifiedFile, chance: random.Random) -> str:
    sentences = [network(file, chance), wording.summary(file.variant), unit(file, chance), end(file, chance)]
    paragraph = " ".join(filter(None, [*sentences, defaults(file, chance), wording.training(file)]))
    return f"{paragraph} {wording.formula(file.variant)}"


def _bullets(file: VerifiedFile, chance: random.Random) -> str:
    lines = [
        network(file, chance),
        wording.summary(file.variant),
        f"formula: `{file.variant.formula}`, with t the number of completed {wording.counted_in(file.variant)} and T "
        "their total (`total_steps`), as a factor of `lr`"
        if file.variant.metric is None
        else unit(file, chance),
        *([unit(file, chance)] if file.variant.metric is None else []),
        end(file, chance),
        defaults(file, chance),
        wording.training(file),
    ]
    return wording.bullets(filter(None, lines))


def _fields(file: VerifiedFile, chance: random.Random) -> str:
    fields = {
        "network": file.architecture.title,
        "schedule": f"{file.variant.title}. {wording.summary(file.variant)}",
        "scheduler.step()": wording.advances(file.variant),
        "after total_steps": end(file, chance),
        "defaults": ", ".join(f"{each.name} = {default_of(each, chance)}" for each in file.variant.hyperparameters)
        or "none",
        "training": wording.training(file),
    }
    lines = "\n".join(f"{name}: {value}" for name, value in fields.items())
    return f"{lines}\n\n{wording.formula(file.variant)}"


_LAYOUTS: tuple[Callable[[VerifiedFile, random.Random], str], ...] = (_prose, _bullets, _fields)

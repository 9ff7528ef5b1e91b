"""Specifications of files in the words of their authors, and their parts."""

import random
from collections.abc import Callable

from lrgen.finetune import wording
from lrgen.finetune.corpus import VerifiedFile
from lrgen.finetune.phrasing import forms, phrase
from lrgen.records import Hyperparameter, PastEnd

_DEFAULTS = (
    ("`{name}` {default}", "Default{s}: {listed}."),
    ("`{name}={number}`", "[Default{s}: {listed}.|By default, {listed}.]"),
    ("{default} for `{name}`", "The default{s} {are} {listed}."),
    ("`{name}` defaults to {default}", "{listed}."),
)
"""The default of a hyperparameter, and the sentence with those of a schedule."""
_FORMS = ("", "%", "/")  # of the numbers of a sentence; the first is the decimal one
_AFTER = {
    PastEnd.CONTINUE: "the schedule continues by the same rule",
    PastEnd.HOLD: "the learning rate stays at its final value",
}


def specification(file: VerifiedFile, chance: random.Random) -> str:
    """Return the specification of a file, but for the interface that all files have (``wording.interface``)."""
    return chance.choice(_LAYOUTS)(file, chance)


def network(file: VerifiedFile, chance: random.Random) -> str:
    """Return a sentence that names the network and the schedule."""
    return phrase(
        "[{network}, trained with {title}.|{network} with {title}.|The network is {network}, trained with {title}."
        "|The file trains {network} with {title}.]",
        chance,
        network=wording.network(file.architecture),
        title=file.variant.title,
    )


def end(file: VerifiedFile, chance: random.Random) -> str:
    """Return a sentence about the learning rate after ``total_steps``."""
    if file.variant.past_end is PastEnd.CONTINUE:
        return phrase(
            "[The schedule continues by the same rule after `total_steps`.|Past `total_steps` the schedule goes on by "
            "the same rule.|The schedule is not clamped at the end: the same rule applies after `total_steps`.]",
            chance,
        )
    return phrase(
        "[The learning rate stays at its final value after `total_steps`.|Past `total_steps` the learning rate is "
        "constant.|After `total_steps` the last learning rate is held.]",
        chance,
    )


def unit(file: VerifiedFile, chance: random.Random) -> str:
    """Return a sentence about when the schedule advances."""
    return phrase(
        "[The schedule advances {advances}.|The scheduler is stepped {advances}.|One step of the schedule is one "
        "{unit}: it advances {advances}.]",
        chance,
        advances=wording.advances(file.variant),
        unit="batch" if file.variant.per_batch else "epoch",
    )


def defaults(file: VerifiedFile, chance: random.Random) -> str:
    """Return a sentence with the defaults of the schedule; empty without hyperparameters."""
    parameters = file.variant.hyperparameters
    if not parameters:
        return ""
    item, sentence = chance.choice(_DEFAULTS)
    form = chance.choice(_FORMS)
    listed = wording.listed(
        [
            item.format(name=each.name, default=default_of(each, form), number=wording.number(each))
            for each in parameters
        ]
    )
    s, are = ("s", "are") if len(parameters) > 1 else ("", "is")
    return phrase(sentence, chance, listed=listed, s=s, are=are)


def default_of(parameter: Hyperparameter, form: str) -> str:
    """Return a default in a form, if it has that; only a fraction or a ratio is a percentage."""
    text = wording.number(parameter)
    if "/" in text or not parameter.name.endswith(("_fraction", "_ratio")):
        return text
    return next((number for number in forms(parameter.default) if form in number), text)


def _prose(file: VerifiedFile, chance: random.Random) -> str:
    sentences = [network(file, chance), wording.summary(file.variant), unit(file, chance), end(file, chance)]
    paragraph = " ".join(filter(None, [*sentences, defaults(file, chance), wording.training(file)]))
    return f"{paragraph} {wording.formula(file.variant)}"


def _bullets(file: VerifiedFile, chance: random.Random) -> str:
    lines = [
        network(file, chance),
        wording.summary(file.variant),
        f"The learning rate is `lr` times `{file.variant.formula}`, where t is the number of completed "
        f"{wording.counted_in(file.variant)} and T is their total number, `total_steps`."
        if file.variant.metric is None
        else unit(file, chance),
        *([unit(file, chance)] if file.variant.metric is None else []),
        end(file, chance),
        defaults(file, chance),
        wording.training(file),
    ]
    return wording.bullets(filter(None, lines))


def _fields(file: VerifiedFile, chance: random.Random) -> str:
    form = chance.choice(_FORMS)
    fields = {
        "network": file.architecture.title,
        "schedule": f"{file.variant.title}. {wording.summary(file.variant)}",
        "scheduler.step()": wording.advances(file.variant),
        "after total_steps": _AFTER[file.variant.past_end],
        "defaults": ", ".join(f"{each.name} = {default_of(each, form)}" for each in file.variant.hyperparameters)
        or "none",
        "training": wording.training(file),
    }
    lines = "\n".join(f"{name}: {value}" for name, value in fields.items())
    return f"{lines}\n\n{wording.formula(file.variant)}"


_LAYOUTS: tuple[Callable[[VerifiedFile, random.Random], str], ...] = (_prose, _bullets, _fields)

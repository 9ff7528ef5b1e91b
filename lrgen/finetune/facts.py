"""The facts about a schedule that an explanation must state, in whatever words it states them."""

import math
import re
from collections.abc import Iterator

from lrgen.finetune import formulas
from lrgen.finetune.corpus import VerifiedFile
from lrgen.records import Architecture, Hyperparameter, PastEnd, Variant

_VALUE = r"(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?(?: ?/ ?\d+)?(?: ?%)?"
_NUMBER = re.compile(rf"(?<![\w.]){_VALUE}(?![\w/]|\.\d)")
_WORDS = {"half": 0.5, "halv": 0.5, "third": 1 / 3, "quarter": 0.25, "fifth": 0.2, "tenth": 0.1, "doubl": 2.0}
_WRITTEN = re.compile(rf"\b(?:{'|'.join(_WORDS)})|{_NUMBER.pattern}", re.IGNORECASE)
_CLOSE = 5e-3  # relative: 0.333 is 1/3
_WIDTH = 300  # characters between the name of a hyperparameter and its default
_TRIVIAL = (0.0, 1.0, 2.0)

_PAST_END = {
    PastEnd.HOLD: (
        r"\b(stays?|holds?|held|constant|remains?|unchanged|fixed|flat|keeps? (its|the|that)|kept|frozen|no longer)\b"
    ),
    PastEnd.CONTINUE: r"\b(open-ended|goes on|go on|continues?|keeps on|keeps? \w+ing|carries on|not stop)\b",
}
_AFTER = re.compile(r"\b(beyond|past|after|open-ended|once|from [\w`]+ on)\b", re.IGNORECASE)
_END = re.compile(r"total_steps|\bend\b|\bhorizon\b|open-ended|\bT\b")
_ADVANCES = re.compile(r"\b(advanc|step|unit|schedul|counts?|updat)", re.IGNORECASE)
_UNIT = {
    "epoch": r"\b(?:per|each|every|an|one|after (?:each|every|an|the)) epoch\b|\bepoch[- ]wise\b|\bin epochs\b",
    "batch": (
        r"\b(?:per|each|every|a|one|after (?:each|every|a|the)) (?:mini-?)?"
        r"(?:batch|iteration|update|optimi[sz]er step)\b"
        r"|\bbatch[- ]wise\b|\bin batches\b"
    ),
}
_STOP = frozenset(("a", "an", "and", "at", "by", "from", "in", "of", "on", "or", "over", "the", "then", "to", "with"))


def of_schedule(variant: Variant, text: str) -> dict[str, bool]:
    """Return by name whether a text states each fact about a schedule without a network."""
    return {
        "the name of the schedule": _names(variant.title, text),
        "the formula": _states_formula(variant, text),
        **{
            f"the default of `{parameter.name}`": _states_default(parameter, variant, text)
            for parameter in variant.hyperparameters
        },
        "the behaviour after the horizon": _stated_past_end(text) == {variant.past_end},
    }


def of_file(architecture: Architecture, variant: Variant, optimizer: str, text: str) -> dict[str, bool]:
    """Return by name whether a text states each fact about a file: its network, optimizer, unit and schedule."""
    return {
        "the network": _plain(architecture.title) in _plain(text),
        "the optimizer": re.search(rf"\b{optimizer}\b", text, re.IGNORECASE) is not None,
        "the unit": _stated_units(text) == {"batch" if variant.per_batch else "epoch"},
        **of_schedule(variant, text),
    }


def optimizer_of(file: VerifiedFile) -> str:
    """Return the name of the class that a file optimizes with."""
    match = re.search(r"self\.optimizer = (\w+)\(", file.source)
    return match[1] if match else file.architecture.recipe.optimizer


# Names.


def _plain(text: str) -> str:
    """Return a text without case, hyphens and marks, in one spelling."""
    text = re.sub(r"[`*\"']", "", text.casefold()).replace("warm-up", "warmup").replace("learning rate", "lr")
    return re.sub(r"[-\s]+", " ", text)


def _stems(text: str) -> set[str]:
    return {re.sub(r"(?:ing|ed|es|s|e)$", "", word) for word in re.findall(r"\w+(?:\.\d+)?%?", _plain(text))} - _STOP


def _names(title: str, text: str) -> bool:
    """Return whether a sentence of a text has all words of a title, in any order and inflection."""
    if _plain(title) in _plain(text):
        return True
    wanted = _stems(title)
    return any(wanted <= _stems(sentence) for sentence in _sentences(text))


def _sentences(text: str) -> Iterator[str]:
    yield from re.split(r"(?<=[.!?;])\s|\n", text)


# Numbers.


def _values(text: str) -> Iterator[float]:
    """Yield the numbers of a text: decimals, fractions, percentages and some words."""
    for match in _WRITTEN.finditer(text):
        word = match[0].casefold()
        yield _WORDS[word] if word in _WORDS else _number(word)


def _number(text: str) -> float:
    is_percent = text.endswith("%")
    dividend, _, divisor = text.rstrip("% ").partition("/")
    value = float(dividend) / (float(divisor) if divisor and float(divisor) else 1.0)
    return value / 100 if is_percent else value


def _is_close(value: float, expected: float) -> bool:
    return math.isclose(value, expected, rel_tol=_CLOSE, abs_tol=1e-12)


def _states_default(parameter: Hyperparameter, variant: Variant, text: str) -> bool:
    """Return whether a line gives the default of a hyperparameter behind its name.

    ``0.1 by default``, ``default: 0.1``, ``= 0.1``, ``(0.1)``, ``| 0.1 |`` are some of the forms.
    """
    others = "|".join(re.escape(other.name) for other in variant.hyperparameters if other.name != parameter.name)
    for line in text.splitlines():
        for match in re.finditer(rf"\b{re.escape(parameter.name)}\b", line):
            behind = line[match.end() : match.end() + _WIDTH]
            if others:
                behind = re.split(rf"\b(?:{others})\b(?=[`\"*]*(?: ?[:=|(]| is|,? default))", behind)[0]
            given = [
                re.search(rf"({_NUMBER.pattern}) by default", behind),
                re.search(rf"\bdefault(?:s|ing)?\b[^\d\n.]{{0,20}}?({_NUMBER.pattern})", behind),
                re.match(rf"[`\"*]*(?:,| is| =|=|:| \(| \|)[ `*]*({_NUMBER.pattern})", behind),
            ]
            if any(value and _is_close(_number(value[1]), parameter.default) for value in given):
                return True
    return False


def _states_formula(variant: Variant, text: str) -> bool:
    """Return whether a text states the formula of a schedule.

    A formula in words, as that of a plateau, has no values to compare: its numbers and hyperparameters must be there,
    and no other formula.
    """
    if formulas.states(variant, text):
        return True
    if formulas.is_equalled(variant, variant.formula) or formulas.is_contradicted(variant, text):
        return False
    names = {parameter.name for parameter in variant.hyperparameters if parameter.name in variant.formula}
    numbers = {value for value in _values(variant.formula) if value not in _TRIVIAL}
    stated = {*_values(text)}
    return all(re.search(rf"\b{name}\b", text) for name in names) and all(
        any(_is_close(value, number) or _is_close(value * number, 1) for value in stated) for number in numbers
    )


# The end and the unit.


def _stated_past_end(text: str) -> set[PastEnd]:
    """Return the behaviours after the horizon that a text states."""
    sentences = [sentence for sentence in _sentences(text) if _AFTER.search(sentence) and _END.search(sentence)]
    return {end for end, words in _PAST_END.items() if any(re.search(words, each, re.IGNORECASE) for each in sentences)}


def _stated_units(text: str) -> set[str]:
    """Return the units in which a text says that the schedule advances."""
    sentences = [sentence for sentence in _sentences(text) if _ADVANCES.search(sentence)]
    return {unit for unit, words in _UNIT.items() if any(re.search(words, each, re.IGNORECASE) for each in sentences)}

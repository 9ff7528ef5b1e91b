"""The diversity of the instructions of a task, where names, numbers and identifiers do not count."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from lrgen.catalogue import Catalogue
from lrgen.finetune import wording

PLACEHOLDER = "_"
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"^(?: {4}|\t).*$", re.MULTILINE)
_QUOTED = re.compile(r"`[^`\n]*`|\"[^\"\n]*\"")
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+(?:,\d{3})*(?:[./]\d+)?|\.\d+)(?:[eE][-+]?\d+)?%?")
_IDENTIFIER = re.compile(r"\b(?:\w*_\w+|[A-Z]+[a-z0-9]+[A-Z]\w*|[A-Za-z]+\d\w*|[a-z]+\.\w+(?:\.\w+)*)")
_LIST = re.compile(r"_(?:(?:,? and |,? or | to |, |=| = |: | )_)+")
_ARTICLE = re.compile(r"^(?:an?|the) ")
_SHORT = 3  # characters of a text that occurs by chance
_SENTENCE = re.compile(r"[^.?!:\n]+[.?!:]?")


@dataclass(frozen=True)
class Diversity:
    """The number of distinct openers, which are first sentences, and of distinct instructions."""

    openers: int
    instructions: int


def measure(instructions: Iterable[str], names: Collection[str] = ()) -> Diversity:
    """Return the diversity of instructions, which ``skeleton`` reduces first."""
    skeletons = {skeleton(text, names) for text in instructions}
    return Diversity(len({opener(text) for text in skeletons}), len(skeletons))


def skeleton(instruction: str, names: Collection[str] = ()) -> str:
    """Return an instruction with one placeholder for each name, number, identifier, code block and list of these."""
    text = _INDENTED.sub(PLACEHOLDER, _FENCE.sub(PLACEHOLDER, instruction))
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, PLACEHOLDER)
    for kind in (_QUOTED, _IDENTIFIER, _NUMBER):
        text = kind.sub(PLACEHOLDER, text)
    return _LIST.sub(PLACEHOLDER, " ".join(text.split()))


def opener(instruction: str) -> str:
    """Return the first sentence of an instruction."""
    sentence = _SENTENCE.match(instruction.strip())
    return sentence[0] if sentence else ""


def names_of(catalogue: Catalogue) -> set[str]:
    """Return the texts of a catalogue that an instruction quotes: titles, summaries, formulas and meanings.

    They also occur at the start of a sentence, and titles without their article.
    """
    texts = {text for network in catalogue.architectures for text in (network.title, network.summary, network.name)}
    for variant in catalogue.schedules:
        texts |= {variant.title, wording.summary(variant), variant.formula, variant.name, variant.key}
        texts |= {wording.marked(parameter.meaning) for parameter in variant.hyperparameters}
    for practice in catalogue.practices:
        texts |= {practice.request, wording.marked(practice.summary), *practice.requirements}
    texts |= {variant.full_title for variant in catalogue.with_practice}
    texts |= {text for family in catalogue.families for text in (family.title, wording.marked(family.summary))}
    texts |= {_ARTICLE.sub("", text) for text in texts}
    texts |= {f"{text[:1].upper()}{text[1:]}" for text in texts}
    return {text for text in texts if len(text) > _SHORT}

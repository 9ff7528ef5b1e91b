"""What a prompt says of the model and of the learning rate that it is about."""

import re
from collections.abc import Iterable, Iterator, Sequence

from lrgen import catalogue, config

_NUMBER = r"\d+(?:[.,]\d+)?(?:\s*[eE]\s*[-+]?\d+)?|[.,]\d+(?:[eE][-+]?\d+)?"
_MARKS = r"[\s\"'`*_)\]:=~≈→>]*"
_SMALL_WORDS = "is|was|of|at|to|be|with|set|value|equals?|around|about|initial"
# What may stand between "learning rate" and its number.
_BETWEEN = rf"{_MARKS}(?:(?:{_SMALL_WORDS})\b{_MARKS}){{0,3}}"


def detect_model(text: str, settings: config.Settings | None = None, names: Sequence[str] | None = None) -> str | None:
    """The architecture that a text says is the active one; None when it names none, or several alike.

    The first of these that is just one: a name with the active indicator behind it on its line, a name with the
    prefix (``model_ResNet18``), a name in a sentence with a keyword, a name at all. Case does not matter, nor whether
    the number is set off (``resnet-18``); a network that lrgen does not have (``ResNet-152``) is none that it has.
    ``names`` are the networks that count, by default those of the catalogue.
    """
    settings = settings or config.load()
    how = settings.prompt.model_detection
    names = [one.name for one in catalogue.of(settings).architectures] if names is None else names
    lines = text.splitlines()
    marked = (line.rpartition(how.active_indicator)[0] for line in lines if how.active_indicator in line)
    keywords = [word.casefold() for word in how.keywords if word not in names]
    sentences = re.split(r"\n|(?<=[.!?])\s", text)
    told = [sentence for sentence in sentences if any(word in sentence.casefold() for word in keywords)]
    for found in (
        [last for part in marked if (last := next(reversed(list(_named(part, names))), None))],
        _named(text, names, how.prefix),
        (name for sentence in told for name in _named(sentence, names)),
        _named(text, names),
    ):
        if len(different := set(found)) == 1:
            return different.pop()
        if different:
            return None
    return None


def extract_lr(text: str, settings: config.Settings | None = None) -> float:
    """The learning rate that a text names: the first number after a keyword that lies within the range.

    ``0,01`` and ``.01`` are 0.01, ``1%`` as well. Without such a number it is the default.
    """
    how = (settings or config.load()).prompt.lr_extraction
    low, high = how.lr_range
    return next((rate for rate in _rates(text, how.keywords) if low <= rate <= high), how.default_lr)


def _named(text: str, names: Iterable[str], prefix: str = "") -> Iterator[str]:
    """The names in a text, in its order."""
    by_folded = {name.casefold(): name for name in names}
    spelled = (
        re.sub(r"(?<=[a-z])(?=v?\d)", r"[-_ ]?", re.escape(name)) for name in sorted(by_folded, key=len, reverse=True)
    )
    before = re.escape(prefix) if prefix else r"(?<![A-Za-z0-9])"
    pattern = rf"{before}({'|'.join(spelled)})(?![A-Za-z0-9])(?!-?v?\d|[- _]\d)"
    for match in re.finditer(pattern, text, re.IGNORECASE):
        yield by_folded[re.sub(r"[-_ ]", "", match[1]).casefold()]


def _rates(text: str, keywords: Iterable[str]) -> Iterator[float]:
    """The numbers that stand behind a keyword, percentages as fractions."""
    words = "|".join(re.escape(word).replace("_", r"[-_ ]?") for word in keywords)
    pattern = (
        rf"(?<![A-Za-z])(?:{words})(?:s|_init|_0|0)?(?![A-Za-z0-9]){_BETWEEN}(?P<number>{_NUMBER})(?![\d/])"
        r"\s*(?P<percent>%)?"
    )
    for match in re.finditer(pattern, text, re.IGNORECASE):
        rate = float(re.sub(r"\s", "", match["number"]).replace(",", "."))
        yield rate / 100 if match["percent"] else rate

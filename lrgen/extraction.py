"""Extraction of the model and the learning rate from the text of a prompt."""

import re
from collections.abc import Iterable, Iterator, Sequence

from lrgen import catalogue, config

_NUMBER = r"\d+(?:[.,]\d+)?(?:\s*[eE]\s*[-+]?\d+)?|[.,]\d+(?:[eE][-+]?\d+)?"
_MARKS = r"[\s\"'`*_)\]:=~≈→>]*"
_SMALL_WORDS = "is|was|of|at|to|be|with|set|value|equals?|around|about|initial"
# The text that may stand between "learning rate" and its number.
_BETWEEN = rf"{_MARKS}(?:(?:{_SMALL_WORDS})\b{_MARKS}){{0,3}}"


def detect_model(text: str, settings: config.Settings | None = None, names: Sequence[str] | None = None) -> str | None:
    """Return the active architecture that a text names, or None when it names none, or several without a preference.

    Four rules apply in order, and the first that matches any name decides: the last name before the active indicator on
    its line, a name after the prefix (``model_ResNet18``), a name in a sentence with a keyword, a name anywhere. When
    that rule matches different names, the result is None. Matching ignores case and accepts a separator before the
    number (``resnet-18``). A network that lrgen does not have (``ResNet-152``) matches no shorter name (``ResNet``).
    ``names`` are the networks to look for, by default those of the catalogue.
    """
    settings = settings or config.load()
    detection = settings.prompt.model_detection
    names = [architecture.name for architecture in catalogue.of(settings).architectures] if names is None else names
    lines = text.splitlines()
    marked = (line.rpartition(detection.active_indicator)[0] for line in lines if detection.active_indicator in line)
    keywords = [word.casefold() for word in detection.keywords if word not in names]
    sentences = re.split(r"\n|(?<=[.!?])\s", text)
    selected = [sentence for sentence in sentences if any(word in sentence.casefold() for word in keywords)]
    for matches in (
        [last for part in marked if (last := next(reversed(list(_named(part, names))), None))],
        _named(text, names, detection.prefix),
        (name for sentence in selected for name in _named(sentence, names)),
        _named(text, names),
    ):
        if len(different := set(matches)) == 1:
            return different.pop()
        if different:
            return None
    return None


def extract_lr(text: str, settings: config.Settings | None = None) -> float:
    """Return the learning rate that a text names: the first number after a keyword that lies within the range.

    ``0,01``, ``.01`` and ``1%`` are read as 0.01. Without such a number, the result is the default learning rate.
    """
    extraction = (settings or config.load()).prompt.lr_extraction
    low, high = extraction.lr_range
    return next((rate for rate in _rates(text, extraction.keywords) if low <= rate <= high), extraction.default_lr)


def _named(text: str, names: Iterable[str], prefix: str = "") -> Iterator[str]:
    """Yield the names in a text, in the order of the text."""
    by_folded = {name.casefold(): name for name in names}
    spelled = (
        re.sub(r"(?<=[a-z])(?=v?\d)", r"[-_ ]?", re.escape(name)) for name in sorted(by_folded, key=len, reverse=True)
    )
    before = re.escape(prefix) if prefix else r"(?<![A-Za-z0-9])"
    pattern = rf"{before}({'|'.join(spelled)})(?![A-Za-z0-9])(?!-?v?\d|[- _]\d)"
    for match in re.finditer(pattern, text, re.IGNORECASE):
        yield by_folded[re.sub(r"[-_ ]", "", match[1]).casefold()]


def _rates(text: str, keywords: Iterable[str]) -> Iterator[float]:
    """Yield the numbers after a keyword; percentages become fractions."""
    words = "|".join(re.escape(word).replace("_", r"[-_ ]?") for word in keywords)
    pattern = (
        rf"(?<![A-Za-z])(?:{words})(?:s|_init|_0|0)?(?![A-Za-z0-9]){_BETWEEN}(?P<number>{_NUMBER})(?![\d/])"
        r"\s*(?P<percent>%)?"
    )
    for match in re.finditer(pattern, text, re.IGNORECASE):
        rate = float(re.sub(r"\s", "", match["number"]).replace(",", "."))
        yield rate / 100 if match["percent"] else rate

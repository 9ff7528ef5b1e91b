"""Texts in many words: templates with alternatives, which chance chooses, and numbers in several forms.

``[Write|I need] {what}[ in one file].`` A bracket holds alternatives, separated by bars; one without a bar may be left
out. Brackets nest. ``{what}`` is a field, whose text is not expanded.
"""

import random
import re
from fractions import Fraction

from lrgen.errors import DatasetError

_PIECE = re.compile(r"[][|]|[^][|]+")
_FIELD = re.compile(r"\{(\w+)\}")
_LARGEST_DENOMINATOR = 20
_LARGEST_OF_SEVERAL_PARTS = 5  # 4/5 is a usual fraction, 17/20 is not


def phrase(template: str, chance: random.Random, **fields: str) -> str:
    """Return a text of a template; it begins with a capital letter, and has no repeated spaces but in its fields.

    Raises:
        DatasetError: when a bracket is not opened or not closed, or a field is missing.
    """
    pieces = _PIECE.findall(template)
    text, end = _chosen(pieces, 0, chance)
    if end != len(pieces):
        raise DatasetError(f"a bracket is not opened or not closed in the template {template!r}")
    for field in _FIELD.findall(text):
        if field not in fields:
            raise DatasetError(f"the template {template!r} needs the field {field}")
    text = _FIELD.sub(lambda match: fields[match[1]], _spaced(text))
    return text[:1].upper() + text[1:]


def _chosen(pieces: list[str], at: int, chance: random.Random) -> tuple[str, int]:
    """Expand the alternatives that begin with a piece; returns the chosen one and the index of the bracket at its end.

    All are expanded, so that one choice does not depend on another.
    """
    texts = [""]
    while at < len(pieces) and pieces[at] != "]":
        if pieces[at] == "|":
            texts.append("")
        elif pieces[at] == "[":
            inner, at = _chosen(pieces, at + 1, chance)
            texts[-1] += inner
        else:
            texts[-1] += pieces[at]
        at += 1
    closed = at < len(pieces)
    return chance.choice([*texts, ""] if closed and len(texts) == 1 else texts), at


def _spaced(text: str) -> str:
    """Return a text without repeated spaces, and without spaces at the ends of lines and before punctuation."""
    return re.sub(r" +(?=[.,;:?!)\n]|$)", "", re.sub(r" {2,}", " ", text)).strip()


def numeral(value: float, chance: random.Random) -> str:
    """Return a number in one of its exact forms: ``0.1``, ``10%``, ``1/10``, ``1e-4``."""
    return chance.choice(forms(value))


def forms(value: float) -> list[str]:
    """Return the exact forms of a number, the decimal one first.

    A number between 0 and 1 is also a percentage, if it has at most four digits, and a fraction that people write,
    such as 2/3 or 1/20; one below 0.01 has an exponent, too.
    """
    decimal = f"{value:.12g}"
    texts = [decimal if float(decimal) == value else repr(value)]
    if 0 < abs(value) < 1:
        fraction = Fraction(value).limit_denominator(_LARGEST_DENOMINATOR)
        usual = abs(fraction.numerator) == 1 or fraction.denominator <= _LARGEST_OF_SEVERAL_PARTS
        if usual and float(fraction) == value:
            texts.append(str(fraction))
        percent = f"{100 * value:.4g}"
        if float(f"{float(percent) / 100:.12g}") == value:
            texts.append(f"{percent}%")
    if 0 < abs(value) < 0.01:
        mantissa, exponent = f"{value:e}".split("e")
        text = f"{float(mantissa):g}e{int(exponent)}"
        texts += [text] if float(text) == value else []
    return texts

"""Texts in many words: templates with alternatives, which chance chooses, and numbers in several forms.

``[Write|I need] {what}[ in one file].`` A bracket holds alternatives, separated by bars; one without a bar may be left
out. Brackets nest. ``{what}`` is a field, whose text is not expanded.
"""

import random
import re
from fractions import Fraction

from lrgen.errors import DatasetError

_PIECE = re.compile(r"[][|]|\{\w+\}|[^][|{]+|\{")
_LARGEST_DENOMINATOR = 20


def phrase(template: str, chance: random.Random, **fields: str) -> str:
    """Return a text of a template; it begins with a capital letter, and has no repeated spaces.

    Raises:
        DatasetError: when a bracket is not closed, or a field is missing.
    """
    pieces = _PIECE.findall(template)
    text, end = _alternatives(pieces, 0, chance, fields)
    if end != len(pieces):
        raise DatasetError(f"a bracket is not opened or not closed in the template {template!r}")
    return text[:1].upper() + text[1:]


def _alternatives(pieces: list[str], at: int, chance: random.Random, fields: dict[str, str]) -> tuple[str, int]:
    """Expand the alternatives from a piece on, and choose one; returns it and the index of the bracket that ends them.

    All are expanded, so that the choice of one does not depend on what another contains.
    """
    texts, bars = [""], 0
    while at < len(pieces) and pieces[at] != "]":
        piece = pieces[at]
        if piece == "|":
            texts.append("")
            bars += 1
        elif piece == "[":
            start = at
            inner, at = _alternatives(pieces, at + 1, chance, fields)
            if at == len(pieces):
                raise DatasetError(f"a bracket is not closed in the template {''.join(pieces)!r}")
            optional = "|" not in _level(pieces[start + 1 : at])
            texts[-1] = _joined(texts[-1], "" if optional and chance.random() < 0.5 else inner)
        elif piece.startswith("{") and piece != "{":
            if piece[1:-1] not in fields:
                raise DatasetError(f"the template {''.join(pieces)!r} needs the field {piece[1:-1]}")
            texts[-1] += fields[piece[1:-1]]
        else:
            texts[-1] = _joined(texts[-1], piece)
        at += 1
    return (chance.choice(texts) if bars else texts[0]), at


def _level(pieces: list[str]) -> list[str]:
    """Return the pieces outside of inner brackets."""
    depth, outer = 0, []
    for piece in pieces:
        depth -= piece == "]"
        if depth == 0:
            outer.append(piece)
        depth += piece == "["
    return outer


def _joined(left: str, right: str) -> str:
    """Join two texts without a repeated space, and without a space at the beginning or before a full stop."""
    if not left or left[-1] in " \n":
        right = right.lstrip(" ")
    if right[:1] in tuple(".,;:?!)"):
        left = left.rstrip(" ")
    return left + right


def numeral(value: float, chance: random.Random) -> str:
    """Return a number in one of its exact forms: ``0.1``, ``10%``, ``1/10``, ``1e-4``."""
    return chance.choice(forms(value))


def forms(value: float) -> list[str]:
    """Return the exact forms of a number, the decimal one first.

    A number between 0 and 1 is also a percentage, if it has at most four digits, and a fraction, if its denominator is
    small; one below 0.01 has an exponent, too.
    """
    decimal = f"{value:.12g}"
    texts = [decimal if float(decimal) == value else repr(value)]
    if 0 < abs(value) < 1:
        fraction = Fraction(value).limit_denominator(_LARGEST_DENOMINATOR)
        if float(fraction) == value:
            texts.append(str(fraction))
        percent = f"{100 * value:.4g}"
        if float(f"{float(percent) / 100:.12g}") == value:
            texts.append(f"{percent}%")
    if 0 < abs(value) < 0.01:
        mantissa, exponent = f"{value:e}".split("e")
        text = f"{float(mantissa):g}e{int(exponent)}"
        texts += [text] if float(text) == value else []
    return texts

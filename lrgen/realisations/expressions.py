"""Expressions as text, with the parentheses that they need, in Black's form."""

import re
from fractions import Fraction
from typing import NamedTuple

from lrgen.realisations.choices import Choices

SUM, PRODUCT, POWER, ATOM = range(4)

_SIMPLE = re.compile(r"-?[\w.]+")
_OPERAND = re.compile(r"-?[\w.]+|[\d.]+e-\d+")  # of a power that Black writes without spaces
_MAX_DIGITS = 12
SMALL = Fraction(1, 10_000)
"""Below it a number has an exponent."""


class Expr(NamedTuple):
    """The text of an expression, and how tightly its outermost operator binds."""

    text: str
    rank: int = ATOM

    def within(self, rank: int) -> str:
        """The text, in parentheses if it binds less tightly than the rank."""
        return self.text if self.rank >= rank else f"({self.text})"

    @property
    def is_simple(self) -> bool:
        """Whether it is a name or a number."""
        return _SIMPLE.fullmatch(self.text) is not None


ONE = Expr("1")
TWO = Expr("2")


def add(left: Expr, right: Expr) -> Expr:
    return Expr(f"{left.text} + {right.within(SUM)}", SUM)


def sub(left: Expr, right: Expr) -> Expr:
    return Expr(f"{left.text} - {right.within(PRODUCT)}", SUM)


def mul(left: Expr, right: Expr) -> Expr:
    """The product; as a right operand, a quotient is kept in parentheses only where the order matters."""
    if left.text in ("1", "1.0"):
        return right
    if right.text in ("1", "1.0"):
        return left
    if right.rank == PRODUCT and right.text.startswith(("1 / ", "1.0 / ")):
        return Expr(f"{left.within(PRODUCT)} {right.text[right.text.index('/') :]}", PRODUCT)
    return Expr(f"{left.within(PRODUCT)} * {right.within(PRODUCT)}", PRODUCT)


def div(left: Expr, right: Expr) -> Expr:
    return Expr(f"{left.within(PRODUCT)} / {right.within(POWER)}", PRODUCT)


def floordiv(left: Expr, right: Expr) -> Expr:
    return Expr(f"{left.within(PRODUCT)} // {right.within(POWER)}", PRODUCT)


def mod(left: Expr, right: Expr) -> Expr:
    return Expr(f"{left.within(PRODUCT)} % {right.within(POWER)}", PRODUCT)


def power(base: Expr, exponent: Expr) -> Expr:
    """The power; Black writes ``**`` without spaces between names and numbers."""
    if exponent.text in ("1", "1.0"):
        return base
    left = base.text if base.rank == ATOM and not base.text.startswith("-") else f"({base.text})"
    right = exponent.within(ATOM)
    hug = _OPERAND.fullmatch(left) and _OPERAND.fullmatch(right)
    return Expr(f"{left}**{right}" if hug else f"{left} ** {right}", POWER)


def call(function: str, *arguments: Expr) -> Expr:
    return Expr(f"{function}({', '.join(argument.text for argument in arguments)})")


def name(text: str) -> Expr:
    return Expr(text)


def decimal(value: Fraction) -> str | None:
    """The shortest decimal text of a fraction that has one; without a point if it is a whole number."""
    denominator, digits = value.denominator, 0
    while denominator % 10 == 0:
        denominator //= 10
        digits += 1
    twos = (denominator & -denominator).bit_length() - 1
    fives, rest = 0, denominator >> twos
    while rest % 5 == 0:
        rest //= 5
        fives += 1
    digits += max(twos, fives)
    if rest != 1 or digits > _MAX_DIGITS:
        return None
    scaled = str(abs(value.numerator) * 10**digits // value.denominator).rjust(digits + 1, "0")
    text = f"{scaled[:-digits]}.{scaled[-digits:]}" if digits else scaled
    return f"-{text}" if value < 0 else text


def over(value: Fraction) -> tuple[Fraction, int] | None:
    """A short decimal and a divisor of it: 1/3000 is 0.001 / 3; None where a ratio of integers is as short."""
    divisor = value.denominator
    for factor in (2, 5):
        while divisor % factor == 0:
            divisor //= factor
    text = decimal(value * divisor)
    if value.denominator <= 100 or divisor in (1, value.denominator) or divisor > 1000 or not text:
        return None
    return (value * divisor, divisor) if len(text.strip("0.")) <= 4 else None


class Numbers:
    """Numbers as one writer writes them; learning rates below 0.01 have an exponent."""

    def __init__(self, choices: Choices, *, are_rates: bool = False) -> None:
        self._scientific = are_rates or choices.odds("numbers.scientific", 0.5)
        self._underscores = choices.odds("numbers.underscores", 0.5)
        self._floats = choices.odds("numbers.floats", 0.5)

    def integer(self, value: int) -> Expr:
        """A count of steps or cycles."""
        return Expr(f"{value:_}" if self._underscores and value >= 10_000 else str(value))

    def real(self, value: Fraction) -> Expr:
        """A level, a factor, an exponent."""
        if value.denominator == 1:
            return Expr(f"{value.numerator}.0" if self._floats else str(value.numerator))
        text = decimal(value)
        if text is None:
            if divided := over(value):
                return Expr(f"{self.real(divided[0]).text} / {divided[1]}", PRODUCT)
            if max(abs(value.numerator), value.denominator) <= 10_000:
                return Expr(f"{value.numerator} / {value.denominator}", PRODUCT)
            return Expr(repr(float(value)))
        if (self._scientific and value < Fraction(1, 100)) or value < SMALL or len(text) > 8:
            short = scientific(text)
            if len(short) < len(text) or self._scientific:
                return Expr(short)
        return Expr(text)

    def spoken(self, value: Fraction) -> str:
        """A level in a sentence."""
        return self.real(value).text.removesuffix(".0").replace(" / ", "/")


def scientific(text: str) -> str:
    """A decimal text below 1 in scientific notation."""
    sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, _, digits = text.partition(".")
    significant = (whole + digits).lstrip("0")
    if not significant:
        return text
    exponent = len(whole) - 1 if whole.strip("0") else -(len(digits) - len(digits.lstrip("0"))) - 1
    significant = significant.rstrip("0")
    mantissa = significant[0] + (f".{significant[1:]}" if len(significant) > 1 else "")
    return f"{sign}{mantissa}e{exponent}" if exponent else f"{sign}{text}"

"""Numbers of compositions as people write them: each form is exact."""

import functools
from fractions import Fraction

_DIGITS = 7
_SMALL = Fraction(1, 1000)  # below it a number has an exponent
_SPOKEN = {Fraction(1, 2): "half", Fraction(1, 3): "a third", Fraction(2, 3): "two thirds", Fraction(1, 4): "a quarter"}
_SPOKEN |= {Fraction(3, 4): "three quarters", Fraction(1, 5): "a fifth", Fraction(1, 10): "a tenth"}
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TIMES = {1: "once", 2: "twice"}


@functools.lru_cache(maxsize=4096)
def decimal(value: Fraction) -> str | None:
    """Return the decimal form of a number, ``0.05`` or ``5e-4``; None when it has more than seven digits."""
    text = f"{float(value):.{_DIGITS}g}"
    if Fraction(text) != value:
        return None
    if 0 < value < _SMALL:
        mantissa, exponent = f"{float(value):.{_DIGITS}e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{float(value):g}" if "e" not in text else str(int(value))


@functools.lru_cache(maxsize=4096)
def percentage(value: Fraction) -> str | None:
    """Return a number as a percentage, ``12.5%``; None when it has more than four digits."""
    text = f"{float(100 * value):.4g}"
    return f"{text}%" if "e" not in text and Fraction(text) == 100 * value else None


def ratio(value: Fraction) -> str:
    """Return a number as a fraction of integers, ``1/3``."""
    return str(value)


def plain(value: Fraction) -> str:
    """Return the decimal form of a number, and a fraction where it has none."""
    return decimal(value) or ratio(value)


def spoken(value: Fraction) -> str | None:
    """Return a common fraction in words, ``a third``; None for others."""
    return _SPOKEN.get(value)


def counted(count: int) -> str:
    """Return a small count in words, ``three``; a larger one in digits."""
    return _WORDS[count] if count < len(_WORDS) else str(count)


def times(count: int) -> str:
    """Return ``twice``, ``three times``."""
    return _TIMES.get(count) or f"{counted(count)} times"


def integer(value: int, separator: str) -> str:
    """Return an integer with a separator of thousands, which numbers of four digits and less do without."""
    return f"{value:,}".replace(",", separator) if value >= 10_000 or separator == "," else str(value)

"""A composition as a formula with cases, in the progress p of each phase."""

import random
from fractions import Fraction

from lrgen.curves.compositions import Phase, Shape
from lrgen.finetune.instructions.compositions import numbers
from lrgen.finetune.instructions.compositions.terms import Lengths, Levels, Terms

_SYMBOLS = (
    ("t", "T", "eta"),
    ("t", "T", "lr"),
    ("s", "S", "lr"),
    ("k", "N", "f"),
    ("n", "N", "lr"),
    ("i", "total", "lr"),
)
_INDENT = "    "


def cases(terms: Terms, chance: random.Random) -> str:
    """Return an indented formula with a case for each phase, and a line on its symbols."""
    step, total, value = chance.choice(_SYMBOLS)
    absolute = terms.levels is Levels.ABSOLUTE
    caret, times = chance.choice(("**", "^")), chance.choice((" * ", " "))
    texts = [_bare(expression(phase, terms, caret, times)) for phase in terms.composition.phases]
    ends = [_point(end, terms, total) for end in terms.ends]
    inner = step if terms.composition.repeats == 1 else f"{step}'"
    style = chance.randrange(3)
    begins = ["0", *ends[:-1]]
    conditions = [
        (f"if {inner} < {end}", f"for {begin} <= {inner} < {end}", f"{begin} <= {inner} < {end}")[style]
        for begin, end in zip(begins, ends, strict=True)
    ]
    width = max(map(len, texts))
    lines = [f"{text.ljust(width)}  {condition}" for text, condition in zip(texts, conditions, strict=True)]
    head = f"{value}({step}) = " if absolute else f"{value}({step}) = base_lr{times or ' '}{{"
    if not absolute:
        body = "\n".join(f"{_INDENT * 2}{line}" for line in lines)
        formula = f"{_INDENT}{head}\n{body}\n{_INDENT}}}"
    else:
        body = f"\n{_INDENT}{' ' * len(head)}".join(lines)
        formula = f"{_INDENT}{head}{body}"
    return f"{formula}\n\n{_symbols(terms, step, total, inner)}"


def expression(phase: Phase, terms: Terms, caret: str, times: str) -> str:
    """Return the level within a phase as an expression in its progress p."""
    a = _number(phase.start, terms)
    match phase.shape:
        case Shape.HOLD:
            return a
        case Shape.LINEAR:
            return _between(phase, terms, "(1 - p)", times) if phase.end == 0 else _sum(phase, terms, "p", times)
        case Shape.COSINE:
            return _between(phase, terms, f"(1 + cos(pi{times}p)) / 2", times)
        case Shape.POLYNOMIAL:
            return _between(phase, terms, f"(1 - p){caret}{_factor(numbers.plain(phase.power))}", times)
        case Shape.ONE_MINUS_SQRT:
            return _between(phase, terms, "(1 - sqrt(p))", times)
        case Shape.EXPONENTIAL:
            return _scaled(a, f"{_power(phase.end / phase.start, caret)}p")
        case Shape.INVERSE_SQRT:
            ratio = phase.start / phase.end
            growth = numbers.plain(ratio**2 - 1)
            if "/" in growth:
                growth = f"(({_number(phase.start, terms)} / {_number(phase.end, terms)}){caret}2 - 1)"
            return f"{a} / sqrt(1 + {growth}{times}p)"
        case Shape.STEPS:
            return _scaled(a, f"{_power(phase.decay, caret)}floor({phase.count}{times}p)")
    shrinking = "" if phase.decay == 1 else f" * {_power(phase.decay, caret)}floor({phase.count}{times}p)"
    x = f"frac({phase.count}{times}p)" if phase.count > 1 else "p"
    if phase.shape is Shape.TRIANGULAR:
        weight = f"(1 - |2{times}{x} - 1|){shrinking}"
        return _combined(phase.start, phase.peak - phase.start, terms, weight, times)
    weight = f"(1 - {x})" if phase.shape is Shape.SAWTOOTH else f"(1 + cos(pi{times}{x})) / 2"
    return f"{_between(phase, terms, weight, times)}{shrinking}"


def _between(phase: Phase, terms: Terms, weight: str, times: str) -> str:
    """``b + (a - b) weight``."""
    return _combined(phase.end, phase.start - phase.end, terms, weight, times)


def _sum(phase: Phase, terms: Terms, weight: str, times: str) -> str:
    """``a + (b - a) weight``."""
    return _combined(phase.start, phase.end - phase.start, terms, weight, times)


def _combined(level: Fraction, difference: Fraction, terms: Terms, weight: str, times: str) -> str:
    scale = _number(abs(difference), terms)
    product = weight if scale == "1" else f"{_factor(scale)}{times}{weight}"
    if level == 0:
        return product
    return f"{_number(level, terms)} {'-' if difference < 0 else '+'} {product}"


def _number(level: Fraction, terms: Terms) -> str:
    return numbers.plain(level * terms.composition.base_lr if terms.levels is Levels.ABSOLUTE else level)


def _bare(text: str) -> str:
    """An expression that stands alone, without parentheses around it."""
    return text[1:-1] if text in ("(1 - p)", "(1 - sqrt(p))") else text


def _factor(text: str) -> str:
    return f"({text})" if "/" in text else text


def _scaled(level: str, text: str) -> str:
    return text if level == "1" else f"{level} * {text}"


def _power(base: Fraction, caret: str) -> str:
    """The base of a power with its operator."""
    return f"{_factor(numbers.plain(base))}{caret}"


def _point(end: Fraction, terms: Terms, total: str) -> str:
    """The end of a phase in steps: ``500``, ``0.05 T``."""
    if terms.lengths is Lengths.STEPS:
        return str(int(end * terms.per_period))
    length = total if terms.composition.repeats == 1 else "P"
    return length if end == 1 else f"{_factor(numbers.plain(end))} {length}"


def _symbols(terms: Terms, step: str, total: str, inner: str) -> str:
    composition = terms.composition
    text = f"where {step} = 0, 1, ... counts {terms.steps}"
    if terms.lengths is not Lengths.STEPS:
        text += f", {total} is their total number"
    if composition.repeats > 1:
        period = f"{total} // {composition.repeats}"
        if terms.lengths is Lengths.STEPS:
            period = str(terms.per_period)
        named = "" if terms.lengths is Lengths.STEPS else f", P = {period} is the length of a {terms.period}"
        text += f"{named}, {inner} = {step} mod {'P' if named else period} is the step within the {terms.period}"
    if len(composition.phases) == 1:
        text += f", and p = {inner} / {_point(Fraction(1), terms, total)}"
    else:
        text += f", and p runs from 0 to 1 within each case: p = ({inner} - begin) / (end - begin)"
    if any(phase.shape.is_cyclic and phase.count > 1 for phase in composition.phases):
        text += "; frac(x) = x - floor(x)"
    return f"{text}."

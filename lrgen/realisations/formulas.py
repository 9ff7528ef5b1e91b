"""The multiplier within a phase as an expression, in the several ways that people write it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from lrgen.curves.compositions import Phase, Shape
from lrgen.realisations.choices import Choices
from lrgen.realisations.expressions import (
    Expr,
    Numbers,
    add,
    call,
    div,
    floordiv,
    mod,
    mul,
    name,
    power,
    sub,
)

Level = Callable[[Fraction], Expr]


@dataclass
class Piece:
    """A phase in code.

    Attributes:
        u: the steps since its begin; n: the number of its steps.
        lines: statements before the value.
        value: the multiplier.
    """

    u: Expr
    n: Expr
    value: Expr
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Writer:
    """How a writer writes formulas.

    Attributes:
        choices: drawn once for a realisation.
        numbers: how numbers are written.
        level: a level as an expression, perhaps by name.
        names: the names of progress, cycle, position in the cycle and stage.
    """

    choices: Choices
    numbers: Numbers
    level: Level
    progress: str = "progress"
    cycle: str = "cycle"
    position: str = "x"
    stage: str = "stage"
    clamp: str = ""


def affine(writer: Writer, constant: Fraction, slope: Fraction, x: Expr) -> Expr:
    """``constant + slope x``, with the numbers as they are."""
    real = writer.numbers.real
    if slope == 0:
        return writer.level(constant)
    if constant == 0:
        return mul(real(slope), x)
    if slope < 0:
        return sub(writer.level(constant), mul(real(-slope), x))
    return add(writer.level(constant), mul(real(slope), x))


def between(writer: Writer, a: Fraction, b: Fraction, weight: Expr, key: str) -> Expr:
    """From ``a`` at weight 1 to ``b`` at weight 0."""
    if b == 0:
        return mul(writer.level(a), weight) if a != 1 else weight
    form = writer.choices.pick(f"{key}.between", ("folded", "open", "folded", "swapped"))
    if form == "folded":
        return affine(writer, b, a - b, weight)
    if form == "swapped" and a > b:
        return add(mul(_difference(writer, a, b), weight), writer.level(b))
    return add(writer.level(b), mul(_difference(writer, a, b), weight))


def _difference(writer: Writer, a: Fraction, b: Fraction) -> Expr:
    return sub(writer.level(a), writer.level(b)) if b else writer.level(a)


def rising(writer: Writer, a: Fraction, b: Fraction, p: Expr, key: str) -> Expr:
    """From ``a`` at progress 0 to ``b`` at 1, on a straight line."""
    real = writer.numbers.real
    if a == 0:
        return p if b == 1 else mul(writer.level(b), p)
    if b == 0:
        return mul(writer.level(a), sub(real(Fraction(1)), p))
    form = writer.choices.pick(f"{key}.line", ("folded", "open", "folded", "weights"))
    if form == "open":
        return add(writer.level(a), mul(_difference(writer, b, a), p))
    if form == "weights":
        return add(mul(writer.level(a), sub(real(Fraction(1)), p)), mul(writer.level(b), p))
    return affine(writer, a, b - a, p)


def _half_cosine(writer: Writer, p: Expr, key: str) -> Expr:
    one, two = writer.numbers.real(Fraction(1)), writer.numbers.real(Fraction(2))
    form = writer.choices.pick("cosine", ("half", "half", "over", "square", "minus"))
    cosine = call("math.cos", mul(name("math.pi"), p))
    if form == "half":
        return mul(Expr("0.5"), add(one, cosine))
    if form == "square":
        return power(call("math.cos", div(mul(name("math.pi"), p), two)), Expr("2"))
    if form == "minus":
        return sub(one, mul(Expr("0.5"), sub(one, cosine)))
    return div(add(one, cosine), two)


def _root(writer: Writer, x: Expr) -> Expr:
    return power(x, Expr("0.5")) if writer.choices.odds("root.power", 0.3) else call("math.sqrt", x)


def _power(writer: Writer, x: Expr, exponent: Fraction) -> Expr:
    if exponent == Fraction(1, 2):
        return _root(writer, x)
    return power(x, Expr(str(exponent)) if exponent.denominator == 1 else writer.numbers.real(exponent))


def needs_progress(phase: Phase) -> bool:
    """Whether the value depends on the progress as a real number."""
    return phase.shape not in (Shape.HOLD, Shape.STEPS) and not (phase.shape.is_cyclic and phase.count > 1)


def value_of(writer: Writer, phase: Phase, p: Expr, key: str) -> Expr:
    """The multiplier of a phase without stages, at progress p."""
    a, b = phase.start, phase.end
    one = writer.numbers.real(Fraction(1))
    match phase.shape:
        case Shape.HOLD:
            return writer.level(a)
        case Shape.LINEAR:
            return rising(writer, a, b, p, key)
        case Shape.COSINE | Shape.COSINE_CYCLES:
            return between(writer, a, b, _half_cosine(writer, p, key), key)
        case Shape.POLYNOMIAL:
            return between(writer, a, b, _power(writer, sub(one, p), phase.power), key)
        case Shape.ONE_MINUS_SQRT:
            return between(writer, a, b, sub(one, _root(writer, p)), key)
        case Shape.SAWTOOTH:
            return between(writer, a, b, sub(one, p), key)
        case Shape.TRIANGULAR:
            return between(writer, phase.peak, a, _tent(writer, p), key)
        case Shape.EXPONENTIAL:
            return _exponential(writer, a, b, p, key)
        case Shape.INVERSE_SQRT:
            return _inverse_sqrt(writer, a, b, p)
    raise AssertionError(phase.shape)


def _tent(writer: Writer, p: Expr) -> Expr:
    one, two = writer.numbers.real(Fraction(1)), Expr("2")
    form = writer.choices.pick("tent", ("abs", "min", "abs"))
    if form == "min":
        return mul(two, call("min", p, sub(one, p)))
    return sub(one, call("abs", sub(mul(two, p), one)))


def _exponential(writer: Writer, a: Fraction, b: Fraction, p: Expr, key: str) -> Expr:
    form = writer.choices.pick("exponential", ("power", "power", "exp", "weights"))
    ratio = _quotient(writer, b, a)
    if form == "exp":
        return mul(writer.level(a), call("math.exp", mul(p, call("math.log", ratio))))
    if form == "weights" and a != 1:
        one = writer.numbers.real(Fraction(1))
        return mul(power(writer.level(a), sub(one, p)), power(writer.level(b), p))
    return mul(writer.level(a), power(ratio, p))


def _quotient(writer: Writer, a: Fraction, b: Fraction) -> Expr:
    """``a / b``: as a number if that is short."""
    quotient = writer.numbers.real(a / b)
    if b == 1:
        return writer.level(a)
    if len(quotient.text) <= 6 and quotient.is_simple and writer.choices.odds("quotient", 0.5):
        return quotient
    return div(writer.level(a), writer.level(b))


def _inverse_sqrt(writer: Writer, a: Fraction, b: Fraction, p: Expr) -> Expr:
    one = writer.numbers.real(Fraction(1))
    growth = (a / b) ** 2 - 1
    inner = mul(writer.numbers.real(growth), p)
    form = writer.choices.pick("inverse_sqrt", ("over", "over", "power"))
    if form == "power":
        return mul(writer.level(a), power(add(one, inner), Expr("-0.5")))
    root = _root(writer, add(one, inner))
    return div(writer.level(a), root)


def piece_of(writer: Writer, phase: Phase, u: Expr, n: Expr, key: str) -> Piece:
    """A phase at step u of n."""
    piece = Piece(u, n, n)
    if phase.shape is Shape.HOLD:
        piece.value = writer.level(phase.start)
    elif phase.shape is Shape.STEPS:
        _stages(writer, phase, piece, key)
    elif phase.shape.is_cyclic and phase.count > 1:
        _cycles(writer, phase, piece, key)
    else:
        p = div(u, n)
        if writer.clamp:
            p = call("min", p, writer.numbers.real(Fraction(1)))
        inline = phase.shape is Shape.LINEAR and u.is_simple and writer.choices.odds(f"{key}.inline", 0.6)
        if not inline:
            piece.lines.append(f"{writer.progress} = {p.text}")
            p = name(writer.progress)
        piece.value = value_of(writer, phase, p, key)
    return piece


def _stages(writer: Writer, phase: Phase, piece: Piece, key: str) -> None:
    count = writer.numbers.integer(phase.count)
    if phase.decay == 1 or phase.count == 1:
        piece.value = writer.level(phase.start)
        return
    form = writer.choices.pick(f"{key}.stages", ("name", "inline", "levels"))
    order = writer.choices.odds(f"{key}.stages.order", 0.5)
    scaled = mul(piece.u, count) if order else mul(count, piece.u)
    stage = floordiv(scaled, piece.n)
    decay = writer.numbers.real(phase.decay)
    if form == "levels" and phase.count <= 4:
        levels = [writer.numbers.real(phase.start * phase.decay**k).text for k in range(phase.count)]
        piece.lines.append(f"{writer.stage} = {stage.text}")
        piece.value = Expr(f"({', '.join(levels)})[{writer.stage}]")
        return
    if form == "inline":
        piece.value = mul(writer.level(phase.start), power(decay, stage))
        return
    piece.lines.append(f"{writer.stage} = {stage.text}")
    piece.value = mul(writer.level(phase.start), power(decay, name(writer.stage)))


def _cycles(writer: Writer, phase: Phase, piece: Piece, key: str) -> None:
    count = writer.numbers.integer(phase.count)
    scaled = mul(count, piece.u) if writer.choices.odds(f"{key}.order", 0.5) else mul(piece.u, count)
    x, cycle = name(writer.position), name(writer.cycle)
    if phase.decay == 1:
        piece.lines.append(f"{x.text} = {div(mod(scaled, piece.n), piece.n).text}")
        piece.value = value_of(writer, phase, x, key)
        return
    form = writer.choices.pick(f"{key}.cycles", ("divmod", "floor", "divmod"))
    if form == "divmod":
        piece.lines.append(f"{cycle.text}, rest = divmod({scaled.text}, {piece.n.text})")
        piece.lines.append(f"{x.text} = {div(name('rest'), piece.n).text}")
    else:
        piece.lines.append(f"{cycle.text} = {floordiv(scaled, piece.n).text}")
        piece.lines.append(f"{x.text} = {sub(div(scaled, piece.n), cycle).text}")
    decay = power(writer.numbers.real(phase.decay), cycle)
    low = phase.start if phase.shape is Shape.TRIANGULAR else phase.end
    high = phase.peak if phase.shape is Shape.TRIANGULAR else phase.start
    weight = {
        Shape.TRIANGULAR: lambda: _tent(writer, x),
        Shape.SAWTOOTH: lambda: sub(writer.numbers.real(Fraction(1)), x),
        Shape.COSINE_CYCLES: lambda: _half_cosine(writer, x, key),
    }[phase.shape]()
    if writer.choices.odds(f"{key}.amplitude", 0.5) and low != high:
        amplitude = mul(_difference(writer, high, low), decay) if high != 1 or low else decay
        piece.lines.append(f"amplitude = {amplitude.text}")
        product = mul(name("amplitude"), weight)
    else:
        product = mul(mul(writer.numbers.real(abs(high - low)), decay), weight)
        if low > high:
            piece.value = sub(writer.level(low), product)
            return
    piece.value = add(writer.level(low), product) if low else product

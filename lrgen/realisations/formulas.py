"""The multiplier within a phase as an expression, in the several ways that people write it."""

from dataclasses import dataclass, field
from fractions import Fraction

from lrgen.curves.compositions import Phase, Shape
from lrgen.realisations.draft import Draft
from lrgen.realisations.expressions import (
    ONE,
    TWO,
    Expr,
    add,
    call,
    decimal,
    div,
    floordiv,
    mod,
    mul,
    name,
    power,
    sub,
)
from lrgen.realisations.folding import WIDTH

HALF = Fraction(1, 2)
_DIGITS = 3  # of a number that is computed from levels


@dataclass
class Piece:
    """A phase in code: statements, and then its value."""

    value: Expr
    lines: list[str] = field(default_factory=list)


def _one(d: Draft) -> Expr:
    return d.numbers.real(Fraction(1))


def affine(d: Draft, constant: Fraction, slope: Fraction, x: Expr) -> Expr:
    """``constant + slope x``, with the numbers as they are."""
    real = d.numbers.real
    if slope == 0:
        return d.level(constant)
    if constant == 0:
        return mul(real(slope), x)
    if slope < 0:
        return sub(d.level(constant), mul(real(-slope), x))
    return add(d.level(constant), mul(real(slope), x))


def _difference(d: Draft, a: Fraction, b: Fraction) -> Expr:
    return sub(d.level(a), d.level(b)) if b else d.level(a)


def _form(d: Draft, key: str, options: tuple[str, ...], a: Fraction, b: Fraction) -> str:
    """Levels that have names are not folded into other numbers, nor others where that makes a long one."""
    if _are_named(d, a, b) or (decimal(a - b) and not _is_short(a - b)):
        options = tuple(option for option in options if option != "folded")
    elif not (decimal(a) and decimal(b)):
        options = ("folded",)
    return d.choices.pick(key, options)


def _are_named(d: Draft, a: Fraction, b: Fraction) -> bool:
    return a in d.level_names or b in d.level_names


def _is_short(value: Fraction) -> bool:
    """Whether a number has few digits: 0.45, not 0.49995."""
    text = decimal(abs(value))
    return text is not None and len(text.replace(".", "").strip("0")) <= _DIGITS


_BETWEEN = ("folded", "open", "folded", "swapped")


def between(d: Draft, a: Fraction, b: Fraction, weight: Expr, key: str) -> Expr:
    """From ``a`` at weight 1 to ``b`` at weight 0."""
    if b == 0:
        return mul(d.level(a), weight)
    form = _form(d, f"{key}.between", _BETWEEN, a, b)
    if form == "folded":
        return affine(d, b, a - b, weight)
    if a < b:
        return sub(d.level(b), mul(_difference(d, b, a), weight))
    if form == "swapped" and len(weight.text) < 24:
        return add(mul(_difference(d, a, b), weight), d.level(b))
    return add(d.level(b), mul(_difference(d, a, b), weight))


def straight(d: Draft, a: Fraction, b: Fraction, p: Expr, key: str) -> Expr:
    """From ``a`` at progress 0 to ``b`` at 1, on a straight line."""
    if a == 0:
        return mul(d.level(b), p)
    if b == 0:
        return mul(d.level(a), sub(_one(d), p))
    form = _form(d, f"{key}.line", ("folded", "open", "folded", "weights"), a, b)
    if form == "weights" and p.is_simple and 1 not in (a, b):
        return add(mul(d.level(a), sub(_one(d), p)), mul(d.level(b), p))
    if form == "folded":
        return affine(d, a, b - a, p)
    if b < a:
        return sub(d.level(a), mul(_difference(d, a, b), p))
    return add(d.level(a), mul(_difference(d, b, a), p))


_COSINES = ("half", "half", "over", "over", "square")


def _half_cosine(d: Draft, p: Expr, *, times_number: bool = False) -> Expr:
    """``(1 + cos(pi p)) / 2``; behind a number no 0.5 follows."""
    form = d.choices.pick("cosine", _COSINES)
    cosine = call("math.cos", mul(name("math.pi"), p))
    unit = _one(d)
    if form == "square":
        return power(call("math.cos", div(mul(name("math.pi"), p), TWO)), TWO)
    if form == "half" and not times_number:
        return mul(Expr("0.5"), add(unit, cosine))
    return div(add(unit, cosine), TWO)


def _is_folded(d: Draft, a: Fraction, b: Fraction, key: str) -> bool:
    """Whether ``between`` writes the difference of the levels as one number, which is not 1."""
    if abs(a - b) == 1 or _are_named(d, a, b):
        return False
    return 0 in (a, b) or _form(d, f"{key}.between", _BETWEEN, a, b) == "folded"


def _cosine(d: Draft, a: Fraction, b: Fraction, p: Expr, key: str) -> Expr:
    """``between`` on a half cosine; some fold the half into the levels."""
    form = d.choices.pick(f"{key}.mean", ("", "", "", "mean", "rise"))
    cosine = call("math.cos", mul(name("math.pi"), p))
    middle, swing = (a + b) / 2, (a - b) / 2
    if form == "mean" and not _are_named(d, a, b) and _is_short(middle) and _is_short(swing):
        if middle == swing:
            return mul(d.numbers.real(middle), add(_one(d), cosine))
        return affine(d, middle, swing, cosine)
    is_folded = _is_folded(d, a, b, key)
    if abs(a - b) == HALF and not _are_named(d, a, b) and d.choices.pick("cosine", _COSINES) != "square":
        if form == "rise" and b > a:
            return affine(d, a, -swing, sub(_one(d), cosine))
        return affine(d, b, swing, add(_one(d), cosine))
    if form == "rise" and b > a:
        rising = sub(_one(d), cosine)
        return between(d, b, a, div(rising, TWO) if is_folded else mul(Expr("0.5"), rising), key)
    return between(d, a, b, _half_cosine(d, p, times_number=is_folded), key)


def _root(d: Draft, x: Expr) -> Expr:
    return power(x, Expr("0.5")) if d.choices.odds("root.power", 0.3) else call("math.sqrt", x)


def _power(d: Draft, x: Expr, exponent: Fraction) -> Expr:
    if exponent == HALF:
        return _root(d, x)
    return power(x, Expr(str(exponent)) if exponent.denominator == 1 else d.numbers.real(exponent))


def _tent(d: Draft, p: Expr, *, times_number: bool = False) -> Expr:
    """``1 - |2 p - 1|``; behind a number no 2 follows."""
    two = d.numbers.real(Fraction(2))
    if d.choices.odds("tent.min", 0.35) and not times_number:
        return mul(two, call("min", p, sub(_one(d), p)))
    return sub(_one(d), call("abs", sub(mul(two, p), _one(d))))


def _quotient(d: Draft, a: Fraction, b: Fraction) -> Expr:
    """``a / b``: as a number if that is short."""
    quotient = d.numbers.real(a / b)
    if b == 1:
        return d.level(a)
    if quotient.is_simple and len(quotient.text) <= 6 and d.choices.odds("quotient", 0.5):
        return quotient
    return div(d.level(a), d.level(b))


def _exponential(d: Draft, a: Fraction, b: Fraction, p: Expr) -> Expr:
    form = d.choices.pick("exponential", ("power", "power", "exp", "weights", "power"))
    ratio = _quotient(d, b, a)
    if form == "exp":
        return mul(d.level(a), call("math.exp", mul(p, call("math.log", ratio))))
    if form == "weights" and a != 1 and p.is_simple:
        last = p if b == 1 else power(d.level(b), p)
        first = power(d.level(a), sub(_one(d), p))
        return first if b == 1 else mul(first, last)
    return mul(d.level(a), power(ratio, p))


def _inverse_sqrt(d: Draft, a: Fraction, b: Fraction, p: Expr) -> Expr:
    growth = (a / b) ** 2 - 1
    inner = add(_one(d), mul(d.numbers.real(growth), p))
    if _are_named(d, a, b) or decimal(growth) is None:
        ratio = power(Expr((d.level(a) if b == 1 else div(d.level(a), d.level(b))).within(3)), TWO)
        inner = add(_one(d), mul(sub(ratio, _one(d)), p))
    if d.choices.odds("inverse_sqrt.power", 0.25):
        return mul(d.level(a), power(inner, Expr("-0.5")))
    return div(d.level(a), _root(d, inner))


def needs_steps(phase: Phase) -> bool:
    """Whether the value needs the step and the number of steps, not the progress alone."""
    return (phase.shape is Shape.STEPS or phase.shape.is_cyclic) and phase.count > 1


def value_of(d: Draft, phase: Phase, p: Expr, key: str) -> Expr:
    """The multiplier at progress p, or at the position p within a cycle that does not decay."""
    a, b = phase.start, phase.end
    match phase.shape:
        case Shape.HOLD | Shape.STEPS:
            return d.level(a)
        case Shape.LINEAR:
            return straight(d, a, b, p, key)
        case Shape.COSINE | Shape.COSINE_CYCLES:
            return _cosine(d, a, b, p, key)
        case Shape.POLYNOMIAL:
            return between(d, a, b, _power(d, sub(_one(d), p), phase.power), key)
        case Shape.ONE_MINUS_SQRT:
            if d.choices.odds(f"{key}.root", 0.3) and a > b:
                return sub(d.level(a), mul(_difference(d, a, b), _root(d, p)))
            return between(d, a, b, sub(_one(d), _root(d, p)), key)
        case Shape.SAWTOOTH:
            return straight(d, a, b, p, key)
        case Shape.TRIANGULAR:
            is_folded = _is_folded(d, phase.peak, a, key)
            return between(d, phase.peak, a, _tent(d, p, times_number=is_folded), key)
        case Shape.EXPONENTIAL:
            return _exponential(d, a, b, p)
        case Shape.INVERSE_SQRT:
            return _inverse_sqrt(d, a, b, p)


def piece_of(d: Draft, phase: Phase, u: Expr, n: Expr, key: str, *, clamp: bool = False, local: bool = True) -> Piece:
    """A phase at step u of n.

    Args:
        key: of choices.
        clamp: whether progress stops at 1.
        local: whether steps since the begin may get a name.
    """
    if phase.shape is Shape.HOLD or (phase.shape is Shape.STEPS and not needs_steps(phase)):
        return Piece(d.level(phase.start))
    lines: list[str] = []
    if local and not u.is_simple and (_is_long(d) or d.choices.odds("u.named", 0.2)):
        own = _name(d, "name.u", ("elapsed", "since", "done", "offset", "u", "k", f"local_{d.noun[:-1]}"))
        lines.append(f"{own} = {u.text}")
        u = name(own)
        if not n.is_simple:
            own = _name(d, "name.n", ("span", "length", "duration", "n", "width"))
            lines.append(f"{own} = {n.text}")
            n = name(own)
    elif needs_steps(phase) and not n.is_simple and d.choices.odds("n.named", 0.6):
        own = _name(d, "name.n", ("span", "length", "duration", "n", "width"))
        lines.append(f"{own} = {n.text}")
        n = name(own)
    if needs_steps(phase):
        staged = _stages(d, phase, u, n, key) if phase.shape is Shape.STEPS else _cycles(d, phase, u, n, key)
        return Piece(staged.value, [*lines, *staged.lines])
    p = div(u, n)
    if clamp:
        p = call("min", p, _one(d)) if d.choices.odds("clamp.order", 0.4) else call("min", _one(d), p)
    inline = phase.shape in (Shape.LINEAR, Shape.EXPONENTIAL) and len(p.text) < 30 and not clamp
    if not (inline and d.choices.odds(f"inline.{u.is_simple}", 0.65 if u.is_simple else 0.3)):
        own = _name(d, "name.progress", ("progress", "progress", "p", "frac", "t", "x", "pct", "s"))
        value = value_of(d, phase, name(own), key)
        return Piece(p, lines) if value.text == own else Piece(value, [*lines, f"{own} = {p.text}"])
    return Piece(value_of(d, phase, p, key), lines)


def _is_long(d: Draft) -> bool:
    """Whether the steps within some phase, and its length, are too long for one line: then they have names in all."""
    step = name(d.step)
    return any(
        len(d.since(i, step).text) + len(d.span(i).text) * (1 + needs_steps(phase)) > WIDTH - 36
        for i, phase in enumerate(d.phases)
        if i and phase.shape is not Shape.HOLD
    )


def _name(d: Draft, key: str, options: tuple[str, ...]) -> str:
    """A name of a local variable: the same in all branches."""
    own = f"{key}!"
    if own not in d.locals:
        d.locals[own] = d.fresh(key, options)
    return d.locals[own]


def progress_name(d: Draft) -> str:
    """The name of the progress within a phase."""
    return _name(d, "name.progress", ("progress", "progress", "p", "frac", "t", "x", "pct", "s"))


def _scaled(d: Draft, phase: Phase, u: Expr, key: str) -> Expr:
    count = d.numbers.integer(phase.count)
    if d.numbers.integer(phase.count).text == "1":
        return u
    return mul(count, u) if d.choices.odds("count.first", 0.5) else mul(u, count)


def _stages(d: Draft, phase: Phase, u: Expr, n: Expr, key: str) -> Piece:
    if phase.decay == 1:
        return Piece(d.level(phase.start))
    stage = floordiv(_scaled(d, phase, u, key), n)
    if n.text.isdigit() and int(n.text) % phase.count == 0 and d.choices.odds("stage.size", 0.8):
        stage = floordiv(u, d.numbers.integer(int(n.text) // phase.count))
    form = d.choices.pick("stages", ("name", "inline", "levels", "name"))
    decay = d.numbers.real(phase.decay)
    own = _name(d, "name.stage", ("stage", "stage", "drops", "k", "n_drops", "stage_index"))
    if form == "levels" and phase.count <= 4:
        levels = ", ".join(d.numbers.real(phase.start * phase.decay**k).text for k in range(phase.count))
        if len(levels) < 40:
            if d.choices.odds("levels.list", 0.4):
                return Piece(Expr(f"[{levels}][{own}]"), [f"{own} = {stage.text}"])
            return Piece(Expr(f"({levels})[{own}]"), [f"{own} = {stage.text}"])
    if form == "inline":
        return Piece(mul(d.level(phase.start), power(decay, stage)))
    return Piece(mul(d.level(phase.start), power(decay, name(own))), [f"{own} = {stage.text}"])


def _cycles(d: Draft, phase: Phase, u: Expr, n: Expr, key: str) -> Piece:
    lines: list[str] = []
    position = _name(d, "name.position", ("x", "pos", "within", "phase", "position", "r"))
    whole = n.text.isdigit() and int(n.text) % phase.count == 0 and d.choices.odds("cycle.size", 0.8)
    scaled = u if whole else _scaled(d, phase, u, key)
    if whole:
        n = d.numbers.integer(int(n.text) // phase.count)
    if phase.decay == 1:
        lines.append(f"{position} = {div(mod(scaled, n), n).text}")
        return Piece(value_of(d, phase, name(position), key), lines)
    cycle = _name(d, "name.cycle", ("cycle", "cycle", "k", "cycle_index", "c", "index"))
    form = d.choices.pick("cycles", ("divmod", "floor", "mod", "divmod"))
    if form == "divmod":
        rest = _name(d, "name.rest", ("rest", "offset", "remainder", "r"))
        lines.append(f"{cycle}, {rest} = divmod({scaled.text}, {n.text})")
        lines.append(f"{position} = {div(name(rest), n).text}")
    elif form == "floor":
        lines.append(f"{cycle} = {floordiv(scaled, n).text}")
        lines.append(f"{position} = {sub(div(scaled, n), name(cycle)).text}")
    else:
        lines.append(f"{cycle} = {floordiv(scaled, n).text}")
        lines.append(f"{position} = {div(mod(scaled, n), n).text}")
    decay = power(d.numbers.real(phase.decay), name(cycle))
    low, high = (phase.start, phase.peak) if phase.shape is Shape.TRIANGULAR else (phase.end, phase.start)
    x = name(position)
    is_named = d.choices.odds("amplitude", 0.5)
    is_number = abs(high - low) != 1 and not is_named and not _are_named(d, high, low)
    if phase.shape is Shape.TRIANGULAR:
        weight = _tent(d, x, times_number=is_number)
    elif phase.shape is Shape.SAWTOOTH:
        weight = sub(_one(d), x)
    else:
        weight = _half_cosine(d, x, times_number=is_number)
    size = abs(high - low)
    if _are_named(d, high, low):
        amplitude = mul(_difference(d, max(high, low), min(high, low)), decay)
    else:
        amplitude = mul(d.numbers.real(size), decay)
    if is_named:
        own = _name(d, "name.amplitude", ("amplitude", "height", "swing", "amp"))
        lines.append(f"{own} = {amplitude.text}")
        amplitude = name(own)
    product = mul(amplitude, weight)
    if low > high:
        return Piece(sub(d.level(low), product), lines)
    return Piece(add(d.level(low), product) if low else product, lines)


__all__ = ["ONE", "Piece", "affine", "between", "needs_steps", "piece_of", "progress_name", "straight", "value_of"]

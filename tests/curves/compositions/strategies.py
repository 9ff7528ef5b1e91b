"""Compositions for property-based tests: any that the grammar has, natural or not."""

from fractions import Fraction

from hypothesis import strategies as st

from lrgen.curves.compositions import Composition, Phase, Shape
from lrgen.records import Unit

LEVELS = st.sampled_from([Fraction(text) for text in ("0", "0.001", "0.1", "1/3", "0.5", "0.75", "1", "2")])
POSITIVE = LEVELS.filter(bool)
FACTORS = st.sampled_from([Fraction(text) for text in ("0.1", "0.5", "2/3", "0.9", "1", "1.5")])


@st.composite
def phases(draw, length=Fraction(1)):
    """A phase of a length."""
    shape = draw(st.sampled_from(Shape))
    positive = shape in (Shape.EXPONENTIAL, Shape.INVERSE_SQRT)
    start = draw(POSITIVE if positive else LEVELS)
    end = draw(POSITIVE if positive else LEVELS)
    count = draw(st.integers(1, 5)) if shape.is_cyclic or shape is Shape.STEPS else 1
    decay = draw(FACTORS) if shape.is_cyclic or shape is Shape.STEPS else Fraction(1)
    if shape is Shape.INVERSE_SQRT:
        end = start * draw(st.sampled_from([Fraction(1, 10), Fraction(1, 2)]))
    elif shape in (Shape.HOLD, Shape.TRIANGULAR):
        end = start
    elif shape is Shape.STEPS:
        end = start * decay ** (count - 1)
    power = draw(st.sampled_from([Fraction(1, 2), Fraction(1), Fraction(2)])) if shape is Shape.POLYNOMIAL else 1
    peak = draw(LEVELS) if shape is Shape.TRIANGULAR else 1
    return Phase(shape, length, start, end, count, Fraction(power), decay, Fraction(peak))


@st.composite
def compositions(draw):
    """A composition of one to five phases with whole boundaries."""
    parts = draw(st.lists(st.integers(1, 20), min_size=1, max_size=5))
    repeats = draw(st.integers(1, 3))
    fixed = draw(st.booleans())
    return Composition(
        phases=tuple(draw(phases(Fraction(part, sum(parts)))) for part in parts),
        unit=draw(st.sampled_from([Unit.EPOCH, Unit.BATCH])),
        horizon=sum(parts) * repeats * draw(st.integers(1, 4)),
        fixed=fixed,
        repeats=repeats,
        repeat_decay=draw(FACTORS),
        groups=tuple(draw(st.lists(FACTORS, min_size=1, max_size=3))),
        base_lr=draw(st.sampled_from([Fraction(1, 10), Fraction(3, 10_000)])),
    )

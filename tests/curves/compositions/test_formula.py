"""Formulas, evaluated as they are read."""

import math
import re
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings

from lrgen.curves.compositions import Composition, draw
from lrgen.curves.compositions.formula import formula, number
from lrgen.curves.compositions.phases import hold, linear
from lrgen.records import Unit
from tests.curves.compositions.strategies import compositions

NUMBERS = re.compile(r"\d+(?:\.\d+)?")
NAMES = {"cos": math.cos, "sqrt": math.sqrt, "floor": math.floor, "pi": math.pi, "F": Fraction, "min": min, "abs": abs}


def evaluate(text, values):
    """The value of an expression, with exact numbers: boundaries are not decided by rounding."""
    return eval(NUMBERS.sub(lambda match: f'F("{match[0]}")', text), {}, NAMES | values)


def multiplier(composition, step):
    """The multiplier at a step, by the text of the formula alone."""
    text = formula(composition)
    values = {"t": Fraction(step), "T": Fraction(composition.horizon)}
    for name, expression in text.definitions:
        values[name] = evaluate(expression, values)
    expression = next(expression for condition, expression in text.cases if evaluate(condition, values))
    return float(evaluate(text.factor, values) * evaluate(expression, values))


def assert_formula(composition, count):
    """The formula agrees with the curve at up to ``count`` steps, those after boundaries among them."""
    stride = max(1, composition.horizon // count)
    steps = {*range(0, composition.horizon + 3, stride), *composition.bounds(composition.horizon)}
    for step in sorted(steps):
        assert multiplier(composition, step) == pytest.approx(float(composition.multipliers(step)), abs=1e-12), step


@settings(max_examples=25, deadline=None)
@given(compositions())
def test_the_formula_of_any_composition_is_its_curve(composition):
    """Definitions and cases, evaluated, give the multipliers of the composition."""
    assert_formula(composition, 20)


@pytest.mark.parametrize("number", range(15))
def test_the_formula_of_a_drawn_composition_is_its_curve(number):
    """What people read of a drawn composition is what it does."""
    assert_formula(draw(Random(f"formula {number}")), 20)


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.1", "0.1"), ("1/3", "1 / 3"), ("500", "500"), ("1/1024", "0.0009765625"), ("1e-4", "0.0001")],
)
def test_numbers_are_decimal_where_that_is_exact(value, text):
    """Numbers are written in decimals, and as quotients where decimals do not end."""
    assert number(Fraction(value)) == text


def test_a_formula_in_lines():
    """The text has one case a line, with the conditions aligned, and the factor of a repeat before all of them."""
    third = Fraction(1, 3)
    phases = (
        linear(Fraction(0), Fraction(1), third),
        hold(Fraction(1), third),
        linear(Fraction(1), Fraction(0), third),
    )
    composition = Composition(phases, Unit.BATCH, 60, repeats=2, repeat_decay=Fraction(1, 2))
    assert str(formula(composition)) == (
        "R = T / 2\n"
        "k = min(floor(t / R), 1)\n"
        "s = t - k * R\n"
        "m(t) = 0.5 ** k * f(s)\n"
        "f(s) = s / (R / 3)                     for s < R / 3\n"
        "       1                               for R / 3 <= s < 2 * R / 3\n"
        "       1 - (s - 2 * R / 3) / (R / 3)   for 2 * R / 3 <= s < R\n"
        "       0                               for s >= R"
    )


def test_a_formula_fits_a_terminal():
    """No line of a formula is longer than 100 characters, and nothing of it is left out."""
    for seed in range(200):
        text = formula(draw(Random(f"lines {seed}")))
        assert max(map(len, str(text).splitlines())) <= 100
        words = " ".join(str(text).split())
        assert all(f"{expression} for {condition}" in words for condition, expression in text.cases)

"""The formulas of the catalogue, evaluated as Python expressions, against the curves."""

import math
import re
from collections.abc import Iterator

import pytest

from lrgen import curves
from lrgen.records import PastEnd
from tests.curves.comparison import key, variants

FAMILIES = ("constant", "step", "polynomial", "exponential", "cosine", "onecycle")
IN_WORDS = {2, 13, 14, 25, 27, 58, 61, 64, 67, 124, 126, 128, 130}  # "number of milestones", "linear interpolation of"
NUMBERS = [n for n, variant in variants().items() if variant.family in FAMILIES and n not in IN_WORDS]
FUNCTIONS = {name: getattr(math, name) for name in ("ceil", "cos", "exp", "floor", "pi", "sqrt", "tanh")} | {
    "ln": math.log
}
DEFINITION = re.compile(r"(\w+)(?:\((\w+)\))? = (.+)")


def parts(formula: str) -> Iterator[str]:
    """The expression and its definitions: the formula, split at the commas outside of parentheses."""
    start = depth = 0
    for index, letter in enumerate(formula):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            yield formula[start:index].strip()
            start = index + 1
    yield formula[start:].strip()


class Names(dict):
    """The values of a formula's names; those that the formula defines are evaluated when they are used."""

    def __init__(self, definitions, values):
        super().__init__(values)
        self.definitions = definitions

    def __missing__(self, name):
        argument, expression = self.definitions[name]
        if argument is None:
            return evaluate(expression, self)
        return lambda value: evaluate(expression, Names(self.definitions, {**self, argument: value}))


def evaluate(expression: str, names: Names) -> float:
    """The value of an expression of the catalogue."""
    return eval(expression, FUNCTIONS.copy(), names)


@pytest.mark.parametrize("number", NUMBERS, ids=key)
def test_the_formula_of_the_catalogue_is_the_curve(number):
    """The formula equals the curve at each step, with the defaults and with other values of each hyperparameter."""
    variant = variants()[number]
    expression, *equations = parts(variant.formula)
    definitions = {}
    for equation in equations:
        name, argument, body = DEFINITION.fullmatch(equation).groups()
        definitions[name] = argument, body
    settings = [{}] + [{p.name: value} for p in variant.hyperparameters for value in (p.low, 0.4 * p.high, p.high)]
    for horizon in (1, 2, 7, 90):
        steps = range(horizon + 1 if variant.past_end is PastEnd.HOLD else 2 * horizon)
        for prm in settings:
            values = {**variant.defaults, **prm, "T": horizon, "lr": 0.1}
            multipliers = [evaluate(expression, Names(definitions, {**values, "t": step})) for step in steps]
            assert curves.rates(variant, steps, horizon, 0.1, prm) / 0.1 == pytest.approx(multipliers, abs=1e-9)

"""The formulas of the catalogue, evaluated as Python expressions, against the curves."""

import math
import re
from collections.abc import Iterator

import pytest

from lrgen import curves
from lrgen.records import PastEnd, Unit
from tests.curves.comparison import key, variants

IN_WORDS = {
    *(2, 13, 14, 25, 27, 58, 61, 64, 67, 124, 126, 128, 130, 146),  # "number of milestones", "linear interpolation of"
    *(8, 108, 109, 114, 138),  # "cycles of T_0, 2 T_0, ...", "the first of round(T / 3), ..."
    *(166, 167, 171),  # "entry of the permutation", "first sample of torch.rand", "PCHIP"
}
NUMBERS = [
    number
    for number, variant in variants().items()
    if variant.unit is not Unit.METRIC and not variant.layerwise and number not in IN_WORDS
]
FUNCTIONS = {name: getattr(math, name) for name in ("ceil", "cos", "exp", "floor", "pi", "sin", "sqrt", "tanh")} | {
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
    """The value of an expression of the catalogue, in which ``|x|`` is the absolute value and ``mod`` the remainder."""
    expression = re.sub(r"\|([^|]+)\|", r"abs(\1)", expression).replace(" mod ", " % ")
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

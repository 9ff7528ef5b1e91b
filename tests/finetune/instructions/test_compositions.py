"""Words for compositions: every form has all numbers of a composition, exactly."""

import json
import math
import random
import re
from fractions import Fraction

import numpy as np
import pytest

from lrgen.curves.compositions import Composition, Phase, Shape
from lrgen.curves.compositions.phases import hold, linear, stages, triangular
from lrgen.finetune.instructions.compositions import Form, Lengths, Levels, Terms, possible, text, words
from lrgen.finetune.instructions.compositions.formula import expression
from lrgen.finetune.instructions.compositions.terms import levels_of
from lrgen.finetune.wording import quoted
from lrgen.realisations import Call, Interface
from lrgen.records import Unit

F = Fraction
COMPOSITIONS = (
    Composition(
        (linear(F(0), F(1), F(1, 20)), Phase(Shape.COSINE, F(3, 4), F(1), F(1, 10)), hold(F(1, 10), F(1, 5))),
        Unit.BATCH,
        10_000,
        base_lr=F(3, 1000),
    ),
    Composition(
        (
            linear(F(1, 100), F(1), F(5, 90)),
            stages(F(1), F(1, 5), 4, F(60, 90)),
            Phase(Shape.ONE_MINUS_SQRT, F(25, 90), F(1, 125), F(0)),
        ),
        Unit.EPOCH,
        90,
        fixed=True,
    ),
    Composition(
        (
            triangular(F(1, 10), F(1), 3, F(1, 2), F(1, 2)),
            Phase(Shape.INVERSE_SQRT, F(1, 4), F(1), F(1, 4)),
            Phase(Shape.POLYNOMIAL, F(1, 4), F(1, 4), F(0), power=F(2)),
        ),
        Unit.BATCH,
        40_000,
        fixed=True,
        groups=(F(1), F(1, 10)),
    ),
    Composition(
        (Phase(Shape.COSINE, F(1, 2), F(0), F(1)), Phase(Shape.EXPONENTIAL, F(1, 2), F(1), F(1, 100))),
        Unit.EPOCH,
        120,
        repeats=3,
        repeat_decay=F(1, 2),
    ),
    Composition(
        (
            linear(F(0), F(1), F(1, 10)),
            Phase(Shape.COSINE_CYCLES, F(3, 5), F(1), F(1, 10), count=3, decay=F(4, 5)),
            Phase(Shape.SAWTOOTH, F(3, 10), F(1), F(0), count=2),
        ),
        Unit.EPOCH,
        300,
    ),
)
EVERY_FORM = [(composition, form) for composition in COMPOSITIONS for form in possible(composition)]
ids = [f"{index}-{form}" for index, (_, form) in enumerate(EVERY_FORM)]


def drawn(composition: Composition, seed: object, **fields: object) -> Terms:
    """Return terms with some fields set."""
    terms = Terms.drawn(composition, random.Random(str(seed)), scales=not composition.fixed, absolute=False)
    return Terms(**{**vars(terms), **fields})


@pytest.mark.parametrize(("composition", "form"), EVERY_FORM, ids=ids)
def test_every_form_states_each_level(composition, form):
    """The levels of each phase stand in the words, or follow from those of a formula."""
    if form is Form.FORMULA:
        pytest.skip("its numbers are differences of levels: the formulas are evaluated")
    terms = drawn(composition, form, levels=Levels.FACTOR, separator="", base="base_lr")
    written = text(form, terms, random.Random(1), inside=False, counting=False)
    for phase in composition.phases:
        for level in levels_of(phase):
            spoken = {terms.level(level), terms.number(level)}
            assert any(re.search(rf"(?<![\d.]){re.escape(each)}(?![\d.]\d)", written) for each in spoken), spoken


@pytest.mark.parametrize(("composition", "form"), EVERY_FORM, ids=ids)
@pytest.mark.parametrize("lengths", Lengths)
def test_words_have_the_same_bounds_in_each_form(composition, form, lengths):
    """The end, or the length, of each phase but the last stands in the words, whatever the form of lengths."""
    terms = drawn(composition, form, lengths=lengths, separator="")
    for seed in range(6):
        written = text(form, terms, random.Random(seed), inside=False, counting=False)
        for phase, end in list(zip(composition.phases, terms.ends, strict=True))[:-1]:
            before = end * terms.per_period - 1
            forms = {terms.part(phase.length), terms.length(phase.length), terms.part(end), terms.at(end), str(before)}
            forms |= {str(each) for value in (phase.length, end) for each in (float(value), value)}
            forms |= {terms.length(phase.length).removeprefix("a "), *(["half of"] if phase.length == F(1, 2) else [])}
            assert any(each in written for each in forms), (forms, written)


def test_words_depend_on_the_chance_alone():
    """Equal chances give equal words; there are many of them."""
    for composition in COMPOSITIONS:
        texts = [words(composition, random.Random(seed)) for seed in range(40)]
        assert texts == [words(composition, random.Random(seed)) for seed in range(40)]
        assert len(set(texts)) >= 38


def test_words_for_code_with_its_own_base_learning_rate_give_it():
    """Where the code contains the base learning rate, or levels are learning rates, the words state it."""
    for composition in COMPOSITIONS:
        interface = Interface(Call.RATE, "rate", takes_horizon=not composition.fixed, takes_lr=False)
        for seed in range(20):
            assert re.search(r"0\.1\b|0\.003\b", words(composition, random.Random(seed), interface))


def test_words_of_a_fixed_composition_state_its_horizon():
    """The number of steps stands in the words, unless the code takes it."""
    for composition in COMPOSITIONS:
        interface = Interface(Call.SCHEDULER, "make_scheduler", takes_horizon=False)
        for seed in range(30):
            written = re.sub(r"(?<=\d)[,_](?=\d)", "", words(composition, random.Random(seed), interface))
            assert str(composition.horizon) in written


@pytest.mark.parametrize("levels", Levels)
def test_formulas_equal_the_curve(levels):
    """The expression of each phase, evaluated, is its multiplier."""
    for composition in COMPOSITIONS:
        terms = drawn(composition, 0, levels=levels)
        scale = float(composition.base_lr) if levels is Levels.ABSOLUTE else 1.0
        for phase in composition.phases:
            source = expression(phase, terms, "**", " * ")
            source = re.sub(r"\|(.*?)\|", r"abs(\1)", source)
            u, n = np.arange(60), 60
            expected = phase.multipliers(u, n) * scale
            for step in range(60):
                names = {"p": step / 60, "frac": lambda x: x % 1, "floor": math.floor, "cos": math.cos}
                value = eval(source, names | {"sqrt": math.sqrt, "pi": math.pi, "abs": abs})
                assert value == pytest.approx(expected[step], abs=1e-12), (source, step)


def test_json_has_the_numbers_of_the_phases():
    """The phases of JSON have the shapes and lengths of the composition, in order."""
    for composition in COMPOSITIONS:
        terms = drawn(composition, 3, lengths=Lengths.STEPS)
        content = json.loads(quoted(text(Form.JSON, terms, random.Random(2), inside=False, counting=True)))
        phases = next(value for value in content.values() if isinstance(value, list) and isinstance(value[0], dict))
        for phase, values in zip(composition.phases, phases, strict=True):
            assert phase.shape.value in values.values()
            assert phase.length * terms.per_period in values.values()


def test_words_fit_a_terminal_where_they_have_lines():
    """Lines of plots, tables and formulas have at most 100 characters."""
    for composition, form in EVERY_FORM:
        if form in (Form.SKETCH, Form.FORMULA, Form.YAML):
            terms = drawn(composition, form)
            lines = text(form, terms, random.Random(4), inside=False, counting=False).splitlines()
            inside = [line for line in lines if line.startswith((" ", "`"))]
            assert max(map(len, inside)) <= 100


@pytest.mark.parametrize(("form", "number"), [(Form.YAML, ": 2.0e-5"), (Form.JSON, ": 2e-5")])
def test_small_numbers_are_numbers_to_a_parser(form, number):
    """In YAML a number with an exponent has a point, without which it is a text; in JSON its exponent is short."""
    small = Composition((Phase(Shape.EXPONENTIAL, F(1), F(1), F(1, 50_000)),), Unit.EPOCH, 50)
    assert number in text(
        form, drawn(small, form, levels=Levels.FACTOR), random.Random(0), inside=False, counting=False
    )


def test_ends_of_phases_within_a_repeat_are_said_to_be_rounded():
    """Words for code that takes the number of steps say so in each wording."""
    repeated = next(each for each in COMPOSITIONS if each.repeats > 1 and not each.fixed)
    for seed in range(40):
        assert "to the nearest" in words(repeated, random.Random(seed))

"""Compositions in code: each realisation is executed, and compared with the curve of its composition."""

import random
import re
from dataclasses import replace
from fractions import Fraction

import black
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgen.curves.compositions import Composition, Phase, Shape
from lrgen.curves.compositions.drawing import draw
from lrgen.curves.compositions.phases import hold, linear, stages, triangular
from lrgen.errors import ParameterError, StyleError
from lrgen.realisations import Call, Style, styles_of, write
from lrgen.realisations.draft import rounds_alike
from lrgen.realisations.styles import STYLES
from lrgen.records import Unit
from lrgen.verify import generated

SEEDS = st.integers(0, 2**64 - 1)


def composition(*phases: Phase, horizon: int = 100, **values: object) -> Composition:
    return Composition(phases, Unit.EPOCH, horizon, **values)  # type: ignore[arg-type]


def warmup(length: str = "1/10") -> Phase:
    return linear(Fraction(0), Fraction(1), Fraction(length))


@pytest.mark.parametrize("style", Style)
@settings(max_examples=8, deadline=None)
@given(seed=SEEDS)
def test_a_realisation_agrees_with_the_curve(style, seed):
    """The code of a drawn composition follows its curve at fair horizons, and when a scheduler is resumed."""
    chance = random.Random(seed)
    drawn = draw(chance, outside=chance.random() < 0.2)
    is_long = style is Style.LOOP and drawn.fixed and drawn.horizon > 500  # a loop makes each update
    if style in styles_of(drawn) and not is_long:
        generated.check(write(drawn, style, chance), drawn, chance)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, horizon=st.integers(30, 400))
def test_ends_between_two_steps_are_rounded_as_the_curve_rounds_them(seed, horizon):
    """A function that takes the horizon agrees with the curve at any that gives each phase a step."""
    chance = random.Random(seed)
    drawn = draw(chance)
    realisation = write(drawn, chance.choice((Style.LAMBDA, Style.FUNCTION, Style.SUBCLASS)), chance)
    try:
        expected = drawn.rates(range(horizon), horizon)
    except ParameterError:
        return
    actual = generated.rates(realisation.code, realisation.interface, drawn, horizon=horizon, steps=range(horizon))
    assert np.abs(actual - expected).max() <= 1e-9 * float(drawn.base_lr)


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_no_line_is_longer_than_88_columns(seed):
    """Long lines are folded."""
    chance = random.Random(seed)
    drawn = draw(chance)
    code = write(drawn, chance.choice(styles_of(drawn)), chance).code
    assert max(map(len, code.splitlines())) <= 88


def test_most_realisations_are_as_black_formats_them():
    """Of 60 drawn ones at most three differ from Black's form."""
    chance = random.Random(20)
    changed = 0
    for _ in range(60):
        drawn = draw(chance)
        code = write(drawn, chance.choice(styles_of(drawn)), chance).code
        changed += black.format_str(code, mode=black.Mode()) != code
    assert changed <= 3


def test_a_table_of_constant_pieces_is_not_interpolated():
    """Its rows are the ends of the pieces, and their levels."""
    steps = composition(stages(Fraction(1), Fraction(1, 10), 3, Fraction(1)), horizon=90, fixed=True)
    codes = [write(steps, Style.TABLE, random.Random(seed)).code for seed in range(10)]
    assert all(" / " not in code and "(60, 0" in code for code in codes)


def test_a_level_past_the_last_repeat_shows_its_decay():
    """It is a power times the level, where the number would tell nothing."""
    repeated = composition(
        warmup("1/2"), linear(Fraction(1), Fraction(1, 100), Fraction(1, 2)), repeats=5, repeat_decay=Fraction(7, 10)
    )
    codes = [write(repeated, Style.LAMBDA, random.Random(seed)).code for seed in range(40)]
    assert not any("2.401" in code or "0.0024" in code for code in codes)
    assert any("0.7**4 * " in code for code in codes)


@pytest.mark.parametrize("style", Style)
def test_equal_chances_write_equal_code(style):
    """The code is determined by the composition, the style and the chance."""
    straight = composition(warmup(), hold(Fraction(1), Fraction(9, 10)))
    assert write(straight, style, random.Random(3)) == write(straight, style, random.Random(3))


def test_equal_chances_write_two_compositions_in_one_wording():
    """A change of one level changes the lines with that level alone."""
    codes = [
        write(
            composition(warmup(), linear(Fraction(1), Fraction(last), Fraction(9, 10))), Style.LAMBDA, random.Random(11)
        ).code.splitlines()
        for last in ("0.1", "0.2")
    ]
    assert len(codes[0]) == len(codes[1])
    assert 1 <= sum(a != b for a, b in zip(*codes, strict=True)) <= 3


def test_realisations_differ_in_form():
    """Sixty chances write one composition in at least forty-five ways."""
    cosine = composition(warmup(), Phase(Shape.COSINE, Fraction(9, 10), Fraction(1), Fraction(0)))
    assert len({write(cosine, Style.LAMBDA, random.Random(seed)).code for seed in range(60)}) >= 45


@pytest.mark.parametrize(
    ("style", "phases", "values", "reason"),
    [
        (
            Style.SEQUENTIAL,
            [Phase(Shape.COSINE, Fraction(9, 10), Fraction(1, 2), Fraction(0))],
            {},
            "not at 1/2",
        ),
        (Style.SEQUENTIAL, [Phase(Shape.ONE_MINUS_SQRT, Fraction(9, 10), Fraction(1), Fraction(0))], {}, "no such"),
        (Style.SEQUENTIAL, [hold(Fraction(2), Fraction(9, 10))], {}, "at most 1"),
        (Style.SEQUENTIAL, [stages(Fraction(1), Fraction(1, 10), 3, Fraction(9, 10))], {}, "depend on the horizon"),
        (
            Style.SEQUENTIAL,
            [Phase(Shape.COSINE, Fraction(9, 10), Fraction(1), Fraction(1, 10))],
            {"groups": (Fraction(1), Fraction(1, 10))},
            "all parameter groups",
        ),
        (Style.TABLE, [triangular(Fraction(0), Fraction(1), 2, Fraction(9, 10))], {}, "no straight line"),
        (Style.TABLE, [stages(Fraction(1), Fraction(1, 10), 3, Fraction(9, 10))], {}, "depend on the horizon"),
    ],
)
def test_a_style_that_is_not_exact_says_why(style, phases, values, reason):
    """The message names the phase, the style and the reason, and the style is not among those of the composition."""
    inexact = composition(warmup(), *phases, **values)
    with pytest.raises(StyleError, match=f"phase 2 .* cannot be written as {style}: .*{reason}"):
        write(inexact, style, random.Random(0))
    assert style not in styles_of(inexact)


def test_a_loop_has_two_parameter_groups_at_most():
    """The model of a training loop has a backbone and a head."""
    grouped = composition(
        warmup(), hold(Fraction(1), Fraction(9, 10)), groups=(Fraction(1), Fraction(1, 2), Fraction(2))
    )
    with pytest.raises(StyleError, match="3 parameter groups cannot be written as loop"):
        write(grouped, Style.LOOP, random.Random(0))


@pytest.mark.parametrize("style", Style)
def test_each_style_writes_a_warmup_and_a_hold_at_any_chance(style):
    """All forms of a style run, with groups, repeats and either unit."""
    for seed in range(12):
        chance = random.Random(seed)
        drawn = Composition(
            (warmup("1/5"), hold(Fraction(1), Fraction(4, 5))),
            chance.choice((Unit.EPOCH, Unit.BATCH)),
            40,
            fixed=chance.random() < 0.5,
            repeats=chance.choice((1, 2)),
            groups=chance.choice(((Fraction(1),), (Fraction(1, 10), Fraction(1)))),
        )
        generated.check(write(drawn, style, chance), drawn, chance)


def test_every_style_has_a_module():
    """The styles are those of ``Style``."""
    assert set(STYLES) == set(Style)


def test_the_interface_names_the_entry():
    """The code defines the entry, and its call is one of the style's."""
    chance = random.Random(5)
    for _ in range(40):
        drawn = draw(chance)
        style = chance.choice(styles_of(drawn))
        realisation = write(drawn, style, chance)
        word = "class" if realisation.interface.call is Call.LIGHTNING or style is Style.SUBCLASS else "def"
        assert f"\n{word} {realisation.interface.entry}(" in f"\n{realisation.code}"


@pytest.mark.parametrize(("fraction", "alike"), [("1/2", True), ("1/3", True), ("7/100", False), ("1/10", True)])
def test_a_fraction_whose_float_rounds_otherwise_is_known(fraction, alike):
    """``round(0.07 * 150)`` is 11, but 10.5 rounds half to even."""
    assert rounds_alike(Fraction(fraction)) is alike


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_single_scheduler_is_indented_as_black_does(repeats):
    """A scheduler whose arguments stand on a line of their own, returned alone or once for each repeat."""
    alone = composition(linear(Fraction(1), Fraction(1, 20), Fraction(1)), repeats=repeats, horizon=90)
    for seed in range(20):
        code = write(alone, Style.SEQUENTIAL, random.Random(seed)).code
        assert black.format_str(code, mode=black.Mode()) == code


def test_no_function_is_defined_at_each_step():
    """Functions of phases stand beside the function of the step, not in it."""
    chance = random.Random(8)
    for _ in range(60):
        drawn = draw(chance)
        code = write(drawn, Style.FUNCTION, chance).code
        assert not re.search(r"^ +def ", code, re.MULTILINE)


def test_a_stage_without_a_step_is_the_level_past_the_end():
    """Where rounding leaves the last stage no step, a table still ends at its level, in every form."""
    staircase = composition(
        hold(Fraction(1), Fraction(9, 10)), stages(Fraction(1), Fraction(1, 10), 3, Fraction(1, 10))
    )
    drawn = replace(staircase, horizon=20, fixed=True)
    lines = replace(drawn, phases=(linear(Fraction(0), Fraction(1), Fraction(9, 10)), drawn.phases[1]))
    for each in (drawn, lines):
        for seed in range(20):
            chance = random.Random(seed)
            generated.check(write(each, Style.TABLE, chance), each, chance)

"""``lrgen compose``: one drawn schedule in words, as a formula, as a plot and in code."""

import json
import re

import numpy as np
import pytest

from lrgen.curves.compositions import Composition
from lrgen.realisations import Interface, styles_of
from tests.cli.test_cli import widest


def composed(lrgen, *options):
    """The JSON of a composition."""
    code, out, err = lrgen("compose", "--json", *options)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_a_composition_has_words_formula_plot_and_code(lrgen):
    """The output has the id and the seed, words, the formula, an axis and Python; all but the code fits 100 columns."""
    for seed in range(12):
        code, out, err = lrgen("compose", "--seed", seed)
        assert (code, err) == (0, "")
        head, code = re.split(r"\n\nstyle .*\n\n", out)
        assert widest(head) <= 100
        assert re.match(rf"[0-9a-f]{{12}}  seed {seed}, \d phases?, by (epoch|batch), ", head)
        words, rest = re.split(r"\n\n(?=R = |m\(t\) = )", head, maxsplit=1)
        assert len(words.splitlines()) >= 3
        formula, plot = re.split(r"\n\n(?= *\S+ │)", rest)
        assert " for t >= " in " ".join(formula.split()) or " for s >= " in " ".join(formula.split())
        assert "└──" in plot
        compile(code, "schedule.py", "exec")


def test_a_seed_determines_everything(lrgen):
    """The same seed prints the same; another one prints another schedule."""
    assert lrgen("compose", "--seed", 3) == lrgen("compose", "--seed", 3)
    assert composed(lrgen, "--seed", 3)["id"] != composed(lrgen, "--seed", 4)["id"]


def test_without_a_seed_one_is_drawn_that_gives_the_same_again(lrgen):
    """The seed that is drawn is printed, and repeats the output."""
    drawn = composed(lrgen)
    assert composed(lrgen, "--seed", drawn["seed"]) == drawn


@pytest.mark.parametrize("unit", ["epoch", "batch"])
@pytest.mark.parametrize("phases", [1, 4, 9])
def test_phases_and_unit_are_as_asked_for(lrgen, phases, unit):
    """The composition has the number of phases and the unit of the options."""
    values = composed(lrgen, "--seed", 1, "--phases", phases, "--unit", unit)
    assert len(values["composition"]["phases"]) == len(values["structure"]) == phases
    assert values["composition"]["unit"] == unit


def test_json_has_the_composition_its_curve_and_its_interface(lrgen):
    """The JSON gives back the composition, whose curve and id are those that it states."""
    values = composed(lrgen, "--seed", 2)
    composition = Composition.from_json(values["composition"])
    assert composition.id == values["id"]
    assert np.allclose(composition.multipliers(values["curve"]["steps"]), values["curve"]["multipliers"], atol=1e-15)
    assert Interface.from_json(values["interface"]).entry in values["code"]
    assert set(values["formula"]) == {"definitions", "factor", "cases"}
    assert {values["style"], *values["other_styles"]} == {style.value for style in styles_of(composition)}


def test_the_code_is_in_the_style_that_is_asked_for(lrgen):
    """Each style that expresses the composition is the style of the code, and no other is named."""
    drawn = composed(lrgen, "--seed", 5)
    for style in (drawn["style"], *drawn["other_styles"]):
        values = composed(lrgen, "--seed", 5, "--style", style)
        assert values["style"] == style
        assert values["refusal"] is None
        assert values["id"] == drawn["id"]


@pytest.mark.parametrize("style", ["sequential", "table"])
def test_a_style_that_cannot_express_the_composition_is_named_and_another_is_drawn(lrgen, style):
    """The output says which phase the style cannot express, why, and what the code is written in."""
    every = (composed(lrgen, "--seed", seed) for seed in range(20))
    seed = next(values["seed"] for values in every if style not in (values["style"], *values["other_styles"]))
    values = composed(lrgen, "--seed", seed, "--style", style)
    assert values["style"] != style
    assert f" cannot be written as {style}: " in values["refusal"]
    code, out, _ = lrgen("compose", "--seed", seed, "--style", style)
    assert code == 0
    assert f"{values['refusal']}; written in style {values['style']} instead" in " ".join(out.split())
    assert out.endswith(values["code"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--phases 0", "phases must lie in [1, 20], got 0"),
        ("--phases 21", "phases must lie in [1, 20], got 21"),
        ("--phases 1000000000", "phases must lie in [1, 20], got 1000000000"),
        ("--unit metric", "unknown unit 'metric': known: epoch, batch"),
        ("--unit batches", "unknown unit 'batches': did you mean batch?"),
        ("--style lamda", "unknown style 'lamda': did you mean lambda?"),
        ("--style=", "unknown style '': known: lambda, sequential"),
    ],
)
def test_wrong_use_is_one_sentence(lrgen, options, message):
    """What cannot be composed exits with 2, one line on stderr and nothing on stdout."""
    code, out, err = lrgen("compose", *options.split())
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("option", ["--seed", "--phases"])
def test_a_number_that_python_cannot_read_is_wrong_use(lrgen, option):
    """A number of more digits than Python reads exits with 2 and composes nothing."""
    code, out, err = lrgen("compose", option, "9" * 5000)
    assert (code, out) == (2, "")
    assert option in err


def test_a_seed_may_be_of_any_size(lrgen):
    """A seed of a thousand digits, or below zero, is a seed as any other one."""
    for seed in ("9" * 1000, "-1"):
        assert composed(lrgen, "--seed", seed) == composed(lrgen, "--seed", seed)

"""Words for schedules: whatever the form, the numbers are those of the catalogue."""

import random
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgen import catalogue as catalogues
from lrgen.finetune import wording
from lrgen.finetune.instructions import schedule
from lrgen.records import PastEnd, Unit

VARIANTS = catalogues.load().schedules
A_VARIANT = st.sampled_from(VARIANTS)
CHANCE = st.integers().map(random.Random)
NUMBER = r"\d+(?:\.\d+)?(?:e-?\d+)?(?:/\d+)?%?"


def value_of(numeral: str) -> float:
    """Return the number that a numeral denotes."""
    numerator, _, denominator = numeral.rstrip("%").partition("/")
    value = Fraction(numerator) / Fraction(denominator or 1)
    return float(value / 100 if numeral.endswith("%") else value)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.key)
def test_each_form_of_a_default_is_exact_and_short(variant):
    """All numerals of a hyperparameter denote its default; only fractions and ratios have percentages."""
    for parameter in variant.hyperparameters:
        numerals = schedule.numerals(parameter)
        assert {value_of(numeral) for numeral in numerals} == {parameter.default}
        assert all(len(numeral) <= 8 for numeral in numerals)
        assert parameter.name.endswith(("_fraction", "_ratio")) or not any("%" in numeral for numeral in numerals)
        assert schedule.parts(parameter)


def test_a_fraction_is_in_lowest_terms():
    """A default that the file writes as 3 / 90 is 1/30 in a request."""
    fractions = [
        numeral
        for variant in VARIANTS
        for parameter in variant.hyperparameters
        for numeral in schedule.numerals(parameter)
        if "/" in numeral
    ]
    assert fractions
    assert [text for text in fractions if text != str(Fraction(text))] == []


@given(A_VARIANT, CHANCE)
def test_the_defaults_of_a_schedule_are_stated_in_every_form(variant, chance):
    """A sentence with the defaults has one number for each hyperparameter, which is its default."""
    text = schedule.defaults(variant, chance)
    for parameter in variant.hyperparameters:  # meanings such as "per 5% of training" have numbers, too
        text = text.replace(f"({wording.marked(parameter.meaning)})", "")
        text = (
            text.replace(f"`{parameter.name}`", "").replace(f"{parameter.name} ", "").replace(f"{parameter.name}=", "")
        )
    text = re.sub(r"\([\d,]+ of [\d,]+ \w+\)", "", text)
    assert sorted(map(value_of, re.findall(NUMBER, text))) == sorted(variant.defaults.values()), text


@given(A_VARIANT, CHANCE)
def test_a_note_of_the_defaults_has_every_default(variant, chance):
    """In parentheses the defaults are there as well; without hyperparameters there are no parentheses."""
    text = schedule.given(variant, chance)
    assert bool(text) == bool(variant.hyperparameters)
    for parameter in variant.hyperparameters:
        assert any(numeral in text for numeral in schedule.numerals(parameter)), text


@given(A_VARIANT, CHANCE)
def test_steps_of_a_horizon_are_exactly_the_fraction(variant, chance):
    """In "10% (9 of 90 epochs)" both numbers are whole, and their ratio is the default; all have one horizon."""
    text = f"{schedule.defaults(variant, chance)}\n{schedule.briefly(variant, chance)}"
    for line in text.splitlines():
        examples = re.findall(r"\(([\d,]+) of ([\d,]+) (\w+)\)", line)
        fractions = [each for each in variant.hyperparameters if each.meaning.startswith("fraction of training")]
        assert len(examples) in (0, len(fractions))
        for parameter, (steps, horizon, unit) in zip(fractions, examples, strict=False):
            part, whole = int(steps.replace(",", "")), int(horizon.replace(",", ""))
            assert float(Fraction(part, whole)) == parameter.default
            assert round(parameter.default * whole) == part
            assert unit == wording.counted_in(variant)
        assert len({horizon for _, horizon, _ in examples}) <= 1


def test_some_defaults_have_steps_of_a_horizon():
    """Over many seeds, notes and sentences have examples in steps."""
    variant = next(each for each in VARIANTS if "warmup_fraction" in each.defaults)
    for words in (schedule.defaults, schedule.briefly):
        texts = [words(variant, random.Random(seed)) for seed in range(60)]
        assert 0 < sum((" of " in text and "batches)" in text) or "epochs)" in text for text in texts) < len(texts)


@given(A_VARIANT, CHANCE)
def test_a_line_of_a_hyperparameter_has_name_meaning_default_and_range(variant, chance):
    """There is one line for each hyperparameter of a schedule."""
    lines = schedule.parameters(variant, chance)
    for line, parameter in zip(lines, variant.hyperparameters, strict=True):
        assert line.startswith(f"`{parameter.name}`")
        rest = line.replace(wording.marked(parameter.meaning), "")
        assert len(rest) < len(line)
        numbers = [value_of(numeral) for numeral in re.findall(NUMBER, rest.replace(parameter.name, ""))]
        assert numbers == [parameter.default, parameter.low, parameter.high]


@given(A_VARIANT, CHANCE)
def test_the_unit_is_named_and_no_other(variant, chance):
    """A sentence about the steps names the unit of the schedule, and the metric that drives it."""
    for text in (schedule.cadence(variant, chance), schedule.stepped(variant, chance)):
        assert ("batch" in text) == variant.per_batch
        assert ("epoch" in text) == (not variant.per_batch)
        assert ("training loss" in text or "training accuracy" in text) == (variant.unit is Unit.METRIC)


@given(A_VARIANT, CHANCE)
def test_the_formula_is_a_block_with_the_meaning_of_its_symbols(variant, chance):
    """The formula stands indented on a line of its own; T, and t or eta, are explained."""
    text = schedule.law(variant, chance)
    assert f"\n\n    {variant.formula}" in text
    around = text.replace(variant.formula, "")
    assert "`total_steps`" in around
    assert re.search(r"\bT\b", around)
    assert re.search(r"\beta\b" if variant.unit is Unit.METRIC else r"\bt\b", around)
    assert ("`lr`" in around) == (variant.unit is not Unit.METRIC)
    assert wording.counted_in(variant) in around


@given(A_VARIANT, CHANCE)
def test_the_end_says_whether_the_schedule_continues(variant, chance):
    """Past ``total_steps`` a schedule either follows the same rule or keeps its final value."""
    text = schedule.ending(variant, chance)
    assert "`total_steps`" in text
    assert ("same rule" in text) == (variant.past_end is PastEnd.CONTINUE)
    assert ("final value" in text or "constant" in text) == (variant.past_end is PastEnd.HOLD)

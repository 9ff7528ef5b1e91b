"""Conversions of compositions: to another style, another horizon or another unit."""

import itertools
import json

import numpy as np
import pytest

from lrgen.finetune import diversity, wording
from lrgen.finetune.realised import convert
from lrgen.finetune.rows import Rows, Split


@pytest.fixture(scope="module")
def examples(realised_input):
    return list(convert.examples(realised_input, "convert"))


@pytest.fixture(scope="module")
def given(realised_input):
    return {realised.number: realised for realised in realised_input.compositions}


def test_styles_horizons_and_units_are_converted(examples, given):
    """Each kind of conversion occurs; the code of a style is asked for in another style."""
    kinds = set()
    for example in examples:
        before, after = given[example.composition.number].composition, example.composition.composition
        if example.evidence["from"] != example.evidence["style"]:
            assert before == after
            kinds.add("style")
        elif before.unit is not after.unit:
            assert after.horizon in (before.horizon * n for n in convert._BATCHES) or (
                before.horizon in (after.horizon * n for n in convert._BATCHES)
            )
            kinds.add(f"to {after.unit}")
        else:
            assert before.fixed != after.fixed
            kinds.add("to steps" if after.fixed else "to fractions")
    assert kinds >= {"style", "to steps", "to fractions", "to batch"}


def test_another_unit_has_the_learning_rates_of_the_old_one_at_its_steps(examples, given):
    """The learning rate at the first batch of an epoch is that of the epoch."""
    for example in examples:
        before, after = given[example.composition.number].composition, example.composition.composition
        if before.unit is after.unit:
            continue
        long, short = sorted((before, after), key=lambda each: -each.horizon)
        count = long.horizon // short.horizon
        steps = np.arange(short.horizon + 3)
        np.testing.assert_allclose(long.rates(steps * count), short.rates(steps), rtol=1e-9, atol=1e-15)


def test_the_prompt_has_the_interface_and_no_answer(examples):
    """The name of the function or class is stated; the code of the answer is not."""
    for example in examples:
        assert f"{example.interface.entry}(" in example.prompt
        assert example.completion not in example.prompt
        assert wording.quoted(example.prompt) != example.completion


def test_code_that_is_not_converted_is_found(examples):
    """The code of the prompt, and code in the style of the prompt, are no conversion; the own answer is."""
    rows = [Rows(0).of(example, Split.TRAIN, "group") for example in examples[:80]]
    converted = [row for row in rows if json.loads(row["evidence"])["from"] != json.loads(row["evidence"])["style"]]
    assert len(converted) > 20
    for row in converted:
        assert convert.reason(row, row["completion"]) == ""
        assert convert.reason(row, wording.quoted(row["prompt"])) != ""
    for row, other in itertools.pairwise(converted):
        styles = [json.loads(each["evidence"])["style"] for each in (row, other)]
        if set(styles) == {"function", "lambda"}:
            assert convert.reason(row, other["completion"]) != ""


def test_the_requests_differ(examples):
    """There are many openers and requests, names and numbers apart."""
    measured = diversity.measure(example.prompt for example in examples)
    assert measured.openers >= 40
    assert measured.instructions >= 200

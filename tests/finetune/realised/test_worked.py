"""Task worked: the working of a step, graded by its values and its learning rate."""

import json
import re

import pytest

from lrgen.finetune import diversity
from lrgen.finetune.example import Example, Reference, Row
from lrgen.finetune.rows import Rows, Split
from lrgen.finetune.tasks import worked


@pytest.fixture(scope="module")
def examples(realised_input) -> list[Example]:
    return list(worked.examples(realised_input))


@pytest.fixture(scope="module")
def rows(examples) -> list[Row]:
    return [Rows(0).of(example, Split.TRAIN, "group") for example in examples]


@pytest.fixture
def graded(catalogue):
    return lambda row, completion: worked.grade(row, completion, Reference(catalogue), None)


def test_the_own_working_is_correct_in_every_form(rows, graded):
    """The completion of each row is graded 1: its learning rate is that of the curve."""
    assert len(rows) > 150
    for row in rows:
        grade = graded(row, row["completion"])
        assert grade.passed, (grade, row["completion"])


def test_a_wrong_value_is_incorrect(rows, graded):
    """With another learning rate, another value of a variable or without one, a working is graded below 1."""
    for row in rows[:60]:
        values, own = json.loads(row["evidence"])["values"], row["completion"]
        head, _, rate = own.rstrip("\n").rpartition(" = ")
        wrong = f"{head} = {float(rate) * 1.01 + 1e-5:.6g}\n"
        assert "the learning rate must be" in graded(row, wrong).reason
        assert "no learning rate" in graded(row, f"{head} = unknown\n").reason or values
        for name, numbers in values.items():
            pattern = rf"^([\s\d.)|*-]*`?{re.escape(name)}`?(?: =|\b.*\|| with).*?)[\d.e+-]+( \|)?$"
            wrong = re.sub(pattern, rf"\g<1>{numbers[0] + 0.5:.6g}\2", own, flags=re.MULTILINE)
            if wrong != own and name != "lr":
                assert not graded(row, wrong).passed, wrong
            missing = "".join(line for line in own.splitlines(keepends=True) if name not in line)
            assert not graded(row, missing).passed, missing


def test_a_wrong_condition_is_incorrect(rows, graded):
    """A working that states a condition with the other truth value is graded below 1."""
    swaps = 0
    for row in rows:
        evidence = json.loads(row["evidence"])
        swapped = re.sub("true|false", lambda match: "false" if match[0] == "true" else "true", row["completion"])
        stated = all(condition in swapped and len(truths) == 1 for condition, truths in evidence["conditions"].items())
        if swapped != row["completion"] and stated:
            swaps += 1
            assert "wrong condition" in graded(row, swapped).reason
    assert swaps > 20


def test_a_working_in_other_words_is_correct(rows, graded):
    """Lists, sentences and rounded values are understood; the last line has the learning rate."""
    for row in rows[:60]:
        values = json.loads(row["evidence"])["values"]
        rate = row["completion"].rstrip("\n").rpartition(" = ")[2]
        listed = "".join(f"* **{name}** = something = {numbers[-1]:.7g}\n" for name, numbers in values.items())
        assert graded(row, f"{listed}\nSo the learning rate is {rate}.").passed
        sentences = "; ".join(f"{name} = {numbers[-1]:.6g}" for name, numbers in values.items())
        assert graded(row, f"{sentences}.\n```\nlr = {float(rate):e}\n```\n").passed


@pytest.mark.parametrize("text", ["", "lr", "lr = nan", "0.1", "|||", "1e999", "\ud800", "lr = 1" + "0" * 400])
def test_nonsense_is_incorrect(rows, graded, text):
    """No text makes the task raise."""
    grade = graded(rows[0], text)
    assert not grade.passed
    assert grade.reason


def test_the_questions_differ(examples):
    """There are many openers and questions, names and numbers apart."""
    measured = diversity.measure(example.prompt for example in examples)
    assert measured.openers >= 40
    assert measured.instructions >= 200


def test_a_number_may_be_written_as_the_code_writes_it():
    """``10_000`` is one number: an answer may repeat the assignment of the code."""
    assert [float(number) for number in worked._NUMBER.findall("max_iters = 10_000; k = 1.5e-3")] == [10_000.0, 1.5e-3]

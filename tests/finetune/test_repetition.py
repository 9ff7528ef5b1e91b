"""Repetition: compressed size and distinct runs, counted exactly or from a sample."""

import random

from hypothesis import given
from hypothesis import strategies as st

from lrgen.finetune import repetition
from lrgen.finetune.exposure import GRAM


def test_repeated_answers_have_few_distinct_runs():
    """An answer that occurs ten times has the distinct runs of one."""
    answer = " ".join(f"word{number}" for number in range(60))
    measured = repetition.measure([answer] * 10)
    assert (measured.runs, measured.distinct) == (10 * 11, 11)


def test_names_and_values_do_not_make_a_structure():
    """Two functions that differ in names, numbers, texts and comments have the same runs of Python's tokens."""
    first = "def f(a):  # one\n" + "".join(f"    x{n} = a * {n}.5e-3 + 'text {n}'\n" for n in range(20))
    second = "def g(b):  # two\n" + "".join(f"    y{n} = b * {n + 7} + 'other {n}'\n" for n in range(20))
    assert repetition.lexemes(first) == repetition.lexemes(second)
    other = repetition.lexemes(first.replace("*", "/"))
    assert other != repetition.lexemes(first)


@given(st.text(max_size=200))
def test_any_text_has_lexemes(text):
    """The lexer of the measure never raises, and loses no character but white space."""
    lexemes = repetition.lexemes(text)
    assert bool(lexemes) == bool(text.strip())


def test_a_sample_estimates_the_number(monkeypatch):
    """With room for 4,096 runs, the number of distinct ones of 40,000 is within a tenth."""
    monkeypatch.setattr(repetition, "_KEPT", 1 << 12)
    chance = random.Random(0)
    answers = [" ".join(str(chance.random()) for _ in range(400 + GRAM // 3)) for _ in range(34)] * 2
    measured = repetition.measure(answers)
    assert measured.sampled
    assert abs(measured.distinct - measured.runs / 2) < measured.runs / 20

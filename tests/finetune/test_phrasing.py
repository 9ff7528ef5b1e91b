"""Texts with alternatives, and numbers in several forms."""

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgen.errors import DatasetError
from lrgen.finetune import phrasing
from lrgen.finetune.phrasing import phrase

# A template as a tree: a text, or alternatives, each of which is a sequence of templates.
WORDS = st.text("abc", min_size=1, max_size=3)
TREES = st.recursive(
    WORDS, lambda inner: st.lists(st.lists(inner, min_size=1, max_size=2), min_size=2, max_size=3), max_leaves=12
)


def written(tree: str | list) -> str:
    """Write a tree as a template."""
    if isinstance(tree, str):
        return tree
    return f"[{'|'.join(''.join(map(written, sequence)) for sequence in tree)}]"


def texts_of(tree: str | list) -> set[str]:
    """Return the texts of a tree."""
    if isinstance(tree, str):
        return {tree}
    return {text for sequence in tree for text in joined(sequence)}


def joined(sequence: list) -> set[str]:
    texts = {""}
    for part in sequence:
        texts = {before + after for before in texts for after in texts_of(part)}
    return texts


def phrases(template: str, count: int = 60, **fields: str) -> set[str]:
    """Return the texts of a template under many seeds."""
    return {phrase(template, random.Random(seed), **fields) for seed in range(count)}


@given(TREES, st.integers())
def test_a_phrase_is_a_text_of_its_template(tree, seed):
    """A phrase chooses one alternative of each bracket, however they nest."""
    text = phrase(written(tree), random.Random(seed))
    assert text in {each.capitalize() for each in texts_of(tree)}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("[write|add] it", {"Write it", "Add it"}),
        ("a[ b]", {"A", "A b"}),
        ("a [b|c [d|e]]", {"A b", "A c d", "A c e"}),
        ("a [b|] c", {"A b c", "A c"}),
        ("[|a]", {"", "A"}),
    ],
)
def test_every_alternative_is_chosen_by_some_seed(template, expected):
    """Each text of a template occurs, and no other."""
    assert phrases(template) == expected


def test_a_field_is_filled_and_not_expanded():
    """Brackets, bars, braces and spaces of a field stay as they are; the first letter of a text is a capital."""
    assert phrases("{what} [is|was]", what="x[0] | {y}  z") == {"X[0] | {y}  z is", "X[0] | {y}  z was"}


@given(st.text(" .,ab|[]{}\n"), st.integers())
def test_a_field_stands_in_the_phrase_as_it_is(field, seed):
    """Whatever a field contains, the phrase has it verbatim."""
    assert f"is {field}!" in phrase("[this|that] is {field}!", random.Random(seed), field=field)


def test_left_out_words_leave_no_spaces():
    """A phrase has no repeated spaces, none before punctuation or a line break, and none at its ends."""
    assert phrases("one [two] , three [four] \nfive [six] ") == {
        f"One{two}, three{four}\nfive{six}" for two in ("", " two") for four in ("", " four") for six in ("", " six")
    }


@pytest.mark.parametrize("template", ["[a", "a]", "[a|[b]", "a]b["])
def test_a_bracket_without_its_partner_is_an_error(template):
    """The message quotes the template."""
    with pytest.raises(DatasetError, match="bracket"):
        phrase(template, random.Random(0))


def test_a_missing_field_is_an_error():
    """The message names the field."""
    with pytest.raises(DatasetError, match="who"):
        phrase("{who} wrote {what}", random.Random(0), what="it")


def test_equal_seeds_give_equal_phrases():
    """A phrase depends on template, fields and random state alone."""
    template = "[a|b] [c|d] [e|f] {x}"
    texts = [[phrase(template, chance, x="1") for _ in range(9)] for chance in (random.Random(3), random.Random(3))]
    assert texts[0] == texts[1]


# Numbers.


def value_of(form: str) -> float:
    """Return the number that a form denotes."""
    if form.endswith("%"):
        return float(Fraction(form[:-1]) / 100)
    return float(Fraction(form)) if "/" in form else float(form)


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**9), 10**9).map(float),
    st.tuples(st.integers(1, 400), st.integers(1, 400)).map(lambda pair: pair[0] / pair[1]),
    st.tuples(st.integers(1, 9999), st.integers(0, 12)).map(lambda pair: pair[0] / 10 ** pair[1]),
)


@given(NUMBERS)
def test_every_form_of_a_number_denotes_it_exactly(value):
    """Decimal, fraction, percentage and exponent denote the same float as the number itself."""
    forms = phrasing.forms(value)
    assert forms
    assert [form for form in forms if value_of(form) != value] == []


@given(NUMBERS, st.integers())
def test_a_numeral_is_one_of_the_forms(value, seed):
    """Chance chooses among the forms."""
    assert phrasing.numeral(value, random.Random(seed)) in phrasing.forms(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, ["0.1", "1/10", "10%"]),
        (1 / 3, ["0.3333333333333333", "1/3"]),
        (0.05, ["0.05", "1/20", "5%"]),
        (0.001, ["0.001", "0.1%", "1e-3"]),
        (1e-6, ["1e-06", "0.0001%", "1e-6"]),
        (1.0, ["1"]),
        (0.0, ["0"]),
        (90.0, ["90"]),
        (0.0025, ["0.0025", "0.25%", "2.5e-3"]),
        (0.8, ["0.8", "4/5", "80%"]),
        (0.85, ["0.85", "85%"]),
    ],
)
def test_a_number_has_the_usual_forms(value, expected):
    """A fraction of a small denominator, a percentage of few digits, an exponent for a small number."""
    assert phrasing.forms(value) == expected

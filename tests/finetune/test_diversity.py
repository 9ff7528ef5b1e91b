"""The diversity of instructions: what counts as another one, and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgen.finetune import diversity, phrasing, wording

SAME = "Train _ with _ for _ epochs."


@pytest.mark.parametrize(
    "text",
    [
        "Train ResNet20 with make_scheduler for 90 epochs.",
        "Train `Net` with `a b` for 1e-3 epochs.",
        'Train "this" with torch.optim for 1/3 epochs.',
        "Train  VGG16\nwith LambdaLR and StepLR for 10% epochs.",
        "Train Some Title with another title for 0.5 epochs.",
        "Train Some Title with a_b = 0.1, c_d = 5 and e_f = 1/3 for 12 epochs.",
        "Train\n\n    lr * 0.5 + t\n\nwith\n```python\nx = 1\n\ny = 2\n```\nfor 3 epochs.",
    ],
)
def test_names_numbers_identifiers_and_code_do_not_count(text):
    """Instructions that differ in these alone have one skeleton."""
    assert diversity.skeleton(text, ["Some Title", "another title"]) == SAME


@pytest.mark.parametrize(
    "text",
    [
        "Train ResNet20 with make_scheduler in 90 epochs.",
        "Please train ResNet20 with make_scheduler for 90 epochs.",
        "ResNet20, make_scheduler, 90 epochs.",
    ],
)
def test_other_words_count(text):
    """Instructions in other words have other skeletons."""
    assert diversity.skeleton(text) != SAME


@given(st.floats(1e-9, 1e9), st.integers())
def test_no_form_of_a_number_counts(value, seed):
    """A number in any of its forms, and the number of steps, are one placeholder."""
    texts = {diversity.skeleton(f"a factor of {form}, then stop") for form in phrasing.forms(value)}
    assert texts == {"a factor of _, then stop"}
    assert diversity.skeleton(f"over {seed:,} of the steps") == "over _ of the steps"


def test_the_length_of_a_list_does_not_count():
    """One name, and several of them, are one placeholder."""
    lists = ("`a`", "`a` and `b`", "`a`, `b` and `c`", "`a`=1, `b`=2", "a_b: 0.1, c_d: 5%")
    assert {diversity.skeleton(f"with {names}.") for names in lists} == {"with _."}


def test_an_opener_is_the_first_sentence():
    """It ends at a full stop, a question mark, a colon or a line break."""
    texts = ("Write it. Please.", "Can you? Yes.", "Task: write it", "Add it\n\nmore")
    assert [diversity.opener(text) for text in texts] == ["Write it.", "Can you?", "Task:", "Add it"]
    assert diversity.opener("") == ""


def test_a_measure_counts_distinct_skeletons_and_openers():
    """Three instructions with two openers; one is a repetition."""
    texts = ["Write a_b. Now.", "Write c_d. Now.", "Write a_b. Later.", "Add a_b. Now."]
    assert diversity.measure(texts) == diversity.Diversity(openers=2, instructions=3)


def test_the_texts_of_the_catalogue_are_names(catalogue):
    """Two instructions that differ in network and schedule alone are one, also where a title begins a sentence."""
    names = diversity.names_of(catalogue)
    first, *others = [
        f"Train {network.title} with {variant.title}. {variant.title[0].upper()}{variant.title[1:]} is this: "
        f"{wording.summary(variant)} {network.summary} {variant.formula}"
        for network, variant in zip(catalogue.architectures, catalogue.schedules, strict=False)
    ]
    assert {diversity.skeleton(text, names) for text in others} == {diversity.skeleton(first, names)}

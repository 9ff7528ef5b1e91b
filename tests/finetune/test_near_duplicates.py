"""Near-duplicates of test answers in training, by MinHash."""

import random

import pytest

from lrgen.finetune import near_duplicates


def text(seed: int, changed: int = 0) -> str:
    """Return a text of 200 words, of which some are changed."""
    chance = random.Random(seed)
    words = [f"word{chance.randrange(10**6)}" for _ in range(200)]
    for at in random.Random(seed + 1).sample(range(0, 200, 10), changed):
        words[at] = "other"
    return " ".join(words)


@pytest.mark.parametrize(("changed", "near"), [(0, 1), (1, 1), (14, 0)])
def test_an_answer_with_few_changes_is_near(changed, near):
    """One changed word of 200 leaves 95% of the runs of five in common; fourteen leave less than half."""
    samples = {("test", "schedule"): [text(1)]}
    [measured] = near_duplicates.measure(samples, [text(2), text(1, changed), text(3)])
    assert (measured.answers, measured.near) == (1, near)


def test_splits_are_counted_apart():
    """Each split has its number of answers; an answer shorter than a run is not compared."""
    samples = {("test", "a"): [text(1), "x"], ("test_pairs", "a"): [text(2), text(3)]}
    measured = near_duplicates.measure(samples, [text(1), text(3)])
    assert [(each.split, each.answers, each.near) for each in measured] == [("test", 1, 1), ("test_pairs", 2, 1)]

"""The code of a schedule alone in what a model writes, whatever stands around it."""

import pytest

from lrgen.score.answers import FENCE, RAW
from lrgen.score.blocks import PROSE
from lrgen.score.schedule_answers import answer_of

CODE = """\
import math


def lr_at(step, total):
    return 0.5 * (1 + math.cos(math.pi * step / total))
"""
USE = "for step in range(10):\n    print(lr_at(step, 10))\n"
PATCH = "--- a/schedule.py\n+++ b/schedule.py\n@@ -1,1 +1,1 @@\n-x = 1\n+x = 2\n"
PART = "    if step < 5:\n        return step / 5\n    return 1.0\n"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (CODE, RAW),
        (f"```python\n{CODE}```", FENCE),
        (f"Here it is:\n\n```python\n{CODE}```\n\nUse it so:\n\n```python\n{USE}```\n", FENCE),
        (f"<think>\ndef lr_at(step): pass\n</think>\n```\n{CODE}```", FENCE),
        (f"The function is\n\n{CODE}\nIt decays along a cosine.\n", PROSE),
        (f"First try:\n```python\ndef lr_at(step, total):\n    return 1\n```\nBetter:\n```python\n{CODE}```", FENCE),
    ],
)
def test_the_code_is_found(text, form):
    """The last code that defines the entry is the answer: not the example of its use, nor what was thought."""
    answer = answer_of("schedule", "lr_at", text)
    assert (answer.text.strip(), answer.form) == (CODE.strip(), form)


@pytest.mark.parametrize("text", [PATCH, f"```diff\n{PATCH}```", f"This mends it:\n\n{PATCH}"])
def test_a_diff_is_an_answer_where_one_may_be_given(text):
    """In a repair a diff is found alone, in a fence and after a sentence; a task without diffs has no such answer."""
    assert answer_of("repair", "lr_at", text).text.strip() == PATCH.strip()
    other = answer_of("schedule", "lr_at", PATCH)
    assert other is None or not other.text.startswith("---")


@pytest.mark.parametrize("text", [PART, f"```python\n{PART}```", f"Fill in:\n```\n{PART}```"])
def test_a_part_keeps_its_indentation(text):
    """The lines of a hole are the answer as they are indented."""
    assert answer_of("infill", "lr_at", text).text == PART


def test_sentences_alone_have_no_answer():
    """A refusal in words has no code."""
    assert answer_of("schedule", "lr_at", "I am sorry, I cannot do that.") is None

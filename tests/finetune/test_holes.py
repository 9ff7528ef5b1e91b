"""Holes in code: an answer put in the place of what was cut out."""

import ast
import random
import textwrap

import pytest

from lrgen.errors import DatasetError
from lrgen.finetune import holes
from lrgen.finetune.holes import Kind

CODE = '''import math


def make_scheduler(optimizer, total_steps):
    """Linear warm-up and cosine decay."""
    warmup_steps = round(0.1 * total_steps)

    def factor(step):
        if step < warmup_steps:
            return step / warmup_steps
        # the decay
        progress = (step - warmup_steps) / (
            total_steps - warmup_steps
        )
        return (1 + math.cos(math.pi * min(1.0, progress))) / 2

    return LambdaLR(optimizer, factor)
'''


@pytest.fixture(scope="module")
def drawn():
    return [hole for seed in range(200) if (hole := holes.cut(CODE, random.Random(seed)))]


def test_the_own_answer_makes_the_same_code(drawn):
    """What was cut out, put back, is the code it was cut from, but for comments and line breaks."""
    for hole in drawn:
        assert ast.dump(ast.parse(holes.filled(hole.code, hole.placeholder, hole.answer))) == ast.dump(ast.parse(CODE))


def test_every_kind_of_hole_is_drawn_and_needs_an_answer(drawn):
    """Each kind occurs; an answer has no white space around it, is missing in the code, and is no docstring."""
    assert {hole.kind for hole in drawn} == set(Kind)
    for hole in drawn:
        assert hole.answer == f"{hole.answer.strip()}\n"
        assert hole.code.count(hole.placeholder) == 1
        assert '"""' in hole.code or hole.kind is Kind.FUNCTION


@pytest.mark.parametrize("indent", ["", "        "])
@pytest.mark.parametrize("first", [True, False])
def test_the_indentation_of_an_answer_does_not_matter(indent, first):
    """A block is dedented, indented as in the code, or indented from its second line on."""
    code = "def factor(step):\n    if step < 5:\n        # TODO\n    return 1.0\n"
    answer = textwrap.indent("progress = step / 5\nif progress > 0.5:\n    return 0.5\nreturn progress\n", indent)
    if not first:
        answer = answer.lstrip()
    made: dict = {}
    exec(holes.filled(code, "# TODO", answer), made)
    assert [made["factor"](step) for step in (1, 4, 6)] == [0.2, 0.5, 1.0]


def test_code_without_the_placeholder_is_an_error():
    """A prompt whose placeholder is gone cannot be completed."""
    with pytest.raises(DatasetError, match="placeholder"):
        holes.filled("x = 1\n", "# TODO", "y = 2")

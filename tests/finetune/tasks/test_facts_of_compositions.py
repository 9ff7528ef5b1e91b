"""Explanations of compositions: facts in other words are facts, and a wrong number, shape or order is missed."""

from fractions import Fraction

import pytest

from lrgen.curves.compositions import Composition, Phase, Shape
from lrgen.curves.compositions.phases import hold, linear
from lrgen.finetune.example import TaskInput
from lrgen.finetune.realised import facts
from lrgen.finetune.tasks import explain
from lrgen.records import Unit
from tests import corpus

F = Fraction
COMPOSITION = Composition(
    (linear(F(0), F(1), F(1, 20)), Phase(Shape.COSINE, F(3, 4), F(1), F(1, 10)), hold(F(1, 20), F(1, 5))),
    Unit.BATCH,
    10_000,
    groups=(F(1), F(1, 4)),
)
PROSE = (
    "First a linear warm-up from 0 to the base learning rate over 5% of training. Next comes cosine annealing down to "
    "10% of it, for 75% of training. It is then held at 0.05 times the base learning rate until the end. The groups "
    "have the multipliers 1 and 0.25. After the end, it stays at 0.05 times the base learning rate."
)
TABLE = """| steps | shape | from | to |
|---|---|---|---|
| 0 - 500 | linear | 0 | 0.1 |
| 500 - 8,000 | cosine | 0.1 | 0.01 |
| 8,000 - 10,000 | constant | 0.005 | 0.005 |

Group multipliers: 1, 1/4. Past the end: 0.005."""
DATA = (
    '{"phases": [{"shape": "linear", "start": 0, "end": 1, "length": 0.05}, '
    '{"shape": "cosine", "start": 1, "end": 0.1, "length": 0.75}, {"shape": "hold", "level": 0.05, "length": 0.2}], '
    '"group_multipliers": [1, 0.25], "after_end": 0.05}'
)


@pytest.mark.parametrize("text", [PROSE, TABLE, DATA, f"```json\n{DATA}\n```"])
def test_facts_in_other_words_are_facts(text):
    """Prose, a table in learning rates and steps, and JSON state all facts."""
    stated = facts.stated(COMPOSITION, text)
    assert all(stated.values()), stated
    assert len(stated) == 5


@pytest.mark.parametrize(
    ("text", "old", "new", "fact"),
    [
        (PROSE, "5% of training. N", "8% of training. N", "phase 1"),
        (PROSE, "from 0 to", "from 0.1 to", "phase 1"),
        (PROSE, "cosine annealing", "linear decay", "phase 2"),
        (PROSE, "1 and 0.25", "1 and 0.5", "the multipliers of the parameter groups"),
        (PROSE, "stays at 0.05", "stays at 0.5", "the level after the end"),
        (TABLE, "| 0 | 0.1 |", "| 0.1 | 0 |", "phase 1"),
        (TABLE, "500 - 8,000", "500 - 7,000", "phase 2"),
        (TABLE, "constant | 0.005 | 0.005", "constant | 0.001 | 0.001", "phase 3"),
        (DATA, '"length": 0.75', '"length": 0.7', "phase 2"),
        (DATA, '"after_end": 0.05', '"after_end": 0', "the level after the end"),
    ],
)
def test_a_wrong_fact_is_missed(text, old, new, fact):
    """Of an explanation with one wrong fact, that fact is missing."""
    changed = text.replace(old, new)
    assert changed != text
    assert [name for name, is_stated in facts.stated(COMPOSITION, changed).items() if not is_stated] == [fact]


def test_phases_in_another_order_are_missed():
    """The phases are stated in order."""
    lines = TABLE.splitlines()
    assert not all(facts.stated(COMPOSITION, "\n".join([*lines[:2], *lines[4:1:-1], *lines[5:]])).values())


def test_own_explanations_state_all_facts(catalogue):
    """The answers about compositions, in every form, have the facts by which they are graded."""
    task_input = TaskInput(catalogue, (), 0, compositions=corpus.realised(range(60)))
    for example in explain.examples(task_input):
        stated = facts.stated(example.composition.composition, example.completion)
        assert all(stated.values()), (stated, example.completion)

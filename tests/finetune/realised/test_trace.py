"""Task trace about compositions."""

import json

import pytest

from lrgen.errors import CorpusError
from lrgen.finetune import diversity
from lrgen.finetune.example import Reference
from lrgen.finetune.realised import settings, trace
from lrgen.finetune.rows import Rows, Split
from lrgen.finetune.tasks import trace as task


@pytest.fixture(scope="module")
def examples(realised_input):
    return list(trace.examples(realised_input, "trace"))


def graded(example, completion, catalogue):
    row = Rows(0).of(example, Split.TRAIN, "group")
    return task.grade(row, completion, Reference(catalogue), None)


def test_the_learning_rates_are_those_of_the_curve(examples):
    """Each stated learning rate is that of the composition at its step, to six digits, and they change."""
    for example in examples:
        evidence = example.evidence
        expected = settings.rates_of(example.composition.composition, evidence)
        stated = task.stated(example.completion)
        assert [step for step, _ in stated] == evidence["steps"]
        assert [rate for _, rate in stated] == pytest.approx(expected, rel=6e-6, abs=1e-12)
        assert len({rate for _, rate in stated}) > 1


def test_almost_every_composition_has_an_example(examples, realised_input):
    """A composition without one has a learning rate that hardly changes."""
    assert len(examples) >= 0.9 * len(realised_input.compositions)


def test_a_wrong_learning_rate_is_incorrect(examples, catalogue):
    """The own answer is graded 1, one with another learning rate or without a step below 1."""
    for example in examples[:20]:
        assert graded(example, example.completion, catalogue).passed
        rates = task.stated(example.completion)
        wrong = "".join(f"{step}: {rate * 1.01 + 1e-6:.6g}\n" for step, rate in rates)
        assert not graded(example, wrong, catalogue).passed
        short = "".join(f"{step}: {rate:.6g}\n" for step, rate in rates[1:])
        assert 0 < graded(example, short, catalogue).fraction < 1


def test_code_that_differs_from_its_curve_is_an_error(realised_input, monkeypatch):
    """An example is not made of code with other learning rates."""
    monkeypatch.setattr(settings, "curve", lambda setting, steps: [2.0] * len(steps))
    with pytest.raises(CorpusError, match="its curve gives 2"):
        list(trace.examples(realised_input, "trace"))


def test_the_questions_differ_and_are_complete(examples):
    """There are many questions; each states the steps, and the horizon and base learning rate that the code takes."""
    measured = diversity.measure(example.prompt for example in examples)
    assert measured.openers >= 40
    assert measured.instructions >= 200
    for example in examples:
        evidence = json.loads(json.dumps(example.evidence))
        for step in evidence["steps"]:
            assert str(step) in example.prompt

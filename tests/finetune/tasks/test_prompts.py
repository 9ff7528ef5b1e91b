"""Task prompts: the model and the learning rate of a text."""

import json
import random

import pytest

from lrgen.errors import DatasetError
from lrgen.extraction import detect_model, extract_lr
from lrgen.finetune.example import Scope
from lrgen.finetune.tasks import prompts


@pytest.mark.parametrize("pattern", prompts.PATTERNS, ids=range(1, len(prompts.PATTERNS) + 1))
def test_extraction_reads_the_values_of_a_text(pattern, catalogue):
    """The model and the learning rate that a text is made with are those that lrgen.extraction reads."""
    names = [architecture.name for architecture in catalogue.architectures]
    for seed in range(20):
        text, model, rate = prompts.written(pattern, names, random.Random(seed))
        assert detect_model(text, prompts.SETTINGS, names) == model, text
        assert extract_lr(text, prompts.SETTINGS) == rate, text


def test_a_completion_has_a_model_and_a_learning_rate(full_input):
    """Completions are JSON objects with two keys; the model is a name or null, the learning rate within the range."""
    examples = list(prompts.examples(full_input))
    answers = [json.loads(example.completion) for example in examples]
    assert len(prompts.PATTERNS) >= 30
    assert len(answers) > 0.95 * prompts.PER_PATTERN * len(prompts.PATTERNS)
    low, high = prompts.SETTINGS.prompt.lr_extraction.lr_range
    for answer in answers:
        assert answer.keys() == {"model", "learning_rate"}
        assert low <= answer["learning_rate"] <= high
    assert {answer["model"] is None for answer in answers} == {True, False}
    assert all(example.scope is Scope.NONE and not example.files for example in examples)


def test_a_text_that_extraction_reads_differently_is_an_error(full_input, monkeypatch):
    """A pattern with an ambiguous model ends the build with the text."""
    monkeypatch.setattr(prompts, "PATTERNS", (prompts.Pattern("{active} and {other}, lr={lr}"),))
    with pytest.raises(DatasetError, match=r"^pattern 1 of task prompts: expected .*, extraction returns \(None, "):
        next(prompts.examples(full_input))

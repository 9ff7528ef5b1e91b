"""Task prompts: the model and the learning rate of a text."""

import json
import random

import pytest

from lrgen.errors import DatasetError
from lrgen.extraction import detect_model, extract_lr
from lrgen.finetune.example import Reference, Scope
from lrgen.finetune.instructions import prompts as instructions
from lrgen.finetune.patterns import Pattern
from lrgen.finetune.rows import Rows, Split
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
    assert len(prompts.PATTERNS) >= 70
    assert len(answers) > 0.95 * prompts.PER_PATTERN * len(prompts.PATTERNS)
    low, high = prompts.SETTINGS.prompt.lr_extraction.lr_range
    for answer in answers:
        assert answer.keys() == {"model", "learning_rate"}
        assert low <= answer["learning_rate"] <= high
    assert {answer["model"] is None for answer in answers} == {True, False}
    assert all(example.scope is Scope.NONE and not example.files for example in examples)


def test_a_text_that_extraction_reads_differently_is_an_error(full_input, monkeypatch):
    """A pattern with an ambiguous model ends the build with the text."""
    monkeypatch.setattr(prompts, "PATTERNS", (Pattern("{active} and {other}, lr={lr}"),))
    with pytest.raises(DatasetError, match=r"^pattern 1 of task prompts: expected .*, extraction returns \(None, "):
        next(prompts.examples(full_input))


def test_the_examples_of_a_pattern_are_a_group(full_input):
    """Each example has the group of its pattern, all of which are listed: a pattern is in one split."""
    examples = list(prompts.examples(full_input))
    assert {example.group for example in examples} == set(prompts.GROUPS)
    assert all(example.key.startswith(f"{example.group}/") for example in examples)
    assert len(prompts.GROUPS) == len(prompts.PATTERNS)


def test_the_text_of_a_prompt_is_read_again(full_input):
    """Whether the text stands behind the request or in a fence, it is that of the pattern."""
    fenced = set()
    for example in prompts.examples(full_input):
        text, answer = instructions.text_of(example.prompt), json.loads(example.completion)
        assert detect_model(text, prompts.SETTINGS) == answer["model"]
        assert extract_lr(text, prompts.SETTINGS) == answer["learning_rate"]
        assert text in example.prompt
        assert "JSON" in example.prompt.replace(text, "") or '{"model"' in example.prompt
        fenced.add("```text" in example.prompt)
    assert fenced == {True, False}


@pytest.mark.parametrize(
    ("model", "passed"), [("ResNet18", True), ("resnet-18", True), ("ResNet34", False), (18, False)]
)
def test_the_spelling_of_a_model_makes_no_difference(full_input, model, passed):
    """Case and separators of a name do not count, the name does."""
    example = next(iter(prompts.examples(full_input)))
    prompt = "Which?\n\nTrain resnet-18 with lr 0.01"
    row = Rows(0).of(example, Split.TRAIN, "") | {"prompt": prompt}
    answer = json.dumps({"model": model, "learning_rate": 0.01})
    assert prompts.grade(row, answer, Reference(full_input.catalogue), None).passed is passed


def test_a_request_says_which_of_several_models_is_meant(full_input):
    """The mark, the prefix and the words that decide between models stand in the request, not in the text alone."""
    for example in prompts.examples(full_input):
        request = example.prompt.replace(instructions.text_of(example.prompt), "")
        detection = prompts.SETTINGS.prompt.model_detection
        named = [word.rstrip("e") for word in detection.keywords if word != "ResNet"]  # "fine-tuning", too
        stated = (f"`{detection.active_indicator}`", f"`{detection.prefix}`", *named)
        assert [part for part in stated if part not in request] == []

"""Task write: the instructions of a file."""

import pytest

from lrgen.finetune import wording
from lrgen.finetune.example import Scope
from lrgen.finetune.tasks import write


@pytest.fixture(scope="module")
def examples(full_input):
    return list(write.examples(full_input))


def test_the_completion_is_the_file(examples):
    """The completion is the source of the verified file."""
    for example in examples:
        assert example.completion == example.files[0].source
        assert example.scope is Scope.FILE


def test_each_file_has_a_brief_and_a_detailed_instruction(examples, full_input):
    """Each file has two instructions, the detailed one is longer, and there are ten wordings in total."""
    assert len(examples) == write.PER_FILE * len(full_input.files)
    for brief, detailed in zip(examples[::2], examples[1::2], strict=True):
        assert len(brief.prompt) < len(detailed.prompt)
    assert len({*write.BRIEF, *write.DETAILED}) == 10


@pytest.mark.parametrize("instruction", write.DETAILED)
def test_a_detailed_instruction_is_complete(instruction, full_input):
    """Network, schedule, formula, unit, end, training, hyperparameters and interface are in each detailed wording."""
    for file in full_input.files:
        text = instruction(file).replace('\\"', '"').replace("\\n", "\n")
        assert file.architecture.title in text
        assert wording.summary(file.variant) in text
        assert file.variant.formula in text
        assert wording.stepping(file.variant) in text
        assert wording.past_end(file.variant) in text
        assert wording.training(file) in text
        assert wording.implementation(file.source) in text
        for parameter in file.variant.hyperparameters:
            assert parameter.name in text
            assert wording.number(parameter) in text
        assert all(line in text for line in wording.contract(file))


@pytest.mark.parametrize("instruction", [*write.BRIEF, *write.DETAILED])
def test_an_instruction_identifies_the_schedule(instruction, full_input):
    """No two schedules have the same instruction, not even equivalents."""
    prompts = [instruction(file) for file in full_input.files if file.architecture.name == "ResNet"]
    assert len(set(prompts)) == len(prompts) == len(full_input.catalogue.variants)

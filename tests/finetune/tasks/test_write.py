"""Task write: the instructions of a file."""

import random
import re
from dataclasses import replace

import pytest

from lrgen.finetune import wording
from lrgen.finetune.example import SYSTEM, Scope
from lrgen.finetune.instructions import layouts, schedule
from lrgen.finetune.instructions import write as instructions
from lrgen.finetune.tasks import write
from lrgen.source import sections


@pytest.fixture(scope="module")
def examples(full_input):
    return list(write.examples(full_input))


def plain(text: str) -> str:
    """Return a text on one line, without the marks of comments and the escapes of JSON."""
    return " ".join(re.sub(r"^ *# ", "", text, flags=re.MULTILINE).replace('\\"', '"').split())


def test_the_completion_is_the_file(examples):
    """The completion is the source of the verified file."""
    for example in examples:
        assert example.completion == example.files[0].source
        assert example.scope is Scope.FILE


def test_each_file_has_a_short_and_a_detailed_instruction(examples, full_input):
    """Each file has two instructions; the detailed one is longer and leaves nothing to the system's message."""
    assert len(examples) == full_input.rows_per_file * len(full_input.files)
    for short, detailed in zip(examples[::2], examples[1::2], strict=True):
        assert len(short.prompt) < len(detailed.prompt)
        assert detailed.system == SYSTEM


def test_any_number_of_instructions_of_a_file_differ(full_input):
    """With more rows a file, no instruction of a file is repeated."""
    few = replace(full_input, files=full_input.files[::40], rows_per_file=20)
    examples = list(write.examples(few))
    assert len({example.prompt for example in examples}) == len(examples) == 20 * len(few.files)


REQUIRED = (
    "torch and the standard library",
    "`supported_hyperparameters()`",
    "`make_scheduler(optimizer, total_steps, prm)`",
    "`ValueError`",
    "`RuntimeError`",
    "initial learning rate",
    "another schedule or horizon",
    "`scheduler.load_state_dict`",
    "`scheduler.step`",
    "`Net(in_shape, out_shape, prm, device)`",
    "(batch, channels, height, width)",
    "(classes,)",
    "`train_setup(prm)`",
    "`learn(train_data)`",
    "`prm['epoch_max']`",
    "`prm['epoch']`",
    "90",
    "`criterion`",
    "`optimizer`",
    "`total_steps`",
    "`lr`, `momentum` and `dropout`",
)
"""Parts of the interface that every wording has."""


def assert_complete(text: str, file) -> None:
    """Assert that a text states network, schedule, unit, end, defaults, training and interface of a file."""
    text = plain(text).replace("`Net.train_setup(prm)`", "`train_setup(prm)`")
    variant = file.variant
    names = ", ".join(f'"{name}"' for name in sections.parse(file.source).hyperparameters)
    assert file.architecture.summary[1:] in text
    assert wording.summary(variant) in text
    assert variant.formula in text
    assert wording.training(file) in text
    assert wording.implementation(file.source) in text
    assert f"{{{names}}}" in text
    assert f'scheduler.schedule = ("{variant.title}", total_steps)' in text
    assert [part for part in REQUIRED if part not in text] == []
    assert ("by the same rule" in text or "the same rule" in text.lower()) == (variant.past_end == "continue")
    assert re.search(r"(final value|learning rate is constant)", text) or variant.past_end == "continue"
    unit = "batch" if variant.per_batch else "epoch"
    assert re.search(
        rf"(stepped|[Ss]tep the scheduler|step it|`scheduler.step`|advances|[Aa]dvances\"?:) .*{unit}", text
    )
    assert ("`learn` calls `scheduler.step(metric)`" in text) or variant.metric is None or "learn` calls" in text
    assert ("first call of `learn`" in text) == variant.per_batch
    for parameter in variant.hyperparameters:
        assert re.search(rf"\b{parameter.name}\b", text)
        assert any(number in text for number in schedule.numerals(parameter))


@pytest.mark.parametrize("layout", layouts.LAYOUTS, ids=lambda layout: layout.__name__.strip("_"))
def test_a_detailed_instruction_is_complete(layout, full_input):
    """Each layout states network, schedule, formula, unit, end, defaults, training and interface."""
    for number, file in enumerate(full_input.files):
        text = layout(file, random.Random(number))
        assert_complete(text, file)
        assert all(wording.marked(parameter.meaning) in plain(text) for parameter in file.variant.hyperparameters)


def test_a_short_instruction_and_its_system_message_are_complete(full_input):
    """Whatever a short instruction leaves out, the system's message states: together they fix the file."""
    for number, file in enumerate(full_input.files):
        instruction = instructions.short(file, random.Random(number))
        assert_complete(f"{instruction.system}\n\n{instruction.prompt}", file)
        named = wording.bare(file.variant)[1:], wording.summary(file.variant), file.variant.formula
        assert any(text in instruction.prompt for text in named)
        assert "whole file" in instruction.system or re.search(r"(file|code)", instruction.prompt)


def test_an_instruction_states_the_defaults_itself(full_input):
    """The value of every hyperparameter of the schedule stands in the prompt, not in the system's message alone."""
    for number, file in enumerate(full_input.files):
        for instruct in (instructions.short, instructions.detailed):
            prompt = instruct(file, random.Random(number)).prompt
            for parameter in file.variant.hyperparameters:
                assert any(text in prompt for text in schedule.numerals(parameter)), prompt


def test_a_short_instruction_names_the_unit(full_input):
    """Each short instruction says whether the schedule advances per epoch or per batch."""
    for number, file in enumerate(full_input.files):
        prompt = instructions.short(file, random.Random(number)).prompt
        assert ("batch" if file.variant.per_batch else "epoch") in prompt, prompt


@pytest.mark.parametrize("instruct", [instructions.short, instructions.detailed])
def test_an_instruction_identifies_the_schedule(instruct, full_input):
    """No two schedules have the same prompt and system's message, not even equivalents, by the same choices."""
    files = [file for file in full_input.files if file.architecture.name == "ResNet"]
    for seed in range(20):
        made = [instruct(file, random.Random(seed)) for file in files]
        assert len(set(made)) == len(made) == len(full_input.catalogue.schedules)

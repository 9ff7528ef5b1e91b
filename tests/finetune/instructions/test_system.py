"""The system's message: the parts of a file that a prompt does not state."""

import itertools

import pytest

from lrgen.finetune import wording
from lrgen.finetune.example import SYSTEM
from lrgen.finetune.instructions.system import WHOLE_FILE, Part, system
from tests import corpus

NUMBERS = (1, 31, 37, 41, 174, 177)


@pytest.fixture(scope="module")
def files(catalogue):
    return [corpus.verified(catalogue, number) for number in NUMBERS]


def test_a_prompt_that_states_all_leaves_the_short_message(files):
    """The system's message of a complete prompt is the default one."""
    assert {system(file, set(Part)) for file in files} == {SYSTEM}


@pytest.mark.parametrize("stated", itertools.combinations(Part, 2), ids=" and ".join)
def test_each_part_that_is_not_stated_is_in_the_message_and_no_other(files, stated):
    """Interface, network, schedule, defaults, training and the form of the answer come and go on their own."""
    for file in files:
        message, variant = system(file, set(stated)), file.variant
        assert message.startswith(SYSTEM)
        assert (Part.INTERFACE not in stated) == message.startswith(wording.interface(file))
        assert (Part.NETWORK not in stated) == (file.architecture.summary in message)
        assert (Part.SCHEDULE not in stated) == (
            f"{wording.formula(variant)}\n\n{wording.past_end(variant)}" in message
        )
        defaults = wording.defaults(variant)
        assert (Part.DEFAULTS not in stated and bool(defaults)) == (f"{defaults}." in message if defaults else False)
        assert (Part.TRAINING not in stated) == (wording.training(file) in message)
        assert (Part.ANSWER not in stated) == (WHOLE_FILE in message)


def test_the_definition_has_class_summary_unit_and_hyperparameters(files):
    """A schedule is defined by its class, summary, unit, formula, end and the meanings of its hyperparameters."""
    for file in files:
        message = system(file, {Part.DEFAULTS})
        assert wording.implementation(file.source) in message
        assert wording.summary(file.variant) in message
        assert f"advances {wording.advances(file.variant)}" in message
        for parameter in file.variant.hyperparameters:
            assert f"`{parameter.name}`: {wording.marked(parameter.meaning)}" in message
        assert "\n\n\n" not in message

"""Task edit: a change of the schedule of a file."""

from dataclasses import replace

import pytest

from lrgen.finetune import wording
from lrgen.finetune.tasks import edit
from lrgen.source import diffs


@pytest.fixture(scope="module")
def examples(full_input):
    return list(edit.examples(full_input))


def test_an_edit_gives_the_verified_file(examples):
    """A diff applies to the file of the prompt and gives the other file; a whole completion is the other file."""
    forms = set()
    for example in examples:
        after, before = example.files
        assert wording.quoted(example.prompt) == before.source
        forms.add("applies_to" in example.evidence)
        if "applies_to" in example.evidence:
            assert diffs.apply(example.completion, before.source) == after.source
            assert example.evidence == {"applies_to": before.sha256, "patched": after.sha256}
        else:
            assert example.completion == after.source
    assert forms == {True, False}


def test_both_files_of_an_edit_share_a_group(examples):
    """The files before and after have the same architecture and family, so that they are in the same split."""
    for example in examples:
        after, before = example.files
        assert after is not before
        assert (after.architecture, after.variant.family) == (before.architecture, before.variant.family)


def test_an_edit_describes_the_requested_schedule(examples):
    """The prompt has title, summary and new defaults of the schedule, and unit and training where they change."""
    for example in examples:
        after, before = (file.variant for file in example.files)
        request = example.prompt.partition("\n```")[0]
        assert after.title in request
        assert wording.summary(after) in request
        new = [parameter for parameter in after.hyperparameters if parameter not in before.hyperparameters]
        assert all(parameter.name in request and wording.number(parameter) in request for parameter in new)
        if wording.advances(after) != wording.advances(before):
            assert wording.advances(after) in request
        if after.optimizer != before.optimizer:
            assert wording.training(example.files[0]) in request


def test_a_change_of_defaults_is_described_as_such(full_input):
    """Between schedules that differ only in a default, the prompt gives the old and the new value."""
    resnet = [file for file in full_input.files if file.architecture.name == "ResNet"]
    pair = replace(full_input, files=[resnet[0], resnet[23]])
    requests = [example.prompt.partition("\n```")[0] for example in edit.examples(pair)]
    assert all("Keep the schedule" in text for text in requests)
    assert "`step_fraction` from 0.5 to 1/3" in requests[0]
    assert "`step_fraction` from 1/3 to 0.5" in requests[1]

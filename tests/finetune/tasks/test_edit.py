"""Task edit: a change of the schedule of a file."""

import re
from dataclasses import replace

import pytest

from lrgen.finetune import wording
from lrgen.finetune.instructions import schedule
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


def test_request_and_system_message_define_the_new_schedule(examples):
    """The request names or describes the schedule, with changed defaults; it or the system's message has the rest."""
    for example in examples:
        after, before = example.files
        request, new = example.prompt.partition("\n```")[0], after.variant
        text = f"{example.system}\n{request}"
        assert wording.bare(new)[1:] in request or wording.summary(new) in request
        changed = [parameter for parameter in new.hyperparameters if parameter not in before.variant.hyperparameters]
        assert all(any(form in request for form in schedule.numerals(parameter)) for parameter in changed)
        assert new.formula in text or new.formula == before.variant.formula
        assert wording.stepping(new) in example.system
        assert all(line in example.system for line in wording.contract(after))
        if wording.training(after) != wording.training(before):
            assert wording.training(after) in text


def test_a_request_asks_for_a_diff_or_for_the_file(examples):
    """The form of the answer stands in the request, with the name of the file in a diff."""
    for example in examples:
        request = example.prompt.partition("\n```")[0]
        if "applies_to" in example.evidence:
            assert re.search(r"diff|patch", request)
            assert diffs.FILE_NAME in request
        else:
            assert re.search(r"(whole|complete) (new |changed |updated )?file", request)


def test_a_change_of_defaults_is_described_as_such(full_input):
    """Between schedules that differ only in a default, the request gives the old and the new value and no formula."""
    resnet = [file for file in full_input.files if file.architecture.name == "ResNet"]
    notations = set()
    for seed in range(40):
        pair = replace(full_input, files=[resnet[0], resnet[23]], seed=seed)
        after, before = [example.prompt.partition("\n```")[0] for example in edit.examples(pair)]
        assert "`step_fraction` from 1/2 to 1/3" in after or "`step_fraction` from 0.5 to 1/3" in after
        assert "`step_fraction` from 1/3 to " in before
        assert "floor" not in after + before
        notations.add(after.partition("from ")[2][:3])
    assert notations == {"0.5", "1/2"}


def test_only_what_changes_is_contrasted(full_input):
    """Units are contrasted if they differ; for the same unit, the metrics are. A sentence never contrasts equals."""
    resnet = [file for file in full_input.files if file.architecture.name == "ResNet"]
    plateaus = replace(full_input, files=[file for file in resnet if file.variant.metric], rows_per_file=9)
    contrasts = set()
    for seed in range(4):
        for example in edit.examples(replace(plateaus, seed=seed)):
            request = example.prompt.partition("\n```")[0]
            assert not re.search(r"(once per (?:epoch|batch))\b[^.]*, (?:not|no longer) \1", request), request
            contrasts |= set(re.findall(r"no longer by the|that counts now|no longer once|, not once", request))
    assert {"no longer by the", "that counts now"} <= contrasts
    assert contrasts & {"no longer once", ", not once"}

"""Task edit: a change of the schedule of a file."""

import ast
import re
from dataclasses import replace

import pytest

from lrgen.finetune import wording
from lrgen.finetune.example import Reference
from lrgen.finetune.instructions import schedule
from lrgen.finetune.tasks import edit
from lrgen.source import diffs
from lrgen.source.practice_signs import signs
from tests.corpus import task_input, verified
from tests.store.outcomes import outcome


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


# Step decay with both precisions, accumulation and clipping; warm-up and cosine with an EMA, mixup and CutMix.
OF_PRACTICES = (1, 178, 184, 224, 228, 37, 215, 221, 223)


@pytest.fixture(scope="module")
def of_practices(catalogue):
    """The examples about practices, by the names of the practice before and after."""
    files = replace(task_input(catalogue, OF_PRACTICES), rows_per_file=6)
    by_names: dict[tuple[str, str], list] = {}
    for example in edit.examples(files):
        after, before = example.files
        names = tuple(file.variant.practice.name if file.variant.practice else "" for file in (before, after))
        if any(names):
            by_names.setdefault(names, []).append(example)
    return by_names


def test_a_practice_is_added_removed_and_replaced_by_another_of_its_kind(of_practices):
    """Each practice is added to its schedule and removed; two of a kind with one schedule replace each other."""
    practices = {"bf16", "fp16", "accumulate_2", "clip_norm", "ema", "mixup", "cutmix"}
    pairs = {("bf16", "fp16"), ("mixup", "cutmix")}
    expected = {("", name) for name in practices} | {(name, "") for name in practices}
    assert of_practices.keys() == expected | pairs | {(new, old) for old, new in pairs}
    assert {len(examples) for names, examples in of_practices.items() if "" in names} == {6}


def test_averages_replace_each_other(catalogue):
    """An EMA and SWA over one schedule are alike, as two practices of a kind are; of other networks none is."""
    swa = replace(catalogue.variant("swa_cyclic"), number=999, schedule=37)
    files = [verified(catalogue, 215), verified(catalogue, 216, variant=swa), verified(catalogue, 215, "AlexNet")]
    made = [example.files for example in edit.examples(replace(task_input(catalogue, ()), files=files))]
    names = [(before.variant.practice.name, after.variant.practice.name) for after, before in made]
    assert names == [("swa", "ema"), ("ema", "swa")]


def test_a_change_of_a_practice_gives_the_rendered_file(of_practices):
    """The answer is the file of the same network and schedule, without a sign of the practice if it is removed."""
    for (old, new), examples in of_practices.items():
        for example in examples:
            after, before = example.files
            as_diff = "applies_to" in example.evidence
            assert (diffs.apply(example.completion, before.source) if as_diff else example.completion) == after.source
            assert after.variant.title == before.variant.title
            assert f"trained with {after.variant.full_title}" in example.prompt
            if not new:
                kinds = {sign.kind for sign in signs(ast.parse(after.source))}
                assert before.variant.practice.kind not in kinds
                assert wording.stepping(after.variant) in example.system
        assert len({example.key for example in examples}) == len(examples)
        if "" in (old, new):
            assert len({"applies_to" in example.evidence for example in examples}) == 2
            assert len({example.prompt.partition(".")[0] for example in examples}) > 2


def test_the_same_changes_of_practices_are_made_again(catalogue):
    """The examples of a seed are the same each time; those of another seed have other words."""
    made = [list(edit.examples(task_input(catalogue, OF_PRACTICES, seed=seed))) for seed in (0, 0, 1)]
    assert made[0] == made[1]
    prompts = [{example.key: example.prompt for example in examples} for examples in made]
    assert prompts[0].keys() == prompts[2].keys()
    assert prompts[0] != prompts[2]


def test_what_a_recipe_has_is_not_removed(catalogue):
    """AlexNet's recipe clips gradients: its file with clipping is changed into none without."""
    assert catalogue.architecture("AlexNet").recipe.clip_norm
    examples = list(edit.examples(task_input(catalogue, (1, 228, 178), "AlexNet")))
    removed = [example.files[1].variant.name for example in examples if example.files[0].variant.practice is None]
    assert removed == ["bf16_step", "bf16_step"]


def test_the_request_states_the_recipe_that_a_file_hides(of_practices):
    """Without clipping, the loss and the optimizer are those of the recipe, which the system's message then has."""
    for example in of_practices["clip_norm", ""]:
        assert f"Training: {wording.training(example.files[0])}" in example.system
    assert not any("Training: " in example.system for example in of_practices["bf16", ""])


def test_a_practice_that_stays_is_no_answer(catalogue, of_practices):
    """A file that passes the checks of its schedule and still has the practice is wrong; the reason has the line."""
    reference = Reference(catalogue)
    for names, examples in of_practices.items():
        after, before = examples[0].files
        row = {"prompt": examples[0].prompt, "architecture": "ResNet", "variant": after.variant.key, "checker": "{}"}
        passed = outcome(after.variant, source=after.source)
        assert edit.grade(row, after.source, reference, passed).passed
        if not names[1]:
            grade = edit.grade(row, before.source, reference, passed)
            assert not grade.passed
            assert re.fullmatch(r"the file still has [a-z ]+ \(`.+`, line \d+\)", grade.reason), grade.reason

"""What is asked and answered in the fine-tuning data: every answer is right, every question tells enough."""

import ast
import functools
import hashlib
import inspect
import itertools
import json
import random
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from lrgen import catalogue as catalogues
from lrgen.errors import DatasetError
from lrgen.extraction import detect_model, extract_lr
from lrgen.finetune import wording
from lrgen.finetune.example import Example, Scope, TaskInput
from lrgen.finetune.tasks import convert, edit, explain, infill, prompts, write
from lrgen.render.renderer import Renderer
from lrgen.source import diffs, sections
from tests.corpus import verified

# Of two more networks each unit, equivalents, the schedules by layer, an optimizer of the variant's own; the last ones
# bring AdamW, Nesterov momentum, label smoothing, clipping, and no weight decay.
OTHERS = [
    *((model, number) for model in ("AlexNet", "SqueezeNet") for number in (1, 3, 19, 31, 37, 38, 160, 172, 177)),
    *(("ConvNeXt", 1), ("ConvNeXt", 177), ("ComplexNet", 1), ("BayesianNet", 1)),
]
TASKS = (write, infill, edit, explain, convert, prompts)
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.NAME)
of_files = pytest.mark.parametrize("task", TASKS[:-1], ids=lambda task: task.NAME)


@pytest.fixture(scope="module", autouse=True)
def read_once():
    """``detect_model`` reads the catalogue anew for each text; here it is read once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogues, "load", functools.cache(catalogues.load))
        yield


@pytest.fixture(scope="module")
def task_input(read_once) -> TaskInput:
    """The committed files of ResNet, and some of other networks."""
    catalogue = catalogues.load()
    files = [verified(catalogue, number) for number in sorted(variant.number for variant in catalogue.variants)]
    files += [verified(catalogue, number, model) for model, number in OTHERS]
    return TaskInput(catalogue, files, seed=0)


@pytest.fixture(scope="module")
def examples(task_input) -> dict[str, list[Example]]:
    """All examples of each task."""
    return {task.NAME: list(task.examples(task_input)) for task in TASKS}


# Files in pieces.


def test_the_pieces_of_a_file_are_the_file(task_input):
    """Head, schedule and network are the file, byte by byte, and the schedule begins and ends where it should."""
    for file in task_input.files:
        parts = sections.parse(file.source)
        assert parts.head + parts.schedule + parts.network == file.source
        assert ast.parse(parts.schedule).body[-1].name == "make_scheduler"
        assert "make_scheduler" not in parts.head
        assert "class Net" in parts.network


def test_a_schedule_alone_is_what_lrgen_schedule_shows(task_input):
    """The schedule with the imports that were picked for it is the catalogue's own rendering of it."""
    renderer = Renderer(task_input.catalogue)
    for file in task_input.files:
        assert sections.parse(file.source).standalone == renderer.schedule(file.variant)


def test_what_the_network_uses_is_not_cut_out_with_the_schedule(task_input):
    """An optimizer of the schedule's own stays in the file: only what make_scheduler alone uses is its answer."""
    (file,) = (one for one in task_input.files if one.name == "ResNet/A0_176")
    parts = sections.parse(file.source)
    assert "class ScheduleFreeSGD" in parts.incomplete
    assert "class Warmup" in parts.middle


def test_a_text_that_is_no_rendered_file_has_no_pieces():
    """Other code is refused, and so is a file without a gap, or with two."""
    with pytest.raises(DatasetError, match="not Python"):
        sections.parse("def make_scheduler(\n")
    with pytest.raises(DatasetError, match="make_scheduler"):
        sections.parse("import math\n")
    with pytest.raises(DatasetError, match="got 0$"):
        sections.complete("import math\n", "x = 1\n")
    with pytest.raises(DatasetError, match="got 2$"):
        sections.complete(sections.PLACEHOLDER * 2, "x = 1\n")


# Diffs.


def test_a_diff_applied_gives_the_new_text():
    """Wherever lines are kept, added and removed, the diff of two texts makes the one of the other."""
    chance = random.Random(0)
    for _ in range(300):
        before, after = ("".join(f"{chance.choice('abc')}\n" for _ in range(chance.randrange(30))) for _ in range(2))
        if before != after:
            assert diffs.apply(diffs.unified(before, after), before) == after


def test_a_diff_applies_to_its_own_text_alone(task_input):
    """A diff is refused by a file that is not the one it was made of, even in one line that it keeps."""
    before, after = (file.source for file in task_input.files[:2])
    diff = diffs.unified(before, after)
    assert diffs.apply(diff, before) == after
    kept = next(line[1:] for line in diff.splitlines() if line.startswith(" ") and line.strip())
    for other in (after, before.replace(kept, f"{kept}  # changed"), ""):
        with pytest.raises(DatasetError, match="does not match the diff"):
            diffs.apply(diff, other)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda diff: "", "not a unified diff"),
        (lambda diff: diff.split("\n", 2)[2], "not a unified diff"),
        (lambda diff: diff.rsplit("\n", 2)[0] + "\n", "does not have the number of lines"),
        (lambda diff: diff.replace("@@ ", "@ ", 1), "is not a hunk header"),
        (lambda diff: diff + "and so on\n", "is not a hunk header"),
        (lambda diff: re.sub(r"(?m)^\+(?!\+)", "*", diff, count=1), "does not begin with a space, - or +"),
        (lambda diff: diff + diff.split("\n", 2)[2], "overlaps with the hunk before it"),
    ],
)
def test_a_damaged_diff_is_refused(damage, reason):
    """A text that is not a whole diff is refused with what is wrong about it."""
    with pytest.raises(DatasetError, match=reason):
        diffs.apply(damage(diffs.unified("a\nb\nc\n", "a\nB\nc\n")), "a\nb\nc\n")


# What holds for every task.


@every_task
def test_examples_come_one_after_the_other(task, task_input):
    """A task makes its examples when they are asked for, and does not collect them."""
    found = task.examples(task_input)
    assert inspect.isgenerator(found)
    assert next(found).task == task.NAME
    assert task.SUMMARY


@every_task
def test_the_same_seed_gives_the_same_examples(task, task_input, examples):
    """Examples depend on files and seed alone; another seed phrases them differently and keeps their keys."""
    count = 40
    wanted = examples[task.NAME][:count]
    assert list(itertools.islice(task.examples(task_input), count)) == wanted
    others = list(itertools.islice(task.examples(replace(task_input, seed=1)), count))
    assert [one.key for one in others] == [one.key for one in wanted]
    assert [one.prompt for one in others] != [one.prompt for one in wanted]


@of_files
def test_what_else_is_built_changes_no_example(task, task_input, examples):
    """The examples of a network are the same when it is built alone."""
    alone = replace(task_input, files=[file for file in task_input.files if file.architecture.name == "SqueezeNet"])
    of_network = [one for one in examples[task.NAME] if one.key.startswith("SqueezeNet")]
    assert [one for one in task.examples(alone) if one.scope is Scope.FILE or task is infill] == of_network


@every_task
def test_keys_are_unique(task, examples):
    """No two examples of a task have the same key, or the same question and answer."""
    found = examples[task.NAME]
    assert len({one.key for one in found}) == len(found)
    assert len({(one.prompt, one.completion) for one in found}) == len(found)


@every_task
def test_no_text_names_a_number_of_the_catalogue(task, examples):
    """Prompts and answers speak of schedules in words: A0_001 means nothing to a reader of the data."""
    for one in examples[task.NAME]:
        assert not re.search(r"A0[_-]\d{3}", one.prompt + one.completion), one.key


# write


def test_what_is_written_is_the_verified_file(examples):
    """The answer to an instruction is the file's own text, and belongs to the file."""
    for one in examples["write"]:
        assert one.completion == one.files[0].source
        assert one.scope is Scope.FILE


def test_every_file_is_asked_for_briefly_and_in_detail(examples, task_input):
    """Each file has an instruction of each kind; the detailed one is the longer one, and there are ten phrasings."""
    found = examples["write"]
    assert len(found) == write.PER_FILE * len(task_input.files)
    assert all(
        len(brief.prompt) < len(detailed.prompt) for brief, detailed in zip(found[::2], found[1::2], strict=True)
    )
    assert len({*write.BRIEF, *write.DETAILED}) == 10


@pytest.mark.parametrize("phrased", write.DETAILED)
def test_a_detailed_instruction_tells_what_the_file_must_be(phrased, task_input):
    """Network, schedule, formula, unit, end, hyperparameters with default and range, and the contract are all there."""
    for file in task_input.files:
        text = phrased(file).replace('\\"', '"').replace("\\n", "\n")
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


@pytest.mark.parametrize("phrased", [*write.BRIEF, *write.DETAILED])
def test_no_two_schedules_are_asked_for_in_the_same_words(phrased, task_input):
    """An instruction tells a schedule from the other 176, an equivalent through another API as well."""
    asked = [phrased(file) for file in task_input.files if file.architecture.name == "ResNet"]
    assert len(set(asked)) == len(asked) == len(task_input.catalogue.variants)


def test_what_is_said_of_a_file_holds_in_its_code(task_input):
    """Unit, optimizer, clipping, smoothing, dropout and the declared names are in the code as in the words."""
    for file in task_input.files:
        training, stepping = wording.training(file), wording.stepping(file.variant)
        learn = file.source[file.source.index("def learn") :]
        indent = re.search(r"^( +)self\.scheduler\.step\(", learn, re.MULTILINE)[1]
        assert (len(indent) == 12) == ("after each `optimizer.step()`" in stepping)
        assert ("make_scheduler(self.optimizer" in learn) == (
            "The first call of `learn` creates the scheduler" in stepping
        )
        setup = file.source[file.source.index("def train_setup") :]
        assert re.search(r"self\.optimizer = (\w+)", setup)[1] == re.search(r"`(\w+)`", training)[1]
        assert ("nesterov=True" in file.source) == ("Nesterov" in training)
        assert ("clip_grad_norm_" in learn) == ("clipped" in training)
        assert ("label_smoothing" in file.source) == ("smoothing" in training)
        assert ('"depth"' in file.source) == ("`depth`" in training)
        dropout = re.search(r'prm\.get\("dropout", ([\d.]+)\)', file.source)
        assert (f"The default `dropout` is {dropout[1]}." in training) if dropout else ("dropout" not in training)
        namespace: dict = {}
        declared = re.search(r"returns the literal set (\{.*?\})", " ".join(wording.contract(file)))[1]
        function = next(node for node in ast.parse(file.source).body if isinstance(node, ast.FunctionDef))
        exec(ast.unparse(function), namespace)
        assert ast.literal_eval(declared) == namespace["supported_hyperparameters"]()


# infill


def test_the_answer_in_the_gap_is_the_file(examples, task_input):
    """What is put back where the comment stands gives each file's very bytes, and the gap held make_scheduler."""
    found = examples["infill"]
    assert len(found) == len(task_input.files)
    for one in found:
        incomplete = wording.quoted(one.prompt)
        assert "def make_scheduler" not in incomplete
        filled = sections.complete(incomplete, one.completion)
        assert hashlib.sha256(filled.encode()).hexdigest() == one.files[0].sha256 == one.evidence["infilled"]
        assert one.scope is Scope.FILE


# edit


def test_every_edit_gives_the_verified_file(examples):
    """A diff applies to the file in the question and gives the other one; a whole answer is that other one."""
    kinds = set()
    for one in examples["edit"]:
        after, before = one.files
        assert wording.quoted(one.prompt) == before.source
        kinds.add("applies_to" in one.evidence)
        if "applies_to" in one.evidence:
            assert diffs.apply(one.completion, before.source) == after.source
            assert one.evidence == {"applies_to": before.sha256, "patched": after.sha256}
        else:
            assert one.completion == after.source
    assert kinds == {True, False}


def test_both_files_of_an_edit_stand_on_one_side(examples):
    """What is changed and what comes of it have the same network and family, so that no split parts them."""
    for one in examples["edit"]:
        after, before = one.files
        assert after is not before
        assert (after.architecture, after.variant.family) == (before.architecture, before.variant.family)


def test_an_edit_names_the_schedule_that_is_wanted(examples):
    """Title, summary and new defaults of the schedule are asked for, its unit and optimizer where they change."""
    for one in examples["edit"]:
        after, before = (file.variant for file in one.files)
        asked = one.prompt.partition("\n```")[0]
        assert after.title in asked
        assert wording.summary(after)[1:] in asked
        news = [parameter for parameter in after.hyperparameters if parameter not in before.hyperparameters]
        assert all(parameter.name in asked and wording.number(parameter) in asked for parameter in news)
        if wording.advances(after) != wording.advances(before):
            assert wording.advances(after) in asked
        if after.optimizer != before.optimizer:
            assert wording.training(one.files[0]) in asked


def test_other_defaults_alone_are_asked_for_as_such(task_input):
    """Between two schedules that differ in a default alone the question names it, with both of its values."""
    resnet = [file for file in task_input.files if file.architecture.name == "ResNet"]
    pair = replace(task_input, files=[resnet[0], resnet[23]])
    asked = [one.prompt.partition("\n```")[0] for one in edit.examples(pair)]
    assert all("Keep the schedule" in text for text in asked)
    assert "`step_fraction` from 0.5 to 1/3" in asked[0]
    assert "`step_fraction` from 1/3 to 0.5" in asked[1]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not on the PATH")
def test_git_takes_the_diffs(examples, tmp_path):
    """``git apply`` makes the same of a file as we do."""
    for one in [one for one in examples["edit"] if "applies_to" in one.evidence][::20]:
        path = tmp_path / diffs.FILE_NAME
        path.write_text(one.files[1].source)
        subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=one.completion, text=True, check=True)
        assert path.read_text() == one.files[0].source


# explain


@pytest.mark.parametrize("layout", explain.LAYOUTS)
def test_an_explanation_is_complete(layout, task_input):
    """Family, unit, formula, end, reference and each hyperparameter with default and range are in every layout."""
    for file in task_input.files:
        family, variant = task_input.catalogue.family(file.variant.family), file.variant
        text = layout(file, family)
        for said in (family.title, wording.summary(variant), variant.formula, wording.advances(variant)):
            assert said in text
        for said in (wording.past_end(variant), variant.source, variant.paper, *wording.hyperparameters(variant)):
            assert said in text
        assert variant.title.casefold() in text.casefold()


def test_schedules_alone_are_explained_a_few_times_each(examples, task_input):
    """A question about a schedule alone shows no network, does not depend on one, and says what its unit is."""
    alone = [one for one in examples["explain"] if one.scope is Scope.SCHEDULE]
    answers = {(one.files[0].variant.number, one.completion) for one in alone}
    assert len(answers) == len(alone) == explain.PER_SCHEDULE * len(task_input.catalogue.variants)
    for one in alone:
        assert "class Net" not in one.prompt
        assert wording.advances(one.files[0].variant) in one.prompt
    whole = [one for one in examples["explain"] if one.scope is Scope.FILE]
    assert [one.files[0] for one in whole] == list(task_input.files)
    assert all(wording.quoted(one.prompt) == one.files[0].source for one in whole)


# convert


def test_conversions_are_between_equivalents_in_both_directions(examples, task_input):
    """Every ordered pair of equivalents is there, for each network that has both, and once as a schedule alone."""
    root = {one.number: one.equivalent_to or one.number for one in task_input.catalogue.variants}
    numbers = [(a, b) for a, b in itertools.permutations(sorted(root), 2) if root[a] == root[b]]
    found = examples["convert"]
    alone = [one for one in found if one.scope is Scope.SCHEDULE]
    assert sorted((one.files[1].variant.number, one.files[0].variant.number) for one in alone) == numbers
    whole = {
        (one.files[0].architecture.name, one.files[1].variant.number, one.files[0].variant.number) for one in found
    }
    assert {("AlexNet", 3, 19), ("AlexNet", 19, 3), ("AlexNet", 37, 38), ("SqueezeNet", 38, 37)} <= whole


def test_a_conversion_shows_one_file_and_answers_with_the_other(examples):
    """Question and answer are the two verified texts, whole or the schedule alone, and they differ."""
    for one in examples["convert"]:
        after, before = one.files
        given, wanted = (
            file.source if one.scope is Scope.FILE else sections.parse(file.source).standalone
            for file in (before, after)
        )
        assert (wording.quoted(one.prompt), one.completion) == (given, wanted)
        assert given != wanted


def test_traces_are_evidence_before_curves(task_input):
    """Equal traces prove a conversion; without them the curves do, and curves that differ refuse it."""
    plain, closed, other = (task_input.files[number - 1] for number in (6, 23, 7))
    seen = [replace(file, trace="0123456789abcdef") for file in (plain, closed)]
    assert convert.compared(*seen) == {"same_trace": "0123456789abcdef"}
    assert convert.compared(plain, closed)["same_curve_within"] == 1e-9
    with pytest.raises(DatasetError, match="differ by"):
        convert.compared(plain, other)


# prompts


@pytest.mark.parametrize("pattern", prompts.PATTERNS, ids=range(1, len(prompts.PATTERNS) + 1))
def test_what_was_put_into_a_text_is_what_is_read_in_it(pattern, task_input):
    """Construction and lrgen's own functions agree on the model and the rate of every pattern."""
    names = [one.name for one in task_input.catalogue.architectures]
    for seed in range(20):
        text, model, rate = prompts.written(pattern, names, random.Random(seed))
        assert detect_model(text, prompts.SETTINGS) == model, text
        assert extract_lr(text, prompts.SETTINGS) == rate, text


def test_a_prompt_is_answered_by_two_keys(examples):
    """The answer is a JSON object with a known model, or none, and a rate within the range; all cases occur."""
    answers = [json.loads(one.completion) for one in examples["prompts"]]
    assert len(prompts.PATTERNS) >= 30
    assert len(answers) > 0.95 * prompts.PER_PATTERN * len(prompts.PATTERNS)
    low, high = prompts.SETTINGS.prompt.lr_extraction.lr_range
    for answer in answers:
        assert answer.keys() == {"model", "learning_rate"}
        assert low <= answer["learning_rate"] <= high
    assert {answer["model"] is None for answer in answers} == {True, False}
    assert all(one.scope is Scope.NONE and not one.files for one in examples["prompts"])


def test_a_text_that_is_read_differently_is_not_published(task_input, monkeypatch):
    """An answer that lrgen's own functions would not give ends the build with the text."""
    monkeypatch.setattr(prompts, "PATTERNS", (prompts.Pattern("{active} and {other}, lr={lr}"),))
    with pytest.raises(DatasetError, match="^pattern 1 of task prompts: expected .*, extraction returns "):
        next(prompts.examples(task_input))

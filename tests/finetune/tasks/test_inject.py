"""Task inject: a schedule in a stranger's script, and nothing else changed."""

import dataclasses

import pytest

from lrgen.errors import CorpusError, DatasetError
from lrgen.finetune import diversity, grading
from lrgen.finetune.example import Example, Reference, TaskInput
from lrgen.finetune.grading import Submission
from lrgen.finetune.instructions import code_reports
from lrgen.finetune.rows import Rows, Split
from lrgen.finetune.tasks import inject
from lrgen.source import diffs
from lrgen.verify.engines import local
from tests import corpus

COUNT = 60


@pytest.fixture(scope="module")
def task_input(catalogue) -> TaskInput:
    """The first compositions of a stream."""
    return TaskInput(catalogue, (), 0, compositions=corpus.realised(range(COUNT)))


@pytest.fixture(scope="module")
def examples(task_input) -> list[Example]:
    """All examples."""
    return list(inject.examples(task_input))


def row_of(example: Example):
    return Rows(seed=0).of(example, Split.TRAIN, "group")


def changed(example: Example) -> str:
    return diffs.patched(example.completion, code_reports.code_of(example.prompt))


def test_a_part_of_the_compositions_has_a_script(examples):
    """Some scripts have a schedule to be replaced; some answers are diffs, others whole scripts."""
    assert len(examples) > COUNT / 4
    assert len({example.completion.startswith("--- ") for example in examples}) == 2
    assert len({bool(example.evidence["changed"]) for example in examples}) == 2


def test_only_lines_of_an_old_schedule_go(examples):
    """The lines of a script that its answer does not have are those of a schedule."""
    for example in examples:
        old, new = code_reports.code_of(example.prompt).splitlines(), changed(example).splitlines()
        gone = [old[number - 1] for number in example.evidence["changed"]]
        assert all(line in new for line in old if line not in gone)
        for line in gone:
            assert any(
                word in line for word in ("sched", "lr", "optimizer", "import", "rate", "group", "opt", "base", ")")
            )


def test_an_answer_is_graded_by_learning_rates_and_by_what_it_keeps(examples, catalogue):
    """The own answer passes; the script as it was, one without a line, and a broken diff do not."""
    diff, whole = (
        next(example for example in examples if example.completion.startswith("--- ") is is_diff)
        for is_diff in (True, False)
    )
    rows = [row_of(diff), row_of(whole)]
    script = whole.completion
    without = script.replace("loss.backward()", "loss.sum().backward()")
    shorter = "".join(line for line in script.splitlines(keepends=True) if "print(" not in line)
    commented = script.replace("loss.backward()\n", "loss.backward()  # gradients\n")
    assert len({script, without, shorter, commented}) == 4
    submissions = [
        Submission(rows[0], diff.completion),
        Submission(rows[0], changed(diff)),
        Submission(rows[1], script),
        Submission(rows[1], code_reports.code_of(whole.prompt)),
        Submission(rows[1], without),
        Submission(rows[1], shorter),
        Submission(rows[0], "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-no such line\n+other\n"),
        Submission(rows[1], ""),
    ]
    grades = grading.grade_all(
        submissions, Reference(catalogue), lambda candidates: local.run(candidates, grading.SETTINGS, None, workers=2)
    )
    assert [grade.passed for grade in grades] == [True] * 3 + [False] * 5
    assert "must keep its line" in grades[4].reason
    assert grades[4].fraction == 0.5


def test_a_prompt_without_a_script_is_refused(examples):
    """A row whose prompt has no code is no script to be patched."""
    row = row_of(examples[0]) | {"prompt": "none"}
    with pytest.raises(DatasetError, match="no script"):
        inject.assemble(row, "--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b\n", None)


def test_a_script_that_does_not_follow_its_schedule_is_refused(task_input, monkeypatch):
    """A wrong line in a script stops the build."""
    monkeypatch.setattr(inject.wiring, "wired", lambda *_: inject.hooks.NONE)
    with pytest.raises(CorpusError, match="another learning rate"):
        list(inject.examples(task_input))


def test_examples_do_not_depend_on_other_compositions(task_input, examples):
    """A chunk of some compositions has the examples that they have among all."""
    chunk = dataclasses.replace(task_input, compositions=task_input.compositions[5:20])
    numbers = {realised.number for realised in chunk.compositions}
    assert list(inject.examples(chunk)) == [each for each in examples if each.composition.number in numbers]


def test_the_requests_differ(examples):
    """Names and numbers apart, no two requests are alike."""
    measured = diversity.measure(example.prompt for example in examples)
    assert measured.openers > len(examples) / 2
    assert measured.instructions == len(examples)

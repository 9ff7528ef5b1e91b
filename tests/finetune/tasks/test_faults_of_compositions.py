"""Tasks about faulty code of compositions: repair over several turns, critique, prefer and feedback."""

import json

import pytest

from lrgen.finetune import grading
from lrgen.finetune.example import EXTRACTED, Example, Reference, TaskInput
from lrgen.finetune.grading import Submission
from lrgen.finetune.instructions import code_reports
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.rows import Rows, Split
from lrgen.finetune.shards import examples_of
from lrgen.finetune.tasks import critique, feedback, judge, prefer, repair
from lrgen.source import diffs
from lrgen.verify.engines import local
from tests import corpus

COUNT = 40


@pytest.fixture(scope="module")
def task_input(catalogue) -> TaskInput:
    """The first compositions of a stream."""
    return TaskInput(catalogue, (), 0, compositions=corpus.realised(range(COUNT)))


@pytest.fixture(scope="module")
def examples(task_input, tmp_path_factory) -> dict[str, list[Example]]:
    """The examples of each task."""
    context = RunContext(tmp_path_factory.mktemp("cache"))
    tasks = (repair, critique, prefer, feedback)
    return {task.NAME: list(examples_of(task, task_input, context)) for task in tasks}


def row_of(example: Example):
    return Rows(seed=0).of(example, Split.TRAIN, "group")


def graded(example: Example, completion: str):
    return critique.grade(row_of(example), completion, None, None)


def faulty_text(example: Example) -> str:
    return example.history[-1][1] if example.history else code_reports.code_of(example.prompt)


# Repair.


def test_a_repair_answers_an_earlier_answer_or_a_report(examples):
    """Some reports are one question, others follow one answer or two; only a single question is answered by a diff."""
    turns = [len(example.history) for example in examples["repair"]]
    assert set(turns) == {0, 1, 2}
    for example in examples["repair"]:
        if example.completion.startswith("--- "):
            assert not example.history
            corrected = diffs.patched(example.completion, faulty_text(example))
        else:
            corrected = example.completion
        assert corrected != faulty_text(example)
        assert "```" in example.prompt or example.history


def test_what_came_of_a_run_is_in_the_prompt(examples):
    """The prompt has the traceback or a log with several steps."""
    for example in examples["repair"]:
        logged = "```text" in example.prompt
        assert logged or "learning rate changes within" in example.prompt, example.prompt


def test_a_repair_is_graded_by_its_learning_rates(examples, catalogue):
    """The own answer passes; the faulty code, the code of another composition and a broken diff do not."""
    chosen = [next(e for e in examples["repair"] if wanted(e)) for wanted in (_is_diff, _is_whole, _has_turns)]
    rows = [row_of(example) for example in chosen]
    submissions = [Submission(row, row["completion"]) for row in rows]
    wrong = [Submission(row, faulty_text(example)) for row, example in zip(rows, chosen, strict=True)]
    wrong += [Submission(rows[0], "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-no such line\n+other\n"), Submission(rows[1], "")]
    grades = grading.grade_all(
        [*submissions, *wrong],
        Reference(catalogue),
        lambda candidates: local.run(candidates, grading.SETTINGS, None, workers=2),
    )
    assert [grade.passed for grade in grades] == [True] * 3 + [False] * 5


def _is_diff(example: Example) -> bool:
    return example.completion.startswith("--- ")


def _is_whole(example: Example) -> bool:
    return not _is_diff(example) and not example.history


def _has_turns(example: Example) -> bool:
    return bool(example.history)


# Critique.


def test_half_of_the_criticised_code_is_correct(examples):
    """A verdict is the first word of an answer, or the first key of its JSON; some code has two faults."""
    verdicts = []
    for example in examples["critique"]:
        text = example.completion
        verdict = json.loads(text)["verdict"] if text.startswith("{") else text.splitlines()[0]
        assert (verdict == "incorrect") == ("failed" in example.evidence)
        verdicts.append(verdict)
    assert 0.25 < verdicts.count("correct") / len(verdicts) < 0.75
    assert {len(example.evidence.get("lines", ())) for example in examples["critique"]} == {0, 1, 2}


def test_the_lines_of_a_critique_stand_in_the_code(examples):
    """Each line that is named is quoted as it stands there, and is a line of its fault."""
    for example in examples["critique"]:
        text = code_reports.code_of(example.prompt)
        for number, lines in zip(
            judge.named_lines(example.completion, text), example.evidence.get("lines", ()), strict=True
        ):
            assert number in lines
            if not example.completion.startswith("{"):
                assert f"line {number}: `{text.splitlines()[number - 1].strip()}`" in example.completion


def test_a_critique_is_graded_by_verdict_and_lines(examples):
    """Half of the grade is for the verdict, the other half for the lines of all faults; a guess of many is none."""
    two = next(example for example in examples["critique"] if len(example.evidence.get("lines", ())) == 2)
    first, second = (lines[0] for lines in two.evidence["lines"])
    other = next(n for n in range(1, 99) if all(n not in lines for lines in two.evidence["lines"]))
    assert graded(two, two.completion).passed
    assert graded(two, f"incorrect\nline {second}\nline {first}").passed
    assert graded(two, json.dumps({"verdict": "incorrect", "faults": [{"line": first}, {"line": second}]})).passed
    for completion, fraction in (
        (f"incorrect\nline {first}", 0.75),
        (f"incorrect\nline {first}\nline {other}\nline {second}", 0.75),
        (f"incorrect\nline {other}", 0.5),
        ("incorrect", 0.5),
        ("correct", 0.0),
        ('{"verdict": "correct"}', 0.0),
        ("{", 0.0),
        ('{"verdict": 1}', 0.0),
        ("", 0.0),
    ):
        grade = graded(two, completion)
        assert (grade.passed, grade.fraction) == (False, fraction), completion
        assert grade.reason
    right = next(example for example in examples["critique"] if "failed" not in example.evidence)
    assert graded(right, "Correct: each phase is as described.").passed
    assert graded(right, right.completion).check == EXTRACTED
    assert not graded(right, "incorrect\nline 3").passed


# Prefer and feedback.


def test_the_rejected_code_is_a_mutant_of_the_other(examples):
    """Both are called alike, and differ in a few lines."""
    for example in examples["prefer"]:
        assert example.rejected != example.completion
        assert example.evidence["mutation"]
        assert example.interface.entry in example.prompt


def test_labels_say_whether_the_code_was_right(examples, catalogue):
    """About half of the labels are true; code labelled false fails the checks, the other passes."""
    labels = [example.label for example in examples["feedback"]]
    assert 0.25 < sum(labels) / len(labels) < 0.75
    chosen = [next(e for e in examples["feedback"] if e.label is label) for label in (True, False)]
    rows = [row_of(example) for example in chosen]
    grades = grading.grade_all(
        [Submission(row, answer) for row in rows for answer in ("correct", "incorrect")],
        Reference(catalogue),
        lambda candidates: local.run(candidates, grading.SETTINGS, None, workers=2),
    )
    assert [grade.passed for grade in grades] == [True, False, False, True]

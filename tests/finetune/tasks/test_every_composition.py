"""The contract of the tasks that have examples of compositions."""

import dataclasses
import itertools
import re

import pytest

from lrgen.finetune import diversity, grading
from lrgen.finetune.example import Example, Grade, Reference, Scope, TaskInput
from lrgen.finetune.grading import Submission
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.rows import Rows, Split
from lrgen.finetune.shards import examples_of
from lrgen.finetune.tasks import (
    convert,
    critique,
    edit,
    explain,
    feedback,
    infill,
    inject,
    prefer,
    repair,
    schedule,
    trace,
    worked,
)
from lrgen.records import Policy
from lrgen.score.scorer import answer_of_row
from lrgen.verify.engines import local
from lrgen.verify.static.rules import reason_for
from tests import corpus

TASKS = (schedule, explain, edit, trace, worked, convert, infill, repair, critique, prefer, feedback, inject)
OF_VERDICTS = (critique, feedback)
"""Tasks with answers that are right for many examples."""
COUNT = 24  # compositions
MOST, SHORT = 0.8, 0.2  # of the compositions have an example: of the others there is nothing to ask for
ENOUGH = 220  # examples of a task to measure
GRADED = 5  # examples of each task

every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.NAME)


@pytest.fixture(scope="module")
def task_input(catalogue) -> TaskInput:
    """The first compositions of a stream."""
    return TaskInput(catalogue, (), 0, compositions=corpus.realised(range(COUNT)))


@pytest.fixture(scope="module")
def examples_by(tmp_path_factory):
    """Return the examples of a task."""
    context = RunContext(tmp_path_factory.mktemp("cache"))
    return lambda task, task_input: list(examples_of(task, task_input, context))


@pytest.fixture(scope="module")
def examples(task_input, examples_by) -> dict[str, list[Example]]:
    """All examples by task."""
    return {task.NAME: examples_by(task, task_input) for task in TASKS}


@every_task
def test_the_seed_determines_the_examples(task, task_input, examples, examples_by):
    """Equal compositions and seeds give equal examples, another seed gives others."""
    assert examples_by(task, task_input) == examples[task.NAME]
    assert examples_by(task, dataclasses.replace(task_input, seed=1)) != examples[task.NAME]


@every_task
def test_examples_of_a_composition_do_not_depend_on_others(task, task_input, examples, examples_by):
    """A chunk of some compositions has the examples that they have among all."""
    chunk = dataclasses.replace(task_input, compositions=task_input.compositions[3:6])
    numbers = {realised.number for realised in chunk.compositions}
    expected = [example for example in examples[task.NAME] if example.composition.number in numbers]
    assert examples_by(task, chunk) == expected


@every_task
def test_examples_are_distinct_and_complete(task, examples):
    """Keys are unique; each example has its composition, the evidence of its task and an answer without a gap."""
    of_task = examples[task.NAME]
    assert len(of_task) >= (SHORT if task is inject else MOST) * COUNT  # a script is run for some steps only
    assert len({example.key for example in of_task}) == len(of_task)
    assert len({(example.prompt, example.completion) for example in of_task}) == len(of_task)
    for example in of_task:
        assert example.task == task.NAME
        assert example.composition is not None
        assert example.evidence.keys() & set(task.EVIDENCE)
        assert example.completion == example.completion.lstrip()
        assert not re.search(r"\0|  +$|\n{4}", example.prompt, re.MULTILINE)


@every_task
def test_code_is_called_as_its_row_says(task, examples):
    """An example whose answer is code has the interface; its entry is in the prompt."""
    for example in examples[task.NAME]:
        if example.interface is not None:
            assert example.scope is Scope.SCHEDULE
            asked = "\n".join([*itertools.chain(*example.history), example.prompt])
            assert re.search(rf"\b{example.interface.entry}\b", asked)


@every_task
def test_own_completions_pass_as_they_are_extracted(task, catalogue, examples):
    """The answer that is found in an own completion is correct, or is code that the strict policy accepts."""
    reference = Reference(catalogue)
    for example in examples[task.NAME]:
        row = Rows(0).of(example, Split.TEST, "group")
        answer = answer_of_row(row, grading.gold(row))
        made = grading.assembled(Submission(row, answer.text), reference)
        if isinstance(made, Grade):
            assert made.passed, (made.reason, answer.text)
        else:
            assert reason_for(made.source, Policy.STRICT) == ""


@pytest.mark.parametrize(  # test_instructions.py measures the others in the fast tests
    "task",
    [pytest.param(t, marks=[] if t in (schedule, worked, inject, critique) else [pytest.mark.slow]) for t in TASKS],
    ids=lambda task: task.NAME,
)
def test_instructions_are_diverse(task, catalogue, examples_by):
    """Some hundred examples have at least 40 openers and 200 instructions, names and numbers apart."""
    prompts: list[str] = []
    for seed in range(4):
        task_input = TaskInput(catalogue, (), seed, compositions=corpus.realised(range(240)))
        prompts += [example.prompt for example in examples_by(task, task_input)]
        if len(prompts) >= ENOUGH:
            break
    measured = diversity.measure(prompts)
    assert measured.openers >= 40
    assert measured.instructions >= 200


@every_task
def test_the_own_completion_is_correct_and_that_of_another_composition_is_not(task, catalogue, examples):
    """Grades of an example's completion, of another example's completion, and of nonsense."""
    reference = Reference(catalogue)
    chosen = examples[task.NAME][:: len(examples[task.NAME]) // GRADED][:GRADED]
    rows = [Rows(seed=0).of(example, Split.TRAIN, "group") for example in chosen]
    own = [Submission(row, grading.gold(row)) for row in rows]
    others = [
        Submission(row, other["completion"])
        for row, other in zip(rows, [*rows[1:], rows[0]], strict=True)
        if row["variant"] != other["variant"] and task not in OF_VERDICTS
    ]
    nonsense = [Submission(rows[0], text) for text in ("", "pass\n", "{", "\ud800", "0.1")]
    grades = grading.grade_all(
        [*own, *others, *nonsense],
        reference,
        lambda candidates: local.run(candidates, grading.SETTINGS, None, workers=2),
    )
    assert all(grade.passed for grade in grades[: len(own)]), [grade.reason for grade in grades[: len(own)]]
    assert not any(grade.passed for grade in grades[len(own) :])

"""Tasks judge and feedback: verdicts on files, with the line of the fault."""

import json
import random
import re
from dataclasses import replace

import pytest

from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue
from lrgen.finetune import faults, mutants, mutations
from lrgen.finetune.example import EXTRACTED, SYSTEM, Example, Grade, Reference, TaskInput
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.rows import Rows, Split
from lrgen.finetune.tasks import feedback, judge
from lrgen.records import Stage
from lrgen.store import Store
from tests import corpus
from tests.paths import TINY

NUMBERS = (1, 31, 37, 172)


@pytest.fixture(scope="module")
def tiny() -> Catalogue:
    return catalogues.load([TINY])


@pytest.fixture(scope="module")
def task_input(tiny) -> TaskInput:
    return corpus.task_input(tiny, NUMBERS, "Tiny")


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> RunContext:
    return RunContext(tmp_path_factory.mktemp("cache"), workers=2, mutations=2)


@pytest.fixture(scope="module")
def judgements(task_input, context) -> list[Example]:
    return list(judge.examples(task_input, context))


def graded(example: Example, completion: str) -> Grade:
    row = Rows(0).of(example, Split.TEST, "group")
    return judge.grade(row, completion, Reference(None), None)  # type: ignore[arg-type]


# Judge.


def test_half_of_the_judged_files_are_correct(judgements):
    """A mutant is incorrect, its file is correct; both questions hold the file that they are about."""
    assert len(judgements) >= 2 * len(NUMBERS)
    for bad, good in zip(judgements[::2], judgements[1::2], strict=True):
        assert bad.files == good.files
        assert judge.judged(good.prompt) == good.files[0].source != judge.judged(bad.prompt)
        assert (good.completion, bad.completion.splitlines()[0]) == ("correct", "incorrect")
        assert bad.evidence["failed"] in set(Stage)
        assert good.label is bad.label is good.rejected is bad.rejected is None
        assert good.system != SYSTEM


def test_the_line_of_a_judgement_stands_in_the_file(judgements):
    """The second line of the answer quotes the line of the file that it numbers; the third one is the reason."""
    for example in judgements[::2]:
        _, line, reason = example.completion.splitlines()
        number, code = line.removeprefix("line ").split(": ", 1)
        assert judge.judged(example.prompt).splitlines()[int(number) - 1].strip() == code.strip("`")
        assert int(number) == example.evidence["lines"][0]
        assert reason.endswith(".")


def test_a_judgement_is_graded_by_verdict_and_line(judgements):
    """The verdict and any line of the fault pass; a right verdict with another line is half of the answer."""
    bad, good = judgements[:2]
    lines = bad.evidence["lines"]
    code = judge.judged(bad.prompt).splitlines()[lines[0] - 1].strip()
    other = next(number for number in range(1, 99) if number not in lines)
    for completion in (
        *(f"incorrect\nline {line}" for line in lines),
        f"Incorrect: `{code}` is wrong.",
        bad.completion,
    ):
        assert graded(bad, completion).passed, completion
    for completion in (f"incorrect\nline {other}: `x`", "incorrect", f"incorrect, line {other} or line {lines[0]}"):
        grade = graded(bad, completion)
        assert (grade.passed, grade.fraction, grade.check) == (False, 0.5, EXTRACTED)
    assert graded(bad, "correct").fraction == graded(good, "incorrect\nline 3").fraction == 0
    assert graded(bad, "line 3").check == ""
    assert graded(good, "Correct, nothing is wrong with line 3.").passed


def test_the_line_of_every_kind_of_fault_is_near_its_change(catalogue):
    """For each mutation the first line is one that changed, or one beside or using a line that is missing."""
    files = [corpus.verified(catalogue, number) for number in (1, 6, 13, 21, 31, 37, 159, 163, 172)]
    files.append(corpus.verified(catalogue, 1, "ResNet34"))
    seen = set()
    for file in files:
        for mutation, texts in mutations.mutate(file.source).items():
            lines = faults.lines(file, texts[0])
            written = texts[0].splitlines()
            assert lines, mutation
            assert all(written[number - 1].strip() for number in lines), mutation
            changed = set(written) - set(file.source.splitlines())
            assert not any(line.strip() for line in changed) or written[lines[0] - 1] in changed or "step" in mutation
            seen.add(mutation)
    assert len(seen) > 50


def test_a_missing_import_may_be_named_where_it_is_used(catalogue):
    """The lines of a missing import are those around it, and those that use the name."""
    file = corpus.verified(catalogue, 37)
    text = file.source.replace("import math\n", "")
    used = {number for number, line in enumerate(text.splitlines(), start=1) if "math." in line}
    assert used
    assert used < set(faults.lines(file, text))


def test_every_mutation_has_a_reason(catalogue):
    """Each mutation has a reason, whose alternatives are sentences without an empty bracket."""
    assert faults.REASONS.keys() == dict(mutations.MUTATIONS).keys()
    file = corpus.verified(catalogue, 37)
    for mutation in faults.REASONS:
        for seed in range(5):
            text = faults.reason(file, file.source, mutation, random.Random(seed))
            assert text[0].isupper() or text[0] == "`", text
            assert text.endswith("."), text
            assert not set(text) & set("{}|"), text


@pytest.mark.parametrize("mutation", [name for name, reason in faults.REASONS.items() if "{name}" in reason])
def test_a_reason_names_the_hyperparameter_at_fault(catalogue, mutation):
    """It is the one that the changed line reads in the correct file, also where a line reads several."""
    named = set()
    for file in (corpus.verified(catalogue, number) for number in (31, 37, 165, 214, 220, 224, 228)):
        for text in mutations.mutate(file.source).get(mutation, ()):
            line = faults.lines(file, text)[0]
            reason = faults.reason(file, text, mutation, random.Random(4))
            (name,) = re.findall(r"`(\w+)`", reason.partition(" is ")[0])
            assert name in file.source.splitlines()[line - 1]
            named.add(name)
    assert named


# Feedback.


def test_half_of_the_labels_are_true(task_input, context):
    """A file and its mutant have the same prompt, the file labelled true and the mutant false."""
    examples = list(feedback.examples(task_input, context))
    assert len(examples) >= 2 * len(NUMBERS)
    for good, bad in zip(examples[::2], examples[1::2], strict=True):
        assert (good.label, bad.label) == (True, False)
        assert good.prompt == bad.prompt
        assert good.completion == good.files[0].source != bad.completion
        assert bad.evidence["reason"]
        assert good.rejected is bad.rejected is None
    assert len({example.key for example in examples}) == len(examples)


# The deal.


def test_no_mutation_of_a_file_is_used_by_two_tasks(catalogue):
    """The mutations of a file are dealt to the tasks: each mutation to one, and several to each."""
    task_input = corpus.task_input(catalogue, NUMBERS)
    for file in task_input.files:
        possible = mutations.mutate(file.source)
        hands = [mutants.dealt(task, task_input, file, possible) for task in mutants.TASKS]
        assert sorted(name for hand in hands for name in hand) == sorted(possible)
        assert min(map(len, hands)) >= 5


def test_the_tasks_run_other_mutants(task_input, context, monkeypatch):
    """No text is run for two tasks, though some mutants have two faults and others are second ones of a mutation."""
    texts: dict[str, set[str]] = {}
    monkeypatch.setattr(Store, "reusable", lambda *_: {})

    def noted(batch, known, workers):
        texts.setdefault(task, set()).update(mutant.text for mutant in batch)
        faulty.update(mutant.mutation for mutant in batch)
        return []

    faulty: set[str] = set()
    monkeypatch.setattr(mutants, "outcomes_of", noted)
    many = replace(context, mutations=30)
    for task in mutants.TASKS:
        with pytest.raises(ValueError, match="zip"):
            list(mutants.failures(task, task_input, many, two_faults=task in ("prefer", "feedback")))
    assert sum(map(len, texts.values())) == len(set().union(*texts.values()))
    assert any(", " in mutation for mutation in faulty)


def test_the_evidence_of_a_mutant_names_its_mutations(task_input, context):
    """Two faults are both in the evidence, and in each task the number of mutants is that of the context."""
    many = replace(context, mutations=3)
    examples = list(feedback.examples(task_input, many))
    named = [json.loads(json.dumps(example.evidence))["mutation"] for example in examples if example.label is False]
    assert all(name in dict(mutations.MUTATIONS) for mutation in named for name in mutation.split(", "))
    assert any(", " in mutation for mutation in named)

"""The contract of every task: its examples, and which completions it grades as correct."""

import ast
import dataclasses
import inspect
import itertools
import json
import re
from collections.abc import Callable, Iterator

import black
import pytest

from lrgen import catalogue as catalogues
from lrgen.catalogue import Catalogue
from lrgen.finetune import grading, mutations, wording
from lrgen.finetune.example import Example, Grade, Reference, Row, Scope, TaskInput
from lrgen.finetune.grading import Submission
from lrgen.finetune.instructions.repair import faulty_file
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.rows import Rows, Split
from lrgen.finetune.shards import examples_of
from lrgen.finetune.tasks import TASKS, trace
from lrgen.records import Policy
from lrgen.source import diffs, sections
from lrgen.verify.engines import local
from lrgen.verify.static.rules import reason_for
from tests import corpus
from tests.paths import TINY

# Two pairs of equivalents, a relative of each within its family, a metric-driven schedule.
NUMBERS = (1, 2, 6, 23, 31, 37, 38)
ROWS = 4  # of each task whose completions are graded
CHANGED = 3  # of these rows, whose completions are reworded and broken
OTHERS = 4  # completions of other rows, of each task
BEHAVIOURAL = ("write", "infill", "edit", "repair", "trace", "convert", "prefer", "feedback", "judge", "prompts")
# Mutations that change what every file does. Others may survive, as zeroed gradients of a first step do.
DETECTED = (
    "never stepped",
    "stepped without its metric",
    "hard-coded learning rate",
    "hard-coded horizon",
    "hard-coded number of classes",
    "missing import",
    "missing colon",
    "list instead of set",
    "hyperparameter not read",
    "wrong default",
)
NONSENSE = (
    "",
    "\n",
    "pass\n",
    "import os\n",
    "{",
    "null",
    "[]",
    "--- a\n+++ b\n",
    "@@ -1 +1 @@\n",
    "\ud800",
    "0: nan\n",
)

OF_COMPOSITIONS = ("schedule", "worked", "inject", "critique")
"""Tasks without examples of files (test_every_composition.py)."""
OF_FILES = [task for task in TASKS if task.NAME not in OF_COMPOSITIONS]

every_task = pytest.mark.parametrize("task", OF_FILES, ids=lambda task: task.NAME)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The shipped catalogue with a network that trains in no time."""
    return catalogues.load([TINY])


@pytest.fixture(scope="module")
def task_input(catalogue) -> TaskInput:
    """The files of the tiny network with ``NUMBERS``."""
    return corpus.task_input(catalogue, NUMBERS, "Tiny")


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> RunContext:
    """A context with a cache of its own."""
    return RunContext(tmp_path_factory.mktemp("cache"), workers=2, mutations=2, traces=4)


@pytest.fixture(scope="module")
def examples(task_input, context) -> dict[str, list[Example]]:
    """All examples by task."""
    return {task.NAME: list(examples_of(task, task_input, context)) for task in OF_FILES}


@pytest.fixture(scope="module")
def rows(examples) -> dict[str, list[Row]]:
    """Some rows of each task, spread over its examples."""
    maker = Rows(seed=0)
    chosen = {name: of_task[:: max(1, len(of_task) // ROWS)][: ROWS + 1] for name, of_task in examples.items()}
    return {
        name: [maker.of(example, Split.TRAIN, "group") for example in examples] for name, examples in chosen.items()
    }


# Examples.


@every_task
def test_examples_are_made_on_demand(task, task_input, context, examples):
    """A task is a generator of examples that bear its name, and has a summary."""
    assert inspect.isgenerator(examples_of(task, task_input, context))
    assert {example.task for example in examples[task.NAME]} == {task.NAME}
    assert task.SUMMARY


@pytest.mark.parametrize("task", [task for task in OF_FILES if task.NAME != "trace"], ids=lambda task: task.NAME)
def test_the_seed_determines_the_examples(task, task_input, context, examples):
    """Equal files and seeds give equal examples, another seed gives others (trace: see test_trace.py)."""
    expected = examples[task.NAME]
    assert list(examples_of(task, task_input, context)) == expected
    assert list(examples_of(task, dataclasses.replace(task_input, seed=1), context)) != expected


@every_task
def test_examples_are_distinct(task, examples):
    """No two examples of a task have the same key, or the same texts and label."""
    of_task = examples[task.NAME]
    assert len(of_task) >= 2
    assert len({example.key for example in of_task}) == len(of_task)
    assert len({(example.prompt, example.completion, example.rejected) for example in of_task}) == len(of_task)


@every_task
def test_no_answer_begins_with_white_space(task, examples):
    """A line break at the beginning would become one token with that of a chat template, and be lost to the loss."""
    for example in examples[task.NAME]:
        for answer in filter(None, (example.completion, example.rejected)):
            assert not answer[:1].isspace(), example.key


@every_task
def test_evidence_has_a_key_of_the_task(task, examples):
    """The evidence of each example says how its completion was verified."""
    assert all(example.evidence.keys() & set(task.EVIDENCE) for example in examples[task.NAME])


@pytest.mark.parametrize("task", [task for task in TASKS if hasattr(task, "NEEDS_CONTEXT")], ids=lambda task: task.NAME)
def test_examples_of_executed_code_name_no_number(task, examples):
    """Reasons and texts of tasks that execute code contain no number of the catalogue (others: test_wording.py)."""
    for example in examples[task.NAME]:
        assert not re.search(r"A0[_-]\d{3}", example.prompt + example.completion), example.key


# Completions.


def file_of(task, row: Row, reference: Reference) -> str | None:
    """Return the file of a row's own completion; None for tasks that execute no file."""
    return None if task.NAME == "feedback" else task.assemble(row, grading.gold(row), reference)


@every_task
def test_the_file_of_every_own_answer_passes_the_strict_policy(task, rows, catalogue):
    """The strict policy accepts the file that a row's own completion makes."""
    for row in rows[task.NAME]:
        text = file_of(task, row, Reference(catalogue))
        assert text is None or reason_for(text, Policy.STRICT) == "", row["id"]


def completion_for(row: Row, text: str) -> str:
    """Return the completion of a row that makes a given file."""
    if row["completion"].startswith("--- "):
        quoted = faulty_file if row["task"] == "repair" else wording.quoted
        return diffs.unified(quoted(row["prompt"]), text)
    if row["task"] == "infill":
        return sections.parse(text).middle
    return sections.parse(text).standalone if row["scope"] == Scope.SCHEDULE else text


def mutants_of(task, row: Row, reference: Reference) -> list[str]:
    """Return completions that differ from the row's own in what they do or state."""
    own = grading.gold(row)
    text = file_of(task, row, reference)
    if text is None:
        return MUTANTS[task.NAME](own)
    mutated = [(name, texts[0]) for name, texts in mutations.mutate(text).items() if name in DETECTED]
    if task.NAME == "infill" or row["scope"] == Scope.SCHEDULE:
        around = sections.parse(text)
        mutated = [
            (name, mutant)
            for name, mutant in mutated
            if mutant.startswith(around.prefix) and mutant.endswith(around.suffix) and name != "missing colon"
        ]
    unchanged = [wording.quoted(row["prompt"])] if task.NAME == "convert" else []  # its own API is no conversion
    return unchanged + [completion_for(row, mutant) for _, mutant in mutated[:2]]


def _wrong_json(own: str) -> list[str]:
    answer = json.loads(own)
    return [
        json.dumps(answer | {"model": "NoSuchNet"}),
        json.dumps(answer | {"learning_rate": 0.123}),
        json.dumps(answer | {"momentum": 0.9}),
        json.dumps({"model": answer["model"]}),
        f"The answer is {own}",
    ]


def _wrong_rates(own: str) -> list[str]:
    *others, (step, rate) = trace.stated(own)
    first = trace.stated(own)[0][0]
    wrong = [others, [*others, (step, rate), (step + 1, rate)], [*others, (step, 0.0123)], [*others, (first, rate)]]
    return ["".join(f"{step}: {rate}\n" for step, rate in rates) for rates in wrong]


def _wrong_facts(own: str) -> list[str]:
    swapped = own.replace("remains", "CONTINUES").replace("continues", "remains").replace("CONTINUES", "continues")
    return [
        swapped,
        re.sub(r"^.*After.*$", "", own, flags=re.MULTILINE),
        re.sub(r"default [\d./]+", "default 0.77", own) if "; default" in own else own[: len(own) // 3],
        re.sub(r"^    .*$", "    0.5 * t", own, flags=re.MULTILINE),
    ]


MUTANTS: dict[str, Callable[[str], list[str]]] = {
    "prompts": _wrong_json,
    "trace": _wrong_rates,
    "explain": _wrong_facts,
    "feedback": lambda own: ["incorrect" if own == "correct" else "correct", "", "I would have to run it."],
    "judge": lambda own: [
        "incorrect\nline 1" if own == "correct" else "correct",
        "I would have to run it.",
        *([] if own == "correct" else ["incorrect", "incorrect\nline 1: `import math`"]),
    ],
}


class _RenameLocals(ast.NodeTransformer):
    """Renames the variables that a function assigns."""

    def visit_FunctionDef(self, function: ast.FunctionDef) -> ast.FunctionDef:
        parameters = {argument.arg for argument in function.args.args}
        nodes = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
        assigned = {node.id for node in nodes if isinstance(node.ctx, ast.Store)} - parameters
        for node in nodes:
            if node.id in assigned:
                node.id += "_value"
        return function


def reworded(text: str) -> Iterator[str]:
    """Yield code that does the same in other words."""
    yield ast.unparse(ast.parse(text)) + "\n"
    yield ast.unparse(_RenameLocals().visit(ast.parse(text))) + "\n"
    narrow = black.format_str(text, mode=black.Mode(line_length=60))
    yield "".join(
        f"{line}  # {number}\n" if line.endswith(")") else f"{line}\n"
        for number, line in enumerate(narrow.splitlines())
    )


def rewordings_of(task, row: Row, reference: Reference) -> list[str]:
    """Return completions that are correct in other words."""
    own = grading.gold(row)
    if task.NAME == "judge":
        verdict, *lines = own.splitlines()
        number = re.search(r"\d+", lines[0])[0] if lines else ""
        return (
            [f"{verdict.capitalize()}.", "Yes."] if not lines else [f"No: the fault is in line {number}.", own.upper()]
        )
    if task.NAME == "feedback":
        return [own.capitalize() + ".", "Yes: it passes." if own == "correct" else "No, it fails."]
    if task.NAME == "prompts":
        return [json.dumps(dict(reversed(json.loads(own).items())), indent=4)]
    if task.NAME == "trace":
        rates = trace.stated(own)
        table = "".join(f"| {step} | {rate:.8e} |\n" for step, rate in rates)
        return ["".join(f"- step {step} = {rate}\n" for step, rate in rates), f"| step | lr |\n|---|---|\n{table}"]
    text = file_of(task, row, reference)
    if task.NAME == "infill":
        return list(reworded(own))
    if row["scope"] == Scope.SCHEDULE:
        return list(reworded(own))
    return [completion_for(row, other) for other in reworded(text)]


def is_correct_elsewhere(own: Row, other: Row, catalogue: Catalogue) -> bool:
    """Return whether the completion of another row may be correct for a row as well."""
    if grading.gold(own) == grading.gold(other):
        return True
    if own["task"] in ("trace", "prompts", "feedback"):
        return False
    if own["task"] == "judge":  # the fault may be in the same line
        lines, others = (set(json.loads(row["evidence"]).get("lines", ())) for row in (own, other))
        return bool(lines & others)
    if own["task"] == "convert":  # the same curve through the API of the prompt is not a conversion
        return own["variant"] == other["variant"]
    variants = [catalogue.variant(row["variant"]) for row in (own, other)]
    return len({variant.equivalent_to or variant.number for variant in variants}) == 1


@pytest.fixture(scope="module")
def graded(rows, catalogue) -> dict[tuple[str, str], list[tuple[Submission, Grade]]]:
    """The graded completions of all tasks by task and claim; each file is executed once."""
    reference = Reference(catalogue)
    claims: dict[tuple[str, str], list[Submission]] = {}
    for task in OF_FILES:
        task_rows = rows[task.NAME]
        for number, row in enumerate(task_rows):
            changed = number < CHANGED
            for claim, completions in (
                ("own", [grading.gold(row)]),
                ("mutant", mutants_of(task, row, reference) if changed else []),
                ("reworded", rewordings_of(task, row, reference) if changed and task.NAME in BEHAVIOURAL else []),
                ("nonsense", NONSENSE if row is task_rows[0] else ()),
            ):
                claims.setdefault((task.NAME, claim), []).extend(Submission(row, text) for text in completions)
        of_others = (
            Submission(row, grading.gold(other))
            for row, other in itertools.permutations(task_rows, 2)
            if not is_correct_elsewhere(row, other, catalogue)
        )
        claims[task.NAME, "other row"] = list(itertools.islice(of_others, OTHERS))
        claims[task.NAME, "rejected"] = [Submission(row, row["rejected"]) for row in task_rows if row["rejected"]]
    submissions = [submission for of_claim in claims.values() for submission in of_claim]
    grades = iter(
        grading.grade_all(
            submissions, reference, lambda candidates: local.run(candidates, grading.SETTINGS, None, workers=2)
        )
    )
    return {claim: [(submission, next(grades)) for submission in of_claim] for claim, of_claim in claims.items()}


def assert_all_below(graded: list[tuple[Submission, Grade]]) -> None:
    """Assert that no completion is graded as correct, and that each grade has a reason."""
    for submission, grade in graded:
        assert not grade.passed, submission.completion
        assert grade.fraction < 1
        assert grade.reason


@every_task
def test_the_own_completion_is_correct(task, graded):
    """The completion of a row is graded 1."""
    assert graded[task.NAME, "own"]
    for submission, grade in graded[task.NAME, "own"]:
        assert grade.passed, (submission.row["variant"], grade)
        assert (grade.fraction, grade.reason) == (1, "")


@every_task
def test_a_mutant_of_the_completion_is_incorrect(task, graded):
    """A completion that does or states something else is graded below 1."""
    assert len(graded[task.NAME, "mutant"]) >= 3
    assert_all_below(graded[task.NAME, "mutant"])


@every_task
def test_the_completion_of_another_row_is_incorrect(task, graded):
    """A completion of another row is graded below 1, unless it is equal or has the same curve."""
    assert graded[task.NAME, "other row"]
    assert_all_below(graded[task.NAME, "other row"])


@pytest.mark.parametrize("name", BEHAVIOURAL)
def test_a_correct_completion_in_other_words_is_correct(name, graded):
    """Renamed variables, another layout and other comments make no difference where behaviour is asked for."""
    assert graded[name, "reworded"]
    for submission, grade in graded[name, "reworded"]:
        assert grade.passed, (grade, submission.completion)
        assert grade.fraction == 1


@every_task
def test_nonsense_is_incorrect(task, graded):
    """No text makes a task raise; nonsense is graded below 1."""
    assert_all_below(graded[task.NAME, "nonsense"])


def test_a_rejected_completion_is_incorrect(graded):
    """The rejected completion of a preference pair is graded below 1."""
    assert graded["prefer", "rejected"]
    assert_all_below(graded["prefer", "rejected"])

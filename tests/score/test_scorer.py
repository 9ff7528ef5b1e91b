"""A completion is graded by the verdict that a rendered file gets."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen.finetune.example import Grade
from lrgen.finetune.tasks import convert
from lrgen.records import Comparison, Outcome, Policy, Stage, Status
from lrgen.score import ladder
from lrgen.verify import run
from lrgen.verify.candidate import candidate_of
from tests import corpus
from tests.paths import CASES, TINY
from tests.score.rows import row_of, rows_of, samples_of, scorer_in

CONSTANT = """\
def make_scheduler(optimizer, total_steps, prm):
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
"""
ENDLESS = """\
def make_scheduler(optimizer, total_steps, prm):
    while True:
        pass
"""


@pytest.fixture(scope="module")
def tiny():
    """The catalogue with a network that costs nothing."""
    return catalogues.load([TINY])


@pytest.fixture(scope="module")
def scorer(tiny, tmp_path_factory):
    return scorer_in(tmp_path_factory.mktemp("cache"), tiny)


# The ladder.


def test_rewards_rise_with_each_check():
    """Each check that is passed is worth more, and only what passes gets 1."""
    grades = [
        Grade(False, "", ""),
        Grade(False, "", "extracted"),
        Grade(False, "", "syntax"),
        Grade(False, "", "contract"),
        Grade(False, "", "contract", 0.5),
        Grade(False, "", "contract", 1.0),
        Grade(False, "", "schedule"),
        Grade(True, "", "schedule", 1.0),
    ]
    rewards = [ladder.reward_of(grade) for grade in grades]
    assert rewards == sorted(set(rewards))
    assert (rewards[0], rewards[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("fraction", [-1.0, 0.0, 0.5, 1.0, 7.0])
def test_an_answer_that_does_not_pass_never_gets_1(fraction):
    """Partial credit is bounded, whatever the fraction and the check."""
    for check in ("", "extracted", *Stage):
        assert 0.0 <= ladder.reward_of(Grade(False, "", check, fraction)) <= 0.95


def test_a_network_that_cannot_be_compared_does_not_pass():
    """Where a network was asked for, one in another factorisation is no proof of it: no pass, and the reward below."""
    outcome = Outcome(candidate_of(Path("a.py"), b""), Status.PASSED, Stage.SCHEDULE, "", 1.0)
    grade = Grade.of_outcome(replace(outcome, architecture=Comparison.NOT_COMPARABLE))
    assert (grade.passed, ladder.reward_of(grade)) == (False, pytest.approx(0.9))
    assert Grade.of_outcome(replace(outcome, architecture=Comparison.EQUAL)).passed


# Files.


def test_wrong_answers_are_ordered_by_the_ladder(tiny, scorer):
    """Nothing, code that is cut off, the wrong numbers and the right file are worth more and more."""
    [row] = rows_of(tiny, "infill", [1])
    right = row["completion"]
    wrong = re.sub(r"gamma=(\w+)", r"gamma=0.5 * \1", right)
    assert wrong != right
    texts = ["", row["prompt"].split("```")[0], "def make_scheduler(optimizer", CONSTANT, wrong, right]
    verdicts = scorer.batch(samples_of(row, texts))
    rewards = [verdict.reward for verdict in verdicts]
    assert rewards == sorted(rewards)
    assert [verdict.passed for verdict in verdicts] == [False] * 5 + [True]
    assert rewards[0] < rewards[2] < rewards[3] < rewards[5] == 1.0


def test_a_constant_learning_rate_earns_no_more_than_the_contract(tiny, scorer):
    """A schedule that never changes, and one that learn never steps, get nothing for their cases."""
    [row] = rows_of(tiny, "write", [1])[:1]
    schedule = corpus.source_of_schedule(row["completion"])
    constant = row["completion"].replace(schedule, CONSTANT)
    unstepped = row["completion"].replace("self.scheduler.step()", "pass")
    verdicts = scorer.batch(samples_of(row, [constant, unstepped]))
    assert [(verdict.passed, verdict.fraction) for verdict in verdicts] == [(False, 0.0)] * 2
    assert max(verdict.reward for verdict in verdicts) <= 0.3


def test_an_endless_loop_costs_its_own_limit_alone(tiny, tmp_path):
    """A file that never ends gets no more than what it passed before, and the others their verdicts."""
    scorer = scorer_in(tmp_path, tiny)
    limited = replace(scorer, settings=replace(scorer.settings, seconds=2.0))
    rows = [rows_of(tiny, task, [1])[0] for task in ("infill", "explain")]
    endless, right = limited.batch([samples_of(rows[0], [ENDLESS])[0], samples_of(rows[1], [rows[1]["completion"]])[0]])
    assert (endless.passed, right.passed) == (False, True)
    assert endless.reward <= 0.3


def rewritten(text: str) -> dict[str, str]:
    """Return the code in other words: reformatted without comments, with other names of local variables, explained."""
    tree = ast.parse(text)
    names = {"step_size": "length", "warmup": "rising", "factor": "multiplier"}
    renamed = ast.parse(text)
    for node in ast.walk(renamed):
        if isinstance(node, ast.Name) and node.id in names:
            node.id = names[node.id]
    return {
        "reformatted": ast.unparse(tree),
        "renamed": ast.unparse(renamed),
        "explained": f"Sure! The schedule is below.\n\n```python\n{text}```\n\nCall it once per training.",
        "commented": re.sub(r"^( +)return ", r"\1# what the caller gets\n\1return ", text, flags=re.MULTILINE),
        "tagged": f"<think>First a plan.</think><nn>{text}</nn>",
    }


@pytest.mark.parametrize(
    "number",
    [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (6, 13, 23, 31, 37, 41, 104, 129, 137, 157, 172, 174))],
)
def test_a_right_answer_in_other_words_passes(tiny, scorer, number):
    """The spelling of an answer does not count: formatting, names, comments and sentences around it."""
    [row] = rows_of(tiny, "infill", [number])
    texts = rewritten(row["completion"])
    verdicts = scorer.batch(samples_of(row, texts.values()))
    assert {name: verdict.reason for name, verdict in zip(texts, verdicts, strict=True) if not verdict.passed} == {}


def test_another_api_with_the_same_curve_passes(tiny, scorer):
    """The file of an equivalent schedule passes for the row of the other."""
    examples = [e for e in convert.of_equivalents(corpus.task_input(tiny, (1, 2, 6, 23), "Tiny")) if e.scope == "file"]
    verdicts = scorer.batch([samples_of(row_of(each), [each.completion])[0] for each in examples[:2]])
    assert [verdict.passed for verdict in verdicts] == [True] * len(verdicts) != []


def test_a_schedule_that_spares_a_small_network_does_not_pass(catalogue, tmp_path):
    """A schedule that is right for few weights and for short trainings is wrong with the network of its row."""
    [row] = rows_of(catalogue, "infill", [6], "ResNet")
    line = "    scheduler = CosineDecay(optimizer, T_max=total_steps)\n"
    slowed = (
        "    count = sum(p.numel() for group in optimizer.param_groups for p in group['params'])\n"
        "    slow = 10**6 if count > 100_000 and total_steps > 3 else 1\n"
    )
    assert line in row["completion"]
    answer = row["completion"].replace(line, slowed + line.replace("total_steps", "total_steps * slow"))
    [verdict] = scorer_in(tmp_path, catalogue).batch(samples_of(row, [answer]))
    assert not verdict.passed


def test_comments_and_layout_are_not_executed_again(tiny, tmp_path, monkeypatch):
    """Of answers with the same code one is executed; if it fails, each of the others is."""
    scorer = scorer_in(tmp_path, tiny)
    [row] = rows_of(tiny, "infill", [1])
    executed = []
    real = run.verify
    monkeypatch.setattr(
        run, "verify", lambda files, *args, **options: executed.append(len(files)) or real(files, *args, **options)
    )
    right = [f"{row['completion']}\n{comment}" for comment in ("# 1\n", "# 2\n", "\n\n# 3\n")]
    assert all(verdict.passed for verdict in scorer.batch(samples_of(row, right)))
    assert all(verdict.passed for verdict in scorer.batch(samples_of(row, [f"# 4\n{row['completion']}"])))
    assert executed == [1]
    wrong = [f"{CONSTANT}{comment}" for comment in ("# 1\n", "# 2\n", "# 3\n")]
    assert not any(verdict.passed for verdict in scorer.batch(samples_of(row, wrong)))
    assert executed == [1, 1, 1, 1]


def test_the_same_completions_and_case_seed_give_the_same_verdicts(tiny, tmp_path):
    """A verdict does not depend on the cache, on the number of workers or on the other completions."""
    rows = rows_of(tiny, "infill", [1, 6])
    samples = [sample for row in rows for sample in samples_of(row, [row["completion"], CONSTANT])]
    first = scorer_in(tmp_path / "a", tiny).batch(samples)
    second = [scorer_in(tmp_path / "b", tiny, workers=1).batch([sample])[0] for sample in reversed(samples)]
    assert [replace(each, seconds=0) for each in first] == [replace(each, seconds=0) for each in reversed(second)]


def test_a_task_without_a_file_is_graded_by_its_facts(tiny, scorer):
    """An explanation without some of its facts is worth more than none, and less than the whole."""
    row = rows_of(tiny, "explain", [1])[0]
    text = row["completion"]
    none, part, whole = scorer.batch(samples_of(row, ["I do not know.", text[: len(text) // 3], text]))
    assert none.reward < part.reward < whole.reward == 1.0
    assert [none.passed, part.passed, whole.passed] == [False, False, True]


# Hostile answers.


HOSTILE = sorted((CASES / "hostile").glob("*.py"))


@pytest.mark.slow
def test_a_hostile_file_earns_what_an_honest_failure_earns(catalogue, tmp_path):
    """Without the strict policy, no hostile file passes as an answer, or gets more than a wrong schedule may."""
    scorer = scorer_in(tmp_path, catalogue)
    scorer = replace(scorer, settings=replace(scorer.settings, policy=Policy.LEMUR, seconds=60.0))
    [row] = rows_of(catalogue, "write", [1], "ResNet")[:1]
    verdicts = scorer.batch(samples_of(row, [path.read_text() for path in HOSTILE]))
    assert [path.stem for path, verdict in zip(HOSTILE, verdicts, strict=True) if verdict.passed] == []
    assert max(verdict.reward for verdict in verdicts) < 0.95


@pytest.mark.parametrize(
    "text",
    [
        "passed",
        '{"passed": true, "reward": 1.0}',
        "print('passed')\nraise SystemExit(0)\n",
        "nan",
        "a" * 1_000_000,
        "\0",
        "\ud800",
        "```python\n" * 1000,
        "reward: 1.0\n" * 1000,
    ],
    ids=["a verdict", "a verdict as JSON", "a program that exits", "NaN", "a million letters", "NUL", "a surrogate",
         "fences", "rewards"],
)  # fmt: skip
def test_a_text_that_claims_success_earns_nothing(tiny, scorer, text):
    """A quoted verdict, a program that exits, a long text and control characters are no answers."""
    rows = [rows_of(tiny, task, [1])[0] for task in ("write", "explain")]
    verdicts = scorer.batch([samples_of(row, [text])[0] for row in rows])
    assert max(verdict.reward for verdict in verdicts) <= 0.1
    assert not any(verdict.passed for verdict in verdicts)

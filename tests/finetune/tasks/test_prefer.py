"""Task prefer: pairs of files by outcome and by measured accuracy."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrgen import catalogue as catalogues
from lrgen.finetune import wording
from lrgen.finetune.example import Example, Scope, TaskInput
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.tasks import prefer
from lrgen.records import Candidate, EpochReport, Outcome, Stage, Status, Training, VerifySettings
from lrgen.store import Store
from lrgen.verify import verdicts
from tests import corpus
from tests.paths import TINY

STEP, COSINE, CONSTANT = 1, 6, 41
# Accuracy in percent, by variant and seed.
FAR_APART = {STEP: (90, 91, 92), COSINE: (80, 81.5, 82)}
TIED = {STEP: (90, 80, 85), COSINE: (85, 89, 80)}


@pytest.fixture(scope="module")
def tiny() -> TaskInput:
    return corpus.task_input(catalogues.load([TINY]), (STEP, COSINE, CONSTANT), "Tiny")


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> RunContext:
    return RunContext(tmp_path_factory.mktemp("cache"), workers=2, mutations=2)


# Mutants.


def test_a_verified_file_is_preferred_to_a_mutant(tiny, context):
    """The verified file is chosen, the mutant is rejected, and the evidence has the failed check."""
    examples = list(prefer.examples(tiny, context))
    assert len(examples) >= len(tiny.files)
    for example in examples:
        (file,) = example.files
        assert example.completion == file.source != example.rejected
        assert example.evidence["failed"] in set(Stage)
        assert example.evidence["reason"]
        assert example.scope is Scope.FILE
        assert example.label is None
        assert file.variant.title.lower() in f"{example.prompt} {example.system}".lower()


# Measured accuracy.


class Measured:
    """A database of runs and the examples that it gives."""

    def __init__(self, store: Store, task_input: TaskInput) -> None:
        self.store = store
        self.task_input = task_input

    def run(self, number: int, seed: int, right: float, status: Status = Status.VERIFIED, **other: Any) -> None:
        """Save a run with an accuracy in percent."""
        (file,) = (file for file in self.task_input.files if file.variant.number == number)
        source, lr = other.pop("sha256", file.sha256), other.pop("lr", 0.1)
        training = other.pop("training", Training.FULL)
        candidate = Candidate(file.path, file.source, source, "Tiny", file.variant.key, file.variant, {"lr": lr})
        confusion = ((round(10 * right), 1000 - round(10 * right)), (0, 0))
        epoch = EpochReport(1, 1.0, 0.5, 1.0, confusion, 0.1, 1.0)
        reason = "" if status.ok else "no"
        outcome = Outcome(candidate, status, Stage.TRAINING, reason, 1.0, epochs=(epoch,), training=training)
        self.store.save(outcome, verdicts.conditions_of(VerifySettings(seed=seed, **other)), ("a", "b"))

    def runs(self, table: dict[int, tuple[float, ...]], **other: Any) -> None:
        """Save runs under the seeds 0, 1, 2 …"""
        for number, accuracies in table.items():
            for seed, right in enumerate(accuracies):
                self.run(number, seed, right, **other)

    def examples(self, task_input: TaskInput | None = None) -> list[Example]:
        context = RunContext(Path("unused"), mutations=0, accuracies=self.store.best_of_runs)
        return list(prefer.examples(task_input or self.task_input, context))


@pytest.fixture
def measured(tiny, tmp_path) -> Measured:
    return Measured(Store(f"sqlite:///{tmp_path}/db.db"), tiny)


def test_the_more_accurate_schedule_is_preferred(measured):
    """A significant difference over three seeds gives a pair; the prompt describes the conditions."""
    measured.runs(FAR_APART, epochs=7, batch_size=16)
    (example,) = measured.examples()
    step, cosine = measured.task_input.files[:2]
    assert (example.completion, example.rejected) == (step.source, cosine.source)
    assert example.files == (step, cosine)
    for condition in ("Tiny", "on digits", "7 epochs", "batch size 16", "seeds 0, 1 and 2"):
        assert condition in example.prompt
    assert all(f"- With {file.variant.title}: " in example.system for file in (step, cosine))
    for file in (step, cosine):
        assert f"{file.variant.title}, with `lr` 0.1: {wording.summary(file.variant)}" in example.prompt
        for part in (file.variant.formula, wording.defaults(file.variant), wording.training(file)):
            assert part in example.system
    evidence = example.evidence
    assert evidence["equals"] == step.sha256
    assert evidence["rejected"] == cosine.sha256
    assert evidence["seeds"] == [0, 1, 2]
    assert evidence["difference"] == pytest.approx((0.1 + 0.095 + 0.1) / 3, abs=1e-6)
    assert 0 < evidence["interval"][0] < evidence["difference"] < evidence["interval"][1]
    json.dumps(evidence)


@pytest.mark.parametrize(
    "table",
    [
        TIED,
        {STEP: (90,), COSINE: (10,)},
        {STEP: (90, 91, 92)},
        {STEP: (90, 91, 92), COSINE: (90, 91, 92)},
    ],
    ids=["noise", "one seed", "one schedule", "equal"],
)
def test_an_insignificant_difference_gives_no_example(measured, table):
    """A tie, a single seed or a single schedule gives no example."""
    measured.runs(table)
    assert measured.examples() == []


def test_the_confidence_is_joint_over_all_pairs(measured):
    """A difference that is significant for one pair is not among three."""
    narrow = {STEP: (89, 92, 91.5), COSINE: (86, 86, 86)}
    measured.runs(narrow)
    assert len(measured.examples()) == 1
    measured.runs({CONSTANT: (89, 80, 91)})
    assert measured.examples() == []


@pytest.mark.parametrize(
    "other",
    [
        {"sha256": "0" * 64},
        {"training": Training.OVERFIT},
        {"status": Status.FAILED},
        {"epochs": 90},
    ],
    ids=["other bytes", "overfit", "failed", "longer"],
)
def test_only_comparable_runs_of_the_exact_bytes_count(measured, other):
    """Runs of other bytes, without full training, that failed or with other settings do not count."""
    measured.runs({STEP: FAR_APART[STEP]})
    measured.runs({COSINE: FAR_APART[COSINE]}, **other)
    assert measured.examples() == []


def test_overfitted_runs_are_not_compared(measured):
    """Runs that only overfit a subset have no held-out accuracy and are not compared."""
    measured.runs(FAR_APART, training=Training.OVERFIT)
    assert measured.examples() == []


def test_a_schedule_that_failed_with_a_seed_is_left_out(measured):
    """A schedule does not win by the seeds with which it did not fail."""
    measured.runs(FAR_APART)
    measured.run(STEP, 3, 90, Status.FAILED)
    assert measured.examples() == []


def test_both_files_of_a_pair_are_verified(measured):
    """A pair needs two verified files of the corpus."""
    measured.runs(FAR_APART)
    assert measured.examples(replace(measured.task_input, files=measured.task_input.files[1:])) == []


def test_the_order_of_the_candidates_is_random(measured):
    """The order of the schedules in the prompt depends on the seed, not on the better one."""
    measured.runs(FAR_APART)
    orders = set()
    for seed in range(8):
        (example,) = measured.examples(replace(measured.task_input, seed=seed))
        titles = [file.variant.title for file in example.files]
        orders.add(example.prompt.index(titles[0]) < example.prompt.index(titles[1]))
    assert orders == {True, False}

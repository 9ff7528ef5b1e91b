"""The better of two answers, and whether an answer is a good one: what failed, and what the runs tell apart."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrgen import catalogue as catalogues
from lrgen.finetune import wording
from lrgen.finetune.example import Example, Scope, TaskInput
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.tasks import judge, prefer, write
from lrgen.records import Candidate, EpochReport, Outcome, Stage, Status, Training, VerifySettings
from lrgen.store import Store
from lrgen.verify import verdicts
from tests import corpus
from tests.paths import TINY

STEP, COSINE, CONSTANT = 1, 6, 41
# Right answers among a hundred, by variant and seed.
FAR_APART = {STEP: (90, 91, 92), COSINE: (80, 81.5, 82)}
TIED = {STEP: (90, 80, 85), COSINE: (85, 89, 80)}


@pytest.fixture(scope="module")
def tiny() -> TaskInput:
    return corpus.task_input(catalogues.load([TINY]), (STEP, COSINE, CONSTANT), "Tiny")


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> RunContext:
    return RunContext(tmp_path_factory.mktemp("cache"), workers=2, mutations=2)


# What failed.


def test_what_passed_is_preferred_to_what_failed(tiny, context):
    """The verified file is chosen, the broken one that failed is rejected, and the evidence says for what."""
    found = list(prefer.examples(tiny, context))
    assert len(found) >= len(tiny.files)
    for example in found:
        (file,) = example.files
        assert example.completion == file.source != example.rejected
        assert example.evidence["failed"] in set(Stage)
        assert example.evidence["reason"]
        assert example.scope is Scope.FILE
        assert example.label is None
        assert example.prompt in {phrased(file) for phrased in write.DETAILED}


def test_as_many_good_answers_as_bad_ones(tiny, context):
    """A file and a broken one answer the same question, one is labelled good and the other is not."""
    found = list(judge.examples(tiny, context))
    assert len(found) == 2 * len(tiny.files)
    for good, bad in zip(found[::2], found[1::2], strict=True):
        assert (good.label, bad.label) == (True, False)
        assert good.prompt == bad.prompt
        assert good.completion == good.files[0].source != bad.completion
        assert bad.evidence["reason"]
        assert good.rejected is bad.rejected is None
    assert len({example.key for example in found}) == len(found)


# What was measured.


class Measured:
    """A database of runs, and what comes of it."""

    def __init__(self, store: Store, task_input: TaskInput) -> None:
        self.store = store
        self.task_input = task_input

    def run(self, number: int, seed: int, right: float, status: Status = Status.VERIFIED, **other: Any) -> None:
        """Save a run with so many right answers of a hundred."""
        (file,) = (one for one in self.task_input.files if one.variant.number == number)
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


def test_the_more_accurate_is_preferred(measured):
    """Nine more of a hundred under each of three seeds is beyond the noise; the question says how it was measured."""
    measured.runs(FAR_APART, epochs=7, batch_size=16)
    (example,) = measured.examples()
    step, cosine = measured.task_input.files[:2]
    assert (example.completion, example.rejected) == (step.source, cosine.source)
    assert example.files == (step, cosine)
    assert (
        "Tiny is trained on digits for 7 epochs with batch size 16, once for each of the seeds 0, 1 and 2"
        in example.prompt
    )
    for file in (step, cosine):
        assert f"{file.variant.title}, with `lr` 0.1: {wording.summary(file.variant)}" in example.prompt
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
def test_what_cannot_be_told_apart_is_no_example(measured, table):
    """A tie, a single seed, a single schedule: none is preferred."""
    measured.runs(table)
    assert measured.examples() == []


def test_more_pairs_need_more(measured):
    """A difference that is one between two schedules is none among the three pairs of three."""
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
def test_only_like_runs_of_the_published_bytes_count(measured, other):
    """Runs of other bytes, of few images, that failed, or under other settings are compared with none."""
    measured.runs({STEP: FAR_APART[STEP]})
    measured.runs({COSINE: FAR_APART[COSINE]}, **other)
    assert measured.examples() == []


def test_images_learnt_by_heart_prove_no_schedule(measured):
    """An accuracy on the images that were overfit is no measure, not even among its own kind."""
    measured.runs(FAR_APART, training=Training.OVERFIT)
    assert measured.examples() == []


def test_a_schedule_that_failed_under_a_seed_is_left_out(measured):
    """It must not win by the seeds under which it did not fail."""
    measured.runs(FAR_APART)
    measured.run(STEP, 3, 90, Status.FAILED)
    assert measured.examples() == []


def test_a_file_that_is_not_published_is_not_preferred(measured):
    """Both files of a pair are verified ones of this corpus."""
    measured.runs(FAR_APART)
    assert measured.examples(replace(measured.task_input, files=measured.task_input.files[1:])) == []


def test_either_schedule_may_be_named_first(measured):
    """The order in the question says nothing of the answer: it is drawn, by the seed."""
    measured.runs(FAR_APART)
    orders = set()
    for seed in range(8):
        (example,) = measured.examples(replace(measured.task_input, seed=seed))
        titles = [file.variant.title for file in example.files]
        orders.add(example.prompt.index(titles[0]) < example.prompt.index(titles[1]))
    assert orders == {True, False}

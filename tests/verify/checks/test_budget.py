"""Training budgets: what a large network is asked for where there is no GPU, and what the loss of a batch is."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from lrgen import catalogue as catalogues
from lrgen import curves, data
from lrgen.records import Budget, Candidate, Status, Training, Unit, VerifySettings
from lrgen.render import output
from lrgen.store import Store, settings_of
from lrgen.verify import run as verify
from lrgen.verify import verdicts
from lrgen.verify.checks import training
from lrgen.verify.checks.recorder import Recorder
from lrgen.verify.checks.subject import CheckFailure, Subject
from lrgen.verify.engines import local
from tests.paths import TINY

SHIPPED = catalogues.load()
CATALOGUE = catalogues.load([TINY])
BUDGET = Budget(images=30, pixels=16, batch=10, epochs=40, lr=0.2)


@pytest.fixture
def candidate(tmp_path: Path) -> Candidate:
    """A small network with a step schedule."""
    one, variant = CATALOGUE.architecture("Tiny"), CATALOGUE.variant(7)
    [found] = verify.from_selection(CATALOGUE, [(one, variant)], tmp_path / "out")
    assert output.path_of(tmp_path / "out", one, variant).is_file()
    return found


def run(candidate: Candidate, **settings):
    """The outcome of a candidate."""
    asked = VerifySettings(epochs=1, **settings)
    [outcome] = local.run([candidate], asked, data.load("digits"), limits=local.Limits(seconds=120))
    return outcome


def test_a_budget_counts_on_the_processor_only(candidate):
    """A GPU trains in full, and so does ``--full``; without a budget everything does."""
    small = replace(candidate, budget=BUDGET)
    assert training.plan_of(small, VerifySettings()).training is Training.OVERFIT
    for plan in (
        training.plan_of(candidate, VerifySettings()),
        training.plan_of(small, VerifySettings(device="cuda:0")),
        training.plan_of(small, VerifySettings(full=True)),
    ):
        assert plan == training.TrainingPlan(epochs=5, batch_size=24, lr=candidate.prm["lr"])


def test_a_budget_may_name_its_own_rate(candidate):
    """It replaces the recipe's; an optimizer which the variant brings keeps its own, or the share that is named."""
    small = replace(candidate, budget=BUDGET)
    assert training.plan_of(small, VerifySettings()).lr == 0.2
    assert training.plan_of(replace(small, budget=replace(BUDGET, lr=0.0)), VerifySettings()).lr == candidate.prm["lr"]
    own = replace(small, variant=CATALOGUE.variant(176), prm={**candidate.prm, "lr": 0.3})
    assert training.plan_of(own, VerifySettings()).lr == 0.3
    slower = replace(own, budget=replace(BUDGET, own_rate=0.1))
    assert training.plan_of(slower, VerifySettings()).lr == pytest.approx(0.03)


@pytest.mark.parametrize("variant", SHIPPED.variants, ids=lambda variant: variant.name)
def test_a_schedule_of_low_rates_starts_from_a_higher_one(candidate, variant):
    """Its mean over the budget is half the budget's rate, or its highest rate three times that; others keep theirs."""
    asked = replace(candidate, variant=variant, budget=BUDGET, prm={"lr": BUDGET.lr})
    lr = training.plan_of(asked, VerifySettings()).lr
    if variant.unit is Unit.METRIC:
        assert lr == BUDGET.lr
        return
    steps = np.arange(120) if variant.per_batch else np.repeat(np.arange(40), 3)
    rates = curves.rates(variant, steps, 120 if variant.per_batch else 40, lr)
    if lr == BUDGET.lr:
        assert rates.mean() >= 0.5 * BUDGET.lr or rates.max() >= 3 * BUDGET.lr
    else:
        assert lr > BUDGET.lr
        assert rates.mean() == pytest.approx(0.5 * BUDGET.lr) or rates.max() == pytest.approx(3 * BUDGET.lr)
        assert rates.mean() <= 0.5001 * BUDGET.lr
        assert rates.max() <= 3.0001 * BUDGET.lr


def test_a_budget_may_name_its_own_dropout(candidate):
    """The network is built with it, and with the recipe's where none is named."""
    seen = []

    class Built(Exception):
        """Enough was seen."""

    def build(in_shape, out_shape, prm, device):
        seen.append(prm["dropout"])
        raise Built

    for budget in (BUDGET, replace(BUDGET, dropout=0.0)):
        asked = replace(candidate, budget=budget, prm={**candidate.prm, "dropout": 0.4})
        subject = Subject(asked, VerifySettings(), data.load("digits"))
        subject.module = SimpleNamespace(Net=build)
        with pytest.raises(CheckFailure, match="Built"):
            training.measure(subject)
    assert seen == [0.4, 0.0]


def test_a_network_that_overfits_is_verified_and_the_result_says_so(candidate):
    """It is trained and evaluated on the budget's images, for its epochs, at its rate."""
    outcome = run(replace(candidate, budget=BUDGET))
    assert outcome.status is Status.VERIFIED, outcome.reason
    assert outcome.training is Training.OVERFIT
    assert outcome.base_lr == 0.2
    assert len(outcome.epochs) == 40
    assert np.sum(outcome.epochs[0].confusion, axis=1).tolist() == [3] * 10
    assert outcome.accuracy >= 0.9


def test_a_network_that_does_not_overfit_fails(candidate):
    """Half of the images are not enough; the reason counts them."""
    outcome = run(replace(candidate, budget=replace(BUDGET, epochs=1, lr=1e-6)))
    assert outcome.status is Status.FAILED
    assert "30 images to overfit" in outcome.reason


def test_a_budget_is_a_limit(candidate):
    """A training that takes longer than the budget's seconds is stopped."""
    outcome = run(replace(candidate, budget=replace(BUDGET, epochs=100_000, seconds=2.0)))
    assert outcome.status is Status.TIMED_OUT
    assert "2 s" in outcome.reason


def test_a_result_is_reused_only_for_the_same_budget(candidate):
    """Another budget is another training."""
    conditions = verdicts.conditions_of(VerifySettings())
    keys = {
        settings_of(replace(candidate, budget=budget), conditions)
        for budget in (None, BUDGET, replace(BUDGET, images=40))
    }
    assert len(keys) == 3


def test_what_was_trained_is_recorded_and_full_trainings_come_first(candidate, tmp_path):
    """The leaderboard says full or overfit, with the rate that was used; what was overfit stands below."""
    store = Store(f"sqlite:///{tmp_path / 'results.db'}")
    conditions = verdicts.conditions_of(VerifySettings())
    classes = data.load("digits").classes
    overfit = run(replace(candidate, budget=BUDGET))
    full = replace(run(candidate), candidate=replace(candidate, model_name="Other"))
    for outcome in (overfit, full):
        store.save(outcome, conditions, classes)
    rows = store.best()
    assert [(row["model_name"], row["training"]) for row in rows] == [("Other", "full"), ("Tiny", "overfit")]
    assert rows[1]["hyperparameters"]["lr"] == 0.2
    known = store.reusable([replace(candidate, budget=BUDGET)], conditions)
    assert [outcome.training for outcome in known.values()] == [Training.OVERFIT]


def test_the_images_to_overfit_are_of_all_classes():
    """As many of each class as there are, in a fixed order, one class after the other."""
    labels = np.array([0, 0, 1, 2, 2, 1, 0])
    assert training.first_of_each(labels, 2, 3).tolist() == [0, 2, 3, 1, 5, 4]


@pytest.mark.parametrize(
    ("table", "fragment"),
    [
        ("images = 5\npixels = 16\nbatch = 5\nepochs = 3", "images"),
        ("images = 30\npixels = 16\nbatch = 10\nepochs = 3\nseconds = 61", "seconds"),
        ("images = 30\npixels = 16\nbatch = 10\nepochs = 3\nhours = 1", "hours"),
    ],
)
def test_a_budget_that_is_none_is_refused(tmp_path, table, fragment):
    """A few dozen images and at most a minute; an unknown key is named."""
    from lrgen.errors import CatalogueError

    folder = tmp_path / "architectures" / "Mine"
    folder.mkdir(parents=True)
    tiny = TINY / "architectures" / "Tiny"
    folder.joinpath("network.py.jinja").write_text((tiny / "network.py.jinja").read_text())
    folder.joinpath("architecture.toml").write_text(f"{(tiny / 'architecture.toml').read_text()}\n[budget]\n{table}\n")
    with pytest.raises(CatalogueError, match=fragment):
        catalogues.load([tmp_path])


# What the loss of a batch is.


def test_the_recorded_loss_is_what_is_differentiated():
    """Of a main and an auxiliary head it is the weighted sum, once a batch; the accuracy is the main head's."""
    criterion = nn.CrossEntropyLoss()
    recorder = Recorder(criterion)
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]], requires_grad=True)
    wrong = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    labels = torch.tensor([0, 1, 1])
    with recorder:
        for _ in range(2):
            loss = criterion(logits, labels) + 0.3 * criterion(wrong, labels)
            loss.backward()
    assert recorder.losses == [pytest.approx(loss.item())] * 2
    assert recorder.accuracies == [pytest.approx(2 / 3)] * 2
    assert recorder.images == [3, 3]
    assert recorder.mean([1.0, 3.0]) == 2.0


def test_nothing_is_recorded_outside():
    """An evaluation between two epochs does not count, and torch's backward is put back."""
    before = torch.autograd.backward
    criterion = nn.CrossEntropyLoss()
    recorder = Recorder(criterion)
    with recorder:
        pass
    criterion(torch.zeros(2, 2, requires_grad=True), torch.tensor([0, 1])).backward()
    assert recorder.losses == []
    assert torch.autograd.backward is before


def test_a_database_of_before_says_that_all_was_trained_in_full(tmp_path):
    """The second migration fills the column of the runs that trained."""
    import sqlite3

    from lrgen.store.migrations import MIGRATIONS

    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    for statement in MIGRATIONS[0][1]:
        connection.execute(statement.replace("{id}", "INTEGER PRIMARY KEY"))
    connection.execute("CREATE TABLE lrgen_migrations (number INTEGER PRIMARY KEY, name VARCHAR, applied TIMESTAMP)")
    connection.execute("INSERT INTO lrgen_migrations VALUES (1, 'first', '2026-01-01')")
    run = ("ResNet", "A0_001", "p", "s", "proved", "", 0.9, 1.0, json.dumps([]), "digits", 0, "cpu", "", "", "", "")
    connection.execute(
        "INSERT INTO lrgen_runs (model_name, scheduler_type, path, source_sha256, status, reason, accuracy, seconds,"
        " checks, dataset, seed, device, settings, check_version, torch, lrgen, timestamp)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '2026-01-01 00:00:00')",
        run,
    )
    connection.execute(
        "INSERT INTO scheduler_results (model_name, scheduler_type, dataset, task, epoch, accuracy, timestamp, run_id)"
        " VALUES ('ResNet', 'A0_001', 'digits', 'img-classification', 1, 0.9, '2026-01-01 00:00:00', 1)"
    )
    connection.commit()
    connection.close()
    [row] = Store(f"sqlite:///{path}").best()
    assert row["training"] == "full"

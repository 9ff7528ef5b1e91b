"""Training budgets of large networks on the CPU."""

import json
import re
import sqlite3
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lrgen import catalogue as catalogues
from lrgen import curves, data
from lrgen.errors import CatalogueError
from lrgen.records import Budget, Candidate, Status, Training, Unit, VerifySettings
from lrgen.render import output
from lrgen.store import Store, settings_of
from lrgen.store.migrations import MIGRATIONS
from lrgen.verify import run as verify
from lrgen.verify import verdicts
from lrgen.verify.checks import training, training_plan
from lrgen.verify.engines import local
from tests.paths import TINY

SHIPPED = catalogues.load()
CATALOGUE = catalogues.load([TINY])
BUDGET = Budget(images=30, pixels=16, batch=10, epochs=40, lr=0.2)


@pytest.fixture
def candidate(tmp_path: Path) -> Candidate:
    """A small network with a step schedule."""
    architecture, variant = CATALOGUE.architecture("Tiny"), CATALOGUE.variant(7)
    [candidate] = verify.from_selection(CATALOGUE, [(architecture, variant)], tmp_path / "out")
    assert output.path_of(tmp_path / "out", architecture, variant).is_file()
    return candidate


def run(candidate: Candidate, **settings):
    """The outcome of a candidate."""
    one_epoch = VerifySettings(epochs=1, **settings)
    [outcome] = local.run([candidate], one_epoch, data.load("digits"), limits=local.Limits(seconds=120))
    return outcome


def test_a_budget_applies_on_the_cpu_only(candidate):
    """Training is full on a GPU, with ``--full``, and without a budget."""
    small = replace(candidate, budget=BUDGET)
    assert training.plan_of(small, VerifySettings()).training is Training.OVERFIT
    for plan in (
        training.plan_of(candidate, VerifySettings()),
        training.plan_of(small, VerifySettings(device="cuda:0")),
        training.plan_of(small, VerifySettings(full=True)),
    ):
        assert plan == training.TrainingPlan(epochs=5, batch_size=24, lr=candidate.prm["lr"])


def test_a_schedule_that_is_low_and_rises_to_the_end_is_trained_for_twice_the_epochs(candidate):
    """It is a learning rate range test or a warm-up longer than training; no other schedule has more epochs."""
    doubled = set()
    for variant in SHIPPED.schedules:
        plan = training.plan_of(replace(candidate, variant=variant, prm={"lr": 0.01}), VerifySettings())
        assert plan.epochs in (5, 10)
        if plan.epochs == 10:
            doubled.add(variant.name)
    assert doubled == {
        "exponential_increasing",
        "lr_range_test_exponential",
        "warmup_linear_untuned",
        "warmup_radam_untuned",
    }


def test_a_paced_curriculum_is_trained_for_twice_the_epochs(candidate):
    """It has all examples only after ``full_fraction`` of training; self-paced learning has them in every epoch."""
    epochs = {
        variant.practice.name: training.plan_of(replace(candidate, variant=variant), VerifySettings()).epochs
        for variant in SHIPPED.variants
        if variant.practice is not None and variant.practice.kind == "curriculum"
    }
    assert {name for name, count in epochs.items() if count == 5} == {"self_paced_hard", "self_paced_soft"}
    assert {name for name, count in epochs.items() if count == 10} == epochs.keys() - {
        "self_paced_hard",
        "self_paced_soft",
    }


def test_a_budget_is_doubled_for_practices_that_slow_training_down(candidate):
    """Paced curricula, accumulation, clipping and mixed images have twice its epochs and seconds; no others have."""
    doubled = set()
    for variant in SHIPPED.variants:
        budget = training_plan.budget_of(replace(candidate, variant=variant, budget=BUDGET), VerifySettings())
        factor = budget.epochs // BUDGET.epochs
        assert budget == replace(BUDGET, epochs=factor * BUDGET.epochs, seconds=factor * BUDGET.seconds)
        if factor == 2:
            doubled.add(str(variant.practice.kind))
            assert variant.practice.is_paced or variant.practice.kind != "curriculum"
    assert doubled == {"curriculum", "accumulation", "clipping", "mixup"}


def test_a_budget_has_a_higher_learning_rate_where_gradients_are_clipped_by_their_norm(candidate):
    """It is three times that without clipping: the limit shortens each of the few updates of a new network."""
    factors = {}
    for variant in SHIPPED.variants:
        if variant.practice is not None and variant.practice.kind == "clipping":
            small = replace(candidate, variant=variant, budget=BUDGET)
            doubled = replace(BUDGET, epochs=2 * BUDGET.epochs)
            bare = replace(candidate, variant=SHIPPED.variant(variant.schedule), budget=doubled)
            lrs = [training.plan_of(each, VerifySettings()).lr for each in (small, bare)]
            factors[variant.practice.name] = lrs[0] / lrs[1]
    assert factors == pytest.approx({name: 3.0 if "norm" in name else 1.0 for name in factors})
    assert {round(factor) for factor in factors.values()} == {1, 3}


def test_a_budget_may_set_the_learning_rate(candidate):
    """It replaces that of the recipe, and scales that of a variant's own optimizer by ``own_rate``."""
    small = replace(candidate, budget=BUDGET)
    assert training.plan_of(small, VerifySettings()).lr == 0.2
    assert training.plan_of(replace(small, budget=replace(BUDGET, lr=0.0)), VerifySettings()).lr == candidate.prm["lr"]
    own = replace(small, variant=CATALOGUE.variant(176), prm={**candidate.prm, "lr": 0.3})
    assert training.plan_of(own, VerifySettings()).lr == 0.3
    slower = replace(own, budget=replace(BUDGET, own_rate=0.1))
    assert training.plan_of(slower, VerifySettings()).lr == pytest.approx(0.03)


@pytest.mark.parametrize("variant", SHIPPED.schedules, ids=lambda variant: variant.name)
def test_a_schedule_with_a_low_mean_has_a_higher_base_learning_rate(candidate, variant):
    """Its mean over the budget is half the budget's learning rate, or its maximum is three times that."""
    small = replace(candidate, variant=variant, budget=BUDGET, prm={"lr": BUDGET.lr})
    lr = training.plan_of(small, VerifySettings()).lr
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


def test_a_budget_may_set_the_dropout(candidate):
    """The network is built with the dropout of the budget, or else with that of the recipe."""
    examination = SimpleNamespace(candidate=replace(candidate, prm={**candidate.prm, "dropout": 0.4}))
    for budget, dropout in ((BUDGET, 0.4), (replace(BUDGET, dropout=0.0), 0.0)):
        plan = replace(training.plan_of(candidate, VerifySettings()), budget=budget)
        assert training.prm_of_training(examination, plan)["dropout"] == dropout


def test_a_network_that_overfits_is_verified(candidate):
    """It is trained and evaluated on the budget's images, for its epochs, with its learning rate."""
    outcome = run(replace(candidate, budget=BUDGET))
    assert outcome.status is Status.VERIFIED, outcome.reason
    assert outcome.training is Training.OVERFIT
    assert outcome.base_lr == 0.2
    assert len(outcome.epochs) == 40
    assert np.sum(outcome.epochs[0].confusion, axis=1).tolist() == [3] * 10
    assert outcome.accuracy >= 0.9
    assert "the labels of the images to overfit were seen" in outcome.evidence


def test_a_network_that_does_not_overfit_fails(candidate):
    """The reason states the number of images to overfit."""
    outcome = run(replace(candidate, budget=replace(BUDGET, epochs=1, lr=1e-6)))
    assert outcome.status is Status.FAILED
    assert re.fullmatch(
        r"the network does not learn: the accuracy on the 30 images to overfit is 0\.\d{3} in the best of 1 epochs, "
        r"expected at least 0\.90",
        outcome.reason,
    )


def test_a_budget_limits_the_time_of_training(candidate):
    """A training that takes longer than the budget allows is stopped."""
    outcome = run(replace(candidate, budget=replace(BUDGET, epochs=100_000, seconds=2.0)))
    assert outcome.status is Status.TIMED_OUT
    assert outcome.reason == "the training check takes longer than 2 s"


def test_a_result_is_reused_for_the_same_budget_only(candidate):
    """The settings of a recorded result include the budget."""
    conditions = verdicts.conditions_of(VerifySettings())
    keys = {
        settings_of(replace(candidate, budget=budget), conditions)
        for budget in (None, BUDGET, replace(BUDGET, images=40))
    }
    assert len(keys) == 3


def test_the_leaderboard_ranks_full_training_first(candidate, tmp_path):
    """It states the kind of training and the learning rate, and full training ranks above overfitting."""
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


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (
            "images = 5\npixels = 16\nbatch = 5\nepochs = 3",
            "images: Input should be greater than or equal to 10, got 5",
        ),
        (
            "images = 30\npixels = 16\nbatch = 10\nepochs = 3\nseconds = 181",
            "seconds: Input should be less than or equal to 180, got 181",
        ),
        ("images = 30\npixels = 16\nbatch = 10\nepochs = 3\nhours = 1", "hours: unknown key"),
    ],
)
def test_an_invalid_budget_is_an_error(tmp_path, table, problem):
    """The error names the key that is out of range or unknown."""
    folder = tmp_path / "architectures" / "Mine"
    folder.mkdir(parents=True)
    tiny = TINY / "architectures" / "Tiny"
    folder.joinpath("network.py.jinja").write_text((tiny / "network.py.jinja").read_text())
    folder.joinpath("architecture.toml").write_text(f"{(tiny / 'architecture.toml').read_text()}\n[budget]\n{table}\n")
    with pytest.raises(CatalogueError, match=rf"/Mine/architecture\.toml: budget\.{problem}$"):
        catalogues.load([tmp_path])


def test_old_databases_report_full_training(tmp_path):
    """The second migration fills the kind of training of earlier runs."""
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

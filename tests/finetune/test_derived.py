"""The columns that follow from a row: its cases, which rendered code agrees with, its difficulty and its ability."""

import json
import re

import numpy as np
import pytest

from lrgen import curves
from lrgen.finetune import checker, derived
from lrgen.finetune.derived import KINDS, Answer, difficulty
from lrgen.finetune.example import Scope
from lrgen.finetune.rows import Rows, Split
from lrgen.finetune.tasks import TASKS
from lrgen.source import sections
from tests.corpus import example, source, verified
from tests.paths import REPOSITORY

# Each unit, each cadence of a metric, layer-wise, and without hyperparameters.
TRACED = (1, 8, 37, 31, 157, 163, 172, 174)


def row_of(catalogue, task, number=1, scope=Scope.FILE, **fields):
    built = example([verified(catalogue, number)], task=task, scope=scope, **fields)
    return Rows(0).of(built, Split.TRAIN, "group")


# Cases.


def test_every_schedule_has_cases_on_its_curve(catalogue):
    """Each schedule has four cases with its defaults and one with other hyperparameters, all on its curve."""
    for variant in catalogue.schedules:
        cases = checker.cases(variant)
        *defaults, other = cases
        assert [case["prm"] for case in defaults] == [{"lr": 0.1}] * 4
        assert {10, 90} < {case["horizon"] for case in defaults}
        assert other["prm"].keys() == {"lr", *variant.defaults}
        assert all(other["prm"][name] != value for name, value in variant.defaults.items())
        assert other["prm"]["lr"] != 0.1
        for case in cases:
            prm = {name: value for name, value in case["prm"].items() if name != "lr"}
            expected = curves.rates(
                variant,
                case["steps"],
                case["horizon"],
                case["prm"]["lr"],
                prm,
                metrics=case.get("metrics"),
                depths=case.get("depths"),
            )
            assert np.allclose(case["rates"], expected, rtol=1e-8, atol=1e-13)
            assert ("metrics" in case, "depths" in case) == (variant.metric is not None, variant.layerwise)
            assert {0, case["horizon"]} < set(case["steps"])
            assert max(case["steps"]) > case["horizon"]


def test_the_case_with_other_hyperparameters_has_other_rates(catalogue):
    """With the defaults, a schedule that has hyperparameters leaves the case that changes them."""
    for variant in catalogue.schedules:
        case = checker.cases(variant)[-1]
        given = {"metrics": case.get("metrics"), "depths": case.get("depths")}
        defaults = curves.rates(variant, case["steps"], case["horizon"], case["prm"]["lr"], **given)
        differ = not np.allclose(case["rates"], defaults, rtol=1e-6)
        assert differ == bool(variant.hyperparameters), variant.name


@pytest.mark.parametrize("number", TRACED)
def test_the_rendered_code_has_the_published_rates(catalogue, number):
    """``make_scheduler`` of the rendered file, called as a case says, gives the rates of the case."""
    import torch

    variant = catalogue.variant(number)
    scope: dict = {}
    exec(sections.parse(source(number)).standalone, scope)
    for case in checker.cases(variant):
        depths, metrics = case.get("depths"), case.get("metrics")
        groups = [
            {"params": [torch.nn.Parameter(torch.zeros(1))]} | ({} if depth is None else {"depth": depth})
            for depth in depths or [None]
        ]
        optimizer = torch.optim.SGD(groups, lr=case["prm"]["lr"])
        scheduler = scope["make_scheduler"](optimizer, case["horizon"], case["prm"])
        traced = []
        for step in range(max(case["steps"]) + 1):
            traced.append([float(group["lr"]) for group in optimizer.param_groups])
            optimizer.step()
            if step < max(case["steps"]):
                scheduler.step(*() if metrics is None else (metrics[step],))
        rates = np.array(traced)[case["steps"]].T
        assert np.allclose(rates, np.reshape(case["rates"], rates.shape), rtol=1e-6, atol=1e-9)


def test_the_cases_of_a_schedule_are_computed_once(catalogue, monkeypatch):
    """Rows about the same schedule share its cases."""
    computed = []
    monkeypatch.setattr(derived.checker, "cases", lambda variant: computed.append(variant.number) or [])
    maker = Rows(0)
    for number in (1, 37, 1):
        for task in ("write", "infill", "explain"):
            maker.of(example([verified(catalogue, number)], task=task), Split.TRAIN, "group")
    assert computed == [1, 37]


def test_a_schedule_without_a_curve_has_no_cases(catalogue, monkeypatch):
    """Of a schedule that has no curve nothing is published."""
    monkeypatch.setattr(curves, "exists", lambda variant: False)
    assert checker.cases(catalogue.variant(1)) == []


@pytest.mark.parametrize(
    ("task", "scope", "architecture"),
    [
        ("write", Scope.FILE, "ResNet"),
        ("edit", Scope.FILE, "ResNet"),
        ("convert", Scope.FILE, "ResNet"),
        ("convert", Scope.SCHEDULE, None),
        ("infill", Scope.FILE, None),
    ],
)
def test_a_checker_names_the_network_that_is_asked_for(catalogue, task, scope, architecture):
    """A checker has the schedule, and the network only where the answer holds one."""
    claimed = json.loads(row_of(catalogue, task, scope=scope)["checker"])
    assert (claimed["claim"], claimed["architecture"]) == ("A0_001", architecture)
    assert len(claimed["cases"]) == 5


def test_a_row_whose_answer_makes_no_file_has_an_empty_checker(catalogue):
    """Traces, explanations and rows without a file have nothing to execute."""
    assert {row_of(catalogue, task)["checker"] for task in ("trace", "explain", "prompts", "unknown")} == {"{}"}
    assert Rows(0).of(example(task="write"), Split.TRAIN, "group")["checker"] == "{}"


# Difficulty and ability.


@pytest.mark.parametrize(
    ("task", "number", "expected"),
    [
        ("prompts", None, "easy"),
        ("explain", 2, "easy"),  # torch, per epoch, one hyperparameter
        ("write", 2, "medium"),
        ("infill", 37, "medium"),  # not torch's, per batch
        ("write", 37, "hard"),
        ("explain", 172, "hard"),  # layer-wise, per batch, not torch's, two hyperparameters
        ("infill", 31, "medium"),  # torch, driven by a metric
    ],
)
def test_the_difficulty_follows_from_task_and_schedule(catalogue, task, number, expected):
    """The points of the task and of the schedule make a row easy, medium or hard."""
    assert difficulty(task, number and catalogue.variant(number)) == expected


def test_every_difficulty_occurs_in_every_kind_of_code_task(catalogue):
    """Each task about code has rows of at least two difficulties, so that a curriculum can select."""
    for task in KINDS.keys() - {"prompts"}:
        assert len({difficulty(task, variant) for variant in catalogue.schedules}) >= 2


def test_abilities_and_points_are_documented():
    """docs/dataset.md names the tasks of each ability, and the tasks with each number of points."""
    document = (REPOSITORY / "docs" / "dataset.md").read_text(encoding="utf-8")
    for ability in {kind.ability for kind in KINDS.values()}:
        named = ", ".join(f"`{task}`" for task, kind in KINDS.items() if kind.ability == ability)
        assert f"`{ability}` ({named})" in " ".join(document.split())
    listed = {
        int(points): re.findall(r"`(\w+)`", tasks)
        for points, tasks in re.findall(r"^\| (\d) \| (.*) \|", document, re.M)
    }
    assert {task: points for points, tasks in listed.items() for task in tasks} == {
        task: kind.points for task, kind in KINDS.items()
    }


def test_every_task_has_a_kind():
    """Each task has an ability of one word; one about files is said to make a file exactly if it assembles one."""
    assert KINDS.keys() == {task.NAME for task in TASKS}
    assert all(kind.ability.isalpha() and kind.ability.islower() for kind in KINDS.values())
    executed = {name for name, kind in KINDS.items() if kind.answer is not Answer.NONE}
    assembled = {task.NAME for task in TASKS if task.assemble.__annotations__["return"] is not None}
    assert executed == assembled - {"schedule", "inject"}  # their answers are the code of compositions

"""Held-out networks and families: every task keeps its training rows, and has rows in each test that can have some."""

import pytest

from lrgen.finetune import tasks
from lrgen.finetune.build import build
from lrgen.finetune.corpus import Level
from lrgen.finetune.example import TaskInput
from lrgen.finetune.mutants import RunContext
from lrgen.finetune.plan import Plan
from lrgen.finetune.rows import Split
from lrgen.finetune.statistics import Tally
from tests.corpus import verified

# Networks of different initials, and schedules of several families with equivalents among them.
NETWORKS = ("AlexNet", "MobileNetV3", "ResNet")
NUMBERS = (1, 2, 6, 7, 12, 15, 23, 25, 31, 37, 38, 41, 60, 75, 90, 100, 120, 140, 150, 165, 170)
EXECUTED = ("repair", "trace", "prefer", "judge", "feedback")  # in the slow tests
OF_COMPOSITIONS = ("schedule", "worked", "inject", "critique")
OF_FILES = tuple(task for task in tasks.TASKS if task.NAME not in OF_COMPOSITIONS)
TASKS = tuple(task for task in OF_FILES if task.NAME not in EXECUTED)
UNSEEN = (Split.TEST_NUMBERS, Split.TEST_STYLES, Split.TEST_PAIRS, Split.TEST_PHASES)  # of compositions alone
ANSWERS_OF_NETWORKS = ("write", "edit", "explain", "convert")


@pytest.fixture(scope="module")
def files(catalogue):
    """The files of the networks."""
    return tuple(verified(catalogue, number, name) for name in NETWORKS for number in NUMBERS)


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> RunContext:
    """A context with a cache for all builds."""
    return RunContext(tmp_path_factory.mktemp("cache"), workers=2)


def tally(catalogue, files, place, context, chosen=TASKS, **options) -> Tally:
    plan = Plan(chosen, (), Level.SCHEDULE, **options)
    return build(TaskInput(catalogue, files, 0), plan, place / "out", context=context).tally


@pytest.mark.parametrize("held_out", ["AlexNet", "ResNet"])
def test_a_held_out_network_takes_no_task_its_rows(catalogue, files, context, tmp_path, held_out):
    """Whatever its initial: each task trains, and those whose answers contain the network are tested on it."""
    counted = tally(catalogue, files, tmp_path, context, holdout_architectures=(held_out,))
    for task in TASKS:
        assert counted.rows[task.NAME, Split.TRAIN] > 0, task.NAME
        assert counted.rows[task.NAME, Split.TEST] > 0, task.NAME
    for name in ANSWERS_OF_NETWORKS:
        assert counted.rows[name, Split.TEST_ARCHITECTURES] > 0, name


def test_held_out_by_both_is_a_test_of_its_own(catalogue, files, context, tmp_path):
    """Files of a held-out family in a held-out network are in neither of the other tests."""
    counted = tally(catalogue, files, tmp_path, context, holdout_families=("step",), holdout_architectures=("ResNet",))
    for name in ("write", "infill", "edit", "explain"):
        for split in set(Split) - set(UNSEEN):
            assert counted.rows[name, split] > 0, (name, split)


@pytest.mark.slow
@pytest.mark.parametrize("held_out", ["AlexNet", "BayesianNet", "MobileNetV3", "ResNet", "VGG"])
def test_every_task_has_rows_in_every_split_that_can_have_some(catalogue, context, tmp_path, held_out):
    """All tasks, mutants and traces included, train and are tested, also where few rows are asked for."""
    networks = dict.fromkeys([held_out, "ResNet", "SqueezeNet"])
    files = tuple(verified(catalogue, variant.number, name) for name in networks for variant in catalogue.schedules)
    counted = tally(
        catalogue, files, tmp_path, context, OF_FILES, holdout_architectures=(held_out,), limit=40 * len(OF_FILES)
    )
    for task in OF_FILES:
        for split in (Split.TRAIN, Split.VALIDATION, Split.TEST):
            assert counted.rows[task.NAME, split] > 0, (task.NAME, split)
        about_networks = task.NAME not in ("infill", "prompts")
        assert counted.rows[task.NAME, Split.TEST_ARCHITECTURES] > 0 or not about_networks, task.NAME

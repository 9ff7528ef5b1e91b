"""The reasons of the checks are sentences with the place, the value and the expected value."""

import math

import numpy as np
import pytest

from lrgen.catalogue import Catalogue
from lrgen.verify.checks import learn_reasons, own_schedule, reference


@pytest.mark.parametrize(
    ("actual", "details", "sentence"),
    [
        ([[0.1, 0.05]], (), "the learning rate at step 1 is 0.05, expected 0.1 (A0_006)"),
        ([[0.1, 1e-33]], (), "the learning rate at step 1 is 0, expected 0.1 (A0_006)"),
        ([[0.1, -0.1]], (), "the learning rate at step 1 is negative: -0.1, expected 0.1 (A0_006)"),
        ([[0.1, math.nan]], (), "the learning rate at step 1 is nan, expected 0.1 (A0_006)"),
        ([[0.1, 0.05]], ("gamma=0.5",), "the learning rate at step 1 (gamma=0.5) is 0.05, expected 0.1 (A0_006)"),
        (
            [[0.1, 0.09], [0.1, 0.5]],
            ("gamma=0.5",),
            "the learning rate at step 1 (gamma=0.5, parameter group 2) is 0.5, expected 0.1 (A0_006)",
        ),
    ],
)
def test_a_wrong_learning_rate_is_described(actual, details, sentence):
    """The sentence is about the group with the largest difference, and names the place, both values and the source."""
    expected = np.full((1, 2), 0.1)
    assert reference.describe(np.array(actual), expected, 1, "at step 1", "A0_006", details) == sentence


@pytest.mark.parametrize(
    ("number", "depths", "reason"),
    [
        (6, [0], ""),
        (6, [0.5], "the depths of the parameter groups must be integers, got [0.5]"),
        (6, "deep", "the depths of the parameter groups must be integers, got deep"),
        (172, [0, 1, 2], ""),
        (172, [0, 0], "the parameter groups have the depths [0, 0], expected one depth per layer (A0_172 {name})"),
        (172, [-1, 0, 1], "the depth of a parameter group must not be negative, got -1"),
        (172, [0, 1, 3], "no parameter group has depth 2, the maximum is 3"),
    ],
)
def test_wrong_depths_are_described(catalogue: Catalogue, number, depths, reason):
    """Each invalid list of depths has its own reason, which names the depth."""
    variant = catalogue.variant(number)
    assert reference.wrong_depths(variant, depths) == reason.format(name=variant.name)


@pytest.mark.parametrize(
    ("rates", "reason"),
    [
        ([0.1, 0.1, 0.1], ""),
        ([0.1, 0.1, math.nan], "the learning rate in learn at epoch 3, batch 1 of 1 is not finite: nan"),
        ([0.1, -0.1, 0.1], "the learning rate in learn at epoch 2, batch 1 of 1 is negative: -0.1"),
    ],
)
def test_learning_rates_are_positive_numbers_whatever_is_claimed(rates, reason):
    """The reason names the first update whose learning rate is none."""
    assert own_schedule.not_numbers(np.array([rates]), [0, 1, 2], 1) == reason


@pytest.mark.parametrize(
    ("groups", "own", "reason"),
    [
        (1, [[0.1, 0.1, 0.1]], ""),
        (
            1,
            [[0.1, 0.1, 0.2]],
            "learn does not follow the file's own make_scheduler: the learning rate in learn at epoch 3, batch 1 of 2 "
            "is 0.1, expected 0.2 (make_scheduler with total_steps=3, stepped once per epoch)",
        ),
        (3, [[0.1] * 3] * 2, "learn has 3 parameter groups, make_scheduler has learning rates for 2"),
    ],
)
def test_a_file_without_a_claim_is_compared_with_itself(groups, own, reason):
    """The reason names the update of ``learn`` that differs from the file's own ``make_scheduler``."""
    actual = np.full((groups, 6), 0.1)
    assert own_schedule.differs_from_own(actual, np.array(own), range(6), 2, 3, "epoch") == reason


@pytest.mark.parametrize(
    ("unit", "rates"),
    [("epoch", [0.4, 0.4, 0.3, 0.3]), ("batch", [0.4, 0.3, 0.2, 0.1]), ("update", [0.4, 0.3, 0.2, 0.1])],
)
def test_an_update_has_the_learning_rate_of_its_epoch_batch_or_update(unit, rates):
    """Of four batches in two epochs each has an update; where only the second of two has, the units differ."""
    own = np.array([[0.4, 0.3, 0.2, 0.1]])
    assert own_schedule.differs_from_own(np.array([rates]), own, range(4), 2, 100, unit) == ""
    accumulated = {"epoch": [0.4, 0.3], "batch": [0.3, 0.1], "update": [0.4, 0.3]}[unit]
    assert own_schedule.differs_from_own(np.array([accumulated]), own, [1, 3], 2, 100, unit) == ""


@pytest.mark.parametrize(
    ("horizon", "batches", "one_update", "units"),
    [
        (3, 1, True, ["epoch"]),
        (3, 7, True, ["epoch"]),
        (3, 7, False, ["epoch"]),
        (21, 7, True, ["batch"]),
        (21, 7, False, ["epoch", "batch", "update"]),
        (100, 7, True, ["epoch", "batch", "update"]),
    ],
)
def test_a_horizon_of_the_epochs_or_batches_tells_the_unit(horizon, batches, one_update, units):
    """A file that gives its scheduler another horizon may step it in any unit."""
    assert own_schedule.units_of(horizon, batches, one_update=one_update) == units


@pytest.mark.parametrize(
    ("number", "actual", "made", "prefix"),
    [
        (1, [0.1, 0.05, 0.05, 0.05], 1, "learn steps the schedule once per batch, expected once per epoch: "),
        (13, [0.1, 0.1, 0.05, 0.05], 1, "learn steps the schedule once per epoch, expected once per batch: "),
        (1, [0.1, 0.1, 0.1, 0.1], 1, "learn never changes the learning rate, scheduler.step() may be missing: "),
        (1, [0.1, 0.1, 0.05, 0.05], 2, "make_scheduler is called 2 times in 2 epochs of learn, expected once: "),
        (1, [0.1, 0.1, 0.05, 0.05], 1, ""),
    ],
)
def test_a_wrong_unit_and_a_missing_step_are_named(catalogue: Catalogue, number, actual, made, prefix):
    """The reason of a difference begins with the mistake that explains it, where the learning rates show one."""
    variant = catalogue.variant(number)
    expected = np.array([[0.1, 0.2, 0.3, 0.4]])
    reason = learn_reasons.why(variant, np.array([actual]), expected, 1, 2, {"gamma": 0.5}, made, None)
    place = f"the learning rate in learn at epoch 1, batch 2 of 2 (gamma=0.5) is {actual[1]:g}, expected 0.2"
    assert reason == f"{prefix}{place} ({variant.label})"

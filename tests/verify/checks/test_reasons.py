"""The reasons of the checks are sentences with the place, the value and the expected value."""

import math
from typing import Any

import numpy as np
import pytest

from lrgen.catalogue import Catalogue
from lrgen.verify.checks import learn_trace, reference


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
    ("changes", "reason"),
    [
        ({}, ""),
        ({"rates": [[0.1] * 4]}, "learn does not make 5 updates in 5 epochs (one per batch)"),
        (
            {"rates": [[0.1, 0.1, math.nan, 0.1, 0.1]]},
            "the learning rate in learn at epoch 3, batch 1 of 1 is not finite: nan",
        ),
        (
            {"rates": [[0.1, -0.1, 0.1, 0.1, 0.1]]},
            "the learning rate in learn at epoch 2, batch 1 of 1 is negative: -0.1",
        ),
        (
            {"own": [[0.1, 0.1, 0.2, 0.1, 0.1]]},
            "learn does not follow the file's own make_scheduler: the learning rate in learn at epoch 3, batch 1 of 1 "
            "is 0.1, expected 0.2 (make_scheduler with total_steps=3, stepped once per epoch)",
        ),
        (
            {"rates": [[0.1] * 5] * 3, "own": [[0.1] * 5] * 2},
            "learn has 3 parameter groups, make_scheduler has learning rates for 2",
        ),
    ],
)
def test_a_file_without_a_claim_is_compared_with_itself(changes: dict[str, Any], reason):
    """The reason names the update of ``learn`` that differs from the file's own ``make_scheduler``."""
    run = {"rates": [[0.1] * 5], "horizon": 3, "per_batch": False, "own": [[0.1] * 5]}
    assert learn_trace.judge_own(run | changes, 1) == reason

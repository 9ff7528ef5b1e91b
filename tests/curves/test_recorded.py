"""Curves against libraries that cannot be installed beside ours: their rates were recorded (see record.py)."""

import json
from pathlib import Path

import numpy as np
import pytest

from lrgen import curves
from tests.curves.comparison import key, variants

RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text())
NUMBERS = sorted({trace["number"] for trace in RECORDED["traces"]})


@pytest.mark.parametrize("number", NUMBERS, ids=key)
def test_a_curve_is_what_the_library_did(number):
    """At each horizon that was recorded the curve has the library's rates, within 1e-9 of the base rate."""
    variant = variants()[number]
    traces = [trace for trace in RECORDED["traces"] if trace["number"] == number]
    assert len(traces) >= 3
    for trace in traces:
        recorded = np.atleast_2d(np.asarray(trace["rates"]))
        steps = range(recorded.shape[1])
        found = curves.rates(variant, steps, trace["horizon"], RECORDED["lr"], depths=range(len(recorded)))
        known = np.isfinite(recorded)
        assert known.sum() >= recorded.size - 1
        difference = np.where(known, np.abs(found - recorded), 0.0)
        assert difference.max() <= 1e-9 * RECORDED["lr"], (trace["code"], trace["horizon"], difference.argmax(axis=1))


def test_what_was_recorded_moves():
    """No recorded trace is empty or constant: a stand-in that swallowed the schedule would show."""
    for trace in RECORDED["traces"]:
        recorded = np.atleast_2d(np.asarray(trace["rates"]))
        assert recorded.shape[1] >= trace["horizon"]
        assert np.ptp(recorded[np.isfinite(recorded)]) > 0.1 * RECORDED["lr"]

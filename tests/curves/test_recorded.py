"""Curves against recorded learning rates of libraries that are not installed (see record.py)."""

import json
from pathlib import Path

import numpy as np
import pytest

from lrgen import curves
from tests.curves.comparison import key, variants

RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text())
NUMBERS = sorted({trace["number"] for trace in RECORDED["traces"]})


@pytest.mark.parametrize("number", NUMBERS, ids=key)
def test_a_curve_equals_the_recorded_learning_rates(number):
    """At each recorded horizon the curve equals the library's learning rates, within 1e-9 of the base rate."""
    variant = variants()[number]
    traces = [trace for trace in RECORDED["traces"] if trace["number"] == number]
    assert len(traces) >= 3
    for trace in traces:
        recorded = np.atleast_2d(np.asarray(trace["rates"]))
        steps = range(recorded.shape[1])
        rates = curves.rates(variant, steps, trace["horizon"], RECORDED["lr"], depths=range(len(recorded)))
        finite = np.isfinite(recorded)
        assert finite.sum() >= recorded.size - 1
        difference = np.where(finite, np.abs(rates - recorded), 0.0)
        assert difference.max() <= 1e-9 * RECORDED["lr"], (trace["code"], trace["horizon"], difference.argmax(axis=1))


def test_no_recorded_trace_is_constant():
    """Every recorded trace covers its horizon and changes by more than a tenth of the base learning rate."""
    for trace in RECORDED["traces"]:
        recorded = np.atleast_2d(np.asarray(trace["rates"]))
        assert recorded.shape[1] >= trace["horizon"]
        assert np.ptp(recorded[np.isfinite(recorded)]) > 0.1 * RECORDED["lr"]

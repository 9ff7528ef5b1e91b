"""The schedule check: the learning rate of each update is that of the variant's curve.

It is measured twice: in ``make_scheduler`` on a dummy parameter, and in ``learn`` itself. The reference is
lrgen.curves, which shares no code with the templates.
"""

import hashlib
import json
from typing import Any

from lrgen.records import Candidate, Stage, VerifySettings
from lrgen.verify.checks import learn_trace, make_scheduler_trace
from lrgen.verify.checks.subject import CheckFailure, Subject

STAGE = Stage.SCHEDULE


def measure(subject: Subject) -> dict[str, Any]:
    """Record the learning rates of ``make_scheduler`` and of ``learn``."""
    assert subject.module is not None
    variant = subject.candidate.variant
    make = getattr(subject.module, "make_scheduler", None)
    if variant is None:
        return {"make_scheduler": [], "learn": learn_trace.measure(subject, make)}
    if make is None:
        raise CheckFailure(f"the file defines no function make_scheduler, which {variant.label} is checked with")
    traces = make_scheduler_trace.measure(subject, variant, make)
    return {"make_scheduler": traces, "learn": learn_trace.measure(subject, make)}


def judge(candidate: Candidate, settings: VerifySettings, measurement: dict[str, Any]) -> str:
    """Compare each trace with the variant's curve, or ``learn`` with the file's own ``make_scheduler``."""
    variant = candidate.variant
    learn_cases = learn_trace.cases(variant)
    runs = measurement["learn"]
    if len(runs) != len(learn_cases):
        return f"the number of measured runs of learn is {len(runs)}, expected {len(learn_cases)}"
    if variant is None:
        reasons = (learn_trace.judge_own(run, batches) for run, (batches, _) in zip(runs, learn_cases, strict=True))
        return next(filter(None, reasons), "")
    cases, traces = make_scheduler_trace.cases(candidate), measurement["make_scheduler"]
    if len(traces) != len(cases):
        return f"the number of measured traces of make_scheduler is {len(traces)}, expected {len(cases)}"
    for case, rates in zip(cases, traces, strict=True):
        reason = make_scheduler_trace.judge(variant, case, rates)
        if reason:
            return reason
    for run, (batches, resume) in zip(runs, learn_cases, strict=True):
        reason = learn_trace.judge(variant, run, batches, resume)
        if reason:
            return reason
    return ""


def trace_of(candidate: Candidate, measurement: dict[str, Any]) -> str | None:
    """A digest of the learning rates with the file's own defaults, and of the unit of the schedule.

    The rates are fractions of the base learning rate. Files whose rates agree to seven digits have the same digest.
    None without a trace of ``make_scheduler``.
    """
    variant = candidate.variant
    if variant is None or not measurement["make_scheduler"]:
        return None
    traced = zip(make_scheduler_trace.cases(candidate), measurement["make_scheduler"], strict=True)
    defaults = [
        (case.horizon, [[round(rate / case.base_lr, 7) + 0.0 for rate in group] for group in rates])
        for case, rates in traced
        if case
        in (make_scheduler_trace.Case(10, depths=case.depths), make_scheduler_trace.Case(90, depths=case.depths))
    ]
    key = {"unit": variant.unit, "metric": variant.metric, "cadence": variant.cadence, "rates": defaults}
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]

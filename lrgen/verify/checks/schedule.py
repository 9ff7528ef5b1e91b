"""Is the learning rate, step by step, what the variant's curve says?

Measured twice: ``make_scheduler`` on a dummy parameter (``direct``), and ``learn`` itself (``learning``). The rates of
each update are compared with lrgen.curves, which shares no code with any template.
"""

import hashlib
import json
from typing import Any

from lrgen.records import Candidate, Stage, VerifySettings
from lrgen.verify.checks import learn_trace, make_scheduler_trace
from lrgen.verify.checks.reference import named
from lrgen.verify.checks.subject import CheckFailure, Subject

STAGE = Stage.SCHEDULE


def measure(subject: Subject) -> dict[str, Any]:
    """The rates of ``make_scheduler`` and of ``learn``."""
    assert subject.module is not None
    variant = subject.candidate.variant
    make = getattr(subject.module, "make_scheduler", None)
    if variant is None:
        return {"direct": [], "learn": learn_trace.measure(subject, make)}
    if make is None:
        raise CheckFailure(f"there is no make_scheduler, so {named(variant)} cannot be traced")
    return {"direct": make_scheduler_trace.measure(subject, variant, make), "learn": learn_trace.measure(subject, make)}


def judge(candidate: Candidate, settings: VerifySettings, measurement: dict[str, Any]) -> str:
    """Compare each trace with the variant's curve; without a variant, ``learn`` with the file's own scheduler."""
    variant = candidate.variant
    learn_cases = learn_trace.cases(variant)
    if len(measurement["learn"]) != len(learn_cases):
        return "the schedule was not measured completely"
    if variant is None:
        runs = zip(measurement["learn"], learn_cases, strict=True)
        return next(filter(None, (learn_trace.judge_own(run, batches) for run, (batches, _) in runs)), "")
    direct_cases = make_scheduler_trace.cases(variant)
    if len(measurement["direct"]) != len(direct_cases):
        return "the schedule was not measured completely"
    for case, rates in zip(direct_cases, measurement["direct"], strict=True):
        reason = make_scheduler_trace.judge(variant, case, rates)
        if reason:
            return reason
    for run, (batches, resume) in zip(measurement["learn"], learn_cases, strict=True):
        reason = learn_trace.judge(variant, run, batches, resume)
        if reason:
            return reason
    return ""


def trace_of(candidate: Candidate, measurement: dict[str, Any]) -> str | None:
    """A digest of the rates that were measured with the file's own defaults, as fractions of the base rate, and of
    what advances them: equal for files whose rates agree to seven digits. None where no curve was traced.
    """
    variant = candidate.variant
    if variant is None or not measurement["direct"]:
        return None
    traced = zip(make_scheduler_trace.cases(variant), measurement["direct"], strict=True)
    plain = [
        (case.horizon, [[round(rate / case.base_lr, 7) + 0.0 for rate in group] for group in rates])
        for case, rates in traced
        if case
        in (make_scheduler_trace.Case(10, depths=case.depths), make_scheduler_trace.Case(90, depths=case.depths))
    ]
    seen = {"unit": variant.unit, "metric": variant.metric, "cadence": variant.cadence, "rates": plain}
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]

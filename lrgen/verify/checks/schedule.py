"""The schedule check: the learning rate of each update is that of the variant's curve, and weights move by it.

It is measured twice: in ``make_scheduler`` on a dummy parameter, and in ``learn`` itself. The reference is
lrgen.curves, which shares no code with the templates.
"""

import hashlib
import json

import numpy as np

from lrgen.records import Stage, Variant
from lrgen.verify.checks import learn_trace, make_scheduler_trace, own_schedule, practices
from lrgen.verify.checks.cases import BASE_LR
from lrgen.verify.checks.examination import Examination
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.reference import Traces

STAGE = Stage.SCHEDULE


def run(examination: Examination) -> None:
    """Compare the traces with the variant's curve, or ``learn`` with the file's own ``make_scheduler``.

    Raises:
        CheckFailure: at the first learning rate or weight that differs.
    """
    assert examination.loaded is not None
    variant = examination.candidate.variant
    if variant is None:
        own_schedule.run(examination)
        return
    if not examination.loaded.makes_scheduler:
        raise CheckFailure(f"the file defines no function make_scheduler, which {variant.label} is checked with")
    traces = make_scheduler_trace.run(examination)
    if not practices.has_other_examples(variant):
        learn_trace.run(examination)
    practices.check(examination)
    examination.trace = digest_of(variant, traces)


def digest_of(variant: Variant, traces: dict[int, Traces]) -> str:
    """A digest of the learning rates with the file's own defaults, and of the unit of the schedule.

    The rates are fractions of the base learning rate. Files whose rates agree to seven digits have the same digest.
    """
    rates = [(horizon, (np.round(trace / BASE_LR, 7) + 0.0).tolist()) for horizon, trace in sorted(traces.items())]
    key = {"unit": variant.unit, "metric": variant.metric, "cadence": variant.cadence, "rates": rates}
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]

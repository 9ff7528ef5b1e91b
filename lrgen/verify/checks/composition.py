"""The check of the code of a schedule alone: its learning rates are those of a composition, at every step.

The code is called as its interface says, in a process of its own, with cases that it cannot know: horizons, base
learning rates, numbers of parameter groups, steps at which it is saved and resumed, and steps past the end.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lrgen.curves.compositions import Composition
from lrgen.realisations import Call, Interface
from lrgen.records import Stage, Unit
from lrgen.verify import horizons, messages
from lrgen.verify.checks.draw import MAX_LR, MIN_LR, Source
from lrgen.verify.checks.examination import Examination, raising
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.reference import Traces
from lrgen.verify.session import FileRaised, Session

STAGE = Stage.SCHEDULE
TOLERANCE = 1e-9
"""Of the base learning rate."""

_CASES = 24
_FIXED_CASES = 6  # of code for one horizon
_LOOPS = 4
_MAX_GROUPS = 3
_PAST_END = 20  # steps
_RESUMES = 3
_SECONDS_A_STEP = 1e-5  # beside the limit of the check: a million steps of a slow scheduler take so long
_LONGEST_LOOP = 400  # steps, for a loop that takes its horizon from the caller


@dataclass(frozen=True)
class ScheduleCase:
    """A call of the code: the planned number of steps, those that are compared, and what else the caller decides."""

    horizon: int
    steps: int
    lr: float
    groups: int
    resume: tuple[int, ...] = ()


def run(examination: Examination) -> None:
    """Compare the learning rates in drawn cases with the curve of the composition.

    Raises:
        CheckFailure: at the first learning rate that differs, or when the code raises or has another form.
    """
    claim = examination.candidate.claim
    assert claim is not None
    composition = Composition.from_json(json.loads(claim.composition))
    interface = Interface.from_json(json.loads(claim.interface))
    with raising("executing the code"):
        examination.session.call(
            "load_schedule",
            messages.Nothing,
            source=examination.candidate.source,
            path=examination.candidate.path.name,
        )
    cases = list(drawn_cases(composition, interface, examination.draw.stream("composition")))
    examination.extend(STAGE, round(sum(case.steps for case in cases) * _SECONDS_A_STEP))
    for case in cases:
        _compare(examination, composition, interface, case)
    examination.evidence.append(f"the code followed its curve in {len(cases)} drawn traces")


def drawn_cases(composition: Composition, interface: Interface, draw: Source) -> Iterator[ScheduleCase]:
    """Yield the cases of the code, the shortest horizons first."""
    loop = interface.call is Call.LOOP
    count = _LOOPS if loop else _CASES
    if not interface.takes_horizon:
        count = 1 if loop and not interface.takes_lr else min(count, _FIXED_CASES)
    for horizon in _horizons(composition, interface, count, draw):
        lr = float(composition.base_lr)
        if interface.takes_lr:
            lr = float(f"{MIN_LR * (MAX_LR / MIN_LR) ** draw.random():.3g}")
        groups = len(composition.groups)
        if groups == 1 and interface.call in (Call.SCHEDULER, Call.SETTER):
            groups = draw.randint(1, _MAX_GROUPS)
        steps = horizon if loop else horizon + draw.randint(1, _PAST_END)
        resumes = draw.randint(0, _RESUMES) if interface.call in (Call.SCHEDULER, Call.LIGHTNING) else 0
        resume = tuple(sorted({draw.randrange(1, steps) for _ in range(resumes)})) if steps > 1 else ()
        yield ScheduleCase(horizon, steps, lr, groups, resume)


def _horizons(composition: Composition, interface: Interface, count: int, draw: Source) -> list[int]:
    if not interface.takes_horizon:
        return [composition.horizon] * count
    drawn = horizons.drawn(composition, draw, count)
    if interface.call is Call.LOOP:
        drawn = [horizon for horizon in drawn if horizon <= _LONGEST_LOOP] or drawn[:1]
    return drawn


def _compare(examination: Examination, composition: Composition, interface: Interface, case: ScheduleCase) -> None:
    actual = rates_of(examination.session, composition, interface, case)
    expected = expected_of(composition, case)
    apart = ~(np.abs(actual - expected) <= TOLERANCE * case.lr)
    if apart.any():
        at, group = map(int, np.argwhere(apart.T)[0])
        resumed = max((step for step in case.resume if step <= at), default=None)
        details = "" if resumed is None else f", resumed at step {resumed}"
        raise CheckFailure(
            f"at step {at} of horizon {case.horizon} the learning rate must be {expected[group, at]:.6g}, "
            f"got {actual[group, at]:.6g} (base learning rate {case.lr:g}{details})"
        )


def expected_of(composition: Composition, case: ScheduleCase) -> Traces:
    """The learning rates of a case by the curve (groups × steps)."""
    groups = composition.groups if len(composition.groups) > 1 else composition.groups * case.groups
    multipliers = composition.multipliers(np.arange(case.steps), case.horizon)
    return np.stack([case.lr * float(group) * multipliers for group in groups])


def rates_of(session: Session, composition: Composition, interface: Interface, case: ScheduleCase) -> Traces:
    """The learning rates that the loaded code gives in a case (groups × steps).

    Raises:
        CheckFailure: when the code raises, or has another form.
    """
    place = f"at horizon {case.horizon}"
    try:
        answer, arrays = session.call(
            "schedule_rates",
            messages.ScheduleRates,
            **interface.to_json(),
            horizon=case.horizon,
            steps=list(range(case.steps)),
            lr=case.lr,
            groups=case.groups,
            per_batch=composition.unit is Unit.BATCH,
            resume=list(case.resume),
        )
    except FileRaised as error:
        raise CheckFailure(f"the code raises {place}: {error}") from error
    if answer.wrong_form:
        raise CheckFailure(messages.printable(answer.wrong_form, 300))
    if answer.raised is not None:
        raise CheckFailure(f"the code raises {place}: {FileRaised(answer.raised)}")
    groups = len(composition.groups) if len(composition.groups) > 1 else case.groups
    if len(arrays) != 1 or arrays[0].shape != (groups, case.steps):
        raise CheckFailure(f"the code does not give {case.steps} learning rates for each parameter group {place}")
    return arrays[0].astype(np.float64)

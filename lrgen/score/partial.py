"""Partial credit for a schedule: the fraction of telling cases in which ``make_scheduler`` follows the curve.

Of the code of a schedule alone it is the fraction of the steps, of those at which a constant learning rate is wrong.

A case tells if neither a constant learning rate nor the family with its default numbers has it right. At horizon 1, for
instance, everything is right. The cases are drawn for each file, as those of the schedule check are.
"""

import contextlib
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

import numpy as np

from lrgen.catalogue import Catalogue
from lrgen.curves.compositions import Composition
from lrgen.realisations import Interface
from lrgen.records import Candidate, CompositionClaim, Variant
from lrgen.verify import isolation, messages
from lrgen.verify.checks import composition, make_scheduler_trace
from lrgen.verify.checks.cases import Case
from lrgen.verify.checks.draw import draw_for, schedule_cases
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.reference import Traces
from lrgen.verify.isolation import Isolation
from lrgen.verify.limits import Limits
from lrgen.verify.nursery_process import Nursery, leased
from lrgen.verify.sandbox import Mechanism
from lrgen.verify.session import Ended, FileRaised, Place

CASES = 12
_STEPS = 400  # of a case at most
_DRAWN = 400  # cases, of which the first telling ones are taken
_SECONDS = 10.0  # of all cases of a file
_MEMORY = 2 << 30


def fractions(
    candidates: Sequence[Candidate],
    catalogue: Catalogue,
    case_seed: int,
    workers: int,
    isolated: Isolation | None = None,
) -> list[float]:
    """The fraction of the telling cases that each file has right, in their order.

    The files run in a sandbox, unless they are isolated as plain processes. A file that raises, ends or takes too long
    has the other cases wrong.

    Raises:
        EngineError: if no nursery can be started.
        IsolationError: if this machine has no sandbox.
    """
    if not candidates:
        return []
    mechanism = Mechanism.PROCESS if isolated is Isolation.PROCESS else isolation.available()
    place = Place(mechanism, Limits(check_seconds=_SECONDS, memory=_MEMORY))
    with leased() as nursery, ThreadPoolExecutor(workers) as pool:

        def fraction(candidate: Candidate) -> float:
            if candidate.claim is not None:
                return _fraction_of_steps(nursery, place, candidate, candidate.claim, case_seed)
            return _fraction(nursery, place, candidate, catalogue, case_seed)

        return list(pool.map(fraction, candidates))


def telling(variant: Variant, catalogue: Catalogue, case_seed: int, sha256: str) -> list[Case]:
    """Draw the telling cases of a file: ``CASES``, or fewer where few tell.

    A variant whose family has no other numbers than its own is compared with a constant learning rate alone.
    """
    drawn = schedule_cases(variant, draw_for(case_seed, sha256).stream("partial"), _DRAWN)
    short = [case for case in islice(drawn, _DRAWN) if case.steps <= _STEPS]
    plain = _plain(variant, catalogue)
    changing = (case for case in short if not _is_right(variant, case, _constant(case)))
    own = list(islice((case for case in changing if plain is None or not _passes(variant, case, plain)), CASES))
    if own:
        return own
    return list(islice((case for case in short if not _is_right(variant, case, _constant(case))), CASES))


def _plain(variant: Variant, catalogue: Catalogue) -> Variant | None:
    """The first variant of the family that takes the same cases."""
    return next(
        (
            other
            for other in catalogue.schedules
            if (other.family, other.unit, other.metric, other.layerwise)
            == (variant.family, variant.unit, variant.metric, variant.layerwise)
        ),
        None,
    )


def _constant(case: Case) -> Traces:
    return np.repeat(np.array(case.base_lrs)[:, None], case.steps, axis=1)


def _passes(variant: Variant, case: Case, plain: Variant) -> bool:
    """Whether the numbers of another variant, whatever the hyperparameters, pass a case."""
    return _is_right(variant, case, make_scheduler_trace.expected_of(plain, replace(case, prm={})))


def _is_right(variant: Variant, case: Case, rates: Traces) -> bool:
    return not make_scheduler_trace.judge(variant, case, rates)


def _fraction(nursery: Nursery, place: Place, candidate: Candidate, catalogue: Catalogue, case_seed: int) -> float:
    variant = candidate.variant
    if variant is None:
        return 0.0
    cases = telling(variant, catalogue, case_seed, candidate.sha256)
    right = 0
    with contextlib.suppress(Ended, FileRaised), nursery.session(place) as session:
        session.allow(time.monotonic() + _SECONDS, f"it takes longer than {_SECONDS:g} s")
        session.call("load", messages.Loaded, source=candidate.source, path=candidate.path.name, absent=[])
        for case in cases:
            with contextlib.suppress(CheckFailure):
                right += _is_right(variant, case, make_scheduler_trace.trace(session, variant, case))
    return right / len(cases) if cases else 0.0


def _fraction_of_steps(
    nursery: Nursery, place: Place, candidate: Candidate, claim: CompositionClaim, case_seed: int
) -> float:
    wanted = Composition.from_json(json.loads(claim.composition))
    interface = Interface.from_json(json.loads(claim.interface))
    draw = draw_for(case_seed, candidate.sha256).stream("partial")
    cases = list(islice(composition.drawn_cases(wanted, interface, draw), CASES))
    right = telling_steps = 0
    with contextlib.suppress(Ended, FileRaised), nursery.session(place) as session:
        session.allow(time.monotonic() + _SECONDS, f"it takes longer than {_SECONDS:g} s")
        session.call("load_schedule", messages.Nothing, source=candidate.source, path=candidate.path.name)
        for case in cases:
            expected = composition.expected_of(wanted, case)
            tells = np.abs(expected - case.lr) > composition.TOLERANCE * case.lr
            tells[:, case.horizon :] = False  # the last level, however many steps of it there are
            telling_steps += int(tells.sum())
            with contextlib.suppress(CheckFailure):
                actual = composition.rates_of(session, wanted, interface, case)
                right += int((tells & (np.abs(actual - expected) <= composition.TOLERANCE * case.lr)).sum())
    return right / telling_steps if telling_steps else 0.0

"""Runs under several seeds → which schedules can be told apart, and which cannot.

Two schedules are compared over the seeds under which both were run: one seed means one initialisation and one order of
the batches, so that what both owe to it cancels in the difference. The mean of n such differences lies in Student's t
interval with n − 1 degrees of freedom ("The probable error of a mean", Biometrika 6, 1908), which takes them for
normal: with few pairs it is wide, and nothing narrower would be honest. The more schedules, the more differences are
found where there is none; so the intervals are widened until all hold together with ``CONFIDENCE`` (Bonferroni; Dunn,
"Multiple comparisons among means", JASA 56, 1961). Holm's procedure (1979), which Demšar (JMLR 7, 2006) names for
comparisons with a baseline, finds a little more, but by steps that no interval shows: here an interval that holds zero
is a tie, and one that does not is none, in the verdicts and in the ranks alike.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev
from typing import Any

from lrgen.errors import NoResultError
from lrgen.records import Status

CONFIDENCE = 0.95
# Accuracies are shares of whole images: what is less than this is rounding.
_ROUNDING = 1e-9
_FAILED = {status.value for status in Status if not status.ok}


class Verdict(StrEnum):
    """What a difference says of a schedule."""

    BETTER = "better"
    WORSE = "worse"
    TIE = "tie"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Run:
    """The accuracy that a schedule came to under a seed."""

    schedule: str
    seed: int
    accuracy: float


@dataclass(frozen=True)
class Difference:
    """The mean of the differences over the shared seeds (None: there is none), and the interval in which it lies.

    There is no interval where no noise can be seen: with fewer than two pairs, and where all differ by the same amount.
    """

    pairs: int
    mean: float | None
    interval: tuple[float, float] | None

    @property
    def verdict(self) -> Verdict:
        if self.interval is None:
            return Verdict.UNKNOWN
        low, high = self.interval
        return Verdict.BETTER if low > 0 else Verdict.WORSE if high < 0 else Verdict.TIE


@dataclass(frozen=True)
class Standing:
    """Where a schedule stands; ``rank`` and ``deviation`` (of the sample) are None with a single run."""

    schedule: str
    rank: int | None
    runs: int
    mean: float
    deviation: float | None
    difference: Difference


@dataclass(frozen=True)
class Comparison:
    """Schedules in the order of their means, each against the baseline; ``confidence`` is that of one interval."""

    baseline: str
    confidence: float
    standings: tuple[Standing, ...]


@dataclass(frozen=True)
class Pool:
    """Runs that may be compared, what they have in common, and how many others there were.

    ``failed`` of them did not pass their checks: a schedule that fails under a seed must not look better for it.
    ``absent`` are the schedules that have only other runs.
    """

    runs: tuple[Run, ...]
    conditions: dict[str, Any]
    failed: int
    left_out: int
    absent: tuple[str, ...]


def compare(runs: Iterable[Run], baseline: str | None = None) -> Comparison:
    """Compare each schedule with the baseline, by default the best of those that were run more than once.

    The ranks come from a walk down the means: a schedule that is worse than the leader of its rank, by the interval of
    their own differences, leads the next one, and its rank is its place. All others share the leader's: they cannot be
    told apart from it. As many comparisons are reckoned with as there are schedules of two or more runs beside one.
    """
    values: dict[str, dict[int, float]] = {}
    for run in runs:
        values.setdefault(run.schedule, {})[run.seed] = run.accuracy
    order = sorted(values, key=lambda schedule: (-fmean(values[schedule].values()), schedule))
    repeated = [schedule for schedule in order if len(values[schedule]) > 1]
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(repeated) - 1)
    chosen = baseline or (repeated or order)[0]
    ranks: dict[str, int] = {}
    leader: str | None = None
    for place, schedule in enumerate(repeated, 1):
        if leader is None or paired(values[schedule], values[leader], confidence).verdict is Verdict.WORSE:
            leader, rank = schedule, place
        ranks[schedule] = rank
    standings = (
        Standing(
            schedule=schedule,
            rank=ranks.get(schedule),
            runs=len(values[schedule]),
            mean=fmean(values[schedule].values()),
            deviation=stdev(values[schedule].values()) if schedule in ranks else None,
            difference=paired(values[schedule], values[chosen], confidence),
        )
        for schedule in order
    )
    return Comparison(chosen, confidence, tuple(standings))


def paired(values: Mapping[int, float], others: Mapping[int, float], confidence: float = CONFIDENCE) -> Difference:
    """The difference of two schedules, each an accuracy by seed."""
    differences = [values[seed] - others[seed] for seed in values.keys() & others.keys()]
    pairs = len(differences)
    mean = fmean(differences) if differences else None
    if mean is None or pairs < 2:
        return Difference(pairs, mean, None)
    deviation = stdev(differences)
    if deviation < _ROUNDING:
        return Difference(pairs, mean, None) if abs(mean) > _ROUNDING else Difference(pairs, 0.0, (0.0, 0.0))
    from scipy.special import stdtrit

    reach = float(stdtrit(pairs - 1, (1 + confidence) / 2)) * deviation / math.sqrt(pairs)
    return Difference(pairs, mean, (mean - reach, mean + reach))


def pool(rows: Iterable[Mapping[str, Any]], baseline: str | None = None) -> Pool:
    """The runs that may be compared, of those that ``Store.best_of_runs`` finds, oldest first.

    All were trained alike: with the same settings apart from the seed, on the same data, by the same torch on the same
    kind of device; what a caller recorded has settings of its own kind, and so is never pooled with what was executed.
    Those of one schedule are of the same file. Where there are several such conditions, those of the newest run count
    (of the baseline's newest, where one is named), and of several runs under one seed the newest.

    Raises:
        NoResultError: when there is no run, or none of the baseline.
    """
    known = [(row, *_conditions(row)) for row in rows]
    asked = [shared for row, shared, _ in known if baseline in (None, row["scheduler_type"])]
    if not asked:
        raise NoResultError(f"no run of the baseline {baseline}" if known else "no run to compare")
    conditions = asked[-1]
    alike = [(row, own) for row, shared, own in known if shared == conditions]
    newest = {row["scheduler_type"]: own for row, own in alike}
    counted = {(row["scheduler_type"], row["seed"]): row for row, own in alike if own == newest[row["scheduler_type"]]}
    return Pool(
        runs=tuple(Run(schedule, seed, row["accuracy"]) for (schedule, seed), row in counted.items()),
        conditions=conditions,
        failed=sum(row["status"] in _FAILED for row in counted.values()),
        left_out=len(known) - len(counted),
        absent=tuple(sorted({row["scheduler_type"] for row, *_ in known} - newest.keys())),
    )


def _conditions(row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a run has in common with those of other schedules, and what only with those of its own file."""
    own: dict[str, Any] = {"source_sha256": row["source_sha256"]}
    shared = {name: row[name] for name in ("dataset", "training", "device", "torch", "check_version")}
    try:
        settings = json.loads(row["settings"])
    except ValueError:  # a caller's
        return shared | {"settings": row["settings"]}, own
    command = json.loads(settings.pop("settings"))
    command.pop("seed", None)
    shared |= {"settings": command, "budget": settings.pop("budget", None)}
    return shared, own | settings

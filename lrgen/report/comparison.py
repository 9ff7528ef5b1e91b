"""Comparison of schedules over several seeds: paired differences, confidence intervals and ranks.

Two schedules are compared over the seeds that both have: one seed means one initialisation and one order of the
batches, and its effect on both runs cancels in the difference. Student's t interval with n − 1 degrees of freedom ("The
probable error of a mean", Biometrika 6, 1908) contains the mean of n such differences, if these are normally
distributed. With few pairs it is wide; a narrower interval would not be justified. Many comparisons produce false
differences, so the intervals are widened until all of them hold simultaneously with ``CONFIDENCE`` (Bonferroni; Dunn,
"Multiple comparisons among means", JASA 56, 1961). Holm's procedure (1979), which Demšar (JMLR 7, 2006) recommends for
comparisons with a baseline, has slightly more power, but its steps do not correspond to intervals. Here an interval
that contains zero is a tie, in the verdicts and in the ranks.
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
# Accuracies are ratios of image counts: a smaller difference is rounding.
_ROUNDING = 1e-9
_FAILED = {status.value for status in Status if not status.ok}


class Verdict(StrEnum):
    """The result of comparing a schedule with the baseline."""

    BETTER = "better"
    WORSE = "worse"
    TIE = "tie"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Run:
    """The accuracy of a schedule under a seed."""

    schedule: str
    seed: int
    accuracy: float


@dataclass(frozen=True)
class Difference:
    """The mean difference over the shared seeds, and its confidence interval.

    Without shared seeds, the mean is None. The interval is None where the noise cannot be estimated: with fewer than
    two pairs, or when all pairs differ by the same nonzero amount.
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
    """The statistics of a schedule; ``rank`` and the sample ``standard_deviation`` are None for a single run."""

    schedule: str
    rank: int | None
    runs: int
    mean: float
    standard_deviation: float | None
    difference: Difference


@dataclass(frozen=True)
class Comparison:
    """Schedules by descending mean, each compared with the baseline; ``confidence`` is that of a single interval."""

    baseline: str
    confidence: float
    standings: tuple[Standing, ...]


@dataclass(frozen=True)
class Pool:
    """Runs that may be compared, their common conditions, and the number of other runs.

    ``failed`` counts the runs that did not pass their checks; they are included, because a schedule that fails under a
    seed must not look better for it. ``left_out`` counts the other runs, and ``absent`` names the schedules that have
    only those.
    """

    runs: tuple[Run, ...]
    conditions: dict[str, Any]
    failed: int
    left_out: int
    absent: tuple[str, ...]


def compare(runs: Iterable[Run], baseline: str | None = None) -> Comparison:
    """Compare each schedule with the baseline, by default the best schedule with more than one run.

    Ranks are assigned in the order of the means. A schedule whose interval shows that it is worse than the leader of
    the current rank becomes the next leader, and its position is its rank. All others share the leader's rank. The
    intervals are corrected for the number of schedules with two or more runs, less one.
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
    for position, schedule in enumerate(repeated, 1):
        if leader is None or paired(values[schedule], values[leader], confidence).verdict is Verdict.WORSE:
            leader, rank = schedule, position
        ranks[schedule] = rank
    standings = (
        Standing(
            schedule=schedule,
            rank=ranks.get(schedule),
            runs=len(values[schedule]),
            mean=fmean(values[schedule].values()),
            standard_deviation=stdev(values[schedule].values()) if schedule in ranks else None,
            difference=paired(values[schedule], values[chosen], confidence),
        )
        for schedule in order
    )
    return Comparison(chosen, confidence, tuple(standings))


def paired(values: Mapping[int, float], others: Mapping[int, float], confidence: float = CONFIDENCE) -> Difference:
    """Return the paired difference of two schedules, each given as accuracies by seed."""
    differences = [values[seed] - others[seed] for seed in values.keys() & others.keys()]
    pairs = len(differences)
    mean = fmean(differences) if differences else None
    if mean is None or pairs < 2:
        return Difference(pairs, mean, None)
    noise = stdev(differences)
    if noise < _ROUNDING:
        return Difference(pairs, mean, None) if abs(mean) > _ROUNDING else Difference(pairs, 0.0, (0.0, 0.0))
    from scipy.special import stdtrit

    half_width = float(stdtrit(pairs - 1, (1 + confidence) / 2)) * noise / math.sqrt(pairs)
    return Difference(pairs, mean, (mean - half_width, mean + half_width))


def pool(rows: Iterable[Mapping[str, Any]], baseline: str | None = None) -> Pool:
    """Return the comparable runs among the rows of ``Store.best_of_runs``, which are ordered from oldest to newest.

    Comparable runs have the same settings apart from the seed, the same data, the same version of torch and the same
    kind of device; those of one schedule also have the same file. A caller's runs have settings of another form and are
    never pooled with executed runs. Among several conditions, those of the newest run are chosen, or those of the
    baseline's newest run if a baseline is named. Among several runs under one seed, the newest is chosen.

    Raises:
        NoResultError: when there is no run, or no run of the baseline.
    """
    known = [(row, *_conditions(row)) for row in rows]
    candidates = [shared for row, shared, _ in known if baseline in (None, row["scheduler_type"])]
    if not candidates:
        raise NoResultError(f"no run of the baseline {baseline}" if known else "no run to compare")
    conditions = candidates[-1]
    comparable = [(row, own) for row, shared, own in known if shared == conditions]
    newest = {row["scheduler_type"]: own for row, own in comparable}
    of_newest_files = [row for row, own in comparable if own == newest[row["scheduler_type"]]]
    pooled = {(row["scheduler_type"], row["seed"]): row for row in of_newest_files}
    return Pool(
        runs=tuple(Run(schedule, seed, row["accuracy"]) for (schedule, seed), row in pooled.items()),
        conditions=conditions,
        failed=sum(row["status"] in _FAILED for row in pooled.values()),
        left_out=len(known) - len(pooled),
        absent=tuple(sorted({row["scheduler_type"] for row, *_ in known} - newest.keys())),
    )


def _conditions(row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the conditions that a run must share with all other runs, and those of its own schedule alone."""
    own: dict[str, Any] = {"source_sha256": row["source_sha256"]}
    shared = {name: row[name] for name in ("dataset", "training", "device", "torch", "check_version")}
    try:
        settings = json.loads(row["settings"])
    except ValueError:  # a caller recorded the run
        return shared | {"settings": row["settings"]}, own
    command = json.loads(settings.pop("settings"))
    command.pop("seed", None)
    shared |= {"settings": command, "budget": settings.pop("budget", None)}
    return shared, own | settings

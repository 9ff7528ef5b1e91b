"""The summary of a run: rates with intervals, mean rewards and pass@k, over all rows and by group."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lrgen.errors import ScoreError
from lrgen.score import statistics
from lrgen.score.results import Conditions
from lrgen.score.verdict import Verdict

KS = (1, 10, 100)


@dataclass(frozen=True)
class Seen:
    """The families and the architectures of the training split; all others are unseen."""

    families: Collection[str]
    architectures: Collection[str]

    def of(self, verdict: Verdict) -> str:
        """Return the kind of a row: ``seen family × unseen network``."""
        family = "seen" if verdict.family in self.families else "unseen"
        network = "seen" if verdict.architecture in self.architectures else "unseen"
        return f"{family} family × {network} network"


def ks_of(samples: Iterable[int], requested: Sequence[int] = ()) -> list[int]:
    """Return the numbers k of pass@k: the requested ones, else those of 1, 10 and 100 that every row reaches.

    Args:
        samples: the number of samples of each scored row.
        requested: the numbers that were given by hand.

    Raises:
        ScoreError: if a requested number is not positive, or no row has so many samples.
    """
    counts = list(samples)
    most = max(counts, default=0)
    for k in requested:
        if k < 1:
            raise ScoreError(f"--k {k}: must be at least 1")
        if k > most:
            raise ScoreError(f"--k {k}: no row has so many samples; the largest number is {most}")
    return sorted(set(requested)) or [k for k in KS if counts and k <= min(counts)]


def summarise(
    verdicts: Sequence[Verdict], conditions: Conditions, rows: int, seen: Seen, requested: Sequence[int] = ()
) -> dict[str, Any]:
    """Return the content of ``summary.json``.

    Args:
        verdicts: the verdicts of the run.
        conditions: the conditions of the run.
        rows: the number of rows of the dataset that were selected, with and without samples.
        seen: the families and architectures that the training split has.
        requested: the numbers k that were given by hand.

    Raises:
        ScoreError: as ``ks_of``.
    """
    counts = Counter(verdict.row_id for verdict in verdicts)
    ks = ks_of(counts.values(), requested)
    return asdict(conditions) | {
        "samples": len(verdicts),
        "rows": len(counts),
        "rows_without_sample": rows - len(counts),
        "k": ks,
        "rows_below_k": {str(k): below for k in ks if (below := sum(count < k for count in counts.values()))},
        "all": group_of(verdicts, ks),
        "by_task": by_task(verdicts, ks),
        "by_split": _by(verdicts, ks, lambda verdict: verdict.split),
        "by_family": _by(verdicts, ks, lambda verdict: verdict.family),
        "by_architecture": _by(verdicts, ks, lambda verdict: verdict.architecture),
        "by_seen": _by(verdicts, ks, seen.of),
    }


def group_of(verdicts: Sequence[Verdict], ks: Sequence[int]) -> dict[str, Any]:
    """Return the numbers of a group of verdicts.

    ``pass_rate`` and ``mean_reward`` are means over samples, ``pass@k`` is one over rows with at least k samples, None
    without such a row. The interval regards samples as independent; it is too narrow for many samples of few rows.
    """
    passed = sum(verdict.passed for verdict in verdicts)
    counts = passed_of_rows((verdict.row_id, verdict.passed) for verdict in verdicts)
    return {
        "rows": len(counts),
        "samples": len(verdicts),
        "passed": passed,
        "pass_rate": passed / len(verdicts) if verdicts else None,
        "wilson": list(statistics.wilson(passed, len(verdicts))),
        "mean_reward": statistics.mean([verdict.reward for verdict in verdicts]),
    } | pass_at_ks(counts.values(), ks)


def by_task(verdicts: Sequence[Verdict], ks: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Return the numbers of each task."""
    return _by(verdicts, ks, lambda verdict: verdict.task)


def passed_of_rows(samples: Iterable[tuple[str, bool]]) -> dict[str, tuple[int, int]]:
    """Return the number of samples of each row and the number of those that passed."""
    counts: dict[str, tuple[int, int]] = {}
    for row_id, passed in samples:
        number, before = counts.get(row_id, (0, 0))
        counts[row_id] = number + 1, before + passed
    return counts


def pass_at_ks(counts: Iterable[tuple[int, int]], ks: Sequence[int]) -> dict[str, float | None]:
    """Return pass@k for each k: the mean over the rows with at least k samples, None without such a row."""
    rows = list(counts)
    return {
        f"pass@{k}": statistics.mean([statistics.pass_at_k(*count, k) for count in rows if count[0] >= k]) for k in ks
    }


def _by(verdicts: Sequence[Verdict], ks: Sequence[int], group: Callable[[Verdict], str]) -> dict[str, dict[str, Any]]:
    groups = defaultdict(list)
    for verdict in verdicts:
        groups[group(verdict)].append(verdict)
    return {name: group_of(groups[name], ks) for name in sorted(groups)}

"""Comparison of two runs, paired by row.

The unit is a row of the dataset: the samples of a row are averaged, because they share its prompt and are not
independent. Rows that only one run has are left out. The difference is that of the second run from the first, with a
bootstrap interval of its mean over rows; McNemar's exact test (Psychometrika 12, 1947) counts the rows on which the
runs differ. With several samples of a row, a row counts for the run that passed more of them: the sign test.

A difference is a tie unless its interval excludes zero and chance is an unlikely explanation: for the pass rate by the
test, for the mean reward by the number of rows that differ. The bootstrap alone is too sure of itself with few rows.
The intervals and tests of tasks are corrected for the number of tasks (Bonferroni), as in lrgen.report.comparison.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from lrgen.errors import ScoreError
from lrgen.score import statistics
from lrgen.score.results import Conditions, Scored
from lrgen.score.statistics import CONFIDENCE
from lrgen.score.verdict import Verdict

# Conditions under which passing, or a reward, means the same.
_SHARED = ("ladder", "stage", "policy")
# With fewer rows that differ, no exact test at 95% can tell the runs apart: 2 · (1/2)⁵ > 0.05.
_FEWEST = 6
_ROUNDING = 1e-9


class Conclusion(StrEnum):
    """The second run, compared with the first."""

    BETTER = "better"
    WORSE = "worse"
    TIE = "tie"


@dataclass(frozen=True)
class Difference:
    """The difference of the means of two runs over rows, second − first, and its interval."""

    first: float
    second: float
    mean: float
    interval: tuple[float, float]
    verdict: Conclusion


@dataclass(frozen=True)
class Group:
    """The comparison over some rows.

    Attributes:
        rows: number of rows that both runs have.
        gained: number of rows of which the second run passed more samples.
        lost: number of rows of which the first run passed more samples.
        p: the p-value of McNemar's exact test.
        pass_rate: the difference of the pass rate, whose verdict is that of the comparison.
        reward: the difference of the mean reward.
    """

    rows: int
    gained: int
    lost: int
    p: float
    pass_rate: Difference
    reward: Difference


@dataclass(frozen=True)
class Comparison:
    """Two runs compared over the rows that both have, and by task.

    Attributes:
        only_first: number of rows that only the first run has.
        only_second: number of rows that only the second run has.
        conditions: the conditions in which the runs differ, each with the values of both.
        confidence: the confidence of the interval over all rows, and of those of all tasks together.
        confidence_of_each: the confidence of the interval of a task.
        all: the comparison over all rows.
        by_task: task → the comparison over its rows.
    """

    only_first: int
    only_second: int
    conditions: dict[str, tuple[object, object]]
    confidence: float
    confidence_of_each: float
    all: Group
    by_task: dict[str, Group]


@dataclass(frozen=True)
class _Row:
    """The samples of a row of a run."""

    task: str
    pass_rate: float
    reward: float


_Pair = tuple[_Row, _Row]


def compare(first: Scored, second: Scored) -> Comparison:
    """Compare the second run with the first.

    Raises:
        ScoreError: if they have no row in common, or their verdicts do not mean the same.
    """
    differing = _differing(first.conditions, second.conditions)
    apart = [f"{name} {differing[name][0]} and {differing[name][1]}" for name in _SHARED if name in differing]
    if apart:
        raise ScoreError(f"{first.folder} and {second.folder} cannot be compared: {', '.join(apart)}")
    rows, others = _rows(first.verdicts), _rows(second.verdicts)
    pairs = [(rows[row_id], others[row_id]) for row_id in sorted(rows.keys() & others.keys())]
    if not pairs:
        raise ScoreError(f"{first.folder} and {second.folder} cannot be compared: they have no row in common")
    by_task = defaultdict(list)
    for pair in pairs:
        by_task[pair[0].task].append(pair)
    each = 1 - (1 - CONFIDENCE) / len(by_task)
    return Comparison(
        only_first=len(rows) - len(pairs),
        only_second=len(others) - len(pairs),
        conditions=differing,
        confidence=CONFIDENCE,
        confidence_of_each=each,
        all=_group(pairs, CONFIDENCE),
        by_task={task: _group(by_task[task], each) for task in sorted(by_task)},
    )


def _differing(first: Conditions, second: Conditions) -> dict[str, tuple[object, object]]:
    before, after = asdict(first), asdict(second)
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}


def _rows(verdicts: Sequence[Verdict]) -> Mapping[str, _Row]:
    samples = defaultdict(list)
    for verdict in verdicts:
        samples[verdict.row_id].append(verdict)
    return {
        row_id: _Row(
            task=of_row[0].task,
            pass_rate=sum(verdict.passed for verdict in of_row) / len(of_row),
            reward=statistics.mean([verdict.reward for verdict in of_row]) or 0.0,
        )
        for row_id, of_row in samples.items()
    }


def _group(pairs: Sequence[_Pair], confidence: float) -> Group:
    rates = [(before.pass_rate, after.pass_rate) for before, after in pairs]
    gained = sum(after - before > _ROUNDING for before, after in rates)
    lost = sum(before - after > _ROUNDING for before, after in rates)
    p = statistics.mcnemar(gained, lost)
    rewards = [(before.reward, after.reward) for before, after in pairs]
    differ = sum(abs(after - before) > _ROUNDING for before, after in rewards)
    return Group(
        rows=len(pairs),
        gained=gained,
        lost=lost,
        p=p,
        pass_rate=_difference(rates, confidence, unlikely=p < 1 - confidence),
        reward=_difference(rewards, confidence, unlikely=differ >= _FEWEST),
    )


def _difference(values: Sequence[tuple[float, float]], confidence: float, unlikely: bool) -> Difference:
    """Return the difference of paired values; without ``unlikely``, that chance explains it, it is a tie."""
    differences = [after - before for before, after in values]
    low, high = statistics.bootstrap(differences, confidence)
    verdict = Conclusion.TIE
    if unlikely and (low > 0 or high < 0):
        verdict = Conclusion.BETTER if low > 0 else Conclusion.WORSE
    return Difference(
        first=statistics.mean([before for before, _ in values]) or 0.0,
        second=statistics.mean([after for _, after in values]) or 0.0,
        mean=statistics.mean(differences) or 0.0,
        interval=(low, high),
        verdict=verdict,
    )

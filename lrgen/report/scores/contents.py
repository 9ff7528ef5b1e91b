"""The content of the page of scores: plain values, gathered within limits that keep the page usable.

All numbers are computed by the caller. Samples are shown as text with visible escapes for characters that would not be
seen, such as those that change the direction of text: what a model wrote is not trusted.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_SAMPLES = 10_000
MAX_PLOTTED = 5  # runs with a colour
MAX_CHARACTERS = 10_000_000  # of the answers together
MAX_ANSWER = 4_000
MAX_REASON = 400

PASSED = "passed"
NO_ANSWER = "no answer"  # the name of the empty check

_UNUSUAL = re.compile(r"[^\n\t -~]")

Numbers = Mapping[str, Any]
"""The numbers of a group of samples: rows, samples, passed, pass_rate, wilson, mean_reward, pass@1 …"""


@dataclass(frozen=True)
class Sample:
    """A completion with its verdict."""

    row_id: str
    sample: int
    task: str
    split: str
    family: str
    architecture: str
    check: str
    reward: float
    passed: bool
    reason: str
    answer: str


@dataclass(frozen=True)
class Run:
    """A scored run: its name, its conditions, its numbers over all samples and by task, and its samples."""

    name: str
    conditions: Mapping[str, object]
    all: Numbers
    by_task: Mapping[str, Numbers]
    samples: Sequence[Sample]

    @property
    def ks(self) -> list[str]:
        """The names of its pass@k."""
        return [name for name in self.all if name.startswith("pass@")]


@dataclass(frozen=True)
class Comparison:
    """A run compared with the first run: the numbers of ``lrgen score compare --json``, or why there are none."""

    name: str
    numbers: Mapping[str, Any] | None
    reason: str = ""


@dataclass(frozen=True)
class Browser:
    """The samples of the page as a value for JSON.

    Attributes:
        document: the names of the runs, tasks and checks, and for each sample a list of values in the order of the
            script ``browser.js``.
        shown: number of samples on the page.
        total: number of samples of the runs.
        longest: characters after which an answer is cut.
    """

    document: Mapping[str, Any]
    shown: int
    total: int
    longest: int


@dataclass(frozen=True)
class Scores:
    """The content of the page."""

    runs: Sequence[Run]
    comparisons: Sequence[Comparison]
    browser: Browser

    @property
    def tasks(self) -> list[str]:
        """The tasks of all runs."""
        return sorted({task for run in self.runs for task in run.by_task})

    @property
    def ks(self) -> list[str]:
        """The names of the pass@k of all runs, from the smallest k."""
        return sorted({k for run in self.runs for k in run.ks}, key=lambda name: int(name.removeprefix("pass@")))

    @property
    def rows(self) -> int:
        """The number of distinct rows."""
        return len({sample.row_id for run in self.runs for sample in run.samples})


def gather(runs: Sequence[Run], comparisons: Sequence[Comparison], checks: Sequence[str]) -> Scores:
    """Gather the content of the page.

    Args:
        runs: the runs, the first of which is the one that the others are compared with.
        comparisons: one for each other run.
        checks: the values of ``Sample.check``, in their order.
    """
    return Scores(runs, comparisons, _browser(runs, checks))


def ends(run: Run, checks: Sequence[str]) -> dict[str, float]:
    """Return the fraction of a run's samples that failed after each check, and of those that passed."""
    counts = Counter(PASSED if sample.passed else sample.check or NO_ANSWER for sample in run.samples)
    names = [*(check or NO_ANSWER for check in checks), PASSED]
    return {name: counts[name] / len(run.samples) for name in names if run.samples}


def visible(text: str, limit: int) -> str:
    """Return a text cut to a length, with escapes for control, bidirectional and other characters that are not seen."""
    escaped = _UNUSUAL.sub(lambda match: _escaped(match.group()), text[: limit + 1])
    return escaped if len(escaped) <= limit else f"{escaped[:limit]}…"


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def _browser(runs: Sequence[Run], checks: Sequence[str]) -> Browser:
    samples = _chosen([(number, sample) for number, run in enumerate(runs) for sample in run.samples])
    longest = min(MAX_ANSWER, MAX_CHARACTERS // max(1, len(samples)))
    tasks = sorted({sample.task for _, sample in samples})
    differing = _differing(runs)
    entries = [
        (
            number,
            tasks.index(sample.task),
            checks.index(sample.check),
            int(sample.passed),
            int(sample.row_id in differing),
            visible(sample.row_id, MAX_REASON),
            sample.sample,
            round(sample.reward, 3),
            visible(f"{sample.architecture}, {sample.family}, {sample.split}", MAX_REASON),
            visible(sample.reason, MAX_REASON),
            visible(sample.answer, longest),
        )
        for number, sample in samples
    ]
    document = {
        "runs": [run.name for run in runs],
        "tasks": tasks,
        "checks": [check or NO_ANSWER for check in checks],
        "samples": entries,
    }
    return Browser(document, len(samples), sum(len(run.samples) for run in runs), longest)


def _chosen(samples: list[tuple[int, Sample]]) -> list[tuple[int, Sample]]:
    """Return the samples ordered by row; if there are too many, those of rows at equal distances, of every run."""
    order = {row_id: place for place, row_id in enumerate(dict.fromkeys(sample.row_id for _, sample in samples))}
    total = max(len(samples), MAX_SAMPLES)
    kept = [(number, sample) for number, sample in samples if order[sample.row_id] * MAX_SAMPLES % total < MAX_SAMPLES]
    kept.sort(key=lambda entry: (order[entry[1].row_id], entry[0], entry[1].sample))
    return kept[:MAX_SAMPLES]


def _differing(runs: Sequence[Run]) -> set[str]:
    """Return the rows of which two runs passed different fractions of their samples."""
    fractions = defaultdict(set)
    for run in runs:
        counts: dict[str, list[bool]] = defaultdict(list)
        for sample in run.samples:
            counts[sample.row_id].append(sample.passed)
        for row_id, passed in counts.items():
            fractions[row_id].add(sum(passed) / len(passed))
    return {row_id for row_id, distinct in fractions.items() if len(distinct) > 1}

"""Comparisons of schedules agree with hand computation, with scipy, and with simulated experiments."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lrgen.errors import NoResultError
from lrgen.report.comparison import Difference, Run, Verdict, compare, paired, pool


def runs_of(**accuracies: list[float]) -> list[Run]:
    """Return the runs of schedules, each with its accuracies under the seeds from 0 on."""
    return [Run(name, seed, value) for name, values in accuracies.items() for seed, value in enumerate(values)]


def by_seed(values: list[float]) -> dict[int, float]:
    return dict(enumerate(values))


def ranks(*runs: Run) -> dict[str, int | None]:
    return {standing.schedule: standing.rank for standing in compare(runs).standings}


# Paired differences.


def test_the_interval_equals_the_hand_computation():
    """Differences 0.01, 0.02, 0.03 have mean 0.02 and standard deviation 0.01; t with two degrees is 4.302653."""
    difference = paired(by_seed([0.51, 0.62, 0.73]), by_seed([0.50, 0.60, 0.70]))
    assert (difference.pairs, difference.mean) == (3, pytest.approx(0.02))
    half_width = 4.302652729911275 * 0.01 / 3**0.5
    assert difference.interval == pytest.approx((0.02 - half_width, 0.02 + half_width))
    assert difference.verdict is Verdict.TIE


@pytest.mark.parametrize("confidence", [0.95, 0.99])
@pytest.mark.parametrize("count", [2, 3, 20])
def test_the_interval_equals_scipys(count, confidence):
    """The interval equals the one of ``scipy.stats.ttest_rel``."""
    draw = np.random.default_rng(count)
    values, others = draw.normal(0.8, 0.02, count), draw.normal(0.79, 0.02, count)
    expected = stats.ttest_rel(values, others).confidence_interval(confidence)
    assert paired(by_seed(values), by_seed(others), confidence).interval == pytest.approx((expected.low, expected.high))


def test_only_shared_seeds_are_pairs():
    """Only seeds that both schedules have form pairs."""
    difference = paired({0: 0.9, 1: 0.8, 2: 0.7, 7: 0.1}, {2: 0.6, 1: 0.6, 0: 0.6, 9: 1.0})
    assert (difference.pairs, difference.mean) == (3, pytest.approx(0.2))


@pytest.mark.parametrize(
    ("values", "others", "pairs", "mean"),
    [({0: 0.9}, {0: 0.8}, 1, pytest.approx(0.1)), ({0: 0.9, 1: 0.9}, {2: 0.8, 3: 0.8}, 0, None)],
)
def test_fewer_than_two_pairs_have_no_interval(values, others, pairs, mean):
    """With fewer than two pairs, there is no interval and the verdict is unknown."""
    difference = paired(values, others)
    assert (difference.pairs, difference.mean, difference.interval, difference.verdict) == (
        pairs,
        mean,
        None,
        Verdict.UNKNOWN,
    )


def test_differences_without_noise_have_no_interval():
    """When all pairs differ by the same nonzero amount, the verdict is unknown."""
    assert paired(by_seed([0.6, 0.7, 0.8]), by_seed([0.5, 0.6, 0.7])).verdict is Verdict.UNKNOWN


def test_equal_results_are_a_tie():
    """Two schedules with equal accuracies under every seed are a tie, up to rounding."""
    assert paired(by_seed([0.3, 0.6]), by_seed([0.1 + 0.2, 0.6])) == Difference(2, 0.0, (0.0, 0.0))
    assert Difference(2, 0.0, (0.0, 0.0)).verdict is Verdict.TIE


def test_the_interval_has_its_nominal_coverage():
    """In four thousand simulated experiments with three seeds, 95% of the intervals contain the true difference."""
    draw = np.random.default_rng(2006)
    noise = draw.normal(0.01, 0.02, (4000, 3))
    intervals = [paired(by_seed(list(row)), by_seed([0.0] * 3)).interval for row in noise]
    covered = sum(low <= 0.01 <= high for low, high in intervals) / len(intervals)
    assert covered == pytest.approx(0.95, abs=0.01)


# Comparisons of several schedules.


def test_each_schedule_is_described_and_compared():
    """A comparison has runs, mean, standard deviation and signed difference of each schedule, best first."""
    comparison = compare(runs_of(base=[0.50, 0.60, 0.70], good=[0.71, 0.79, 0.90], bad=[0.30, 0.41, 0.50]), "base")
    good, base, bad = comparison.standings
    assert [standing.schedule for standing in comparison.standings] == ["good", "base", "bad"]
    assert (good.runs, good.mean, good.standard_deviation) == (
        3,
        pytest.approx(0.8),
        pytest.approx(np.std([0.71, 0.79, 0.9], ddof=1)),
    )
    assert good.difference.mean == pytest.approx(0.2)
    assert bad.difference.mean == pytest.approx(-0.59 / 3)
    verdicts = [standing.difference.verdict for standing in (good, base, bad)]
    assert verdicts == [Verdict.BETTER, Verdict.TIE, Verdict.WORSE]


def test_a_single_run_has_no_standard_deviation_and_no_rank():
    """A schedule with a single run is listed by its accuracy, without rank and verdict."""
    comparison = compare([*runs_of(a=[0.5, 0.6], b=[0.5, 0.7]), Run("lucky", 0, 0.99)], "a")
    lucky = comparison.standings[0]
    assert (lucky.schedule, lucky.rank, lucky.standard_deviation) == ("lucky", None, None)
    assert lucky.difference.verdict is Verdict.UNKNOWN
    assert [standing.rank for standing in comparison.standings[1:]] == [1, 1]


def test_more_schedules_have_wider_intervals():
    """A difference that is significant between two schedules is a tie among eleven."""
    pair = runs_of(base=[0.500, 0.601, 0.702], good=[0.530, 0.640, 0.728])
    others = runs_of(**{f"other{i}": [0.5, 0.6, 0.7 + 0.001 * i] for i in range(9)})

    def verdict(runs: list[Run]) -> Verdict:
        [good] = [standing for standing in compare(runs, "base").standings if standing.schedule == "good"]
        return good.difference.verdict

    assert compare(pair).confidence == pytest.approx(0.95)
    assert compare(pair + others).confidence == pytest.approx(0.995)
    assert verdict(pair) is Verdict.BETTER
    assert verdict(pair + others) is Verdict.TIE


def test_all_intervals_hold_simultaneously():
    """In a thousand simulated experiments with six equal schedules, about 95% report no difference."""
    draw = np.random.default_rng(1961)
    without_difference = 0
    for table in draw.normal(0.8, 0.01, (1000, 6, 4)):
        comparison = compare(runs_of(**{f"s{i}": list(row) for i, row in enumerate(table)}), "s0")
        without_difference += all(standing.difference.verdict is Verdict.TIE for standing in comparison.standings)
    assert without_difference / 1000 >= 0.94


def test_a_schedule_worse_than_its_leader_starts_the_next_rank():
    """b is tied with a and shares its rank; c is worse and starts the next rank at its position."""
    assigned = ranks(*runs_of(a=[0.90, 0.91, 0.92], b=[0.92, 0.89, 0.90], c=[0.70, 0.71, 0.73], d=[0.69, 0.72, 0.70]))
    assert assigned == {"a": 1, "b": 1, "c": 3, "d": 3}


def test_the_default_baseline_is_the_best_repeated_schedule():
    """A schedule with a single run is the baseline only if no schedule has more runs."""
    runs = runs_of(a=[0.5, 0.6], b=[0.7, 0.8])
    assert compare([*runs, Run("lucky", 0, 0.99)]).baseline == "b"
    assert compare([Run("lucky", 0, 0.99), Run("less", 0, 0.5)]).baseline == "lucky"


tables = st.dictionaries(
    st.sampled_from("abcdef"), st.dictionaries(st.integers(0, 5), st.integers(0, 1000), min_size=1), min_size=1
)


def flat(table: dict[str, dict[int, int]], offset: int = 0) -> list[Run]:
    return [Run(name, seed, (value + offset) / 1000) for name, row in table.items() for seed, value in row.items()]


@given(tables, st.data())
def test_the_order_of_the_runs_does_not_matter(table, data):
    """Any permutation of the runs gives the same comparison."""
    runs = flat(table)
    assert compare(data.draw(st.permutations(runs))) == compare(runs)


@given(tables, st.integers(-1000, 1000))
def test_a_constant_offset_changes_no_verdict(table, offset):
    """Adding a constant to all accuracies leaves every verdict unchanged."""
    baseline = min(table)

    def verdicts(runs: list[Run]) -> dict[str, Verdict]:
        return {standing.schedule: standing.difference.verdict for standing in compare(runs, baseline).standings}

    assert verdicts(flat(table, offset)) == verdicts(flat(table))


@given(tables)
def test_the_baseline_is_tied_with_itself(table):
    """With two or more runs, a baseline is tied with itself; with a single run, the verdict is unknown."""
    for name, row in table.items():
        [baseline] = [standing for standing in compare(flat(table), name).standings if standing.schedule == name]
        assert baseline.difference.verdict is (Verdict.TIE if len(row) > 1 else Verdict.UNKNOWN)


@given(tables)
def test_ranks_follow_the_means(table):
    """Means never increase and ranks never decrease down the table, and the first rank is 1."""
    standings = compare(flat(table)).standings
    means = [standing.mean for standing in standings]
    assert means == sorted(means, reverse=True)
    assigned = [standing.rank for standing in standings if standing.rank is not None]
    assert assigned == sorted(assigned)
    assert assigned[:1] in ([], [1])


# Pools of comparable runs.


def row(schedule: str, seed: int, accuracy: float, **other: Any) -> dict[str, Any]:
    """Return a row of ``Store.best_of_runs``; ``command``, ``prm`` and ``budget`` are parts of its settings."""
    command = {"epochs": 5, "seed": seed} | other.pop("command", {})
    settings = {"settings": json.dumps(command), "curve": schedule, "budget": other.pop("budget", None)}
    settings["prm"] = other.pop("prm", {"lr": 0.1})
    defaults = {"source_sha256": schedule, "dataset": "digits", "training": "full", "device": "cpu", "torch": "2.15.0"}
    defaults |= {
        "settings": json.dumps(settings),
        "status": "verified",
        "scheduler_type": schedule,
        "check_version": "1",
    }
    return defaults | {"seed": seed, "accuracy": accuracy} | other


def pooled(*rows: dict[str, Any], baseline: str | None = None) -> tuple[list[float], int]:
    """Return the accuracies of the pooled runs, and the number of runs left out."""
    pool_of_runs = pool(rows, baseline)
    return sorted(run.accuracy for run in pool_of_runs.runs), pool_of_runs.left_out


def test_runs_that_differ_only_in_the_seed_are_pooled():
    """Two schedules with two seeds each give four runs; the common conditions have no seed."""
    pool_of_runs = pool([row("a", 0, 0.1), row("b", 0, 0.2), row("a", 1, 0.3), row("b", 1, 0.4)])
    assert pool_of_runs.runs == (Run("a", 0, 0.1), Run("b", 0, 0.2), Run("a", 1, 0.3), Run("b", 1, 0.4))
    assert (pool_of_runs.failed, pool_of_runs.left_out, pool_of_runs.absent) == (0, 0, ())
    assert pool_of_runs.conditions["settings"] == {"epochs": 5}
    assert pool_of_runs.conditions["dataset"] == "digits"


@pytest.mark.parametrize(
    "other",
    [
        {"command": {"epochs": 6}},
        {"budget": {"images": 30}},
        {"dataset": "cifar-10"},
        {"training": "overfit"},
        {"device": "cuda"},
        {"torch": "2.16.0"},
        {"check_version": "2"},
        {"settings": "task=img-classification", "status": "recorded", "torch": "", "device": "cpu"},
        {"source_sha256": "edited"},
        {"prm": {"lr": 0.2}},
    ],
    ids=str,
)
def test_runs_under_other_conditions_are_left_out(other):
    """Among runs of one schedule under different conditions, only those of the newest run are pooled."""
    old, new = row("a", 0, 0.1), row("a", 1, 0.2, **other)
    assert pooled(old, new) == ([0.2], 1)
    assert pooled(new, old) == ([0.1], 1)


@pytest.mark.parametrize("other", [{"source_sha256": "else"}, {"prm": {"lr": 0.2}}], ids=str)
def test_schedules_may_differ_in_file_and_hyperparameters(other):
    """Different files and hyperparameters of two schedules do not prevent their comparison."""
    assert pooled(row("a", 0, 0.1), row("b", 0, 0.2, **other)) == ([0.1, 0.2], 0)


def test_schedules_are_compared_under_one_set_of_conditions():
    """A schedule with only other conditions, such as other epochs, is named as absent."""
    pool_of_runs = pool([row("a", 0, 0.1), row("a", 1, 0.2), row("b", 0, 0.9, command={"epochs": 90})])
    assert (pool_of_runs.runs, pool_of_runs.left_out, pool_of_runs.absent) == ((Run("b", 0, 0.9),), 2, ("a",))


def test_a_named_baseline_determines_the_conditions():
    """The conditions are those of the baseline's newest run."""
    long = row("b", 0, 0.9, command={"epochs": 90})
    assert pooled(row("a", 0, 0.1), row("b", 0, 0.2), long, baseline="a") == ([0.1, 0.2], 1)


def test_the_newest_of_several_runs_under_a_seed_is_pooled():
    """An older run under the same seed is left out."""
    assert pooled(row("a", 0, 0.1), row("a", 1, 0.2), row("a", 0, 0.3)) == ([0.2, 0.3], 1)


def test_recorded_runs_are_pooled_among_themselves():
    """A caller's runs of one task may be compared with each other."""
    recorded = {"settings": "task=img-classification", "status": "recorded", "torch": "", "source_sha256": ""}
    assert pooled(row("a", 0, 0.1, **recorded), row("b", 0, 0.2, **recorded)) == ([0.1, 0.2], 0)
    assert pooled(row("a", 0, 0.1, **recorded), row("b", 0, 0.2, **recorded | {"settings": "task=other"})) == ([0.2], 1)


def test_a_failed_run_is_pooled():
    """A run that failed its checks is pooled and counted as failed."""
    pool_of_runs = pool([row("a", 0, 0.9), row("a", 1, 0.1, status="failed")])
    assert (len(pool_of_runs.runs), pool_of_runs.failed) == (2, 1)


def test_nothing_to_compare_is_an_error():
    """Without any run, or without a run of the baseline, ``pool`` raises NoResultError."""
    with pytest.raises(NoResultError, match="^no run to compare$"):
        pool([])
    with pytest.raises(NoResultError, match="^no run of the baseline b$"):
        pool([row("a", 0, 0.1)], "b")

"""What may be compared, and what the comparison says: by hand, by scipy, and over many draws."""

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
    """Schedules by name, each with its accuracies under the seeds 0, 1, …"""
    return [Run(name, seed, value) for name, values in accuracies.items() for seed, value in enumerate(values)]


def by_seed(values: list[float]) -> dict[int, float]:
    return dict(enumerate(values))


def ranks(*runs: Run) -> dict[str, int | None]:
    return {one.schedule: one.rank for one in compare(runs).standings}


# A difference.


def test_an_interval_is_the_one_by_hand():
    """Differences 0.01, 0.02, 0.03: mean 0.02, deviation 0.01, and t with two degrees of freedom is 4.302653."""
    found = paired(by_seed([0.51, 0.62, 0.73]), by_seed([0.50, 0.60, 0.70]))
    assert (found.pairs, found.mean) == (3, pytest.approx(0.02))
    reach = 4.302652729911275 * 0.01 / 3**0.5
    assert found.interval == pytest.approx((0.02 - reach, 0.02 + reach))
    assert found.verdict is Verdict.TIE


@pytest.mark.parametrize("confidence", [0.95, 0.99])
@pytest.mark.parametrize("count", [2, 3, 20])
def test_an_interval_is_scipys(count, confidence):
    """``scipy.stats.ttest_rel`` has the same interval."""
    draw = np.random.default_rng(count)
    values, others = draw.normal(0.8, 0.02, count), draw.normal(0.79, 0.02, count)
    wanted = stats.ttest_rel(values, others).confidence_interval(confidence)
    assert paired(by_seed(values), by_seed(others), confidence).interval == pytest.approx((wanted.low, wanted.high))


def test_only_shared_seeds_are_pairs():
    """A seed that one of the two lacks says nothing of their difference."""
    found = paired({0: 0.9, 1: 0.8, 2: 0.7, 7: 0.1}, {2: 0.6, 1: 0.6, 0: 0.6, 9: 1.0})
    assert (found.pairs, found.mean) == (3, pytest.approx(0.2))


@pytest.mark.parametrize(
    ("values", "others", "pairs", "mean"),
    [({0: 0.9}, {0: 0.8}, 1, pytest.approx(0.1)), ({0: 0.9, 1: 0.9}, {2: 0.8, 3: 0.8}, 0, None)],
)
def test_fewer_than_two_pairs_say_nothing(values, others, pairs, mean):
    """Without a second pair nothing is known of the noise."""
    found = paired(values, others)
    assert (found.pairs, found.mean, found.interval, found.verdict) == (pairs, mean, None, Verdict.UNKNOWN)


def test_differences_without_noise_have_no_interval():
    """Pairs that all differ by the same amount, as two pairs of small test sets often do, prove nothing."""
    assert paired(by_seed([0.6, 0.7, 0.8]), by_seed([0.5, 0.6, 0.7])).verdict is Verdict.UNKNOWN


def test_equal_results_are_a_tie():
    """Two schedules that come to the same under every seed cannot be told apart."""
    assert paired(by_seed([0.3, 0.6]), by_seed([0.1 + 0.2, 0.6])) == Difference(2, 0.0, (0.0, 0.0))
    assert Difference(2, 0.0, (0.0, 0.0)).verdict is Verdict.TIE


def test_the_interval_covers_as_often_as_it_says():
    """Of four thousand experiments with three seeds each, 95 % have the true difference in their interval."""
    draw = np.random.default_rng(2006)
    noise = draw.normal(0.01, 0.02, (4000, 3))
    intervals = [paired(by_seed(list(row)), by_seed([0.0] * 3)).interval for row in noise]
    covered = sum(low <= 0.01 <= high for low, high in intervals) / len(intervals)
    assert covered == pytest.approx(0.95, abs=0.01)


# A comparison.


def test_each_schedule_is_described_and_compared():
    """Runs, mean and sample deviation of each, the difference from the baseline with its sign, best first."""
    found = compare(runs_of(base=[0.50, 0.60, 0.70], good=[0.71, 0.79, 0.90], bad=[0.30, 0.41, 0.50]), "base")
    good, base, bad = found.standings
    assert [one.schedule for one in found.standings] == ["good", "base", "bad"]
    assert (good.runs, good.mean, good.deviation) == (
        3,
        pytest.approx(0.8),
        pytest.approx(np.std([0.71, 0.79, 0.9], ddof=1)),
    )
    assert good.difference.mean == pytest.approx(0.2)
    assert bad.difference.mean == pytest.approx(-0.59 / 3)
    verdicts = [one.difference.verdict for one in (good, base, bad)]
    assert verdicts == [Verdict.BETTER, Verdict.TIE, Verdict.WORSE]


def test_a_single_run_has_no_deviation_and_no_rank():
    """One run may be luck: it stands at its place, and neither leads nor follows."""
    found = compare([*runs_of(a=[0.5, 0.6], b=[0.5, 0.7]), Run("lucky", 0, 0.99)], "a")
    lucky = found.standings[0]
    assert (lucky.schedule, lucky.rank, lucky.deviation) == ("lucky", None, None)
    assert lucky.difference.verdict is Verdict.UNKNOWN
    assert [one.rank for one in found.standings[1:]] == [1, 1]


def test_more_comparisons_need_more():
    """The intervals hold together: what is a difference between two schedules is a tie among eleven."""
    pair = runs_of(base=[0.500, 0.601, 0.702], good=[0.530, 0.640, 0.728])
    others = runs_of(**{f"other{i}": [0.5, 0.6, 0.7 + 0.001 * i] for i in range(9)})

    def verdict(runs: list[Run]) -> Verdict:
        [good] = [one for one in compare(runs, "base").standings if one.schedule == "good"]
        return good.difference.verdict

    assert compare(pair).confidence == pytest.approx(0.95)
    assert compare(pair + others).confidence == pytest.approx(0.995)
    assert verdict(pair) is Verdict.BETTER
    assert verdict(pair + others) is Verdict.TIE


def test_all_intervals_hold_together():
    """Of a thousand experiments with six equal schedules, at least 95 % find no difference at all."""
    draw = np.random.default_rng(1961)
    clean = 0
    for table in draw.normal(0.8, 0.01, (1000, 6, 4)):
        found = compare(runs_of(**{f"s{i}": list(row) for i, row in enumerate(table)}), "s0")
        clean += all(one.difference.verdict is Verdict.TIE for one in found.standings)
    assert clean / 1000 >= 0.94


def test_a_rank_begins_where_the_tie_with_its_leader_ends():
    """The walk down the means: b is tied with a, c is not and leads the next rank, whose number is its place."""
    found = ranks(*runs_of(a=[0.90, 0.91, 0.92], b=[0.92, 0.89, 0.90], c=[0.70, 0.71, 0.73], d=[0.69, 0.72, 0.70]))
    assert found == {"a": 1, "b": 1, "c": 3, "d": 3}


def test_without_a_baseline_the_best_of_the_repeated_is_it():
    """A single lucky run is nothing to compare with, unless there are only such."""
    runs = runs_of(a=[0.5, 0.6], b=[0.7, 0.8])
    assert compare([*runs, Run("lucky", 0, 0.99)]).baseline == "b"
    assert compare([Run("lucky", 0, 0.99), Run("less", 0, 0.5)]).baseline == "lucky"


tables = st.dictionaries(
    st.sampled_from("abcdef"), st.dictionaries(st.integers(0, 5), st.integers(0, 1000), min_size=1), min_size=1
)


def flat(table: dict[str, dict[int, int]], more: int = 0) -> list[Run]:
    return [Run(name, seed, (value + more) / 1000) for name, row in table.items() for seed, value in row.items()]


@given(tables, st.data())
def test_the_order_of_the_runs_does_not_matter(table, data):
    """Whoever finished first changes nothing."""
    runs = flat(table)
    assert compare(data.draw(st.permutations(runs))) == compare(runs)


@given(tables, st.integers(-1000, 1000))
def test_a_constant_changes_no_verdict(table, more):
    """Only differences count: an easier test set alters none of them."""
    baseline = min(table)

    def verdicts(runs: list[Run]) -> dict[str, Verdict]:
        return {one.schedule: one.difference.verdict for one in compare(runs, baseline).standings}

    assert verdicts(flat(table, more)) == verdicts(flat(table))


@given(tables)
def test_the_baseline_is_tied_with_itself(table):
    """With two runs or more; a single one says nothing, not even of itself."""
    for name, row in table.items():
        [own] = [one for one in compare(flat(table), name).standings if one.schedule == name]
        assert own.difference.verdict is (Verdict.TIE if len(row) > 1 else Verdict.UNKNOWN)


@given(tables)
def test_ranks_follow_the_means(table):
    """Down the table the mean falls and the rank rises, and the first rank is 1."""
    standings = compare(flat(table)).standings
    assert [one.mean for one in standings] == sorted((one.mean for one in standings), reverse=True)
    given_ranks = [one.rank for one in standings if one.rank is not None]
    assert given_ranks == sorted(given_ranks)
    assert given_ranks[:1] in ([], [1])


# What may be pooled.


def row(schedule: str, seed: int, accuracy: float, **other: Any) -> dict[str, Any]:
    """A row of ``Store.best_of_runs``; ``command``, ``prm`` and ``budget`` are parts of its settings."""
    command = {"epochs": 5, "seed": seed} | other.pop("command", {})
    settings = {"settings": json.dumps(command), "curve": schedule, "budget": other.pop("budget", None)}
    settings["prm"] = other.pop("prm", {"lr": 0.1})
    standard = {"source_sha256": schedule, "dataset": "digits", "training": "full", "device": "cpu", "torch": "2.15.0"}
    standard |= {
        "settings": json.dumps(settings),
        "status": "verified",
        "scheduler_type": schedule,
        "check_version": "1",
    }
    return standard | {"seed": seed, "accuracy": accuracy} | other


def pooled(*rows: dict[str, Any], baseline: str | None = None) -> tuple[list[float], int]:
    """The accuracies that count, and how many runs do not."""
    found = pool(rows, baseline)
    return sorted(run.accuracy for run in found.runs), found.left_out


def test_runs_that_differ_in_the_seed_alone_are_pooled():
    """Two schedules, two seeds each: four runs, and what they have in common is told without a seed."""
    found = pool([row("a", 0, 0.1), row("b", 0, 0.2), row("a", 1, 0.3), row("b", 1, 0.4)])
    assert found.runs == (Run("a", 0, 0.1), Run("b", 0, 0.2), Run("a", 1, 0.3), Run("b", 1, 0.4))
    assert (found.failed, found.left_out, found.absent) == (0, 0, ())
    assert found.conditions["settings"] == {"epochs": 5}
    assert found.conditions["dataset"] == "digits"


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
    """Of one schedule the newest conditions count, whichever they are."""
    old, new = row("a", 0, 0.1), row("a", 1, 0.2, **other)
    assert pooled(old, new) == ([0.2], 1)
    assert pooled(new, old) == ([0.1], 1)


@pytest.mark.parametrize("other", [{"source_sha256": "else"}, {"prm": {"lr": 0.2}}], ids=str)
def test_schedules_have_files_and_rates_of_their_own(other):
    """What is another between two schedules by nature does not keep them apart."""
    assert pooled(row("a", 0, 0.1), row("b", 0, 0.2, **other)) == ([0.1, 0.2], 0)


def test_schedules_are_compared_under_one_set_of_conditions():
    """A schedule that was only trained for other epochs is named, not compared."""
    found = pool([row("a", 0, 0.1), row("a", 1, 0.2), row("b", 0, 0.9, command={"epochs": 90})])
    assert (found.runs, found.left_out, found.absent) == ((Run("b", 0, 0.9),), 2, ("a",))


def test_a_named_baseline_says_which_conditions():
    """Its newest run decides, so that there is something to compare with."""
    long = row("b", 0, 0.9, command={"epochs": 90})
    assert pooled(row("a", 0, 0.1), row("b", 0, 0.2), long, baseline="a") == ([0.1, 0.2], 1)


def test_of_several_runs_under_a_seed_the_newest_counts():
    """A repetition is no second witness."""
    assert pooled(row("a", 0, 0.1), row("a", 1, 0.2), row("a", 0, 0.3)) == ([0.2, 0.3], 1)


def test_recorded_runs_are_pooled_among_themselves():
    """Numbers that a caller brought may be compared with each other, those of one task."""
    brought = {"settings": "task=img-classification", "status": "recorded", "torch": "", "source_sha256": ""}
    assert pooled(row("a", 0, 0.1, **brought), row("b", 0, 0.2, **brought)) == ([0.1, 0.2], 0)
    assert pooled(row("a", 0, 0.1, **brought), row("b", 0, 0.2, **brought | {"settings": "task=other"})) == ([0.2], 1)


def test_a_run_that_fails_counts():
    """A schedule that does not learn under a seed does not look better for it."""
    found = pool([row("a", 0, 0.9), row("a", 1, 0.1, status="failed")])
    assert (len(found.runs), found.failed) == (2, 1)


def test_nothing_to_compare_is_an_error():
    """Neither no run at all nor a baseline without one is answered with an empty table."""
    with pytest.raises(NoResultError, match="no run to compare"):
        pool([])
    with pytest.raises(NoResultError, match="no run of the baseline b"):
        pool([row("a", 0, 0.1)], "b")

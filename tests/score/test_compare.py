"""Two runs are compared by the rows that both have."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from lrgen.errors import ScoreError
from lrgen.score import statistics
from lrgen.score.compare import compare
from lrgen.score.results import Scored
from tests.score.verdicts import CONDITIONS, verdict


def scored(passed, name="a", conditions=CONDITIONS, **values):
    """Return a run with a sample for each pair of a row's id and whether it passed."""
    samples: dict[str, int] = {}
    verdicts = []
    for row_id, ok in passed:
        samples[row_id] = samples.get(row_id, -1) + 1
        verdicts.append(verdict(row_id, samples[row_id], ok, **values))
    return Scored(Path(name), conditions, tuple(verdicts))


def runs(both, first, second, neither, **values):
    """Return two runs by the number of rows that both pass, only the first, only the second, and neither."""
    outcomes = [(True, True)] * both + [(True, False)] * first + [(False, True)] * second + [(False, False)] * neither
    rows = [f"row{number}" for number in range(len(outcomes))]
    return (
        scored(((row, ok) for row, (ok, _) in zip(rows, outcomes, strict=True)), "a", **values),
        scored(((row, ok) for row, (_, ok) in zip(rows, outcomes, strict=True)), "b", **values),
    )


def test_the_test_counts_the_rows_on_which_the_runs_differ():
    """The p-value is that of McNemar's exact test, whatever the number of rows on which the runs agree."""
    for agreeing in (0, 50):
        compared = compare(*runs(agreeing, 3, 15, agreeing))
        assert (compared.all.gained, compared.all.lost) == (15, 3)
        assert compared.all.p == pytest.approx(stats.binomtest(3, 18).pvalue)


def test_the_difference_is_the_second_run_less_the_first():
    """Rates, rewards and their differences have the sign of an improvement of the second run; so has the verdict."""
    compared = compare(*runs(40, 5, 35, 20))
    rate, reward = compared.all.pass_rate, compared.all.reward
    assert (rate.first, rate.second, rate.mean) == pytest.approx((0.45, 0.75, 0.3))
    assert rate.interval == pytest.approx(statistics.bootstrap([0] * 60 + [1] * 35 + [-1] * 5), abs=0.03)
    assert reward.mean == pytest.approx(0.3 * 0.4)
    assert (rate.verdict, reward.verdict) == ("better", "better")
    first, second = runs(40, 5, 35, 20)
    exchanged = compare(second, first).all
    assert (exchanged.pass_rate.verdict, exchanged.p) == ("worse", compared.all.p)
    assert exchanged.pass_rate.interval == pytest.approx((-rate.interval[1], -rate.interval[0]))


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ((10, 0, 5, 0), "tie"),  # the bootstrap alone is sure, the exact test is not
        ((0, 0, 5, 0), "tie"),
        ((10, 0, 6, 0), "better"),
        ((10, 6, 0, 0), "worse"),
        ((10, 20, 22, 0), "tie"),
        ((10, 0, 0, 10), "tie"),
        ((1, 0, 0, 0), "tie"),
    ],
)
def test_few_rows_that_differ_are_a_tie(counts, verdict):
    """Six rows in one direction are the fewest that tell two runs apart, in the pass rate and in the reward."""
    group = compare(*runs(*counts)).all
    assert (group.pass_rate.verdict, group.reward.verdict) == (verdict, verdict)


def test_rewards_can_differ_where_pass_rates_do_not():
    """A run whose failed answers are closer to correct has a better reward and the same pass rate."""
    failed = [(f"row{number}", False) for number in range(20)]
    group = compare(scored(failed, reward=0.3), scored(failed, reward=0.5)).all
    assert (group.pass_rate.verdict, group.reward.verdict) == ("tie", "better")
    assert (group.reward.mean, group.reward.interval) == (pytest.approx(0.2), pytest.approx((0.2, 0.2)))


def test_the_samples_of_a_row_are_averaged():
    """A row counts once, whatever the number of its samples, and equal rates of different counts are no difference."""
    first = scored([("a", True), ("a", False), ("b", False), ("c", True), ("c", True), ("c", False)])
    second = scored([("a", True), ("a", False), ("a", True), ("a", False), ("b", True), ("c", False)])
    group = compare(first, second).all
    assert (group.rows, group.gained, group.lost) == (3, 1, 1)
    assert group.pass_rate.first == pytest.approx((1 / 2 + 0 + 2 / 3) / 3)
    assert group.pass_rate.second == pytest.approx((1 / 2 + 1 + 0) / 3)


def test_rows_of_one_run_are_counted_and_left_out():
    """Only the rows that both runs have are compared."""
    first, second = runs(4, 1, 2, 3)
    extra = scored([("x", True), ("y", False)]).verdicts
    compared = compare(
        replace(first, verdicts=first.verdicts + extra), replace(second, verdicts=second.verdicts + extra[:1])
    )
    alone = compare(first, replace(second, verdicts=second.verdicts[2:]))
    assert (compared.only_first, compared.only_second, compared.all.rows) == (1, 0, 11)
    assert (alone.only_first, alone.only_second, alone.all.rows) == (2, 0, 8)


def test_tasks_are_compared_with_a_correction_for_their_number():
    """Six rows in one direction are a difference over all, but not of one task of two; each task has its own rows."""
    first, second = runs(0, 0, 6, 10, task="write")
    others, same = runs(3, 0, 0, 3, task="trace")
    renamed = [tuple(replace(v, row_id=f"trace{v.row_id}") for v in run.verdicts) for run in (others, same)]
    compared = compare(
        replace(first, verdicts=first.verdicts + renamed[0]), replace(second, verdicts=second.verdicts + renamed[1])
    )
    assert compared.confidence_of_each == pytest.approx(0.975)
    assert {task: group.rows for task, group in compared.by_task.items()} == {"trace": 6, "write": 16}
    assert (compared.all.pass_rate.verdict, compared.by_task["write"].pass_rate.verdict) == ("better", "tie")
    low, high = compared.by_task["write"].pass_rate.interval
    expected = statistics.bootstrap([1] * 6 + [0] * 10, 0.975)
    assert (low, high) == pytest.approx(expected, abs=0.07)


def test_the_comparison_does_not_depend_on_the_order_of_the_lines():
    """The lines of a run in another order give the same comparison."""
    first, second = runs(10, 3, 9, 5)
    shuffled = random.Random(3).sample(second.verdicts, len(second.verdicts))
    assert compare(first, second) == compare(first, replace(second, verdicts=tuple(shuffled)))


def test_runs_whose_verdicts_do_not_mean_the_same_are_refused():
    """Another stage, policy or ladder is an error that has both values; another case seed is stated."""
    first, second = runs(5, 1, 1, 1)
    for change in ({"stage": "training"}, {"policy": "lemur"}, {"ladder": 2}):
        with pytest.raises(ScoreError, match=r"^a and b cannot be compared: (stage|policy|ladder) \w+ and \w+$"):
            compare(first, replace(second, conditions=replace(CONDITIONS, **change)))
    compared = compare(first, replace(second, conditions=replace(CONDITIONS, case_seed=8)))
    assert compared.conditions == {"case_seed": (7, 8)}


def test_runs_without_a_common_row_are_refused():
    """Two runs of different rows, or an empty run, cannot be compared."""
    with pytest.raises(ScoreError, match="a and b cannot be compared: they have no row in common"):
        compare(scored([("x", True)]), scored([("y", True)], "b"))
    with pytest.raises(ScoreError, match="no row in common"):
        compare(scored([]), scored([]))

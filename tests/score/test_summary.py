"""The summary of a run, and EvalPlus's file, follow from its verdicts."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lrgen.errors import ScoreError
from lrgen.score import evalplus, statistics, summary
from lrgen.score.results import Results
from lrgen.score.summary import Seen
from tests.score.verdicts import CONDITIONS, verdict

SEEN = Seen({"cosine"}, {"ResNet"})
# Row a passes 1 of 2 samples, row b 2 of 2, row c 0 of 3.
VERDICTS = (
    verdict("a", 0),
    verdict("a", 1, passed=False),
    verdict("b", 0, family="step", split="train"),
    verdict("b", 1, family="step", split="train"),
    verdict("c", 0, passed=False, task="trace", architecture="VGG", check="extracted", reward=0.25),
    verdict("c", 1, passed=False, task="trace", architecture="VGG", check="", reward=0.0),
    verdict("c", 2, passed=False, task="trace", architecture="VGG", check="syntax", reward=0.1),
)


def summarised(*requested: int, rows: int = 5):
    return summary.summarise(VERDICTS, CONDITIONS, rows, SEEN, requested)


def test_the_summary_has_the_conditions_and_the_counts():
    """The conditions of the run are beside the numbers of samples, of rows, and of rows without a sample."""
    document = summarised()
    names = ("lrgen", "ladder", "dataset", "stage", "policy", "case_seed", "samples", "rows", "rows_without_sample")
    assert [document[name] for name in names] == ["0.1.0", 1, "d" * 64, "schedule", "strict", 7, 7, 3, 2]
    assert json.loads(json.dumps(document)) == document


def test_a_group_has_its_rate_its_reward_and_pass_at_k():
    """Rates and rewards are means over samples, pass@k is a mean over rows."""
    group = summarised(1, 2)["all"]
    assert (group["rows"], group["samples"], group["passed"]) == (3, 7, 3)
    assert group["pass_rate"] == pytest.approx(3 / 7)
    assert group["wilson"] == list(statistics.wilson(3, 7))
    assert group["mean_reward"] == pytest.approx((1 + 0.6 + 1 + 1 + 0.25 + 0 + 0.1) / 7)
    assert group["pass@1"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert group["pass@2"] == pytest.approx((1 + 1 + 0) / 3)


def test_every_sample_is_in_one_group_of_each_kind():
    """The groups by task, split, family, network and seen kind have the samples of the run, each once."""
    document = summarised()
    kinds = {
        "by_task": {"write": 4, "trace": 3},
        "by_split": {"test": 5, "train": 2},
        "by_family": {"cosine": 5, "step": 2},
        "by_architecture": {"ResNet": 4, "VGG": 3},
        "by_seen": {
            "seen family × seen network": 2,
            "unseen family × seen network": 2,
            "seen family × unseen network": 3,
        },
    }
    for kind, samples in kinds.items():
        assert {name: group["samples"] for name, group in document[kind].items()} == samples
        assert sum(group["passed"] for group in document[kind].values()) == document["all"]["passed"]


def test_the_default_numbers_k_are_reached_by_every_row():
    """Of 1, 10 and 100, those that every scored row reaches; none without samples."""
    assert summary.ks_of([2, 3]) == [1]
    assert summary.ks_of([10, 100]) == [1, 10]
    assert summary.ks_of([100, 150]) == [1, 10, 100]
    assert summary.ks_of([]) == []


def test_a_number_k_of_the_user_is_a_mean_over_the_rows_that_reach_it():
    """pass@3 is that of the only row with three samples, and the other rows are counted; groups without such a row
    have no number.
    """
    document = summarised(3, 1, 3)
    assert document["k"] == [1, 3]
    assert document["rows_below_k"] == {"3": 2}
    assert document["all"]["pass@3"] == 0
    assert document["by_task"]["write"]["pass@3"] is None


@pytest.mark.parametrize(
    ("k", "reason"), [(4, "--k 4: no row has so many samples; the largest number is 3"), (0, "--k 0: must be at least")]
)
def test_a_number_k_that_no_row_reaches_is_an_error(k, reason):
    """The error names the number, and the largest that is possible."""
    with pytest.raises(ScoreError) as raised:
        summarised(k)
    assert reason in str(raised.value)


def test_a_run_without_samples_has_a_summary():
    """Without samples the rates are null and the interval is whole."""
    document = summary.summarise((), CONDITIONS, 5, SEEN)
    assert (document["rows"], document["rows_without_sample"], document["k"]) == (0, 5, [])
    assert (document["all"]["pass_rate"], document["all"]["mean_reward"]) == (None, None)
    assert document["all"]["wilson"] == [0, 1]


# EvalPlus.


@pytest.fixture
def written(tmp_path):
    """Write EvalPlus's file of some verdicts and return its content."""

    def write(*verdicts, now=None, **conditions):
        with Results(tmp_path / "out", replace(CONDITIONS, **conditions)) as results:
            for entry in verdicts:
                results.add(entry)
            light = results.finish([(entry.row_id, entry.sample) for entry in verdicts])
            path = evalplus.write(results, light, [1], "samples_eval_results.json", now)
        return json.loads(path.read_text())

    return write


def test_the_file_of_evalplus_has_its_shape(written):
    """Each row has a list of samples with a status of the contract and of the schedule, and pass@k of both."""
    document = written(*VERDICTS, now=datetime(2026, 11, 30, 4, 5, tzinfo=UTC))
    assert list(document) == ["date", "hash", "eval", "pass_at_k"]
    assert (document["date"], document["hash"]) == ("2026-11-30 04:05", CONDITIONS.dataset)
    assert {row: len(samples) for row, samples in document["eval"].items()} == Counter(v.row_id for v in VERDICTS)
    first, second = document["eval"]["a"]
    assert first == {
        "task_id": "a",
        "solution": VERDICTS[0].answer,
        "base_status": "pass",
        "base_fail_tests": [],
        "plus_status": "pass",
        "plus_fail_tests": [],
    }
    assert (second["base_status"], second["plus_status"]) == ("pass", "fail")
    assert (second["base_fail_tests"], second["plus_fail_tests"]) == ([], [VERDICTS[1].reason])
    assert [sample["base_status"] for sample in document["eval"]["c"]] == ["fail"] * 3
    assert document["pass_at_k"] == {"base": {"pass@1": pytest.approx(2 / 3)}, "plus": {"pass@1": pytest.approx(0.5)}}


def test_samples_of_a_row_need_not_follow_each_other(written):
    """The samples of a row that stand between others are in one list, each with its own answer of any text."""
    verdicts = [verdict("a", 0, answer='\ud800"\n'), verdict("b", 0, answer="b"), verdict("a", 1, answer="a1")]
    document = written(*verdicts)
    assert [sample["solution"] for sample in document["eval"]["a"]] == ['\ud800"\n', "a1"]
    assert [sample["solution"] for sample in document["eval"]["b"]] == ["b"]


def test_a_run_without_samples_has_a_file(written):
    """Without verdicts the file has no rows, and pass@k is null."""
    document = written()
    assert (document["eval"], document["pass_at_k"]["base"]) == ({}, {"pass@1": None})


def test_a_stage_above_the_requested_one_has_no_status(written):
    """After the contract alone, the schedule has no status and no pass@k."""
    document = written(verdict("a", passed=False, check="syntax"), stage="contract")
    (sample,) = document["eval"]["a"]
    assert (sample["base_status"], sample["plus_status"], sample["plus_fail_tests"]) == ("fail", None, [])
    assert list(document["pass_at_k"]) == ["base"]


def test_the_training_check_is_a_third_status(written):
    """A file that fails in training has passed the contract and the schedule."""
    document = written(verdict("a", passed=False, check="schedule"), stage="training")
    (sample,) = document["eval"]["a"]
    assert (sample["plus_status"], sample["training_status"]) == ("pass", "fail")
    assert document["pass_at_k"]["training"] == {"pass@1": 0}


def test_an_answer_that_is_not_a_file_passes_all_stages_or_none(written):
    """A correct trace, which is not executed, has passed the contract and the schedule."""
    (sample,) = written(verdict("a", check="extracted"))["eval"]["a"]
    assert (sample["base_status"], sample["plus_status"]) == ("pass", "pass")


def test_the_file_of_evalplus_is_named_for_the_completions():
    """The name is that of the completions, without a suffix for a folder."""
    assert evalplus.file_name(Path("of/samples.jsonl")) == "samples_eval_results.json"
    assert evalplus.file_name(Path("of/samples")) == "samples_eval_results.json"

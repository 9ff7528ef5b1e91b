"""``lrgen score compare`` prints the comparison of two folders of results."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lrgen.score.results import Results
from tests.score.verdicts import CONDITIONS, verdict


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    """Two runs: the second passes all rows of both, the first a third; each has a row that the other has not."""
    for name, passing in (("base", 3), ("tuned", 1)):
        with Results(tmp_path / name, replace(CONDITIONS, case_seed=passing)) as written:
            for number in range(30):
                task = ("write", "trace")[number % 2]
                written.add(verdict(f"row{number}", 0, number % passing == 0, task=task))
            written.add(verdict(f"only {name}"))
    return tmp_path / "base", tmp_path / "tuned"


def test_the_table_has_the_difference_its_interval_and_the_verdict(lrgen, folders):
    """Each group has a line, and the notes have the counts, the confidence and the conditions that differ."""
    code, out, err = lrgen("score", "compare", *folders)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == [f"A  {folders[0]}", f"B  {folders[1]}"]
    header, overall, *tasks = lines[3:7]
    assert header.split() == ["task", "rows", "A", "B", "pass", "rate", "p", "verdict", "reward"]
    assert overall.split()[:5] == ["all", "30", "0.333", "1.000", "+0.667"]
    assert overall.split()[6:8] == ["<0.001", "better"]
    assert [line.split()[:2] for line in tasks] == [["trace", "15"], ["write", "15"]]
    assert "30 rows of both runs: B is ahead in 20, A in 0" in out
    assert "97.50% each" in out
    assert "rows left out: 1 that only A has, 1 that only B has" in out
    assert "the runs differ in case seed: 3 and 1" in out
    assert max(map(len, lines[2:])) <= 100


def test_json_is_the_whole_comparison(lrgen, folders):
    """The JSON has both folders, the counts, and for each group the numbers of the table."""
    code, out, err = lrgen("score", "compare", *folders, "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert (document["first"], document["second"]) == tuple(map(str, folders))
    assert (document["only_first"], document["only_second"], document["all"]["gained"]) == (1, 1, 20)
    assert document["all"]["pass_rate"]["verdict"] == document["all"]["reward"]["verdict"] == "better"
    assert document["by_task"].keys() == {"write", "trace"}


def test_a_run_compared_with_itself_is_a_tie(lrgen, folders):
    """Two folders with the same verdicts differ by zero, with an empty interval and p = 1."""
    out = lrgen("score", "compare", folders[0], folders[0])[1]
    assert "+0.000 (+0.000…+0.000)  1.000  tie" in out


def test_a_folder_without_results_is_one_sentence(lrgen, folders, tmp_path):
    """The command exits with 2 and one line that names the folder."""
    code, out, err = lrgen("score", "compare", folders[0], tmp_path)
    assert (code, out) == (2, "")
    assert err == f"lrgen: {tmp_path}: has no run.json: not a folder of results of lrgen score\n"

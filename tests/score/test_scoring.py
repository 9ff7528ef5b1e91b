"""The work of ``lrgen score``: completions of a small dataset, and its own answers."""

import json
from pathlib import Path

import pytest

from lrgen import catalogue as catalogues
from lrgen import config
from lrgen.errors import ScoreError, UnknownNameError
from lrgen.finetune import manifest
from lrgen.finetune.formats import parquet
from lrgen.records import Stage
from lrgen.score import results, scoring
from lrgen.score.scoring import Selection
from lrgen.verify import plan as planning
from lrgen.verify.plan import VerifyRequest
from tests.paths import TINY
from tests.score.rows import rows_of, scorer_in


@pytest.fixture(scope="module")
def catalogue_of_rows():
    return catalogues.load([TINY])


@pytest.fixture(scope="module")
def rows(catalogue_of_rows):
    """Rows whose answers are graded without executing a file, and one that is."""
    return [*rows_of(catalogue_of_rows, "explain", [1, 6]), *rows_of(catalogue_of_rows, "infill", [1])]


@pytest.fixture(scope="module")
def dataset(rows, tmp_path_factory) -> Path:
    """The folder of a dataset with these rows in its test split."""
    folder = tmp_path_factory.mktemp("dataset")
    writer = parquet.ParquetWriter(parquet, folder / parquet.NAME)
    for row in rows:
        writer.write(row)
    writer.close()
    manifest.write(folder, {"schema": rows[0]["schema"], "arguments": {}, "counts": {}, "held_out": {}})
    return folder


def written(path: Path, lines: list[dict]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_completions_are_scored_and_continued(dataset, rows, catalogue_of_rows, tmp_path):
    """A run that stopped goes on where it was: the folder ends as after one run, in the order of the input."""
    right = [{"task_id": row["id"], "completion": row["completion"]} for row in rows[:2]]
    wrong = [{"task_id": rows[0]["id"], "solution": "I do not know."}]
    out, scorer = tmp_path / "out", scorer_in(tmp_path, catalogue_of_rows)
    chosen = scoring.rows_of(Selection(dataset, tasks=("explain",)))
    first = scoring.score(chosen, written(tmp_path / "a.jsonl", right[:1]), out, scorer)
    assert [verdict.passed for verdict in first.verdicts] == [True]
    begun = []
    path = written(tmp_path / "b.jsonl", [*right, *wrong, {"task_id": "none", "completion": ""}])
    scored = scoring.score(chosen, path, out, scorer, started=lambda *counts: begun.append(counts))
    assert begun == [(3, 1)]
    assert [(verdict.row_id, verdict.sample, verdict.passed) for verdict in scored.verdicts] == [
        (rows[0]["id"], 0, True),
        (rows[1]["id"], 0, True),
        (rows[0]["id"], 1, False),
    ]
    assert [skipped.place for skipped in scored.skipped] == ["b.jsonl, line 4"]
    summary = json.loads((out / results.SUMMARY).read_text())
    assert (summary["samples"], summary["rows"], summary["rows_without_sample"]) == (3, 2, len(chosen.ids) - 2)
    assert (summary["k"], summary["all"]["pass@1"]) == ([1], 0.75)
    evaluated = json.loads((out / "b_eval_results.json").read_text())
    assert set(evaluated["eval"]) == {rows[0]["id"], rows[1]["id"]}


def test_what_comes_after_the_deadline_is_left(dataset, rows, catalogue_of_rows, tmp_path):
    """A run that is out of time has fewer verdicts, and says how many completions are left."""
    path = written(tmp_path / "a.jsonl", [{"task_id": row["id"], "completion": row["completion"]} for row in rows])
    chosen = scoring.rows_of(Selection(dataset))
    scored = scoring.score(chosen, path, tmp_path / "out", scorer_in(tmp_path, catalogue_of_rows), deadline=0.0)
    assert (len(scored.verdicts), scored.left) == (0, len(rows))


def test_the_own_answers_of_a_dataset_pass(dataset, rows, catalogue_of_rows, tmp_path):
    """Gold has no problem; a dataset whose answer is wrong has one, which names the row."""
    scorer = scorer_in(tmp_path, catalogue_of_rows)
    scored = scoring.gold(scoring.rows_of(Selection(dataset)), tmp_path / "own", scorer)
    assert (scored.problems, len(scored.verdicts)) == ((), len(rows))
    wrong = tmp_path / "wrong"
    writer = parquet.ParquetWriter(parquet, wrong / parquet.NAME)
    wrong.mkdir()
    writer.write({**rows[0], "completion": "I do not know."})
    writer.close()
    manifest.write(wrong, {"schema": rows[0]["schema"], "arguments": {}, "counts": {}, "held_out": {}})
    [problem] = scoring.gold(scoring.rows_of(Selection(wrong)), tmp_path / "false", scorer).problems
    assert problem.startswith(f"row {rows[0]['id']} (explain): its own answer does not pass: ")


def test_a_run_over_the_own_answers_goes_on_where_it_was_stopped(dataset, rows, catalogue_of_rows, tmp_path):
    """The next run in the folder grades only the answers without a verdict, under the case seed of the first."""
    out = tmp_path / "own"
    scorer = scorer_in(out, catalogue_of_rows)
    whole = scoring.gold(scoring.rows_of(Selection(dataset)), out, scorer)
    lines = (out / results.LINES).read_bytes().splitlines(keepends=True)
    (out / results.LINES).write_bytes(b"".join(lines[:2]))
    plan = planning.plan(config.load({"device": "cpu"}), VerifyRequest(stage=Stage.SCHEDULE, isolation="process"))
    begun = []
    again = scoring.gold(
        scoring.rows_of(Selection(dataset)),
        out,
        scoring.scorer_of(catalogue_of_rows, plan, out),
        started=lambda total, reused: begun.append((total, reused)),
    )
    assert begun == [(len(rows), 2)]
    assert again.summary["case_seed"] == scorer.settings.case_seed
    assert [verdict.passed for verdict in again.verdicts] == [verdict.passed for verdict in whole.verdicts]


def test_drawn_rows_are_the_same_each_time(dataset, rows):
    """Two of three rows are drawn by their ids, in their order; more than there are is all."""
    drawn = scoring.rows_of(Selection(dataset, count=2)).ids
    assert len(drawn) == 2
    assert drawn == scoring.rows_of(Selection(dataset, count=2)).ids
    assert list(drawn) == [row["id"] for row in rows if row["id"] in drawn]
    assert len(scoring.rows_of(Selection(dataset, count=9)).ids) == len(rows)


def test_a_selection_of_nothing_is_an_error(dataset, tmp_path):
    """Splits and tasks that do not exist, a selection without rows, and no dataset are named."""
    with pytest.raises(UnknownNameError, match="dev"):
        scoring.rows_of(Selection(dataset, splits=("dev",)))
    with pytest.raises(UnknownNameError, match="sing"):
        scoring.rows_of(Selection(dataset, tasks=("sing",)))
    with pytest.raises(ScoreError, match="no row of the dataset is selected"):
        scoring.rows_of(Selection(dataset, tasks=("judge",)))


def test_a_k_that_no_row_reaches_is_an_error_before_any_work(dataset, rows, catalogue_of_rows, tmp_path):
    """The largest number of samples is named, and nothing is written."""
    path = written(tmp_path / "a.jsonl", [{"task_id": rows[0]["id"], "completion": "x"}])
    chosen = scoring.rows_of(Selection(dataset))
    with pytest.raises(ScoreError, match="--k 10: no row has so many samples; the largest number is 1"):
        scoring.score(chosen, path, tmp_path / "out", scorer_in(tmp_path, catalogue_of_rows), ks=[10])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["x.jsonl"], "--dataset DIR is missing"),
        (["--dataset", "d"], "COMPLETIONS is missing"),
        (["x.jsonl", "--gold", "--dataset", "d"], "--gold scores the dataset's own answers"),
        (["x.jsonl", "--dataset", "d"], "not an lrgen dataset"),
        (["x.jsonl", "--dataset", "d", "--stage", "policy"], "policy"),
        (["x.jsonl", "--dataset", "d", "--k", "0"], "--k takes positive integers"),
        (["x.jsonl", "--dataset", "d", "--case-seed", "x"], "case seed"),
    ],
)
def test_wrong_use_is_one_sentence(lrgen, arguments, sentence):
    """Each wrong use of the command exits with 2 and says what is wrong."""
    code, _, error = lrgen("score", *arguments)
    assert (code, error.count("\n")) == (2, 1)
    assert sentence in error


def test_the_exit_code_says_whether_every_sample_has_a_verdict(lrgen, dataset, rows):
    """Samples that are left when the deadline comes exit with 1; when all have a verdict, whatever it is, with 0."""
    written(Path("a.jsonl"), [{"task_id": rows[0]["id"], "completion": "I do not know."}])
    assert lrgen("score", "a.jsonl", "--dataset", dataset, "--deadline", "0")[0] == 1
    assert lrgen("score", "a.jsonl", "--dataset", dataset)[0] == 0


@pytest.mark.parametrize("by", ["option", "setting"])
def test_answers_about_a_users_network_are_scored_with_its_templates(lrgen, dataset, rows, by):
    """An answer with a network of ``--templates``, or of the setting, passes; without them the network is unknown."""
    [row] = [row for row in rows if row["task"] == "infill"]
    written(Path("a.jsonl"), [{"task_id": row["id"], "completion": row["completion"]}])
    arguments = ["score", "a.jsonl", "--dataset", dataset, "--stage", "contract", "--isolation", "process", "--json"]
    code, _, error = lrgen(*arguments, "--out", "without")
    assert code == 2
    assert f"unknown model '{row['architecture']}'" in error
    if by == "option":
        arguments += ["--templates", TINY]
    else:
        Path("lrgen.toml").write_text(f'templates = ["{TINY}"]\n')
    code, out, _ = lrgen(*arguments)
    assert code == 0
    assert json.loads(out)["all"]["passed"] == 1

"""The folder for lm-eval: its module loads rows and scores completions, and the harness itself runs its tasks."""

import importlib.util
import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lrgen
from lrgen.errors import DatasetError
from lrgen.finetune import grading
from lrgen.finetune.build import build
from lrgen.finetune.corpus import Level
from lrgen.finetune.formats import lm_eval, parquet, scored
from lrgen.finetune.plan import Plan
from tests import corpus

TASKS = ("write", "prefer", "feedback")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without network access or a cache in the home folder."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Any:
    """lm-eval, which describes the machine in each result: that runs pip and is not looked at here."""
    lm_eval_harness = pytest.importorskip("lm_eval")
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
    return lm_eval_harness


@pytest.fixture(scope="module")
def dataset(catalogue, tmp_path_factory) -> Path:
    """A dataset with rows of three tasks in each split, and with a family that is held out."""
    task_input = corpus.task_input(catalogue, (1, 3, 6, 12, 25, 31, 37, 41, 60, 100))
    plan = Plan(
        (corpus.WRITE, corpus.PREFER, corpus.FEEDBACK), (lm_eval.NAME,), Level.SCHEDULE, holdout_families=("constant",)
    )
    return build(task_input, plan, tmp_path_factory.mktemp("dataset") / "out").out


@pytest.fixture
def asked(dataset, monkeypatch) -> list[tuple[dict[str, Any], str]]:
    """The rows and completions that are scored, by a stand-in that passes the correct answer."""
    calls: list[tuple[dict[str, Any], str]] = []

    def score(row, completion):
        calls.append((row, completion))
        passed = completion == grading.gold(row)
        return SimpleNamespace(reward=1.0 if passed else 0.25, passed=passed, check="schedule")

    stand_in = SimpleNamespace(score=score)
    monkeypatch.setitem(sys.modules, "lrgen.rewards", stand_in)
    monkeypatch.setattr(lrgen, "rewards", stand_in, raising=False)
    imported_by_the_harness = str(dataset / "lm_eval" / "lrgen_utils")
    monkeypatch.delitem(sys.modules, imported_by_the_harness, raising=False)
    return calls


def module_of(dataset: Path) -> Any:
    """Import the module of the folder, as lm-eval does."""
    spec = importlib.util.spec_from_file_location("lrgen_utils", dataset / "lm_eval" / "lrgen_utils.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(dataset: Path, split: str) -> list[dict[str, Any]]:
    return list(parquet.read(dataset, split))


def test_the_folder_has_a_task_each_and_no_training_rows(dataset):
    """There is a YAML file for each task, and no file of the training split."""
    names = {path.name for path in (dataset / "lm_eval").iterdir()}
    splits = {f"{split}.jsonl" for split in parquet.splits(dataset)} - {"train.jsonl"}
    assert {"test.jsonl", "test_families.jsonl"} <= splits
    assert names == {"README.md", "lrgen_utils.py", *splits, *(f"lrgen_{task}.yaml" for task in TASKS)}


@pytest.mark.parametrize("split", ["test", "test_families"])
def test_the_rows_of_a_task_are_loaded_from_any_folder(dataset, asked, split, tmp_path, monkeypatch):
    """Rows are found beside the module, whatever the current folder is, and another split may be chosen."""
    monkeypatch.chdir(tmp_path)
    loaded = module_of(dataset).load(task="write", split=split, version=2, pretrained="a model")["test"]
    expected = [row for row in rows_of(dataset, split) if row["task"] == "write"]
    assert loaded["id"] == [row["id"] for row in expected]
    assert [scored.row_of(text) for text in loaded["row"]] == expected


def test_a_task_or_split_without_rows_is_an_error(dataset, asked):
    """An unknown split names those that the folder has, and so does a task without rows."""
    module = module_of(dataset)
    with pytest.raises(ValueError, match="unknown split 'train': .* has test, test_families, validation"):
        module.load(task="write", split="train")
    with pytest.raises(ValueError, match=r"test\.jsonl has no row of the task trace"):
        module.load(task="trace")


def test_the_reward_of_a_row_is_the_mean_of_its_samples(dataset, asked):
    """Each sample is scored against the row of the dataset; both metrics are means."""
    module = module_of(dataset)
    row = next(row for row in rows_of(dataset, "test") if row["task"] == "write")
    document = lm_eval.line(row)
    assert module.process_results(document, [row["completion"]]) == {"reward": 1.0, "passed": 1.0}
    samples = [row["completion"], "", "pass", "no"]
    assert module.process_results(document, [samples]) == {"reward": 0.4375, "passed": 0.25}
    assert asked == [(row, completion) for completion in (row["completion"], *samples)]


def test_a_labelled_file_is_in_the_question(dataset):
    """The question about a labelled row contains its file, and the reference is the verdict; others are unchanged."""
    for row in rows_of(dataset, "test"):
        document = lm_eval.line(row)
        if row["task"] == "feedback":
            assert document["prompt"].startswith(row["prompt"])
            assert row["completion"] in document["prompt"]
            assert document["reference"] == ("correct" if row["label"] else "incorrect")
        else:
            assert (document["prompt"], document["reference"]) == (row["prompt"], row["completion"])


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"id": "a"}'])
def test_a_text_that_is_no_row_is_an_error(text):
    """Text that is not a row of this schema is refused with a sentence."""
    with pytest.raises(DatasetError, match="not the row of an lrgen dataset"):
        scored.row_of(text)


def test_the_harness_runs_the_tasks(dataset, asked, harness):
    """lm-eval finds the tasks by their tag, asks its dummy model, and reports both metrics for each task."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(dataset / "lm_eval"), include_defaults=False)
    results = harness.simple_evaluate(
        model="dummy", tasks=["lrgen"], task_manager=manager, confirm_run_unsafe_code=True, bootstrap_iters=0
    )
    rows = rows_of(dataset, "test")
    assert results["results"].keys() == {f"lrgen_{task}" for task in TASKS}
    for task in TASKS:
        of_task = results["results"][f"lrgen_{task}"]
        assert (of_task["reward,all_samples"], of_task["passed,all_samples"]) == (0.25, 0.0)
        assert len(results["samples"][f"lrgen_{task}"]) == sum(row["task"] == task for row in rows)
        for sample in results["samples"][f"lrgen_{task}"]:
            document, context = sample["doc"], sample["arguments"][0][0]
            assert context == f"{document['system']}\n\n{document['prompt']}"
    assert {completion for _, completion in asked} == {"lol"}
    assert sorted(row["id"] for row, _ in asked) == sorted(row["id"] for row in rows)
    json.dumps(results["results"])


def test_the_harness_asks_for_a_flag_and_takes_another_split(dataset, asked, harness, tmp_path):
    """Without the flag for unsafe code lm-eval refuses; --metadata chooses the split, and each repeat is scored."""
    from lm_eval.tasks import TaskManager

    folder = shutil.copytree(dataset / "lm_eval", tmp_path / "lm_eval")
    task = folder / "lrgen_write.yaml"
    task.write_text(task.read_text().replace("repeats: 1", "repeats: 3"))
    manager = TaskManager(include_path=str(folder), include_defaults=False, metadata={"split": "test_families"})
    arguments = {"model": "dummy", "tasks": ["lrgen_write"], "task_manager": manager, "bootstrap_iters": 0}
    with pytest.raises(ValueError, match="confirm_run_unsafe_code"):
        harness.simple_evaluate(**arguments)
    harness.simple_evaluate(**arguments, confirm_run_unsafe_code=True)
    expected = [row["id"] for row in rows_of(dataset, "test_families") if row["task"] == "write"]
    assert Counter(row["id"] for row, _ in asked) == dict.fromkeys(expected, 3)

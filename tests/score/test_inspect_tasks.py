"""inspect_ai runs lrgen's tasks with its mock model, and grades logs again."""

import re
from collections.abc import Callable
from importlib.metadata import entry_points

import pytest
from inspect_ai import Epochs, eval, score
from inspect_ai._util.registry import registry_lookup
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.model import Model, ModelOutput, ModelUsage, get_model
from inspect_ai.model._providers.mockllm import MockLLM

from lrgen.errors import ScoreError, UnknownNameError
from lrgen.finetune.formats import scored
from lrgen.finetune.rows import Split
from lrgen.finetune.tasks import TASKS
from lrgen.score import inspect_tasks
from tests.paths import REPOSITORY

WRONG = "I do not know."


@pytest.fixture(scope="module", autouse=True)
def pools():
    """The pools end with this module."""
    yield
    for pool in inspect_tasks.pools.values():
        pool.close()
    inspect_tasks.pools.clear()


@pytest.fixture
def answering(dataset) -> Callable[[Callable[[int], bool]], Model]:
    """A model that answers correctly where a function of the number of the question says so."""
    answers = {scored.question(row): row["completion"] for rows in dataset.values() for row in rows}

    def model(is_right: Callable[[int], bool]) -> Model:
        asked = []

        def answer(messages, tools, tool_choice, config) -> ModelOutput:
            asked.append(messages[-1].text)
            text = answers[messages[-1].text] if is_right(len(asked) - 1) else WRONG
            output = ModelOutput.from_content("mockllm", text)
            output.usage = ModelUsage()  # it would be counted with a file from the network
            return output

        return get_model("mockllm/model", custom_outputs=answer)

    return model


def run(model: Model, **options) -> EvalLog:
    options = {"split": "test", **options}
    arguments = {name: options.pop(name) for name in ("split", "stage") if name in options}
    [log] = eval("lrgen/explain", task_args={"dataset": "data", **arguments}, model=model, display="none", **options)
    return log


def means(log: EvalLog) -> dict[str, float]:
    return {each.name: each.metrics["mean"].value for each in log.results.scores}


def test_each_task_is_registered():
    """The entry point of the distribution names the module, which has each of our tasks under its name."""
    [entry] = entry_points(group="inspect_ai", name="lrgen")
    assert entry.load() is inspect_tasks
    for task in TASKS:
        assert registry_lookup("task", f"lrgen/{task.NAME}"), task.NAME


def test_a_task_asks_the_rows_of_its_splits(dataset, answering):
    """The samples are the rows of the splits, and the scores are those of their answers: here half are right."""
    rows = [*dataset[Split.TRAIN], *dataset[Split.TEST]]
    log = run(answering(lambda number: number % 2 == 0), split=["train", "test"], max_connections=1)
    assert log.status == "success", log.error
    assert {sample.id for sample in log.samples} == {row["id"] for row in rows}
    asked = {sample.id: [(message.role, message.text) for message in sample.input] for sample in log.samples}
    assert asked == {row["id"]: [("system", row["system"]), ("user", row["prompt"])] for row in rows}
    passed = [sample.scores["verdict"].value["passed"] for sample in log.samples]
    assert sum(passed) == (len(rows) + 1) // 2
    assert means(log)["passed"] == pytest.approx(sum(passed) / len(rows))
    assert means(log)["passed"] <= means(log)["reward"] < 1
    reasons = [sample.scores["verdict"].explanation for sample in log.samples]
    assert reasons.count("It passed all requested checks.") == sum(passed)


def test_several_answers_reduce_to_pass_at_k(dataset, answering):
    """With inspect's own reducer, a row passes at two when one of its two answers does."""
    count = len(dataset[Split.TEST])
    log = run(answering(lambda number: number < count), max_connections=1, epochs=Epochs(2, "pass_at_2"))
    assert log.status == "success", log.error
    assert len(log.samples) == 2 * count
    assert means(log)["passed"] == 1.0


def test_a_log_is_graded_again(answering):
    """The scorer needs nothing but the log; with the same answers it gives the same values."""
    log = run(answering(lambda number: True))
    again = score(log, inspect_tasks.verdict(case_seed=1), action="overwrite", display="none")
    assert means(again) == means(log) == {"passed": 1.0, "reward": 1.0}
    for sample in log.samples:
        sample.output = ModelOutput.from_content("mockllm", WRONG)
    assert means(score(log, inspect_tasks.verdict(), action="overwrite", display="none"))["passed"] == 0.0


def test_a_sample_of_another_task_is_an_error(answering):
    """A log that lrgen did not write is not given zeros."""
    log = run(answering(lambda number: True))
    for sample in log.samples:
        del sample.metadata["lrgen_row"]
    with pytest.raises(ScoreError, match="it is not from a task of lrgen"):
        score(log, inspect_tasks.verdict(), action="overwrite", display="none")


def test_wrong_parameters_are_named(dataset):
    """Unknown splits, tasks without rows, and unknown stages are one sentence."""
    with pytest.raises(UnknownNameError, match="unknown split 'tset': did you mean test"):
        inspect_tasks.evaluation("explain", "data", "tset")
    with pytest.raises(ScoreError, match="data: no row of the dataset is selected"):
        inspect_tasks.evaluation("write", "data")
    with pytest.raises(ScoreError, match="'exam' is not a valid Stage"):
        inspect_tasks.verdict("exam")


def test_the_recipe_of_the_document_runs(dataset, monkeypatch, tmp_path):
    """The commands of docs/scoring.md run, with inspect's mock model in place of the model."""
    from inspect_ai._cli.main import inspect

    async def count_tokens(self, messages) -> int:
        return 0

    monkeypatch.setattr(MockLLM, "count_tokens", count_tokens)
    document = (REPOSITORY / "docs" / "scoring.md").read_text()
    section = document.split("\n## inspect_ai\n")[1].split("\n## ")[0]
    evaluate, grade = re.findall(r"^inspect (.*)$", section, re.MULTILINE)
    assert "lrgen/write" in evaluate
    evaluate = re.sub(r"--model \S+", "--model mockllm/model --display none", evaluate.replace("/write", "/explain"))
    inspect(evaluate.split(), standalone_mode=False)
    [log] = (tmp_path / "logs").glob("*.eval")
    assert read_eval_log(str(log)).results.completed_samples == len(dataset[Split.TEST])
    inspect([*grade.replace("LOG", str(log)).split(), "--display", "none"], standalone_mode=False)
    assert means(read_eval_log(str(log)))["passed"] == 0.0

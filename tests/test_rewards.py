"""The functions that trainers call give one number for each completion, with the signatures of the trainers."""

import asyncio
import inspect

import pytest

from lrgen import rewards
from lrgen.errors import DatasetError
from lrgen.finetune.formats import scored
from lrgen.score.verdict import Verdict
from tests.score.rows import rows_of


def verdict(row_id: str, reward: float) -> Verdict:
    return Verdict(
        row_id, 0, "explain", "test", "", "", "extracted", reward, reward, reward == 1.0, "", 0.0, "", "raw", ""
    )


@pytest.fixture
def graded(monkeypatch):
    """The rows and texts that were scored; "right" gets 1, "late" has no verdict, any other text 0.5."""
    calls = []

    def scores(rows, completions):
        calls.append((list(rows), list(completions)))
        values = {"right": 1.0, "late": None}
        ends = [values.get(text, 0.5) for text in completions]
        return [None if end is None else verdict(row["id"], end) for row, end in zip(rows, ends, strict=True)]

    monkeypatch.setattr(rewards, "scores", scores)
    return calls


@pytest.fixture
def columns(catalogue):
    """The columns of two rows as TRL hands them on: without prompt and completion."""
    rows = rows_of(catalogue, "explain", [1, 2], "ResNet")[:2]
    return {name: [row[name] for row in rows] for name in rows[0] if name not in ("prompt", "completion")}


def test_trl_gets_one_reward_for_each_completion(graded, columns):
    """Texts and messages are taken alike; a completion without a verdict gets 0."""
    chat = [{"role": "assistant", "content": "right"}]
    metrics, extras = {}, {}
    values = rewards.trl(
        prompts=["Explain A.", [{"role": "user", "content": "Explain B."}]],
        completions=["late", chat],
        completion_ids=[[1], [2]],
        trainer_state=None,
        log_extra=extras.__setitem__,
        log_metric=metrics.__setitem__,
        **columns,
    )
    assert values == [0.0, 1.0]
    rows, texts = graded[0]
    assert texts == ["late", "right"]
    assert [row["prompt"] for row in rows] == ["Explain A.", "Explain B."]
    assert [row["reference"] for row in rows] == columns["reference"]
    assert (metrics, extras) == ({"passed": 0.5}, {"check": ["", "extracted"]})


def test_trl_may_await_the_rewards(graded, columns):
    """The asynchronous form gives the same numbers."""
    assert inspect.iscoroutinefunction(rewards.trl_async)
    assert asyncio.run(rewards.trl_async(["a", "b"], ["right", "wrong"], **columns)) == [1.0, 0.5]


def test_verl_gets_a_score_with_its_parts(graded, catalogue):
    """The ground truth of the format holds the whole row; another text is an error."""
    [row, *_] = rows_of(catalogue, "explain", [1], "ResNet")
    ends = rewards.compute_score(row["data_source"], "right", scored.text_of(row), {"split": "test"}, more=1)
    assert ends == {"score": 1.0, "passed": 1, "fraction": 1.0, "check": "extracted"}
    assert graded[0][0][0]["id"] == row["id"]
    assert rewards.compute_score("", "late", scored.text_of(row))["score"] == 0.0
    with pytest.raises(DatasetError):
        rewards.compute_score("", "right", "{}")


def test_openrlhf_gets_tensors(graded, catalogue):
    """The completion is the query without its prompt."""
    [row, *_] = rows_of(catalogue, "explain", [1], "ResNet")
    ends = rewards.reward_func(["ask right", "ask it"], ["ask ", "ask "], [scored.text_of(row)] * 2)
    assert graded[0][1] == ["right", "it"]
    assert ends["rewards"].tolist() == ends["scores"].tolist() == [1.0, 0.5]
    assert ends["extra_logs"]["passed"].tolist() == [1.0, 0.0]


def test_swift_calls_an_object(graded, columns):
    """The object takes completions and columns, as a function of TRL."""
    assert rewards.Swift()(["right", "wrong"], **columns) == [1.0, 0.5]


def test_importing_the_rewards_loads_no_torch():
    """A trainer imports the module by its dotted path before anything else is needed."""
    source = inspect.getsource(rewards)
    before_functions = source.partition("\ndef ")[0]
    assert "import torch" not in before_functions

"""Rewards for trainers: the verdict of ``lrgen score`` on what a model writes, under the names that trainers call.

A trainer names a function by its dotted path. Each gives exactly one number for a completion, whatever happens: the
reward of the ladder (lrgen.score.ladder), or 0 where there is no verdict within the deadline. All share one pool, a
process of its own that is started on first use and ends with the trainer (lrgen.score.pool); ``configure`` sets how it
grades.

| trainer | name |
|---|---|
| TRL (GRPO, RLOO) | ``lrgen.rewards.trl``, or ``lrgen.rewards.trl_async`` |
| verl | ``lrgen/rewards.py`` with the function ``compute_score`` |
| OpenRLHF | ``lrgen/rewards.py``, whose ``reward_func`` it calls |
| ms-swift | ``lrgen.rewards.Swift`` |

The rows are those of a dataset of schema 4, whose columns the trainer hands on.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrgen.score.pool import Pool, PoolSettings
    from lrgen.score.verdict import Verdict

DEADLINE = 120.0
"""Seconds for a batch of completions; those that are not graded by then get 0."""

_lock = threading.Lock()
_pool: "Pool | None" = None
_deadline = DEADLINE


def configure(settings: "PoolSettings | None" = None, deadline: float = DEADLINE) -> None:
    """Set how completions are graded, and the seconds for a batch; a pool that runs is ended."""
    from lrgen.score.pool import Pool

    global _pool, _deadline  # noqa: PLW0603  one pool a process, as trainers call functions
    with _lock:
        if _pool is not None:
            _pool.close()
        _pool = Pool(settings) if settings is not None else Pool()
        _deadline = deadline


def start() -> None:
    """Start the pool, which else starts with the first batch; returns at once.

    Raises:
        ScoreError: if it cannot be started.
    """
    _the_pool().start()


def score(row: Mapping[str, Any], completion: str) -> "Verdict":
    """The verdict on a completion of a row of a dataset.

    Raises:
        ScoreError: if the pool cannot be started or refuses the row, or there is no verdict within the deadline.
    """
    from lrgen.errors import ScoreError

    [verdict] = _the_pool().score([dict(row)], [completion], _deadline)
    if verdict is None:
        raise ScoreError(f"row {row.get('id')}: no verdict within {_deadline:g} s")
    return verdict


def scores(rows: Sequence[Mapping[str, Any]], completions: Sequence[str]) -> "list[Verdict | None]":
    """The verdict on each completion; None where there is none within the deadline.

    Raises:
        ScoreError: if the pool cannot be started, or refuses the rows.
        ValueError: if there are not as many completions as rows.
    """
    return _the_pool().score([dict(row) for row in rows], completions, _deadline)


def trl(
    prompts: Sequence[Any],
    completions: Sequence[Any],
    completion_ids: object = None,
    trainer_state: object = None,
    log_extra: Any = None,
    log_metric: Any = None,
    **columns: Sequence[Any],
) -> list[float]:
    """The rewards of a batch of TRL's GRPOTrainer or RLOOTrainer; columns are those of the dataset.

    Completions and prompts are texts or lists of messages. The last check that each passed is logged as ``check``.

    Raises:
        ScoreError: if the pool cannot be started, or the columns are not those of a dataset of schema 4.
    """
    rows = [
        {**{name: values[index] for name, values in columns.items()}, "prompt": text_of(prompt, "user")}
        for index, prompt in enumerate(prompts)
    ]
    verdicts = scores(rows, [text_of(completion, "assistant") for completion in completions])
    if log_extra is not None:
        log_extra("check", [verdict.check if verdict else "" for verdict in verdicts])
    if log_metric is not None and verdicts:
        log_metric("passed", sum(verdict is not None and verdict.passed for verdict in verdicts) / len(verdicts))
    return [verdict.reward if verdict else 0.0 for verdict in verdicts]


async def trl_async(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float]:
    """The rewards of ``trl`` for a trainer that awaits them.

    Raises:
        ScoreError: as ``trl``.
    """
    return await asyncio.to_thread(trl, prompts, completions, **columns)


def compute_score(
    data_source: str, solution_str: str, ground_truth: str, extra_info: Mapping[str, Any] | None = None, **_: Any
) -> dict[str, Any]:
    """The score of a completion for verl; ``ground_truth`` is the JSON text of the format ``verl``.

    Returns:
        ``score`` with ``passed`` (0 or 1), ``fraction`` and ``check``, which verl logs.

    Raises:
        DatasetError: if the ground truth is not of this format.
        ScoreError: if the pool cannot be started.
    """
    from lrgen.finetune.formats import scored

    [verdict] = scores([scored.row_of(ground_truth)], [solution_str])
    if verdict is None:
        return {"score": 0.0, "passed": 0, "fraction": 0.0, "check": ""}
    return {
        "score": verdict.reward,
        "passed": int(verdict.passed),
        "fraction": verdict.fraction,
        "check": verdict.check,
    }


def reward_func(queries: Sequence[str], prompts: Sequence[str], labels: Sequence[str], **_: Any) -> dict[str, Any]:
    """The rewards of a batch of OpenRLHF; ``labels`` are the JSON texts of the format ``openrlhf``.

    Returns:
        ``rewards`` and ``scores`` as tensors, and ``extra_logs``.

    Raises:
        DatasetError: if the labels are not of this format.
        ScoreError: if the pool cannot be started.
    """
    import torch

    from lrgen.finetune.formats import scored

    completions = [query.removeprefix(prompt) for query, prompt in zip(queries, prompts, strict=True)]
    verdicts = scores([scored.row_of(label) for label in labels], completions)
    rewards = torch.tensor([verdict.reward if verdict else 0.0 for verdict in verdicts])
    passed = torch.tensor([float(verdict is not None and verdict.passed) for verdict in verdicts])
    return {"rewards": rewards, "scores": rewards, "extra_logs": {"passed": passed}}


class Swift:
    """The rewards of ms-swift, which makes an object and calls it with completions and columns."""

    def __call__(self, completions: Sequence[str], **columns: Any) -> list[float]:
        """The rewards of a batch.

        Raises:
            ScoreError: if the pool cannot be started, or the columns are not those of a dataset of schema 4.
        """
        prompts = columns.pop("prompt", None) or columns.pop("messages", None) or [""] * len(completions)
        names = {name: values for name, values in columns.items() if len(values) == len(completions)}
        return trl(prompts, completions, **names)


def text_of(message: Any, role: str) -> str:
    """The text of a completion or prompt: a text, or the last message of a role."""
    if isinstance(message, str):
        return message
    texts = [part.get("content") or "" for part in message if part.get("role") == role]
    return str(texts[-1]) if texts else ""


def _the_pool() -> "Pool":
    from lrgen.score.pool import Pool

    global _pool  # noqa: PLW0603  as in configure
    with _lock:
        if _pool is None:
            _pool = Pool()
        return _pool

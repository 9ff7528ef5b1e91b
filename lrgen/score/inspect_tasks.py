"""Tasks and a scorer for inspect_ai, which its entry point registers under ``lrgen``.

``inspect eval lrgen/write -T dataset=DIR -T split=test --model …`` asks the rows of a task, and ``inspect score LOG
--scorer lrgen/verdict`` grades the answers of a log again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anyio import to_thread
from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState, generate

from lrgen.errors import ScoreError
from lrgen.finetune import grading
from lrgen.finetune.example import Row
from lrgen.finetune.formats import scored
from lrgen.finetune.rows import Split
from lrgen.finetune.tasks import TASKS
from lrgen.records import Policy, Stage
from lrgen.score import scoring
from lrgen.score.pool import Pool, PoolSettings

pools: dict[PoolSettings, Pool] = {}
"""The pools of this process, which scorers with the same settings share."""

_MESSAGES: dict[str, Any] = {
    "system": ChatMessageSystem,
    "user": ChatMessageUser,
    "assistant": ChatMessageAssistant,
}
_FACTS = ("task", "split", "family", "architecture", "variant", "difficulty")  # to filter and to group by


def evaluation(
    name: str,
    dataset: str,
    split: str | Sequence[str] = Split.TEST,
    stage: str = Stage.SCHEDULE,
    policy: str = Policy.STRICT,
) -> Task:
    """The rows of one of lrgen's tasks, with ``verdict`` as the scorer.

    Args:
        name: the name of the task, as ``write``.
        dataset: the folder of a dataset of ``lrgen dataset build``.
        split: the name of a split, or several.
        stage: the last check of a file.
        policy: the policy for the code of a file.

    Raises:
        DatasetError: if the folder is no dataset, or a file of it cannot be read.
        ScoreError: if it has another schema than this version of lrgen, or no row of the task.
        UnknownNameError: if it has no such split, or there is no such task.
    """
    splits = (split,) if isinstance(split, str) else tuple(split)
    rows = scoring.rows_of(scoring.Selection(Path(dataset), splits, (name,)))
    samples = [_sample(row) for row in rows.read(rows.ids).values()]
    return Task(
        dataset=MemoryDataset(samples, name=f"lrgen {name}, {', '.join(splits)}", location=dataset),
        solver=generate(),
        scorer=verdict(stage, policy),
    )


@scorer(metrics={"passed": [mean(), stderr()], "reward": [mean(), stderr()]})
def verdict(stage: str = Stage.SCHEDULE, policy: str = Policy.STRICT, case_seed: int | None = None) -> Scorer:
    """The verdict of ``lrgen score``: ``passed``, 0 or 1, and ``reward``.

    Args:
        stage: the last check of a file.
        policy: the policy for the code of a file.
        case_seed: of the drawn cases; a new one by default.

    Raises:
        ScoreError: if the stage or the policy is unknown.
    """
    try:
        settings = PoolSettings(Stage(stage), Policy(policy), case_seed=case_seed)
    except ValueError as error:
        raise ScoreError(str(error)) from error
    pool = pools.setdefault(settings, Pool(settings))

    async def score(state: TaskState, target: Target) -> Score:
        if "lrgen_row" not in state.metadata:
            raise ScoreError(f"sample {state.sample_id}: it is not from a task of lrgen")
        row = scored.row_of(state.metadata["lrgen_row"])
        [graded] = await to_thread.run_sync(pool.score, [row], [state.output.completion])
        if graded is None:
            raise ScoreError(f"row {row['id']}: the pool has ended")
        return Score(
            value={"passed": int(graded.passed), "reward": graded.reward},
            answer=graded.answer,
            explanation=graded.reason or "It passed all requested checks.",
            metadata={"check": graded.check, "fraction": graded.fraction, "form": graded.form},
        )

    return score


def _sample(row: Row) -> Sample:
    """The sample of a row; the model sees its ``input`` alone."""
    facts = {name: row[name] for name in _FACTS}
    return Sample(
        id=row["id"],
        input=[_MESSAGES[message["role"]](content=message["content"]) for message in scored.chat(row)],
        target=grading.gold(row),
        metadata={**facts, "lrgen_row": scored.text_of(row)},
    )


def _register(name: str) -> None:
    def of_dataset(
        dataset: str,
        split: str | Sequence[str] = Split.TEST,
        stage: str = Stage.SCHEDULE,
        policy: str = Policy.STRICT,
    ) -> Task:
        return evaluation(name, dataset, split, stage, policy)

    task(name=name)(of_dataset)


for _task in TASKS:
    _register(_task.NAME)

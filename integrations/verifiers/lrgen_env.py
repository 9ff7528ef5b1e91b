"""lrgen's tasks for verifiers: a row of a dataset is a task, and the verdict of ``lrgen score`` its reward.

A run is one answer, or a repair over several turns: the model receives the reason why its answer does not pass, and
answers again.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import verifiers.v1 as vf
from pydantic import Field

from lrgen import rewards
from lrgen.errors import ScoreError
from lrgen.finetune import grading
from lrgen.finetune.formats import scored
from lrgen.score import scoring
from lrgen.score.verdict import Verdict

__all__ = ["LrgenEnv", "LrgenTaskset"]


class LrgenData(vf.TaskData):
    """A row of a dataset; ``row`` is its text in lrgen's formats for scoring, with the answer."""

    row: str


class LrgenTask(vf.Task[LrgenData]):
    """The question of a row; the last reply of a run is graded."""

    @property
    def key(self) -> str:
        """The id of the row."""
        assert self.data.id is not None
        return self.data.id

    @vf.reward
    async def reward(self, trace: vf.Trace) -> float:
        """The reward on lrgen's ladder, from 0 to 1."""
        return (await self.verdict(trace.last_reply)).reward

    @vf.metric
    async def passed(self, trace: vf.Trace) -> float:
        """1 if the reply passed all requested checks, else 0."""
        return float((await self.verdict(trace.last_reply)).passed)

    async def validate(self, runtime: vf.Runtime) -> bool:
        """Whether the dataset's own answer passes."""
        return (await self.verdict(grading.gold(scored.row_of(self.data.row)))).passed

    async def verdict(self, reply: str) -> Verdict:
        """The verdict on a reply.

        Raises:
            ScoreError: if there is none within the deadline of ``lrgen.rewards``.
        """
        return await asyncio.to_thread(rewards.score, scored.row_of(self.data.row), reply)


class LrgenTasksetConfig(vf.TasksetConfig):
    """The rows of a dataset of ``lrgen dataset build``: of these splits and tasks; all tasks where none is named."""

    dataset: Path = Path("dataset")
    splits: list[str] = Field(["train"])
    tasks: list[str] = Field([])


class LrgenTaskset(vf.Taskset[LrgenTask, LrgenTasksetConfig]):
    """The selected rows, in their order in the dataset."""

    def load(self) -> Iterator[LrgenTask]:
        """Yield a task for each row.

        Raises:
            DatasetError: if the folder is no dataset, or a file of it cannot be read.
            ScoreError: if it has another schema than this version of lrgen, or no row is selected.
            UnknownNameError: if it has no such split, or there is no such task.
        """
        config = self.config
        rows = scoring.rows_of(scoring.Selection(config.dataset, tuple(config.splits), tuple(config.tasks)))
        for row in rows.read(rows.ids).values():
            texts = {"system_prompt": row["system"], "prompt": scored.transcript(row), "row": scored.text_of(row)}
            yield LrgenTask(LrgenData(id=row["id"], name=row["task"], **texts), config.task)


class LrgenEnvConfig(vf.EnvConfig):
    """A model that answers; with more than one of ``turns`` it may repair an answer that does not pass."""

    agent: vf.AgentConfig = vf.AgentConfig(harness={"id": "null"}, runtime=vf.SubprocessConfig())
    turns: int = 1


class LrgenEnv(vf.Env[LrgenEnvConfig]):
    """One answer, or several with the reason why the one before does not pass."""

    async def run(self, task: LrgenTask, agents: vf.Agents) -> None:
        """Ask, and ask again until an answer passes or the turns are over."""
        async with agents.agent.interaction(task) as interaction:
            segment = await interaction.turn()
            for _ in range(self.config.turns - 1):
                if segment.terminated:
                    return
                try:
                    verdict = await task.verdict(segment.last_reply)
                except ScoreError:  # scoring will say so
                    return
                if verdict.passed:
                    return
                segment = await interaction.turn(f"This does not pass: {verdict.reason}. Answer again, in full.")

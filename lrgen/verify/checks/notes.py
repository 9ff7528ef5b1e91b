"""Notes of a call of ``learn``: sampled weights, gradients and settings, as the file's process has taken them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lrgen.verify import messages
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.session import Array


@dataclass(frozen=True)
class Sampling:
    """The sampled positions of each parameter. Samples are one vector, parameter after parameter."""

    positions: Sequence[Array]

    @cached_property
    def arrays(self) -> list[Array]:
        """All positions, and their number per parameter."""
        return [np.concatenate(self.positions), np.array(self.sizes, dtype=np.int64)]

    @cached_property
    def sizes(self) -> list[int]:
        """The number of positions of each parameter."""
        return [len(at) for at in self.positions]

    @cached_property
    def count(self) -> int:
        """The number of samples."""
        return sum(self.sizes)

    def among(self, counts: Sequence[int]) -> Array:
        """The positions among all weights, of parameters with these numbers of weights."""
        starts = np.cumsum([0, *counts[:-1]])
        at: Array = self.arrays[0] + np.repeat(starts, self.sizes)
        return at


@dataclass(frozen=True)
class Notes:
    """The notes of one call of ``learn``, and of evaluations after it."""

    learned: messages.Learned
    events: Sequence[messages.Event]
    weights: Array  # events × samples
    gradients: Array  # steps × samples, or empty
    present: Array  # steps × parameters, or empty: which parameters have a gradient

    @classmethod
    def of(
        cls,
        learned: messages.Learned,
        arrays: Sequence[Array],
        sampling: Sampling,
        *,
        gradients: bool = False,
        stopped: bool = False,
    ) -> "Notes":
        """The notes of an answer, whose first three arrays are theirs.

        Args:
            gradients: whether gradients were asked for.
            stopped: ``learn`` was to end before its first step is made.

        Raises:
            CheckFailure: if the arrays do not belong to the events and steps.
        """
        events, steps = learned.events, len(learned.steps)
        counts = [event.steps for event in events]
        noted = steps if gradients else 0
        shapes = [(len(events), sampling.count), (noted, sampling.count), (noted, len(sampling.sizes))]
        if (
            [array.shape for array in arrays[:3]] != shapes
            or counts != sorted(counts)
            or not events
            or events[0].kind != "start"
            or counts[0] != 0
            or counts[-1] > steps
            or not (stopped or (events[-1].kind == "return" and counts[-1] == steps))
        ):
            raise CheckFailure("the notes of learn are not those of one call")
        weights, values, present = arrays[:3]
        return cls(learned, events, weights, values, present.astype(bool))

    @property
    def steps(self) -> Sequence[messages.Step]:
        """The steps of the optimizer."""
        return self.learned.steps

    @property
    def updates(self) -> int:
        """The number of steps of the optimizer."""
        return len(self.steps)

    @property
    def batch_of_updates(self) -> list[int]:
        """The batch in which each step of the optimizer is made, counted from 0."""
        asked = [event.steps for event in self.events if event.kind == "batch"]  # steps before each batch
        return [max(0, sum(before <= update for before in asked) - 1) for update in range(self.updates)]

    def evaluated(self, weights: Array, digest: int) -> "Notes":
        """The same call, and after it an evaluation with these weights.

        Raises:
            CheckFailure: if they are not those of the sampled positions.
        """
        if weights.shape != self.weights.shape[1:]:
            raise CheckFailure("the notes of an evaluation do not belong to those of learn")
        event = messages.Event(kind="return", digest=digest, steps=self.updates)
        return replace(self, events=[*self.events, event], weights=np.concatenate([self.weights, weights[None]]))

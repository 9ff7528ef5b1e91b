"""The effect of each update on sampled weights, compared with a reference optimizer at the learning rates of the curve.

What a file says of its learning rates is in its parameter groups; what counts is how its weights move. A run of
``learn`` is a sequence of notes of the sampled weights (``nursery.watch``). Between two notes weights may move

- by one update after each batch, as the reference optimizer predicts it from the gradients and those learning rates;
- when the optimizer of the variant itself enters or leaves its evaluation mode (schedule-free);
- at no other time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrgen.verify import messages
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.reference_optimizer import (
    GroupSettings,
    InvalidSettingError,
    Prediction,
    ReferenceOptimizer,
    UnknownOptimizerError,
    known_settings,
    reference,
)
from lrgen.verify.messages import printable
from lrgen.verify.session import Array

# An update shows its learning rate if an error of this fraction would be seen in a weight.
RESOLUTION = 0.05
_MOVED = "the weights change {when}, where no update is"


@dataclass(frozen=True)
class Sampling:
    """The sampled positions of each parameter, as ``learn`` takes them."""

    positions: list[Array]

    @property
    def arrays(self) -> list[Array]:
        """All positions, and their number per parameter."""
        return [np.concatenate(self.positions), np.array(self.sizes, dtype=np.int64)]

    @property
    def sizes(self) -> list[int]:
        """The number of positions of each parameter."""
        return [len(at) for at in self.positions]

    def split(self, values: Array) -> list[Array]:
        """Values of all samples, per parameter."""
        return np.split(values, np.cumsum(self.sizes)[:-1])


@dataclass(frozen=True)
class Notes:
    """The notes of one call of ``learn``: events, steps of the optimizer, and their arrays."""

    learned: messages.Learned
    weights: Array  # events × samples
    gradients: Array  # steps × samples, or empty
    present: Array  # steps × parameters, or empty

    @classmethod
    def of(cls, learned: messages.Learned, arrays: Sequence[Array], sampling: Sampling) -> "Notes":
        """The notes of an answer.

        Raises:
            CheckFailure: if the arrays do not belong to the events and steps.
        """
        width, events, steps = sum(sampling.sizes), len(learned.events), len(learned.steps)
        if len(arrays) != 3:
            raise CheckFailure("the notes of learn are not those of one call")
        weights, gradients, present = arrays
        counts = [event.steps for event in learned.events]
        if (
            weights.shape != (events, width)
            or gradients.shape not in ((steps, width), (0, width))
            or present.shape not in ((steps, len(sampling.sizes)), (0, len(sampling.sizes)))
            or counts != sorted(counts)
            or not events
            or learned.events[0].kind != "start"
            or learned.events[-1].kind != "return"
            or counts[-1] != steps
        ):
            raise CheckFailure("the notes of learn are not those of one call")
        return cls(learned, weights, gradients, present)

    @property
    def updates(self) -> int:
        """The number of steps of the optimizer."""
        return len(self.learned.steps)


@dataclass(frozen=True)
class Gradients:
    """The gradients of an update: per parameter (None: it has none), with bounds of their errors."""

    values: list[Array | None]
    errors: list[Array] | None = None


class Effects:
    """The weights of a network through the calls of ``learn`` of one run.

    Raises:
        UnknownOptimizerError: if there is no reference for the optimizer.
        InvalidSettingError: if the reference does not have a setting.
    """

    def __init__(self, set_up: messages.SetUp, sampling: Sampling, optimizer: str | None = None) -> None:
        self.sampling = sampling
        self._name = optimizer or reference_name(set_up.optimizer)
        self._settings = [known_settings(self._name, group.settings) for group in set_up.groups]
        groups = [
            GroupSettings(tuple(at for at in group.parameters if at >= 0), settings)
            for group, settings in zip(set_up.groups, self._settings, strict=True)
        ]
        self._optimizer: ReferenceOptimizer = reference(self._name, groups, sampling.sizes)
        if not self._optimizer.follows_learning_rate:
            raise UnknownOptimizerError(self._name)
        self._weights: Array | None = None
        self._digest: int | None = None
        self.resolution = math.inf  # the best of all updates so far

    def follow(self, notes: Notes, gradients: Sequence[Gradients], lrs: Array, place: "Place", source: str) -> None:
        """Compare the weights of one call of ``learn``.

        Args:
            gradients: of each update.
            lrs: the learning rate of each group by the curve at each update (groups × updates).
            place: says where an update is.
            source: names what the learning rates are compared with.

        Raises:
            CheckFailure: at the first weight that moves otherwise.
        """
        events = notes.learned.events
        if self._weights is not None and not np.array_equal(self._weights, notes.weights[0]):
            raise CheckFailure("the weights change between two calls of learn")
        if None not in (self._digest, events[0].digest) and events[0].digest != self._digest:
            raise CheckFailure("the weights change between two calls of learn")
        for index in range(len(events) - 1):
            before, after = events[index], events[index + 1]
            observed = self.sampling.split(notes.weights[index + 1])
            weights = self.sampling.split(notes.weights[index])
            if after.steps > before.steps + 1:
                raise CheckFailure(f"learn makes {after.steps - before.steps} updates between two batches, expected 1")
            if after.steps > before.steps:
                update = before.steps
                given = gradients[update]
                prediction = self._optimizer.step(
                    weights, given.values, [float(rate) for rate in lrs[:, update]], given.errors
                )
                self._check_settings(notes, update)
                self._check(prediction, observed, place(update), source)
            else:
                self._check_still(before, after, weights, observed)
        self._weights, self._digest = notes.weights[-1], events[-1].digest

    def _check(self, prediction: Prediction, observed: list[Array], where: str, source: str) -> None:
        self.resolution = min(self.resolution, prediction.resolution)
        difference = prediction.difference(observed)
        if difference is None:
            return
        progress = prediction.progress(observed)
        factor = "" if progress is None else f", the update is {progress:.3g} times that of {self._name}"
        raise CheckFailure(
            f"the weights do not move by the learning rate of the curve {where}: "
            f"a weight is {difference.observed:.8g}, expected {difference.expected:.8g}{factor} ({source})"
        )

    def _check_settings(self, notes: Notes, update: int) -> None:
        """Require the settings of the groups to be those of the start; only learning rates may change."""
        settings = notes.learned.steps[update].settings
        if settings is None:
            return
        for group, (given, expected) in enumerate(zip(settings, self._settings, strict=False)):
            now = known_settings(self._name, given)
            changed = next((key for key in expected if now.get(key) != expected[key]), None)
            if changed is not None:
                raise CheckFailure(
                    f"the setting {printable(changed, 50)} of parameter group {group + 1} changes from "
                    f"{expected[changed]} to {now.get(changed)} in learn"
                )

    def _check_still(
        self, before: messages.Event, after: messages.Event, weights: list[Array], observed: list[Array]
    ) -> None:
        moving: Prediction | None = None
        if before.kind == "start":
            moving, when = self._optimizer.train_mode(weights), "before the first batch"
        elif before.kind == "end":
            moving, when = self._optimizer.eval_mode(weights), "after the last batch"
        else:
            when = "in a batch without a step of the optimizer"
        same = all(np.array_equal(old, new) for old, new in zip(weights, observed, strict=True))
        if same and (before.digest is None or after.digest is None or before.digest == after.digest):
            return
        if moving is None or not np.any(moving.tolerance) or moving.difference(observed) is not None:
            raise CheckFailure(_MOVED.format(when=when))


class Place:
    """``in learn at epoch 2, batch 1 of 7``: where an update of a call of ``learn`` is."""

    def __init__(self, epoch: int, batches: int, what: str = "learn") -> None:
        self.epoch, self.batches, self.what = epoch, batches, what

    def __call__(self, update: int) -> str:
        """Say where the update is."""
        return f"in {self.what} at epoch {self.epoch + 1}, batch {update + 1} of {self.batches}"


def reference_name(optimizer: messages.OptimizerReport) -> str:
    """The name of the first of an optimizer's classes that has a reference.

    Raises:
        UnknownOptimizerError: if none has.
    """
    for name in optimizer.classes:
        short = name.rpartition(".")[2]
        try:
            known_settings(short, {})
        except UnknownOptimizerError:
            continue
        return short
    raise UnknownOptimizerError(printable(optimizer.name, 100))


__all__ = [
    "RESOLUTION",
    "Effects",
    "Gradients",
    "InvalidSettingError",
    "Notes",
    "Place",
    "Sampling",
    "UnknownOptimizerError",
    "reference_name",
]

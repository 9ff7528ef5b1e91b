"""The first wrong update of a run: how sampled weights moved, compared with a reference optimizer.

A call of ``learn`` is noted as events (before each batch, at the end of the data, after it returned) and steps of the
optimizer. Weights may move in a step, as the reference predicts it from the gradients at the learning rate of the
schedule, and where an optimizer of its own kind has ``train()`` and ``eval()`` (Schedule-Free); at no other time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen.verify import messages
from lrgen.verify.checks.reference_optimizer import (
    Difference,
    GroupSettings,
    Prediction,
    ReferenceOptimizer,
    UnknownOptimizerError,
    known_settings,
    reference,
)
from lrgen.verify.session import Array


@dataclass(frozen=True)
class Watched:
    """One call of ``learn``: its events and steps, and the sampled weights, gradients and their presence."""

    events: Sequence[messages.Event]
    steps: Sequence[messages.Step]
    weights: NDArray[Any]  # events × samples
    gradients: NDArray[Any]  # steps × samples
    present: NDArray[Any]  # steps × parameters

    @classmethod
    def of(cls, learned: messages.Learned, arrays: Sequence[Array], parameters: int, samples: int) -> "Watched":
        """The notes of an answer.

        Raises:
            ValueError: if the arrays are not those of its events and steps.
        """
        watched = cls(learned.events, learned.steps, *arrays[:3])
        counts = [0, *(event.steps for event in learned.events), len(learned.steps)]
        expected = [
            (len(learned.events), samples),
            (len(learned.steps), samples),
            (len(learned.steps), parameters),
        ]
        shapes = [array.shape for array in arrays[:3]]
        if shapes != expected or counts != sorted(counts) or not learned.events:
            raise ValueError("the notes of a call of learn do not belong together")
        return watched

    def evaluated(self, weights: NDArray[Any], digest: int) -> "Watched":
        """The same call, and after it an evaluation with these weights.

        Raises:
            ValueError: if they are not those of the sampled positions.
        """
        if weights.shape != self.weights.shape[1:]:
            raise ValueError("the notes of an evaluation do not belong to those of learn")
        event = messages.Event(kind="return", digest=digest, steps=len(self.steps))
        return replace(self, events=[*self.events, event], weights=np.concatenate([self.weights, weights[None]]))


class Fault(StrEnum):
    """A way in which an update is wrong."""

    WEIGHTS = "the weights after it"
    MOVED = "weights move without a step of the optimizer"
    STEPS = "several steps of the optimizer in one batch"
    SETTINGS = "a setting of a parameter group changes"


@dataclass(frozen=True)
class WrongUpdate:
    """The first wrong update of a call of ``learn``; ``batch`` counts from 0, None outside the batches.

    ``progress`` is the observed update as a multiple of the predicted one, ``setting`` what changed.
    """

    fault: Fault
    batch: int | None
    difference: Difference | None = None
    progress: float | None = None
    setting: str = ""


def optimizer_of(set_up: messages.SetUp, own: str | None) -> str:
    """The name of the reference for a file's optimizer: torch's class, or the written class ``own`` of its variant.

    A class that derives from one of torch's is compared with that one.

    Raises:
        UnknownOptimizerError: if it has no reference.
    """
    classes = set_up.optimizer.classes
    torch = next((name for name in classes if name.startswith("torch.optim.") and "optimizer." not in name), None)
    name = set_up.optimizer.name if torch is None else torch.rpartition(".")[2]
    if torch is None and name != own:
        raise UnknownOptimizerError(messages.printable(name))
    known_settings(name, {})
    return name


class ObservedUpdates:
    """Follows the weights of a network through the calls of ``learn``.

    Args:
        name: of the reference optimizer.
        groups: the parameter groups at the start.
        sizes: the number of samples of each parameter.

    Raises:
        UnknownOptimizerError: if the optimizer has no reference.
        InvalidSettingError: if a setting of a group is invalid.
        ValueError: if the groups share a parameter.
    """

    def __init__(self, name: str, groups: Sequence[messages.Group], sizes: Sequence[int]) -> None:
        self._name, self._sizes = name, list(sizes)
        self._settings = [known_settings(name, group.settings) for group in groups]
        self._reference = reference(
            name,
            [
                GroupSettings(tuple(at for at in group.parameters if at >= 0), settings)
                for group, settings in zip(groups, self._settings, strict=True)
            ],
            self._sizes,
        )
        self._has_modes = type(self._reference).train_mode is not ReferenceOptimizer.train_mode
        self._last: tuple[messages.Event, NDArray[Any]] | None = None

    def first_wrong(self, watched: Watched, rates: NDArray[np.float64]) -> WrongUpdate | None:
        """The first wrong update of the next call of ``learn``; None if all are right.

        Args:
            watched: its notes; ``gradients`` are those that the optimizer got, observed or computed.
            rates: the learning rate of the schedule of each group at each step (groups × steps).
        """
        batch: int | None = None
        for event, weights in zip(watched.events, watched.weights, strict=True):
            if self._last is not None:
                before, old = self._last
                if before.kind == event.kind == "return":  # an evaluation
                    batch = None
                # The steps of a call are counted from its start.
                step = 0 if event.kind == "start" else before.steps
                wrong = self._between(step, before, event, old, weights, watched, rates)
                if wrong is not None:
                    fault, difference, progress, setting = wrong
                    return WrongUpdate(fault, batch, difference, progress, setting)
            self._last = event, weights
            if event.kind == "batch":
                batch = 0 if batch is None else batch + 1
        return None

    def _between(
        self,
        step: int,
        before: messages.Event,
        after: messages.Event,
        old: NDArray[Any],
        new: NDArray[Any],
        watched: Watched,
        rates: NDArray[np.float64],
    ) -> "tuple[Fault, Difference | None, float | None, str] | None":
        steps = after.steps - step
        if steps > 1:
            return Fault.STEPS, None, None, ""
        if steps == 1:
            setting = self._changed(watched.steps[step].settings)
            if setting:
                return Fault.SETTINGS, None, None, setting
            prediction = self._step(old, new, watched.gradients[step], watched.present[step], rates[:, step])
            if prediction is None:
                return None
            observed = self._split(new)
            return Fault.WEIGHTS, prediction.difference(observed), prediction.progress(observed), ""
        same_digest = None in (before.digest, after.digest) or before.digest == after.digest
        if np.array_equal(old, new, equal_nan=True) and same_digest:
            return None
        return None if self._in_other_mode(self._split(old), self._split(new)) else (Fault.MOVED, None, None, "")

    def _step(
        self,
        old: NDArray[Any],
        new: NDArray[Any],
        gradients: NDArray[Any],
        present: NDArray[Any],
        rates: NDArray[np.float64],
    ) -> Prediction | None:
        """The prediction that the weights after a step differ from; None if they are as predicted."""
        weights, observed = self._split(old), self._split(new)
        given = [part if there else None for part, there in zip(self._split(gradients), present, strict=True)]
        state = self._reference.state() if self._has_modes else None
        prediction = self._reference.step(weights, given, list(rates))
        if self._agrees(prediction, observed):
            return None
        if state is not None:  # train() may have been called within the batch, before the step
            self._reference.load(state)
            start = self._reference.train_mode(weights)
            if self._agrees(self._reference.step(start.weights, given, list(rates)), observed):
                return None
        return prediction

    def _agrees(self, prediction: Prediction, observed: list[NDArray[Any]]) -> bool:
        if prediction.difference(observed) is None:
            return True
        return self._in_other_mode(prediction.weights, observed)

    def _in_other_mode(self, weights: Sequence[NDArray[Any]], observed: list[NDArray[Any]]) -> bool:
        """Whether the weights are those after ``train()`` or ``eval()`` of an optimizer that has them."""
        if not self._has_modes:
            return False
        modes = (self._reference.train_mode(weights), self._reference.eval_mode(weights))
        return any(mode.difference(observed) is None for mode in modes)

    def _changed(self, settings: Sequence[Mapping[str, Any]] | None) -> str:
        """The first setting of a group that is not that of the start, ``momentum of parameter group 1``."""
        if settings is None:
            return ""
        if len(settings) != len(self._settings):
            return "number of parameter groups"
        for index, (now, first) in enumerate(zip(settings, self._settings, strict=True), start=1):
            known = known_settings(self._name, now)
            for key in known | first:
                if known.get(key) != first.get(key):
                    return f"{key} of parameter group {index}"
        return ""

    def _split(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Values of all samples, per parameter."""
        return np.split(values, np.cumsum(self._sizes)[:-1])

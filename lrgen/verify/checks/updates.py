"""The effect of updates on sampled weights, compared with a reference optimizer at the learning rates of a schedule.

What a file says of its learning rates is in its parameter groups; what counts is how its weights move. A run of
``learn`` is a sequence of notes of the sampled weights (``nursery.watch``). Between two notes weights may move

- by one update after each batch, as the reference optimizer predicts it from the gradients and those learning rates;
- by ``train()`` of an optimizer that has it (Schedule-Free), before the first update of a call of ``learn``, and by
  ``eval()`` after the last one: all gradients are those at the weights of ``train()``;
- between the last update and the first one of the next call, by an average of the weights that a practice evaluates
  with: after the data has ended they are that average, and before the first batch the trained ones again;
- at no other time.
"""

import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen.verify import messages
from lrgen.verify.checks.averages import Average
from lrgen.verify.checks.failure import CheckFailure
from lrgen.verify.checks.notes import Notes, Sampling
from lrgen.verify.checks.reference_optimizer import (
    GroupSettings,
    Prediction,
    UnknownOptimizerError,
    known_settings,
    reference,
)
from lrgen.verify.messages import printable
from lrgen.verify.session import Array

# An update shows its learning rate if an error of this fraction would be seen in a weight.
RESOLUTION = 0.05


@dataclass(frozen=True)
class Gradients:
    """The sampled gradients of an update, which parameters have one, and bounds of their errors."""

    values: Array
    present: NDArray[np.bool_]
    errors: Array | None = None


class Place:
    """``in learn at epoch 2, batch 1 of 7``: where an update of a call of ``learn`` is."""

    def __init__(self, epoch: int, batches: int, what: str = "learn") -> None:
        self.epoch, self.batches, self.what = epoch, batches, what

    def __str__(self) -> str:
        return f"in {self.what} at epoch {self.epoch + 1}"

    def __call__(self, update: int) -> str:
        """Say where the update is."""
        return f"{self}, batch {update + 1} of {self.batches}"


class Fault(Enum):
    """A way in which weights are wrong."""

    WEIGHTS = auto()  # an update is not the reference's
    MOVED = auto()  # they move without an update
    STEPS = auto()  # several steps of the optimizer between two batches
    SETTINGS = auto()  # a setting of a parameter group changes


class WrongUpdate(CheckFailure):
    """The first update of a run that is not the reference's; the message says where and how."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault


@dataclass(frozen=True)
class _Call:
    """A call of ``learn``, and the gradients and learning rates that it is compared with."""

    notes: Notes
    gradients: Sequence[Gradients]
    rates: Array
    place: Place
    source: str


@dataclass(frozen=True)
class _Note:
    """Sampled weights at an event; ``batch`` counts those that learn has asked for so far."""

    event: messages.Event
    weights: Array
    batch: int


class Effects:
    """The weights of a network through the calls of ``learn`` of one run.

    Args:
        names: of the parameters.
        optimizer: the name of the reference, by default ``reference_name``.
        average: of the weights, that the network has between two calls of ``learn``.

    Raises:
        UnknownOptimizerError: if there is no reference for the optimizer.
        InvalidSettingError: if the reference does not have a setting.
    """

    def __init__(
        self,
        set_up: messages.SetUp,
        sampling: Sampling,
        names: Sequence[str],
        optimizer: str | None = None,
        average: Average | None = None,
    ) -> None:
        self.sampling = sampling
        self._average = average
        self._trained: Array | None = None  # the weights after the last update
        self._names = names
        self._name = optimizer or reference_name(set_up.optimizer)
        self._settings = [known_settings(self._name, group.settings) for group in set_up.groups]
        groups = [
            GroupSettings(tuple(at for at in group.parameters if at >= 0), settings)
            for group, settings in zip(set_up.groups, self._settings, strict=True)
        ]
        self._reference = reference(self._name, groups, sampling.sizes)
        self._last: _Note | None = None
        self.resolution = math.inf  # the best of all updates so far

    @property
    def follows_learning_rate(self) -> bool:
        """Whether each update depends on a learning rate."""
        return self._reference.follows_learning_rate

    def follow(self, notes: Notes, gradients: Sequence[Gradients], rates: Array, place: Place, source: str) -> None:
        """Compare the weights of one call of ``learn``.

        Args:
            notes: of the call.
            gradients: of each update.
            rates: the learning rate of each group by the schedule at each update (groups × updates).
            place: says where an update is.
            source: names what the learning rates are compared with.

        Raises:
            WrongUpdate: at the first weight that moves otherwise.
        """
        call, batch = _Call(notes, gradients, rates, place, source), 0
        for event, weights in zip(notes.events, notes.weights, strict=True):
            note = _Note(event, weights, batch)
            if self._last is not None:
                self._between(self._last, note, call)
            batch += event.kind == "batch"
            self._last = _Note(event, weights, batch)

    def _between(self, before: _Note, after: _Note, call: _Call) -> None:
        # The steps of a call are counted from its start.
        update = 0 if after.event.kind == "start" else before.event.steps
        made = after.event.steps - update
        where = call.place(max(0, before.batch - 1))
        if made > 1:
            raise WrongUpdate(Fault.STEPS, f"learn makes {made} updates between two batches {where}, expected 1")
        if made:
            self._check_settings(call.notes.steps[update].settings, where)
            self._check_update(update, before, after, call, where)
            self._add_to_average(before, after)
        else:
            self._check_still(before, after, call.place, where)

    def _add_to_average(self, before: _Note, after: _Note) -> None:
        """Add the weights after an update to the average."""
        self._trained = after.weights
        if self._average is not None:
            self._average.start(before.weights)
            self._average.update(after.weights)
            if after.event.kind == "end":
                self._average.end(after.weights)

    def _check_settings(self, settings: Sequence[Mapping[str, Any]] | None, where: str) -> None:
        """Require the settings of the groups to be those of the start; only learning rates may change."""
        if settings is None:
            return
        if len(settings) != len(self._settings):
            raise WrongUpdate(
                Fault.SETTINGS,
                f"the number of parameter groups changes from {len(self._settings)} to {len(settings)} {where}",
            )
        for group, (given, first) in enumerate(zip(settings, self._settings, strict=True), start=1):
            now = known_settings(self._name, given)
            changed = next((key for key in first | now if now.get(key) != first.get(key)), None)
            if changed is not None:
                raise WrongUpdate(
                    Fault.SETTINGS,
                    f"the setting {printable(changed, 50)} of parameter group {group} changes from "
                    f"{reprlib.repr(first.get(changed))} to {reprlib.repr(now.get(changed))} {where}, expected a "
                    "change of the learning rate alone",
                )

    def _check_update(self, update: int, before: _Note, after: _Note, call: _Call, where: str) -> None:
        optimizer, gradients, rates = self._reference, call.gradients[update], call.rates[:, update]

        def predict(weights: Array) -> Prediction:
            return optimizer.step(weights, gradients.values, gradients.present, rates, gradients.errors)

        # train() may be called in the first batch, before its update.
        first = optimizer.has_modes and before.batch <= 1
        state = optimizer.state() if first else None
        prediction = predict(before.weights)
        if not self._fits(prediction, after):
            again = None
            if state is not None:
                optimizer.load(state)
                again = predict(optimizer.train_mode(before.weights).after)
            if again is None or not self._fits(again, after):
                raise self._wrong(prediction, after.weights, where, call.source)
            prediction = again
        self.resolution = min(self.resolution, prediction.resolution)

    def _fits(self, prediction: Prediction, after: _Note) -> bool:
        """Whether weights are those after an update; ``eval()`` may be called after the last one."""
        if prediction.difference(after.weights) is None:
            return True
        if not self._reference.has_modes or after.event.kind not in ("end", "return"):
            return False
        return self._reference.eval_mode(prediction.after).difference(after.weights) is None

    def _wrong(self, prediction: Prediction, observed: Array, where: str, source: str) -> WrongUpdate:
        difference, progress = prediction.difference(observed), prediction.progress(observed)
        assert difference is not None
        factor = "" if progress is None else f", the update is {progress:.3g} times that of {self._name}"
        return WrongUpdate(
            Fault.WEIGHTS,
            f"the weights do not move by the learning rate of the schedule {where}: a weight of "
            f"{printable(self._names[difference.parameter], 100)} is {difference.observed:.8g}, expected "
            f"{difference.expected:.8g}{factor} ({source})",
        )

    def _check_still(self, before: _Note, after: _Note, place: Place, where: str) -> None:
        """Require that weights do not move between two notes, but by ``train()`` and ``eval()`` where they may."""
        self._require_average(before, after, place)
        digests = before.event.digest, after.event.digest
        same = np.array_equal(before.weights, after.weights, equal_nan=True)
        if same and (None in digests or digests[0] == digests[1]):
            return
        if self._is_average(before.event.kind, after):
            return
        optimizer, mode, of_epoch = self._reference, None, str(place)
        match before.event.kind, after.event.kind:
            case "start", _:
                mode, when = optimizer.train_mode, f"before the first batch ({of_epoch})"
            case "end", _:
                mode, when = optimizer.eval_mode, f"after the last batch ({of_epoch})"
            case "return", "return":
                mode, when = optimizer.eval_mode, f"for an evaluation ({of_epoch})"
            case "return", _:
                when = f"between two calls of learn ({of_epoch})"
            case _:
                when = f"in a batch without a step of the optimizer ({where})"
        if mode is not None and optimizer.has_modes:
            moved = mode(before.weights)
            if np.any(moved.tolerance) and moved.difference(after.weights) is None:
                return
        raise WrongUpdate(Fault.MOVED, f"the weights change {when}, where no update is")

    def _require_average(self, before: _Note, after: _Note, place: Place) -> None:
        """Require the average at the end of a call, once there is one."""
        if self._average is None or self._average.values is None:
            return
        if (before.event.kind, after.event.kind) == ("end", "return") and not self._average.is_close(after.weights):
            raise WrongUpdate(Fault.MOVED, f"the network is not evaluated with the average of its weights ({place})")

    def _is_average(self, kind: str, after: _Note) -> bool:
        """Whether weights become the average after an event of a kind, or the trained weights again."""
        if self._average is None or self._average.values is None:
            return False
        if kind == "start":
            return np.array_equal(after.weights, self._trained) if self._trained is not None else False
        return kind == "end" and self._average.is_close(after.weights)


def require_resolution(resolution: float) -> None:
    """Require that some update shows its learning rate.

    Raises:
        CheckFailure: if the best resolution of all updates is too coarse.
    """
    if resolution > RESOLUTION:
        raise CheckFailure(
            "the updates are too small to show the learning rate "
            f"(the best shows it to a fraction of {resolution:.2g}, expected {RESOLUTION:g})"
        )


def observed(notes: Notes) -> list[Gradients]:
    """The gradients that the file's process noted at each step of the optimizer."""
    return [Gradients(*of_step) for of_step in zip(notes.gradients, notes.present, strict=True)]


def reference_name(optimizer: messages.OptimizerReport, torch_alone: bool = False) -> str:
    """The name of the first of an optimizer's classes that has a reference.

    Args:
        torch_alone: whether only torch's classes count: without a claim, a class of the file's own may be any
            optimizer, whatever its name.

    Raises:
        UnknownOptimizerError: if none has.
    """
    if optimizer.wrapped and torch_alone:
        raise UnknownOptimizerError(f"a wrapper of {printable(optimizer.name, 100)}")
    for name in optimizer.classes:
        of_torch, short = name.startswith("torch.optim."), name.rpartition(".")[2]
        try:
            known_settings(short, {})
        except UnknownOptimizerError:
            if of_torch and short != "Optimizer":
                raise
            continue
        if of_torch or not torch_alone:
            return short
    raise UnknownOptimizerError(printable(optimizer.name, 100))

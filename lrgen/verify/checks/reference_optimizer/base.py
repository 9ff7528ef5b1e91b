"""The base of all reference optimizers: samples of all parameters in one vector, predictions and tolerances."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrgen.verify.checks.reference_optimizer.settings import (
    DECAYS,
    GroupSettings,
    Setting,
    kinds_of,
    number,
    validated,
)

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Samples = NDArray[np.floating[Any]]
State = dict[str, NDArray[Any]]

FLOAT32 = 2.0**-24  # the unit roundoff

_ROUNDINGS_OF_WEIGHT = 4.0
_ROUNDINGS_OF_UPDATE = 16.0
_SMALLEST_DIVISOR = 0.1  # as a fraction of the divisor, where errors are as large as gradients
_SMALLEST = 1e-30  # products of smaller numbers than this have no place in single precision
# ``capturable`` and ``differentiable`` compute 1 - beta ** step in float32, a difference of almost equal numbers.
_MAX_CORRECTION_ERROR = 1e-3


@dataclass(frozen=True)
class Difference:
    """The weight that differs most from its prediction, relative to the tolerance."""

    parameter: int
    sample: int
    observed: float
    expected: float
    tolerance: float


@dataclass(frozen=True)
class Prediction:
    """Samples of all parameters after an update: ``after``, each within ``tolerance``; ``before`` are those before it.

    The vectors hold the parameters one after another, ``sizes`` are their numbers of samples.
    """

    sizes: NDArray[np.intp]
    before: Array
    after: Array
    tolerance: Array

    def difference(self, observed: Samples) -> Difference | None:
        """The largest difference from the observed weights; None if all are within their tolerances.

        A weight that is not finite differs.

        Raises:
            ValueError: if there is another number of samples.
        """
        weights = _vector("weights", observed, len(self.after))
        with np.errstate(all="ignore"):
            distance = np.abs(weights - self.after)
            wrong = ~(distance <= self.tolerance) | ~np.isfinite(weights)
            if not wrong.any():
                return None
            ratio = np.nan_to_num(distance / self.tolerance, nan=np.inf, posinf=np.inf)
        at = int(np.argmax(np.where(wrong, ratio, -1.0)))
        ends = np.cumsum(self.sizes)
        parameter = int(np.searchsorted(ends, at, side="right"))
        return Difference(
            parameter,
            at - int(ends[parameter] - self.sizes[parameter]),
            float(weights[at]),
            float(self.after[at]),
            float(self.tolerance[at]),
        )

    def progress(self, observed: Samples) -> float | None:
        """The observed update along the predicted one, as a multiple of it (1: as predicted); None if there is none.

        It says what is wrong: 0.5 where the loss is halved under SGD, -1 where the update has the wrong sign.

        Raises:
            ValueError: if there is another number of samples.
        """
        weights = _vector("weights", observed, len(self.after))
        with np.errstate(all="ignore"):
            update = self.after - self.before
            ratio = float(np.dot(weights - self.before, update) / np.dot(update, update))
        return ratio if math.isfinite(ratio) else None

    @property
    def resolution(self) -> float:
        """The smallest error of the learning rate that a weight shows, as a fraction of it; inf if nothing moves.

        Settings can make updates smaller than rounding errors (a large ``eps``); any learning rate is then accepted.
        """
        with np.errstate(all="ignore"):
            resolutions = self.tolerance / np.abs(self.after - self.before)
        return float(np.nan_to_num(resolutions, nan=np.inf, posinf=np.inf).min(initial=np.inf))


class ReferenceOptimizer(ABC):
    """An optimizer over samples of parameters; it keeps its own state between updates.

    Parameters that are in no group, or have no gradient, keep their weights exactly.
    """

    def __init__(self, name: str, groups: Sequence[GroupSettings], sizes: Sequence[int], roundoff: float) -> None:
        self.name = name
        self.sizes = np.array(sizes, dtype=np.intp)
        self._count = int(self.sizes.sum())
        self._roundoff = roundoff
        self._group_of = _group_of_each(groups, len(self.sizes))
        self._in_group = np.array(self._group_of, dtype=np.intp) >= 0
        self._group_of_weight = np.repeat(np.array(self._group_of, dtype=np.intp), self.sizes)
        self._settings = [validated(name, group.settings) for group in groups]
        self._updates = 0
        self._read_settings()

    @property
    def follows_learning_rate(self) -> bool:
        """Whether each update depends on a learning rate; Rprop reads it only before its first update.

        ASGD follows with a delay: an update uses the learning rate of the update before it.
        """
        return self.name != "Rprop"

    @property
    def has_modes(self) -> bool:
        """Whether the optimizer has ``train()`` and ``eval()``, which move the weights."""
        return False

    def step(
        self,
        weights: Samples,
        gradient: Samples,
        present: Flags,
        lrs: Sequence[float] | Array,
        errors: Samples | None = None,
    ) -> Prediction:
        """Predict the weights after an update, and update the state.

        Args:
            weights: the samples of all parameters.
            gradient: after clipping.
            present: which parameters have a gradient; that of others does not count.
            lrs: a learning rate per group.
            errors: bounds of the errors of the gradient beyond float32's.

        Raises:
            ValueError: if there is another number of samples, of parameters or of groups.
        """
        if len(lrs) != len(self._settings):
            raise ValueError(f"expected {len(self._settings)} learning rates, got {len(lrs)}")
        if present.shape != self.sizes.shape:
            raise ValueError(f"expected gradients of {len(self.sizes)} parameters, got {len(present)}")
        before = _vector("weights", weights, self._count)
        given = _vector("gradients", gradient, self._count)
        active = present & self._in_group
        moving = np.repeat(active, self.sizes)
        all_move = bool(active.all())
        with np.errstate(all="ignore"):
            if not all_move:
                given = np.where(moving, given, 0.0)
            relative = self._relative_errors()
            # The roundings of weight decay add nothing: where the two cancel, they are of one size.
            error = relative * np.abs(given)
            if errors is not None:
                error += np.abs(_vector("errors", errors, self._count))
            after, noise = self._update(before, given, error, active, moving, np.asarray(lrs, dtype=np.float64))
            self._updates += 1
            tolerance = self._rounding(before, after) + relative * np.abs(after - before) + noise
            if not all_move:
                tolerance[~moving] = 0.0
        return Prediction(self.sizes, before, after, tolerance)

    def train_mode(self, weights: Samples) -> Prediction:
        """Predict the weights after ``optimizer.train()``; an optimizer without that method keeps them.

        Raises:
            ValueError: if there is another number of samples.
        """
        before = _vector("weights", weights, self._count)
        return Prediction(self.sizes, before, before, np.zeros_like(before))

    def eval_mode(self, weights: Samples) -> Prediction:
        """Predict the weights after ``optimizer.eval()``; an optimizer without that method keeps them.

        Raises:
            ValueError: if there is another number of samples.
        """
        return self.train_mode(weights)

    def change_settings(self, group: int, settings: Mapping[str, Setting]) -> None:
        """Replace the settings of a group from the next update on, as where a schedule drives the momentum.

        Raises:
            InvalidSettingError: if a setting is unknown or invalid.
        """
        self._settings[group] = validated(self.name, settings)
        self._read_settings()

    def state(self) -> State:
        """A copy of the state; an optimizer that is built with the same arguments continues from it after ``load``."""
        return {"updates": np.array(self._updates), **{key: value.copy() for key, value in self._arrays().items()}}

    def load(self, state: State) -> None:
        """Continue from a state of the same optimizer."""
        self._updates = int(state["updates"])
        self._restore({key: value.copy() for key, value in state.items() if key != "updates"})

    @abstractmethod
    def _update(
        self, before: Array, gradient: Array, error: Array, active: Flags, moving: Flags, lrs: Array
    ) -> tuple[Array, Array]:
        """The weights after the update, and the effect of the errors of this and of earlier gradients.

        Parameters are ``active`` and their samples ``moving`` where they are in a group and have a gradient.
        """

    @abstractmethod
    def _arrays(self) -> State:
        """The arrays of the state."""

    @abstractmethod
    def _restore(self, arrays: State) -> None:
        """Set the arrays of the state."""

    def _per_weight(self, values: Sequence[float] | Array) -> Array:
        """A value of each group as a value of each weight; zero for weights in no group."""
        per_weight: Array = np.append(values, 0.0)[self._group_of_weight]
        return per_weight

    def _rounding(self, before: Array, after: Array) -> Array:
        """The rounding errors of the weights themselves."""
        largest: Array = np.maximum(np.abs(before), np.abs(after))
        return _ROUNDINGS_OF_WEIGHT * self._roundoff * largest + _SMALLEST

    def _relative_errors(self) -> Array:
        """The error of an update, and of a gradient, that float32 explains, as a fraction of it."""
        roundings: Array = _ROUNDINGS_OF_UPDATE + np.minimum(self._memory, self._updates)
        return self._roundoff * roundings + self._correction / (1 + self._updates)

    def _read_settings(self) -> None:
        """Set what rounding errors depend on: the memory of the averages, and how their bias is corrected."""
        memories = [self._memory_of(settings) for settings in self._settings]
        corrections = [
            min(self._roundoff * memory, _MAX_CORRECTION_ERROR)
            if settings.get("capturable") or settings.get("differentiable")
            else 0.0
            for settings, memory in zip(self._settings, memories, strict=True)
        ]
        self._memory, self._correction = self._per_weight(memories), self._per_weight(corrections)

    def _memory_of(self, settings: Mapping[str, Setting]) -> float:
        """The number of updates after which a group's averages have forgotten a gradient."""
        if self.name == "Rprop":
            return math.inf  # a step size is a product over all updates
        keys = kinds_of(self.name)
        betas = settings.get("betas", (0.9, 0.999)) if "betas" in keys else ()
        names = [key for key in DECAYS if key in keys and self.name != "ASGD"]  # its alpha is an exponent
        decays = [number(settings, key, DECAYS[key]) for key in names]
        longest = max([0.0, *decays, *(betas if isinstance(betas, tuple) else ())])
        return 1 / (1 - longest) if longest < 1 else math.inf


def _group_of_each(groups: Sequence[GroupSettings], count: int) -> list[int]:
    """The group of each parameter; -1 if it is in none."""
    group_of = [-1] * count
    for index, group in enumerate(groups):
        for parameter in group.parameters:
            if not 0 <= parameter < count:
                raise ValueError(f"parameter {parameter} of group {index} does not exist, there are {count}")
            if group_of[parameter] >= 0:
                raise ValueError(f"parameter {parameter} is in the groups {group_of[parameter]} and {index}")
            group_of[parameter] = index
    return group_of


def _vector(what: str, samples: Samples, count: int) -> Array:
    """Samples of all parameters in float64."""
    if samples.shape != (count,):
        raise ValueError(f"expected {count} {what}, got an array of shape {samples.shape}")
    return samples.astype(np.float64, copy=False)


def noise_beside(
    update: Array, update_of_errors: Array, norm_of_errors: Array, divisor: Array, divisor_of_errors: Array
) -> Array:
    """The effect of errors where a second moment divides an update; both updates are absolute values.

    The numerator changes by that of the errors as gradients, the divisor by the errors' norm. Errors as large as the
    gradients may leave almost nothing of the divisor. Twice the effect is allowed, for older updates in an average.
    """
    relative = np.minimum(norm_of_errors / divisor, 1.0)
    of_numerator: Array = update_of_errors * np.minimum(divisor_of_errors / divisor, 1.0)
    noise: Array = 2 * (of_numerator + update * relative) / np.maximum(1 - relative, _SMALLEST_DIVISOR)
    return noise

"""Reference optimizers: the weights after an update, from the weights and gradients before it and the learning rates.

The examiner sees samples of each parameter. ``step`` returns the weights that the optimizer of the file, with its
settings, computes at the learning rates of the curve, and how far float32 arithmetic may be from them. All optimizers
here are elementwise: a weight depends on its own gradients alone, so that samples are enough.

The references compute in float64, with torch's own classes or, for the Schedule-Free optimizers, from the paper. The
file computes in float32 and in any order of operations: ``foreach``, ``fused``, ``capturable`` and ``differentiable``
change only rounding errors. The tolerance of a weight is the sum of

- four roundings of the weight itself, which is all that matters where a weight is large beside its update;
- 16 + n roundings of the update, n the smaller of the number of updates and the memory of the averages: their
  coefficients are rounded to float32 as well, in the same direction each time;
- the effect of errors of the gradients, which are as many roundings of a gradient and what ``errors`` adds. In an
  optimizer without a second moment it is the update that the errors would cause as gradients. Where a second moment v
  divides the update and v_e is the errors' own, sqrt(v) changes by at most sqrt(v_e), as it is a norm.

Gradients may be rounding errors themselves, as those of a bias before batch norm. Adam then moves the weight by the
learning rate in a random direction; where ``errors`` are above the gradients, the tolerance allows that.
"""

import itertools
import math
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch.optim import Optimizer

Array = NDArray[np.float64]
Samples = Sequence[NDArray[np.floating[Any]]]
Setting = float | bool | tuple[float, ...] | None
State = dict[str, NDArray[Any]]

FLOAT32 = 2.0**-24  # the unit roundoff

_ROUNDINGS_OF_WEIGHT = 4.0
_ROUNDINGS_OF_UPDATE = 16.0
_SMALLEST_DIVISOR = 0.1  # as a fraction of the divisor, where errors are as large as gradients
_SMALLEST = float(np.finfo(np.float32).tiny)
# ``capturable`` and ``differentiable`` compute 1 - beta ** step in float32, a difference of almost equal numbers.
_MAX_CORRECTION_ERROR = 1e-3


class UnknownOptimizerError(ValueError):
    """There is no reference for an optimizer: it is unknown, or not elementwise."""

    def __init__(self, name: object) -> None:
        self.name = name
        reason = _NOT_ELEMENTWISE.get(name, "it is unknown") if isinstance(name, str) else "it is unknown"
        super().__init__(f"there is no reference for the optimizer {reprlib.repr(name)}: {reason}")


class InvalidSettingError(ValueError):
    """A setting of a parameter group is unknown, or its value is invalid; ``key`` and ``value`` say which."""

    def __init__(self, name: str, key: object, value: object, expected: str) -> None:
        self.key, self.value = key, value
        super().__init__(
            f"the setting {reprlib.repr(key)} of the optimizer {name} must be {expected}, got {reprlib.repr(value)}"
            if expected
            else f"the optimizer {name} has no setting {reprlib.repr(key)} (its value is {reprlib.repr(value)})"
        )


@dataclass(frozen=True)
class GroupSettings:
    """A parameter group: the indices of its parameters and its settings, as in ``optimizer.param_groups``.

    The learning rate is not among the settings that count: ``step`` receives it. A setting that is missing has torch's
    default.
    """

    parameters: tuple[int, ...]
    settings: Mapping[str, Setting]


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

    The arrays hold the parameters one after another, ``sizes`` are their numbers of samples.
    """

    sizes: tuple[int, ...]
    before: Array
    after: Array
    tolerance: Array

    @property
    def weights(self) -> list[Array]:
        """The weights after the update, per parameter."""
        return self._of_each(self.after)

    @property
    def tolerances(self) -> list[Array]:
        """The tolerances, per parameter."""
        return self._of_each(self.tolerance)

    def difference(self, observed: Samples) -> Difference | None:
        """The largest difference from the observed weights; None if all are within their tolerances.

        A weight that is not finite differs.

        Raises:
            ValueError: if a parameter does not have its number of samples.
        """
        weights = _flat("weights", observed, self.sizes)
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
            ValueError: if a parameter does not have its number of samples.
        """
        weights = _flat("weights", observed, self.sizes)
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

    def _of_each(self, values: Array) -> list[Array]:
        ends = list(itertools.accumulate(self.sizes))
        return [values[end - size : end] for end, size in zip(ends, self.sizes, strict=True)]


class ReferenceOptimizer(ABC):
    """An optimizer over samples of parameters; it keeps its own state between updates.

    Parameters that are in no group, or have no gradient, keep their weights exactly.
    """

    def __init__(self, name: str, groups: Sequence[GroupSettings], sizes: Sequence[int], roundoff: float) -> None:
        self.name = name
        self.sizes = tuple(sizes)
        self._roundoff = roundoff
        self._group_of = _group_of_each(groups, len(self.sizes))
        self._group_of_weight = np.repeat(np.array(self._group_of, dtype=np.intp), self.sizes)
        self._settings = [_validated(name, group.settings) for group in groups]
        self._zeros = [np.zeros(size) for size in self.sizes]
        self._updates = 0
        self._read_settings()

    @property
    def follows_learning_rate(self) -> bool:
        """Whether each update depends on a learning rate; Rprop reads it only before its first update.

        ASGD follows with a delay: an update uses the learning rate of the update before it.
        """
        return self.name != "Rprop"

    def step(
        self,
        weights: Samples,
        gradients: Sequence[NDArray[np.floating[Any]] | None],
        lrs: Sequence[float],
        errors: Samples | None = None,
    ) -> Prediction:
        """Predict the weights after an update, and update the state.

        ``weights`` and ``gradients`` (after clipping) are samples per parameter, ``lrs`` a learning rate per group.
        ``errors`` bound the errors of the gradients beyond float32's; without a gradient they do not count.

        Raises:
            ValueError: if a parameter does not have its number of samples, or a group no learning rate.
        """
        if len(lrs) != len(self._settings):
            raise ValueError(f"expected {len(self._settings)} learning rates, got {len(lrs)}")
        if len(gradients) != len(self.sizes):
            raise ValueError(f"expected gradients of {len(self.sizes)} parameters, got {len(gradients)}")
        active = [g is not None and group >= 0 for g, group in zip(gradients, self._group_of, strict=True)]
        filled = [zero if g is None else g for g, zero in zip(gradients, self._zeros, strict=True)]
        before, gradient = _flat("weights", weights, self.sizes), _flat("gradients", filled, self.sizes)
        with np.errstate(all="ignore"):
            relative = self._relative_errors()
            # The roundings of weight decay add nothing: where the two cancel, they are of one size.
            error = relative * np.abs(gradient)
            if errors is not None:
                error += np.abs(_flat("errors", errors, self.sizes))
            after, noise = self._update(before, gradient, error, active, np.asarray(lrs, dtype=np.float64))
            self._updates += 1
            tolerance = self._rounding(before, after) + relative * np.abs(after - before) + noise
            if not all(active):
                tolerance[~np.repeat(active, self.sizes)] = 0.0
        return Prediction(self.sizes, before, after, tolerance)

    def train_mode(self, weights: Samples) -> Prediction:
        """Predict the weights after ``optimizer.train()``; an optimizer without that method keeps them.

        Raises:
            ValueError: if a parameter does not have its number of samples.
        """
        before = _flat("weights", weights, self.sizes)
        return Prediction(self.sizes, before, before, np.zeros_like(before))

    def eval_mode(self, weights: Samples) -> Prediction:
        """Predict the weights after ``optimizer.eval()``; an optimizer without that method keeps them.

        Raises:
            ValueError: if a parameter does not have its number of samples.
        """
        return self.train_mode(weights)

    def change_settings(self, group: int, settings: Mapping[str, Setting]) -> None:
        """Replace the settings of a group from the next update on, as where a schedule drives the momentum.

        Raises:
            InvalidSettingError: if a setting is unknown or invalid.
        """
        self._settings[group] = _validated(self.name, settings)
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
        self, before: Array, gradient: Array, error: Array, active: list[bool], lrs: Array
    ) -> tuple[Array, Array]:
        """The weights after the update, and the effect of the errors of this and of earlier gradients."""

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
        keys = _keys_of(self.name)
        betas = settings.get("betas", (0.9, 0.999)) if "betas" in keys else ()
        names = [key for key in _DECAYS if key in keys and self.name != "ASGD"]  # its alpha is an exponent
        decays = [_number(settings, key, _DECAYS[key]) for key in names]
        longest = max([0.0, *decays, *(betas if isinstance(betas, tuple) else ())])
        return 1 / (1 - longest) if longest < 1 else math.inf


def reference(
    name: str, groups: Sequence[GroupSettings], sizes: Sequence[int], *, roundoff: float = FLOAT32
) -> ReferenceOptimizer:
    """Return the reference of an optimizer by the name of its class.

    ``sizes`` are the numbers of samples of each parameter, ``roundoff`` is the unit roundoff of the file's weights.

    Raises:
        UnknownOptimizerError: if the optimizer is unknown or not elementwise.
        InvalidSettingError: if a setting is unknown or invalid.
        ValueError: if a parameter is in two groups or does not exist.
    """
    _keys_of(name)
    kind = _ScheduleFree if name in _SCHEDULE_FREE else _TorchOptimizer
    return kind(name, groups, sizes, roundoff)


def known_settings(name: str, group: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a parameter group that the optimizer reads, without its learning rate and parameters.

    A file may keep notes of its own in a group, such as a name. They have no effect on the optimizer of that name; an
    optimizer that reads them is another one, and differs from the reference.

    Raises:
        UnknownOptimizerError: if the optimizer is unknown or not elementwise.
    """
    return {key: group[key] for key in _keys_of(name) if key in group}


def _validated(name: str, settings: Mapping[str, Any]) -> dict[str, Setting]:
    """Return the settings with numbers as floats and pairs as tuples, without those that have no effect.

    Raises:
        UnknownOptimizerError: if the optimizer is unknown or not elementwise.
        InvalidSettingError: if a setting is unknown or invalid.
    """
    keys = _keys_of(name)
    result: dict[str, Setting] = {}
    for key, value in settings.items():
        if isinstance(key, str) and (key in _WITHOUT_EFFECT or (name in _SCHEDULE_FREE and key in _COUNTERS)):
            continue
        kind = keys.get(key) if isinstance(key, str) else None
        if kind is None:
            raise InvalidSettingError(name, key, value, "")
        result[key] = kind.read(name, key, value)
    return result


def clip_by_norm(
    gradients: Sequence[NDArray[np.floating[Any]] | None], total_norm: float, max_norm: float
) -> list[Array | None]:
    """The gradients after ``torch.nn.utils.clip_grad_norm_``, given the norm of all gradients of the network."""
    with np.errstate(all="ignore"):
        factor = np.minimum(np.float64(max_norm) / (np.float64(total_norm) + 1e-6), 1.0)
        return [None if gradient is None else gradient.astype(np.float64) * factor for gradient in gradients]


def clip_by_value(gradients: Sequence[NDArray[np.floating[Any]] | None], clip_value: float) -> list[Array | None]:
    """The gradients after ``torch.nn.utils.clip_grad_value_``."""
    return [
        None if gradient is None else np.clip(gradient.astype(np.float64), -clip_value, clip_value)
        for gradient in gradients
    ]


# Settings and their ranges.


@dataclass(frozen=True)
class _Number:
    """A number in [low, high], or ``count`` of them; ``high`` itself is out of range if ``below``.

    The limit is far above all settings in use, and keeps torch from overflows.
    """

    low: float = 0.0
    high: float = 1e6
    below: bool = False
    count: int = 1

    def read(self, name: str, key: str, value: object) -> Setting:
        if self.count == 1:
            number = self._number(value)
            if number is not None:
                return number
        elif isinstance(value, (tuple, list)) and len(value) == self.count:
            numbers = [self._number(item) for item in value]
            if None not in numbers:
                return tuple(number for number in numbers if number is not None)
        raise InvalidSettingError(name, key, value, self._expected())

    def _number(self, value: object) -> float | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        try:
            number = float(value)
        except OverflowError:
            return None
        inside = self.low <= number < self.high if self.below else self.low <= number <= self.high
        return number if inside else None

    def _expected(self) -> str:
        span = f"[{self.low:g}, {self.high:g}{')' if self.below else ']'}"
        return f"a number in {span}" if self.count == 1 else f"{self.count} numbers in {span}"


@dataclass(frozen=True)
class _Flag:
    """A boolean; ``implementation`` is one that changes only rounding errors, and may be None."""

    implementation: bool = False

    def read(self, name: str, key: str, value: object) -> Setting:
        if isinstance(value, (bool, int)) and value in (0, 1):
            return bool(value)
        if value is None and self.implementation:
            return False
        raise InvalidSettingError(name, key, value, "True, False or None" if self.implementation else "True or False")


_Kind = _Number | _Flag

_POSITIVE = _Number()
_FRACTION = _Number(high=1.0)
_BETA = _Number(high=1.0, below=True)
_BETAS = _Number(high=1.0, below=True, count=2)
_PAIR = _Number(count=2)
_FLAG = _Flag()
_IMPLEMENTATION = _Flag(implementation=True)
_IMPLEMENTATIONS = ("foreach", "fused", "capturable", "differentiable")

_SHARED: dict[str, _Kind] = {"maximize": _FLAG, **dict.fromkeys(_IMPLEMENTATIONS, _IMPLEMENTATION)}
_MOMENTS: dict[str, _Kind] = {**_SHARED, "betas": _BETAS, "eps": _POSITIVE, "weight_decay": _POSITIVE}
_ADAM: dict[str, _Kind] = {**_MOMENTS, "amsgrad": _FLAG, "decoupled_weight_decay": _FLAG}
_TORCH: dict[str, dict[str, _Kind]] = {
    "SGD": {
        **_SHARED,
        "momentum": _POSITIVE,
        "dampening": _Number(low=-1e6, high=1.0),
        "weight_decay": _POSITIVE,
        "nesterov": _FLAG,
    },
    "Adam": _ADAM,
    "AdamW": _ADAM,
    "NAdam": {**_MOMENTS, "momentum_decay": _POSITIVE, "decoupled_weight_decay": _FLAG},
    "RAdam": {**_MOMENTS, "decoupled_weight_decay": _FLAG},
    "Adamax": _MOMENTS,
    "Adagrad": {
        **_SHARED,
        "lr_decay": _POSITIVE,
        "weight_decay": _POSITIVE,
        "initial_accumulator_value": _POSITIVE,
        "eps": _POSITIVE,
    },
    "Adadelta": {**_SHARED, "rho": _FRACTION, "eps": _POSITIVE, "weight_decay": _POSITIVE},
    "RMSprop": {
        **_SHARED,
        "momentum": _POSITIVE,
        "alpha": _FRACTION,
        "eps": _POSITIVE,
        "centered": _FLAG,
        "weight_decay": _POSITIVE,
    },
    "Rprop": {**_SHARED, "etas": _PAIR, "step_sizes": _PAIR},
    "ASGD": {
        **_SHARED,
        "lambd": _POSITIVE,
        "alpha": _Number(high=10.0),
        "t0": _Number(high=1e12),
        "weight_decay": _POSITIVE,
    },
}
# The update of all other classes is proportional to the learning rate, and their state does not depend on it. Rprop
# reads the learning rate only before its first update; ASGD reads that of the update before.
_NOT_PROPORTIONAL = frozenset({"Rprop", "ASGD"})

_SECOND_MOMENT = {
    "Adam": "exp_avg_sq",
    "AdamW": "exp_avg_sq",
    "NAdam": "exp_avg_sq",
    "RAdam": "exp_avg_sq",
    "Adamax": "exp_inf",
    "Adagrad": "sum",
    "Adadelta": "square_avg",
    "RMSprop": "square_avg",
}

_DECAYS = {"momentum": 0.9, "beta2": 0.999, "rho": 0.9, "alpha": 0.99}  # with the longest of the defaults

_PACKAGE: dict[str, _Kind] = {
    "weight_decay": _POSITIVE,
    "warmup_steps": _POSITIVE,
    "r": _POSITIVE,
    "weight_lr_power": _POSITIVE,
    "foreach": _IMPLEMENTATION,
}
# The catalogue's own classes, and those of the schedulefree package.
_SCHEDULE_FREE: dict[str, dict[str, _Kind]] = {
    "ScheduleFreeSGD": {"momentum": _BETA, "weight_decay": _POSITIVE},
    "ScheduleFreeAdamW": {"momentum": _BETA, "beta2": _BETA, "eps": _POSITIVE, "weight_decay": _POSITIVE},
    "SGDScheduleFree": {**_PACKAGE, "momentum": _BETA},
    "AdamWScheduleFree": {**_PACKAGE, "betas": _BETAS, "eps": _POSITIVE},
}
_COUNTERS = frozenset({"step", "k", "lr_max", "weight_sum", "train_mode", "scheduled_lr"})

# Torch's schedulers and the layer-wise schedules keep these in a group; no optimizer reads them.
_WITHOUT_EFFECT = frozenset(
    {"lr", "params", "initial_lr", "max_lr", "min_lr", "swa_lr", "base_momentum", "max_momentum", "depth"}
)

_NOT_ELEMENTWISE = {
    "LBFGS": "its direction depends on all weights",
    "Adafactor": "it scales an update by the norms of the parameter's rows and columns",
    "Muon": "it orthogonalizes the momentum of a matrix",
    "SparseAdam": "it takes sparse gradients",
}


def _keys_of(name: str) -> Mapping[str, _Kind]:
    kinds = {**_TORCH, **_SCHEDULE_FREE}.get(name) if isinstance(name, str) else None
    if kinds is None:
        raise UnknownOptimizerError(name)
    return kinds


def _number(settings: Mapping[str, Setting], key: str, default: float) -> float:
    value = settings.get(key, default)
    return value if isinstance(value, float) else default


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


def _flat(what: str, arrays: Sequence[NDArray[np.floating[Any]]], sizes: Sequence[int]) -> Array:
    """The arrays one after another, in float64."""
    if len(arrays) != len(sizes):
        raise ValueError(f"expected {what} of {len(sizes)} parameters, got {len(arrays)}")
    shapes = [array.shape for array in arrays]
    for index, (shape, size) in enumerate(zip(shapes, sizes, strict=True)):
        if shape != (size,):
            raise ValueError(f"expected {size} {what} of parameter {index}, got an array of shape {shape}")
    return np.concatenate([np.zeros(0), *arrays], dtype=np.float64)


def _noise_beside(
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


# Torch's optimizers.


def _rectified(step: float, beta2: float) -> bool:
    """Whether RAdam divides by the second moment yet."""
    longest: float = 2 / (1 - beta2) - 1
    return bool(longest - 2 * step * beta2**step / (1 - beta2**step) > 5)


def _without_implementations(settings: Mapping[str, Setting]) -> dict[str, Setting]:
    return {key: value for key, value in settings.items() if key not in _IMPLEMENTATIONS}


class _TorchOptimizer(ReferenceOptimizer):
    """One of torch's classes, over one tensor for all parameters with the same settings and history.

    A tensor has two rows: the weights, and weights of zero whose gradients are the errors of the gradients. The first
    optimizer that is built imports torch._dynamo, as all of torch's do; that takes seconds.
    """

    def __init__(self, name: str, groups: Sequence[GroupSettings], sizes: Sequence[int], roundoff: float) -> None:
        super().__init__(name, groups, sizes, roundoff)
        ends = np.cumsum(self.sizes, dtype=np.intp)
        self._columns = [np.arange(end - size, end) for end, size in zip(ends, self.sizes, strict=True)]
        self._kinds: list[tuple[int, bool]] = []
        # Weights of Rprop whose gradient may have had another sign; their step sizes are unknown from then on.
        self._doubtful = np.zeros(len(self._group_of_weight), dtype=bool)
        members = [index for index, group in enumerate(self._group_of) if group >= 0]
        self._cohorts = [self._cohort(members, {})] if members else []

    def _update(
        self, before: Array, gradient: Array, error: Array, active: list[bool], lrs: Array
    ) -> tuple[Array, Array]:
        import torch

        self._split(active, lrs)
        after, noise = before.copy(), np.zeros_like(before)
        for cohort in self._cohorts:
            if not active[cohort.members[0]]:
                continue
            at, group = cohort.columns, self._group_of[cohort.members[0]]
            changing = cohort.optimizer.param_groups[0]
            changing.update(_without_implementations(self._settings[group]))
            changing["lr"] = 1.0 if self._proportional else float(lrs[group])
            weights = np.stack([before[at], np.zeros(len(at))])
            cohort.tensor.copy_(torch.from_numpy(weights))
            cohort.tensor.grad = torch.from_numpy(np.stack([gradient[at], error[at]]))
            cohort.optimizer.step()
            updates: Array = cohort.tensor.numpy() - weights
            lr_of_each = lrs[self._group_of_weight[at]]
            if self._proportional:
                updates *= lr_of_each
            after[at] += updates[0]
            noise[at] = self._noise(cohort, np.abs(updates), gradient[at], error[at], lr_of_each)
        return after, noise

    def _noise(self, cohort: "_Cohort", updates: Array, gradient: Array, error: Array, lrs: Array) -> Array:
        """The effect of errors of the gradients on an update."""
        group, state = cohort.optimizer.param_groups[0], cohort.arrays()
        update: Array = updates[0]
        of_errors: Array = updates[1]
        if self.name == "Rprop":
            doubtful = self._doubtful[cohort.columns] | ((error >= np.abs(gradient)) & (error > 0))
            self._doubtful[cohort.columns] = doubtful
            return np.where(doubtful, np.inf, 0.0)
        moment = state.get("max_exp_avg_sq", state.get(_SECOND_MOMENT.get(self.name, "")))
        if moment is None or (self.name == "RAdam" and not _rectified(float(state["step"]), group["betas"][1])):
            return of_errors
        eps = group["eps"]
        if self.name in ("Adam", "AdamW", "NAdam"):  # eps is added to the corrected moment
            eps *= math.sqrt(1 - group["betas"][1] ** float(state["step"]))
        norms = moment if self.name == "Adamax" else np.sqrt(moment)
        divisors = norms + eps
        if group.get("centered"):
            divisors = np.sqrt(np.maximum(moment - state["grad_avg"] ** 2, 0.0)) + eps
        elif self.name == "Adadelta":
            divisors = np.sqrt(moment + eps)
            of_errors = lrs * np.sqrt(state["acc_delta"][0] + eps) * error / divisors[1]
        noise = _noise_beside(update, of_errors, norms[1], divisors[0], divisors[1])
        return 4 * noise if self.name == "Adadelta" else noise  # the moment of its updates is uncertain as well

    def _read_settings(self) -> None:
        super()._read_settings()
        self._sorted = [tuple(sorted(settings.items())) for settings in self._settings]

    @property
    def _proportional(self) -> bool:
        return self.name not in _NOT_PROPORTIONAL

    def _split(self, active: list[bool], lrs: Array) -> None:
        """Split the cohorts whose parameters differ in settings, or in having a gradient, in this update."""
        rates = [None] * len(lrs) if self._proportional else lrs.tolist()
        numbers: dict[Hashable, int] = {}
        kinds = [numbers.setdefault(kind, len(numbers)) for kind in zip(self._sorted, rates, strict=True)] + [-1]
        kind_of = [(kinds[group], has_gradient) for group, has_gradient in zip(self._group_of, active, strict=True)]
        if kind_of == self._kinds:
            return
        self._kinds = kind_of
        cohorts = []
        for cohort in self._cohorts:
            parts: dict[Hashable, list[int]] = {}
            for member in cohort.members:
                parts.setdefault(kind_of[member], []).append(member)
            if len(parts) == 1:
                cohorts.append(cohort)
                continue
            arrays = cohort.arrays()
            position = {member: index for index, member in enumerate(cohort.members)}
            starts = np.cumsum([0, *(self.sizes[member] for member in cohort.members)])
            for members in parts.values():
                at = np.concatenate(
                    [np.arange(starts[position[member]], starts[position[member] + 1]) for member in members]
                )
                part = {key: array[:, at] if array.ndim else array.copy() for key, array in arrays.items()}
                cohorts.append(self._cohort(members, part))
        self._cohorts = cohorts

    def _cohort(self, members: list[int], arrays: State) -> "_Cohort":
        import torch

        columns = np.concatenate([self._columns[member] for member in members])
        tensor = torch.zeros((2, len(columns)), dtype=torch.float64)
        group = _without_implementations(self._settings[self._group_of[members[0]]])
        constructor = getattr(torch.optim, self.name)
        optimizer: Optimizer = constructor([{"params": [tensor], **group}], lr=1.0, foreach=False)
        if self.name == "Adagrad":  # of the weights alone, not of the errors
            optimizer.state[tensor]["sum"][0] = group.get("initial_accumulator_value", 0.0)
        for key, array in arrays.items():
            optimizer.state[tensor][key] = torch.from_numpy(array.copy())
        return _Cohort(members, columns, tensor, optimizer)

    def _arrays(self) -> State:
        cohort_of = np.full(len(self.sizes), -1)
        arrays: State = {"cohort": cohort_of, "doubtful": self._doubtful}
        for index, cohort in enumerate(self._cohorts):
            cohort_of[cohort.members] = index
            arrays |= {f"{index}/{key}": array for key, array in cohort.arrays().items()}
        return arrays

    def _restore(self, arrays: State) -> None:
        cohort_of, self._doubtful, self._kinds = arrays["cohort"], arrays["doubtful"], []
        self._cohorts = [
            self._cohort(
                [int(member) for member in np.flatnonzero(cohort_of == index)],
                {key.partition("/")[2]: array for key, array in arrays.items() if key.startswith(f"{index}/")},
            )
            for index in range(int(cohort_of.max(initial=-1)) + 1)
        ]


@dataclass(frozen=True)
class _Cohort:
    """Parameters with one history: ``tensor`` has a column per weight, ``columns`` are these among all weights."""

    members: list[int]
    columns: NDArray[np.intp]
    tensor: Any
    optimizer: Any

    def arrays(self) -> State:
        return {key: value.numpy() for key, value in self.optimizer.state[self.tensor].items() if value is not None}


# Schedule-Free optimizers.


class _ScheduleFree(ReferenceOptimizer):
    """Schedule-Free SGD and AdamW: Defazio et al. (2024), The Road Less Scheduled, https://arxiv.org/abs/2405.15682.

    z is updated, x is an average of z, and gradients are computed at y = (1 - momentum) * z + momentum * x. As in the
    authors' package, the average weights a step by the square of the maximum learning rate so far (``weight_lr_power``;
    the paper's own weight is the square of its learning rate), and AdamW's bias correction does not scale the weight
    decay. Beside x and z are bounds of their errors, which add up: those of the updates and one rounding each.
    """

    _STATE = ("x", "z", "second_moment", "started", "steps", "lr_max", "weight_sum")

    def __init__(self, name: str, groups: Sequence[GroupSettings], sizes: Sequence[int], roundoff: float) -> None:
        super().__init__(name, groups, sizes, roundoff)
        shape = (2, len(self._group_of_weight))
        self._x, self._z, self._second_moment = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._started = np.zeros(len(self.sizes), dtype=bool)
        self._steps, self._lr_max, self._weight_sum = (np.zeros(len(groups)) for _ in range(3))

    def _update(
        self, before: Array, gradient: Array, error: Array, active: list[bool], lrs: Array
    ) -> tuple[Array, Array]:
        starts = np.repeat(np.array(active, dtype=bool) & ~self._started, self.sizes)
        self._started |= active
        self._x[0, starts] = self._z[0, starts] = before[starts]

        self._steps += 1
        lrs = lrs * np.minimum(1.0, self._steps / np.maximum(self._values("warmup_steps", 0.0), 1.0))
        self._lr_max = np.maximum(self._lr_max, lrs)
        weights = self._steps ** self._values("r", 0.0) * self._lr_max ** self._values("weight_lr_power", 2.0)
        self._weight_sum += weights
        c = self._per_weight(np.where(self._weight_sum > 0, weights / self._weight_sum, 0.0))

        moment, update, noise = self._second_moment, gradient, error
        if "AdamW" in self.name:
            beta2, squares = self._values("beta2", 0.999, 1), np.stack([gradient, error]) ** 2
            moment = squares + self._per_weight(beta2) * (moment - squares)
            norms = np.sqrt(moment / self._per_weight(1 - beta2**self._steps))
            divisors = norms + self._per_weight(self._values("eps", 1e-8))
            update = gradient / divisors[0]
            noise = _noise_beside(np.abs(update), error / divisors[1], norms[1], divisors[0], divisors[1])
        update = update + self._per_weight(self._values("weight_decay", 0.0)) * before
        noise = noise + self._relative_errors() * np.abs(update)
        z = self._z + self._per_weight(lrs) * np.stack([-update, noise])
        z[1] += self._roundoff * np.abs(z[0])
        x = (1 - c) * self._x + c * z
        x[1] += self._roundoff * np.abs(x[0])

        at = np.repeat(active, self.sizes)
        self._second_moment = np.where(at, moment, self._second_moment)
        self._z, self._x = np.where(at, z, self._z), np.where(at, x, self._x)
        y = self._y()
        return np.where(at, y[0], before), y[1]

    def train_mode(self, weights: Samples) -> Prediction:
        return self._swap(weights, self._y())

    def eval_mode(self, weights: Samples) -> Prediction:
        return self._swap(weights, self._x)

    def _arrays(self) -> State:
        return {key: getattr(self, f"_{key}") for key in self._STATE}

    def _restore(self, arrays: State) -> None:
        for key in self._STATE:
            setattr(self, f"_{key}", arrays[key])

    def _y(self) -> Array:
        momentum = self._per_weight(self._values("momentum", 0.9, 0))
        y: Array = (1 - momentum) * self._z + momentum * self._x
        return y

    def _swap(self, weights: Samples, rows: Array) -> Prediction:
        before = _flat("weights", weights, self.sizes)
        started = np.repeat(self._started, self.sizes)
        with np.errstate(all="ignore"):
            after = np.where(started, rows[0], before)
            tolerance = np.where(started, self._rounding(before, after) + rows[1], 0.0)
        return Prediction(self.sizes, before, after, tolerance)

    def _values(self, key: str, default: float, beta: int = -1) -> Array:
        """A setting of each group; ``beta`` is its place in ``betas``, where a group has those."""

        def value(settings: Mapping[str, Setting]) -> float:
            betas = settings.get("betas")
            return betas[beta] if beta >= 0 and isinstance(betas, tuple) else _number(settings, key, default)

        return np.array([value(settings) for settings in self._settings], dtype=np.float64)

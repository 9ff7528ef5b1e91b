"""The settings of optimizers that have a reference: their names, their ranges, and which of them count."""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Setting = float | bool | tuple[float, ...] | None


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
IMPLEMENTATIONS = ("foreach", "fused", "capturable", "differentiable")

_SHARED: dict[str, _Kind] = {"maximize": _FLAG, **dict.fromkeys(IMPLEMENTATIONS, _IMPLEMENTATION)}
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
# Settings that say how fast an average forgets.
DECAYS = {"momentum": 0.9, "beta2": 0.999, "rho": 0.9, "alpha": 0.99}  # with the longest of the defaults

_PACKAGE: dict[str, _Kind] = {
    "weight_decay": _POSITIVE,
    "warmup_steps": _POSITIVE,
    "r": _POSITIVE,
    "weight_lr_power": _POSITIVE,
    "foreach": _IMPLEMENTATION,
}
# The catalogue's own classes, and those of the schedulefree package.
SCHEDULE_FREE: dict[str, dict[str, _Kind]] = {
    "ScheduleFreeSGD": {"momentum": _BETA, "weight_decay": _POSITIVE},
    "ScheduleFreeAdamW": {"momentum": _BETA, "beta2": _BETA, "eps": _POSITIVE, "weight_decay": _POSITIVE},
    "SGDScheduleFree": {**_PACKAGE, "momentum": _BETA},
    "AdamWScheduleFree": {**_PACKAGE, "betas": _BETAS, "eps": _POSITIVE},
}
_KINDS = {**_TORCH, **SCHEDULE_FREE}
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


def kinds_of(name: str) -> Mapping[str, _Kind]:
    """The settings of an optimizer, and how each is read.

    Raises:
        UnknownOptimizerError: if the optimizer is unknown or not elementwise.
    """
    kinds = _KINDS.get(name) if isinstance(name, str) else None
    if kinds is None:
        raise UnknownOptimizerError(name)
    return kinds


def number(settings: Mapping[str, Setting], key: str, default: float) -> float:
    """A setting that is a number; its default where it is missing."""
    value = settings.get(key, default)
    return value if isinstance(value, float) else default


def known_settings(name: str, group: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a parameter group that the optimizer reads, without its learning rate and parameters.

    A file may keep notes of its own in a group, such as a name. They have no effect on the optimizer of that name; an
    optimizer that reads them is another one, and differs from the reference.

    Raises:
        UnknownOptimizerError: if the optimizer is unknown or not elementwise.
    """
    return {key: group[key] for key in kinds_of(name) if key in group}


def validated(name: str, settings: Mapping[str, Any]) -> dict[str, Setting]:
    """Return the settings with numbers as floats and pairs as tuples, without those that have no effect.

    Raises:
        UnknownOptimizerError: if the optimizer is unknown or not elementwise.
        InvalidSettingError: if a setting is unknown or invalid.
    """
    keys = kinds_of(name)
    result: dict[str, Setting] = {}
    for key, value in settings.items():
        if isinstance(key, str) and (key in _WITHOUT_EFFECT or (name in SCHEDULE_FREE and key in _COUNTERS)):
            continue
        kind = keys.get(key) if isinstance(key, str) else None
        if kind is None:
            raise InvalidSettingError(name, key, value, "")
        result[key] = kind.read(name, key, value)
    return result

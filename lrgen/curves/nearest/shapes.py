"""The schedules of the catalogue as shapes: curves up to a factor, with the numbers that may be fitted.

A shape is a curve divided by its highest learning rate. Besides the hyperparameters of a variant, most of the numbers
that its file writes as literals may be fitted: files of other people have other literals.
"""

import functools
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lrgen import curves
from lrgen.curves import Rates
from lrgen.records import Hyperparameter, Metric, PastEnd, Unit, Variant

BASE_LR = 0.1  # of a metric-driven curve, which has absolute thresholds

# The constants that may be fitted, with their ranges.
_CONSTANTS: dict[str, tuple[float, float]] = {
    "annealing_ratio": (0.0, 1.0),
    "beta": (0.01, 4.0),
    "cooldown_fraction": (0.0, 1.0),
    "cosine_start_fraction": (0.0, 1.0),
    "decay_rate": (1e-6, 1.0),
    "div_factor": (1.0, 1000.0),
    "exponent": (0.1, 4.0),
    "factor": (0.01, 1.0),
    "final_div_factor": (1.0, 1e6),
    "first_end_fraction": (0.0, 1.0),
    "first_knot_fraction": (0.0, 1.0),
    "k": (0.1, 6.0),
    "midpoint_fraction": (0.0, 1.0),
    "power": (0.1, 6.0),
    "restart_lr_ratio": (0.0, 1.0),
    "second_knot_fraction": (0.0, 1.0),
    "second_start_fraction": (0.0, 1.0),
    "start_factor": (0.0, 1.0),
    "steepness": (1.0, 40.0),
    "warmup_power": (0.5, 4.0),
    "waves": (0.5, 10.0),
}
_COUNTS: dict[str, tuple[int, int]] = {"cycle_factor": (1, 4), "cycles": (1, 10), "stages": (2, 20)}
_LOGARITHMIC = frozenset({"decay_rate", "div_factor", "final_div_factor", "final_lr_ratio"})
_LEAST = 1e-6  # of a number that is changed by factors
# Curves that begin with a linear warm-up from about 0; other people's begin anywhere.
_WARMED_UP = frozenset(
    {
        "inverse_sqrt",
        "warmup",
        "warmup_cosine",
        "warmup_exponential",
        "warmup_linear",
        "warmup_polynomial",
        "warmup_stable_decay",
    }
)
WARMUP_START = "warmup_from_ratio"


@dataclass(frozen=True)
class Number:
    """A number of a variant that may be fitted; a ``constant`` is a literal of the variant's files."""

    name: str
    default: float
    low: float
    high: float
    constant: bool = False
    whole: bool = False
    logarithmic: bool = False

    def clipped(self, value: float) -> float:
        """The nearest permitted value."""
        value = min(self.high, max(self.low, value))
        return float(round(value)) if self.whole else value


@dataclass(frozen=True)
class Sampling:
    """The steps at which curves are compared, and the metrics that drive a metric-driven one.

    ``losses`` and ``accuracies`` have a value for each step but the last; without them no metric-driven schedule is
    compared.
    """

    steps: tuple[int, ...]
    losses: tuple[float, ...] = ()
    accuracies: tuple[float, ...] = ()

    @functools.cached_property
    def array(self) -> Rates:
        """The steps as an array."""
        return np.array(self.steps, dtype=np.float64)

    def metrics(self, metric: Metric) -> list[float]:
        """The values of a metric."""
        return list(self.accuracies if metric is Metric.ACCURACY else self.losses)


@dataclass(frozen=True, eq=False)
class Shape:
    """The curve of a variant as a function of its ``numbers``."""

    variant: Variant
    numbers: tuple[Number, ...]
    _function: Any
    _values: Mapping[str, Any]
    _lists: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, variant: Variant) -> "Shape | None":
        """The shape of a variant; None if its curve is no function of this package, or belongs to an optimizer."""
        function = curves.function_of(variant)
        if function is None or variant.optimizer is not None or variant.layerwise:
            return None
        taken = inspect.signature(function).parameters
        values: dict[str, Any] = {**variant.defaults, **variant.constants}
        if "base_lr" in taken:
            values["base_lr"] = BASE_LR
        numbers = [_hyperparameter(parameter) for parameter in variant.hyperparameters]
        for name, value in variant.constants.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            if name in _COUNTS:
                numbers.append(Number(name, value, *_COUNTS[name], constant=True, whole=True))
            elif name in _CONSTANTS:
                logarithmic = name in _LOGARITHMIC
                numbers.append(Number(name, value, *_CONSTANTS[name], constant=True, logarithmic=logarithmic))
        for name, parameter in taken.items():
            if name not in values and name.endswith("_ratio"):
                numbers.append(Number(name, parameter.default, 0.0, 1.0, constant=True))
        if variant.curve in _WARMED_UP:
            numbers.append(Number(WARMUP_START, 0.0, 0.0, 1.0, constant=True))
        return cls(variant, tuple(numbers), function, values)

    def with_list(self, name: str, values: Sequence[float]) -> "Shape":
        """The same variant with another list of numbers, such as its milestones."""
        return Shape(self.variant, self.numbers, self._function, {**self._values, name: values}, {name: values})

    @property
    def lists(self) -> Mapping[str, Any]:
        """The lists of numbers that are not the variant's."""
        return self._lists

    @property
    def defaults(self) -> list[float]:
        """The default of each number."""
        return [number.default for number in self.numbers]

    def rates(self, numbers: Iterable[float], sampling: Sampling, horizon: int) -> Rates | None:
        """The learning rates relative to the highest; None if the curve has no such values."""
        values = dict(self._values)
        for number, value in zip(self.numbers, numbers, strict=True):
            values[number.name] = int(value) if number.whole else value
        start = values.pop(WARMUP_START, 0.0)
        steps = sampling.array
        try:
            if self.variant.unit is Unit.METRIC:
                assert self.variant.metric is not None
                after = self._function(sampling.metrics(self.variant.metric), horizon, **values)
                multiplier = np.asarray(after, dtype=np.float64)[: len(steps)]
                if len(multiplier) < len(steps):
                    return None
            else:
                held = np.minimum(steps, horizon) if self.variant.past_end is PastEnd.HOLD else steps
                multiplier = np.asarray(self._function(held, horizon, **values), dtype=np.float64)
                if multiplier.shape != steps.shape:
                    multiplier = np.broadcast_to(multiplier, steps.shape)
        except (ArithmeticError, ValueError, IndexError):
            return None
        if start > 0:
            multiplier = _from(start, multiplier, steps, round(values["warmup_fraction"] * horizon))
        peak = multiplier.max()
        if not (0 < peak < np.inf) or not multiplier.min() >= 0:
            return None
        relative: Rates = multiplier / peak
        return relative


def _hyperparameter(parameter: Hyperparameter) -> Number:
    logarithmic = parameter.name in _LOGARITHMIC
    low = max(parameter.low, _LEAST) if logarithmic else parameter.low
    return Number(parameter.name, parameter.default, low, parameter.high, logarithmic=logarithmic)


def _from(start: float, multiplier: Rates, steps: Rates, warmup_steps: int) -> Rates:
    """A curve whose linear warm-up begins at ``start``."""
    progress = steps / max(1, warmup_steps)
    return np.where(steps < warmup_steps, start + (1 - start) * progress, multiplier)

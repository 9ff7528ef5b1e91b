"""Learning rate curves as formulas: the reference that the trace of a rendered file is checked against.

Each module is a family. Each function computes the multiplier of the base learning rate for an array of steps::

    curve(step, horizon, **parameters) -> multiplier

``step`` (t in the formulas) counts scheduler steps from 0, the first update, in the schedule's own unit. ``horizon``
(T) is their planned number, at least 1. The parameters are the variant's hyperparameters and constants. A curve that
does not scale with the base learning rate takes it as ``base_lr``. A metric-driven curve takes the metric of each step
instead of its number. The curve of a layer-wise variant also takes the ``depth`` of a parameter group and ``deepest``,
the maximum depth.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrgen import old_names
from lrgen.curves import user
from lrgen.errors import CatalogueError, ParameterError
from lrgen.records import PastEnd, Unit, Variant

Rates = NDArray[np.float64]

MAX_HORIZON = 10_000_000  # steps


def rates(
    variant: Variant,
    steps: ArrayLike | None,
    horizon: int,
    base_lr: float = 1.0,
    prm: Mapping[str, float] | None = None,
    *,
    metrics: Sequence[float] | None = None,
    depths: Sequence[int] | None = None,
) -> Rates:
    """The learning rate of the variant at each step, as an array of the shape of ``steps``.

    Args:
        variant: any schedule; its curve is a function of this package or of a user's ``curves.py``.
        steps: step numbers of any shape, from 0, also past the horizon. None stands for 0 to ``horizon``, or for the
            initial learning rate and the one after each metric if the schedule is driven by a metric.
        horizon: planned number of steps in the variant's unit, at least 1.
        base_lr: base learning rate, to which the multipliers apply.
        prm: hyperparameters that differ from the variant's defaults.
        metrics: metrics of a metric-driven schedule; the learning rate of step n depends on the first n of them.
        depths: depth in the network of each parameter group, 0 for the group nearest to the input; the result then
            has the shape (groups, *steps). Without it there is one group, which is the deepest.

    Raises:
        CatalogueError: if the variant's curve does not exist or takes other parameters, or if a user's curve raises,
            exits, exceeds a limit of ``lrgen.limited``, or returns anything but finite numbers of the right shape.
        ParameterError: if the horizon is below 1 or above ``MAX_HORIZON``, a step or a depth below 0, a hyperparameter
            unknown or out of range, or the metrics are missing, too few, or given to a schedule that is not driven by a
            metric.
    """
    check_horizon(variant, horizon)
    if (metrics is not None) != (variant.unit is Unit.METRIC):
        reason = "is not driven by a metric" if metrics is not None else "is driven by a metric: metrics are missing"
        raise ParameterError(f"variant {variant.number} {reason}")
    last = horizon if metrics is None else len(metrics)
    t = np.asarray(np.arange(max(0, last) + 1) if steps is None else steps, dtype=np.float64)
    if not np.all(t >= 0):
        raise ParameterError(f"steps must be at least 0, got {np.min(t)} (variant {variant.number})")
    groups = [0] if depths is None else list(depths)
    if not groups or min(groups) < 0:
        raise ParameterError(f"depths must be at least 0, got {groups} (variant {variant.number})")

    def of_group(depth: int) -> Rates:
        depth_of_group = {"depth": depth, "deepest": max(groups)} if variant.layerwise else {}
        if metrics is not None:
            after_metrics = _call(variant, list(metrics), horizon, base_lr, prm, depth_of_group, (len(metrics) + 1,))
            return _at_steps(variant, t, after_metrics)
        held = np.minimum(t, horizon) if variant.past_end is PastEnd.HOLD else t
        multiplier = _call(variant, held, horizon, base_lr, prm, depth_of_group, t.shape)
        return np.broadcast_to(base_lr * np.asarray(multiplier, dtype=np.float64), t.shape)

    distinct = {depth: of_group(depth) for depth in (set(groups) if variant.layerwise else {0})}
    if depths is None:
        return distinct[0].copy()
    return np.stack([distinct[depth if variant.layerwise else 0] for depth in groups])


def check_horizon(variant: Variant, horizon: float) -> None:
    """Raise ParameterError if a horizon is below 1 or above ``MAX_HORIZON``."""
    place = f"got {horizon} (variant {variant.number})"
    if not horizon >= 1:  # also true of NaN
        raise ParameterError(f"horizon must be at least 1, {place}")
    if horizon > MAX_HORIZON:
        raise ParameterError(f"horizon must be at most {MAX_HORIZON}, {place}")


def _at_steps(variant: Variant, t: Rates, after_metrics: ArrayLike) -> Rates:
    """The learning rates at steps t, from the initial one and the one after each metric."""
    rates = np.asarray(after_metrics, dtype=np.float64)
    if np.any(t >= len(rates)):
        step = int(np.max(t))
        raise ParameterError(f"step {step} needs {step} metrics, got {len(rates) - 1} (variant {variant.number})")
    return rates[t.astype(np.int64)]


def _call(
    variant: Variant,
    steps: object,
    horizon: int,
    base_lr: float,
    prm: Mapping[str, float] | None,
    depth_of_group: Mapping[str, int],
    shape: tuple[int, ...],
) -> ArrayLike:
    """Call the variant's curve with its constants and its checked hyperparameters; ``shape`` is that of a user's."""
    values = dict(variant.defaults)
    ranges = {parameter.name: (parameter.low, parameter.high) for parameter in variant.hyperparameters}
    for name, value in (prm or {}).items():
        if name not in ranges:
            raise ParameterError(f"variant {variant.number} has no hyperparameter {name}{old_names.hint(name, ranges)}")
        low, high = ranges[name]
        if not isinstance(value, (int, float)) or not low <= value <= high:
            raise ParameterError(f"{name} must lie in [{low}, {high}], got {value} (variant {variant.number})")
        values[name] = value
    values |= variant.constants | dict(depth_of_group)
    function = function_of(variant) if variant.curves_folder is None else None
    if function is None and not exists(variant):
        raise CatalogueError(
            f"variant {variant.number}: curve: there is no {variant.curve} for family {variant.family}"
        )
    if function is None:
        return user.evaluate(variant, steps, horizon, base_lr, values, shape)
    try:
        keywords = user.keywords(function, base_lr, values)
    except TypeError as error:
        raise CatalogueError(f"variant {variant.number}: curve {variant.curve}: {error}") from error
    with np.errstate(divide="ignore", invalid="ignore"):
        return function(steps, horizon, **keywords)


def exists(variant: Variant) -> bool:
    """Whether the variant has a curve that its files can be checked against.

    Raises:
        CatalogueError: if it is a user's, and its ``curves.py`` raises, exits, or exceeds a limit.
    """
    return user.exists(variant) if variant.curves_folder is not None else function_of(variant) is not None


def function_of(variant: Variant) -> Callable[..., ArrayLike] | None:
    """The function of that name in the family's module, unless it is imported there."""
    name = f"{__name__}.{variant.family}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
    function = getattr(module, variant.curve, None)
    return function if inspect.isfunction(function) and function.__module__ == name else None


def whole_steps(fraction: float, horizon: int) -> int:
    """A fraction of the horizon in steps, rounded half to even, at least one."""
    return max(1, round(fraction * horizon))

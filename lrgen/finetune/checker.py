"""The published cases of a schedule: learning rates that ``make_scheduler`` gives, for the column ``checker``.

They tell a reader and a trainer what is claimed. A verdict needs the checks, whose cases are drawn anew.
"""

import itertools
from collections.abc import Iterator
from typing import Any

from lrgen import curves
from lrgen.curves.compositions import Composition
from lrgen.records import Hyperparameter, Metric, Variant

DEPTHS = (0, 1, 2, 3)
"""The depths of the parameter groups of a layer-wise schedule."""

_HORIZONS = (3, 10, 90, 1000)
_HORIZONS_OF_METRICS = (3, 10, 30, 90)  # a case lists its metrics
_OTHER_HORIZON = 40  # with other hyperparameters
_LR, _OTHER_LR = 0.1, 0.05
_SHORT = 12  # a horizon up to which all steps are listed
_FRACTIONS = (1 / 20, 1 / 10, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 9 / 10, 5 / 4)
_DIGITS = 9
_LISTED = 16  # steps of the case of a composition
_ZERO = 1e-12  # of the base learning rate: rounding errors of zero
# The factors of the loss in each fifth of training: it improves, stalls, improves, stalls and increases.
_LOSS, _FACTORS = 2.0, (0.93, 1.0, 0.95, 1.0, 1.02)


def cases(variant: Variant) -> list[dict[str, Any]]:
    """Return the cases of a schedule: four with its defaults and one with other hyperparameters.

    A case has ``horizon``, ``prm``, ``steps`` and ``rates``, one for each step. A metric-driven schedule also has
    ``metrics``, one for each step after the first; a layer-wise one ``depths``, and ``rates`` for each of them. The
    list is empty for a schedule without a curve.

    Raises:
        CatalogueError: if a user's curve cannot be evaluated.
    """
    if not curves.exists(variant):
        return []
    other = {parameter.name: other_value(parameter) for parameter in variant.hyperparameters}
    horizons = _HORIZONS if variant.metric is None else _HORIZONS_OF_METRICS
    defaults = [_case(variant, horizon, _LR, {}) for horizon in horizons]
    return [*defaults, _case(variant, _OTHER_HORIZON, _OTHER_LR, other)]


def cases_of(composition: Composition) -> list[dict[str, Any]]:
    """Return the case of a composition: its horizon, some steps, and the rates of each parameter group."""
    horizon, lr = composition.horizon, float(composition.base_lr)
    bounds = composition.bounds(horizon)
    near = {bound + offset for bound in bounds for offset in (0, 1)} | {
        (before + after) // 2 for before, after in itertools.pairwise(bounds)
    }
    steps = sorted(near)[:_LISTED]
    rates = [[_rounded(rate, lr) for rate in group] for group in composition.rates(steps).tolist()]
    return [{"horizon": horizon, "lr": lr, "steps": steps, "rates": rates if len(rates) > 1 else rates[0]}]


def _case(variant: Variant, horizon: int, lr: float, prm: dict[str, float]) -> dict[str, Any]:
    metrics = None if variant.metric is None else list(_metrics(variant.metric, horizon))
    steps = [step for step in _steps(horizon) if metrics is None or step <= len(metrics)]
    rates = curves.rates(variant, steps, horizon, lr, prm, metrics=metrics, depths=DEPTHS)
    case: dict[str, Any] = {"horizon": horizon, "prm": {"lr": lr} | prm}
    if metrics is not None:
        case["metrics"] = metrics
    rounded = [[_rounded(rate, lr) for rate in group] for group in rates.tolist()]
    if variant.layerwise:
        return case | {"depths": list(DEPTHS), "steps": steps, "rates": rounded}
    return case | {"steps": steps, "rates": rounded[0]}


def _steps(horizon: int) -> list[int]:
    """Return the steps of a case, from the first one to some past the horizon."""
    if horizon <= _SHORT:
        return list(range(horizon + 3))
    fractions = {round(fraction * horizon) for fraction in _FRACTIONS}
    return sorted({0, 1, 2, horizon - 1, horizon, horizon + 1} | fractions)


def _metrics(metric: Metric, horizon: int) -> Iterator[float]:
    """Yield the metric of each step, to a quarter past the horizon."""
    loss = _LOSS
    for step in range(horizon + max(2, horizon // 4)):
        loss *= _FACTORS[min(step * len(_FACTORS) // horizon, len(_FACTORS) - 1)]
        yield round(loss if metric is Metric.LOSS else 1 - loss / 4, 4)


def other_value(parameter: Hyperparameter) -> float:
    """Return a value of a hyperparameter in its range, a quarter of the way from its default to the farther end."""
    end = max(parameter.low, parameter.high, key=lambda end: abs(end - parameter.default))
    value = float(f"{parameter.default + (end - parameter.default) / 4:.3g}")
    return min(max(value, parameter.low), parameter.high)


def _rounded(rate: float, lr: float) -> float:
    return float(f"{rate if abs(rate) > _ZERO * lr else 0:.{_DIGITS}g}")

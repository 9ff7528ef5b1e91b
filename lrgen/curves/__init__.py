"""Learning-rate curves as pure mathematics: what a rendered file's trace is held to.

Each module is one family; each function returns the multiplier of the base rate for an array of steps::

    curve(step, horizon, **parameters) -> multiplier

``step`` counts scheduler steps from 0 (the first update) in the schedule's own unit, ``horizon`` is their planned
number T >= 1, and the parameters are the variant's hyperparameters and constants. A curve whose values do not scale
with the base rate takes it as ``base_lr``. Metric-driven curves take the metric of each step instead of its number.
The curve of a layer-wise variant also takes ``depth``, that of one parameter group, and ``deepest``, the greatest.
"""

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrgen import old_names
from lrgen.errors import CatalogueError, ParameterError
from lrgen.records import PastEnd, Unit, Variant

Rates = NDArray[np.float64]


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
    """The learning rate of the variant at each step: an array of the steps' shape.

    Args:
        variant: any schedule; its curve is a function of this package, or of a user's own ``curves.py``.
        steps: step numbers from 0, also past the horizon; any shape. None: 0 … horizon, and for a metric-driven
            schedule the initial rate and the one after each metric.
        horizon: planned number of steps in the variant's unit, at least 1.
        base_lr: the rate that the multipliers apply to.
        prm: hyperparameters that differ from the variant's defaults.
        metrics: what a metric-driven schedule is given: the rate of step n follows from the first n of them.
        depths: the depth in the network of each parameter group, 0 for the input's; the result then has the shape
            (groups, *steps). Without it there is one group, which is the deepest.

    Raises:
        CatalogueError: when the variant's curve does not exist or takes other parameters.
        ParameterError: for a horizon below 1, a step or a depth below 0, a hyperparameter that is unknown or out of
            range, and metrics that are missing, too few, or given to a schedule that is not driven by one.
    """
    if (metrics is not None) != (variant.unit is Unit.METRIC):
        wrong = "is not driven by a metric" if metrics is not None else "is driven by a metric: metrics are missing"
        raise ParameterError(f"variant {variant.number} {wrong}")
    last = horizon if metrics is None else len(metrics)
    t = np.asarray(np.arange(max(0, last) + 1) if steps is None else steps, dtype=np.float64)
    if not np.all(t >= 0):
        raise ParameterError(f"steps must be at least 0, got {np.min(t)} (variant {variant.number})")
    groups = [0] if depths is None else list(depths)
    if not groups or min(groups) < 0:
        raise ParameterError(f"depths must be at least 0, got {groups} (variant {variant.number})")

    def of_group(depth: int) -> Rates:
        place = {"depth": depth, "deepest": max(groups)} if variant.layerwise else {}
        if metrics is not None:
            return _after(variant, metrics, t, _call(variant, list(metrics), horizon, base_lr, prm, place))
        at = np.minimum(t, horizon) if variant.past_end is PastEnd.HOLD else t
        multiplier = _call(variant, at, horizon, base_lr, prm, place)
        return np.broadcast_to(base_lr * np.asarray(multiplier, dtype=np.float64), t.shape)

    distinct = {depth: of_group(depth) for depth in (set(groups) if variant.layerwise else {0})}
    if depths is None:
        return distinct[0].copy()
    return np.stack([distinct[depth if variant.layerwise else 0] for depth in groups])


def _after(variant: Variant, metrics: Sequence[float], t: Rates, everything: ArrayLike) -> Rates:
    """Of the initial rate and those after each metric, the ones that are asked for."""
    if np.any(t > len(metrics)):
        needed = f"step {int(np.max(t))} takes as many metrics, got {len(metrics)}"
        raise ParameterError(f"{needed} (variant {variant.number})")
    return np.asarray(everything, dtype=np.float64)[t.astype(np.int64)]


def _call(
    variant: Variant,
    steps: object,
    horizon: int,
    base_lr: float,
    prm: Mapping[str, float] | None,
    place: Mapping[str, int],
) -> ArrayLike:
    if not horizon >= 1:  # NaN is not
        raise ParameterError(f"horizon must be at least 1, got {horizon} (variant {variant.number})")
    values = dict(variant.defaults)
    ranges = {parameter.name: (parameter.low, parameter.high) for parameter in variant.hyperparameters}
    for name, value in (prm or {}).items():
        if name not in ranges:
            raise ParameterError(f"variant {variant.number} has no hyperparameter {name}{old_names.hint(name, ranges)}")
        low, high = ranges[name]
        if not isinstance(value, (int, float)) or not low <= value <= high:
            raise ParameterError(f"{name} must lie in [{low}, {high}], got {value} (variant {variant.number})")
        values[name] = value
    function = lookup(variant)
    if "base_lr" in inspect.signature(function).parameters:
        values["base_lr"] = base_lr
    try:
        bound = inspect.signature(function).bind(steps, horizon, **variant.constants, **values, **place)
    except TypeError as error:
        raise CatalogueError(f"variant {variant.number}: curve {variant.curve}: {error}") from error
    with np.errstate(divide="ignore", invalid="ignore"):
        return function(*bound.args, **bound.kwargs)


def lookup(variant: Variant) -> Callable[..., ArrayLike]:
    """The function that computes the variant's curve.

    Raises:
        CatalogueError: when there is none.
    """
    function = _function(variant)
    if function is None:
        raise CatalogueError(
            f"variant {variant.number}: curve: there is no {variant.curve} for family {variant.family}"
        )
    return function


def exists(variant: Variant) -> bool:
    """Whether there is anything to compare the variant's files with."""
    return _function(variant) is not None


def _function(variant: Variant) -> Callable[..., ArrayLike] | None:
    """A public function that the family's module defines itself, and did not import."""
    module = _module(variant.family, variant.curves_folder)
    function = getattr(module, variant.curve, None)
    if module is None or not inspect.isfunction(function) or function.__module__ != module.__name__:
        return None
    return function


def _module(family: str, folder: Path | None) -> ModuleType | None:
    """The family's module here, else the ``curves.py`` in a user's own folder of the family."""
    try:
        return importlib.import_module(f"{__name__}.{family}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{family}":
            raise
    return _own_module(family, folder) if folder is not None else None


_LOADED: dict[tuple[str, Path], tuple[tuple[int, int], ModuleType]] = {}


def _own_module(family: str, folder: Path) -> ModuleType | None:
    """The ``curves.py`` in a folder, loaded again when it has changed; as it was loaded before where it cannot be seen
    any more, as in a sandbox.
    """
    path = folder / "curves.py"
    known = _LOADED.get((family, folder))
    if not path.is_file():
        return known[1] if known else None
    state = path.stat()
    stamp = state.st_mtime_ns, state.st_size
    if known is None or known[0] != stamp:
        spec = importlib.util.spec_from_file_location(f"lrgen_user_curves_{family}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        known = _LOADED[family, folder] = stamp, module
    return known[1]


def whole_steps(fraction: float, horizon: int) -> int:
    """A fraction of the horizon in whole steps, at least one (halves round to even)."""
    return max(1, round(fraction * horizon))

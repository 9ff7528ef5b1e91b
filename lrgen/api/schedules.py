"""Schedules from Python."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lrgen import config, old_names
from lrgen.api import current
from lrgen.records import Variant

# What every file reads beyond its schedule's own hyperparameters: the least and the greatest value.
_COMMON = {"lr": (1e-8, 1.0), "momentum": (0.0, 0.999), "dropout": (0.0, 0.999), "weight_decay": (0.0, 1.0)}
_COUNTS = ("batch", "epoch", "epoch_max")


def get_hyperparams(scheduler_name: str, *, model_name: str | None = None) -> dict[str, float]:
    """The default hyperparameters of a schedule with a network: lr, momentum and dropout of the network's recipe, and
    the schedule's own.

    Args:
        scheduler_name: a name (``"StepLR_default"``), a number, or ``"A0_001"``.
        model_name: by default the active model.

    Raises:
        UnknownNameError: when there is no such schedule or network.
    """
    settings = config.load()
    loaded = current.catalogue(settings)
    variant, recipe = loaded.variant(scheduler_name), loaded.architecture(model_name or settings.active_model).recipe
    return recipe.prm_for(variant) | variant.defaults


def validate_hyperparams(hp: Mapping[str, Any], *, scheduler_name: str | None = None) -> tuple[bool, str]:
    """Whether hyperparameters lie in their ranges, and if not, what is wrong with the first that does not.

    Args:
        hp: name → value. A schedule's own lie in the range that the catalogue gives, lr in (0, 1], momentum and dropout
            in [0, 1), weight_decay in [0, 1]; batch, epoch and epoch_max are whole numbers from 1.
        scheduler_name: the schedule that they are for; by default a name may be any schedule's.

    Raises:
        UnknownNameError: when there is no such schedule.
    """
    loaded = current.catalogue()
    variants = [loaded.variant(scheduler_name)] if scheduler_name is not None else loaded.variants
    reasons = (_wrong(name, value, variants, scheduler_name) for name, value in hp.items())
    reason = next(filter(None, reasons), "")
    return not reason, reason


def _wrong(name: str, value: object, variants: Sequence[Variant], scheduler_name: str | None) -> str:
    if name == "transform":
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return f"{name}: must be a number, got {value!r}"
    if name in _COUNTS:
        return "" if value >= 1 and value == int(value) else f"{name}: must be a whole number from 1, got {value}"
    own = [one for variant in variants for one in variant.hyperparameters if one.name == name]
    if own:
        low, high = min(one.low for one in own), max(one.high for one in own)
    elif name in _COMMON:
        low, high = _COMMON[name]
    else:
        names = {one.name for variant in variants for one in variant.hyperparameters}
        return f"{name}: not a hyperparameter of {scheduler_name or 'any schedule'}{old_names.hint(name, names)}"
    return "" if low <= value <= high else f"{name}: must lie in [{low:g}, {high:g}], got {value}"

"""Schedules of the catalogue: lookups, learning rates, code and hyperparameters."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrgen import config, curves, old_names
from lrgen.api import current
from lrgen.records import AddedGroup, Unit, Variant

# The minimum and the maximum of the hyperparameters that belong to no schedule.
_COMMON = {"lr": (1e-8, 1.0), "momentum": (0.0, 0.999), "dropout": (0.0, 0.999), "weight_decay": (0.0, 1.0)}
_COUNTS = ("batch", "epoch", "epoch_max")


@dataclass(frozen=True, repr=False)
class ScheduleEntry:
    """A schedule of the catalogue, as returned by ``get_schedule``."""

    variant: Variant

    def __repr__(self) -> str:
        return f"<schedule {self.variant.key} {self.name}>"

    @property
    def name(self) -> str:
        """The name; a former one stays valid in lookups."""
        return self.variant.name

    @property
    def number(self) -> int:
        """The number, which never changes; the files of the schedule are named ``A0_<number>.py``."""
        return self.variant.number

    @property
    def former_name(self) -> str:
        """The name before 0.2 of a schedule that was renamed then, which ``get_schedule`` accepts too; else empty."""
        return self.variant.former_name

    @property
    def family(self) -> str:
        """The family, for example ``"cosine"`` or ``"step"``."""
        return self.variant.family

    @property
    def summary(self) -> str:
        """A description in a few sentences."""
        return self.variant.summary

    @property
    def formula(self) -> str:
        """The learning rate as a formula of the step t, the horizon T and the base learning rate lr."""
        return self.variant.formula

    @property
    def paper(self) -> str:
        """The paper that introduced the schedule, as an address or a citation; empty if none is known."""
        return self.variant.paper

    @property
    def unit(self) -> Unit:
        """The unit of a step: ``"epoch"``, ``"batch"`` or ``"metric"``."""
        return self.variant.unit

    @property
    def added_group(self) -> AddedGroup | None:
        """The behaviour for a parameter group that is added during training; None in a family of your own.

        ``"works"``: the group follows the schedule from its own learning rate. ``"raises RuntimeError"``: a later step
        of the scheduler does.
        """
        return self.variant.added_group

    @property
    def hyperparameters(self) -> dict[str, float]:
        """The default of each hyperparameter."""
        return self.variant.defaults

    def rates(
        self,
        horizon: int = 90,
        lr: float = 0.1,
        metrics: Sequence[float] | None = None,
        depths: Sequence[int] | None = None,
        **hyperparameters: float,
    ) -> curves.Rates:
        """Return the learning rates of a training, computed from the formula; no file is run.

        Args:
            horizon: number of scheduler steps, in the schedule's unit, at least 1.
            lr: the base learning rate.
            metrics: for a metric-driven schedule, the loss or accuracy of each step.
            depths: for a layer-wise schedule, the depth in the network of each parameter group, 0 at the input.
            hyperparameters: hyperparameters that differ from their defaults.

        Returns:
            The learning rates at steps 0 to ``horizon``, an array of ``horizon + 1`` numbers. Training uses all but the
            last, which is the learning rate after training. With metrics: the initial learning rate and the one after
            each metric. With depths: an array of shape (groups, steps).

        Raises:
            ParameterError: if a hyperparameter is unknown or out of range, the horizon is below 1, metrics are missing,
                or metrics are passed to a schedule that is not driven by a metric.
            CatalogueError: if a user's schedule has no curve.

        Example:
            >>> lrgen.get_schedule("CosineAnnealingLR_default").rates(horizon=4, lr=0.1).round(4)
            array([0.1   , 0.0854, 0.05  , 0.0146, 0.    ])
        """
        return curves.rates(self.variant, None, horizon, lr, hyperparameters, metrics=metrics, depths=depths)

    def code(self) -> str:
        """Return the source code of the schedule with its imports, ready to paste into any project.

        Example:
            >>> print(lrgen.get_schedule("LambdaLR_cosine_like").code()[:11])
            import copy
        """
        return current.renderer().schedule(self.variant)


def get_schedule(schedule: str | int) -> ScheduleEntry:
    """Return a schedule of the catalogue with its learning rates, formula, paper and code.

    Args:
        schedule: a name (``"wsd_linear"``), a former name, a number, or ``"A0_132"``.

    Raises:
        UnknownNameError: if there is no such schedule; the message suggests similar names.

    Example:
        >>> schedule = lrgen.get_schedule("wsd_linear")
        >>> schedule.rates(horizon=10, lr=1.0, warmup_fraction=0.2)
        array([0. , 0.5, 1. , 1. , 1. , 1. , 1. , 1. , 1. , 0.5, 0. ])
        >>> schedule.paper
        'https://arxiv.org/abs/2404.06395'
    """
    return ScheduleEntry(current.catalogue().variant(schedule))


def list_schedules(family: str | None = None) -> list[str]:
    """Return the names of the schedules, in the order of their numbers.

    Args:
        family: return only schedules of this family, for example ``"wsd"``.

    Raises:
        UnknownNameError: if there is no such family.

    Example:
        >>> len(lrgen.list_schedules())
        177
        >>> lrgen.list_schedules(family="wsd")[:3]
        ['wsd_linear', 'wsd_one_minus_sqrt', 'wsd_cosine']
    """
    loaded = current.catalogue()
    return [variant.name for variant in (loaded.family(family).variants if family else loaded.schedules)]


def get_hyperparams(scheduler_name: str, *, model_name: str | None = None) -> dict[str, float]:
    """Return the default hyperparameters of a schedule, with lr, momentum and dropout of an architecture's recipe.

    Args:
        scheduler_name: the name of a schedule (``"StepLR_default"``), its number, or ``"A0_001"``.
        model_name: the architecture; by default the active model.

    Raises:
        UnknownNameError: if there is no such schedule or architecture.
    """
    settings = config.load()
    loaded = current.catalogue(settings)
    variant, recipe = loaded.variant(scheduler_name), loaded.architecture(model_name or settings.active_model).recipe
    return recipe.prm_for(variant) | variant.defaults


def validate_hyperparams(hp: Mapping[str, Any], *, scheduler_name: str | None = None) -> tuple[bool, str]:
    """Check that hyperparameters are in their ranges.

    Args:
        hp: name → value. The hyperparameters of a schedule have the ranges of the catalogue; lr is in (0, 1], momentum
            and dropout are in [0, 1), weight_decay is in [0, 1]; batch, epoch and epoch_max are whole numbers from 1.
        scheduler_name: the schedule of the hyperparameters; by default they may belong to any schedule.

    Returns:
        Whether all are valid, and the reason for the first that is not (empty if all are valid).

    Raises:
        UnknownNameError: if there is no such schedule.
    """
    loaded = current.catalogue()
    variants = [loaded.variant(scheduler_name)] if scheduler_name is not None else loaded.variants
    reasons = (_reason(name, value, variants, scheduler_name) for name, value in hp.items())
    reason = next(filter(None, reasons), "")
    return not reason, reason


def _reason(name: str, value: object, variants: Sequence[Variant], scheduler_name: str | None) -> str:
    """The reason why a hyperparameter is invalid, or nothing."""
    if name == "transform":
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return f"{name}: must be a number, got {value!r}"
    if name in _COUNTS:
        return "" if value >= 1 and value == int(value) else f"{name}: must be a whole number from 1, got {value}"
    named = [parameter for variant in variants for parameter in variant.hyperparameters if parameter.name == name]
    if named:
        low, high = min(parameter.low for parameter in named), max(parameter.high for parameter in named)
    elif name in _COMMON:
        low, high = _COMMON[name]
    else:
        names = {parameter.name for variant in variants for parameter in variant.hyperparameters}
        return f"{name}: not a hyperparameter of {scheduler_name or 'any schedule'}{old_names.hint(name, names)}"
    return "" if low <= value <= high else f"{name}: must lie in [{low:g}, {high:g}], got {value}"

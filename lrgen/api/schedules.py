"""Schedules from Python."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrgen import config, curves, old_names
from lrgen.api import current
from lrgen.records import Unit, Variant

# What every file reads beyond its schedule's own hyperparameters: the least and the greatest value.
_COMMON = {"lr": (1e-8, 1.0), "momentum": (0.0, 0.999), "dropout": (0.0, 0.999), "weight_decay": (0.0, 1.0)}
_COUNTS = ("batch", "epoch", "epoch_max")


@dataclass(frozen=True, repr=False)
class ScheduleEntry:
    """A schedule of the catalogue, by ``get_schedule``."""

    variant: Variant

    def __repr__(self) -> str:
        return f"<schedule {self.variant.key} {self.name}>"

    @property
    def name(self) -> str:
        """Its name, which never changes."""
        return self.variant.name

    @property
    def number(self) -> int:
        """Its number, which never changes; its files are called ``A0_<number>.py``."""
        return self.variant.number

    @property
    def family(self) -> str:
        """The kind of schedule: ``"cosine"``, ``"step"`` …"""
        return self.variant.family

    @property
    def summary(self) -> str:
        """A description in a few sentences."""
        return self.variant.summary

    @property
    def formula(self) -> str:
        """The learning rate as a formula of the step t, the horizon T and the base rate lr."""
        return self.variant.formula

    @property
    def paper(self) -> str:
        """The paper that introduced it, as an address or a citation; empty if none is known."""
        return self.variant.paper

    @property
    def unit(self) -> Unit:
        """What advances it: ``"epoch"``, ``"batch"`` or ``"metric"``."""
        return self.variant.unit

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
        """The learning rates of a whole training, from the formula; no file is run.

        Args:
            horizon: number of scheduler steps, in the schedule's unit, at least 1.
            lr: the base learning rate.
            metrics: for a metric-driven schedule, the losses or accuracies that it is given, one a step.
            depths: the depth in the network of each parameter group, 0 at the input, for a layer-wise schedule.
            hyperparameters: those that differ from their defaults.

        Returns:
            The rates at steps 0, 1, …, ``horizon``, an array of ``horizon + 1`` numbers: training uses all but the
            last, which is the rate once training is over. With metrics, the initial rate and the one after each
            metric. With depths, an array of groups × steps.

        Raises:
            ParameterError: if a hyperparameter is unknown or out of range, the horizon is below 1, or metrics are
                missing or not wanted.
            CatalogueError: if a schedule of your own has no curve.

        Example:
            >>> lrgen.get_schedule("CosineAnnealingLR_default").rates(horizon=4, lr=0.1).round(4)
            array([0.1   , 0.0854, 0.05  , 0.0146, 0.    ])
        """
        return curves.rates(self.variant, None, horizon, lr, hyperparameters, metrics=metrics, depths=depths)

    def code(self) -> str:
        """Its source code with its imports, ready to paste into any project.

        Example:
            >>> print(lrgen.get_schedule("LambdaLR_cosine_like").code()[:11])
            import math
        """
        return current.renderer().schedule(self.variant)


def get_schedule(schedule: str | int) -> ScheduleEntry:
    """A schedule of the catalogue, with its rates, formula, paper and code.

    Args:
        schedule: a name (``"wsd_linear"``), a number, or ``"A0_132"``.

    Raises:
        UnknownNameError: if there is no such schedule; the message suggests near ones.

    Example:
        >>> schedule = lrgen.get_schedule("wsd_linear")
        >>> schedule.rates(horizon=10, lr=1.0, warmup_fraction=0.2)
        array([0. , 0.5, 1. , 1. , 1. , 1. , 1. , 1. , 1. , 0.5, 0. ])
        >>> schedule.paper
        'https://arxiv.org/abs/2404.06395'
    """
    return ScheduleEntry(current.catalogue().variant(schedule))


def list_schedules(family: str | None = None) -> list[str]:
    """The names of the catalogue's schedules, by number.

    Args:
        family: only those of this family: ``"cosine"``, ``"wsd"`` …

    Raises:
        UnknownNameError: if there is no such family.

    Example:
        >>> len(lrgen.list_schedules())
        177
        >>> lrgen.list_schedules(family="wsd")[:3]
        ['wsd_linear', 'wsd_one_minus_sqrt', 'wsd_cosine']
    """
    loaded = current.catalogue()
    return [variant.name for variant in (loaded.family(family).variants if family else loaded.variants)]


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

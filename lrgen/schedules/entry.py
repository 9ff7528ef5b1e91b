"""The record of a schedule: its names, its unit and its hyperparameters."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hyperparameter:
    """A number in [low, high] with a default, a keyword of the schedule's function."""

    name: str
    default: float
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class Schedule:
    """A schedule of the catalogue.

    Attributes:
        name: the name, which is that of its function.
        number: the number in the catalogue, which never changes.
        family: the family, which is that of the module of its function.
        unit: what a step of the scheduler is, ``epoch`` or ``batch`` (one update of the parameters).
        metric: the metric that ``step(metrics)`` takes, ``loss`` or ``accuracy``; empty for a schedule without one.
        layerwise: whether each parameter group has a learning rate of its own, by its key ``depth``.
        former_name: the name before it was renamed, or nothing.
        hyperparameters: the keywords of its function, in their order.
    """

    name: str
    number: int
    family: str
    unit: str
    metric: str = ""
    layerwise: bool = False
    former_name: str = ""
    hyperparameters: tuple[Hyperparameter, ...] = ()

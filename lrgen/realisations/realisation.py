"""A composition written in code, and how that code is called."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from lrgen.errors import ParameterError


class Style(StrEnum):
    """The ways to write a composition."""

    LAMBDA = "lambda"  # a callable for LambdaLR
    SEQUENTIAL = "sequential"  # schedulers of torch in SequentialLR
    SUBCLASS = "subclass"  # a subclass of LRScheduler with get_lr
    FUNCTION = "function"  # a closed function, and a loop over param_groups
    TABLE = "table"  # a table of steps and levels, interpolated
    TRANSFORMERS = "transformers"  # as transformers' get_..._schedule functions
    LIGHTNING = "lightning"  # configure_optimizers of a LightningModule
    LOOP = "loop"  # in a plain training loop


class Call(StrEnum):
    """The call of the code, and its result; ``Interface`` says which arguments in brackets there are."""

    SCHEDULER = "scheduler"  # entry(optimizer[, total_steps]) -> a scheduler with step() and state_dict()
    FACTOR = "factor"  # entry(step[, total_steps]) -> the multiplier of the base learning rate
    RATE = "rate"  # entry(step[, total_steps][, base_lr]) -> the learning rate
    SETTER = "setter"  # entry(optimizer, step[, total_steps][, base_lr]) sets the rate of each parameter group
    LIGHTNING = "lightning"  # a class, called without arguments; configure_optimizers(self) -> optimizer and scheduler
    LOOP = "loop"  # entry(model, loader, epochs[, base_lr]) trains the model


@dataclass(frozen=True)
class Interface:
    """The interface of the code of a realisation.

    Attributes:
        entry: the name of the function or class.
        takes_horizon: whether the number of steps is an argument; else the code is written for the composition's own.
        takes_lr: whether the base learning rate comes from the caller (an argument, the optimizer's groups); else the
            code contains the composition's own.
    """

    call: Call
    entry: str
    takes_horizon: bool
    takes_lr: bool = True

    def to_json(self) -> dict[str, Any]:
        """The interface as JSON values."""
        return asdict(self) | {"call": self.call.value}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The interface of ``to_json``.

        Raises:
            ParameterError: when the values are not those of an interface.
        """
        try:
            return cls(**{**values, "call": Call(values["call"])})
        except (KeyError, TypeError, ValueError) as error:
            raise ParameterError(f"not an interface: {error}") from error


@dataclass(frozen=True)
class Realisation:
    """The code of a composition in a style: whole, with its imports."""

    style: Style
    code: str
    interface: Interface

"""Schedules by name, and the checks of what a function of a schedule is called with."""

import importlib
import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrgen.errors import ParameterError, UnknownNameError, shown
from lrgen.schedules._catalogue import SCHEDULES
from lrgen.schedules.entry import Schedule


def find(name: str | int) -> Schedule:
    """Return the schedule with a name, a former name, or a number (``132``, ``"A0_132"``).

    Raises:
        UnknownNameError: if there is none; the message suggests similar names.

    Example:
        >>> find("wsd_linear").unit
        'batch'
    """
    text = str(name)
    number = text.removeprefix("A0_").lstrip("0")
    for schedule in SCHEDULES:
        if number == str(schedule.number) or (text and text in (schedule.name, schedule.former_name)):
            return schedule
    raise UnknownNameError("schedule", text, [schedule.name for schedule in SCHEDULES])


def make(name: str | int, optimizer: Optimizer, total_steps: int, **hyperparameters: float) -> LRScheduler:
    """Return the scheduler of a schedule that is chosen by name, as a configuration file does.

    Args:
        name: as in ``find``.
        optimizer: the learning rate of each parameter group is its base learning rate, a float or a tensor.
        total_steps: the planned number of steps in the unit of the schedule, at least 1.
        hyperparameters: hyperparameters that differ from their defaults.

    Raises:
        UnknownNameError: if there is no such schedule, or it has no such hyperparameter.
        ParameterError: if ``total_steps`` or a hyperparameter is out of range.

    Example:
        >>> scheduler = make("wsd_linear", optimizer, total_steps=1000, warmup_fraction=0.1)
    """
    schedule = check_arguments(name, total_steps, **hyperparameters)
    module: Any = importlib.import_module(f"{__package__}._{schedule.family}")
    scheduler: LRScheduler = getattr(module, schedule.name)(optimizer, total_steps, **hyperparameters)
    return scheduler


def check_arguments(name: str | int, total_steps: int, **hyperparameters: float) -> Schedule:
    """Return the schedule, if ``make`` accepts its arguments; no optimizer is needed.

    Raises:
        UnknownNameError: as ``make``.
        ParameterError: as ``make``.
    """
    schedule = find(name)
    values = {parameter.name: parameter.default for parameter in schedule.hyperparameters}
    for given in hyperparameters:
        if given not in values:
            raise UnknownNameError(f"hyperparameter of {schedule.name}", given, values)
    check(schedule.name, total_steps, **(values | hyperparameters))
    return schedule


def check(name: str, total_steps: int, **hyperparameters: float) -> None:
    """Require a number of steps of at least 1, and each hyperparameter of a schedule to be in its range.

    Raises:
        ParameterError: if one is not; the message names the schedule, the argument and the value.
    """
    check_count(f"{name}: total_steps", total_steps)
    for parameter in find(name).hyperparameters:
        value = hyperparameters[parameter.name]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or (isinstance(value, float) and not math.isfinite(value)):
            raise ParameterError(f"{name}: {parameter.name} must be a number, got {shown(value)}")
        if not parameter.low <= value <= parameter.high:
            bounds = f"[{parameter.low:g}, {parameter.high:g}]"
            raise ParameterError(f"{name}: {parameter.name} must lie in {bounds}, got {shown(value)}")


def check_count(name: str, value: Any) -> None:
    """Require a whole number of at least 1.

    Raises:
        ParameterError: if it is not; ``name`` is what the message calls it.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ParameterError(f"{name} must be a whole number, got {shown(value)}")
    if value < 1:
        raise ParameterError(f"{name} must be at least 1, got {shown(value)}")

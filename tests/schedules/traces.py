"""Schedules that are run on small optimizers, and the learning rates that their curves have."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrgen import curves
from lrgen.catalogue import Catalogue
from lrgen.curves import Rates
from lrgen.schedules import Schedule

BASE_LR = 0.1
DEPTHS = (0, 1, 2)
CLOSE = 1e-9  # of the base learning rate


def sgd(lr: float | torch.Tensor = BASE_LR) -> Optimizer:
    """SGD with a parameter group at each depth."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "depth": depth} for depth in DEPTHS]
    return torch.optim.SGD(groups, lr=lr)


def metrics(steps: int) -> list[float]:
    """A metric that improves, stalls, improves and stalls."""
    quarter = max(1, steps // 4)
    ramp = np.linspace(1, 0.6, quarter)
    series = np.concatenate([ramp, np.full(quarter, 0.6), ramp - 0.4, np.full(steps, 0.2)])
    return series[:steps].tolist()


def rates(optimizer: Optimizer) -> list[float]:
    """The learning rate of each group."""
    return [float(group["lr"]) for group in optimizer.param_groups]


def follow(optimizer: Optimizer, scheduler: LRScheduler, driven_by: Sequence[float | None]) -> Iterator[list[float]]:
    """Step once for each metric (None: without one), and yield the learning rates after each step."""
    for metric in driven_by:
        optimizer.step()
        scheduler.step() if metric is None else scheduler.step(metric)
        yield rates(optimizer)


def drive(schedule: Schedule, steps: int) -> Sequence[float | None]:
    """The argument of each step of a schedule."""
    return metrics(steps) if schedule.metric else [None] * steps


def expected(
    catalogue: Catalogue,
    schedule: Schedule,
    steps: int,
    horizon: int,
    base_lr: float = BASE_LR,
    **hyperparameters: float,
) -> Rates:
    """The learning rates of the curve at the steps from 0 (steps + 1, groups)."""
    variant = catalogue.variant(schedule.number)
    driven_by = metrics(steps) if schedule.metric else None
    depths = DEPTHS if schedule.layerwise else None
    numbers = None if schedule.metric else np.arange(steps + 1)
    traced = curves.rates(variant, numbers, horizon, base_lr, hyperparameters, metrics=driven_by, depths=depths)
    return np.broadcast_to(np.atleast_2d(traced), (len(DEPTHS), steps + 1)).T

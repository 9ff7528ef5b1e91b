"""What all columns of the matrix share: a network whose updates show the learning rate, and the rates of the curve.

Each gradient is 1 and the optimizer is SGD without momentum (or Adam with eps = 0, whose first moment is then the
root of its second): an update subtracts the learning rate that it really had, in float64.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lrgen import curves
from lrgen.catalogue import Catalogue
from lrgen.curves import Rates
from lrgen.schedules import Schedule, make

BASE_LRS = (0.1, 0.03)
"""Of the parameter groups; columns without groups have the first."""

EPOCHS, BATCHES = 12, 2
UPDATES = EPOCHS * BATCHES
TOLERANCE = 1e-9  # of the base learning rate


class NotApplicableError(Exception):
    """A column has no meaning for a schedule, or cannot be run on this machine; the message is the reason."""


class Weights(nn.Module):
    """A network of numbers whose loss is their sum: each gradient is 1."""

    def __init__(self, count: int = 1) -> None:
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(torch.zeros(1, dtype=torch.float64)) for _ in range(count))

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """The loss, for a batch of any inputs x."""
        total = sum(weight.sum() for weight in self.weights)
        return {"loss": total + 0.0 * x.sum(), "logits": x}


@dataclass
class Run:
    """A training: its network, its optimizer and its scheduler."""

    net: Weights
    optimizer: Optimizer
    scheduler: LRScheduler


def horizon_of(schedule: Schedule) -> int:
    """The number of steps of a schedule in ``UPDATES`` updates."""
    return UPDATES if schedule.unit == "batch" else EPOCHS


def bare(
    optimizer: Callable[..., Optimizer] = torch.optim.SGD, lrs: tuple[Any, ...] = BASE_LRS[:1], **keywords: Any
) -> tuple[Weights, Optimizer]:
    """A network and its optimizer, with a parameter group for each base learning rate."""
    net = Weights(len(lrs))
    groups = [
        {"params": [weight], "lr": lr, "depth": depth}
        for depth, (weight, lr) in enumerate(zip(net.weights, lrs, strict=True))
    ]
    return net, optimizer(groups, lr=lrs[0], **keywords)


def start(schedule: Schedule, *arguments: Any, **keywords: Any) -> Run:
    """A training at its beginning, with a network and an optimizer as ``bare`` makes them."""
    net, optimizer = bare(*arguments, **keywords)
    return Run(net, optimizer, make(schedule.name, optimizer, horizon_of(schedule)))


class Recorder:
    """The learning rates of the updates of an optimizer, read off its parameters: (updates, groups)."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.used: list[list[float]] = []
        self._before: list[float] = []
        optimizer.register_step_pre_hook(lambda stepped, *_: self._begin(stepped))
        optimizer.register_step_post_hook(lambda stepped, *_: self._end(stepped))

    def _begin(self, optimizer: Optimizer) -> None:
        self._before = _parameters(optimizer)

    def _end(self, optimizer: Optimizer) -> None:
        self.used.append([before - after for before, after in zip(self._before, _parameters(optimizer), strict=True)])


def _parameters(optimizer: Optimizer) -> list[float]:
    return [float(group["params"][0].detach()) for group in optimizer.param_groups]


def metric(step: int, steps: int) -> float:
    """The metric of a step (from 0) of a schedule that is driven by one: it improves, then stalls."""
    return max(1.0 - 2.0 * step / steps, 0.5)


def advance(run: Run, schedule: Schedule, step: int, horizon: int) -> None:
    """Step the scheduler for the step-th time, from 0."""
    if schedule.metric:
        run.scheduler.step(metric(step, horizon))
    else:
        run.scheduler.step()


def expected(catalogue: Catalogue, schedule: Schedule, horizon: int, lrs: tuple[float, ...] = BASE_LRS[:1]) -> Rates:
    """The learning rates of the curve at each of ``UPDATES`` updates (updates, groups)."""
    variant = catalogue.variant(schedule.number)
    driven_by = [metric(step, horizon) for step in range(horizon)] if schedule.metric else None
    depths = list(range(len(lrs))) if schedule.layerwise else None
    of_each = [np.atleast_2d(curves.rates(variant, None, horizon, lr, metrics=driven_by, depths=depths)) for lr in lrs]
    of_groups = [rates[index if schedule.layerwise else 0][:horizon] for index, rates in enumerate(of_each)]
    return np.repeat(np.stack(of_groups, axis=1), UPDATES // horizon, axis=0)

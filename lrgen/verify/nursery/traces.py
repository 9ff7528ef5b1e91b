"""The commands of a driver that step schedulers: that of ``make_scheduler``, and a network's own."""

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from .describe import schedulers_of, takes_metric
from .optimizers import optimizer_of
from .prm import Prm, read_of
from .raised import explained
from .saved import loaded, saved

Answer = dict[str, Any] | tuple[dict[str, Any], list[np.ndarray[Any, Any]]]
Arrays = list[np.ndarray[Any, Any]]

# The optimizer is stepped this often in a trace, after its start and after it is resumed: it costs more than a step of
# the schedule.
_UPDATED_STEPS = 3


class Traces:
    """The commands; ``path`` and ``make_scheduler`` are those of the file, ``given`` is in each of its ``prm``."""

    path: str
    given: dict[str, Any]
    make_scheduler: Callable[..., Any] | None
    nets: dict[str, Any]

    def do_trace(
        self,
        arrays: Arrays,
        horizon: int,
        steps: int,
        prm: dict[str, Any],
        default: float,
        groups: list[dict[str, Any]],
        tensor: bool = False,
        metrics: list[float] | None = None,
        resume: Sequence[int] = (),
        recorded: bool = False,
    ) -> Answer:
        """The learning rate of each parameter group at each step of ``make_scheduler`` on a dummy parameter.

        A group has ``lr`` and ``depth`` or none of them; the run is saved and resumed at each step of ``resume``.
        ``failed`` is the step at which the file raises.
        """
        assert self.make_scheduler is not None
        prm = {**prm, **self.given}
        make, values = self.make_scheduler, Prm(prm) if recorded else prm

        def build() -> tuple[Optimizer, Any]:
            own = [{"params": [nn.Parameter(torch.zeros(1))], **group} for group in groups]
            for group in own:
                if tensor and "lr" in group:
                    group["lr"] = torch.tensor(group["lr"])
            optimizer = torch.optim.SGD(own, lr=torch.tensor(default) if tensor else default, momentum=0.9)
            return optimizer, make(optimizer, horizon, values)

        step = 0
        rates: list[list[float]] = []  # steps × groups
        try:
            optimizer, scheduler = build()
            updated = 0
            for step in range(steps):
                if step in resume:
                    state = loaded(saved([optimizer.state_dict(), scheduler.state_dict()]))
                    optimizer, scheduler = build()
                    optimizer.load_state_dict(state[0])
                    scheduler.load_state_dict(state[1])
                    updated = 0
                rates.append([float(group["lr"]) for group in optimizer.param_groups])
                if updated < _UPDATED_STEPS:
                    updated += 1
                    optimizer.step()
                if metrics is None:
                    scheduler.step()
                else:
                    scheduler.step(_metric(metrics[step]))
        except Exception as error:  # noqa: BLE001  the file may raise anything
            return {"failed": step, "raised": explained(error, self.path), "read": read_of(values)}
        return {"read": read_of(values), "takes_metric": takes_metric(scheduler)}, [_by_group(rates)]

    def do_advance(self, arrays: Arrays, net: str, metrics: list[float]) -> Answer:
        """The learning rate of each parameter group before each of further steps of a network's own schedulers.

        It ends early at a step that a scheduler refuses; without a scheduler there are no steps.
        """
        groups, schedulers = optimizer_of(self.nets[net]).param_groups, schedulers_of(self.nets[net])
        steps: list[list[float]] = []
        with contextlib.suppress(Exception):
            for metric in metrics if schedulers else ():
                steps.append([float(group["lr"]) for group in groups])
                for scheduler in schedulers:
                    scheduler.step(metric) if takes_metric(scheduler) else scheduler.step()
        return {}, [np.array(steps, dtype=np.float64).reshape(len(steps), len(groups))]


def _by_group(rates: list[list[float]]) -> np.ndarray[Any, Any]:
    """Learning rates as groups × steps; of no group if the file changes their number on the way."""
    counts = set(map(len, rates))
    groups = counts.pop() if len(counts) == 1 else 0
    return np.array([row[:groups] for row in rates], dtype=np.float64).reshape(len(rates), groups).T


def _metric(value: float | None) -> float:
    return math.nan if value is None else value

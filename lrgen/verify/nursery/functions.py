"""The command that runs a schedule without a network: a function or class of the file, on a dummy parameter."""

import inspect
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from .describe import takes_metric
from .raised import explained

_COUNTS = ("epoch", "step", "t", "num_updates", "current_step", "iteration")  # names of an argument that is no metric


class Functions:
    """The command; ``module`` is that of the file."""

    path: str
    module: ModuleType | None

    def do_schedule(
        self,
        arrays: list[np.ndarray[Any, Any]],
        name: str,
        optimizer: str,
        keywords: dict[str, Any],
        base_lr: float,
        metrics: list[float],
    ) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]]:
        """The learning rate before each step, one more than there are metrics.

        Args:
            arrays: none.
            name: of the function or class.
            optimizer: its parameter for the optimizer; empty if its first parameter is a step, and it returns a rate.
            keywords: its other arguments.
            base_lr: of the optimizer.
            metrics: the argument of each step, if the scheduler takes a metric.
        """
        make: Any = getattr(self.module, name)
        rates: list[float] = []
        try:
            if not optimizer:
                rates = [float(make(step, **keywords)) for step in range(len(metrics) + 1)]
                return {"read": []}, [np.array(rates, dtype=np.float64)]
            updated = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=base_lr, momentum=0.9)
            made = make(**{optimizer: updated, **keywords})
            scheduler = next((part for part in _parts(made) if callable(getattr(part, "step", None))), made)
            driven = takes_metric(scheduler)
            counts = driven and next(iter(inspect.signature(scheduler.step).parameters)) in _COUNTS
            for step, metric in enumerate([*metrics, 0.0]):
                rates.append(float(updated.param_groups[0]["lr"]))
                updated.step()
                if driven:
                    scheduler.step(step + 1 if counts else metric)
                else:
                    scheduler.step()
        except Exception as error:  # noqa: BLE001  the file may raise anything
            if not rates:
                return {"read": [], "failed": 0, "raised": explained(error, self.path)}, []
            return {"read": [], "failed": len(rates), "raised": explained(error, self.path)}, [np.array(rates)]
        return {"read": [], "takes_metric": bool(driven and not counts)}, [np.array(rates, dtype=np.float64)]


def _parts(made: Any) -> list[Any]:
    """A scheduler, or what a function returns together with one."""
    if isinstance(made, dict):
        return list(made.values())
    return list(made) if isinstance(made, (tuple, list)) else [made]

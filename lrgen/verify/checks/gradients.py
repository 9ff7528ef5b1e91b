"""A part of the contract check: the gradients of a batch do not depend on the batch before it.

Gradients that are not zeroed add up over the batches: the network still learns on small datasets, and every learning
rate is right. ``learn`` therefore runs twice on two batches, of which only the first differs, at a learning rate so low
that no weight changes. The gradients of the second update must have the same direction; their norm may depend on
earlier batches, as with adaptive clipping.
"""

import random
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lrgen.verify.checks.subject import Subject, random_batches

_LR = 1e-60  # above zero, since schedules may divide by it; below the resolution of float32
_BATCH_SIZE = 2
_TOLERANCE = 1e-3
# A file whose gradients differ between equal runs (a random generator of its own, a count of epochs) is not judged.
_TIMES_REPEATED = 10.0
_SAMPLED = 4096  # elements of each parameter


def measure(net: Any, subject: Subject) -> dict[str, float] | None:
    """The relative difference of the second batch's gradients after two different batches, and after equal ones.

    The latter is measured only if the former is large. None if the gradients cannot be compared: the optimizer makes
    not one step per batch, the weights change, or the gradients are zero or not finite.
    """
    batches = random_batches(3, _BATCH_SIZE, 3, 32, 10, subject.device)
    first = _second_update(net, subject, [batches[0], batches[2]])
    difference = _difference(first, _second_update(net, subject, [batches[1], batches[2]]))
    if difference is None:
        return None
    repeated: float | None = 0.0
    if difference > _TOLERANCE:
        repeated = _difference(first, _second_update(net, subject, [batches[0], batches[2]]))
    return None if repeated is None else {"difference": difference, "repeated": repeated}


def judge(measurement: dict[str, float] | None) -> str:
    """The reason why the gradients are wrong; empty if they are not, or cannot be compared."""
    if measurement is None:
        return ""
    difference, repeated = measurement["difference"], measurement["repeated"]
    if difference <= max(_TOLERANCE, _TIMES_REPEATED * repeated):
        return ""
    return (
        f"the gradients of a batch depend on the batch before it (relative difference {difference:.2g}), "
        "zero_grad() may be missing"
    )


class _SeededBatches(list[Any]):
    """Batches that seed the random number generators, so that dropout does not depend on earlier batches."""

    def __iter__(self) -> Iterator[Any]:
        for index, batch in enumerate(super().__iter__()):
            torch.manual_seed(index)
            random.seed(index)
            yield batch


def _second_update(net: Any, subject: Subject, batches: list[Any]) -> tuple[Tensor, Tensor] | None:
    """Samples of the gradients and of the weights at the second step; None unless there is a step per batch."""
    updates: list[tuple[Tensor, Tensor]] = []
    net.zero_grad()
    net.train_setup(subject.prm(lr=_LR))
    net.optimizer.register_step_pre_hook(lambda *_: updates.append(_sample(net)))
    net.learn(_SeededBatches(batches))
    return updates[1] if len(updates) == len(batches) else None


def _sample(net: Any) -> tuple[Tensor, Tensor]:
    gradients, weights = [], []
    for parameter in net.parameters():
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        stride = max(1, parameter.numel() // _SAMPLED)
        gradients.append(gradient.detach().flatten()[::stride])
        weights.append(parameter.detach().flatten()[::stride])
    return torch.cat(gradients).double(), torch.cat(weights).double()


def _difference(first: tuple[Tensor, Tensor] | None, second: tuple[Tensor, Tensor] | None) -> float | None:
    """The norm of the difference of the gradients, each divided by its norm."""
    if first is None or second is None:
        return None
    norms = [gradients.norm() for gradients, _ in (first, second)]
    if not all(0 < norm < torch.inf for norm in norms):
        return None
    if (first[1] - second[1]).norm() > 1e-6 * first[1].norm():
        return None
    return float((first[0] / norms[0] - second[0] / norms[1]).norm())

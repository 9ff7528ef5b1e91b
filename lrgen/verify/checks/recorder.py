"""What training tells of itself while it runs: the loss of each batch and the share of its images that are right.

The loss is the number that is differentiated, whatever it is the sum of (the main head's and those of auxiliary ones,
a penalty); the scores are those that the criterion is first called with.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Recorder:
    """Records within ``with``: losses and accuracies by batch, on the device, without waiting for it.

    ``images`` counts those of each batch; all three grow together, an entry for each loss that is differentiated.
    """

    def __init__(self, criterion: object) -> None:
        self._losses: list[Tensor] = []
        self._right: list[Tensor] = []
        self.images: list[int] = []
        self._scored: tuple[Tensor, Tensor] | None = None
        self._backward: Callable[..., Any] | None = None
        if isinstance(criterion, nn.Module):
            criterion.register_forward_hook(self._score)

    def __enter__(self) -> "Recorder":
        self._backward = torch.autograd.backward
        torch.autograd.backward = self._differentiate
        return self

    def __exit__(self, *_: object) -> None:
        assert self._backward is not None
        torch.autograd.backward = self._backward
        self._scored = None

    @property
    def losses(self) -> list[float]:
        """The loss of each batch."""
        return [float(loss) for loss in self._losses]

    @property
    def accuracies(self) -> list[float]:
        """The share of each batch's images that are right; NaN where the scores are not images by classes."""
        return [float(right) for right in self._right]

    def mean(self, values: list[float]) -> float:
        """The mean over images of a number by batch; NaN without any."""
        images = sum(self.images)
        return sum(v * count for v, count in zip(values, self.images, strict=True)) / images if images else math.nan

    def clear(self) -> None:
        """Forget the batches that were seen."""
        self._losses.clear()
        self._right.clear()
        self.images.clear()

    def _score(self, _: nn.Module, inputs: tuple[Tensor, ...], loss: Tensor) -> None:
        if self._scored is None and torch.is_grad_enabled() and loss.dim() == 0:
            self._scored = inputs[0].detach(), inputs[1]

    def _differentiate(self, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        assert self._backward is not None
        loss = tensors if isinstance(tensors, Tensor) else tensors[0]
        if self._scored is not None and loss.dim() == 0:
            logits, labels = self._scored
            self._scored = None
            self._losses.append(loss.detach())
            self._right.append(
                (logits.argmax(dim=1) == labels).float().mean() if logits.dim() == 2 else torch.tensor(math.nan)
            )
            self.images.append(len(logits))
        return self._backward(tensors, *args, **kwargs)

"""Recorder of the loss and the accuracy of each training batch.

The loss is the scalar that is differentiated, including the losses of auxiliary classifiers and penalties. The logits
are those of the first call of the criterion.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Recorder:
    """Records the loss, the accuracy and the number of images of each batch within its context.

    Losses and accuracies stay on the device, which avoids synchronisation. Each differentiated loss adds one entry to
    each of the three lists.
    """

    def __init__(self, criterion: object) -> None:
        self._losses: list[Tensor] = []
        self._accuracies: list[Tensor] = []
        self.images: list[int] = []
        self._logits_and_labels: tuple[Tensor, Tensor] | None = None
        self._backward: Callable[..., Any] | None = None
        if isinstance(criterion, nn.Module):
            criterion.register_forward_hook(self._note_logits)

    def __enter__(self) -> "Recorder":
        self._backward = torch.autograd.backward
        torch.autograd.backward = self._differentiate
        return self

    def __exit__(self, *_: object) -> None:
        assert self._backward is not None
        torch.autograd.backward = self._backward
        self._logits_and_labels = None

    @property
    def losses(self) -> list[float]:
        """The loss of each batch."""
        return [float(loss) for loss in self._losses]

    @property
    def accuracies(self) -> list[float]:
        """The accuracy of each batch; NaN where the logits are not of the shape (images, classes)."""
        return [float(accuracy) for accuracy in self._accuracies]

    def mean(self, values: list[float]) -> float:
        """The mean over images of one value per batch; NaN without images."""
        images = sum(self.images)
        weighted = sum(value * count for value, count in zip(values, self.images, strict=True))
        return weighted / images if images else math.nan

    def clear(self) -> None:
        """Remove the recorded batches."""
        self._losses.clear()
        self._accuracies.clear()
        self.images.clear()

    def _note_logits(self, _: nn.Module, inputs: tuple[Tensor, ...], loss: Tensor) -> None:
        if self._logits_and_labels is None and torch.is_grad_enabled() and loss.dim() == 0:
            self._logits_and_labels = inputs[0].detach(), inputs[1]

    def _differentiate(self, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        assert self._backward is not None
        loss = tensors if isinstance(tensors, Tensor) else tensors[0]
        if self._logits_and_labels is not None and loss.dim() == 0:
            logits, labels = self._logits_and_labels
            self._logits_and_labels = None
            self._losses.append(loss.detach())
            self._accuracies.append(
                (logits.argmax(dim=1) == labels).float().mean() if logits.dim() == 2 else torch.tensor(math.nan)
            )
            self.images.append(len(logits))
        return self._backward(tensors, *args, **kwargs)

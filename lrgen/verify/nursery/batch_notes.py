"""Notes of the logits and the loss of each training batch."""

import math
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree


class BatchNotes:
    """Notes the logits of the first forward pass of each batch, and the first loss that is differentiated.

    They stay on the device until ``taken``, which avoids synchronisation.
    """

    def __init__(self, net: Any) -> None:
        self._net = net
        self._logits: list[Tensor | None] = []
        self._losses: list[Tensor | None] = []
        self._single = True
        self._hook: Any = None
        self._backward: Callable[..., Any] | None = None

    def __enter__(self) -> Self:
        note = torch._dynamo.disable(self._note_logits)  # type: ignore[no-untyped-call]
        self._hook = self._net.register_forward_hook(note)
        self._backward = torch.autograd.backward
        torch.autograd.backward = self._differentiate
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hook.remove()
        torch.autograd.backward = self._backward  # type: ignore[assignment]

    def begin(self) -> None:
        """Begin the next batch."""
        self._logits.append(None)
        self._losses.append(None)

    def taken(self) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]]:
        """What was noted: values, and the arrays losses (NaN without one) and logits, batch after batch."""
        batches = [logits.reshape(-1, logits.shape[-1]).float().cpu() for logits in self._logits if logits is not None]
        rows = [0 if logits is None else len(logits) for logits in self._logits]
        same = len({logits.shape[1] for logits in batches}) == 1
        losses = [math.nan if loss is None else float(loss) for loss in self._losses]
        differentiated = [loss is not None for loss in self._losses]
        values = {
            "rows": rows if same else [0] * len(rows),
            "differentiated": differentiated,
            "single": self._single and same,
        }
        return values, [
            np.array(losses, dtype=np.float64),
            torch.cat(batches).numpy() if same else np.zeros((0, 1), dtype=np.float32),
        ]

    def _note_logits(self, _: Any, __: Any, output: Any) -> None:
        if self._logits and self._logits[-1] is None and torch.is_grad_enabled():
            self._single = self._single and isinstance(output, Tensor)
            leaves = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]
            if leaves and leaves[0].dim() == 2:
                self._logits[-1] = leaves[0].detach().clone()

    def _differentiate(self, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        assert self._backward is not None
        loss = tensors if isinstance(tensors, Tensor) else next(iter(tensors))
        if self._losses and self._losses[-1] is None and loss.numel() == 1:
            self._losses[-1] = loss.detach().clone()
        return self._backward(tensors, *args, **kwargs)

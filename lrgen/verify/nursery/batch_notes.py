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

    An output may have several leaves of logits (auxiliary classifiers). The gradients that have ``arrived`` at the
    first leaf are noted as well, if they are asked for. The notes stay on the device until ``taken``, which avoids
    synchronisation.
    """

    def __init__(self, net: Any, arrived: bool = False) -> None:
        self._net, self._with_arrived = net, arrived
        self._arrived: list[Tensor | None] = []
        self._leaves: list[list[Tensor]] = []
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
        self._leaves.append([])
        self._losses.append(None)
        self._arrived.append(None)

    def taken(self) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]]:
        """Return the notes: values, and the arrays losses (NaN without one) and logits of each leaf, batch by batch.

        At the end are the gradients that have arrived, if each batch has them.
        """
        noted = [leaves for leaves in self._leaves if leaves]
        same = len({tuple(leaf.shape[1] for leaf in leaves) for leaves in noted}) == 1
        rows = [len(leaves[0]) if leaves and same else 0 for leaves in self._leaves]
        losses = [math.nan if loss is None else float(loss) for loss in self._losses]
        values = {
            "rows": rows,
            "differentiated": [loss is not None for loss in self._losses],
            "leaves": len(noted[0]) if same else 0,
            "single": self._single and same,
        }
        logits = [torch.cat(leaf).float().cpu().numpy() for leaf in zip(*noted, strict=True)] if same else []
        arrived = [gradient for gradient in self._arrived if gradient is not None]
        values["arrived"] = bool(same and arrived and len(arrived) == len(noted))
        sent = [torch.cat(arrived).float().cpu().numpy()] if values["arrived"] else []
        return values, [np.array(losses, dtype=np.float64), *logits, *sent]

    def _note_logits(self, _: Any, __: Any, output: Any) -> None:
        if self._leaves and not self._leaves[-1] and torch.is_grad_enabled():
            self._single = self._single and isinstance(output, Tensor)
            leaves = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor) and leaf.dim() == 2]
            if len({len(leaf) for leaf in leaves}) == 1:
                self._leaves[-1] = [leaf.detach().clone() for leaf in leaves]
                if self._with_arrived and leaves and leaves[0].requires_grad:
                    leaves[0].register_hook(self._note_arrived)  # type: ignore[no-untyped-call]

    def _note_arrived(self, gradient: Tensor) -> None:
        self._arrived[-1] = gradient.detach().clone()

    def _differentiate(self, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        assert self._backward is not None
        loss = tensors if isinstance(tensors, Tensor) else next(iter(tensors))
        if self._losses and self._losses[-1] is None and loss.numel() == 1:
            self._losses[-1] = loss.detach().clone()
        return self._backward(tensors, *args, **kwargs)

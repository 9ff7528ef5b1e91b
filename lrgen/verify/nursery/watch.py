"""Notes of sampled weights while a file trains: before each batch, at the end of the data, and after ``learn``.

At each step of the optimizer it notes the learning rates and the settings of the groups, and on request the sampled
gradients. The notes are what the file's process says; the examiner compares the weights with what they should be.
"""

import io
import zlib
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

START, BATCH, END, RETURN = "start", "batch", "end", "return"


class Watch:
    """Notes of one call of ``learn``, which runs within its context.

    Args:
        positions: of the sampled weights, parameter after parameter.
        counts: the number of positions of each parameter.
        with_gradients: whether gradients are sampled at each step of the optimizer.
        whole: batches before which the state of the network is saved.
    """

    def __init__(
        self,
        net: Any,
        positions: np.ndarray[Any, Any],
        counts: np.ndarray[Any, Any],
        with_gradients: bool,
        whole: set[int],
    ) -> None:
        self._net = net
        self._parameters = list(net.parameters())
        self._at = [part.to(self._parameters[0].device) for part in torch.from_numpy(positions).split(counts.tolist())]
        self._with_gradients = with_gradients
        self._whole = whole
        self._events: list[dict[str, Any]] = []
        self._steps: list[dict[str, Any]] = []
        self._weights: list[Tensor] = []
        self._gradients: list[np.ndarray[Any, Any]] = []
        self._present: list[np.ndarray[Any, Any]] = []
        self._states: list[np.ndarray[Any, Any]] = []
        self._saved: list[int] = []
        self._settings: list[dict[str, Any]] = []
        self._hook: Any = None

    def __enter__(self) -> Self:
        optimizer = getattr(self._net, "optimizer", None)
        if isinstance(optimizer, Optimizer):
            self._hook = optimizer.register_step_pre_hook(lambda stepped, *_: self._before_step(stepped))
        self._note(START, whole=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._hook is not None:
            self._hook.remove()
        if error is None:
            self._note(RETURN, whole=True)

    def before_batch(self, index: int) -> None:
        """Note the weights before a batch."""
        self._note(BATCH, whole=index == 0)
        if index in self._whole:
            saved = io.BytesIO()
            torch.save({"net": self._net.state_dict()}, saved)
            self._states.append(np.frombuffer(saved.getvalue(), dtype=np.uint8))
            self._saved.append(index)

    def at_end(self) -> None:
        """Note the weights when the data has ended."""
        self._note(END, whole=True)

    def gradients(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], float]:
        """The sampled gradients, which parameters have one, and the norm over all parameters."""
        present = np.array([parameter.grad is not None for parameter in self._parameters], dtype=np.uint8)
        parts = [
            torch.zeros(len(at), device=at.device)
            if parameter.grad is None
            else parameter.grad.detach().float().view(-1)[at]
            for parameter, at in zip(self._parameters, self._at, strict=True)
        ]
        norms = [parameter.grad.detach().norm() for parameter in self._parameters if parameter.grad is not None]
        norm = float(torch.stack(norms).norm()) if norms else 0.0
        return torch.cat(parts).cpu().numpy(), present, norm

    def taken(self) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]]:
        """The notes: values, and the arrays weights (events × samples), gradients, presence, then whole states."""
        width = sum(len(at) for at in self._at)
        weights = torch.stack(self._weights).cpu().numpy() if self._weights else np.zeros((0, width), np.float32)
        gradients = np.stack(self._gradients) if self._gradients else np.zeros((0, width), np.float32)
        present = np.stack(self._present) if self._present else np.zeros((0, len(self._at)), np.uint8)
        values = {"events": self._events, "steps": self._steps, "saved": self._saved}
        return values, [weights, gradients, present, *self._states]

    def _note(self, kind: str, whole: bool) -> None:
        with torch.no_grad():
            parts = [
                parameter.detach().float().reshape(-1)[at]
                for parameter, at in zip(self._parameters, self._at, strict=True)
            ]
            self._weights.append(torch.cat(parts))
        self._events.append({"kind": kind, "digest": self._digest() if whole else None, "steps": len(self._steps)})

    def _digest(self) -> int:
        """A digest of all weights."""
        digest = 0
        for parameter in self._parameters:
            values = parameter.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy()
            digest = zlib.crc32(values.data, digest)
        return digest

    def _before_step(self, optimizer: Optimizer) -> None:
        step: dict[str, Any] = {
            "rates": [float(group["lr"]) for group in optimizer.param_groups],
            "settings": None,  # as at the step before
            "norm": None,
        }
        settings = [settings_of(group) for group in optimizer.param_groups]
        if settings != self._settings:
            step["settings"] = self._settings = settings
        if self._with_gradients:
            sampled, present, norm = self.gradients()
            self._gradients.append(sampled)
            self._present.append(present)
            step["norm"] = norm
        self._steps.append(step)


def settings_of(group: dict[str, Any]) -> dict[str, Any]:
    """The settings of a group that are numbers or tuples of numbers, without its parameters and learning rates."""
    plain: dict[str, Any] = {}
    for key, value in group.items():
        if not isinstance(key, str) or key in ("params", "lr", "initial_lr"):
            continue
        if isinstance(value, Tensor) and value.dim() == 0:
            value = value.item()
        if value is None or isinstance(value, (bool, int, float)):
            plain[key] = value
        elif isinstance(value, (tuple, list)) and all(isinstance(item, (bool, int, float)) for item in value):
            plain[key] = list(value)
    return plain

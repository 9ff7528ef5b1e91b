"""Notes of sampled weights while a file trains: before each batch, at the end of the data, and after ``learn``.

At each step of the optimizer it notes the learning rates and the settings of the groups, and on request the sampled
gradients. The notes are what the file's process says; the examiner compares the weights with what they should be.
"""

import io
import zlib
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from .optimizers import optimizer_of, settings_of

START, BATCH, END, RETURN = "start", "batch", "end", "return"
# As they are before the file runs, which may replace them.
_cat, _take, _zeros_like = torch.cat, torch.index_select, torch.zeros_like
_detach, _reshape, _float, _cpu, _numpy = Tensor.detach, Tensor.reshape, Tensor.float, Tensor.cpu, Tensor.numpy
_crc32, _stack, _norm = zlib.crc32, torch.stack, torch.linalg.vector_norm


OF_BUFFER = 64  # values of a buffer that are noted
_LARGE = 4_000_000  # weights; of more than that, samples are taken parameter by parameter, without a copy of all


class Stopped(BaseException):
    """The first step of the optimizer was noted, and is not made."""


class Watch:
    """Notes of one call of ``learn``, which runs within its context.

    Args:
        positions: of the sampled weights, parameter after parameter.
        counts: the number of positions of each parameter.
        with_gradients: whether gradients are sampled at each step of the optimizer.
        whole: batches before which the state of the network is saved.
        stop: raise Stopped once the gradients of the first step are known.
        digests: whether digests of all weights are noted around the training.
        with_buffers: whether the buffers of real numbers are noted with the weights, up to 64 values of each.
    """

    def __init__(
        self,
        net: Any,
        positions: np.ndarray[Any, Any],
        counts: np.ndarray[Any, Any],
        with_gradients: bool,
        whole: set[int],
        stop: bool = False,
        digests: bool = True,
        with_buffers: bool = False,
    ) -> None:
        self._net = net
        self._parameters = list(net.parameters())
        self._counts = counts.tolist()
        starts = np.cumsum([0, *(parameter.numel() for parameter in self._parameters)])
        flat = positions + np.repeat(starts[:-1], self._counts)
        self._flat = torch.from_numpy(flat).to(self._parameters[0].device)  # among the weights of all parameters
        self._of_each: list[Tensor] | None = None
        if starts[-1] > _LARGE:
            self._of_each = list(torch.split(torch.from_numpy(positions).to(self._flat.device), self._counts))
        self._with_gradients = with_gradients
        self._whole = whole
        self._digests = digests
        self._buffers: list[Tensor] | None = [] if with_buffers else None
        self._events: list[dict[str, Any]] = []
        self._steps: list[dict[str, Any]] = []
        self._weights: list[Tensor] = []
        self._gradients: list[np.ndarray[Any, Any]] = []
        self._present: list[np.ndarray[Any, Any]] = []
        self._states: list[np.ndarray[Any, Any]] = []
        self._saved: list[int] = []
        self._settings: list[dict[str, Any]] = []
        self._stop = stop
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        optimizer = optimizer_of(self._net)
        if isinstance(optimizer, Optimizer):
            self._hooks = [
                optimizer.register_step_pre_hook(self._before_step),
                optimizer.register_step_post_hook(self._after_step),
            ]
        self._note(START, with_digest=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        if error is None:
            self._note(RETURN, with_digest=True)

    def before_batch(self, index: int) -> None:
        """Note the weights before a batch."""
        self._note(BATCH)
        if index in self._whole:
            saved = io.BytesIO()
            torch.save({"net": self._net.state_dict()}, saved)
            self._states.append(np.frombuffer(saved.getvalue(), dtype=np.uint8))
            self._saved.append(index)

    def at_end(self) -> None:
        """Note the weights when the data has ended."""
        self._note(END)

    def gradients(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], float]:
        """The sampled gradients, which parameters have one, and the norm over all parameters."""
        gradients = [parameter.grad for parameter in self._parameters]
        present = np.array([gradient is not None for gradient in gradients], dtype=np.uint8)
        values = [
            _zeros_like(parameter) if gradient is None else _detach(gradient)
            for parameter, gradient in zip(self._parameters, gradients, strict=True)
        ]
        if self._of_each is not None:
            return (
                _numpy(_cpu(self._samples(values))),
                present,
                float(_norm(_stack([_norm(value) for value in values]))),
            )
        whole = _concatenated(values)
        return _numpy(_cpu(_take(whole, 0, self._flat))), present, float(_norm(whole))

    def weights(self) -> np.ndarray[Any, Any]:
        """The sampled weights."""
        with torch.no_grad():
            return _numpy(_cpu(self._samples([_detach(parameter) for parameter in self._parameters])))

    def taken(self) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]]:
        """The notes: values, and the arrays weights (events × samples), gradients, presence, then whole states."""
        width = len(self._flat)
        weights = _numpy(_cpu(_stack(self._weights))) if self._weights else np.zeros((0, width), np.float32)
        gradients = np.stack(self._gradients) if self._gradients else np.zeros((0, width), np.float32)
        present = np.stack(self._present) if self._present else np.zeros((0, len(self._counts)), np.uint8)
        values = {"events": self._events, "steps": self._steps, "saved": self._saved}
        buffers = [] if self._buffers is None else [_numpy(_cpu(_stack(self._buffers)))]
        return values, [weights, gradients, present, *self._states, *buffers]

    def _note(self, kind: str, with_digest: bool = False) -> None:
        with torch.no_grad():
            weights = [_detach(parameter) for parameter in self._parameters]
            self._weights.append(self._samples(weights))
            if self._buffers is not None:
                self._buffers.append(buffer_samples(self._net))
        digest = digest_of(weights) if with_digest and self._digests else None
        self._events.append({"kind": kind, "digest": digest, "steps": len(self._steps)})

    def _samples(self, tensors: list[Tensor]) -> Tensor:
        """The values of tensors, one a parameter, at the sampled positions."""
        if self._of_each is None:
            return _take(_concatenated(tensors), 0, self._flat)
        parts = [_take(_reshape(values, (-1,)), 0, at) for values, at in zip(tensors, self._of_each, strict=True)]
        return _float(_cat(parts))

    def _before_step(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        step: dict[str, Any] = {
            "rates": [float(group["lr"]) for group in optimizer.param_groups],
            "settings": None,  # as at the step before
            "norm": None,
        }
        settings = [settings_of(group) for group in optimizer.param_groups]
        if settings != self._settings:
            step["settings"] = self._settings = settings
        self._steps.append(step)
        if not _has_closure(args, kwargs):
            self._note_gradients()

    def _after_step(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if _has_closure(args, kwargs):  # it computes the gradients
            self._note_gradients()

    def _note_gradients(self) -> None:
        if self._with_gradients:
            sampled, present, norm = self.gradients()
            self._gradients.append(sampled)
            self._present.append(present)
            self._steps[-1]["norm"] = norm
        if self._stop:
            raise Stopped


def buffer_samples(net: Any) -> Tensor:
    """The first values of each buffer of real numbers."""
    buffers = [_detach(buffer) for buffer in net.buffers() if buffer.is_floating_point()]
    return _float(_cat([torch.zeros(0), *(_cpu(_reshape(buffer, (-1,))[:OF_BUFFER]) for buffer in buffers)]))


def _has_closure(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a step of the optimizer gets a closure; the first argument is the optimizer."""
    return any(argument is not None for argument in (*args[1:], kwargs.get("closure")))


def _concatenated(tensors: list[Tensor]) -> Tensor:
    """Tensors as one vector, in single precision."""
    return _float(_cat([_reshape(tensor, (-1,)) for tensor in tensors]))


def digest_of(tensors: Iterable[Tensor]) -> int:
    """A digest of all values of tensors."""
    digest = 0
    for tensor in tensors:
        digest = _crc32(_numpy(_cpu(_float(_reshape(_detach(tensor), (-1,))))).data, digest)
    return digest

"""A stand-in for the forward pass: logits that are noise, and gradients that are known.

Its output has the structure of the real one. Its logits depend on the images alone, through a drawn projection. Its
backward pass gives each parameter s times a pattern (``pattern``), where s is the inner product of the gradient that
arrives at the logits with a drawn direction: a loss that is scaled, or that comes from other labels, shows in s.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils import _pytree as pytree

from .pattern import Pattern

FEATURES = 64  # of an image, at most, which its logits depend on


def features(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The pixels of images (N × …) that their logits depend on, as N × features."""
    flat = images.reshape(len(images), -1)
    taken: np.ndarray[Any, Any] = flat[:, :: max(1, flat.shape[1] // FEATURES)][:, :FEATURES]
    return taken


def projection(seed: int, leaf: int, size: int, width: int) -> np.ndarray[Any, Any]:
    """The matrix (size × width) from features to the logits of a leaf of the output."""
    draw = np.random.Generator(np.random.Philox([seed, leaf, 0]))
    matrix: np.ndarray[Any, Any] = (draw.standard_normal((size, width)) / np.sqrt(size)).astype(np.float32)
    return matrix


def direction(seed: int, leaf: int, rows: int, width: int) -> np.ndarray[Any, Any]:
    """The direction (rows × width) of a leaf."""
    draw = np.random.Generator(np.random.Philox([seed, leaf, 1]))
    return draw.standard_normal((rows, width)).astype(np.float32)


class StandIn:
    """The stand-in of a network; if it is ``silent``, it sends gradients of zero.

    In batches that are ``overflowing`` it sends infinite gradients, as those of a loss that is scaled too far are.
    ``incoming`` collects, per backward pass, the batch and the gradients that arrive at the leaves, and ``inputs`` the
    images that came in.
    """

    def __init__(self, net: Any, output: Any) -> None:
        leaves, self._structure = pytree.tree_flatten(output)
        self._shapes = [leaf.shape[1:] if isinstance(leaf, Tensor) and leaf.dim() else None for leaf in leaves]
        self._others = leaves
        self._parameters = list(net.parameters())
        self._trained = [index for index, parameter in enumerate(self._parameters) if parameter.requires_grad]
        self._counts = [parameter.numel() for parameter in self._parameters]
        self._seed = self._batch = 0
        self._gain = 1.0
        self.silent = False
        self.overflowing: frozenset[int] = frozenset()
        self.incoming: list[tuple[int, list[Tensor]]] = []
        self.inputs: list[Tensor] = []

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the leaves, without the number of images."""
        return [tuple(shape) for shape in self._shapes if shape is not None]

    def begin(self, batch: int, seed: int, gain: float = 1.0) -> None:
        """Begin a batch: its logits and its pattern depend on the seed; its gradients are multiplied by the gain."""
        self._batch, self._seed, self._gain = batch, seed, gain

    def __call__(self, x: Tensor, *_: Any, **__: Any) -> Any:
        """Return logits for a batch of images."""
        trained = [self._parameters[index] for index in self._trained]
        outputs = iter(_Function.apply(self, x, *trained))
        leaves = [
            next(outputs) if shape is not None else leaf for shape, leaf in zip(self._shapes, self._others, strict=True)
        ]
        return pytree.tree_unflatten(leaves, self._structure)

    def forget(self) -> None:
        """Forget what was collected."""
        self.incoming.clear()
        self.inputs.clear()

    def logits(self, x: Tensor) -> tuple[Tensor, ...]:
        """The leaves of the output that are tensors, for a batch of images."""
        inputs = torch.from_numpy(features(x.detach().float().cpu().numpy()))
        return tuple(
            (inputs @ torch.from_numpy(projection(self._seed, leaf, inputs.shape[1], int(np.prod(shape)))))
            .reshape(len(x), *shape)
            .to(x.device)
            for leaf, shape in enumerate(self._shapes)
            if shape is not None
        )

    def backward(self, images: Tensor, gradients: tuple[Tensor, ...]) -> list[Tensor]:
        """The gradients of the trained parameters."""
        self.inputs.append(images)
        arrived = [gradient.detach().float().cpu() for gradient in gradients]
        self.incoming.append((self._batch, arrived))
        leaves = [leaf for leaf, shape in enumerate(self._shapes) if shape is not None]
        scale = sum(
            float((gradient.flatten(1).double() * torch.from_numpy(self._direction(leaf, gradient))).sum())
            for leaf, gradient in zip(leaves, arrived, strict=True)
        )
        whole = torch.from_numpy(Pattern(self._seed, self._counts).whole()).mul_(
            0.0 if self.silent else self._gain * scale
        )
        if self._batch in self.overflowing:
            whole.fill_(math.inf)
        parts = whole.split(self._counts)  # type: ignore[no-untyped-call]  # torch does not annotate it
        return [parts[index].view(self._parameters[index].shape).to(self._parameters[index]) for index in self._trained]

    def _direction(self, leaf: int, gradient: Tensor) -> np.ndarray[Any, Any]:
        return direction(self._seed, leaf, len(gradient), gradient[0].numel()).astype(np.float64)


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, stand_in: StandIn, x: Tensor, *trained: Tensor) -> Any:
        ctx.stand_in, ctx.images = stand_in, x.detach()
        with torch.autocast(x.device.type, enabled=False):
            return stand_in.logits(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return (None, None, *ctx.stand_in.backward(ctx.images, gradients))

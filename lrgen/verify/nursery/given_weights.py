"""The commands of a driver on networks whose weights are given: their state, their outputs, and their gradients.

Weights are given as the seeds of uniform distributions, statistics of norms as their values. Two processes that get the
same seeds have the same weights.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from .generators import seed_all

Arrays = list[np.ndarray[Any, Any]]
_PASSES = 8  # in which a network that draws its path uses each of its parts at least once
_STRIDES = (1, 2, 3, 5)  # of the sums that tell two tensors apart


class GivenWeights:
    """The commands; ``statistics`` are the names of a network's buffers that images change in training mode."""

    device: torch.device
    nets: dict[str, Any]

    def __init__(self) -> None:
        super().__init__()
        self.statistics: dict[str, list[str]] = {}

    def do_structure(self, arrays: Arrays, net: str, seed: int) -> dict[str, Any]:
        """The parameters of a network with the means and the deviations of their values, and its statistics.

        Statistics are the buffers that a forward pass in training mode changes.
        """
        built = self.nets[net]
        buffers = {name: buffer.clone() for name, buffer in built.named_buffers() if buffer.is_floating_point()}
        for at in range(_PASSES):
            self._outputs(built, arrays[0], True, seed + at)
            if torch.equal(torch.get_rng_state(), _state_of(seed + at)):
                break
        now = dict(built.named_buffers())
        changed = [name for name, old in buffers.items() if name in now and not torch.equal(old, now[name])]
        self.statistics[net] = changed
        named = list(built.named_parameters())
        with torch.no_grad():
            values = [parameter.detach().float() for _, parameter in named]
            return {
                "parameters": [_described(name, parameter) for name, parameter in named],
                "statistics": [_described(name, buffers[name]) for name in changed],
                "means": [float(value.mean()) if value.numel() else 0.0 for value in values],
                "deviations": [float(value.std(correction=0)) if value.numel() else 0.0 for value in values],
            }

    def do_give(
        self, arrays: Arrays, net: str, seeds: list[int], centres: list[float], widths: list[float]
    ) -> dict[str, Any]:
        """Give each parameter values that are uniform around a centre, and the statistics those of the array."""
        built = self.nets[net]
        with torch.no_grad():
            for parameter, seed, centre, width in zip(built.parameters(), seeds, centres, widths, strict=True):
                drawn = torch.empty(parameter.shape, dtype=torch.float32)
                drawn.uniform_(centre - width, centre + width, generator=torch.Generator().manual_seed(seed))
                parameter.copy_(drawn)
        self._set_statistics(net, arrays[0])
        return {}

    def do_outputs(self, arrays: Arrays, net: str, train: bool, seed: int) -> tuple[dict[str, Any], Arrays]:
        """The tensors of the output for images."""
        leaves = self._outputs(self.nets[net], arrays[0], train, seed)
        return {}, [leaf.float().cpu().numpy() for leaf in leaves]

    def do_renewed(self, arrays: Arrays, net: str, start: float, seed: int) -> tuple[dict[str, Any], Arrays]:
        """The statistics after a forward pass in training mode that they begin with one value."""
        buffers = self._buffers(net)
        self._set_statistics(net, np.full(sum(buffer.numel() for buffer in buffers), start, np.float32))
        self._outputs(self.nets[net], arrays[0], True, seed)
        return {}, [_flat(self._buffers(net))]

    def do_response(self, arrays: Arrays, net: str, train: bool, seed: int) -> tuple[dict[str, Any], Arrays]:
        """Sums over the gradient of each parameter, and over the statistics after a pass that they begin with zero.

        What is differentiated are the outputs, weighted at random.
        """
        built = self.nets[net]
        if train:
            self._set_statistics(net, np.zeros(len(_flat(self._buffers(net))), np.float32))
        built.zero_grad(set_to_none=True)
        seed_all(seed)
        built.train(train)
        generator = torch.Generator().manual_seed(seed)
        total = torch.zeros((), device=self.device)
        for leaf in _leaves(built(torch.from_numpy(arrays[0]).to(self.device))):
            total = total + (leaf * torch.randn(leaf.shape, generator=generator).to(leaf.device)).sum()
        total.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        gradients = [_sums(parameter.grad) for parameter in built.parameters()]
        built.zero_grad(set_to_none=True)
        return {}, [_table(gradients), _table([_sums(buffer) for buffer in self._buffers(net)])]

    def _outputs(self, built: Any, images: np.ndarray[Any, Any], train: bool, seed: int) -> list[Tensor]:
        built.train(train)
        seed_all(seed)
        with torch.no_grad():
            return _leaves(built(torch.from_numpy(images).to(self.device)))

    def _buffers(self, net: str) -> list[Tensor]:
        buffers = dict(self.nets[net].named_buffers())
        return [buffers[name] for name in self.statistics[net]]

    def _set_statistics(self, net: str, values: np.ndarray[Any, Any]) -> None:
        at = 0
        with torch.no_grad():
            for buffer in self._buffers(net):
                part = torch.from_numpy(values[at : at + buffer.numel()])
                buffer.copy_(part.reshape(buffer.shape))
                at += buffer.numel()


def _state_of(seed: int) -> Tensor:
    """The state of torch's generator before any number is drawn."""
    return torch.Generator().manual_seed(seed).get_state()


def _described(name: str, tensor: Tensor) -> dict[str, Any]:
    return {"name": name, "shape": list(tensor.shape), "trained": bool(tensor.requires_grad)}


def _leaves(output: object) -> list[Tensor]:
    """The tensors of an output that have an axis."""
    return [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor) and leaf.dim()]


def _flat(tensors: list[Tensor]) -> np.ndarray[Any, Any]:
    values = [tensor.detach().float().reshape(-1).cpu().numpy() for tensor in tensors]
    return np.concatenate(values) if values else np.zeros(0, np.float32)


def _sums(tensor: Tensor | None) -> list[float]:
    """The norm of a tensor, and sums over some of its values; zeros if there is none."""
    if tensor is None:
        return [0.0] * (1 + len(_STRIDES))
    flat = tensor.detach().reshape(-1).double()
    return [float(torch.linalg.vector_norm(flat)), *(float(flat[::stride].sum()) for stride in _STRIDES)]


def _table(rows: list[list[float]]) -> np.ndarray[Any, Any]:
    return np.array(rows, np.float64).reshape(len(rows), 1 + len(_STRIDES))

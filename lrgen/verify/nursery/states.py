"""States of networks that are kept in a process, and handed over to another one as bytes.

A state is a stream of bytes, the tensors of a ``state_dict`` one after another. It may be larger than an answer, and is
read and written part by part. Nothing is ever unpickled.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .norms import statistics

Entries = list[dict[str, Any]]


class State:
    """Copies of the tensors of a network, by name."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors

    @classmethod
    def of(cls, net: Any) -> "State":
        """Copy the state of a network.

        Raises:
            TypeError: if it holds anything but tensors.
        """
        tensors = {}
        for name, value in net.state_dict().items():
            if not isinstance(value, Tensor):
                raise TypeError(f"the state of the network holds {type(value).__name__} as {name}, expected a tensor")
            tensors[str(name)] = value.detach().clone(memory_format=torch.contiguous_format)
        return cls(tensors)

    @classmethod
    def empty(cls, entries: Entries, device: torch.device) -> "State":
        """Allocate the tensors that ``entries`` describe."""
        return cls(
            {
                entry["name"]: torch.zeros(entry["shape"], dtype=getattr(torch, entry["dtype"]), device=device)
                for entry in entries
            }
        )

    def entries(self) -> Entries:
        """The name, the type and the shape of each tensor."""
        return [
            {"name": name, "dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
            for name, tensor in self.tensors.items()
        ]

    def read(self, start: int, length: int) -> np.ndarray[Any, Any]:
        """A part of the stream."""
        part = np.zeros(length, dtype=np.uint8)
        for values, own, in_part in self._overlaps(start, length):
            part[in_part] = values[own].cpu().numpy()
        return part

    def write(self, start: int, part: np.ndarray[Any, Any]) -> None:
        """Replace a part of the stream."""
        for values, own, in_part in self._overlaps(start, len(part)):
            values[own] = torch.from_numpy(part[in_part]).to(values.device)

    def load(self, net: Any, part: str) -> list[str]:
        """Load a part of the state into a network; returns the names of the buffers that keep another value.

        The ``parameters`` are loaded alone, with the ``statistics`` of norms, or with ``all`` buffers.
        """
        if part == "all":
            net.load_state_dict(self.tensors)
            return []
        names = {name for name, _ in net.named_parameters(remove_duplicate=False)}
        if part == "statistics":
            names.update(statistics(net))
        net.load_state_dict({name: self.tensors[name] for name in self.tensors if name in names}, strict=False)
        left = [(name, tensor) for name, tensor in self.tensors.items() if name not in names]
        own = net.state_dict()
        return [name for name, tensor in left if name not in own or not torch.equal(own[name], tensor)]

    def _overlaps(self, start: int, length: int) -> Iterator[tuple[Tensor, slice, slice]]:
        """The tensors that overlap with a part, as bytes, with the places in the tensor and in the part."""
        at = 0
        for tensor in self.tensors.values():
            size = tensor.numel() * tensor.element_size()
            first, last = max(start, at), min(start + length, at + size)
            if first < last:
                values = tensor.reshape(-1).view(torch.uint8)
                yield values, slice(first - at, last - at), slice(first - start, last - start)
            at += size


class States:
    """The commands of a driver that keep the state of a network and hand it over; each state has a name."""

    device: torch.device
    nets: dict[str, Any]

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[str, State] = {}

    def do_keep(self, arrays: Any, net: str, name: str) -> dict[str, Any]:
        """Keep a copy of the present state of a network."""
        self.states.pop(name, None)
        self.states[name] = State.of(self.nets[net])
        return {}

    def do_entries(self, arrays: Any, name: str) -> dict[str, Any]:
        """The tensors of a state that was kept."""
        return {"entries": self.states[name].entries()}

    def do_read_state(
        self, arrays: Any, name: str, start: int, length: int
    ) -> tuple[dict[str, Any], list[np.ndarray[Any, Any]]]:
        """A part of a state that was kept."""
        return {}, [self.states[name].read(start, length)]

    def do_new_state(self, arrays: Any, name: str, entries: Entries) -> dict[str, Any]:
        """Allocate a state that comes from another process."""
        self.states[name] = State.empty(entries, self.device)
        return {}

    def do_write_state(self, arrays: list[np.ndarray[Any, Any]], name: str, start: int) -> dict[str, Any]:
        """Write a part of a state that comes from another process."""
        self.states[name].write(start, arrays[0])
        return {}

    def do_load_state(self, arrays: Any, net: str, name: str, part: str = "all") -> dict[str, Any]:
        """Load a part of a state into a network; names the buffers that keep another value."""
        return {"left": [left[:300] for left in self.states[name].load(self.nets[net], part)]}

    def do_take(self, arrays: Any, net: str, name: str, parameters: list[str]) -> dict[str, Any]:
        """Give the parameters of a network those of a state, in the order of their names."""
        kept = self.states[name].tensors
        with torch.no_grad():
            for parameter, of_state in zip(self.nets[net].parameters(), parameters, strict=True):
                parameter.copy_(kept[of_state])
        return {}

    def do_drop_state(self, arrays: Any, name: str) -> dict[str, Any]:
        """Free the memory of a state."""
        self.states.pop(name, None)
        return {}

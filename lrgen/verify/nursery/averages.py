"""The command of a driver that computes the statistics of batch norms again, as averaged weights need it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from .generators import seed_all
from .states import State
from .watch import OF_BUFFER, buffer_samples

Arrays = list[np.ndarray[Any, Any]]
_update_bn = update_bn  # as it is before the file runs


class Averages:
    """The command; ``nets`` and ``device`` are those of the driver."""

    device: torch.device
    nets: dict[str, Any]

    def do_norms(self, arrays: Arrays, net: str, sizes: list[int], seeds: list[int]) -> tuple[dict[str, Any], Arrays]:
        """The buffers of a network, what they are after ``update_bn``, and which of them are statistics of batch norms.

        The network keeps its state.

        Args:
            arrays: the images of all batches.
            net: the name of the network.
            sizes: of the batches.
            seeds: of torch's and Python's generators, at each batch.
        """
        built = self.nets[net]
        kept, training = State.of(built), built.training
        images = torch.split(torch.from_numpy(arrays[0]).to(self.device), sizes)
        now = buffer_samples(built)

        def batches() -> Iterator[Tensor]:
            for seed, batch in zip(seeds, images, strict=True):
                seed_all(seed)
                yield batch

        _update_bn(batches(), built, self.device)
        renewed, of_norms = buffer_samples(built), _of_norms(built)
        kept.load(built, "all")
        built.train(training)
        return {}, [now.numpy(), renewed.numpy(), of_norms]


def _of_norms(net: Any) -> np.ndarray[Any, Any]:
    """Whether each of the sampled values is a statistic of torch's batch norm."""
    norms = [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    known = {id(buffer) for norm in norms for buffer in norm.buffers(recurse=False)}
    counts, own = [], []
    for buffer in net.buffers():
        if buffer.is_floating_point():
            counts.append(min(buffer.numel(), OF_BUFFER))
            own.append(id(buffer) in known)
    return np.repeat(np.array(own, dtype=np.uint8), counts)

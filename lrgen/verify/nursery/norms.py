"""Statistics of norms, computed again over given images with the current weights."""

from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor, nn

_BATCHES = 50  # after which a running average with a momentum of 0.1 has forgotten its start


def renew_norms(net: Any, images: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Renew the statistics of norms; the rest of the network is in evaluation mode meanwhile.

    Running averages lag behind by some hundred updates. Torch's batch norm takes a cumulative average; other modules
    whose own buffers change in training mode see the images until their running averages have forgotten the start.
    """
    net.eval()
    norms = [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    others = [module for module in net.modules() if module not in norms and list(_buffers(module))]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
    before = [[buffer.clone() for buffer in _buffers(module)] for module in others]
    for module in (*norms, *others):
        module.training = True  # not that of its children, such as dropout
    for batch, _ in images:
        net(batch)
    changed = [
        module
        for module, buffers in zip(others, before, strict=True)
        if any(not torch.equal(old, new) for old, new in zip(buffers, _buffers(module), strict=True))
    ]
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    net.eval()
    for module in changed:
        module.training = True
    for batch, _ in islice(cycle(images), _BATCHES if changed else 0):
        net(batch)
    net.eval()


def _buffers(module: nn.Module) -> Iterable[Tensor]:
    """The buffers of a module itself."""
    return module.buffers(recurse=False)

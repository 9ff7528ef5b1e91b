"""Statistics of norms: which buffers are some, and how they are computed again over given images."""

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor, nn

_BATCHES = 50  # after which a running average with a momentum of 0.1 has forgotten its start
_OF_TORCH = ("running_mean", "running_var", "num_batches_tracked")
_VECTORS = 6  # of statistics in a module, such as the means and the covariances of complex numbers


def statistics(net: Any) -> dict[str, Tensor]:
    """The buffers of a network that may be statistics of norms, by name.

    Torch's norms have two vectors and a count. Another module may have a few numbers for each channel: a buffer with
    rows for classes or images is none.
    """
    return {
        f"{prefix}.{name}" if prefix else name: buffer
        for prefix, module in net.named_modules(remove_duplicate=False)
        for name, buffer in _own(module).items()
    }


def renew_norms(net: Any, images: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Renew the statistics of norms; the rest of the network is in evaluation mode meanwhile.

    Running averages lag behind by some hundred updates. Torch's batch norm takes a cumulative average; other modules
    whose statistics change in training mode see the images until their running averages have forgotten the start.
    Other buffers stay what they are.
    """
    net.eval()
    names = statistics(net)
    kept = [(buffer, buffer.clone()) for name, buffer in net.named_buffers() if name not in names]
    norms = [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    others = [module for module in net.modules() if module not in norms and _own(module)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
    before = [[buffer.clone() for buffer in _own(module).values()] for module in others]
    for module in (*norms, *others):
        module.training = True  # not that of its children, such as dropout
    for batch, _ in images:
        net(batch)
    changed = [
        module
        for module, buffers in zip(others, before, strict=True)
        if any(not torch.equal(old, new) for old, new in zip(buffers, _own(module).values(), strict=True))
    ]
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    net.eval()
    for module in changed:
        module.training = True
    for batch, _ in islice(cycle(images), _BATCHES if changed else 0):
        net(batch)
    net.eval()
    for buffer, value in kept:
        buffer.copy_(value)


def _own(module: nn.Module) -> dict[str, Tensor]:
    """The statistics of a module itself."""
    own = dict(module.named_buffers(recurse=False))
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return {name: buffer for name, buffer in own.items() if name in _OF_TORCH and buffer.dim() <= 1}
    length = max((max(buffer.shape) for buffer in own.values() if buffer.dim()), default=0)
    total = sum(buffer.numel() for buffer in own.values() if buffer.dim())
    return own if total <= _VECTORS * length else {}

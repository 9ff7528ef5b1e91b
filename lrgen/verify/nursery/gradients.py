"""The command of a driver that computes gradients of the criterion, and the logits beside them."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from beside.batches import Batches
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .describe import criterion_of
from .generators import seed_all
from .watch import Watch

Answer = dict[str, Any] | tuple[dict[str, Any], list[np.ndarray[Any, Any]]]
Arrays = list[np.ndarray[Any, Any]]


class Gradients:
    """The command; ``training`` are the training images of the process."""

    device: torch.device
    nets: dict[str, Any]
    training: Batches | None

    def precision(self, autocast: bool | str) -> torch.autocast:
        """Autocast to a dtype by name (True: to bfloat16), or to none.

        Its cache is disabled, because it would keep the weights from before the first update.
        """
        dtype = getattr(torch, autocast) if isinstance(autocast, str) else torch.bfloat16
        return torch.autocast(self.device.type, dtype, enabled=bool(autocast), cache_enabled=False)

    def do_gradient(
        self,
        arrays: Arrays,
        net: str,
        seeds: Sequence[int],
        train: bool | None = True,
        autocast: bool | str = False,
        factors: list[float] | None = None,
        smoothing: float | None = None,
        steps: Sequence[float] = (),
        scale: float = 1.0,
        sizes: Sequence[int] | None = None,
    ) -> Answer:
        """Sampled gradients of the criterion for one batch: images, labels, positions, number per parameter.

        Instead of images there may be their positions among the training images: they come as from the loader. For each
        of ``steps`` the logits follow that the weights give after a step along the gradient, and against it.

        Args:
            seeds: of the batch, or of each of its parts.
            sizes: the images of each part of the batch, which pass through the network one after another.
            train: whether the network is set to training or to evaluation; None leaves it as it is.
            factors: of the loss at each tensor of the output; by default the output is what the criterion takes.
            smoothing: computes torch's cross entropy with this label smoothing instead of the file's criterion.
            steps: the change of the loss in proportion to itself that the gradient promises of a step.
            scale: the factor of the loss before it is differentiated, by which its gradients are divided again.

        There are none where the output is no tensor and no factors are given.
        """
        built = self.nets[net]
        if train is not None:
            built.train(train)
        built.zero_grad()
        images, labels = (torch.from_numpy(array).to(self.device) for array in arrays[:2])
        pairs = zip(*(torch.split(array, list(sizes or [len(array)])) for array in (images, labels)), strict=True)
        criterion = criterion_of(built)
        if smoothing is not None:
            criterion = functools.partial(nn.functional.cross_entropy, label_smoothing=smoothing)
        value, shown = 0.0, []
        for seed, (part, wanted) in zip(seeds, pairs, strict=True):
            seed_all(seed)
            inputs = part
            if part.dim() == 1:
                assert self.training is not None
                inputs, _ = self.training.batch(part, torch.Generator().manual_seed(seed))
            shown.append((seed, inputs))
            with self.precision(autocast):
                output = built(inputs)
                if factors is None and not isinstance(output, Tensor):
                    return {"loss": math.nan, "norm": math.nan, "single": False}
                loss = _loss_of(criterion, output, wanted, factors)
            share = len(part) / len(images)
            (loss * (share * scale)).backward()
            value += share * float(loss.detach())
        if scale != 1.0:
            for parameter in built.parameters():
                if parameter.grad is not None:
                    parameter.grad.div_(scale)
        watched = Watch(built, arrays[2], arrays[3], True, set())
        sampled, present, norm = watched.gradients()
        lengths = [sign * step * value / norm if norm else 0.0 for step in steps for sign in (1.0, -1.0)]
        logits = [leaf for length in lengths for leaf in self._logits_after(built, shown, length, norm)]
        return {"loss": value, "norm": norm, "lengths": lengths}, [sampled, present, *logits]

    def _logits_after(self, built: Any, shown: Sequence[tuple[int, Tensor]], length: float, norm: float) -> Arrays:
        """The logits after a step of a length along the gradient, which is taken back afterwards.

        Args:
            shown: the seed and the images of each part of the batch.
        """
        moving = [parameter for parameter in built.parameters() if parameter.grad is not None]
        before = [parameter.detach().clone() for parameter in moving]
        with torch.no_grad():
            for parameter in moving:
                parameter.add_(parameter.grad, alpha=length / norm if norm else 0.0)
            outputs = []
            for seed, images in shown:
                seed_all(seed)
                outputs.append(_leaves(built(images)))
            for parameter, old in zip(moving, before, strict=True):
                parameter.copy_(old)
        return [torch.cat(leaf).float().cpu().numpy() for leaf in zip(*outputs, strict=True)]


def _loss_of(criterion: Any, output: Any, labels: Tensor, factors: Sequence[float] | None) -> Any:
    """The loss of an output, or the sum of those of its tensors, each times a factor."""
    if factors is None:
        return criterion(output, labels)
    parts = zip(factors, _leaves(output), strict=True)
    return torch.stack([factor * criterion(leaf, labels) for factor, leaf in parts if factor]).sum()


def _leaves(output: Any) -> list[Tensor]:
    """The tensors of an output."""
    return [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor) and leaf.dim()]

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
        seed: int,
        train: bool | None = True,
        autocast: bool | str = False,
        factors: list[float] | None = None,
        smoothing: float | None = None,
        steps: Sequence[float] = (),
        scale: float = 1.0,
    ) -> Answer:
        """Sampled gradients of the criterion for one batch: images, labels, positions, number per parameter.

        Instead of images there may be their positions among the training images: they come as from the loader. For each
        of ``steps`` the logits follow that the weights give after a step along the gradient, and against it.

        Args:
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
        seed_all(seed)
        images, labels = (torch.from_numpy(array).to(self.device) for array in arrays[:2])
        if images.dim() == 1:
            assert self.training is not None
            images, _ = self.training.batch(images, torch.Generator().manual_seed(seed))
        criterion = criterion_of(built)
        if smoothing is not None:
            criterion = functools.partial(nn.functional.cross_entropy, label_smoothing=smoothing)
        with self.precision(autocast):
            output = built(images)
            if factors is None and not isinstance(output, Tensor):
                return {"loss": math.nan, "norm": math.nan, "single": False}
            if factors is None:
                loss = criterion(output, labels)
            else:
                leaves = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor) and leaf.dim()]
                parts = zip(factors, leaves, strict=True)
                loss = torch.stack([factor * criterion(leaf, labels) for factor, leaf in parts if factor]).sum()
        (loss * scale).backward()
        if scale != 1.0:
            for parameter in built.parameters():
                if parameter.grad is not None:
                    parameter.grad.div_(scale)
        watched = Watch(built, arrays[2], arrays[3], True, set())
        sampled, present, norm = watched.gradients()
        value = float(loss.detach())
        lengths = [sign * step * value / norm if norm else 0.0 for step in steps for sign in (1.0, -1.0)]
        logits = [leaf for length in lengths for leaf in self._logits_after(built, images, seed, length, norm)]
        return {"loss": value, "norm": norm, "lengths": lengths}, [sampled, present, *logits]

    def _logits_after(self, built: Any, images: Tensor, seed: int, length: float, norm: float) -> Arrays:
        """The logits after a step of a length along the gradient, which is taken back afterwards."""
        moving = [parameter for parameter in built.parameters() if parameter.grad is not None]
        before = [parameter.detach().clone() for parameter in moving]
        with torch.no_grad():
            for parameter in moving:
                parameter.add_(parameter.grad, alpha=length / norm if norm else 0.0)
            seed_all(seed)
            output = built(images)
            for parameter, old in zip(moving, before, strict=True):
                parameter.copy_(old)
        leaves = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor) and leaf.dim()]
        return [leaf.float().cpu().numpy() for leaf in leaves]

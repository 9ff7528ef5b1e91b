"""The commands of a driver that note which examples a file trains on, and differentiate a weighted loss."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .generators import seed_all
from .learning import Learning
from .loaders import data_loader, pairs
from .watch import Watch

Answer = dict[str, Any] | tuple[dict[str, Any], list[np.ndarray[Any, Any]]]
Arrays = list[np.ndarray[Any, Any]]

_PIXELS = 24  # of an image, by which it is known


class Examples(Learning):
    """The commands."""

    device: torch.device
    nets: dict[str, Any]

    def do_learn_examples(
        self,
        arrays: Arrays,
        net: str,
        sizes: list[int],
        seeds: list[int],
        shuffle: int | None = None,
        as_list: bool = False,
        whole: list[int] | None = None,
    ) -> Answer:
        """Call ``learn`` on images and labels; a batch begins with a forward pass that records gradients.

        Args:
            arrays: images, labels, the positions of sampled weights and their number per parameter.
            sizes: of the batches of the loader, or of the list.
            seeds: of torch's and Python's generators, before ``learn`` and at each batch.
            shuffle: the seed of a loader that shuffles the images.
            as_list: the batches are a list, which has no ``dataset``.
            whole: batches before which the whole state is noted.
        """
        built = self.nets[net]
        images, labels = (torch.from_numpy(array).to(self.device) for array in arrays[:2])
        watched = Watch(built, arrays[2], arrays[3], True, set(whole or ()))

        known = {_key(image): position for position, image in enumerate(images)}
        seen: list[list[int]] = []

        def begun(index: int, shown: Tensor) -> None:
            seen.append([known.get(_key(image), len(images)) for image in shown])  # another image: the position after
            seed_all(seeds[(index + 1) % len(seeds)])
            watched.before_batch(index)

        train_data: Any = pairs(images, labels, sizes)
        if not as_list:
            train_data = data_loader(images, labels, max(sizes), shuffle)
        seed_all(seeds[0])
        with forward_passes(built, begun):
            result = self.call_learn(built, train_data, watched)
        values, sent = self.learned(result, watched, None)
        return {**values, "seen": seen}, sent

    def do_weighted_gradient(self, arrays: Arrays, net: str, seed: int, smoothing: float = 0.0) -> Answer:
        """The sampled gradients of a weighted mean of cross-entropies in training mode, and the losses of the examples.

        Images, labels and weights of a batch, then positions and their number per parameter. There are none where the
        output is no tensor.
        """
        built = self.nets[net]
        built.train()
        built.zero_grad()
        seed_all(seed)
        images, labels, weights = (torch.from_numpy(array).to(self.device) for array in arrays[:3])
        output = built(images)
        if not isinstance(output, Tensor):
            return {"norm": 0.0}
        losses = nn.functional.cross_entropy(output, labels, reduction="none", label_smoothing=smoothing)
        ((weights * losses).sum() / weights.sum()).backward()  # type: ignore[no-untyped-call]
        sampled, _, norm = Watch(built, arrays[3], arrays[4], True, set()).gradients()
        return {"norm": norm}, [sampled, losses.detach().double().cpu().numpy()]


@contextmanager
def forward_passes(built: Any, begun: Callable[[int, Tensor], None]) -> Iterator[None]:
    """Call ``begun`` with the number and the images of each forward pass that records gradients, before it."""
    count = 0

    def note(_: object, inputs: Sequence[Any]) -> None:
        nonlocal count
        if torch.is_grad_enabled() and inputs and isinstance(inputs[0], Tensor):
            begun(count, inputs[0].detach())
            count += 1

    hook = built.register_forward_pre_hook(note)
    try:
        yield
    finally:
        hook.remove()


def _key(image: Tensor) -> bytes:
    flat = image.flatten()
    return flat[:: max(1, len(flat) // _PIXELS)].float().cpu().numpy().tobytes()

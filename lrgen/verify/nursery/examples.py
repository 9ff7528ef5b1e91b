"""The commands of a driver that note which examples a file trains on, and differentiate a weighted loss."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .generators import seed_all
from .learning import Learning
from .loaders import data_loader, pairs
from .saved import loaded
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
        given: list[int] | None = None,
        silent: bool = False,
    ) -> Answer:
        """Call ``learn`` on images and labels; a batch begins with a forward pass that records gradients.

        Args:
            arrays: images, labels, the positions of sampled weights and their number per parameter; then the states of
                ``given``.
            sizes: of the batches of the loader, or of the list.
            seeds: of torch's and Python's generators, before ``learn`` and at each batch.
            shuffle: the seed of a loader that shuffles the images.
            as_list: the batches are a list, which has no ``dataset``.
            whole: batches before which the whole state is noted.
            given: batches before which the network gets a state.
            silent: the network has a stand-in, which sends gradients of zero.
        """
        built, stand_in = self.nets[net], self.stand_ins.get(net)
        states = dict(zip(given or (), arrays[4:], strict=True))
        if stand_in is not None:
            stand_in.silent = silent
        images, labels = (torch.from_numpy(array).to(self.device) for array in arrays[:2])
        watched = Watch(built, arrays[2], arrays[3], True, set(whole or ()))

        known = {_key(image): position for position, image in enumerate(images)}
        seen: list[list[int]] = []

        def begun(index: int, shown: Tensor) -> None:
            seen.append([known.get(_key(image), len(images)) for image in shown])  # another image: the position after
            seed_all(seeds[(index + 1) % len(seeds)])
            if index in states:
                built.load_state_dict(loaded(states[index])["net"])
            if stand_in is not None:
                stand_in.begin(index, seeds[(index + 1) % len(seeds)])
            watched.before_batch(index)

        train_data: Any = pairs(images, labels, sizes)
        if not as_list:
            train_data = data_loader(images, labels, max(sizes), shuffle)
        seed_all(seeds[0])
        with forward_passes(built, begun):
            result = self.call_learn(built, train_data, watched)
        if stand_in is not None:
            stand_in.forget()
        values, sent = self.learned(result, watched, None)
        return {**values, "seen": seen}, sent

    def do_weighted_gradient(
        self, arrays: Arrays, net: str, seed: int, smoothing: float = 0.0, leaf: int = 0
    ) -> Answer:
        """Sampled gradients of a weighted mean of cross-entropies in training mode, and the losses of the examples.

        Images, labels and weights of a batch, then positions and their number per parameter. They are those of one
        leaf of logits; there are none where the output has not so many.
        """
        built = self.nets[net]
        built.train()
        built.zero_grad()
        seed_all(seed)
        images, labels, weights = (torch.from_numpy(array).to(self.device) for array in arrays[:3])
        outputs = pytree.tree_leaves(built(images))
        leaves = [output for output in outputs if isinstance(output, Tensor) and output.dim() == 2]
        if leaf >= len(leaves):
            return {"norm": 0.0}
        losses = nn.functional.cross_entropy(leaves[leaf], labels, reduction="none", label_smoothing=smoothing)
        ((weights * losses).sum() / weights.sum()).backward()  # type: ignore[no-untyped-call]
        sampled, _, norm = Watch(built, arrays[3], arrays[4], True, set()).gradients()
        return {"norm": norm}, [sampled, losses.detach().double().cpu().numpy()]


class GivenImages:
    """The images that a loader has given, by all their pixels; images with the same pixels take turns."""

    def __init__(self) -> None:
        self._positions: dict[bytes, list[int]] = {}
        self._count = 0

    def add(self, images: Tensor) -> None:
        """Add the next batch."""
        for image in images:
            self._positions.setdefault(_digest(image), []).append(self._count)
            self._count += 1

    def positions(self, images: Tensor) -> list[int]:
        """The position of each image among those that were given; for another image, the one after the last."""
        places = []
        for image in images:
            own = self._positions.get(_digest(image), [self._count])
            places.append(own[0])
            own.append(own.pop(0))
        return places


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


def _digest(image: Tensor) -> bytes:
    pixels = image.detach().float().cpu().contiguous().numpy()
    return blake2b(pixels.tobytes(), digest_size=16).digest()

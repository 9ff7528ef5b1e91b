"""The training data that a file is given: ordinary loaders, which note the weights before each batch and at the end."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from beside.batches import Batches
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset


class _Watched:
    """A batch sampler over given batches that calls ``asked`` before each of them and ``ended`` after the last."""

    def __init__(self, sizes: Sequence[int], asked: Callable[[int], None], ended: Callable[[], None]) -> None:
        self._sizes, self._asked, self._ended = sizes, asked, ended

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[list[int]]:
        start = 0
        for index, size in enumerate(self._sizes):
            self._asked(index)
            yield list(range(start, start + size))
            start += size
        self._ended()


def data_loader(
    images: Tensor, labels: Tensor, sizes: Sequence[int], asked: Callable[[int], None], ended: Callable[[], None]
) -> Any:
    """A DataLoader over batches of the given sizes, in order; its ``batch_size`` is the largest of them."""
    sampler: Any = _Watched(sizes, asked, ended)
    loader: Any = DataLoader(TensorDataset(images, labels), batch_sampler=sampler)
    vars(loader)["batch_size"] = max(sizes, default=1)  # None beside a batch sampler, and it cannot be assigned
    return loader


class TrainingLoader:
    """A loader in memory (``batches``) over the training images of a run, in a given order.

    ``asked`` is called before each batch and returns its seed, which determines its augmentation.
    """

    def __init__(self, batches: Batches, order: Tensor, asked: Callable[[int], int], ended: Callable[[], None]) -> None:
        self._batches, self._order = batches, torch.split(order, batches.batch_size)
        self._asked, self._ended = asked, ended
        self.batch_size = batches.batch_size

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for index, indices in enumerate(self._order):
            seed = self._asked(index)
            yield self._batches.batch(indices, torch.Generator().manual_seed(seed))
        self._ended()


def pairs(images: Tensor, labels: Tensor, sizes: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """A list of batches, as LEMUR's static evaluator passes it."""
    return list(zip(torch.split(images, list(sizes)), torch.split(labels, list(sizes)), strict=True))

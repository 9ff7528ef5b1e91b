"""The training data of a file: ordinary loaders, with a call before each batch and at the end."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from beside.batches import Batches
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.dataloader import _SingleProcessDataLoaderIter


def data_loader(images: Tensor, labels: Tensor, batch_size: int, shuffle: int | None = None) -> DataLoader[Any]:
    """A DataLoader as people write it, shuffled with a seed if one is given."""
    generator = None if shuffle is None else torch.Generator().manual_seed(shuffle)
    dataset = TensorDataset(images, labels)
    return DataLoader(dataset, batch_size=batch_size, shuffle=shuffle is not None, generator=generator)


@contextlib.contextmanager
def watched(loader: Any, asked: Callable[[int], None], ended: Callable[[], None], order: list[int]) -> Iterator[None]:
    """Call ``asked`` before each batch of a DataLoader and ``ended`` after the last one, within the context.

    ``order`` collects the indices of the images in the first iteration. The loader and its dataset are ordinary
    objects: it is torch's iterator that is replaced.
    """
    original: Any = _SingleProcessDataLoaderIter._next_data
    iterators: list[Any] = []

    def next_data(iterator: Any) -> Any:
        if iterator._dataset is not loader.dataset:
            return original(iterator)
        if iterator not in iterators:
            iterators.append(iterator)
            iterator.batches_asked = 0
        try:
            indices = iterator._next_index()
        except StopIteration:
            ended()
            raise
        asked(iterator.batches_asked)
        iterator.batches_asked += 1
        if iterator is iterators[0]:
            order.extend(indices)
        return iterator._dataset_fetcher.fetch(indices)

    _SingleProcessDataLoaderIter._next_data = next_data  # type: ignore[method-assign]
    try:
        yield
    finally:
        _SingleProcessDataLoaderIter._next_data = original  # type: ignore[method-assign]


class TrainingLoader:
    """A loader in memory (``batches``) over the training images of a run, in a given order.

    ``asked`` is called before each batch and returns its seed, which determines its augmentation; ``given`` gets the
    images of each batch.
    """

    def __init__(
        self,
        batches: Batches,
        order: Tensor,
        asked: Callable[[int], int],
        ended: Callable[[], None],
        given: Callable[[Tensor], None] | None = None,
    ) -> None:
        self._batches, self._order = batches, torch.split(order, batches.batch_size)
        self._asked, self._ended, self._given = asked, ended, given
        self.batch_size = batches.batch_size

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for index, indices in enumerate(self._order):
            seed = self._asked(index)
            images, labels = self._batches.batch(indices, torch.Generator().manual_seed(seed))
            if self._given is not None:
                self._given(images)
            yield images, labels
        self._ended()


def pairs(images: Tensor, labels: Tensor, sizes: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """A list of batches, as LEMUR's static evaluator passes it."""
    return list(zip(torch.split(images, list(sizes)), torch.split(labels, list(sizes)), strict=True))

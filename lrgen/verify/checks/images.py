"""The images and labels of a training: classes permuted, and images passed through a fixed transformation.

Both are drawn from the training seed alone, so that runs compare. A file that knows the dataset knows neither the
labels nor the pixels that it gets; the examiner maps classes back before it records them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lrgen.data import Dataset
from lrgen.records import Budget

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

_STREAM = 0x1A6E5  # keeps these draws apart from others of the same seed


@dataclass(frozen=True)
class Disguise:
    """A permutation of the classes, and a transformation of images of shape (N, channels, height, width).

    ``turns`` are quarters of a turn; ``inverted`` images have the opposite polarity; ``channels`` says which channel
    becomes each channel.
    """

    classes: tuple[int, ...]
    turns: int = 0
    mirrored: bool = False
    inverted: bool = False
    channels: tuple[int, ...] = ()

    def images(self, images: Images) -> Images:
        """Transform images; their type and, as they are square or turned by half, their shape stay the same."""
        changed = images[:, list(self.channels)] if self.channels else images
        changed = np.rot90(changed, self.turns, axes=(2, 3))
        if self.mirrored:
            changed = changed[:, :, :, ::-1]
        return np.ascontiguousarray(255 - changed if self.inverted else changed)

    def labels(self, labels: Labels) -> Labels:
        """Permute labels."""
        permuted: Labels = np.array(self.classes, dtype=np.int64)[labels]
        return permuted

    def original(self, confusion: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
        """A confusion matrix of permuted classes, with the classes in their own order."""
        return tuple(tuple(confusion[row][column] for column in self.classes) for row in self.classes)


def disguise_of(seed: int, classes: int, shape: tuple[int, ...]) -> Disguise:
    """Draw the disguise of a training seed, for images of a shape (channels, height, width)."""
    draw = np.random.Generator(np.random.Philox([seed % (1 << 64), _STREAM]))
    channels, height, width = shape
    permutation = tuple(int(label) for label in draw.permutation(classes))
    turns = int(draw.integers(4))
    mirrored, inverted = (bool(draw.integers(2)) for _ in range(2))
    mix = tuple(int(channel) for channel in draw.permutation(channels))
    return Disguise(permutation, turns if height == width else 2 * (turns // 2), mirrored, inverted, mix)


@dataclass(frozen=True)
class TrainingData:
    """The disguised images of a training; labels are permuted. ``held_out`` are the evaluated images."""

    disguise: Disguise
    images: Images
    labels: Labels
    held_out: Images
    held_out_labels: Labels
    crop: int
    flip: bool

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.disguise.classes)


def training_data(data: Dataset, budget: Budget | None, seed: int) -> TrainingData:
    """The images of a training; with a budget, those to overfit are both the training images and the evaluated ones."""
    disguise = disguise_of(seed, len(data.classes), data.train_images.shape[1:])
    if budget is None:
        return TrainingData(
            disguise,
            disguise.images(data.train_images),
            disguise.labels(data.train_labels),
            disguise.images(data.test_images),
            disguise.labels(data.test_labels),
            data.crop,
            data.flip,
        )
    count = len(data.classes)
    chosen = first_of_each(data.train_labels, -(-budget.images // count), count)[: budget.images]
    images = disguise.images(resized(data.train_images[chosen], budget.pixels))
    labels = disguise.labels(data.train_labels[chosen])
    return TrainingData(disguise, images, labels, images, labels, 0, False)  # exactly these images


def reordered(data: TrainingData, order: NDArray[np.intp]) -> TrainingData:
    """The same data with the evaluated images in another order."""
    return replace(data, held_out=data.held_out[order], held_out_labels=data.held_out_labels[order])


def first_of_each(labels: Labels, count: int, classes: int) -> Labels:
    """The positions of the first ``count`` images of each class, with the classes in turn."""
    positions = [np.flatnonzero(labels == label)[:count] for label in range(classes)]
    return np.array([own[rank] for rank in range(count) for own in positions if rank < len(own)], dtype=np.int64)


def resized(images: Images, pixels: int) -> Images:
    """Images of ``pixels`` a side."""
    if images.shape[-1] == pixels:
        return images
    import torch

    sized = torch.nn.functional.interpolate(
        torch.from_numpy(images).float(), size=(pixels, pixels), mode="bilinear", antialias=True
    )
    return sized.round().clamp(0, 255).to(torch.uint8).numpy()

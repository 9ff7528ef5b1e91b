"""Batches of images that stay on the device as uint8: augmented and normalised batch by batch."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_LEVELS = 256
_CHUNK = 4096


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of each channel for pixels in [0, 1], each of shape (channels,)."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, images: Tensor) -> "Scale":
        """Return the exact scale of uint8 images of shape (N, channels, height, width), from counts of their levels."""
        channels = images.shape[1]
        counts = torch.zeros(channels, _LEVELS, dtype=torch.int64, device=images.device)
        for chunk in torch.split(images, _CHUNK):
            for channel in range(channels):
                counts[channel] += torch.bincount(chunk[:, channel].flatten(), minlength=_LEVELS)
        levels = torch.arange(_LEVELS, dtype=torch.float64, device=images.device) / (_LEVELS - 1)
        frequencies = counts.double() / counts.sum(dim=1, keepdim=True)
        mean = frequencies @ levels
        variance = (frequencies * (levels - mean[:, None]) ** 2).sum(dim=1)
        return cls(mean.float(), variance.sqrt().float().clamp(min=1 / _LEVELS))


class Batches:
    """A data loader in memory: shuffled with a seed for training, in order without one for evaluation.

    ``images`` are uint8 of shape (N, channels, height, width) and stay uint8. Each batch is augmented (only with a
    seed), converted and normalised on the device of the images; it consists of images, float32 in channels-last memory
    format, and labels. ``crop`` is the maximum shift in pixels, with zero padding, and ``flip`` mirrors half of the
    images (the usual augmentation of CIFAR).
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        scale: Scale,
        seed: int | None = None,
        crop: int = 0,
        flip: bool = False,
    ) -> None:
        self.labels = labels
        self.batch_size = batch_size
        self._pixels = images.permute(0, 2, 3, 1).contiguous()
        width = images.shape[-1]  # one row holds width × channels values: longer rows are faster
        self._factor = (1 / (255 * scale.std)).repeat(width)
        self._offset = (-scale.mean / scale.std).repeat(width)
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)
        self.shape = images.shape[1:]
        self._crop, self._flip = crop, flip

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self._generator is None:
            order = torch.arange(len(self.labels))
        else:
            order = torch.randperm(len(self.labels), generator=self._generator)
        for indices in torch.split(order, self.batch_size):
            yield self.batch(indices, self._generator)

    def batch(self, indices: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """The batch of the images at these positions, augmented if there is a generator."""
        indices = indices.to(self.labels.device)
        pixels = self._pixels.index_select(0, indices)
        if generator is not None and (self._crop or self._flip):
            pixels = augment(pixels, self._crop, self._flip, generator)
        rows = pixels.flatten(2).float().mul_(self._factor).add_(self._offset)
        return rows.view_as(pixels).permute(0, 3, 1, 2), self.labels[indices]


def augment(pixels: Tensor, crop: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Shift each image of shape (N, height, width, channels) by up to ``crop`` pixels and mirror half of them.

    One gather does both. The random numbers are drawn on the CPU: they are the same for every device.
    """
    count, height, width, channels = pixels.shape
    shifts = torch.randint(0, 2 * crop + 1, (2, count, 1), generator=generator)
    mirrored = torch.rand(count, 1, generator=generator) < 0.5 * flip
    columns = torch.arange(width).expand(count, -1)
    columns = torch.where(mirrored, width - 1 - columns, columns) + shifts[1]
    rows = torch.arange(height) + shifts[0] + torch.arange(count)[:, None] * (height + 2 * crop)
    positions = rows[:, :, None] * (width + 2 * crop) + columns[:, None, :]
    padded = torch.nn.functional.pad(pixels, (0, 0, crop, crop, crop, crop))
    return padded.view(-1, channels).index_select(0, positions.flatten().to(pixels.device)).view_as(pixels)
